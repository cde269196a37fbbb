"""A listing as aligned text for a terminal, streamed: of checkpoints, or a row for each run. Nothing wraps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from math import isfinite
from typing import NamedTuple

from ckptctl.core.model import Checkpoint, Run
from ckptctl.core.ranking import RunView, in_save_order, score_of
from ckptctl.core.units import write_size
from ckptctl.render.columns import (
    MISSING,
    CheckpointRow,
    RunTotals,
    Tone,
    best_of,
    columns_of,
    is_measured,
    rows_of,
    write_count,
    write_number,
    write_score,
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
    sizes = tuple(widths[it] for it in places)
    return ColumnLayout(places, sizes, tuple(heads[it] for it in places), lead, name, hidden)


def _places_with_a_value(view: RunView, count: int) -> set[int]:
    """All columns but epoch and step where no checkpoint has one."""
    held, places = view.run.checkpoints, set(range(count))
    return places.difference([0] * all(it.epoch is None for it in held), [1] * all(it.step is None for it in held))


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


BARS = "▁▂▃▄▅▆▇█"
MOST_BARS = 24

_FEWEST_BARS = 8
_RUN_LEAST = 20
_METRIC_MOST = 16
_RUN_ROW_HEADS = ("layout", "checkpoints", "size", "last step")


class RunSummary(NamedTuple):
    """A run as one row."""

    run: str
    """Where, escaped; not shortened."""
    facts: tuple[str, str, str, str]
    """Layout, number of checkpoints, size, last step."""
    metric: str
    """Its name, escaped; empty where nobody can tell."""
    values: tuple[float, ...]
    """Of the metric, in the order of the steps; finite ones only."""
    best: str


def summarize_run(view: RunView, *, root: str = ".") -> RunSummary:
    """What one row says of a run."""
    run = view.run
    tally = RunTotals().add(run)
    step = max((it.step for it in run.checkpoints if it.step is not None), default=None)
    return RunSummary(
        escape(locate(root, run.path)),
        (
            escape(", ".join(run.layouts)) or MISSING,
            write_number(tally.checkpoints),
            write_size(tally.size),
            MISSING if step is None else write_number(step),
        ),
        escape(view.metric.name) if view.metric else "",
        tuple(values_of(run, view.metric.name)) if view.metric else (),
        _write_best(view),
    )


def values_of(run: Run, metric: str) -> Iterator[float]:
    """The finite values of a metric, oldest save first."""
    for checkpoint in in_save_order(run.checkpoints):
        score = score_of(checkpoint, metric)
        if score is not None and isfinite(score.value):
            yield score.value


def _write_best(view: RunView) -> str:
    best = best_of(view)
    return write_score(score_of(best, view.metric.name)) if best and view.metric else MISSING


def draw_sparkline(values: Sequence[float], cells: int) -> str:
    """Values as bars, one a cell, each the mean of its share where there are more values; a flat line is low."""
    count = len(values)
    shares = [values[at * count // cells : (at + 1) * count // cells] for at in range(cells)] if count > cells else []
    means = [sum(value / len(share) for value in share) for share in shares] or list(values)
    least, most = min(means, default=0.0), max(means, default=0.0)
    span = most - least
    if not span or not isfinite(span):
        return BARS[0] * len(means)
    return "".join(BARS[round((value - least) / span * (len(BARS) - 1))] for value in means)


def run_listing(digests: Iterable[RunSummary], *, width: int = 80) -> Iterator[str]:
    """A row for each run under a line of heads, in pieces of many lines; nothing wraps."""
    stream = iter(digests)
    if not (sample := list(islice(stream, SAMPLE))):
        return
    common = Counter(it.metric for it in sample if it.metric).most_common(1)
    sheet = _fit_runs(sample, common[0][0] if common else "", width)
    yield sheet.heads() + "".join(map(sheet.line, sample))
    while piece := "".join(map(sheet.line, islice(stream, SAMPLE))):
        yield piece


class TableLayout(NamedTuple):
    """The widths of the columns, and what their heads are."""

    metric: str
    """The commonest; a row with another names it itself."""
    run: int
    places: tuple[int, ...]
    """Which facts are shown."""
    facts: tuple[int, ...]
    line_width: int
    best: int

    def heads(self) -> str:
        """The first line."""
        names = [_RUN_ROW_HEADS[place] for place in self.places]
        return self._join("run", names, shorten(self.metric, self.line_width), "best")

    def line(self, row: RunSummary) -> str:
        """One run."""
        is_common = row.metric in ("", self.metric)
        name = "" if is_common else shorten(row.metric, min(_METRIC_MOST, self.line_width // 2)) + " "
        bars = draw_sparkline(row.values, max(1, min(MOST_BARS, self.line_width - measure(name))))
        return self._join(row.run, [row.facts[place] for place in self.places], name + bars, row.best)

    def _join(self, run: str, facts: Sequence[str], line: str, best: str) -> str:
        cells = [pad(shorten(run, self.run), self.run)]
        for place, fact, size in zip(self.places, facts, self.facts, strict=True):
            cells.append(pad(fact, size) if place == 0 else pad_left(fact, size))
        return "  ".join((*cells, pad(line, self.line_width), pad_left(best, self.best))) + "\n"


def _fit_runs(sample: Sequence[RunSummary], metric: str, width: int) -> TableLayout:
    """Share the width out; the layout, then the size give way before a run's name gets too short to know."""
    sizes = [max(map(measure, column)) for column in zip(_RUN_ROW_HEADS, *(row.facts for row in sample), strict=True)]
    best = max(4, *(measure(row.best) for row in sample))
    places = [0, 1, 2, 3]
    for place in (0, 2, 3, 1):
        rest = width - best - 2 - sum(sizes[it] + 2 for it in places)
        if rest >= _RUN_LEAST + 2 + _FEWEST_BARS:
            break
        places = [it for it in places if it != place]
    rest = width - best - 4 - sum(sizes[it] + 2 for it in places)
    run = max(3, *(measure(row.run) for row in sample))
    line = max(_bars_width_of(row, metric) for row in sample)
    line = max(min(line, max(rest - run, _FEWEST_BARS)), min(measure(metric), _FEWEST_BARS))
    run = max(1, min(run, rest - line))
    return TableLayout(metric, run, tuple(places), tuple(sizes[it] for it in places), line, best)


