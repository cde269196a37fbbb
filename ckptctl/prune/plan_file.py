"""A plan in a file: what would go, as it was found, and what was asked for, so that it can be drawn again."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from posixpath import join
from typing import Any, NamedTuple

from ckptctl.config import POLICY_KEYS, read_regular, read_value
from ckptctl.core.model import Checkpoint, Entry, Note
from ckptctl.core.retention.plan import RunPlan, Verdict
from ckptctl.core.retention.rules.protocol import Reason
from ckptctl.core.transaction import Failure
from ckptctl.errors import PathMissing, Refused, UsageError
from ckptctl.prune.planning import OLDEST, PlannedPrune, PruneRequest, identify_root
from ckptctl.prune.policy_options import PolicyOptions
from ckptctl.scan.targets import NameOptions
from ckptctl.stores import ReadStore

VERSION = 1
MOST_BYTES = 1 << 30


class PlanFile(NamedTuple):
    """What a file holds."""

    created: int
    """Nanoseconds since 1970, by the file server's clock."""
    places: tuple[tuple[str, Any], ...]
    """Each root's real path, with its identity."""
    asked: PruneRequest
    changes: Mapping[str, Any]
    """By absolute path, drop or slim, and what of its entries must be the same."""


def encode_plan(
    stores: Sequence[ReadStore], request: PruneRequest, planned: PlannedPrune, shown: Iterable[str]
) -> Iterator[str]:
    """A plan as a file holds it: JSON, with the plan in it as ``prune --json`` tells it, which is ``shown``."""
    changes = {
        key_of(store, it.checkpoint): (it.action, traits_of(it.checkpoint))
        for store, run in zip(planned.owners, planned.plan.runs, strict=True)
        for it in run.changed
        if it.checkpoint
    }
    held = {
        "ckptctl_plan": VERSION,
        "created": min(store.clock() for store in stores),
        "places": [identify_root(store) for store in stores],
        "flags": request.options._asdict(),
        "names": request.names,
        "exact": request.exact,
        "changes": changes,
    }
    yield json.dumps(held, indent=1)[:-2]
    yield f',\n "plan": {"".join(shown).strip()}\n}}\n'


def begins_as_plan(head: bytes) -> bool:
    """Whether the start of a file is that of a plan."""
    return re.match(rb'\s*\{\s*"ckptctl_plan"', head) is not None


def read_plan(path: str) -> PlanFile:
    """The plan of a file; raises PathMissing, UsageError where it is none or of another version."""
    try:
        held = json.loads(read_regular(path, MOST_BYTES))
    except FileNotFoundError:
        raise PathMissing("no such file", path=path, hint="write one with ckptctl prune --plan-out FILE") from None
    except RecursionError as error:
        raise UsageError("cannot be read as a plan: it is nested too deeply", path=path) from error
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot be read as a plan: {error}", path=path) from error
    if not isinstance(held, dict) or held.get("ckptctl_plan") != VERSION:
        raise UsageError("is no plan of this version of ckptctl", path=path, hint="write it anew with --plan-out")
    try:
        return _understand(held)
    except UsageError as error:
        raise UsageError(f"does not say what a plan says: {error.text}", path=path, hint=error.hint) from error
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"does not say what a plan says: {error}", path=path) from error


def _understand(held: Mapping[str, Any]) -> PlanFile:
    """What it says, each value proved to be of its kind; raises KeyError, TypeError, ValueError and UsageError."""
    places = tuple((_read_place(path), identity) for path, identity in held["places"])
    if not places or type(held["created"]) is not int or type(held["exact"]) is not bool:
        raise ValueError("it names no place, or not when it was made")
    if not isinstance(held["flags"], dict) or not isinstance(held["changes"], dict):
        raise TypeError("its flags or its changes are no mapping")
    changes = {str(key): (action, traits) for key, (action, traits) in held["changes"].items()}
    request = PruneRequest(_read_flags(held["flags"]), _read_names(held["names"]), held["exact"])
    return PlanFile(held["created"], places, request, changes)


def _read_place(path: object) -> str:
    """A root's path, as a file system or an object store may have it."""
    if not isinstance(path, str) or "\0" in path or not (path.startswith("/") or "://" in path):
        raise ValueError(f"{path!r} is no place")
    os.fsencode(path)
    return path


