"""A listing without colour, streamed: aligned for a terminal, where nothing wraps, or tab-separated for a pipe."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import NamedTuple

from ckptctl.core.model import Checkpoint, Score
from ckptctl.core.ranking import RunView, score_of
from ckptctl.core.units import write_size
from ckptctl.render.columns import (
    CheckpointRow,
    RunTotals,
    Tone,
    best_of,
    columns_of,
    is_measured,
    links_of,
    marks_of,
    rows_of,
    write_count,
    write_number,
    write_time,
)
from ckptctl.render.text import clip, escape, locate, measure, pad, pad_left, shorten

SAMPLE = 500
"""Rows that set the widths; a later row that is wider shifts only itself."""

_NAME_LEAST = 16
_HEAD_MOST = 20
_MARKS_SURE = 12
"""Cells that marks may claim from long names: "best, last" and a bit; with short names they have all that is left."""
_MARKS_LEAST = 6


class Span(NamedTuple):
    """A piece of a line, or a line with its newline, and how it is to look."""

    text: str
    tone: Tone


class ColumnLayout(NamedTuple):
    """Which cells of a row are shown, and how wide."""

    places: tuple[int, ...]
    widths: tuple[int, ...]
    heads: tuple[str, ...]
    lead: int
    """Cells before the name."""
    name: int
    """Width of the name's column."""
    hidden: int
    """Metrics for which there is no room."""


def listing(view: RunView, now: int, *, root: str = ".", width: int = 80, all_metrics: bool = False) -> Iterator[str]:
    """A run with its checkpoints, in pieces of many lines; ``now`` in nanoseconds, ``width`` in cells."""
    spans = lay_out(view, now, root=root, width=width, all_metrics=all_metrics)
    while piece := "".join(span.text for span in islice(spans, SAMPLE)):
        yield piece


def totals(tally: RunTotals) -> str:
    """The line that ends a listing: ``2 runs · 8 checkpoints · 57.0 GB``."""
    checkpoints = write_count(tally.checkpoints, "checkpoint")
    return f"{write_count(tally.runs, 'run')} · {checkpoints} · {write_size(tally.size)}\n"


def lay_out(view: RunView, now: int, *, root: str, width: int, all_metrics: bool) -> Iterator[Span]:
    """The same listing as spans, for who wants to style it."""
    metrics = columns_of(view, all_metrics=all_metrics)
    rows = rows_of(view, now, metrics)
    sample = list(islice(rows, SAMPLE))
    columns = _fit(view, metrics, sample, width)
    yield from _title(view, root, width, columns.hidden)
    if sample:
        heads = "".join("  " + pad_left(head, size) for head, size in zip(columns.heads, columns.widths, strict=True))
        yield Span(f"{heads}  name\n", "dim")
    for row in chain(sample, rows):
        yield Span(_line(row, columns, width), row.tone)


def _title(view: RunView, root: str, width: int, hidden: int) -> Iterator[Span]:
    """Where, and in a few words what."""
    path = escape(locate(root, view.run.path))
    words = clip(" · ".join(_describe(view, hidden)), width - min(measure(path), _NAME_LEAST) - 3)
    yield Span(shorten(path, width - measure(words) - 3), "title")
    yield Span(f"   {words}\n", "dim")


def _describe(view: RunView, hidden: int) -> Iterator[str]:
    run = view.run
    if not run.checkpoints:
        yield f"0 of {write_count(view.hidden, 'checkpoint')}" if view.hidden else "no checkpoints"
        return
    yield escape(", ".join(run.layouts))
    if view.metric:
        yield f"{shorten(escape(view.metric.name), _HEAD_MOST)} {view.metric.mode}"
    if hidden:
        yield f"{write_count(hidden, 'metric')} hidden: too narrow"
    count = write_count(len(run.checkpoints) + view.hidden, "checkpoint")
    yield f"{write_number(len(run.checkpoints))} of {count}" if view.hidden else count
    if all(map(is_measured, run.checkpoints)):
        yield write_size(RunTotals().add(run).size)