def _bars_width_of(row: RunSummary, metric: str) -> int:
    """Cells that a row's line of bars would take."""
    own = min(measure(row.metric), _METRIC_MOST) + 1 if row.metric != metric else 0
    return own + max(min(MOST_BARS, len(row.values)), min(measure(metric), _METRIC_MOST))


# By what each checkpoint's layout was recognised


def evidence_screen(view: RunView, *, root: str, width: int) -> Iterator[str]:
    """For a terminal: of a run each layout, how many checkpoints are of it, and by what."""
    sizes = Counter(it.series for it in view.run.checkpoints)
    counts = Counter((escape(it.layout), _describe_evidence(it, sizes)) for it in view.run.checkpoints)
    yield shorten(escape(locate(root, view.run.path)), width) + "\n"
    shown = [(layout, write_count(count, "checkpoint"), why) for (layout, why), count in counts.items()]
    widths = [max((len(row[place]) for row in shown), default=0) for place in (0, 1)]
    for layout, count, why in shown:
        yield f"  {layout.ljust(widths[0])}  {count.rjust(widths[1])}  {why}"[:width] + "\n"
    yield "\n"


def evidence_rows(views: Iterable[RunView], *, root: str) -> Iterator[str]:
    """For a pipe: a line for each checkpoint, tab-separated under a line of heads."""
    yield "path\tlayout\tevidence\n"
    for view in views:
        sizes = Counter(it.series for it in view.run.checkpoints)
        for checkpoint in view.run.checkpoints:
            path, layout = escape(locate(root, checkpoint.path)), escape(checkpoint.layout)
            yield f"{path}\t{layout}\t{_describe_evidence(checkpoint, sizes)}\n"


def _describe_evidence(checkpoint: Checkpoint, sizes: Mapping[str, int]) -> str:
    """Why it is taken for what it is, escaped, with why no rule may delete it; ``sizes``: of each series of the run."""
    from ckptctl.render.note_texts import describe_note  # a listing needs no texts

    said = [_EVIDENCE.get(it.kind, "{}").format(it.detail) for it in checkpoint.all_evidence]
    if checkpoint.series and sizes[checkpoint.series] > 1:
        said.append(f"one of {sizes[checkpoint.series]} names of one shape")
    why = escape(" · ".join(said) or "its name")
    doubts = (checkpoint.note if checkpoint.state == "doubtful" else None, checkpoint.why_not)
    return "; ".join([why, *(escape(describe_note(it)) for it in doubts if it is not None)])


_EVIDENCE = {
    "said": "told by {}",
    "content": "content: {}",
    "counter": "counter word: {}",
}
"""How each kind of evidence reads; the others say it themselves."""
