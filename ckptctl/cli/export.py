"""``ckptctl export``: summaries for other programs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from itertools import chain
from math import inf, isnan, nan
from os.path import realpath
from typing import Annotated

import typer

from ckptctl.cli import options as opt
from ckptctl.cli.console import Console
from ckptctl.cli.look import Sight, open_all, placed, read_options, require_some, require_whole, see
from ckptctl.cli.output import write_whole
from ckptctl.core.checkpoint import Checkpoint, Run, relocate
from ckptctl.core.ranking import COUNTERS, choose_metric, rank, score_of
from ckptctl.core.view import view
from ckptctl.gather import resolve_ties
from ckptctl.render.names import locate

EPILOG = """Examples:

\b
  ckptctl export runs/ --format csv -o runs.csv
  ckptctl export runs/ --format jsonl | jq .path
  ckptctl export runs/a --format yaml --top-k 3
"""


class FormatName(str, Enum):
    """What to write."""

    json = "json"
    jsonl = "jsonl"
    csv = "csv"
    yaml = "yaml"
    markdown = "markdown"


def command(
    paths: opt.Paths = None,
    form: Annotated[FormatName, typer.Option("--format", help="What to write.")] = FormatName.json,
    output: Annotated[str | None, typer.Option("-o", "--output", metavar="FILE", help="Write to FILE.")] = None,
    top_k: Annotated[int | None, typer.Option("--top-k", metavar="N", min=1, help="Only the N best of a run.")] = None,
    monitor: opt.Monitor = None,
    mode: opt.ModeOption = opt.ModeName.auto,
    exact: opt.Exact = False,
    template: opt.TemplateText = None,
    layout: opt.LayoutName = None,
    ext: opt.Extensions = None,
    equals: opt.Equals = "=",
) -> None:
    """Write a summary of runs and checkpoints.

    yaml is what Lightning's to_yaml writes: one run's paths and scores, of all that have a score or of the best.
    """
    console, stores = Console(), open_all(paths)
    scanning = read_options(opt.Names(template, layout, ext, equals), monitor=monitor, exact=exact)
    sights = see(stores, scanning, console)
    if form is FormatName.yaml or top_k is not None:
        sights = (_keep_best(sight, top_k, monitor, mode.value) for sight in sights)
    first = next(sights, None)
    require_some(first, stores)
    pieces = _WRITERS[form](chain([first] if first else [], sights), len(stores) > 1, scanning.now)
    if output is None:
        console.answer(pieces)
    else:
        write_whole(output, pieces)
        console.remark(f"wrote {output}")
    require_whole(console)


def _keep_best(sight: Sight, top_k: int | None, monitor: str | None, mode: str) -> Sight:
    """The sight with only its best checkpoints, with a score each; raises what choosing a metric raises."""
    with placed(sight.store):
        metric = choose_metric(sight.run, monitor=monitor, mode=mode)
    run = resolve_ties(sight.store, sight.run, metric, top_k or 0)
    scored = [it for it in run.checkpoints if "last" not in it.roles and score_of(it, metric.name)]
    chosen = scored if top_k is None else [it.checkpoint for it in rank(scored, metric)][:top_k]
    return sight._replace(run=run._replace(checkpoints=tuple(chosen), monitor=metric.name, mode=metric.mode))


def _runs(sights: Iterable[Sight], *, many: bool) -> Iterator[Run]:
    return (relocate(it.run, it.store.url) if many else it.run for it in sights)


def _json(sights: Iterable[Sight], many: bool, now: int) -> Iterator[str]:  # noqa: ARG001 - the form of a writer
    from ckptctl.render.json import export

    return export(_runs(sights, many=many))


def _jsonl(sights: Iterable[Sight], many: bool, now: int) -> Iterator[str]:  # noqa: ARG001 - the form of a writer
    from ckptctl.render.json import lines

    return (piece for run in _runs(sights, many=many) for piece in lines(run))


def _csv(sights: Iterable[Sight], many: bool, now: int) -> Iterator[str]:  # noqa: ARG001 - the form of a writer
    """All runs are read before the first line: each metric of any has a column."""
    from ckptctl.render import csv
    from ckptctl.render.rows import metrics_of

    runs = list(_runs(sights, many=many))
    metrics = metrics_of(runs)
    yield csv.header(metrics)
    for run in runs:
        yield from csv.rows(run, metrics)


def _markdown(sights: Iterable[Sight], many: bool, now: int) -> Iterator[str]:
    from ckptctl.render.markdown import listing
    from ckptctl.render.rows import metrics_of

    views = [view(run) for run in _runs(sights, many=many)]
    names = [name for name in metrics_of(it.run for it in views) if name not in COUNTERS]
    return listing(views, now, names)


def _yaml(sights: Iterable[Sight], many: bool, now: int) -> Iterator[str]:  # noqa: ARG001 - the form of a writer
    """Absolute paths and scores, NaN as the callback stores it: the infinity that is worst."""
    from ckptctl.render.yaml import best_k_models

    scores: dict[str, float] = {}
    for store, run in sights:
        top = store.url if "://" in store.url else realpath(store.url)
        for it in run.checkpoints:
            scores[locate(top, it.path)] = _as_recorded(it, run)
    yield best_k_models(scores)


def _as_recorded(checkpoint: Checkpoint, run: Run) -> float:
    name = run.monitor or ""
    counter = {"epoch": checkpoint.epoch, "step": checkpoint.step}.get(name)
    if counter is not None and name not in checkpoint.metrics:
        return counter
    score = score_of(checkpoint, name)
    value = nan if score is None else score.value
    worst = -inf if run.mode == "max" else inf
    return worst if isnan(value) else value


_WRITERS: dict[FormatName, Callable[[Iterable[Sight], bool, int], Iterator[str]]] = {
    FormatName.json: _json,
    FormatName.jsonl: _jsonl,
    FormatName.csv: _csv,
    FormatName.yaml: _yaml,
    FormatName.markdown: _markdown,
}
