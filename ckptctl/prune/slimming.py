"""Slimming a checkpoint: what would stay of it without its optimizer state, a copy of that, or the same in place.

slim = plan_slim(store, checkpoint)                         what happens to each file; raises Refused with the reason
copy_slimmed(CopyJob(store, slim, target), "last.ckpt")     into another folder
write_replacement(store, slim, entry, place)                what takes a file's place: synced, and read again
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

from ckptctl.core.model import Checkpoint, Entry, Note, Run, Text
from ckptctl.core.retention.resumable import SlimAnswer, find_resume_candidates, keep_whole, slim_all_but_newest
from ckptctl.core.retention.slimming import SHARED, SlimOptions, SlimPlan, SlimStep
from ckptctl.errors import CkptctlError, Damaged, Refused
from ckptctl.layouts.index import find_layout, find_slimming
from ckptctl.layouts.schema import Slimming
from ckptctl.prune.batches import store_path
from ckptctl.scan.completeness import check_completeness
from ckptctl.scan.inspect import CheckpointFiles, read_checkpoint
from ckptctl.scan.peer_checks import check_against_peers
from ckptctl.stores import PRIVATE, ReadStore, Store
from ckptctl.tensors.export import open_export
from ckptctl.tensors.slim import open_slimmed

if TYPE_CHECKING:
    from ckptctl.core.retention.plan import RunPlan, Verdict
    from ckptctl.core.retention.policy import Policy

Tick = Callable[[int], None]
_UNKNOWN = Slimming()
_PLAIN = SlimOptions()


def plan_slim(store: ReadStore, checkpoint: Checkpoint, options: SlimOptions = _PLAIN) -> SlimPlan:
    """Decide what becomes of each file; raises Refused with the reason, Damaged where it is not whole, OSError."""
    _require_whole(checkpoint)
    slimming = find_slimming(checkpoint.layout) or _UNKNOWN
    if slimming.refuse is not None:
        raise Refused(slimming.refuse, id="cannot-slim")
    if checkpoint.unit == "dir" and not slimming.files and not slimming.drop:
        raise Refused("nobody has told what of this layout serves only to resume", id="cannot-slim")
    drop = tuple(key for key in slimming.drop if not (options.scores and key in slimming.scores))
    slim = SlimPlan(checkpoint, (), (), drop, options)
    if options.to == "safetensors":
        return _plan_export(store, slim)
    files = _files_of(checkpoint)
    left = [entry for entry in files if is_covered_by(slimming.files, slim.place_of(entry))]
    kept = [entry for entry in files if entry not in left]
    weights = tuple(entry for entry in kept if is_covered_by(slimming.require, slim.place_of(entry)))
    if slimming.require and not weights:
        named = " or ".join(slimming.require)
        raise Refused(
            f"it holds none of {named}: its weights may lie where the optimizer's state does", id="cannot-slim"
        )
    if slimming.may_be_empty:
        _require_numbers(store, checkpoint, weights)
    steps, dropped, unknown = _plan_files(store, slim, slimming, kept)
    dropped = (*dropped, *(slim.place_of(entry) for entry in left))
    if not dropped:
        raise Refused("it holds nothing that only serves to resume training", id="nothing-to-slim")
    steps += [SlimStep(entry, "leave", 0) for entry in left]
    weights = weights if left else ()
    return slim._replace(steps=tuple(steps), dropped=dropped, unknown=unknown, weights=weights)


def _require_numbers(store: ReadStore, checkpoint: Checkpoint, weights: Sequence[Entry]) -> None:
    """Raise Refused where a file of weights has none, Damaged where it cannot be read."""
    held = read_checkpoint(store, checkpoint._replace(entries=(checkpoint.entries[0], *weights)))
    wrong = next((flaw for flaw in held.flaws if flaw.severity == "error"), None)
    if wrong is not None:
        raise Damaged("its weights cannot be read", note=Note("broken-part", name=wrong.file, why=wrong.text))
    if not held.tensors or any(0 in it.shape for it in held.tensors):
        text = "a file of its weights holds none: with ZeRO-3 they may lie with the optimizer's state alone"
        raise Refused(text, id="cannot-slim")


def _files_of(checkpoint: Checkpoint) -> list[Entry]:
    """The files that may hold weights: not the done-mark beside a single file."""
    entries = checkpoint.entries[:1] if checkpoint.unit == "file" else checkpoint.entries
    return [entry for entry in entries if entry.kind == "file"]


def _plan_export(store: ReadStore, slim: SlimPlan) -> SlimPlan:
    """The weights of a single file as another one."""
    files = _files_of(slim.checkpoint)
    if slim.checkpoint.unit == "dir" or len(files) != 1:
        raise Refused("only a single file can be written as safetensors", id="cannot-slim")
    with _naming_file(slim.place_of(files[0])):
        export = open_export(CheckpointFiles(store, slim.checkpoint), slim.place_of(files[0]), slim.drop)
    return slim._replace(steps=(SlimStep(files[0], "export", export.size),), dropped=("all but the weights",))


def _plan_files(
    store: ReadStore, slim: SlimPlan, slimming: Slimming, kept: Sequence[Entry]
) -> tuple[list[SlimStep], tuple[str, ...], tuple[str, ...]]:
    """What becomes of the files that stay; of those that are written anew the keys that go, and names that stay."""
    steps: list[SlimStep] = []
    dropped: dict[str, None] = {}
    unknown: dict[str, None] = {}
    for entry in kept:
        is_torch = not slimming.require or is_covered_by(slimming.require, slim.place_of(entry))
        if slimming.files or not entry.size or not is_torch:  # an empty one is a done-mark
            steps.append(SlimStep(entry, "keep", entry.size or 0))
            continue
        with _naming_file(slim.place_of(entry)), store.open(entry.path) as source:
            cut = open_slimmed(source, slim.drop, bare=slim.wish.bare)
            steps.append(SlimStep(entry, "rewrite", cut.size))
        dropped.update(dict.fromkeys(cut.dropped))
        unknown.update(dict.fromkeys(cut.unknown))
    return steps, tuple(dropped), tuple(unknown)


@contextmanager
def _naming_file(place: str) -> Iterator[None]:
    """Give a refusal its id, and the name of the file that it is about, where there are several."""
    try:
        yield
    except Refused as error:
        if error.id == Refused.id:
            error.id = "cannot-slim"
        raise
    except Damaged as error:
        error.text, error.note = f"{place}: {error.text}", Note("broken-part", name=place, why=_why(error))
        raise


def is_covered_by(globs: Sequence[str], path: str) -> bool:
    """Whether a glob names a file, or a folder that it lies in; ``*`` does not match across folders."""
    parts = path.split("/")
    return any(len(own := glob.split("/")) <= len(parts) and all(map(fnmatchcase, parts, own)) for glob in globs)


def _require_whole(checkpoint: Checkpoint) -> None:
    """Raise Refused, or Damaged, for what is not known to be whole."""
    if checkpoint.state in ("damaged", "partial"):
        raise Damaged(f"it is {checkpoint.state}", note=checkpoint.note)
    if checkpoint.state == "live":
        raise Refused("it may still be in the writing", id="live", note=checkpoint.note)
    if checkpoint.state == "doubtful":
        note = Note("in-doubt", why=checkpoint.note)
        raise Refused("it is in doubt whether it is whole", id="in-doubt", note=note)


class ObservedRun(NamedTuple):
    """A run, where it lies, and when it was seen."""

    store: ReadStore
    run: Run
    now: int
    """Nanoseconds since 1970, by the clock that stamps the files."""


def slim_older(observed: ObservedRun, run_plan: RunPlan, policy: Policy) -> RunPlan:
    """The plan of a run with all slimmed but the newest that can resume; what is not certain stays as it is."""
    if policy.resumable is None:
        return run_plan
    answers = {it.checkpoint.path: _answer(observed.store, it.checkpoint) for it in find_resume_candidates(run_plan)}
    chosen = slim_all_but_newest(
        observed.run, run_plan, policy, {path: it for path, it in answers.items() if it is not None}
    )
    return chosen._replace(verdicts=tuple(_keep_doubtful(observed, chosen.verdicts)))


def _answer(store: ReadStore, checkpoint: Checkpoint) -> SlimAnswer | None:
    """What would stay of it, or why that is not certain; None where it holds nothing to resume from."""
    try:
        return plan_slim(store, checkpoint, SlimOptions(scores=True))
    except CkptctlError as error:
        return None if error.id == "nothing-to-slim" else _why(error)
    except OSError as error:
        return Note("unreadable", why=str(error.strerror or error))


def _why(error: CkptctlError) -> Text:
    return error.note if isinstance(error.note, Note) else error.text


def _keep_doubtful(observed: ObservedRun, verdicts: Sequence[Verdict]) -> Iterator[Verdict]:
    """The verdicts, without those slims that a listing would take for unfinished, beside the slims before them."""
    for verdict in verdicts:
        if verdict.slim is None:
            yield verdict
            continue
        try:
            observed = observed._replace(run=leave_slimmed(observed, verdict.slim))
            yield verdict
        except Refused as error:
            yield keep_whole(verdict, _why(error))


def refuse_in_place(observed: ObservedRun, slim: SlimPlan) -> None:
    """Raise Refused where what would be left is pinned, or would be taken for an unfinished save by a listing."""
    if slim.checkpoint.pinned:
        raise Refused("it is pinned", id="pinned", hint="unpin it, or write a copy with -o")
    if slim.is_shared:
        raise Refused(SHARED, id="cannot-slim", hint="write a copy with -o")
    leave_slimmed(observed, slim)


def leave_slimmed(observed: ObservedRun, slim: SlimPlan) -> Run:
    """The run as it would be; raises Refused where a listing would take what is left for an unfinished save."""
    store, run, now = observed
    checkpoint = slim.checkpoint
    gone = {step.entry.path for step in slim.steps if step.fate == "leave"}
    if not gone:
        return run
    left = tuple(entry for entry in checkpoint.entries if entry.path not in gone)
    state, note = check_completeness(store, find_layout(checkpoint.layout), left, now, checkpoint.unit)
    after = checkpoint._replace(entries=left, state=state, note=note)
    place = [other.path for other in run.checkpoints].index(checkpoint.path)
    beside = [*run.checkpoints[:place], after, *run.checkpoints[place + 1 :]]
    judged = check_against_peers(store, [other._replace(path=store_path(other)) for other in beside], now)[place]
    if judged.state != "complete":
        note = Note("unfinished-if-slimmed", state=judged.public_state, why=judged.note)
        text = "a listing would take it for unfinished then"
        raise Refused(text, id="cannot-slim", hint="write a copy with -o", note=note)
    return run._replace(checkpoints=tuple(beside))


class CopyJob(NamedTuple):
    """From where a copy is made, and where to."""

    store: ReadStore
    slim: SlimPlan
    target: Store
    tick: Tick = lambda _: None
    """Is told of bytes as they are written."""


def copy_slimmed(job: CopyJob, name: str) -> None:
    """Write what stays under a free name in another folder, a folder in one rename; raises Damaged, OSError."""
    slim, target = job.slim, job.target
    if slim.checkpoint.unit != "dir":
        for step in _staying(slim):
            _write(job, step, slim.place_of(step.entry) if slim.is_family else name)
        return
    made = f"{PRIVATE}-{os.urandom(8).hex()}"
    os.mkdir(os.path.join(target.url, made))
    try:
        for step in _staying(slim):
            place = f"{made}/{slim.place_of(step.entry)}"
            os.makedirs(os.path.join(target.url, place.rpartition("/")[0]), exist_ok=True)
            _write(job, step, place)
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


def _staying(slim: SlimPlan) -> list[SlimStep]:
    return [step for step in slim.steps if step.fate != "leave"]


def _write(job: CopyJob, step: SlimStep, path: str) -> None:
    with job.store.open(step.entry.path) as source, job.target.draft(path) as draft:
        if step.fate == "export":
            open_export(
                CheckpointFiles(job.store, job.slim.checkpoint), job.slim.place_of(step.entry), job.slim.drop
            ).write(draft)
        elif step.fate == "rewrite":
            open_slimmed(source, job.slim.drop, bare=job.slim.wish.bare).write(draft, _Meter(job.tick))
        else:
            draft.copy(source, 0, source.size)
            job.tick(draft.size)
        draft.stamp(step.entry.modified or 0)


def write_replacement(store: Store, slim: SlimPlan, entry: Entry, place: str, tick: Tick = lambda _: None) -> None:
    """Write what is to take the place of one of its files, proved on the disk; raises Refused, Damaged, OSError."""
    with store.open(entry.path) as source, store.draft(place, like=entry.path) as draft:
        open_slimmed(source, slim.drop, bare=slim.wish.bare).write(draft, _Meter(tick), later=draft.sync)
        draft.stamp(entry.modified or 0)
        draft.sync()
