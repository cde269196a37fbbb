"""The flow of ``link``: per run, the checkpoint to name, the link to it, and what came of it."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ckptctl.cli._console import Console
from ckptctl.cli._targets import Sight, placed, require_some, require_whole, see, warn_of_lineage
from ckptctl.core.model import Checkpoint
from ckptctl.core.ranking import Metric, Ranked, choose_metric, doubt_best, doubt_mode, in_order, rank, tell_tie
from ckptctl.errors import NoScore, PartlyDone, Refused
from ckptctl.prune.best_last_links import Kind, Link, make, plan_link
from ckptctl.render.names import escape, locate, measure, shorten
from ckptctl.scan.metrics.collect import resolve_ties
from ckptctl.scan.runs import Options
from ckptctl.stores import Store

_NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS})
"""What a file system says that makes none."""


class Linking(NamedTuple):
    """Which links to make, and how."""

    last: bool
    best: bool
    name: str | None = None
    kind: Kind = "symlink"
    monitor: str | None = None
    mode: str = "auto"
    threshold: float | None = None
    is_dry: bool = False


def link_all(stores: Sequence[Store], scanning: Options, linking: Linking, console: Console) -> None:
    """Make the links of every run; raises Refused for a read-only store, PartlyDone where some could not be made."""
    for store in stores:
        if store.read_only:
            raise Refused(store.read_only, id="read-only-store", path=store.url, done="no link was made")
    sights = list(see(stores, scanning, console))
    require_some(sights, stores)
    wanted = []
    for sight in sights:
        with placed(sight.store):
            wanted += [(sight, name, found) for name, found in _wanted(sight, linking, console)]
    if not wanted:
        raise NoScore("no run has a checkpoint to link", path=stores[0].url, hint="see what there is with ckptctl ls")
    failed = [problem for sight, name, found in wanted if (problem := _link(sight, name, found, linking, console))]
    for problem in failed:
        console.warn(problem)
    if failed:
        raise PartlyDone(f"{len(failed)} of {len(wanted)} links were not made", hint="each is named above")
    require_whole(console)


def _wanted(sight: Sight, linking: Linking, console: Console) -> Iterator[tuple[str, Checkpoint]]:
    """Name and checkpoint of each link of a run."""
    complete = [it for it in in_order(sight.run.checkpoints) if it.state == "complete" and not it.is_made]
    if linking.last and complete:
        warn_of_lineage(console, sight)
        yield linking.name or "last", complete[-1]
    best = _best(sight, linking, console) if linking.best else None
    if best is not None:
        yield linking.name or "best", best


def _best(sight: Sight, linking: Linking, console: Console) -> Checkpoint | None:
    try:
        metric = choose_metric(sight.run, monitor=linking.monitor, mode=linking.mode)
    except NoScore:
        return None
    run = resolve_ties(sight.store, sight.run, metric, 1)
    complete = [it for it in run.checkpoints if it.state == "complete"]
    ranked = rank(complete, metric, threshold=linking.threshold)
    for doubt in _doubts(ranked, metric, linking.mode):
        console.warn(f"{locate(sight.store.url, sight.run.path)}: {doubt}")
    return ranked[0].checkpoint if ranked else None


def _doubts(ranked: Sequence[Ranked], metric: Metric, asked: str) -> Iterator[str]:
    """Why the best may be another one."""
    if not ranked:
        return
    first = ranked[0]
    yield from filter(None, (doubt_mode(metric, asked), doubt_best(first, metric.name)))
    if any(it.score.value == first.score.value for it in ranked[1:2]):
        yield tell_tie(first.score, metric.name)


def _link(sight: Sight, name: str, found: Checkpoint, linking: Linking, console: Console) -> str | None:
    """Make one link and say so; returns what went wrong, if anything did."""
    shown = locate(sight.store.url, sight.run.path)
    try:
        link = plan_link(sight.store, sight.run, name, found, linking.kind)
        if link is None:
            console.remark(f"{escape(shown)}: {escape(found.path.rpartition('/')[2])} is {name} by its own name")
            return None
        if not link.is_right and not linking.is_dry:
            make(sight.store, link)
    except Refused as error:
        return f"{shown}: {error.text}" + (f" ({error.hint})" if error.hint else "")
    except OSError as error:
        hint = " (where no links can be made: --kind pointer)" if error.errno in _NO_LINKS else ""
        return f"{shown}: {name}: {error.strerror or error}{hint}"
    console.answer([_line(sight.store, link, console, is_dry=linking.is_dry)])
    return None


def _line(store: Store, link: Link, console: Console, *, is_dry: bool) -> str:
    done = "made" if link.before is None else "repointed"
    what = "is right" if link.is_right else f"would be {done}" if is_dry else done
    name, target = escape(locate(store.url, link.path)), escape(link.target)
    if not console.is_terminal:
        return f"{what}\t{name}\t{target}\n"
    what = what.ljust(len("would be repointed" if is_dry else "repointed"))
    room = console.width - len(what) - len("   -> ")
    shown = shorten(target, max(room // 2, room - measure(name)))
    return f"{what}  {shorten(name, room - measure(shown))} -> {shown}\n"
