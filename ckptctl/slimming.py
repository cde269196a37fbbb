"""A checkpoint without what only serves to resume training: what of it stays, a copy of that, or the same in place.

slim = plan(store, run, checkpoint)             what becomes of each file; raises Refused with the reason
copy(store, slim, target, "last.ckpt")          into another folder
slim_in_place(store, slim)                      written beside, synced, read again, and renamed
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import Literal, NamedTuple

from ckptctl.condition import judge
from ckptctl.core.checkpoint import Checkpoint, Entry, Run
from ckptctl.core.layout import Slimming
from ckptctl.errors import Damaged, Refused
from ckptctl.inspection import Held
from ckptctl.layouts import find
from ckptctl.siblings import compare
from ckptctl.stores import PRIVATE, Store
from ckptctl.weights.exporting import open_export
from ckptctl.weights.slim import open_cut

Fate = Literal["keep", "rewrite", "export", "leave"]
Tick = Callable[[int], None]
_UNKNOWN = Slimming()
_ENDING = re.compile(r"\.(?:pth\.tar|ckpt|pth?|bin|th|tar|h5|npz)$")


class Step(NamedTuple):
    """What becomes of one of its files."""

    entry: Entry
    fate: Fate
    size: int
    """Bytes of it that stay."""


class Wish(NamedTuple):
    """How a checkpoint is to be slimmed."""

    bare: bool = False
    """Whether the mapping with the weights alone is kept."""
    to: str = "torch"
    """Or safetensors."""


_PLAIN = Wish()


class Slim(NamedTuple):
    """What a checkpoint would be."""

    checkpoint: Checkpoint
    steps: tuple[Step, ...]
    dropped: tuple[str, ...]
    """Keys and files that go."""
    drop: tuple[str, ...] = ()
    wish: Wish = _PLAIN

    @property
    def before(self) -> int:
        """Bytes now."""
        return self.checkpoint.size

    @property
    def after(self) -> int:
        """Bytes then, but for some hundred of a directory."""
        return sum(it.size for it in self.steps)

    @property
    def is_family(self) -> bool:
        """Whether it is several files, which keep their own names."""
        return self.checkpoint.unit == "family" and len(self.steps) > 1

    @property
    def name(self) -> str:
        """What a copy of it is called."""
        it = self.checkpoint
        if it.unit == "dir" or self.is_family:
            return it.path.rpartition("/")[2]
        own = self.place_of(self.steps[0].entry)
        return own if self.wish.to == "torch" else f"{_ENDING.sub('', own)}.safetensors"

    @property
    def names(self) -> list[str]:
        """Of a family what each file is called in a copy, which keeps it; of all else nothing."""
        return [self.place_of(step.entry) for step in self.steps if step.fate != "leave"] if self.is_family else []

    def place_of(self, entry: Entry) -> str:
        """Its path in the checkpoint; of a file or family its name."""
        front = len(self.checkpoint.path) + 1 if self.checkpoint.unit == "dir" else entry.path.rfind("/") + 1
        return entry.path[front:]


def plan(store: Store, it: Checkpoint, wish: Wish = _PLAIN) -> Slim:
    """Decide what becomes of each file; raises Refused with the reason, Damaged where it is not whole, OSError."""
    _require_whole(it)
    slimming = find(it.layout).slimming or _UNKNOWN if it.layout != "unknown" else _UNKNOWN
    if slimming.refuse is not None:
        raise Refused(slimming.refuse, id="cannot-slim")
    if it.unit == "dir" and not slimming.files and not slimming.drop:
        raise Refused("nobody has told what of this layout serves only to resume", id="cannot-slim")
    slim = Slim(it, (), (), slimming.drop, wish)
    if wish.to == "safetensors":
        return _plan_export(store, slim)
    files = [entry for entry in it.entries if entry.kind == "file"]
    left = [entry for entry in files if _is_meant(slimming.files, slim.place_of(entry))]
    kept = [entry for entry in files if entry not in left]
    if slimming.require and not any(_is_meant(slimming.require, slim.place_of(entry)) for entry in kept):
        named = " or ".join(slimming.require)
        raise Refused(
            f"it holds none of {named}: its weights may lie where the optimizer's state does", id="cannot-slim"
        )
    steps, dropped = _plan_files(store, slim, slimming, kept)
    dropped = (*dropped, *(slim.place_of(entry) for entry in left))
    if not dropped:
        raise Refused("it holds nothing that only serves to resume training", id="nothing-to-slim")
    return slim._replace(steps=(*steps, *(Step(entry, "leave", 0) for entry in left)), dropped=dropped)


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
) -> tuple[list[Step], tuple[str, ...]]:
    """What becomes of the files that stay, and which keys go from those that are written anew."""
    steps: list[Step] = []
    dropped: dict[str, None] = {}
    for entry in kept:
        if slimming.files or not _is_torch(slimming, slim, entry):
            steps.append(Step(entry, "keep", entry.size or 0))
            continue
        with _told(slim.place_of(entry)), store.open(entry.path) as source:
            cut = open_cut(source, slimming.drop, bare=slim.wish.bare)
        dropped.update(dict.fromkeys(cut.dropped))
        steps.append(Step(entry, "rewrite", cut.size))
    return steps, tuple(dropped)


def _is_torch(slimming: Slimming, slim: Slim, entry: Entry) -> bool:
    """Whether a file is one of those of torch's that the layout speaks of."""
    return not slimming.require or _is_meant(slimming.require, slim.place_of(entry))


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


