"""The flow of ``ls``: what to look at, and how to show it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from ckptctl.cli._console import Console
from ckptctl.cli._sort import Key, has_key, parse_key, sort_run
from ckptctl.cli._targets import Names, Sight, meet, open_all, read_options, require_some, require_whole, see
from ckptctl.core.filters import Filter, parse_filter
from ckptctl.core.model import relocate
from ckptctl.core.run_summary import View, view
from ckptctl.render.names import locate

MOST_COLORED = 200
"""Rows of a run in colour; plain rows stream four hundred times faster."""


class Listing(NamedTuple):
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
    names: Names = Names()
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


def list_runs(paths: Sequence[str] | None, listing: Listing) -> None:
    """Show what lies under the paths; raises NoCheckpoint, PartlyDone, and what opening and reading options raise."""
    console, stores, key = Console(listing.color), open_all(paths), parse_key(listing.sort)
    bare = listing.quiet or listing.null
    filters = tuple(map(parse_filter, listing.filters))
    is_quick = bare and key.needs_no_stat and not any(it.needs_stat for it in filters)
    scanning = read_options(listing.names, monitor=listing.monitor, exact=listing.exact, stat=not is_quick)
    is_brief = is_quick and key.is_in_names and listing.limit is None and not (listing.exact or filters)
    sights = _check_key(see(stores, scanning._replace(is_brief=is_brief), console), key, console)
    choice = Choice(filters, scanning.now, key, listing.limit)
    seen = _look(sights, choice, listing, many=len(stores) > 1)
    first = next(seen, None)
    require_some(first, stores, filters)
    shown = chain([first] if first else [], seen)
    root = "." if len(stores) > 1 else stores[0].url
    if bare:
        console.hand_over(_paths(shown, root), null=listing.null)
    else:
        console.answer(_write(shown, root, listing, console, scanning.now))
    require_whole(console)


def _write(views: Iterable[View], root: str, listing: Listing, console: Console, now: int) -> Iterator[str]:
    if listing.json:
        return _json(views, root)
    if listing.explains:
        return _explain(views, root, console)
    if console.is_terminal or console.has_color:
        return _screen(views, root, console, now, runs=listing.runs, metrics=listing.metrics)
    return _table(views, root, runs=listing.runs, metrics=listing.metrics)


class Choice(NamedTuple):
    """Which checkpoints of a run to show, in which order."""

    filters: tuple[Filter, ...]
    now: int
    key: Key
    limit: int | None


def _look(sights: Iterable[Sight], choice: Choice, listing: Listing, *, many: bool) -> Iterator[View]:
    """What to show of each run: judged whole, then filtered, sorted and cut; those without any are left out."""
    for sight in sights:
        run = relocate(sight.run, sight.store.url) if many else sight.run
        seen = view(run, monitor=listing.monitor, mode=listing.mode)
        met = meet(run, choice.filters, choice.now)
        shown = sort_run(run._replace(checkpoints=met), choice.key, choice.limit)
        if met or not choice.filters:
            yield seen._replace(run=shown, hidden=len(run.checkpoints) - len(shown.checkpoints))


def _check_key(sights: Iterable[Sight], key: Key, console: Console) -> Iterator[Sight]:
    """The same sights; a warning at their end where no checkpoint has the key."""
    is_known = has_any = False
    for sight in sights:
        has_any = has_any or bool(sight.run.checkpoints)
        is_known = is_known or has_key(sight.run, key)
        yield sight
    if has_any and not is_known:
        console.warn(f"--sort {key.name}: no checkpoint has it, so they stand in the order of saving")


def _paths(views: Iterable[View], root: str) -> Iterator[tuple[str, str]]:
    return ((locate(root, it.path), "") for seen in views for it in seen.run.checkpoints)


def _json(views: Iterable[View], root: str) -> Iterator[str]:
    from ckptctl.render.json import ls

    return ls(views, root=root)


def _explain(views: Iterable[View], root: str, console: Console) -> Iterator[str]:
    from ckptctl.render import layout_evidence

    if console.is_terminal:
        return chain.from_iterable(layout_evidence.screen(seen, root=root, width=console.width) for seen in views)
    return chain([layout_evidence.header()], *(layout_evidence.rows(seen, root=root) for seen in views))


def _table(views: Iterable[View], root: str, *, runs: bool, metrics: bool) -> Iterator[str]:
    """Tab-separated, for a pipe; with a column a metric, all runs are read before the first line."""
    from ckptctl.render import tsv
    from ckptctl.render.columns import metrics_of

    if runs:
        yield tsv.run_header()
        yield from (tsv.run_row(seen, root=root) for seen in views)
        return
    held = list(views) if metrics else views
    names = metrics_of(seen.run for seen in held) if metrics else []
    yield tsv.header(names)
    for seen in held:
        yield from tsv.rows(seen, root=root, metrics=names)


def _screen(
    views: Iterable[View], root: str, console: Console, now: int, *, runs: bool, metrics: bool
) -> Iterator[str]:
    """Aligned, for a terminal; in colour while a run fits a few screens."""
    from ckptctl.render import plain, run_rows
    from ckptctl.render.columns import Tally

    if runs:
        yield from run_rows.listing((run_rows.digest(seen, root=root) for seen in views), width=console.width)
        return
    tally = Tally()
    for seen in views:
        tally = tally.add(seen.run)
        if console.has_color and len(seen.run.checkpoints) <= MOST_COLORED:
            from ckptctl.render.table import listing

            yield listing(seen, now, root=root, width=console.width, all_metrics=metrics)
        else:
            yield from plain.listing(seen, now, root=root, width=console.width, all_metrics=metrics)
        yield "\n"
    yield plain.totals(tally)
