"""What is inside one checkpoint of a store: its files, read as one.

    contents = inspect(store, checkpoint)

Nothing is executed, and tensors are not read.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ckptctl.weights.contents import Contents, merge
from ckptctl.weights.formats import read_files

if TYPE_CHECKING:
    from ckptctl.core.checkpoint import Checkpoint
    from ckptctl.stores import Source, Store


class Held:
    """The files of a checkpoint, by their paths in its folder; of a file or a family, by their names."""

    def __init__(self, store: Store, checkpoint: Checkpoint) -> None:
        self.store = store
        folder = checkpoint.path if checkpoint.unit == "dir" else checkpoint.path.rpartition("/")[0]
        self.front = f"{folder}/" if folder else ""
        start = len(self.front)
        self.sizes = {
            it.path[start:]: self._size_of(it.path, it.size) for it in checkpoint.entries if it.kind == "file"
        }

    def _size_of(self, path: str, known: int | None) -> int:
        return (self.store.stat(path).size or 0) if known is None else known

    @contextmanager
    def open(self, name: str) -> Iterator[Source]:
        """Open one of them; raises OSError."""
        with self.store.open(self.front + name) as source:
            yield source


def inspect(store: Store, checkpoint: Checkpoint, *, placed: bool = False) -> Contents:
    """What is inside all files of a checkpoint; what is wrong with one is among its flaws.

    With ``placed`` every storage is looked up where that takes a read of its own, and checksums are listed.
    """
    files = Held(store, checkpoint)
    held = read_files(files, placed=placed)
    size = sum(files.sizes.values())
    return (merge(held) if held else Contents("none"))._replace(size=size)
