"""The flow of ``link``: per run, the checkpoint to name, the link to it, and what came of it."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ckptctl.cli._console import Console
from ckptctl.cli._targets import (
    LocatedRun,
    locate_errors,
    print_restart_warning,
    require_all_listed,
    require_found,
    scan_stores,
)
from ckptctl.core.model import Checkpoint
from ckptctl.core.ranking import (
    Metric,
    Ranked,
    choose_metric,
    describe_best_doubt,
    describe_mode_doubt,
    describe_tie,
    in_save_order,
    rank,
)
from ckptctl.errors import NoScore, PartlyDone, Refused
from ckptctl.prune.best_last_links import LinkPlan, LinkType, make_link, plan_link
from ckptctl.render.names import escape, locate, measure, shorten
from ckptctl.scan.metrics.collect import resolve_ties
from ckptctl.scan.runs import Options
from ckptctl.stores import ReadStore, require_writable

_NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS})
"""What a file system says that makes none."""


class LinkOptions(NamedTuple):
    """Which links to make, and how."""

    last: bool
    best: bool
    name: str | None = None
    kind: LinkType = "symlink"
    monitor: str | None = None
    mode: str = "auto"
    threshold: float | None = None
    is_dry: bool = False


def link_all(stores: Sequence[ReadStore], scanning: Options, options: LinkOptions, console: Console) -> None:
    """Make the links of every run; raises Refused for a read-only store, PartlyDone where some could not be made."""
    for store in stores:
        require_writable(store, path=store.url, done="no link was made")
    sights = list(scan_stores(stores, scanning, console))
    require_found(sights, stores)
    wanted = []
    for sight in sights:
        with locate_errors(sight.store):
            wanted += [(sight, name, found) for name, found in _wanted(sight, options, console)]
    if not wanted:
        raise NoScore("no run has a checkpoint to link", path=stores[0].url, hint="see what there is with ckptctl ls")
    failed = [problem for sight, name, found in wanted if (problem := _link(sight, name, found, options, console))]
    for problem in failed:
        console.warn(problem)
    if failed:
        raise PartlyDone(f"{len(failed)} of {len(wanted)} links were not made", hint="each is named above")
    require_all_listed(console)


def _wanted(located: LocatedRun, options: LinkOptions, console: Console) -> Iterator[tuple[str, Checkpoint]]:
    """Name and checkpoint of each link of a run."""
    complete = [it for it in in_save_order(located.run.checkpoints) if it.state == "complete" and not it.is_made]
    if options.last and complete:
        print_restart_warning(console, located)
        yield options.name or "last", complete[-1]
    best = _best(located, options, console) if options.best else None
    if best is not None:
        yield options.name or "best", best


def _best(located: LocatedRun, options: LinkOptions, console: Console) -> Checkpoint | None:
    try:
        metric = choose_metric(located.run, monitor=options.monitor, mode=options.mode)
    except NoScore:
        return None
    run = resolve_ties(located.store, located.run, metric, 1)
    complete = [it for it in run.checkpoints if it.state == "complete"]
    ranked = rank(complete, metric, threshold=options.threshold)
    for doubt in _doubts(ranked, metric, options.mode):
        console.warn(f"{locate(located.store.url, located.run.path)}: {doubt}")
    return ranked[0].checkpoint if ranked else None


def _doubts(ranked: Sequence[Ranked], metric: Metric, asked: str) -> Iterator[str]:
    """Why the best may be another one."""
    if not ranked:
        return
    first = ranked[0]
    yield from filter(None, (describe_mode_doubt(metric, asked), describe_best_doubt(first, metric.name)))
    if any(it.score.value == first.score.value for it in ranked[1:2]):
        yield describe_tie(first.score, metric.name)


def _link(located: LocatedRun, name: str, found: Checkpoint, options: LinkOptions, console: Console) -> str | None:
    """Make one link and say so; returns what went wrong, if anything did."""
    shown = locate(located.store.url, located.run.path)
    try:
        link = plan_link(located.store, located.run, name, found, options.kind)
        if link is None:
            console.remark(f"{escape(shown)}: {escape(found.path.rpartition('/')[2])} is {name} by its own name")
            return None
        if not link.is_right and not options.is_dry:
            make_link(require_writable(located.store), link)
    except Refused as error:
        return f"{shown}: {error.text}" + (f" ({error.hint})" if error.hint else "")
    except OSError as error:
        hint = " (where no links can be made: --kind pointer)" if error.errno in _NO_LINKS else ""
        return f"{shown}: {name}: {error.strerror or error}{hint}"
    console.answer([_line(located.store, link, console, is_dry=options.is_dry)])
    return None


def _line(store: ReadStore, link: LinkPlan, console: Console, *, is_dry: bool) -> str:
    done = "made" if link.before is None else "repointed"
    what = "is right" if link.is_right else f"would be {done}" if is_dry else done
    name, target = escape(locate(store.url, link.path)), escape(link.target)
    if not console.is_terminal:
        return f"{what}\t{name}\t{target}\n"
    what = what.ljust(len("would be repointed" if is_dry else "repointed"))
    room = console.width - len(what) - len("   -> ")
    shown = shorten(target, max(room // 2, room - measure(name)))
    return f"{what}  {shorten(name, room - measure(shown))} -> {shown}\n"