def _is_meant(globs: Sequence[str], path: str) -> bool:
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


def refuse_in_place(store: Store, run: Run, slim: Slim) -> None:
    """Raise Refused where what would be left is pinned, or would be taken for an unfinished save by a listing."""
    it = slim.checkpoint
    if it.pinned:
        raise Refused("it is pinned", id="pinned", hint="unpin it, or write a copy with -o")
    gone = {step.entry.path for step in slim.steps if step.fate == "leave"}
    if not gone:
        return
    left = tuple(entry for entry in it.entries if entry.path not in gone)
    state, note = judge(store, find(it.layout), left, store.clock(), it.unit)
    after = it._replace(entries=left, state=state, note=note)
    beside = [after if other.path == it.path else other for other in run.checkpoints]
    judged = next(found for found in compare(store, beside, store.clock()) if found.path == it.path)
    if judged.state != "complete":
        why = judged.note or f"it is {judged.state}"
        raise Refused(
            f"a listing would take it for unfinished then: {why}", id="cannot-slim", hint="write a copy with -o"
        )


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


def slim_in_place(store: Store, slim: Slim, tick: Tick = lambda _: None) -> None:
    """Put what stays in place of what is there, then remove the files that go; raises Damaged, OSError."""
    for step in slim.steps:
        if step.fate == "rewrite":
            _rewrite(store, slim, step.entry, tick)
    gone = [step.entry for step in slim.steps if step.fate == "leave"]
    folders = _emptied(slim, gone)
    for folder in folders:
        store.check(folder, [it for it in slim.checkpoint.entries if it.path.startswith(f"{folder.path}/")])
        store.delete_exact(folder)
    for entry in gone:
        if not any(entry.path.startswith(f"{folder.path}/") for folder in folders):
            store.delete_exact(entry)


def _rewrite(store: Store, slim: Slim, entry: Entry, tick: Tick) -> None:
    with store.open(entry.path) as source, store.draft(entry.path, entry) as draft:
        open_cut(source, slim.drop, bare=slim.wish.bare).write(draft, _Meter(tick), later=draft.sync)
        draft.stamp(entry.modified or 0)


def _emptied(slim: Slim, gone: Sequence[Entry]) -> list[Entry]:
    """The folders in it of which no file stays, without those that lie in another of them."""
    held = {entry.path for entry in slim.checkpoint.entries if entry.kind != "dir" and entry not in gone}
    below = slim.checkpoint.entries[1:] if slim.checkpoint.unit == "dir" else ()
    folders: list[Entry] = []
    for it in sorted(entry for entry in below if entry.kind == "dir"):
        is_inside = any(it.path.startswith(f"{other.path}/") for other in folders)
        was_empty = not any(entry.path.startswith(f"{it.path}/") for entry in below)
        if not is_inside and not was_empty and not any(path.startswith(f"{it.path}/") for path in held):
            folders.append(it)
    return folders
