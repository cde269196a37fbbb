"""``ckptctl export``: summaries for other programs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import Enum
from itertools import chain
from math import inf, isnan, nan
from os.path import realpath
from typing import Annotated, NamedTuple

import typer

from ckptctl.cli import _options as opt
from ckptctl.cli._console import Console
from ckptctl.cli._output import write_whole
from ckptctl.cli._sort import Key, parse_key, sort_run
from ckptctl.cli._targets import Names, Sight, open_all, placed, read_options, require_some, require_whole, see, select
from ckptctl.core.filters import parse_filter
from ckptctl.core.model import Checkpoint, Run, relocate
from ckptctl.core.names.parse import EXTENSIONS
from ckptctl.core.ranking import COUNTERS, Metric, choose_metric, doubt_mode, rank, score_of
from ckptctl.core.run_summary import View, view
from ckptctl.errors import NoScore, UsageError
from ckptctl.render.names import escape, locate
from ckptctl.scan.metrics.collect import resolve_ties
from ckptctl.stores import Store

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
    sort: Annotated[str, typer.Option(metavar="KEY[:desc]", help="step, epoch, size, age, name or a metric.")] = "step",
    limit: Annotated[int | None, typer.Option(metavar="N", min=0, help="At most N checkpoints of a run.")] = None,
    filters: opt.Filters = None,
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
    _check_output(output, ext or ())
    console, stores = Console(), open_all(paths)
    scanning = read_options(Names(template, layout, ext, equals), monitor=monitor, exact=exact, sure=True)
    terms = Terms(len(stores) > 1 and form is not FormatName.yaml, scanning.now, top_k, monitor, mode.value)
    wanted = tuple(map(parse_filter, filters or ()))
    sights = select(see(stores, scanning, console), wanted, scanning.now)
    if form is FormatName.yaml or top_k is not None:
        extracts = iter(list(_keep_best(sights, terms, console)))
    else:
        extracts = (Extract(store, _look(store, run, terms)) for store, run in sights)
    first = next(extracts, None)
    require_some(first, stores, wanted)
    pieces = _WRITERS[form](_arrange(chain([first] if first else [], extracts), parse_key(sort), limit), terms)
    if output is None:
        console.answer(pieces)
    else:
        write_whole(output, pieces)
        console.remark(f"wrote {escape(output)}")
    require_whole(console)


def _check_output(path: str | None, extensions: Sequence[str]) -> None:
    """Raise UsageError for a file that is called as a checkpoint is: a summary must not take the place of one."""
    endings = (*EXTENSIONS, *(f".{it.lstrip('.')}" for it in extensions))
    if path is not None and path.endswith(endings):
        text = "is called as checkpoints are: a summary might take the place of one"
        raise UsageError(text, path=path, hint="give the file another extension")


class Terms(NamedTuple):
    """What the writers must know."""

    many: bool
    """Whether runs of several places stand together, and so have paths as seen from here."""
    now: int
    top_k: int | None
    monitor: str | None
    mode: str


class Extract(NamedTuple):
    """What is written of a run."""

    store: Store
    seen: View
    """Its best and newest are those of the whole run, also where the run has been cut."""


def _keep_best(sights: Iterable[Sight], terms: Terms, console: Console) -> Iterator[Extract]:
    """The runs with only their best checkpoints, with a score each; a run that has no score is left out with a warning.

    Raises MetricUnclear and ModeUnclear, and NoScore where no run has a score.
    """
    found, missing = False, []
    for store, run in sights:
        extract = _cut_if_scored(store, run, terms)
        if isinstance(extract, Extract):
            found = True
            _warn_of_mode(extract.seen.run, terms, console)
            yield extract
        elif run.checkpoints:
            missing.append(extract)
    if missing and not found:
        raise missing[0]
    for error in missing:
        console.warn(f"{error.path or '.'}: {error.text}: left out")


def _arrange(extracts: Iterable[Extract], key: Key, limit: int | None) -> Iterator[Extract]:
    """The runs in the asked order, and no more of each than the limit; of the best, in theirs."""
    is_asked = key != Key("step") or limit is not None
    for it in extracts:
        yield it._replace(seen=it.seen._replace(run=sort_run(it.seen.run, key, limit))) if is_asked else it


def _warn_of_mode(run: Run, terms: Terms, console: Console) -> None:
    """Warn where the best are chosen the way that the metric's name does not say."""
    if terms.top_k is None or run.monitor is None or run.mode is None:
        return
    doubt = doubt_mode(Metric(run.monitor, run.mode), terms.mode)
    if doubt is not None:
        console.warn(f"{run.path or '.'}: {doubt}")


