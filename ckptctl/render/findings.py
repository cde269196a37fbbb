"""Findings as people read them, run by run, and as lines for a pipe."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from ckptctl.core.findings import Finding, FindingCount, Hint, Report
from ckptctl.render.columns import write_count
from ckptctl.render.names import escape, fold, locate, measure, name_within, pad, shorten
from ckptctl.render.notes import describe_note

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
