"""What a command did: prune, undo, trash, slim; and what is left in the trash."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from ckptctl.core.transaction import STOPPED, Failure, Outcome, Transaction, TransactionItem, TrashChange
from ckptctl.core.units import NANOSECONDS, write_age, write_size
from ckptctl.render.columns import write_count, write_number, write_time
from ckptctl.render.note_texts import describe_failure
from ckptctl.render.text import escape, fold, locate, measure, shorten


def describe_outcome(
    outcome: Outcome, *, root: str = ".", set_aside: int | None = None, seconds: float | None = None
) -> str:
    """What was done, and each item that was not; ``set_aside`` bytes where it went to the trash, for ``seconds``."""
    if set_aside is None:
        done = f"{_describe_done(outcome, 'Deleted')}, freed {write_size(outcome.freed)}."
    else:
        end = "" if seconds is None else f"for {write_age(seconds)}, or "
        aside = f"{write_size(set_aside)}; nothing freed {end}until 'ckptctl trash empty'"
        where = "" if root in ("", ".", "./") else f" {shlex.quote(escape(root))}"
        done = f"{_describe_done(outcome, 'Set aside')} ({aside}).\nUndo: ckptctl undo {escape(outcome.txid)}{where}"
    return f"{done}{_describe_undone(outcome, root)}\n"


def _describe_done(outcome: Outcome, verb: str) -> str:
    """What was done with how many: ``Deleted 3 checkpoints and slimmed 2 checkpoints``."""
    slimmed = f"slimmed {write_count(len(outcome.slimmed), 'checkpoint')}" if outcome.slimmed else ""
    if slimmed and not outcome.dropped:
        return slimmed.capitalize()
    return f"{verb} {write_count(len(outcome.dropped), 'checkpoint')}{slimmed and f' and {slimmed}'}"


def _describe_undone(outcome: Outcome, root: str) -> str:
    """Each item that was not done: one in the same line, several in a line each; what a signal stopped, as a count."""
    skipped = [it for it in outcome.skipped if it.why != STOPPED]
    if stopped := len(outcome.skipped) - len(skipped):
        still = f" Stopped before {write_number(stopped)} more."
        return still + _describe_undone(outcome._replace(skipped=tuple(skipped)), root)
    groups = [("skipped", outcome.skipped), ("failed", outcome.failed)]
    if len(outcome.skipped) + len(outcome.failed) == 1:
        return "".join(f" 1 {word}: {_describe_failure(it, root)}." for word, failures in groups for it in failures)
    return "".join(
        f"\n{write_number(len(failures))} {word}:" + "".join(f"\n  {_describe_failure(it, root)}" for it in failures)
        for word, failures in groups
        if failures
    )


def _describe_failure(failure: Failure, root: str) -> str:
    return f"{escape(locate(root, failure.path))}: {escape(describe_failure(failure))}"


class TrashedItems(NamedTuple):
    """What one prune left in a trash."""

    root: str
    """As the user knows it."""
    intent: Transaction
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
    lines += [f"  {escape(locate(root, it.path))}: {escape(describe_failure(it))}" for it in change.failed]
    return "\n".join(lines)


def trash_screen(found: Sequence[TrashedItems], now: int, *, verbose: bool = False) -> Iterator[str]:
    """A line for each prune, newest last; with ``verbose`` one for each of its checkpoints too."""
    if not found:
        yield "The trash is empty.\n"
        return
    for trashed in found:
        transaction = trashed.intent
        until = "" if transaction.until is None else f", {_describe_end(transaction.until, now)}"
        age = write_age((now - transaction.since) / NANOSECONDS)
        what = f"{write_count(len(trashed.items), 'checkpoint')}, {write_size(trashed.size)}"
        yield f"{escape(transaction.txid)}  {age} ago  {escape(trashed.root)}  {what}{until}\n"
        for item in trashed.items if verbose else ():
            yield f"  {escape(locate(trashed.root, item.path))}  {write_size(item.size)}\n"
    yield f"\n{write_size(sum(trashed.size for trashed in found))} in the trash\n"


def _describe_end(until: int, now: int) -> str:
    """When the next prune will empty it."""
    left = (until - now) / NANOSECONDS
    return f"kept for {write_age(left)} more" if left > 0 else "to be removed by the next prune"


def trash_rows(found: Sequence[TrashedItems]) -> Iterator[str]:
    """A line for each checkpoint in the trash, tab-separated under a line of heads."""
    yield "id\tsince\tuntil\tbytes\tpath\n"
    for trashed in found:
        until = "" if trashed.intent.until is None else write_time(trashed.intent.until)
        for item in trashed.items:
            path = escape(locate(trashed.root, item.path))
            yield f"{escape(trashed.intent.txid)}\t{write_time(trashed.intent.since)}\t{until}\t{item.size}\t{path}\n"


_PATH_LEAST = 16
_INDENT = "  "
_MANY = 3
"""Names that are told."""


class SlimRow(NamedTuple):
    """A checkpoint, and where what stays of it goes."""

    path: str
    place: str
    """The same in place."""
    before: int
    """Bytes."""
    after: int
    without: tuple[str, ...]
    """Keys and files that go."""


def slim_screen(lines: Iterable[SlimRow], *, width: int = 80) -> Iterator[str]:
    """Where each goes, its size before and then, and what is left out, below."""
    for line in lines:
        sizes = f"   {write_size(line.before)} → {write_size(line.after)}"
        shown = escape(line.path) if line.place == line.path else f"{escape(line.path)} → {escape(line.place)}"
        yield f"{shorten(shown, max(_PATH_LEAST, width - measure(sizes)))}{sizes}\n"
        text = fold(f"without {escape(', '.join(line.without))}", width - len(_INDENT))
        yield "".join(f"{_INDENT}{part}\n" for part in text.split("\n"))


def slim_rows(lines: Iterable[SlimRow]) -> Iterator[str]:
    """The same, tab-separated, under a line of heads; sizes in bytes."""
    yield "path\tplace\tbefore\tafter\twithout\n"
    for line in lines:
        told = f"{line.before}\t{line.after}\t{escape(', '.join(line.without))}"
        yield f"{escape(line.path)}\t{escape(line.place)}\t{told}\n"


def slim_question(lines: Sequence[SlimRow], *, trash: bool = False) -> str:
    """What is asked before it is done in place; ``trash`` where what was there is only set aside."""
    ending = "what they were is set aside" if trash else f"{write_size(_saved(lines))} go for good"
    return f"Slim {write_count(len(lines), 'checkpoint')} in place ({ending})?"


def describe_foreign_names(names: Sequence[str], *, bare: bool) -> str:
    """That torch will not load what is kept as weights alone, for the classes that it names."""
    shown = escape(", ".join(names[:_MANY])) + (", …" if len(names) > _MANY else "")
    hint = "" if bare else ": --bare leaves that out"
    return f"what is kept beside the weights names {shown}, which torch.load(weights_only=True) refuses{hint}"


def slim_closing(lines: Sequence[SlimRow], word: str, *, kept: Sequence[tuple[str, str]] = ()) -> str:
    """The line that ends it; and one for each name of an undo, with its place."""
    before, saved = sum(it.before for it in lines), _saved(lines)
    share = f", {100 * saved / before:.0f} %" if before else ""
    end = "".join(f"Undo: ckptctl undo {escape(txid)} {shlex.quote(escape(root))}\n" for txid, root in kept)
    return f"{write_count(len(lines), 'checkpoint')}: {write_size(saved)} of {write_size(before)} {word}{share}\n{end}"


def _saved(lines: Sequence[SlimRow]) -> int:
    return max(0, sum(it.before - it.after for it in lines))
