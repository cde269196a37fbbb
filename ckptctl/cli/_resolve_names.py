"""Finding the checkpoints that a command line names, one by one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from os.path import basename, dirname, join, realpath, relpath
from typing import Annotated, NamedTuple

import typer

from ckptctl.core.model import Checkpoint, Run
from ckptctl.errors import NoCheckpoint
from ckptctl.scan.runs import Options, scan
from ckptctl.stores import Store, open_store

Checkpoints = Annotated[list[str], typer.Argument(metavar="CKPT...", help="Files, folders, or what several share.")]
OneCheckpoint = Annotated[str, typer.Argument(metavar="CKPT", help="A file, a folder, or what several share.")]


class LocatedCheckpoint(NamedTuple):
    """A checkpoint, and where it lies."""

    store: Store
    checkpoint: Checkpoint


def find_checkpoints(names: Iterable[str], options: Options) -> list[LocatedCheckpoint]:
    """The checkpoints of these names, each once; a link's is the one that it leads to; raises NoCheckpoint."""
    folders: dict[str, tuple[Store, list[Run]]] = {}
    found: dict[tuple[str, str], LocatedCheckpoint] = {}
    for name in names:
        folder, last = split_place(name)
        if folder not in folders:
            store = open_store(folder)
            folders[folder] = (store, list(scan(store, options)))
        store, runs = folders[folder]
        checkpoint = find_by_name(runs, last, name)
        found[folder, checkpoint.path] = LocatedCheckpoint(store, checkpoint)
    return list(found.values())


def split_place(name: str) -> tuple[str, str]:
    """The folder that a checkpoint lies in, and its own name; a slash at the end means nothing."""
    bare = name.rstrip("/") or name
    return dirname(bare) or ".", basename(bare)


def path_from(root: str, name: str) -> str:
    """The path of a checkpoint as seen from a folder above it."""
    if "://" in root:
        return name.removeprefix(root.rstrip("/") + "/").rstrip("/")
    folder, last = split_place(name)
    return relpath(join(realpath(folder), last), realpath(root))


def find_by_name(runs: Sequence[Run], path: str, name: str) -> Checkpoint:
    """The checkpoint of a path, of a name that stands for it, or of a file in it; raises NoCheckpoint, by its name."""
    held = [it for run in runs for it in run.checkpoints]
    targets = {it.path: it.target for run in runs for it in run.pointers}
    for it in held:
        if path in (it.path, *it.aliases) or targets.get(path) == it.path:
            return it
    for it in held:
        if any(entry.path == path for entry in it.entries):
            return it
    raise NoCheckpoint("is no checkpoint", path=name, hint=f"see what there is: ckptctl ls {split_place(name)[0]}")
