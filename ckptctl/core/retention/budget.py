"""Disk usage, counting each hard-linked file once; and budgets: what else goes where rules keep more than fits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from ckptctl.core.model import Checkpoint, Entry
from ckptctl.core.units import write_size


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
            if entry.links != 1:
                self._left[entry.identity] = self.left_of(entry) - 1
            if entry.links == 1 or self._left[entry.identity] == 0:  # the last name of its file
                freed = freed.plus(DiskUsage(entry.weight, 1))
        return freed

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


class Budget(NamedTuple):
    """How much may stay."""

    max_size: int | None = None
    """Bytes of all checkpoints together."""
    max_files: int | None = None
    free: int | None = None
    """Bytes that are to be free on the file system afterwards."""


class BudgetCandidate(NamedTuple):
    """A checkpoint that stays by the rules."""

    checkpoint: Checkpoint
    run: int
    """The number of its run."""
    is_spare: bool
    """Whether only rules keep it, so that a budget may take it."""
    place: float
    """In the ranking, from 1; infinity where it has none."""
    since: int
    """Nanoseconds: when it was saved, never later than what training saved after it."""


class BudgetCut(NamedTuple):
    """What a budget takes."""

    going: dict[tuple[int, str], tuple[str, str]]
    """By the number of its run and its path: the flag without dashes, and the words that say why."""
    shortfalls: tuple[tuple[str, str], ...] = ()
    """Of each budget that cannot be met: the flag without dashes, and by how much."""


class _Goal(NamedTuple):
    """One budget, as what has to go."""

    flag: str
    excess: DiskUsage
    text: str

    def misses(self, gone: DiskUsage) -> int:
        """Bytes or files that are still too many."""
        return max(0, self.excess.size - gone.size, self.excess.files - gone.files)


def apply_budget(
    budget: Budget, stays: Sequence[BudgetCandidate], goes: Sequence[Checkpoint], room: int = 0
) -> BudgetCut:
    """Which go beyond the rules: worst rank first, then oldest, until every budget is met; of no run the last complete.

    ``goes``: what goes by the rules; ``room``: bytes that are free now. One whose going frees nothing is not taken.
    """
    names = LinkCounts()
    freed = sum((names.take(it).size for it in goes), 0)
    goals = tuple(_goals(budget, measure_usage(it.checkpoint for it in stays), room + freed))
    left = Counter(it.run for it in stays if it.checkpoint.state == "complete")
    spares = sorted((it for it in stays if it.is_spare), key=lambda it: (-it.place, it.since, it.checkpoint.path))
    hopes = Counter(entry.identity for it in spares for entry in files_of(it.checkpoint))
    going: dict[tuple[int, str], tuple[str, str]] = {}
    gone = DiskUsage()
    for spare in spares:
        goal = next((it for it in goals if it.misses(gone)), None)
        could_free = any(hopes[entry.identity] >= names.left_of(entry) for entry in files_of(spare.checkpoint))
        if goal is not None and could_free and left[spare.run] > 1:
            gone = gone.plus(names.take(spare.checkpoint))
            going[spare.run, spare.checkpoint.path] = (goal.flag, goal.text)
            left[spare.run] -= 1
    idle = {(it.run, it.checkpoint.path) for it in spares if not names.have_freed(it.checkpoint)}
    going = {key: why for key, why in going.items() if key not in idle}
    return BudgetCut(going, tuple((it.flag, _describe_shortfall(it, gone)) for it in goals if it.misses(gone)))


def _goals(budget: Budget, held: DiskUsage, room: int) -> Iterator[_Goal]:
    """What each budget asks to go."""
    if budget.max_size is not None:
        text = f"more than {write_size(budget.max_size)} in all"
        yield _Goal("max-size", DiskUsage(held.size - budget.max_size), text)
    if budget.max_files is not None:
        text = f"more than {budget.max_files} files in all"
        yield _Goal("max-files", DiskUsage(0, held.files - budget.max_files), text)
    if budget.free is not None:
        yield _Goal("free", DiskUsage(budget.free - room), f"less than {write_size(budget.free)} free")


def _describe_shortfall(goal: _Goal, gone: DiskUsage) -> str:
    missed = goal.misses(gone)
    much = f"{missed} files" if goal.flag == "max-files" else write_size(missed)
    return f"{goal.text}, by {much}, even without all that only rules keep"
