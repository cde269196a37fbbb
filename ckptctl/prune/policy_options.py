"""What a prune is told to keep: the options of the command line and the API, with what is configured, as a policy."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from difflib import get_close_matches
from typing import Any, Literal, NamedTuple, get_args

from ckptctl.config import NamedPolicy, Setting, Settings, find_settings, read_policy_file
from ckptctl.core.filters import parse_filter
from ckptctl.core.model import Run
from ckptctl.core.ranking import infer_mode
from ckptctl.core.retention.budget import Budget
from ckptctl.core.retention.policy import GroupBy, Policy
from ckptctl.core.retention.rules import (
    KeepAll,
    KeepEvery,
    KeepGlob,
    KeepLast,
    KeepNewerThan,
    KeepPeriods,
    KeepSteps,
    KeepWithin,
    TopK,
)
from ckptctl.core.retention.rules.named import PathView
from ckptctl.core.retention.rules.periods import Period
from ckptctl.core.retention.rules.protocol import Rule
from ckptctl.core.retention.rules.top_k import GLOBAL_BEST
from ckptctl.core.units import NANOSECONDS, parse_duration, parse_size
from ckptctl.errors import UsageError
from ckptctl.prune.apply import ApplyOptions
from ckptctl.prune.journal import new_id
from ckptctl.scan.targets import NameOptions, read_texts
from ckptctl.stores import ReadStore

_BEST = re.compile(r"(?P<metric>.+?)(?::(?P<mode>min|max))?=(?P<count>-?[0-9]{1,18})")
_EVERY = re.compile(r"(?P<count>[0-9]{1,18})\s*(?P<unit>steps?|epochs?)?")
_STEP = re.compile("[0-9]{1,18}")
_UNITS: dict[str, Literal["steps", "epochs"] | None] = {"s": "steps", "e": "epochs", "": None}
_PERIODS: tuple[Period, ...] = ("hourly", "daily", "weekly", "monthly")
_MODES = ("min", "max", "auto")
_NAMES = {"filter": "filters"}
"""What an option's field is called where that is not its own name."""
_WORDS = ("group_by", "mode")
"""Options that always have a value: one that was not given has its default."""
_FALLBACKS = ("min-age", "max-delete", "max-delete-size", "strict")
"""What was found applies to these where neither an option nor the policy says it."""


class PolicyOptions(NamedTuple):
    """What was asked for, each as a flag of ``prune``; what was not is None, False or an empty list."""

    policy: str | None = None
    top_k: int | None = None
    keep_best: Sequence[str] | None = None
    keep_last: int | None = None
    keep_every: Sequence[str] | None = None
    keep_within: str | None = None
    keep_newer_than: str | None = None
    keep_hourly: int | None = None
    keep_daily: int | None = None
    keep_weekly: int | None = None
    keep_monthly: int | None = None
    keep_step: Sequence[str] | None = None
    keep: Sequence[str] | None = None
    global_best: int | None = None
    group_by: str = "run"
    filters: Sequence[str] | None = None
    resumable: int | None = None
    max_size: str | None = None
    max_files: int | None = None
    free: str | None = None
    partial: bool = False
    relink: bool = False
    monitor: str | None = None
    mode: str = "auto"
    threshold: float | None = None
    tie: str | None = None
    drop_unranked: bool = False
    no_protect_last: bool = False
    allow_mount: bool = False
    ignore_unreadable: bool = False
    min_age: str | None = None
    strict: bool = False
    max_delete: int | None = None
    max_delete_size: str | None = None


LISTS = frozenset({"keep_best", "keep_every", "keep_step", "keep", "filters"})
"""Options that may be repeated."""
_TEXTS = frozenset({"keep_within", "keep_newer_than", "max_size", "free", "min_age", "max_delete_size"})
"""Sizes and lengths of time, which a program may give as a number of bytes and a timedelta."""


def read_policy_options(given: Mapping[str, Any]) -> PolicyOptions:
    """The options among the arguments of a call, by the names that flags have."""
    held = {_field_of(name): value for name, value in given.items() if _field_of(name) in PolicyOptions._fields}
    lists = {name: read_texts(held[name]) for name in LISTS if held.get(name) is not None}
    texts = {name: _read_text(held[name]) for name in _TEXTS if held.get(name) is not None}
    return PolicyOptions(**{**held, **lists, **texts})