def _read_flags(flags: Mapping[str, Any]) -> PolicyOptions:
    """Options, each of its flag's kind, and the policy that was named."""
    plain = PolicyOptions._field_defaults
    return PolicyOptions(
        **{
            field: value if value is None or value == plain[field] else read_value(_kind_of(field), value)
            for field, value in flags.items()
        }
    )


def _kind_of(field: str) -> str:
    return {"policy": "text", "filters": "texts"}.get(field) or POLICY_KEYS[field.replace("_", "-")]


def _read_names(names: Sequence[Any]) -> NameOptions:
    """How names are to be read: texts, and lists of texts."""
    template, layout, extensions, equals, include = names
    template, layout = (None if it is None else read_value("text", it) for it in (template, layout))
    extensions, include = (None if it is None else read_value("texts", list(it)) for it in (extensions, include))
    return NameOptions(template, layout, extensions, read_value("text", equals), include)


def refuse_stale(plan: PlanFile, stores: Sequence[ReadStore]) -> None:
    """Raise Refused for a plan that is older than a day, or of another root than the one that is there now."""
    done, hint = "nothing was deleted", "draw it anew with ckptctl prune --plan-out"
    age = min(store.clock() for store in stores) - plan.created
    if age < -OLDEST:
        raise Refused("the plan was made in the future, by its own words", id="stale-plan", done=done, hint=hint)
    if age > OLDEST:
        raise Refused("the plan is more than a day old", id="stale-plan", done=done, hint=hint)
    for store, (path, identity) in zip(stores, plan.places, strict=True):
        if identify_root(store)[1] != identity:
            text = "is another folder than the one that was planned for"
            raise Refused(text, path=path, id="stale-plan", done=done, hint=hint)


def narrow_to_plan(planned: PlannedPrune, plan: PlanFile) -> PlannedPrune:
    """The draft with only those changes that the plan has too, of what is as it was; why the others are left out."""
    runs: list[RunPlan] = []
    seen: dict[str, Failure] = {}
    for store, run in zip(planned.owners, planned.plan.runs, strict=True):
        keys = [key_of(store, it.checkpoint) if it.checkpoint else "" for it in run.verdicts]
        verdicts = [_narrow(it, key, plan, seen) for it, key in zip(run.verdicts, keys, strict=True)]
        runs.append(run._replace(verdicts=tuple(verdicts)))
    top = f"{plan.places[0][0].rstrip('/')}/" if len(plan.places) == 1 else ""
    gone = (Failure(key[len(top) :], "gone since the plan") for key in plan.changes if key not in seen)
    changed = tuple(it for it in (*seen.values(), *gone) if it.why)
    return planned._replace(plan=planned.plan._replace(runs=tuple(runs)), changed=changed)


def _narrow(verdict: Verdict, key: str, plan: PlanFile, seen: dict[str, Failure]) -> Verdict:
    """A verdict as the plan bounds it; why what it changes stays is noted in ``seen``, empty for what is changed."""
    if verdict.checkpoint is None or (key not in plan.changes and not verdict.is_change):
        return verdict
    if key not in plan.changes:
        return _keep(verdict, "not in the plan")
    action, traits = plan.changes[key]
    if not verdict.is_change:
        note = Note("stays-now", reasons=tuple(it.text for it in verdict.reasons))
        seen[key] = Failure(verdict.path, "stays now", note=note)
        return verdict
    if traits_of(verdict.checkpoint) != traits:
        why = "changed since the plan"
    else:
        why = "" if verdict.action == action else "the rules say otherwise of it now"
    seen[key] = Failure(verdict.path, why)
    return _keep(verdict, why) if why else verdict


def _keep(verdict: Verdict, why: str) -> Verdict:
    return verdict._replace(action="keep", reasons=(Reason("plan", why),), frees=0, slim=None)


def key_of(store: ReadStore, checkpoint: Checkpoint) -> str:
    """What names a checkpoint in the file, wherever that is read."""
    return join(os.path.realpath(store.url), checkpoint.tops[0].path)


def traits_of(checkpoint: Checkpoint) -> list[list[object]]:
    """What of each entry must be the same when the plan is carried out."""
    return [_trait(entry) for entry in checkpoint.entries]


def _trait(entry: Entry) -> list[object]:
    identity = list(entry.identity) if isinstance(entry.identity, tuple) else entry.identity
    return [entry.path, entry.kind, entry.size, entry.modified, identity]
