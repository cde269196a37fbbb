"""A run as columns: how a checkpoint's numbers and marks are written on a screen, and in lines for a pipe."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from time import gmtime, strftime
from typing import Literal, NamedTuple

from ckptctl.core.model import Checkpoint, Run, Score
from ckptctl.core.ranking import COUNTERS, RunView, score_of
from ckptctl.core.units import NANOSECONDS, write_age, write_size
from ckptctl.render.text import escape, locate, name_within

MISSING = "–"
THOUSANDS = "\u00a0"
"""Between thousands in prose: a space at which no terminal breaks a line."""

Tone = Literal["plain", "title", "best", "dim", "damaged"]

_TELLING_DIGITS = 7
"""A source's text with more digits than this shows the noise of float32, and is rounded."""
_SMALL, _LARGE = 0.01, 1e9
"""Between these, four decimals tell enough and not too much."""

_FEW_LINKS = 2
_FEW_METRICS = 3
_YEARS = range(1, 10_000)


class CheckpointRow(NamedTuple):
    """A checkpoint as it is shown."""

    cells: tuple[str, ...]
    """Epoch, step, each metric, size, age."""
    name: str
    """As seen from the run's folder, escaped, a folder with its slash; not shortened."""
    marks: str
    """What it stands for, in words; empty for most."""
    tone: Tone


class RunTotals(NamedTuple):
    """Sums over runs."""

    runs: int = 0
    checkpoints: int = 0
    size: int = 0
    """Bytes."""
    files: int = 0

    def add(self, run: Run) -> RunTotals:
        """The sums with one more run."""
        held = run.checkpoints
        size, files = sum(it.size for it in held), sum(it.files for it in held)
        return RunTotals(self.runs + 1, self.checkpoints + len(held), self.size + size, self.files + files)


def write_count(count: int, noun: str) -> str:
    """A number with its noun: ``1 checkpoint``, ``1 000 checkpoints``."""
    return f"{write_number(count)} {noun}{'' if count == 1 else 's'}"


def write_number(number: int) -> str:
    """A whole number for prose, its thousands apart."""
    return f"{number:,}".replace(",", THOUSANDS)


def write_epoch(epoch: float | None) -> str:
    """Whole as it is, parts of epochs (transformers) with two decimals."""
    if epoch is None:
        return MISSING
    return str(epoch) if isinstance(epoch, int) else f"{epoch:.2f}"


def write_score(score: Score | None) -> str:
    """A score with the precision that its source had: a name's digits as they are, a float with four decimals."""
    if score is None:
        return MISSING
    if score.text is not None and (score.source == "name" or sum(map(str.isdigit, score.text)) <= _TELLING_DIGITS):
        return escape(score.text.strip())
    return _round(score.value)


def _round(value: float) -> str:
    """Four decimals, or four digits where those would not tell: ``0.3000``, ``1e-05``, ``nan``."""
    return f"{value:.4f}" if value == 0 or _SMALL <= abs(value) < _LARGE else f"{value:.4g}"


