"""What the going of checkpoints really frees: a file with several names goes with the last of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ckptctl.core.model import Checkpoint, Entry


class DiskUsage(NamedTuple):
    """How much there is of something."""

    size: int = 0
    """Bytes."""
    files: int = 0

    def plus(self, other: DiskUsage) -> DiskUsage:
        """Both together."""
        return DiskUsage(self.size + other.size, self.files + other.files)


class LinkCounts:
    """How many names each hard-linked file has left."""

    def __init__(self) -> None:
        self._left: dict[object, int] = {}

    def take(self, checkpoint: Checkpoint) -> DiskUsage:
        """Let a checkpoint's names go: what that frees."""
        freed = DiskUsage()
        for entry in files_of(checkpoint):
            if self._take(entry):
                freed = freed.plus(DiskUsage(entry.weight, 1))
        return freed

    def _take(self, entry: Entry) -> bool:
        """Let one name go; whether it was the last of its file."""
        if entry.links == 1:
            return True
        self._left[entry.identity] = self.left_of(entry) - 1
        return self._left[entry.identity] == 0

    def left_of(self, entry: Entry) -> int:
        """Names of the file that are still there."""
        return self._left.get(entry.identity, entry.links)

    def have_freed(self, checkpoint: Checkpoint) -> bool:
        """Whether the going of a checkpoint that was taken has freed anything."""
        return any(entry.links == 1 or self.left_of(entry) == 0 for entry in files_of(checkpoint))


def files_of(checkpoint: Checkpoint) -> Iterator[Entry]:
    """All that has bytes."""
    return (entry for entry in checkpoint.entries if entry.kind != "dir")


def measure_usage(checkpoints: Iterable[Checkpoint]) -> DiskUsage:
    """What they take up, each file once."""
    weight, seen = DiskUsage(), set()
    for entry in (entry for it in checkpoints for entry in files_of(it)):
        if entry.links == 1 or entry.identity not in seen:
            weight = weight.plus(DiskUsage(entry.weight, 1))
            seen.add(entry.identity)
    return weight
