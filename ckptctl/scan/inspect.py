"""What is inside one checkpoint of a store, and whether it is whole: its files, read as one.

    contents = read_checkpoint(store, checkpoint)
    result = verify_checkpoint(store, checkpoint, VerifyDepth(deep=True))

Nothing is executed, and tensors are read for ``VerifyDepth`` alone; only a ``TorchLoader`` has torch load what passed
all else.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from ckptctl.core.model import Note, Text
from ckptctl.core.units import QUIET
from ckptctl.formats import read_files
from ckptctl.formats.contents import Contents, Flaw, VerifyResult, merge_contents
from ckptctl.layouts.index import find_slimming

if TYPE_CHECKING:
    from ckptctl.core.model import Checkpoint, Entry
    from ckptctl.sandbox.torch_load import TorchLoader
    from ckptctl.stores import ReadableFile, ReadStore
    from ckptctl.tensors.streams import Tick


class CheckpointFiles:
    """The files of a checkpoint, by their paths in its folder; of a file or a family, by their names."""

    def __init__(self, store: ReadStore, checkpoint: Checkpoint) -> None:
        self.store = store
        folder = checkpoint.path if checkpoint.unit == "dir" else checkpoint.path.rpartition("/")[0]
        self.front = f"{folder}/" if folder else ""
        start = len(self.front)
        self.entries = {
            entry.path[start:]: store.stat(entry.path) if entry.size is None else entry
            for entry in checkpoint.entries
            if entry.kind == "file"
        }
        self.sizes = {name: it.size or 0 for name, it in self.entries.items()}

    @contextmanager
    def open(self, name: str) -> Iterator[ReadableFile]:
        """Open one of them; raises OSError."""
        with self.store.open(self.front + name) as source:
            yield source


def read_checkpoint(store: ReadStore, checkpoint: Checkpoint, *, placed: bool = False) -> Contents:
    """What is inside all files of a checkpoint; what is wrong with one is among its flaws.

    With ``placed`` every storage is looked up where that takes a read of its own, and checksums are listed.
    """
    files = CheckpointFiles(store, checkpoint)
    held = read_files(files, placed=placed)
    size = sum(files.sizes.values())
    return (merge_contents(held) if held else Contents("none"))._replace(size=size)


class VerifyDepth(NamedTuple):
    """How closely to look."""

    deep: bool = False
    """At every byte, and each checksum."""
    finite: bool = False
    """At every number of floating point."""
    allow: tuple[str, ...] = ()
    """Globs of names that pickles may have beside those that are known to be harmless."""
    now: int = 0
    """By the clock that stamps the files: what is young and lacks its end may be in the writing. 0: nothing is."""


_NAMES = frozenset({"suspect-name", "unlisted-name", "odd-pickle", "unusual-pickle", "ambiguous"})
"""What says something of a checkpoint that is still being written, too."""


def verify_checkpoint(
    store: ReadStore,
    checkpoint: Checkpoint,
    depth: VerifyDepth,
    tick: Tick = lambda _: None,
    loader: TorchLoader | None = None,
) -> VerifyResult:
    """Look for all that may be wrong with a checkpoint; ``tick`` is told of bytes as they are read.

    Of one that may still be in the writing only what its pickles name is told. With a loader torch loads what passed.
    """
    from ckptctl.tensors.structure_check import find_flaws

    files = CheckpointFiles(store, checkpoint)
    held = read_files(files, placed=True, every=checkpoint.unit == "file")
    contents = merge_contents(held) if held else Contents("none")
    flaws = [*find_flaws(contents, files, depth.allow), *_warn_no_weights(checkpoint, contents)]
    live = _explain_live(checkpoint, files, flaws, depth.now)
    if live is not None:
        checkpoint = checkpoint._replace(state="live", note=live)
    if checkpoint.state == "live":
        flaws = [flaw for flaw in flaws if flaw.id in _NAMES or flaw.id == "text"]
    elif depth.deep or depth.finite:
        flaws += _read_all(contents, files, depth, tick)
    else:
        flaws += _warn_unproved(contents)
    told = (*_warn_state(checkpoint, flaws), *flaws)
    examined = VerifyResult(checkpoint.path, sum(files.sizes.values()), checkpoint.public_state, told)
    return examined if loader is None else _load(examined, files, held, loader)


_UNFINISHED = frozenset({"cut-short", "empty", "missing-file", "missing-storage", "short-storage"})
"""What is wrong with that of which only a part was written so far."""
_WRITTEN = _NAMES | {"text", "unreadable"}


def _explain_live(checkpoint: Checkpoint, files: CheckpointFiles, flaws: Sequence[Flaw], now: int) -> Note | None:
    """What a checkpoint lacks that was written to a moment ago; None where it is old, or lacks nothing."""
    note = checkpoint.note
    if not now or (checkpoint.state == "live" and note is not None and note.id == "incomplete-yet"):
        return None
    lacks = next((it for it in flaws if _is_unfinished(it, files)), None)
    why = note if lacks is None and note is not None and note.id == "not-closed" else lacks and _locate(lacks, files)
    if not why:
        return None
    entries = [files.entries[lacks.file]] if lacks and lacks.file in files.entries else [*files.entries.values()]
    age = now - max((it.modified or 0 for it in entries), default=0)
    return Note("incomplete-yet", why=why, age=age) if age < QUIET or checkpoint.state == "live" else None


def _is_unfinished(flaw: Flaw, files: CheckpointFiles) -> bool:
    """Whether a flaw is one that the rest of the file, or of the files, would mend."""
    if flaw.severity != "error" or flaw.id in _WRITTEN:
        return False
    if flaw.id in _UNFINISHED or flaw.file not in files.entries:
        return flaw.id in _UNFINISHED
    from ckptctl.formats.quick_check import prove_whole

    with files.open(flaw.file) as source:
        return prove_whole(source).whole is False


def _locate(flaw: Flaw, files: CheckpointFiles) -> Text:
    """What is wrong, with the name of the file where there are several."""
    if len(files.entries) > 1 and flaw.file in files.entries:
        return Note("broken-part", name=flaw.file, why=flaw.text)
    return flaw.text


def _read_all(contents: Contents, files: CheckpointFiles, depth: VerifyDepth, tick: Tick) -> Iterator[Flaw]:
    """Read all numbers that can be read; what is wrong with them."""
    from ckptctl.tensors.full_check import read_deep

    yield from read_deep(contents, files, deep=depth.deep, finite=depth.finite, tick=tick)
    if any(it.dataset for it in contents.storages.values()):
        from ckptctl.tensors.full_check import read_packed

        yield from read_packed(contents, files, finite=depth.finite, tick=tick)
    yield from _warn_packed(contents) if depth.finite else ()


def _warn_unproved(contents: Contents) -> Iterator[Flaw]:
    """Say where only reading shows whether all is there."""
    unproved = [it for it in contents.storages.values() if it.packing == "hdf5-unproved"]
    if unproved:
        what = "a dataset has" if len(unproved) == 1 else f"{len(unproved)} datasets have"
        text = f"{what} chunks of a newer form: only --deep shows whether they are there"
        yield Flaw("not-read", text, unproved[0].file)


def _warn_state(checkpoint: Checkpoint, flaws: Sequence[Flaw]) -> Iterator[Flaw]:
    """What a listing says of it, unless what was found inside says it better."""
    is_told = any(flaw.severity == "error" for flaw in flaws)
    if checkpoint.state in ("damaged", "partial") and not is_told:
        yield Flaw(checkpoint.state, checkpoint.note or Note("bare-state", state=checkpoint.state))
    elif checkpoint.state in ("live", "doubtful") and not is_told and checkpoint.note:
        yield Flaw("live" if checkpoint.state == "live" else "in-doubt", checkpoint.note)


def _warn_no_weights(checkpoint: Checkpoint, contents: Contents) -> Iterator[Flaw]:
    """Say where a folder has no weights, though its layout keeps them beside the optimizer's state, which it has."""
    slimming = find_slimming(checkpoint.layout) if checkpoint.unit == "dir" else None
    parts = {tensor.part for tensor in contents.tensors}
    if slimming is None or not slimming.require or "optimizer" not in parts or "weights" in parts or contents.flaws:
        return
    yield Flaw("no-weights", "it holds the optimizer's state, but no weights")


