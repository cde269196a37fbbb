"""``ckptctl ls``: runs and their checkpoints."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Annotated

import typer

from ckptctl.cli import options as opt
from ckptctl.cli.console import Console
from ckptctl.cli.look import Sight, open_all, read_options, require_some, require_whole, see
from ckptctl.cli.sorting import Key, has_key, parse_key, sort_run
from ckptctl.core.checkpoint import relocate
from ckptctl.core.view import View, view
from ckptctl.render.names import locate

EPILOG = """Examples:

\b
  ckptctl ls runs/
  ckptctl ls runs/ --sort val_loss --limit 5
  ckptctl ls runs/ -0 | xargs -0 du -ch
"""
MOST_COLORED = 200
"""Rows of a run in colour; plain rows stream four hundred times faster."""


def command(
    paths: opt.Paths = None,
    runs: Annotated[bool, typer.Option("--runs", help="One row a run.")] = False,
    metrics: Annotated[bool, typer.Option("--metrics", help="A column for every metric.")] = False,
    sort: Annotated[str, typer.Option(metavar="KEY[:desc]", help="step, epoch, size, age, name or a metric.")] = "step",
    limit: Annotated[int | None, typer.Option(metavar="N", min=0, help="At most N checkpoints of a run.")] = None,
    monitor: opt.Monitor = None,
    mode: opt.ModeOption = opt.ModeName.auto,
    exact: opt.Exact = False,
    template: opt.TemplateText = None,
    layout: opt.LayoutName = None,
    ext: opt.Extensions = None,
    equals: opt.Equals = "=",
    quiet: opt.Quiet = False,
    null: opt.Null = False,
    json: opt.Json = False,
    color: opt.Color = opt.ColorName.auto,
) -> None:
    """List runs and their checkpoints."""
    opt.refuse_together(json=json, quiet=quiet or null)
    opt.refuse_together(runs=runs, quiet=quiet or null)
    console, stores, key = Console(color.value), open_all(paths), parse_key(sort)
    bare = (quiet or null) and key.needs_no_stat
    scanning = read_options(opt.Names(template, layout, ext, equals), monitor=monitor, exact=exact, stat=not bare)
    scanning = scanning._replace(is_brief=bare and key.is_in_names and limit is None and not exact)
    many = len(stores) > 1
    root = "." if many else stores[0].url
    sights = _check_key(see(stores, scanning, console), key, console)
    seen = _look(sights, key, limit, monitor=monitor, mode=mode.value, many=many)
    first = next(seen, None)
    require_some(first, stores)
    shown = chain([first] if first else [], seen)
    if quiet or null:
        console.hand_over(_paths(shown, root), null=null)
    elif json:
        console.answer(_json(shown, root))
    elif console.is_terminal or console.has_color:
        console.answer(_screen(shown, root, console, scanning.now, runs=runs, metrics=metrics))
    else:
        console.answer(_table(shown, root, runs=runs, metrics=metrics))
    require_whole(console)


def _look(
    sights: Iterable[Sight], key: Key, limit: int | None, *, monitor: str | None, mode: str, many: bool
) -> Iterator[View]:
    """What to show of each run: judged whole, then sorted and cut."""
    for sight in sights:
        run = relocate(sight.run, sight.store.url) if many else sight.run
        seen = view(run, monitor=monitor, mode=mode)
        shown = sort_run(run, key, limit)
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


def _table(views: Iterable[View], root: str, *, runs: bool, metrics: bool) -> Iterator[str]:
    """Tab-separated, for a pipe; with a column a metric, all runs are read before the first line."""
    from ckptctl.render import tsv
    from ckptctl.render.rows import metrics_of

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
    from ckptctl.render import overview, plain
    from ckptctl.render.rows import Tally

    if runs:
        yield from overview.listing((overview.digest(seen, root=root) for seen in views), width=console.width)
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