def _read_text(value: object) -> str:
    return f"{value.total_seconds():.0f}s" if isinstance(value, timedelta) else str(value)


# With what is configured ----------------------------------------------------------------------------------------------


class EffectiveConfig(NamedTuple):
    """What applies in the end."""

    flags: PolicyOptions
    spared: tuple[str, ...] = ()
    """Patterns of what found files keep."""
    trash: bool = False
    trash_for: str | None = None
    found: Mapping[str, Any] = {}
    """What found files and the environment say."""
    template: str | None = None
    """What the named policy says of file names."""
    include: tuple[str, ...] = ()
    unused: tuple[Setting, ...] = ()
    """What found files say of file names, by which nothing may go."""
    folders: tuple[str, ...] = ()
    """Where the files lie that say anything: patterns may be relative to them."""
    is_time_found: bool = False
    """Whether only a found file says for how long: that shortens no trash that was asked for."""

    def read_names(self, typed: NameOptions) -> NameOptions:
        """How names are read: as typed, else as the policy says; globs add up."""
        include = [*(typed.include or ()), *self.include]
        return typed._replace(template=typed.template or self.template, include=include or typed.include)

    def describe_unused(self, typed: NameOptions) -> Iterator[str]:
        """What to say of found settings that a prune does not take."""
        names = self.read_names(typed)
        for key, _, origin in self.unused:
            if not getattr(names, key):
                hint = f"pass --{key}, or put it below [policy.NAME] and pass --policy NAME"
                yield f"{origin}: '{key}' outside of a policy counts for listings alone: {hint}"

    def choose(self, command: str, *, trash: bool, trash_for: str | timedelta | None, takes_open: bool) -> ApplyOptions:
        """How to apply: whether deleted checkpoints stay in the trash, and for how long, is as asked or configured."""
        keeps = trash or trash_for is not None or self.trash
        text = trash_for or (self.trash_for if keeps and not (trash and self.is_time_found) else None)
        keeps_for = None if text is None else _read_span(_read_text(text))
        return ApplyOptions(new_id(), command, keeps=keeps, keeps_for=keeps_for, takes_open=takes_open)


class ApplyTerms:
    """What becomes of deleted checkpoints: as asked when the plan was made, and again when it is applied."""

    def __init__(
        self, configured: EffectiveConfig, *, trash: bool | None, trash_for: str | timedelta | None, allow_open: bool
    ) -> None:
        self.configured = configured
        self.trash = trash
        self.trash_for = trash_for
        self.allow_open = allow_open

    def are_as_found(self, paths: Sequence[str]) -> bool:
        """Whether what is configured for some paths says what it did; raises UsageError as `configure` does."""
        return _protections_of(find_settings(paths, os.environ)) == self.configured.found

    def __call__(
        self,
        *,
        trash: bool | None = None,
        trash_for: str | timedelta | None = None,
        allow_open: bool | None = None,
    ) -> ApplyOptions:
        """How to apply; raises UsageError where the trash would be asked to free space."""
        trash = self.trash if trash is None else trash
        takes_open = self.allow_open if allow_open is None else allow_open
        until = trash_for or self.trash_for
        options = self.configured.choose("prune", trash=bool(trash), trash_for=until, takes_open=takes_open)
        if trash is False:
            return options._replace(keeps=False, keeps_for=None)
        if options.keeps and self.configured.flags.free is not None:
            raise UsageError("free and trash contradict each other: the trash frees nothing", hint="leave one out")
        return options


def configure(flags: PolicyOptions, paths: Sequence[str]) -> EffectiveConfig:
    """Fill in what was not given: options win, then the policy that was named, then what was found.

    Raises UsageError for a configuration that cannot be understood.
    """
    found = find_settings(paths, os.environ)
    named = None if flags.policy is None else _find_policy(flags.policy, found)
    told = dict(named.values) if named else {}
    for key in _FALLBACKS:
        if key not in told and (value := found.get(key)) is not None:
            told[key] = value
    is_time_found = "trash-for" not in told
    trash, trash_for = (told.pop(key, found.get(key)) for key in ("trash", "trash-for"))
    template, include = told.pop("template", None), told.pop("include", ())
    filled = {field: _fill(flags, field, value) for key, value in told.items() for field in [_field_of(key)]}
    spared = tuple(found.get("keep") or ())
    held = EffectiveConfig(flags._replace(**filled), spared, bool(trash), trash_for, _protections_of(found))
    folders = tuple(dict.fromkeys(os.path.dirname(os.path.realpath(it)) for it in found.files))
    held = held._replace(folders=folders, is_time_found=is_time_found)
    return held._replace(template=template, include=tuple(include), unused=tuple(found.names.values()))


