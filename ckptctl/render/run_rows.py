"""One row a run, for a terminal: how far it came, how its metric went, its best."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from math import isfinite
from typing import NamedTuple

from ckptctl.core.model import Run
from ckptctl.core.ranking import RunView, in_save_order, score_of
from ckptctl.core.units import write_size
from ckptctl.render.columns import MISSING, RunTotals, best_of, write_number, write_score
from ckptctl.render.plain import SAMPLE
from ckptctl.render.text import escape, locate, measure, pad, pad_left, shorten

BARS = "▁▂▃▄▅▆▇█"
MOST_BARS = 24

_FEWEST_BARS = 8
_RUN_LEAST = 20
_METRIC_MOST = 16
_HEADS = ("layout", "checkpoints", "size", "last step")


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
        _best_of(view),
    )


def values_of(run: Run, metric: str) -> Iterator[float]:
    """The finite values of a metric, oldest save first."""
    for checkpoint in in_save_order(run.checkpoints):
        score = score_of(checkpoint, metric)
        if score is not None and isfinite(score.value):
            yield score.value


def _best_of(view: RunView) -> str:
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


def listing(digests: Iterable[RunSummary], *, width: int = 80) -> Iterator[str]:
    """A row for each run under a line of heads, in pieces of many lines; nothing wraps."""
    stream = iter(digests)
    if not (sample := list(islice(stream, SAMPLE))):
        return
    common = Counter(it.metric for it in sample if it.metric).most_common(1)
    sheet = _fit(sample, common[0][0] if common else "", width)
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
        names = [_HEADS[place] for place in self.places]
        return self._join("run", names, shorten(self.metric, self.line_width), "best")

    def line(self, row: RunSummary) -> str:
        """One run."""
        name = (
            ""
            if row.metric in ("", self.metric)
            else shorten(row.metric, min(_METRIC_MOST, self.line_width // 2)) + " "
        )
        bars = draw_sparkline(row.values, max(1, min(MOST_BARS, self.line_width - measure(name))))
        return self._join(row.run, [row.facts[place] for place in self.places], name + bars, row.best)

    def _join(self, run: str, facts: Sequence[str], line: str, best: str) -> str:
        cells = [pad(shorten(run, self.run), self.run)]
        for place, fact, size in zip(self.places, facts, self.facts, strict=True):
            cells.append(pad(fact, size) if place == 0 else pad_left(fact, size))
        return "  ".join((*cells, pad(line, self.line_width), pad_left(best, self.best))) + "\n"


def _fit(sample: Sequence[RunSummary], metric: str, width: int) -> TableLayout:
    """Share the width out; the layout, then the size give way before a run's name gets too short to know."""
    sizes = [max(map(measure, column)) for column in zip(_HEADS, *(row.facts for row in sample), strict=True)]
    best = max(4, *(measure(row.best) for row in sample))
    places = [0, 1, 2, 3]
    for place in (0, 2, 3, 1):
        rest = width - best - 2 - sum(sizes[it] + 2 for it in places)
        if rest >= _RUN_LEAST + 2 + _FEWEST_BARS:
            break
        places = [it for it in places if it != place]
    rest = width - best - 4 - sum(sizes[it] + 2 for it in places)
    run = max(3, *(measure(row.run) for row in sample))
    line = max(_width_of(row, metric) for row in sample)
    line = max(min(line, max(rest - run, _FEWEST_BARS)), min(measure(metric), _FEWEST_BARS))
    return TableLayout(
        metric, max(1, min(run, rest - line)), tuple(places), tuple(sizes[it] for it in places), line, best
    )


def _width_of(row: RunSummary, metric: str) -> int:
    """Cells that a row's line of bars would take."""
    own = min(measure(row.metric), _METRIC_MOST) + 1 if row.metric != metric else 0
    return own + max(min(MOST_BARS, len(row.values)), min(measure(metric), _METRIC_MOST))
