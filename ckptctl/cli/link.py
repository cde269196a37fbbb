"""``ckptctl link``: makes or repairs ``last`` and ``best`` links."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from typing import Annotated, NamedTuple

from typer import Option

from ckptctl.cli import _options as opt
from ckptctl.cli._console import Console
from ckptctl.cli._targets import LocatedRun, print_restart_warning, require_all_listed, require_found, scan_stores
from ckptctl.core.model import Checkpoint, Note
from ckptctl.core.ranking import (
    Metric,
    Ranked,
    choose_metric,
    find_best_doubt,
    find_mode_doubt,
    in_save_order,
    make_tie_note,
    rank,
)
from ckptctl.errors import NoScore, PartlyDone, Refused, UsageError
from ckptctl.prune.best_last_links import LinkPlan, LinkType, make_link, plan_link
from ckptctl.render.text import escape, locate, measure, shorten
from ckptctl.scan.metrics.collect import resolve_ties
from ckptctl.scan.runs import Options
from ckptctl.scan.targets import NameOptions, locate_errors, open_separate_stores, read_options
from ckptctl.stores import ReadStore, require_writable

EXAMPLES = """
  ckptctl link runs/ --best --monitor val_loss
  ckptctl link runs/a --last --name latest
  ckptctl link runs/ --last --best --dry-run
"""


def command(
    paths: opt.NamedPaths = None,
    last: Annotated[bool, Option("--last", help="Link last to the newest.")] = False,
    best: Annotated[bool, Option("--best", help="Link best to the best.")] = False,
    name: Annotated[str | None, Option(metavar="NAME", help="Another name for the link.")] = None,
    kind: Annotated[opt.KindName, Option(help="What to make.")] = opt.KindName.symlink,
    monitor: opt.Monitor = None,
    mode: opt.ModeOption = opt.ModeName.auto,
    threshold: opt.Threshold = None,
    dry_run: Annotated[bool, Option("-n", "--dry-run", help="Show the links, make none.")] = False,
    template: opt.TemplateText = None,
    layout: opt.LayoutName = None,
    ext: opt.Extensions = None,
    equals: opt.Equals = "=",
    include: opt.Includes = None,
) -> None:
    """Make or repair last and best links.

    One of each a run; a link that is right is left alone. A file or folder that has the name is never replaced.
    """
    if not (last or best):
        raise UsageError("nothing to link", hint="pass --last, --best or both")
    if name is not None and last and best:
        raise UsageError("--name with both --last and --best names two links alike", hint="make them one by one")
    opt.check_name(name)
    linking = LinkOptions(last, best, name, kind.value, monitor, mode.value, threshold, is_dry=dry_run)
    scanning = read_options(NameOptions(template, layout, ext, equals, include), monitor=monitor, sure=True)
    link_all(open_separate_stores(paths), scanning, linking, Console())


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
    located_runs = list(scan_stores(stores, scanning, console))
    require_found(located_runs, stores, template=scanning.template)
    wanted = []
    for located in located_runs:
        with locate_errors(located.store):
            wanted += [(located, name, found) for name, found in _wanted(located, options, console)]
    if not wanted:
        raise NoScore("no run has a checkpoint to link", path=stores[0].url, hint="see what there is with ckptctl ls")
    failed = [problem for located, name, found in wanted if (problem := _link(located, name, found, options, console))]
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
        console.warn(doubt, locate(located.store.url, located.run.path))
    return ranked[0].checkpoint if ranked else None


def _doubts(ranked: Sequence[Ranked], metric: Metric, asked: str) -> Iterator[Note]:
    """Why the best may be another one."""
    if not ranked:
        return
    first = ranked[0]
    yield from filter(None, (find_mode_doubt(metric, asked), find_best_doubt(first, metric.name)))
    if any(it.score.value == first.score.value for it in ranked[1:2]):
        yield make_tie_note(first.score, metric.name)


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