def _protections_of(found: Settings) -> dict[str, Any]:
    return {key: it.value for key, it in found.values.items()}


def _field_of(key: str) -> str:
    return _NAMES.get(key, key.replace("-", "_"))


def _fill(flags: PolicyOptions, field: str, value: Any) -> Any:  # noqa: ANN401 - whatever the option takes
    """What an option says, or else the value; of an option that repeats both: rules add up."""
    typed = getattr(flags, field)
    if isinstance(value, list):
        return [*(typed or ()), *value]
    if field in _WORDS:
        return value if typed == flags._field_defaults[field] else typed
    return value if typed is None or typed is False else typed


def _find_policy(name: str, found: Settings) -> NamedPolicy:
    """The policy of that name, or in that file; raises UsageError."""
    if "/" in name or name.endswith(".toml"):
        return read_policy_file(name)
    if name in found.policies:
        return found.policies[name]
    near = get_close_matches(name, found.policies, 1)
    known = f"there are {', '.join(sorted(found.policies))}" if found.policies else "no file has any"
    hint = f"did you mean '{near[0]}'?" if near else f"{known}; a policy is a table [policy.{name}] of ckptctl.toml"
    raise UsageError(f"there is no policy '{name}'", hint=hint)


# As a policy ----------------------------------------------------------------------------------------------------------


def make_policy(flags: PolicyOptions, *, spared: Sequence[str] = ()) -> Policy:
    """The whole policy; ``spared`` are patterns that files keep; raises UsageError."""
    tie = flags.tie or "earliest"
    if tie not in ("earliest", "latest"):
        raise UsageError(f"--tie {tie} is unknown", hint="pass earliest or latest")
    if flags.mode not in _MODES:
        raise UsageError(f"--mode {flags.mode} is unknown", hint="pass min, max or auto")
    groups = get_args(GroupBy)
    if flags.group_by not in groups:
        raise UsageError(f"--group-by {flags.group_by} is unknown", hint="pass run, parent or all")
    return Policy(
        read_rules(flags),
        flags.threshold,
        tie == "latest",
        flags.drop_unranked,
        protect_last=not flags.no_protect_last,
        allow_mount=flags.allow_mount,
        ignore_unreadable=flags.ignore_unreadable,
        min_age=read_min_age(flags.min_age or "auto"),
        filters=tuple(map(parse_filter, flags.filters or ())),
        group_by=next(it for it in groups if it == flags.group_by),
        partial=flags.partial,
        relink=flags.relink,
        spared=tuple(spared),
        budget=Budget(read_size(flags.max_size), flags.max_files, read_size(flags.free)),
        resumable=flags.resumable,
    )


def read_size(text: str | None) -> int | None:
    """Bytes; None where none was given."""
    return None if text is None else parse_size(text)


def read_rules(flags: PolicyOptions) -> tuple[Rule, ...]:
    """The rules that the flags ask for; raises UsageError where they ask for none, or only for nothing."""
    rules = tuple(_rules(flags))
    has_budget = any(it is not None for it in (flags.max_size, flags.max_files, flags.free))
    if not rules and flags.resumable is not None and not has_budget:
        return (KeepAll(),)
    if not rules:
        hint = "pass --top-k N, --keep-last N, --keep-every N, or another rule; --top-k -1 keeps all"
        raise UsageError("no rule says what to keep", hint=hint)
    if all(map(_is_idle, rules)):
        hint = "pass 1 or more, or add a rule that keeps"
        raise UsageError("a count of 0 keeps nothing: it cannot be the only rule", hint=hint)
    return rules


def _is_idle(rule: Rule) -> bool:
    """Whether it keeps nothing of any run."""
    match rule:
        case TopK() | KeepLast() | KeepPeriods():
            return rule.count == 0
        case KeepWithin() | KeepNewerThan():
            return rule.span == 0
    return False