def _warn_packed(contents: Contents) -> Iterator[Flaw]:
    """Say where numbers could not be looked at."""
    from ckptctl.tensors.finite import KINDS

    packed = [storage for storage in contents.storages.values() if storage.packing and not storage.dataset]
    if packed:
        text = f"{len(packed)} arrays are packed: nobody looked whether they are finite"
        yield Flaw("not-read", text, packed[0].file)
    meant = [it for it in contents.tensors if it.elements and it.part != "other"]
    if any(it.dtype in KINDS and not it.pieces for it in meant):
        yield Flaw("not-read", "some tensors lie inside of what is not unpacked: nobody looked whether they are finite")
    if unknown := sum(it.dtype == "?" for it in meant):
        what = "a tensor is of a type that is" if unknown == 1 else f"{unknown} tensors are of types that are"
        yield Flaw("not-read", f"{what} not known: nobody looked whether all is finite")


def _load(
    examined: VerifyResult, files: CheckpointFiles, held: Mapping[str, Contents], loader: TorchLoader
) -> VerifyResult:
    """What torch makes of its files; one that is broken, suspect or unfinished is never handed over."""
    why = ""
    if examined.state == "live":
        why = "it may still be in the writing"
    elif examined.ok and any(flaw.id in _NAMES for flaw in examined.flaws):
        why = "what its pickles name is not known to be harmless; --allow GLOB says that it is"
    if why or not examined.ok:  # then its flaws say so already
        flaws = [Flaw("not-loaded", f"not given to torch: {why}")] if why else []
        return examined._replace(flaws=(*examined.flaws, *flaws), loaded=0)
    tried = [_load_file(files, name, own.format, loader) for name, own in held.items() if own.format in _LOADABLE]
    flaws = [flaw for flaw in tried if flaw is not None]
    return examined._replace(flaws=(*examined.flaws, *flaws), loaded=len(tried) - len(flaws))


