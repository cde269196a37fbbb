"""``ckptctl prune``: plan what to keep, show it, ask, apply."""

from __future__ import annotations

from typing import Annotated

import typer

from ckptctl.cli import options as opt
from ckptctl.cli.console import Console
from ckptctl.cli.flags import Flags, takes_flags
from ckptctl.cli.look import Names, open_apart, read_options
from ckptctl.cli.pruning import Pruning, Terms, prune
from ckptctl.cli.retention import make_policy, read_size
from ckptctl.core.rules import TopK

EPILOG = """Examples:

\b
  ckptctl prune runs/ --top-k 3 --dry-run
  ckptctl prune runs/ --top-k 3 --monitor val_loss --mode min --keep-last 1
  ckptctl prune runs/ --keep-every 10epochs --yes --max-delete 50
"""


@takes_flags
def command(
    flags: Flags,
    paths: opt.Paths = None,
    dry_run: opt.DryRun = False,
    check: Annotated[bool, typer.Option("--check", help="As --dry-run; exit 10 if there is something to do.")] = False,
    yes: opt.Yes = False,
    trash: opt.Trash = False,
    trash_for: opt.TrashFor = None,
    allow_open: opt.AllowOpen = False,
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
    policy = make_policy(flags)
    console, stores = Console(color.value), open_apart(paths)
    if flags.monitor is not None and not any(isinstance(rule, TopK) for rule in policy.rules):
        console.warn("--monitor says what --top-k ranks by: without it, nothing is kept for its score")
    scanning = read_options(
        Names(template, layout, ext, equals),
        monitor=flags.monitor,
        exact=exact,
        resumable=not flags.no_protect_last,
        sure=True,
        now=min(it.clock() for it in stores),
    )
    terms = Terms(
        policy,
        is_dry=dry_run or check,
        is_check=check,
        has_consent=yes,
        max_delete=flags.max_delete,
        max_delete_size=read_size(flags.max_delete_size),
        strict=flags.strict,
        keeps=trash or trash_for is not None,
        keeps_for=opt.read_time(trash_for),
        takes_open=allow_open,
    )
    raise typer.Exit(prune(Pruning(stores, scanning, terms), console, json=json, verbose=bool(verbose)))
