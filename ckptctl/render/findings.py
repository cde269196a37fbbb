"""What ``doctor`` and ``verify`` found: for a terminal, as lines for a pipe, and in one closing line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from ckptctl.core.findings import Finding, FindingCount, Hint, Report
from ckptctl.core.units import write_size
from ckptctl.render.columns import write_count
from ckptctl.render.note_texts import describe_note
from ckptctl.render.text import escape, fold, locate, measure, name_within, pad, shorten

if TYPE_CHECKING:
    from ckptctl.formats.contents import Flaw, VerifyResult

_LEAD = "  error   "
"""What stands before a name; texts begin below it."""
_GAP = "   "
_NAME_LEAST = 16


def screen(reports: Iterable[Report], *, root: str = ".", width: int = 80) -> Iterator[str]:
    """The findings under the folder of their run, errors first; a run in which all is well is not told."""
    for report in reports:
        if report.findings:
            yield from _write_report(report, root, width)
            yield "\n"


def _write_report(report: Report, root: str, width: int) -> Iterator[str]:
    count = FindingCount().add(report)
    words = _describe_counts(count)
    path = shorten(escape(locate(root, report.path)), max(_NAME_LEAST, width - measure(words) - len(_GAP)))
    yield f"{path}{_GAP}{words}\n"
    names = [_name(it, report.path) for it in report.findings]
    ids = max(measure(it.id) for it in report.findings)
    room = max(_NAME_LEAST, width - len(_LEAD) - len(_GAP) - ids)
    column = min(room, max(map(measure, names)))
    for finding, name in zip(report.findings, names, strict=True):
        lead = f"  {finding.severity}".ljust(len(_LEAD))
        yield f"{lead}{pad(shorten(name, column), column)}{_GAP}{finding.id}\n"
        yield from _write_prose(escape(describe_note(finding.text)), width)
        yield from _write_hint(finding.hint, root, width)


def _name(finding: Finding, folder: str) -> str:
    """The name as seen from the run's folder; the folder itself is ``.``."""
    return "." if finding.path == folder else escape(name_within(finding.path, folder))


def _write_hint(hint: Hint, root: str, width: int) -> Iterator[str]:
    """The step as prose; a command on a line of its own, which is never broken: it is there to be copied."""
    text, command = _fill(hint, root)
    if text:
        yield from _write_prose(f"hint: {text}{':' * bool(command)}", width)
    if command:
        yield f"{' ' * len(_LEAD)}{'  ' if text else 'hint: '}{command}\n"


def _write_prose(text: str, width: int) -> Iterator[str]:
    """Lines below a name; a size stays together, and so does a path that is longer than a line."""
    whole = re.sub(r"(?<=\d) (?=[kMGTP]?B\b)", "\u00a0", text)
    for line in fold(whole, max(1, width - len(_LEAD))).split("\n"):
        yield f"{' ' * len(_LEAD)}{line}\n"


def rows(reports: Iterable[Report], *, root: str = ".") -> Iterator[str]:
    """Severity, id, whole path, text and hint, tab-separated under a line of heads."""
    yield "severity\tid\tpath\ttext\thint\n"
    for report in reports:
        for found in report.findings:
            where, text = escape(locate(root, found.path)), escape(describe_note(found.text))
            yield f"{found.severity}\t{found.id}\t{where}\t{text}\t{write_hint(found.hint, root)}\n"


def write_hint(hint: Hint, root: str = ".") -> str:
    """What to do next in one line, with each path below ``root`` as a shell wants it, escaped."""
    return ": ".join(filter(None, _fill(hint, root)))


def _fill(hint: Hint, root: str) -> tuple[str, str]:
    """The text and the command of a hint, each with its paths."""
    from shlex import quote

    paths = [escape(quote(locate(root, path))) for path in hint.paths]
    count = hint.text.count("{}")
    return hint.text.format(*paths[:count]), hint.command.format(*paths[count:])


def closing(count: FindingCount) -> str:
    """The line that ends a visit."""
    seen = f"{write_count(count.runs, 'run')}, {write_count(count.checkpoints, 'checkpoint')} looked at"
    if count.errors or count.advice:
        return f"{_describe_counts(count)} · {seen}\n"
    return f"All is well · {seen}\n"


