"""Everything under a path that holds weights, or says so by its ending: what a look for damage must not leave out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from os.path import isdir

from ckptctl.core.model import Entry, Run
from ckptctl.scan.loose_files import has_weights_ending
from ckptctl.scan.resolve import ResolvedCheckpoint, follow_links, make_unknown, resolve_checkpoint
from ckptctl.scan.runs import Options, scan
from ckptctl.stores import Folder, ReadStore, open_store


def find_weight_files(
    path: str, options: Options, watch: Callable[[ReadStore, Run], object] = lambda *_: None
) -> Iterator[ResolvedCheckpoint]:
    """The checkpoints in a folder, and each file of it that is nobody's; else the checkpoint that a path means.

    ``watch`` is shown each run as it is found. Raises NoCheckpoint, PathMissing, and what opening raises.
    """
    place = follow_links(path)
    found = _find_in(place, options, watch) if "://" in place or isdir(place) else iter(())
    first = next(found, None)
    if first is None or _SHARD.search(first.checkpoint.entries[0].path):  # alone, a file's shards are their folder
        yield resolve_checkpoint(path, options)
        return
    yield first
    yield from found


_SHARD = re.compile(r"\A[^/]*-[0-9]{5}-of-[0-9]{5}[^/]*\Z")


def _find_in(path: str, options: Options, watch: Callable[[ReadStore, Run], object]) -> Iterator[ResolvedCheckpoint]:
    """What a folder holds; nothing where it is a checkpoint itself."""
    store = open_store(path)
    weights: dict[str, Entry] = {}
    for run in scan(store, options, observe=partial(_note_weights, weights)):
        if any(it.id == "inside-a-checkpoint" for it in run.notices):
            return
        watch(store, run)
        held = [*run.checkpoints, *run.left_out, *run.copies]
        for entry in [entry for it in held for entry in it.entries]:
            weights.pop(entry.path, None)
        yield from (ResolvedCheckpoint(store, run, it) for it in held)
    for entry in weights.values():  # a stray, damaged, or no file of weights at all
        yield ResolvedCheckpoint(store, Run("", ()), make_unknown(store, entry, options.now))


def _note_weights(weights: dict[str, Entry], folder: Folder) -> None:
    """Note the files of a folder whose endings say that they hold weights."""
    files = (it for it in folder.entries if it.kind == "file")
    weights.update({it.path: it for it in files if has_weights_ending(it.path.rpartition("/")[2])})
