"""A checkpoint without what only serves to resume training: what of it stays, a copy of that, or the same in place.

slim = plan(store, checkpoint)                  what becomes of each file; raises Refused with the reason
copy(Way(store, slim, target), "last.ckpt")     into another folder
write_heir(store, slim, entry, place)           what is to take a file's place: synced, and read again
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

from ckptctl.core.model import Checkpoint, Entry, Run
from ckptctl.core.retention.resumable import Answer, choose, find_holders, keep_whole
from ckptctl.core.retention.slimming import SHARED, Slim, Step, Wish
from ckptctl.errors import CkptctlError, Damaged, Refused
from ckptctl.layouts import find, find_slimming
from ckptctl.layouts.schema import Slimming
from ckptctl.prune.steps import stem_of
from ckptctl.scan.completeness import judge
from ckptctl.scan.inspect import Held
from ckptctl.scan.peer_checks import compare
from ckptctl.stores import PRIVATE, Store
from ckptctl.tensors.export import open_export
from ckptctl.tensors.slim import open_cut

if TYPE_CHECKING:
    from ckptctl.core.retention.plan import RunPlan, Verdict
    from ckptctl.core.retention.policy import Policy

Tick = Callable[[int], None]
_UNKNOWN = Slimming()
_PLAIN = Wish()


def plan(store: Store, it: Checkpoint, wish: Wish = _PLAIN) -> Slim:
    """Decide what becomes of each file; raises Refused with the reason, Damaged where it is not whole, OSError."""
    _require_whole(it)
    slimming = find_slimming(it.layout) or _UNKNOWN
    if slimming.refuse is not None:
        raise Refused(slimming.refuse, id="cannot-slim")
    if it.unit == "dir" and not slimming.files and not slimming.drop:
        raise Refused("nobody has told what of this layout serves only to resume", id="cannot-slim")
    drop = tuple(key for key in slimming.drop if not (wish.scores and key in slimming.scores))
    slim = Slim(it, (), (), drop, wish)
    if wish.to == "safetensors":
        return _plan_export(store, slim)
    files = [entry for entry in it.entries if entry.kind == "file"]
    left = [entry for entry in files if is_meant(slimming.files, slim.place_of(entry))]
    kept = [entry for entry in files if entry not in left]
    weights = tuple(entry for entry in kept if is_meant(slimming.require, slim.place_of(entry)))
    if slimming.require and not weights:
        named = " or ".join(slimming.require)
        raise Refused(
            f"it holds none of {named}: its weights may lie where the optimizer's state does", id="cannot-slim"
        )
    steps, dropped, unknown = _plan_files(store, slim, slimming, kept)
    dropped = (*dropped, *(slim.place_of(entry) for entry in left))
    if not dropped:
        raise Refused("it holds nothing that only serves to resume training", id="nothing-to-slim")
    steps += [Step(entry, "leave", 0) for entry in left]
    weights = weights if left else ()
    return slim._replace(steps=tuple(steps), dropped=dropped, unknown=unknown, weights=weights)


def _plan_export(store: Store, slim: Slim) -> Slim:
    """The weights of a single file as another one."""
    files = [entry for entry in slim.checkpoint.entries if entry.kind == "file"]
    if slim.checkpoint.unit == "dir" or len(files) != 1:
        raise Refused("only a single file can be written as safetensors", id="cannot-slim")
    with _told(slim.place_of(files[0])):
        export = open_export(Held(store, slim.checkpoint), slim.place_of(files[0]), slim.drop)
    return slim._replace(steps=(Step(files[0], "export", export.size),), dropped=("all but the weights",))


def _plan_files(
    store: Store, slim: Slim, slimming: Slimming, kept: Sequence[Entry]
) -> tuple[list[Step], tuple[str, ...], tuple[str, ...]]:
    """What becomes of the files that stay; of those that are written anew the keys that go, and names that stay."""
    steps: list[Step] = []
    dropped: dict[str, None] = {}
    unknown: dict[str, None] = {}
    for entry in kept:
        if slimming.files or not _is_torch(slimming, slim, entry):
            steps.append(Step(entry, "keep", entry.size or 0))
            continue
        with _told(slim.place_of(entry)), store.open(entry.path) as source:
            cut = open_cut(source, slim.drop, bare=slim.wish.bare)
            steps.append(Step(entry, "rewrite", cut.size))
        dropped.update(dict.fromkeys(cut.dropped))
        unknown.update(dict.fromkeys(cut.unknown))
    return steps, tuple(dropped), tuple(unknown)


def _is_torch(slimming: Slimming, slim: Slim, entry: Entry) -> bool:
    """Whether a file is one of those of torch's that the layout speaks of."""
    return not slimming.require or is_meant(slimming.require, slim.place_of(entry))


@contextmanager
def _told(place: str) -> Iterator[None]:
    """Give a refusal its id, and the name of the file that it is about, where there are several."""
    try:
        yield
    except Refused as error:
        if error.id == Refused.id:
            error.id = "cannot-slim"
        raise
    except Damaged as error:
        error.text = f"{place}: {error.text}"
        raise


def is_meant(globs: Sequence[str], path: str) -> bool:
    """Whether a glob names a file, or a folder that it lies in; ``*`` does not match across folders."""
    parts = path.split("/")
    return any(len(own := glob.split("/")) <= len(parts) and all(map(fnmatchcase, parts, own)) for glob in globs)


def _require_whole(it: Checkpoint) -> None:
    """Raise Refused, or Damaged, for what is not known to be whole."""
    if it.state in ("damaged", "partial"):
        raise Damaged(it.note or f"it is {it.state}")
    if it.state == "live":
        raise Refused(it.note or "it may still be in the writing", id="live")
    if it.state == "unknown" and it.note:
        raise Refused(f"it is in doubt whether it is whole: {it.note}", id="in-doubt")