_LOADABLE = ("torch", "torch-legacy", "torchscript", "zip")
"""Formats that are torch's, or may hold files of torch; the others have nothing to do with it."""


def _load_file(files: CheckpointFiles, name: str, kind: str, loader: TorchLoader) -> Flaw | None:
    """What is to be said of one file; None where torch loaded it."""
    if kind == "zip":
        return Flaw("not-loaded", "not given to torch: it is an archive of other files", name)
    if kind == "torchscript":
        return Flaw("not-loaded", "not given to torch: TorchScript is never loaded with weights_only=True", name)
    try:
        flaw = _hand_over(files, name, loader, is_zip=kind == "torch")
    except OSError as error:
        return Flaw("not-loaded", f"it cannot be opened any more: {error.strerror or error}", name)
    return None if flaw is None else flaw._replace(file=name)


def _hand_over(files: CheckpointFiles, name: str, loader: TorchLoader, *, is_zip: bool) -> Flaw | None:
    """Let torch load a file that is still what was looked at; raises OSError."""
    with files.open(name) as source:
        descriptor: int | None = getattr(source, "descriptor", None)
        if descriptor is None:
            return Flaw("not-loaded", "not given to torch: it is not on this machine")
        if not _is_same(files.entries[name], descriptor):
            return Flaw("not-loaded", "not given to torch: it changed since it was listed")
        flaw = loader.load(descriptor, source.size, is_zip=is_zip)
        if flaw is not None and not _is_same(files.entries[name], descriptor):
            return Flaw("not-loaded", "it changed while torch was loading it")
        return flaw


def _is_same(entry: Entry, descriptor: int) -> bool:
    """Whether an open file is what was listed, and so what was looked at since."""
    found = os.fstat(descriptor)
    now = ((found.st_dev, found.st_ino), found.st_size, found.st_mtime_ns)
    return now == (entry.identity, entry.size, entry.modified)
