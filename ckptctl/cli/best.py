"""``ckptctl best``: the best checkpoint's path."""

from __future__ import annotations

from typing import Annotated

import typer

from ckptctl.cli import options as opt
from ckptctl.cli.console import Console
from ckptctl.cli.look import Names, open_all, placed, read_options, require_whole, see
from ckptctl.core.filters import parse_filter
from ckptctl.errors import Refused, UsageError
from ckptctl.leaders import Contest, Leader, Leaders, Wish
from ckptctl.render.names import escape, locate
from ckptctl.render.rows import write_score

EPILOG = """Examples:

\b
  ckptctl best runs/ --monitor val_loss
  python train.py --resume "$(ckptctl best runs/a --monitor val_acc)"
  ckptctl best runs/ -k 3 --score
"""


def command(
    path: opt.Path = ".",
    places: Annotated[int, typer.Option("-k", "--top", metavar="N", help="How many; -1 for all.")] = 1,
    score: Annotated[bool, typer.Option("--score", help="The score beside each path.")] = False,
    link: Annotated[str | None, typer.Option("--link", metavar="NAME", help="Also link NAME to the best.")] = None,
    monitor: opt.Monitor = None,
    mode: opt.ModeOption = opt.ModeName.auto,
    threshold: opt.Threshold = None,
    filters: opt.Filters = None,
    exact: opt.Exact = False,
    template: opt.TemplateText = None,
    layout: opt.LayoutName = None,
    ext: opt.Extensions = None,
    equals: opt.Equals = "=",
    null: opt.Null = False,
    json: opt.Json = False,
) -> None:
    """Print the best checkpoint under PATH."""
    opt.refuse_together(json=json, null=null)
    opt.check_name(link)
    if places == 0:
        raise UsageError("-k 0 asks for nothing", hint="pass -k 1 or more, or -1 for all")
    console, stores = Console(), open_all([path])
    wanted = tuple(map(parse_filter, filters or ()))
    stat = any(it.needs_stat for it in wanted)
    scanning = read_options(Names(template, layout, ext, equals), monitor=monitor, exact=exact, stat=stat, sure=True)
    contest = Contest(Wish(places, monitor, mode.value, threshold, scanning.now, equals, wanted), path)
    for sight in see(stores, scanning._replace(is_worth=None if exact else contest.could_place), console):
        with placed(sight.store):
            contest.show(sight.store, sight.run)
    leaders = contest.close()
    warn_of_doubt(console, leaders, asked=mode)
    if json:
        from ckptctl.render.json import best

        console.answer(best((it.ranked for it in leaders.places), leaders.metric))
    else:
        console.hand_over((_show(it, score=score) for it in leaders.places), null=null)
    if link is not None:
        link_best(console, leaders.places[0], link)
    require_whole(console)


def _show(leader: Leader, *, score: bool) -> tuple[str, str]:
    path = locate(leader.store.url, leader.ranked.checkpoint.path)
    return path, f"\t{write_score(leader.ranked.score)}" if score else ""


def warn_of_doubt(console: Console, leaders: Leaders, *, asked: opt.ModeName) -> None:
    """Warn where the mode, the first place or the choice of the last may be a mistake."""
    from ckptctl.core.ranking import doubt_best, doubt_mode, tell_tie

    store, _, first = leaders.places[0]
    shown = first._replace(checkpoint=first.checkpoint._replace(path=locate(store.url, first.checkpoint.path)))
    name = leaders.metric.name
    tie = tell_tie(leaders.places[-1].ranked.score, name) if leaders.is_tied else None
    for doubt in filter(None, (doubt_mode(leaders.metric, asked.value), doubt_best(shown, name), tie)):
        console.warn(doubt)


def link_best(console: Console, leader: Leader, name: str) -> None:
    """Make the link in the leader's own run; raises Refused, OSError."""
    from ckptctl.links import make, plan_link

    store, run = leader.store, leader.run
    if store.read_only:
        raise Refused(store.read_only, id="read-only-store", path=store.url, done="no link was made")
    try:
        link = plan_link(store, run, name, leader.ranked.checkpoint)
    except Refused as error:
        error.path, error.done = locate(store.url, run.path), "no link was made"
        raise
    if link is not None and not link.is_right:
        make(store, link)
        console.remark(f"{escape(locate(store.url, link.path))} -> {escape(link.target)}")