def _describe_counts(count: FindingCount) -> str:
    """``2 errors, 1 piece of advice``; what there is none of is left out."""
    pieces = f"{count.advice} piece{'s' * (count.advice != 1)} of advice"
    errors = write_count(count.errors, "error")
    return ", ".join([errors] * bool(count.errors) + [pieces] * bool(count.advice))


_VERIFY_LEAD = 10
"""Cells for the word before a path."""
_VERIFY_GAP = "   "
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
    unfinished: int = 0
    """Those that lack their end so far, and may still be in the writing."""

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
            self.unfinished + any(map(_is_unfinished, result.flaws)),
        )


def _is_unfinished(flaw: Flaw) -> bool:
    """Whether something is missing still, which is more than that it was just written."""
    return flaw.id == "live" and getattr(flaw.text, "id", "") != "just-written"


def word_of(flaw: Flaw) -> str:
    """What to call it in one word."""
    return _WORDS.get(flaw.id, "damaged" if flaw.severity == "error" else "doubt")


def verify_screen(examined: Iterable[VerifyResult], *, width: int = 80) -> Iterator[str]:
    """A line for each thing that is wrong: a word, the path, and what it is; what is well is not told."""
    for result in examined:
        for flaw in result.flaws:
            yield from _write_flaw(result, flaw, width)


def _write_flaw(result: VerifyResult, flaw: Flaw, width: int) -> Iterator[str]:
    """A path and what it is, beside each other where there is room, else below."""
    name = flaw.file.rpartition("/")[2]
    where = f"{flaw.file}: " if flaw.file and not result.path.endswith(name) else ""
    text, path = escape(f"{where}{describe_note(flaw.text)}"), escape(result.path)
    lead = pad(word_of(flaw), _VERIFY_LEAD)
    room = width - _VERIFY_LEAD - len(_VERIFY_GAP) - max(_TEXT_LEAST, min(len(text), width // 2))
    if len(path) <= room:
        column = room if room < _PATH_LEAST else max(_PATH_LEAST, len(path))
        side = _VERIFY_LEAD + column + len(_VERIFY_GAP)
        for place, part in enumerate(fold(text, max(1, width - side)).split("\n")):
            yield f"{f'{lead}{pad(path, column)}{_VERIFY_GAP}' if place == 0 else ' ' * side}{part}\n"
        return
    yield f"{lead}{shorten(path, width - _VERIFY_LEAD)}\n"
    for part in fold(text, max(1, width - _VERIFY_LEAD)).split("\n"):
        yield f"{' ' * _VERIFY_LEAD}{part}\n"


def verify_header() -> str:
    """The heads of the columns of ``verify_rows``."""
    return "verdict\tpath\tid\tfile\ttext\n"


def verify_rows(examined: Iterable[VerifyResult]) -> Iterator[str]:
    """For a pipe: a line for each finding, and one for each checkpoint that has none."""
    yield verify_header()
    for result in examined:
        path = escape(result.path)
        if not result.flaws:
            yield f"ok\t{path}\t\t\t\n"
        for flaw in result.flaws:
            yield f"{word_of(flaw)}\t{path}\t{flaw.id}\t{escape(flaw.file)}\t{escape(describe_note(flaw.text))}\n"


def verify_closing(tally: VerifyTotals, *, seconds: float = 0, torch: str = "") -> str:
    """The line that ends it: what was looked at, how fast where that is worth a word, and how much of it is wrong.

    ``torch``: the version that loaded files, where one was asked to.
    """
    seen = f"{write_count(tally.checkpoints, 'checkpoint')}, {write_size(tally.size)}"
    speed = f", {write_size(int(tally.size / seconds))}/s" if seconds else ""
    counts = ((tally.broken, "damaged or partial"), (tally.suspect, "suspect"), (tally.warned, "in doubt"))
    wrong = [f"{count} {word}" for count, word in counts if count]
    loaded = f" · torch {torch} loaded {write_count(tally.loaded, 'file')}" if torch else ""
    return f"{', '.join(wrong) or 'all is well'} · {seen}{speed}{loaded}\n"
