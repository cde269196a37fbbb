"""``ckptctl best``: the best checkpoint's path."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated

from typer import Option

from ckptctl.best import NO_SCORE, BestCheckpoint, BestQuery, BestResult, BestSearch
from ckptctl.cli import _options as opt
from ckptctl.cli._console import Console
from ckptctl.cli._targets import LocatedRun, require_all_listed, scan_stores
from ckptctl.core.filters import parse_filter
from ckptctl.core.model import Note
from ckptctl.errors import NotFound, Refused, UsageError
from ckptctl.render.columns import write_score
from ckptctl.render.text import escape, locate
from ckptctl.scan.runs import Options
from ckptctl.scan.targets import NameOptions, fill_names, locate_errors, open_stores, read_options
from ckptctl.stores import ReadStore, require_writable

EXAMPLES = """
  ckptctl best runs/ --monitor val_loss
  python train.py --resume "$(ckptctl best runs/a --monitor val_acc)"
  ckptctl best runs/ -k 3 --score
"""


def command(
    path: opt.Path = ".",
    places: Annotated[int, Option("-k", "--top", metavar="N", help="How many; -1 for all.")] = 1,
    score: Annotated[bool, Option("--score", help="The score beside each path.")] = False,
    link: Annotated[str | None, Option("--link", metavar="NAME", help="Also link NAME to the best.")] = None,
    monitor: opt.Monitor = None,
    mode: opt.ModeOption = opt.ModeName.auto,
    threshold: opt.Threshold = None,
    group_by: opt.Grouping = opt.GroupName.all,
    filters: opt.Filters = None,
    exact: opt.Exact = False,
    healthy: Annotated[bool, Option("--healthy", help="Pass over what 'verify' finds broken.")] = False,
    template: opt.TemplateText = None,
    layout: opt.LayoutName = None,
    ext: opt.Extensions = None,
    equals: opt.Equals = "=",
    include: opt.Includes = None,
    null: opt.Null = False,
    json: opt.Json = False,
) -> None:
    """Print the best checkpoint under PATH.

    Where no metric is known, print what training itself called best, with a note: by its tracker, a best link or name.
    """
    opt.refuse_together(json=json, null=null)
    opt.check_name(link)
    if places == 0:
        raise UsageError("-k 0 asks for nothing", hint="pass -k 1 or more, or -1 for all")
    console, stores = Console(), open_stores([path])
    wanted = tuple(map(parse_filter, filters or ()))
    stat = any(it.needs_stat for it in wanted)
    scanning = read_options(
        fill_names(NameOptions(template, layout, ext, equals, include), [path]),
        monitor=monitor,
        exact=exact,
        stat=stat,
        sure=True,
    )
    query = BestQuery(places, monitor, mode.value, threshold, scanning.now, equals, wanted, True, scanning.template)
    if group_by is opt.GroupName.all:
        search = BestSearch(query, path)
        worth = scanning._replace(is_worth=None if exact else search.could_place)
        found = [(path, _search(_scan(stores, worth, console, healthy=healthy), search))]
    else:
        found = search_by_group(_scan(stores, scanning, console, healthy=healthy), query, group_by, path, console)
    for _, result in found:
        print_doubts(console, result, asked=mode)
    if json:
        from ckptctl.render.json import best, bests

        rankings = [(group, it.metric, [each.ranked for each in it.places]) for group, it in found]
        console.answer(best(rankings[0][2], rankings[0][1]) if group_by is opt.GroupName.all else bests(rankings))
    else:
        console.hand_over((_show(it, score=score) for _, result in found for it in result.places), null=null)
    for _, result in found if link is not None else ():
        link_best(console, result.places[0], link or "")
    require_all_listed(console)


def _scan(stores: Sequence[ReadStore], scanning: Options, console: Console, *, healthy: bool) -> Iterator[LocatedRun]:
    """The runs; with ``healthy`` without those checkpoints that are not whole, or not harmless."""
    for located in scan_stores(stores, scanning, console):
        yield _keep_healthy(located) if healthy else located


def _keep_healthy(located: LocatedRun) -> LocatedRun:
    from ckptctl.scan.inspect import VerifyDepth, verify_checkpoint

    store, run = located
    kept = tuple(it for it in run.checkpoints if verify_checkpoint(store, it, VerifyDepth()).ok)
    return LocatedRun(store, run._replace(checkpoints=kept))


def _search(located_runs: Iterable[LocatedRun], search: BestSearch) -> BestResult:
    """The best of all runs; what cannot be among them is not read."""
    for located in located_runs:
        with locate_errors(located.store):
            search.show(located.store, located.run)
    return search.close()


def search_by_group(
    located_runs: Iterable[LocatedRun], query: BestQuery, by: opt.GroupName, path: str, console: Console
) -> list[tuple[str, BestResult]]:
    """The best of each group, with its path; one without a score is told; raises NotFound where none has any."""
    searches: dict[str, BestSearch] = {}
    for store, run in located_runs:
        group = opt.group_of(store.url, run.path, by)
        with locate_errors(store):
            searches.setdefault(group, BestSearch(query, group)).show(store, run)
    found, missing = [], []
    for group, search in searches.items():
        try:
            found.append((group, search.close()))
        except NotFound as error:
            missing.append(error)
    if not found:
        raise missing[0] if missing else _report_none(path, query)
    for problem in missing:
        console.warn(f"{problem.path}: {problem.text}: left out")
    return found


def _report_none(path: str, query: BestQuery) -> NotFound:
    from ckptctl.scan.seen_files import report_nothing_found

    return report_nothing_found([path], query.template)


def _show(best: BestCheckpoint, *, score: bool) -> tuple[str, str]:
    path = locate(best.store.url, best.ranked.checkpoint.path)
    said = "" if best.ranked.score is NO_SCORE else write_score(best.ranked.score)
    return path, f"\t{said}" if score else ""


def print_doubts(console: Console, result: BestResult, *, asked: opt.ModeName) -> None:
    """Warn where the mode, the first place or the choice of the last may be a mistake."""
    from ckptctl.core.ranking import find_best_doubt, find_mode_doubt, make_tie_note

    store, _, first = result.places[0]
    shown = first._replace(checkpoint=first.checkpoint._replace(path=locate(store.url, first.checkpoint.path)))
    if result.metric is None:
        console.warn(Note("own-best", why=result.why_own), shown.checkpoint.path)
        return
    name = result.metric.name
    tie = make_tie_note(result.places[-1].ranked.score, name) if result.is_tied else None
    for doubt in filter(None, (find_mode_doubt(result.metric, asked.value), find_best_doubt(shown, name), tie)):
        console.warn(doubt)


def link_best(console: Console, best: BestCheckpoint, name: str) -> None:
    """Make the link in the best one's own run; raises Refused, OSError."""
    from ckptctl.prune.best_last_links import make_link, plan_link

    store, run = best.store, best.run
    writable = require_writable(store, path=store.url, done="no link was made")
    try:
        link = plan_link(store, run, name, best.ranked.checkpoint)
    except Refused as error:
        error.path, error.done = locate(store.url, run.path), "no link was made"
        raise
    if link is not None and not link.is_right:
        make_link(writable, link)
        console.remark(f"{escape(locate(store.url, link.path))} -> {escape(link.target)}")