def _fit(view: RunView, metrics: Sequence[str], sample: Sequence[CheckpointRow], width: int) -> ColumnLayout:
    """Give up columns, the least needed first, until a name has room; then share the rest out."""
    heads = ["epoch", "step", *(shorten(escape(name), _HEAD_MOST) for name in metrics), "size", "age"]
    widths = [max(map(measure, column)) for column in zip(heads, *(row.cells for row in sample), strict=True)]
    shown = _places_with_a_value(view, len(heads))
    for place in _least_needed_first(len(heads)):
        if 2 + sum(widths[it] + 2 for it in shown) + _NAME_LEAST <= width:
            break
        shown.discard(place)
    places = tuple(sorted(shown))
    hidden = sum(place not in shown for place in range(2, len(heads) - 2))
    lead = 2 + sum(widths[it] + 2 for it in places)
    name = _share_out(sample, width - lead)
    return ColumnLayout(
        places, tuple(widths[it] for it in places), tuple(heads[it] for it in places), lead, name, hidden
    )


def _places_with_a_value(view: RunView, count: int) -> set[int]:
    """All columns but epoch and step where no checkpoint has one."""
    places = set(range(count))
    held = view.run.checkpoints
    if all(it.epoch is None for it in held):
        places.discard(0)
    if all(it.step is None for it in held):
        places.discard(1)
    return places


def _least_needed_first(count: int) -> Iterable[int]:
    """Further metrics from the right, age, size, epoch, step, the metric."""
    return (*range(count - 3, 2, -1), count - 1, count - 2, 0, 1, 2)


def _share_out(sample: Sequence[CheckpointRow], room: int) -> int:
    """How wide the names' column is."""
    name = max((measure(row.name) for row in sample), default=0)
    marks = max((measure(row.marks) for row in sample), default=0)
    sure = min(marks, max(_MARKS_SURE, room // 3))
    has_marks = marks and room - _NAME_LEAST - 2 >= _MARKS_LEAST
    return max(1, min(name, room - sure - 2 if has_marks else room))


def _line(row: CheckpointRow, columns: ColumnLayout, width: int) -> str:
    """One row; where a cell is wider than its column, the name gives way."""
    cells = [pad_left(row.cells[place], size) for place, size in zip(columns.places, columns.widths, strict=True)]
    lead = "  ".join(("", *cells, ""))
    over = measure(lead) - columns.lead
    if not row.marks:
        return f"{lead}{shorten(row.name, max(1, width - columns.lead - over))}\n"
    name = shorten(row.name, max(1, columns.name - over))
    start = f"{lead}{pad(name, columns.name - over)}  "
    return f"{start}{clip(row.marks, width - measure(start))}".rstrip() + "\n"


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
    lines = _lines(view, root, metrics)
    while piece := "".join(islice(lines, BATCH)):
        yield piece


def _lines(view: RunView, root: str, metrics: Sequence[str]) -> Iterator[str]:
    links = links_of(view.run)
    watched = view.metric.name if view.metric else None
    for checkpoint in view.run.checkpoints:
        score = score_of(checkpoint, watched) if watched else None
        numbers = (
            checkpoint.epoch,
            checkpoint.step,
            watched,
            _write(score),
            *(_write(score_of(checkpoint, name)) for name in metrics),
        )
        counts = (checkpoint.size, checkpoint.files, _when(checkpoint), ", ".join(marks_of(checkpoint, view, links)))
        yield _join([locate(root, checkpoint.path), checkpoint.layout, checkpoint.state, *numbers, *counts])


def tsv_run_header() -> str:
    """The heads of `tsv_run_row`."""
    return _join(_RUN_HEADS)


def tsv_run_row(view: RunView, *, root: str = ".") -> str:
    """A run as one line."""
    run, metric, best = view.run, view.metric, best_of(view)
    tally = RunTotals().add(run)
    step = max((it.step for it in run.checkpoints if it.step is not None), default=None)
    where = locate(root, best.path) if best else None
    value = _write(score_of(best, metric.name)) if best and metric else None
    name, mode = metric or (None, None)
    return _join(
        [locate(root, run.path), ",".join(run.layouts), name, mode, tally.checkpoints, tally.size, step, where, value]
    )


def _write(score: Score | None) -> str | None:
    """All digits."""
    return None if score is None else repr(score.value)


def _when(checkpoint: Checkpoint) -> str | None:
    return write_time(checkpoint.modified) if checkpoint.modified else None


def _join(cells: Sequence[float | str | None]) -> str:
    """One line; no cell can break it, for tabs and line ends are escaped."""
    texts = ["" if cell is None else escape(cell) if isinstance(cell, str) else str(cell) for cell in cells]
    return "\t".join(texts) + "\n"
