"""What lies in the trash, and what became of it, in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ckptctl.core.transaction import Transaction, TransactionItem
from ckptctl.core.units import NANOSECONDS, write_age, write_size
from ckptctl.render.columns import write_count, write_time
from ckptctl.render.names import escape, locate

if TYPE_CHECKING:
    from ckptctl.core.outcome import TrashChange


class TrashedItems(NamedTuple):
    """What one prune left in a trash."""

    root: str
    """As the user knows it."""
    deed: Transaction
    items: tuple[TransactionItem, ...]
    """Those that are there still."""

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(item.size for item in self.items)


def describe_change(change: TrashChange, root: str = ".") -> str:
    """What was put back and what was removed, and what could not be, each in a line of its own."""
    counts = (("put back", change.back), ("removed for good", change.removed), ("left in the trash", change.failed))
    parts = [f"{write_count(len(items), 'checkpoint')} {word}" for word, items in counts if items]
    freed = f", freed {write_size(change.freed)}" if change.freed else ""
    lines = [f"{escape(change.txid)}: {', '.join(parts) or 'nothing to do'}{freed}"]
    lines += [f"  {escape(locate(root, it.path))}: {escape(it.why)}" for it in change.failed]
    return "\n".join(lines)


def screen(heaps: Sequence[TrashedItems], now: int, *, verbose: bool = False) -> Iterator[str]:
    """A line for each prune, newest last; with ``verbose`` one for each of its checkpoints too."""
    if not heaps:
        yield "The trash is empty.\n"
        return
    for heap in heaps:
        transaction = heap.deed
        until = "" if transaction.until is None else f", {_describe_end(transaction.until, now)}"
        age = write_age((now - transaction.since) / NANOSECONDS)
        what = f"{write_count(len(heap.items), 'checkpoint')}, {write_size(heap.size)}"
        yield f"{escape(transaction.txid)}  {age} ago  {escape(heap.root)}  {what}{until}\n"
        for item in heap.items if verbose else ():
            yield f"  {escape(locate(heap.root, item.path))}  {write_size(item.size)}\n"
    yield f"\n{write_size(sum(heap.size for heap in heaps))} in the trash\n"


def _describe_end(until: int, now: int) -> str:
    """When the next prune will empty it."""
    left = (until - now) / NANOSECONDS
    return f"kept for {write_age(left)} more" if left > 0 else "to be removed by the next prune"


def rows(heaps: Sequence[TrashedItems]) -> Iterator[str]:
    """A line for each checkpoint in the trash, tab-separated under a line of heads."""
    yield "id\tsince\tuntil\tbytes\tpath\n"
    for heap in heaps:
        until = "" if heap.deed.until is None else write_time(heap.deed.until)
        for item in heap.items:
            path = escape(locate(heap.root, item.path))
            yield f"{escape(heap.deed.txid)}\t{write_time(heap.deed.since)}\t{until}\t{item.size}\t{path}\n"