def _cut_if_scored(store: Store, run: Run, terms: Terms) -> Extract | NoScore:
    try:
        with placed(store):
            return _cut(store, run, terms)
    except NoScore as error:
        return error


def _cut(store: Store, run: Run, terms: Terms) -> Extract:
    metric = choose_metric(run, monitor=terms.monitor, mode=terms.mode)
    run = resolve_ties(store, run, metric, terms.top_k or 0)._replace(monitor=metric.name, mode=metric.mode)
    seen = _look(store, run, terms)
    complete = [it for it in seen.run.checkpoints if it.state == "complete" and "last" not in it.roles]
    scored = [it for it in complete if score_of(it, metric.name)]
    chosen = scored if terms.top_k is None else [it.checkpoint for it in rank(scored, metric)][: terms.top_k]
    return Extract(store, seen._replace(run=seen.run._replace(checkpoints=tuple(chosen))))


def _look(store: Store, run: Run, terms: Terms) -> View:
    return view(relocate(run, store.url) if terms.many else run, monitor=terms.monitor, mode=terms.mode)


def _json(extracts: Iterable[Extract], terms: Terms) -> Iterator[str]:  # noqa: ARG001 - the form of a writer
    from ckptctl.render.json import export

    return export(it.seen.run for it in extracts)


def _jsonl(extracts: Iterable[Extract], terms: Terms) -> Iterator[str]:  # noqa: ARG001 - the form of a writer
    from ckptctl.render.json import lines

    return (piece for it in extracts for piece in lines(it.seen.run))


def _csv(extracts: Iterable[Extract], terms: Terms) -> Iterator[str]:  # noqa: ARG001 - the form of a writer
    """All runs are read before the first line: each metric of any has a column."""
    from ckptctl.render import csv
    from ckptctl.render.columns import metrics_of

    runs = [it.seen.run for it in extracts]
    metrics = metrics_of(runs)
    yield csv.header(metrics)
    for run in runs:
        yield from csv.rows(run, metrics)


def _markdown(extracts: Iterable[Extract], terms: Terms) -> Iterator[str]:
    from ckptctl.render.columns import metrics_of
    from ckptctl.render.markdown import listing

    views = [it.seen for it in extracts]
    names = [name for name in metrics_of(it.run for it in views) if name not in COUNTERS]
    return listing(views, terms.now, names)


def _yaml(extracts: Iterable[Extract], terms: Terms) -> Iterator[str]:  # noqa: ARG001 - the form of a writer
    """Absolute paths and scores, NaN as the callback stores it: the infinity that is worst."""
    from ckptctl.render.yaml import best_k_models

    scores: dict[str, float] = {}
    for store, seen in extracts:
        top = store.url if "://" in store.url else realpath(store.url)
        for it in seen.run.checkpoints:
            scores[locate(top, it.path)] = _as_recorded(it, seen.run)
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


_WRITERS: dict[FormatName, Callable[[Iterable[Extract], Terms], Iterator[str]]] = {
    FormatName.json: _json,
    FormatName.jsonl: _jsonl,
    FormatName.csv: _csv,
    FormatName.yaml: _yaml,
    FormatName.markdown: _markdown,
}
