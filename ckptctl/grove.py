"""Which folders belong together: a walk becomes groves, each the listing of at most one run.

Two kinds of folder belong to the one above: a folder that is a checkpoint itself, and one that a metric's slash made
(``epoch=1-val/loss=0.40.ckpt``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ckptctl.core.names import is_cut_by_slash, parse

if TYPE_CHECKING:
    from ckptctl.core.checkpoint import Entry
    from ckptctl.core.layout import Layout
    from ckptctl.stores import Folder, Store


class Grove:
    """A folder with what belongs to it, while the walk is inside."""

    def __init__(self, folder: Folder, parent: Grove | None) -> None:
        self.path = folder.path
        self.entries = list(folder.entries)
        """Of the folder itself and of those that a slash made."""
        self.units: dict[str, tuple[Layout, list[Entry]]] = {}
        """Folders that are checkpoints: the layout, and all that lies in them."""
        self.failures: list[str] = []
        """What could not be listed, and why."""
        files = [entry.path for entry in folder.entries if entry.kind == "file"]
        self.beside = self._tables(parent) | {path.rpartition("/")[2]: path for path in files}
        """Side files by name; the logger's tables lie in the folder above (Lightning's ``version_0/metrics.csv``)."""

    def _tables(self, parent: Grove | None) -> dict[str, str]:
        table = parent.beside.get("metrics.csv") if parent else None
        is_above = table is not None and table.rpartition("/")[0] == self.path.rpartition("/")[0]
        return {"metrics.csv": table} if table is not None and is_above else {}

    def holds(self, path: str) -> bool:
        """Whether a path lies in this folder."""
        return not self.path or path.startswith(self.path + "/")

    def unit_of(self, path: str) -> str | None:
        """The checkpoint folder that a path is, or lies in."""
        return next((unit for unit in self.units if path == unit or path.startswith(unit + "/")), None)


def group(store: Store, layouts: Sequence[Layout], *, stat: bool) -> Iterator[Grove]:
    """The groves below a store's root, each when the walk has left it: a folder's own after those below it."""
    open_groves: list[Grove] = []
    for folder in store.walk(stat=stat):
        while open_groves and not open_groves[-1].holds(folder.path):
            yield open_groves.pop()
        top = open_groves[-1] if open_groves else None
        if top is None or not _join(top, folder, layouts):
            open_groves.append(Grove(folder, top))
        if folder.failure:
            open_groves[-1].failures.append(f"{folder.path or '.'}: {folder.failure}")
    while open_groves:
        yield open_groves.pop()


def _join(top: Grove, folder: Folder, layouts: Sequence[Layout]) -> bool:
    """Whether a folder belongs to the open one above it, and then is part of it."""
    unit = top.unit_of(folder.path) if top.units else None
    layout = None if unit else _layout_of_folder(folder, layouts)
    if layout is not None:
        unit = folder.path
        top.units[unit] = (layout, [])
    if unit is not None:
        top.units[unit][1].extend(folder.entries)
        return True
    below = folder.path[len(top.path) :].strip("/")
    if not (is_cut_by_slash(below.partition("/")[0]) and is_cut_by_slash(below) and _goes_on(below, folder, layouts)):
        return False
    top.entries.extend(folder.entries)
    return True


def _goes_on(front: str, folder: Folder, layouts: Sequence[Layout]) -> bool:
    """Whether the checkpoints in a folder go on with a name that begins with ``front``, as far as can be known.

    The folder of a sweep may be called alike (``lr=0.1-vit``), and be a run of its own: then what is in it says the
    whole name again. In doubt it is one: of each run something stays, of runs taken for one it might not.
    """
    counters = parse(front).fields.keys() & {"epoch", "step", "global_step"}
    endings = tuple(ending for layout in layouts for ending in layout.extensions)
    held = [it.path.rpartition("/")[2] for it in folder.entries if it.kind != "link"]
    names = [name for name in held if name.endswith(endings)]
    return bool(counters) and not any(counters & parse(name).fields.keys() or "=" not in name for name in names)


def _layout_of_folder(folder: Folder, layouts: Sequence[Layout]) -> Layout | None:
    """The layout whose sentinel lies in the folder."""
    name = folder.path.rpartition("/")[2]
    possible = [it for it in layouts if it.unit == "dir" and name.endswith(it.extensions)]
    held = {entry.path.rpartition("/")[2] for entry in folder.entries} if possible else set()
    return next((it for it in possible if not held.isdisjoint(it.sentinels)), None)