def _rules(flags: PolicyOptions) -> Iterator[Rule]:
    if flags.top_k is not None:
        yield TopK(_count("--top-k", flags.top_k), flags.monitor, flags.mode)
    if flags.global_best is not None:
        yield TopK(_count("--global-best", flags.global_best), flags.monitor, flags.mode, GLOBAL_BEST)
    yield from (_read_best(text, flags.mode, is_general=flags.monitor is None) for text in flags.keep_best or ())
    if flags.keep_last is not None:
        yield KeepLast(_count("--keep-last", flags.keep_last))
    yield from map(_read_every, flags.keep_every or ())
    if flags.keep_within is not None:
        yield KeepWithin(_read_span(flags.keep_within))
    if flags.keep_newer_than is not None:
        yield KeepNewerThan(_read_span(flags.keep_newer_than))
    for period in _PERIODS:
        count = getattr(flags, f"keep_{period}")
        if count is not None:
            yield KeepPeriods(_count(f"--keep-{period}", count), period)
    if flags.keep_step:
        yield KeepSteps(frozenset(_read_steps(flags.keep_step)))
    yield from map(KeepGlob, flags.keep or ())


def _count(flag: str, count: int) -> int:
    if count < -1:
        raise UsageError(f"{flag} {count} means nothing", hint="pass a number from 0, or -1 to keep all")
    return count


def _read_best(text: str, mode: str, *, is_general: bool) -> TopK:
    """``METRIC[:MODE]=N``; without a mode of its own, by the one that is asked for everywhere.

    With ``is_general`` that one is said of no metric, and must turn none round.
    """
    match = _BEST.fullmatch(text)
    if match is None:
        raise UsageError(f"'{text}' does not say which best to keep", hint="write --keep-best val_loss:min=3")
    known = infer_mode(match["metric"])
    if is_general and match["mode"] is None and mode != "auto" and known not in (None, mode):
        said = f"{match['metric']}:{mode}={match['count']}"
        raise UsageError(
            f"--mode {mode} would turn {match['metric']} round", hint=f"if it is meant: --keep-best {said}"
        )
    return TopK(_count("--keep-best", int(match["count"])), match["metric"], match["mode"] or mode, "keep-best")


def _read_every(text: str) -> KeepEvery:
    match = _EVERY.fullmatch(text.strip())
    if match is None or int(match["count"]) == 0:
        raise UsageError(f"'{text}' is not an interval", hint="write --keep-every 1000steps or --keep-every 5epochs")
    return KeepEvery(int(match["count"]), _UNITS[(match["unit"] or "")[:1]])


def _read_span(text: str) -> int:
    """Nanoseconds."""
    return parse_duration(text) * NANOSECONDS


def _read_steps(texts: Sequence[str]) -> Iterator[int]:
    for text in ",".join(texts).split(","):
        if not _STEP.fullmatch(text.strip()):
            raise UsageError(f"'{text}' is not a step", hint="write --keep-step 1000,5000")
        yield int(text)


def read_min_age(text: str) -> int | None:
    """Nanoseconds; None for ``auto``: only what its layout cannot prove complete waits."""
    return None if text == "auto" else _read_span(text)


def prepare_run(run: Run, policy: Policy) -> Run:
    """A run as a policy takes it: with what it left out and copies, where some are named; without lifted doubts."""
    others = (*run.left_out, *run.copies)
    if any(it.path in policy.named for it in others):
        run = run._replace(checkpoints=(*run.checkpoints, *others))
    if not (policy.ignore_unreadable and run.unread):
        return run
    lifted = (
        it._replace(state="complete", note=None) if it.note is not None and it.note.id == "unread-pointer" else it
        for it in run.checkpoints
    )
    return run._replace(checkpoints=tuple(lifted))


def view_from(policy: Policy, stores: Sequence[ReadStore], folders: Sequence[str]) -> Policy:
    """A policy whose patterns see paths as they are written anywhere; ``folders`` are those of configuration files."""
    url = "." if len(stores) > 1 else stores[0].url
    roots = (url,) if "://" in url else (os.path.abspath(url), os.path.realpath(url))
    here = (os.getcwd(), os.path.realpath("."))
    view = PathView(tuple(dict.fromkeys(roots)), tuple(dict.fromkeys((*here, *folders))))
    rules = tuple(it._replace(view=view) if isinstance(it, KeepGlob) else it for it in policy.rules)
    return policy._replace(rules=rules, view=view)
