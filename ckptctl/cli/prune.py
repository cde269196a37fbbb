"""``ckptctl prune``: plan what to keep, show it, ask, apply."""

from __future__ import annotations

from typing import Annotated

import typer

from ckptctl.cli import options as opt
from ckptctl.cli.console import Console
from ckptctl.cli.look import Names, open_apart, read_options
from ckptctl.cli.pruning import Pruning, Terms, prune
from ckptctl.cli.retention import Keeping, make_policy
from ckptctl.core.policy import TopK
from ckptctl.core.units import NANOSECONDS, parse_duration

EPILOG = """Examples:

\b
  ckptctl prune runs/ --top-k 3 --dry-run
  ckptctl prune runs/ --top-k 3 --monitor val_loss --mode min --keep-last 1
  ckptctl prune runs/ --keep-every 10epochs --yes --max-delete 50
"""


def command(
    paths: opt.Paths = None,
    top_k: Annotated[int | None, typer.Option("--top-k", metavar="N", help="Keep the N best; -1 keeps all.")] = None,
    keep_best: Annotated[
        list[str] | None, typer.Option(metavar="METRIC[:MODE]=N", help="Keep the N best by METRIC; repeatable.")
    ] = None,
    keep_last: Annotated[int | None, typer.Option(metavar="N", help="Keep the N newest.")] = None,
    keep_every: Annotated[
        list[str] | None, typer.Option(metavar="N[steps|epochs]", help="Keep one at every N; repeatable.")
    ] = None,
    keep_step: Annotated[list[str] | None, typer.Option(metavar="S,...", help="Keep these steps.")] = None,
    keep: Annotated[list[str] | None, typer.Option(metavar="GLOB", help="Keep names that match; repeatable.")] = None,
    monitor: opt.Monitor = None,
    mode: opt.ModeOption = opt.ModeName.auto,
    threshold: opt.Threshold = None,
    tie: Annotated[str, typer.Option(metavar="WHICH", help="Of equal scores: earliest or latest.")] = "earliest",
    drop_unranked: Annotated[bool, typer.Option("--drop-unranked", help="Let checkpoints without a score go.")] = False,
    no_protect_last: Annotated[bool, typer.Option("--no-protect-last", help="Let the newest go.")] = False,
    min_age: Annotated[str, typer.Option(metavar="TIME", help="Leave younger ones alone: auto, 10m, 2h.")] = "auto",
    strict: Annotated[bool, typer.Option("--strict", help="Exit 3 when some run lacks the metric.")] = False,
    dry_run: Annotated[bool, typer.Option("-n", "--dry-run", help="Show the plan, change nothing.")] = False,
    check: Annotated[bool, typer.Option("--check", help="As --dry-run; exit 10 if there is something to do.")] = False,
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Do not ask.")] = False,
    max_delete: Annotated[int | None, typer.Option(metavar="N", min=0, help="Refuse a plan that takes more.")] = None,
    trash: Annotated[bool, typer.Option("--trash", help="Set aside instead of delete: 'undo' puts it back.")] = False,
    trash_for: Annotated[str | None, typer.Option(metavar="TIME", help="As --trash, for so long: 7d.")] = None,
    allow_open: Annotated[
        bool, typer.Option("--allow-open", help="Let also those go that a process is reading.")
    ] = False,
    exact: opt.Exact = False,
    template: opt.TemplateText = None,
    layout: opt.LayoutName = None,
    ext: opt.Extensions = None,
    equals: opt.Equals = "=",
    json: opt.Json = False,
    color: opt.Color = opt.ColorName.auto,
    verbose: opt.Verbose = 0,
) -> None:
    """Plan what to keep, show it, ask, delete the rest.

    Rules add up: what any of them keeps stays. Always kept: what a link names, and the newest that can resume.
    """
    opt.refuse_together(yes=yes, dry_run=dry_run)
    opt.refuse_together(yes=yes, check=check)
    flags = Keeping(top_k, keep_best, keep_last, keep_every, keep_step, keep, monitor, mode.value)
    policy = make_policy(
        flags,
        threshold=threshold,
        tie=tie,
        drop_unranked=drop_unranked,
        protect_last=not no_protect_last,
        min_age=min_age,
    )
    console, stores = Console(color.value), open_apart(paths)
    if monitor is not None and not any(isinstance(rule, TopK) for rule in policy.rules):
        console.warn("--monitor says what --top-k ranks by: without it, nothing is kept for its score")
    scanning = read_options(
        Names(template, layout, ext, equals),
        monitor=monitor,
        exact=exact,
        resumable=not no_protect_last,
        sure=True,
        now=min(it.clock() for it in stores),
    )
    terms = Terms(
        policy,
        is_dry=dry_run or check,
        is_check=check,
        has_consent=yes,
        max_delete=max_delete,
        strict=strict,
        keeps=trash or trash_for is not None,
        keeps_for=None if trash_for is None else parse_duration(trash_for) * NANOSECONDS,
        takes_open=allow_open,
    )
    raise typer.Exit(prune(Pruning(stores, scanning, terms), console, json=json, verbose=bool(verbose)))