class Sight(NamedTuple):
    """A run, where it lies, and when it was seen."""

    store: Store
    run: Run
    now: int
    """Nanoseconds since 1970, by the clock that stamps the files."""


def thin(sight: Sight, drawn: RunPlan, policy: Policy) -> RunPlan:
    """The plan of a run with all slimmed but the newest that can resume; what is not certain stays as it is."""
    if policy.resumable is None:
        return drawn
    answers = {it.checkpoint.path: _answer(sight.store, it.checkpoint) for it in find_holders(drawn)}
    chosen = choose(sight.run, drawn, policy, {path: it for path, it in answers.items() if it is not None})
    return chosen._replace(verdicts=tuple(_keep_doubtful(sight, chosen.verdicts)))


def _answer(store: Store, it: Checkpoint) -> Answer | None:
    """What would stay of it, or why that is not certain; None where it holds nothing to resume from."""
    try:
        return plan(store, it, Wish(scores=True))
    except CkptctlError as error:
        return None if error.id == "nothing-to-slim" else error.text
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"


def _keep_doubtful(sight: Sight, verdicts: Sequence[Verdict]) -> Iterator[Verdict]:
    """The verdicts, without those slims that a listing would take for unfinished, beside the slims before them."""
    for verdict in verdicts:
        if verdict.slim is None:
            yield verdict
            continue
        try:
            sight = sight._replace(run=leave_slimmed(sight, verdict.slim))
            yield verdict
        except Refused as error:
            yield keep_whole(verdict, error.text)


def refuse_in_place(sight: Sight, slim: Slim) -> None:
    """Raise Refused where what would be left is pinned, or would be taken for an unfinished save by a listing."""
    if slim.checkpoint.pinned:
        raise Refused("it is pinned", id="pinned", hint="unpin it, or write a copy with -o")
    if slim.is_shared:
        raise Refused(SHARED, id="cannot-slim", hint="write a copy with -o")
    leave_slimmed(sight, slim)


def leave_slimmed(sight: Sight, slim: Slim) -> Run:
    """The run as it would be; raises Refused where a listing would take what is left for an unfinished save."""
    store, run, now = sight
    it = slim.checkpoint
    gone = {step.entry.path for step in slim.steps if step.fate == "leave"}
    if not gone:
        return run
    left = tuple(entry for entry in it.entries if entry.path not in gone)
    state, note = judge(store, find(it.layout), left, now, it.unit)
    after = it._replace(entries=left, state=state, note=note)
    place = [other.path for other in run.checkpoints].index(it.path)
    beside = [*run.checkpoints[:place], after, *run.checkpoints[place + 1 :]]
    judged = compare(store, [other._replace(path=stem_of(other)) for other in beside], now)[place]
    if judged.state != "complete":
        why = judged.note or f"it is {judged.state}"
        raise Refused(
            f"a listing would take it for unfinished then: {why}", id="cannot-slim", hint="write a copy with -o"
        )
    return run._replace(checkpoints=tuple(beside))


class Way(NamedTuple):
    """From where a copy is made, and where to."""

    store: Store
    slim: Slim
    target: Store
    tick: Tick = lambda _: None
    """Is told of bytes as they are written."""


def copy(way: Way, name: str) -> None:
    """Write what stays under a free name in another folder, a folder in one rename; raises Damaged, OSError."""
    slim, target = way.slim, way.target
    if slim.checkpoint.unit != "dir":
        for step in _staying(slim):
            _write(way, step, slim.place_of(step.entry) if slim.is_family else name)
        return
    made = f"{PRIVATE}-{os.urandom(8).hex()}"
    os.mkdir(os.path.join(target.url, made))
    try:
        for step in _staying(slim):
            place = f"{made}/{slim.place_of(step.entry)}"
            os.makedirs(os.path.join(target.url, place.rpartition("/")[0]), exist_ok=True)
            _write(way, step, place)
        target.rename(target.stat(made), name)
    except BaseException:
        target.delete_exact(target.stat(made))
        raise


class _Meter:
    """Tells how many bytes were written since it was told last how far a file reaches."""

    def __init__(self, tick: Tick) -> None:
        self.tick = tick
        self.end = 0

    def __call__(self, end: int) -> None:
        self.tick(end - self.end)
        self.end = end


def _staying(slim: Slim) -> list[Step]:
    return [step for step in slim.steps if step.fate != "leave"]


def _write(way: Way, step: Step, path: str) -> None:
    with way.store.open(step.entry.path) as source, way.target.draft(path) as draft:
        if step.fate == "export":
            open_export(Held(way.store, way.slim.checkpoint), way.slim.place_of(step.entry), way.slim.drop).write(draft)
        elif step.fate == "rewrite":
            open_cut(source, way.slim.drop, bare=way.slim.wish.bare).write(draft, _Meter(way.tick))
        else:
            draft.copy(source, 0, source.size)
            way.tick(draft.size)
        draft.stamp(step.entry.modified or 0)


def write_heir(store: Store, slim: Slim, entry: Entry, place: str, tick: Tick = lambda _: None) -> None:
    """Write what is to take the place of one of its files, proved on the disk; raises Refused, Damaged, OSError."""
    with store.open(entry.path) as source, store.draft(place, like=entry.path) as draft:
        open_cut(source, slim.drop, bare=slim.wish.bare).write(draft, _Meter(tick), later=draft.sync)
        draft.stamp(entry.modified or 0)
        draft.sync()
