"""``ckptctl export``: summaries for other programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from functools import partial
from itertools import chain
from math import inf, isnan, nan
from os.path import realpath, splitext
from typing import Annotated, NamedTuple

from typer import Option

from ckptctl.cli import _options as opt
from ckptctl.cli._console import Console, write_whole
from ckptctl.cli._list_runs import SortKey, parse_key, sort_run
from ckptctl.cli._outputs import OutputFile
from ckptctl.cli._targets import LocatedRun, filter_runs, require_all_listed, require_found, scan_stores
from ckptctl.core.filters import parse_filter
from ckptctl.core.model import Checkpoint, Run, relocate
from ckptctl.core.names.parse import EXTENSIONS
from ckptctl.core.ranking import COUNTERS, Metric, RunView, choose_metric, find_mode_doubt, rank, score_of, view_run
from ckptctl.errors import NoScore, UsageError
from ckptctl.render.text import escape, locate
from ckptctl.scan.metrics.collect import resolve_ties
from ckptctl.scan.targets import NameOptions, locate_errors, open_stores, read_options
from ckptctl.stores import ReadStore

EXAMPLES = """
  ckptctl export runs/ --format csv -o runs.csv
  ckptctl export runs/ --format jsonl | jq .path
  ckptctl export runs/a --format yaml --top-k 3
"""


class ExportFormat(str, Enum):
    """What to write."""

    json = "json"
    jsonl = "jsonl"
    csv = "csv"
    yaml = "yaml"
    markdown = "markdown"


def command(
    paths: opt.Paths = None,
    form: Annotated[
        ExportFormat | None,
        Option("--format", help="What to write; by default what FILE ends in, else json.", show_default=False),
    ] = None,
    output: Annotated[str | None, Option("-o", "--output", metavar="FILE", help="Write to FILE.")] = None,
    top_k: Annotated[int | None, Option("--top-k", metavar="N", min=1, help="Only the N best of a run.")] = None,
    sort: Annotated[str, Option(metavar="KEY[:desc]", help="step, epoch, size, age, name or a metric.")] = "step",
    limit: Annotated[int | None, Option(metavar="N", min=0, help="At most N checkpoints of a run.")] = None,
    filters: opt.Filters = None,
    monitor: opt.Monitor = None,
    mode: opt.ModeOption = opt.ModeName.auto,
    exact: opt.Exact = False,
    template: opt.TemplateText = None,
    layout: opt.LayoutName = None,
    ext: opt.Extensions = None,
    equals: opt.Equals = "=",
    include: opt.Includes = None,
    force: opt.Force = False,
) -> None:
    """Write a summary of runs and checkpoints.

    yaml is what Lightning's to_yaml writes: one run's paths and scores, of all that have a score or of the best.
    """
    _check_output(output, ext or ())
    form = form or _format_of(output or "")
    if output is not None:
        OutputFile(output, partial(_begins_as, form), force).require_free()
    console, stores = Console(), open_stores(paths)
    scanning = read_options(
        NameOptions(template, layout, ext, equals, include), monitor=monitor, exact=exact, sure=True
    )
    terms = ExportOptions(len(stores) > 1 and form is not ExportFormat.yaml, top_k, monitor, mode.value)
    wanted = tuple(map(parse_filter, filters or ()))
    located_runs = filter_runs(scan_stores(stores, scanning, console), wanted, scanning.now)
    if form is ExportFormat.yaml or top_k is not None:
        extracts = iter(list(_keep_best(located_runs, terms, console)))
    else:
        extracts = (ExportedRun(store, _look(store, run, terms)) for store, run in located_runs)
    first = next(extracts, None)
    require_found(first, stores, wanted)
    arranged = _arrange(chain([first] if first else [], extracts), parse_key(sort), limit)
    pieces = _write(form, arranged, scanning.now)
    if output is None:
        console.answer(pieces)
    else:
        write_whole(output, pieces)
        console.remark(f"wrote {escape(output)}")
    require_all_listed(console)


def _check_output(path: str | None, extensions: Sequence[str]) -> None:
    """Raise UsageError for a file that is called as a checkpoint is: a summary must not take the place of one."""
    endings = (*EXTENSIONS, *(f".{it.lstrip('.')}" for it in extensions))
    if path is not None and path.endswith(endings):
        text = "is called as checkpoints are: a summary might take the place of one"
        raise UsageError(text, path=path, hint="give the file another extension")


def _format_of(path: str) -> ExportFormat:
    """What a file of that name should hold."""
    endings = {it.value: it for it in ExportFormat} | {"yml": ExportFormat.yaml, "md": ExportFormat.markdown}
    return endings.get(splitext(path)[1][1:].lower(), ExportFormat.json)


def _begins_as(form: ExportFormat, head: bytes) -> bool:
    """Whether a file begins as one that was written in a format; yaml begins as what the framework itself wrote."""
    begins = {
        ExportFormat.json: b'{"schema_version":',
        ExportFormat.jsonl: b'{"run":',
        ExportFormat.csv: b'"run","path","layout"',
        ExportFormat.markdown: b"| run | name | epoch | step |",
    }.get(form)
    return begins is not None and head.startswith(begins)


class ExportOptions(NamedTuple):
    """What the writers must know."""

    many: bool
    """Whether runs of several places stand together, and so have paths as seen from here."""
    top_k: int | None
    monitor: str | None
    mode: str


class ExportedRun(NamedTuple):
    """What is written of a run."""

    store: ReadStore
    seen: RunView
    """Its best and newest are those of the whole run, also where the run has been cut."""


def _keep_best(located_runs: Iterable[LocatedRun], options: ExportOptions, console: Console) -> Iterator[ExportedRun]:
    """The runs with only their best checkpoints, with a score each; a run that has no score is left out with a warning.

    Raises MetricUnclear and ModeUnclear, and NoScore where no run has a score.
    """
    found, missing = False, []
    for store, run in located_runs:
        extract = _cut_if_scored(store, run, options)
        if isinstance(extract, ExportedRun):
            found = True
            _warn_of_mode(extract.seen.run, options, console)
            yield extract
        elif run.checkpoints:
            missing.append(extract)
    if missing and not found:
        raise missing[0]
    for error in missing:
        console.warn(f"{error.path or '.'}: {error.text}: left out")


def _arrange(extracts: Iterable[ExportedRun], key: SortKey, limit: int | None) -> Iterator[ExportedRun]:
    """The runs in the asked order, and no more of each than the limit; of the best, in theirs."""
    is_asked = key != SortKey("step") or limit is not None
    for extract in extracts:
        yield (
            extract._replace(seen=extract.seen._replace(run=sort_run(extract.seen.run, key, limit)))
            if is_asked
            else extract
        )


def _warn_of_mode(run: Run, options: ExportOptions, console: Console) -> None:
    """Warn where the best are chosen the way that the metric's name does not say."""
    if options.top_k is None or run.monitor is None or run.mode is None:
        return
    doubt = find_mode_doubt(Metric(run.monitor, run.mode), options.mode)
    if doubt is not None:
        console.warn(doubt, run.path or ".")


