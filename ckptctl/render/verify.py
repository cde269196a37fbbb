"""Whether checkpoints are whole, for a terminal and for a pipe: what is wrong line by line, and the sum of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from ckptctl.core.units import write_size
from ckptctl.formats.flaws import Flaw, VerifyResult
from ckptctl.render.columns import write_count
from ckptctl.render.names import escape, fold, pad, shorten
from ckptctl.render.notes import describe_note

_LEAD = 10
"""Cells for the word before a path."""
_GAP = "   "
_PATH_LEAST = 24
_TEXT_LEAST = 30
_WORDS: Mapping[str, str] = {
    "suspect-name": "suspect",
    "odd-pickle": "suspect",
    "ambiguous": "suspect",
    "partial": "partial",
    "missing-file": "partial",
    "not-finite": "nan",
    "live": "live",
}
"""Id to the word for it; every other error is damage, every other warning a doubt."""


class VerifyTotals(NamedTuple):
    """Sums over what was examined."""

    checkpoints: int = 0
    size: int = 0
    """Bytes."""
    broken: int = 0
    suspect: int = 0
    warned: int = 0
    loaded: int = 0
    """Files that torch loaded."""

    def add(self, result: VerifyResult) -> VerifyTotals:
        """The sums with one more checkpoint."""
        words = {word_of(flaw) for flaw in result.flaws if flaw.severity == "error"}
        return VerifyTotals(
            self.checkpoints + 1,
            self.size + result.size,
            self.broken + bool(words - {"suspect"}),
            self.suspect + ("suspect" in words),
            self.warned + (result.ok and bool(result.flaws)),
            self.loaded + (result.loaded or 0),
        )


def word_of(flaw: Flaw) -> str:
    """What to call it in one word."""
    return _WORDS.get(flaw.id, "damaged" if flaw.severity == "error" else "doubt")


def screen(examined: Iterable[VerifyResult], *, width: int = 80) -> Iterator[str]:
    """A line for each thing that is wrong: a word, the path, and what it is; what is well is not told."""
    for result in examined:
        for flaw in result.flaws:
            yield from _write(result, flaw, width)


def _write(result: VerifyResult, flaw: Flaw, width: int) -> Iterator[str]:
    """A path and what it is, beside each other where there is room, else below."""
    name = flaw.file.rpartition("/")[2]
    where = f"{flaw.file}: " if flaw.file and not result.path.endswith(name) else ""
    text, path = escape(f"{where}{describe_note(flaw.text)}"), escape(result.path)
    lead = pad(word_of(flaw), _LEAD)
    room = width - _LEAD - len(_GAP) - max(_TEXT_LEAST, min(len(text), width // 2))
    if len(path) <= room:
        column = room if room < _PATH_LEAST else max(_PATH_LEAST, len(path))
        side = _LEAD + column + len(_GAP)
        for place, part in enumerate(fold(text, max(1, width - side)).split("\n")):
            yield f"{f'{lead}{pad(path, column)}{_GAP}' if place == 0 else ' ' * side}{part}\n"
        return
    yield f"{lead}{shorten(path, width - _LEAD)}\n"
    for part in fold(text, max(1, width - _LEAD)).split("\n"):
        yield f"{' ' * _LEAD}{part}\n"


def header() -> str:
    """The heads of the columns of ``rows``."""
    return "verdict\tpath\tid\tfile\ttext\n"


def rows(examined: Iterable[VerifyResult]) -> Iterator[str]:
    """For a pipe: a line for each finding, and one for each checkpoint that has none."""
    yield header()
    for result in examined:
        path = escape(result.path)
        if not result.flaws:
            yield f"ok\t{path}\t\t\t\n"
        for flaw in result.flaws:
            yield f"{word_of(flaw)}\t{path}\t{flaw.id}\t{escape(flaw.file)}\t{escape(describe_note(flaw.text))}\n"


def closing(tally: VerifyTotals, *, seconds: float = 0, torch: str = "") -> str:
    """The line that ends it: what was looked at, how fast where that is worth a word, and how much of it is wrong.

    ``torch``: the version that loaded files, where one was asked to.
    """
    seen = f"{write_count(tally.checkpoints, 'checkpoint')}, {write_size(tally.size)}"
    speed = f", {write_size(int(tally.size / seconds))}/s" if seconds else ""
    wrong = [
        f"{count} {word}"
        for count, word in (
            (tally.broken, "damaged or partial"),
            (tally.suspect, "suspect"),
            (tally.warned, "in doubt"),
        )
        if count
    ]
    loaded = f" · torch {torch} loaded {write_count(tally.loaded, 'file')}" if torch else ""
    return f"{', '.join(wrong) or 'all is well'} · {seen}{speed}{loaded}\n"
