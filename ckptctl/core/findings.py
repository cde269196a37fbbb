"""What ``doctor`` reports of a run: where it is, what is wrong, what to do next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from ckptctl.core.model import Checkpoint, Run, Text, relocate_path
from ckptctl.core.ranking import in_save_order

Severity = Literal["error", "advice"]
_FEW = 3
"""So many names are told one by one."""


class Hint(NamedTuple):
    """What to do next: a step that a person can take, a command, or the one and then the other."""

    text: str
    paths: tuple[str, ...] = ()
    """What each ``{}`` stands for, of the text and then of the command."""
    command: str = ""
    """As a shell takes it, once the paths are in it."""


class Finding(NamedTuple):
    """One thing that is wrong, or worth knowing."""

    id: str
    """Stable: scripts may match on it."""
    severity: Severity
    """An error is a loss, or keeps training or a script from going on; advice can wait."""
    path: str
    text: Text
    hint: Hint


class Report(NamedTuple):
    """The findings on one run, or on a folder in which there is none."""

    path: str
    findings: tuple[Finding, ...] = ()
    """Errors first."""
    checkpoints: int = 0
    is_run: bool = True


class FindingCount(NamedTuple):
    """Sums over reports."""

    runs: int = 0
    checkpoints: int = 0
    errors: int = 0
    advice: int = 0

    def add(self, report: Report) -> FindingCount:
        """The sums with one more report."""
        errors = sum(it.severity == "error" for it in report.findings)
        advice = len(report.findings) - errors
        runs = self.runs + report.is_run
        return FindingCount(runs, self.checkpoints + report.checkpoints, self.errors + errors, self.advice + advice)


class DoctorContext(NamedTuple):
    """What must be known beside a run to examine it."""

    now: int
    """Nanoseconds since 1970, by the clock that stamps the files."""
    monitor: str | None = None
    mode: str = "auto"
    said: Mapping[str, str] = {}
    """By path of a name that leads to nothing here: what it says."""
    lost: Mapping[str, Sequence[str]] = {}
    """By path of a roster: the names in it that nothing here has."""
    failures: Mapping[str, str] = {}
    """By path of a folder that could not be listed: why."""


def sort_findings(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Errors first, then by path."""
    return tuple(sorted(findings, key=lambda it: (it.severity != "error", it.path)))


def relocate_report(report: Report, folder: str) -> Report:
    """The report as seen from above ``folder``, the store's root."""
    return report._replace(
        path=relocate_path(report.path, folder),
        findings=tuple(
            finding._replace(
                path=relocate_path(finding.path, folder),
                hint=finding.hint._replace(paths=tuple(relocate_path(path, folder) for path in finding.hint.paths)),
            )
            for finding in report.findings
        ),
    )


def quote_basename(path: str) -> str:
    """The last part of a path, in quotes."""
    return f"'{path.rpartition('/')[2]}'"


def describe_names(paths: Sequence[str]) -> str:
    """The last parts of a few paths in quotes, and how many more there are."""
    shown = ", ".join(map(quote_basename, paths[:_FEW]))
    more = len(paths) - _FEW
    return f"{shown} and {more} more" if more > 0 else shown


def newest_of(run: Run) -> Checkpoint | None:
    """The newest whole one that training saved under a name of its own."""
    whole = [it for it in run.checkpoints if it.state == "complete" and not it.is_set_aside]
    return in_save_order(whole)[-1] if whole else None


def make_placeholders(checkpoint: Checkpoint) -> tuple[str, tuple[str, ...]]:
    """A place in a hint for each part that a person must take in hand, and their paths; of many the first alone."""
    tops = tuple(entry.path for entry in checkpoint.tops)
    if len(tops) > _FEW:
        return f"{{}} and the {len(tops) - 1} other parts of it", tops[:1]
    return " ".join(["{}"] * len(tops)), tops
