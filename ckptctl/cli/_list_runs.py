"""What ``ls`` does: which checkpoints to list, in which order, in which format."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from math import inf, isnan
from typing import NamedTuple

from ckptctl.cli._console import Console
from ckptctl.cli._targets import (
    LocatedRun,
    describe_left_out,
    filter_checkpoints,
    require_all_listed,
    require_found,
    scan_stores,
)
from ckptctl.core.filters import Filter, parse_filter
from ckptctl.core.model import Checkpoint, Run, relocate
from ckptctl.core.ranking import RunView, infer_mode, score_of, view_run
from ckptctl.errors import UsageError
from ckptctl.render.text import locate
from ckptctl.scan.targets import NameOptions, open_stores, read_options

MOST_COLORED = 200
"""Rows of a run in colour; plain rows stream four hundred times faster."""


class ListOptions(NamedTuple):
    """What to list, and how."""

    runs: bool = False
    """A row a run."""
    metrics: bool = False
    """A column a metric."""
    sort: str = "step"
    limit: int | None = None
    monitor: str | None = None
    mode: str = "auto"
    exact: bool = False
    names: NameOptions = NameOptions()
    quiet: bool = False
    """Paths alone."""
    null: bool = False
    """Paths alone, each ended by a NUL."""
    json: bool = False
    color: str = "auto"
    explains: bool = False
    """By what each layout was recognised, instead of what each checkpoint is."""
    filters: Sequence[str] = ()
    """As typed."""
    every: bool = False
    """Also what holds weights and belongs to no series."""


def list_runs(paths: Sequence[str] | None, options: ListOptions) -> None:
    """Show what lies under the paths; raises NoCheckpoint, PartlyDone, and what opening and reading options raise."""
    console, stores, key = Console(options.color), open_stores(paths), parse_key(options.sort)
    bare = options.quiet or options.null
    filters = tuple(map(parse_filter, options.filters))
    is_quick = bare and key.needs_no_stat and not any(it.needs_stat for it in filters)
    scanning = read_options(options.names, monitor=options.monitor, exact=options.exact, stat=not is_quick)
    is_brief = is_quick and key.is_in_names and options.limit is None and not (options.exact or filters)
    located_runs = scan_stores(stores, scanning._replace(is_brief=is_brief), console, every=options.every)
    choice = CheckpointSelection(filters, scanning.now, key, options.limit)
    seen = _look(located_runs, choice, options, console, many=len(stores) > 1)
    first = next(seen, None)
    require_found(first, stores, filters, console.left_out, template=scanning.template)
    shown = chain([first] if first else [], seen)
    root = "." if len(stores) > 1 else stores[0].url
    if bare:
        paths_shown = (locate(root, it.path) for view in shown for it in view.run.checkpoints)
        console.hand_over(((path, "") for path in paths_shown), null=options.null)
    else:
        console.answer(_write(shown, root, options, console, scanning.now))
    if console.left_out and not bare:
        console.say(describe_left_out(console.left_out))
    require_all_listed(console)


def _write(views: Iterable[RunView], root: str, options: ListOptions, console: Console, now: int) -> Iterator[str]:
    if options.json:
        from ckptctl.render.json import ls

        return ls(views, root=root)
    if options.explains:
        return _explain(views, root, console)
    if console.is_terminal or console.has_color:
        return _screen(views, root, console, now, runs=options.runs, metrics=options.metrics)
    return _table(views, root, runs=options.runs, metrics=options.metrics)


class CheckpointSelection(NamedTuple):
    """Which checkpoints of a run to show, in which order."""

    filters: tuple[Filter, ...]
    now: int
    key: SortKey
    limit: int | None


def _look(
    located_runs: Iterable[LocatedRun],
    choice: CheckpointSelection,
    options: ListOptions,
    console: Console,
    *,
    many: bool,
) -> Iterator[RunView]:
    """What to show of each run: judged whole, then filtered, sorted and cut; those without any are left out.

    Warns at the end where no checkpoint has the number to sort by.
    """
    name, has_any = choice.key.name, False
    is_known = name == "step" or name in _PLAIN
    for located in located_runs:
        has_any = has_any or bool(located.run.checkpoints)
        is_known = is_known or any(score_of(it, name) for it in located.run.checkpoints)
        run = relocate(located.run, located.store.url) if many else located.run
        seen = view_run(run, monitor=options.monitor, mode=options.mode)
        met = filter_checkpoints(run, choice.filters, choice.now)
        shown = sort_run(run._replace(checkpoints=met), choice.key, choice.limit)
        if met or not choice.filters:
            yield seen._replace(run=shown, hidden=len(run.checkpoints) - len(shown.checkpoints))
    if has_any and not is_known:
        console.warn(f"--sort {name}: no checkpoint has it, so they stand in the order of saving")


def _explain(views: Iterable[RunView], root: str, console: Console) -> Iterator[str]:
    from ckptctl.render.plain import evidence_rows, evidence_screen

    if not console.is_terminal:
        return evidence_rows(list(views), root=root)
    return chain.from_iterable(evidence_screen(seen, root=root, width=console.width) for seen in views)


def _table(views: Iterable[RunView], root: str, *, runs: bool, metrics: bool) -> Iterator[str]:
    """Tab-separated, for a pipe; with a column a metric, all runs are read before the first line."""
    from ckptctl.render import columns

    if runs:
        yield columns.tsv_run_header()
        yield from (columns.tsv_run_row(seen, root=root) for seen in views)
        return
    held = list(views) if metrics else views
    names = columns.metrics_of(seen.run for seen in held) if metrics else []
    yield columns.tsv_header(names)
    for seen in held:
        yield from columns.tsv_rows(seen, root=root, metrics=names)


def _screen(
    views: Iterable[RunView], root: str, console: Console, now: int, *, runs: bool, metrics: bool
) -> Iterator[str]:
    """Aligned, for a terminal; in colour while a run fits a few screens."""
    from ckptctl.render import plain
    from ckptctl.render.columns import RunTotals

    if runs:
        yield from plain.run_listing((plain.summarize_run(seen, root=root) for seen in views), width=console.width)
        return
    tally = RunTotals()
    for seen in views:
        tally = tally.add(seen.run)
        if console.has_color and len(seen.run.checkpoints) <= MOST_COLORED:
            from ckptctl.render.table import listing

            yield listing(seen, now, root=root, width=console.width, all_metrics=metrics)
        else:
            yield from plain.listing(seen, now, root=root, width=console.width, all_metrics=metrics)
        yield "\n"
    yield plain.totals(tally)


class SortKey(NamedTuple):
    """What to sort by."""

    name: str
    is_reversed: bool = False

    @property
    def is_in_names(self) -> bool:
        """Whether names that hold numbers say it."""
        return self.name in ("step", "epoch", "name")

    @property
    def needs_no_stat(self) -> bool:
        """Whether names alone decide."""
        return self.name not in ("size", "age")


_PLAIN: dict[str, Callable[[Checkpoint], float | str]] = {
    "epoch": lambda it: -1 if it.epoch is None else it.epoch,
    "size": lambda it: it.size,
    "age": lambda it: -it.modified,
    "name": lambda it: it.path,
}


def parse_key(text: str) -> SortKey:
    """Read ``KEY`` or ``KEY:desc``; raises UsageError."""
    name, mark, order = text.rpartition(":") if text.endswith((":desc", ":asc")) else (text, "", "")
    if not name:
        hint = "step, epoch, size, age, name or a metric; add :desc to turn it round"
        raise UsageError("--sort needs a key", hint=hint)
    return SortKey(name, bool(mark) and order == "desc")


def sort_run(run: Run, key: SortKey, limit: int | None) -> Run:
    """The run with its checkpoints in the asked order, and no more than the limit; a metric puts its best first."""
    held = list(run.checkpoints)
    place = _PLAIN.get(key.name)
    if key.name == "step":
        held = held[::-1] if key.is_reversed else held
    elif place is not None:
        held.sort(key=place, reverse=key.is_reversed)
    else:
        held.sort(key=_by_metric(key))
    return run._replace(checkpoints=tuple(held[:limit]))


def _by_metric(key: SortKey) -> Callable[[Checkpoint], float]:
    """Best first, or worst; what has no number is last either way."""
    sign = -1 if (infer_mode(key.name) == "max") != key.is_reversed else 1

    def place(checkpoint: Checkpoint) -> float:
        score = score_of(checkpoint, key.name)
        return inf if score is None or isnan(score.value) else sign * score.value

    return place