def write_time(modified: int) -> str:
    """Nanoseconds since 1970 as ISO-8601 UTC, whole seconds; a time that no calendar holds as the nearest it does."""
    try:
        when = gmtime(modified // NANOSECONDS)
    except (OverflowError, ValueError, OSError):
        when = None
    if when is None or when.tm_year not in _YEARS:
        return "9999-12-31T23:59:59Z" if modified > 0 else "0001-01-01T00:00:00Z"
    return strftime("%Y-%m-%dT%H:%M:%SZ", when).rjust(20, "0")  # whose %Y has no zeros in front


def metrics_of(runs: Iterable[Run]) -> list[str]:
    """Every metric that a checkpoint of the runs has, sorted."""
    return sorted({name for run in runs for checkpoint in run.checkpoints for name in checkpoint.metrics})


def columns_of(view: RunView, *, all_metrics: bool = False) -> list[str]:
    """The metrics to give a column: the one that is watched first, the others where asked or where nobody can tell.

    A counter has its own column already.
    """
    found = [name for name in metrics_of([view.run]) if name not in COUNTERS]
    watched = [view.metric.name] if view.metric and view.metric.name not in ("epoch", "step") else []
    if all_metrics or (view.metric is None and len(found) <= _FEW_METRICS):
        same = {name.replace("/", "_") for name in watched}
        return watched + [name for name in found if name.replace("/", "_") not in same]
    return watched


def rows_of(view: RunView, now: int, metrics: Sequence[str]) -> Iterator[CheckpointRow]:
    """The checkpoints of a run as rows, in the order that they have; ``now`` in nanoseconds."""
    run, links = view.run, links_of(view.run)
    for checkpoint in run.checkpoints:
        modified = checkpoint.modified
        cells = (
            write_epoch(checkpoint.epoch),
            MISSING if checkpoint.step is None else str(checkpoint.step),
            *(write_score(score_of(checkpoint, name)) for name in metrics),
            write_size(checkpoint.size) if is_measured(checkpoint) else MISSING,
            write_age((now - modified) / NANOSECONDS) if modified else MISSING,
        )
        marks = ", ".join(marks_of(checkpoint, view, links))
        yield CheckpointRow(cells, show_name(checkpoint, run.path), marks, _tone_of(checkpoint, view))


def best_of(view: RunView) -> Checkpoint | None:
    """The best checkpoint itself."""
    return next((it for it in view.run.checkpoints if it.path == view.best), None)


def is_measured(checkpoint: Checkpoint) -> bool:
    """Whether the sizes of its files were asked for."""
    return all(entry.size is not None or entry.kind == "dir" for entry in checkpoint.entries)


def show_name(checkpoint: Checkpoint, folder: str) -> str:
    """The name as seen from a folder, escaped; a folder ends with a slash."""
    name = escape(name_within(checkpoint.path, folder))
    return f"{name}/" if checkpoint.unit == "dir" else name


def links_of(run: Run) -> dict[str, list[str]]:
    """Path of a checkpoint to the pointers of the run that name it."""
    links: dict[str, list[str]] = {}
    for pointer in run.pointers:
        if pointer.target is not None:
            links.setdefault(pointer.target, []).append(pointer.path)
    return links


def marks_of(checkpoint: Checkpoint, view: RunView, links: Mapping[str, list[str]]) -> list[str]:
    """What a checkpoint stands for, each in a few words; what only its name says is told as no more than that."""
    truly = {"best": view.best, "last": view.last}
    marks = [place for place, path in truly.items() if path == checkpoint.path]
    roles = (it for it in checkpoint.roles if it not in marks)
    marks += [escape(role) if truly.get(role) is None else f"named {role}" for role in roles]
    if checkpoint.unit == "family":
        marks.append(write_count(checkpoint.files, "file"))
    if names := sorted({*checkpoint.aliases, *links.get(checkpoint.path, ())}):
        shown = ", ".join(escape(name_within(name, view.run.path)) for name in names[:_FEW_LINKS])
        more = len(names) - _FEW_LINKS
        marks.append(f"linked by {shown} and {more} more" if more > 0 else f"linked by {shown}")
    if checkpoint.pinned:
        marks.append(_describe_pin(checkpoint))
    if checkpoint.state != "complete":
        marks.append(_describe_state(checkpoint))
    return marks


def _describe_pin(checkpoint: Checkpoint) -> str:
    from ckptctl.render.note_texts import describe_note  # few are pinned

    return escape(describe_note(checkpoint.pin or "pinned"))


def _describe_state(checkpoint: Checkpoint) -> str:
    """Its state, and why it is that."""
    if checkpoint.note is None:
        return checkpoint.public_state
    from ckptctl.render.note_texts import describe_note  # a run in which all is complete needs no texts

    return f"{checkpoint.public_state}: {escape(describe_note(checkpoint.note))}"


def _tone_of(checkpoint: Checkpoint, view: RunView) -> Tone:
    if checkpoint.state == "damaged":
        return "damaged"
    if checkpoint.state != "complete":
        return "dim"
    return "best" if checkpoint.path == view.best else "plain"


# For a pipe: a line of heads, then tab-separated lines with whole paths and all digits --------------------------------


BATCH = 2000
"""Rows in one piece."""

_HEADS = ("path", "layout", "state", "epoch", "step", "metric", "value")
_TAIL = ("bytes", "files", "modified", "marks")
_RUN_HEADS = ("run", "layouts", "metric", "mode", "checkpoints", "bytes", "last_step", "best", "best_value")


def tsv_header(metrics: Sequence[str] = ()) -> str:
    """The heads of `tsv_rows`; ``metrics`` get a column each after the watched one."""
    return _join([*_HEADS, *metrics, *_TAIL])


def tsv_rows(view: RunView, *, root: str = ".", metrics: Sequence[str] = ()) -> Iterator[str]:
    """A line for each checkpoint of a run, in pieces of many lines; what is missing is empty."""
    links = links_of(view.run)
    watched = view.metric.name if view.metric else None
    lines: list[str] = []
    for checkpoint in view.run.checkpoints:
        if len(lines) == BATCH:
            yield "".join(lines)
            lines = []
        score = score_of(checkpoint, watched) if watched else None
        scores = [score, *(score_of(checkpoint, name) for name in metrics)]
        numbers = (checkpoint.epoch, checkpoint.step, watched, *(it and it.value for it in scores))
        when = write_time(checkpoint.modified) if checkpoint.modified else None
        counts = (checkpoint.size, checkpoint.files, when, ", ".join(marks_of(checkpoint, view, links)))
        facts = (checkpoint.layout, checkpoint.public_state, *numbers, *counts)
        lines.append(_join([locate(root, checkpoint.path), *facts]))
    if lines:
        yield "".join(lines)


def tsv_run_header() -> str:
    """The heads of `tsv_run_row`."""
    return _join(_RUN_HEADS)


def tsv_run_row(view: RunView, *, root: str = ".") -> str:
    """A run as one line."""
    run, metric, best = view.run, view.metric, best_of(view)
    tally = RunTotals().add(run)
    step = max((it.step for it in run.checkpoints if it.step is not None), default=None)
    where = locate(root, best.path) if best else None
    score = score_of(best, metric.name) if best and metric else None
    name, mode = metric or (None, None)
    counts = (tally.checkpoints, tally.size, step)
    return _join([locate(root, run.path), ",".join(run.layouts), name, mode, *counts, where, score and score.value])


def _join(cells: Sequence[float | str | None]) -> str:
    """One line, all digits of numbers; no cell can break it, for tabs and line ends are escaped."""
    texts = ["" if cell is None else escape(cell) if isinstance(cell, str) else str(cell) for cell in cells]
    return "\t".join(texts) + "\n"