def _cut_if_scored(store: ReadStore, run: Run, options: ExportOptions) -> ExportedRun | NoScore:
    try:
        with locate_errors(store):
            return _cut(store, run, options)
    except NoScore as error:
        return error


def _cut(store: ReadStore, run: Run, options: ExportOptions) -> ExportedRun:
    metric = choose_metric(run, monitor=options.monitor, mode=options.mode)
    run = resolve_ties(store, run, metric, options.top_k or 0)._replace(monitor=metric.name, mode=metric.mode)
    seen = _look(store, run, options)
    complete = [it for it in seen.run.checkpoints if it.state == "complete" and "last" not in it.roles]
    scored = [it for it in complete if score_of(it, metric.name)]
    chosen = scored if options.top_k is None else [it.checkpoint for it in rank(scored, metric)][: options.top_k]
    return ExportedRun(store, seen._replace(run=seen.run._replace(checkpoints=tuple(chosen))))


def _look(store: ReadStore, run: Run, options: ExportOptions) -> RunView:
    return view_run(relocate(run, store.url) if options.many else run, monitor=options.monitor, mode=options.mode)


def _write(form: ExportFormat, extracts: Iterable[ExportedRun], now: int) -> Iterator[str]:
    match form:
        case ExportFormat.json:
            from ckptctl.render.json import export

            return export(it.seen.run for it in extracts)
        case ExportFormat.jsonl:
            from ckptctl.render.json import lines

            return (piece for it in extracts for piece in lines(it.seen.run))
        case ExportFormat.csv:
            return _csv(extracts)
        case ExportFormat.yaml:
            return _yaml(extracts)
        case ExportFormat.markdown:
            return _markdown(extracts, now)


def _csv(extracts: Iterable[ExportedRun]) -> Iterator[str]:
    """All runs are read before the first line: each metric of any has a column."""
    from ckptctl.render.columns import metrics_of
    from ckptctl.render.export import csv_header, csv_rows

    runs = [it.seen.run for it in extracts]
    metrics = metrics_of(runs)
    yield csv_header(metrics)
    for run in runs:
        yield from csv_rows(run, metrics)


def _markdown(extracts: Iterable[ExportedRun], now: int) -> Iterator[str]:
    from ckptctl.render.columns import metrics_of
    from ckptctl.render.export import markdown_listing

    views = [it.seen for it in extracts]
    names = [name for name in metrics_of(it.run for it in views) if name not in COUNTERS]
    return markdown_listing(views, now, names)


def _yaml(extracts: Iterable[ExportedRun]) -> Iterator[str]:
    """Absolute paths and scores, NaN as the callback stores it: the infinity that is worst."""
    from ckptctl.render.export import best_k_models

    scores: dict[str, float] = {}
    for store, seen in extracts:
        top = store.url if "://" in store.url else realpath(store.url)
        for checkpoint in seen.run.checkpoints:
            scores[locate(top, checkpoint.path)] = _as_recorded(checkpoint, seen.run)
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
