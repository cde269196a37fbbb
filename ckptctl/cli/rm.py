"""``ckptctl rm``: delete checkpoints by name, through the same guards as a prune."""

from __future__ import annotations

from collections.abc import Sequence
from os.path import islink, normpath, split
from typing import Annotated

import typer

from ckptctl.cli import _options as opt
from ckptctl.cli._console import Console
from ckptctl.cli._pruning import PruneConsent, prune
from ckptctl.cli._targets import NameOptions, open_stores, read_options
from ckptctl.core.model import relocate_path
from ckptctl.core.retention.policy import Policy
from ckptctl.core.retention.rules import KeepOthers
from ckptctl.errors import Refused
from ckptctl.prune.planning import PruneJob
from ckptctl.prune.policy_options import PolicyOptions, configure, read_min_age, read_size
from ckptctl.stores import Store

EPILOG = """Examples:

\b
  ckptctl rm runs/a/epoch=3.ckpt
  ckptctl rm runs/a/checkpoint-500 runs/a/checkpoint-1000 --trash
"""

Checkpoints = Annotated[list[str], typer.Argument(metavar="CKPT...", help="Files, folders, or what several share.")]
EmptyRun = Annotated[
    bool, typer.Option("--empty-run", help="Let a run lose its last complete checkpoint.", show_default=False)
]


def command(
    checkpoints: Checkpoints,
    dry_run: opt.DryRun = False,
    yes: opt.Yes = False,
    trash: opt.Trash = False,
    trash_for: opt.TrashFor = None,
    allow_open: opt.AllowOpen = False,
    empty_run: EmptyRun = False,
    layout: opt.LayoutName = None,
    ext: opt.Extensions = None,
    json: opt.Json = False,
    color: opt.Color = opt.ColorName.auto,
) -> None:
    """Delete checkpoints by name, through the same guards.

    All of them or none: what a link names, what is pinned and what is being written is refused.
    """
    opt.refuse_together(yes=yes, dry_run=dry_run)
    stores = open_stores([split(_place(it))[0] or "." for it in checkpoints])
    configured = configure(PolicyOptions(), [it.url for it in stores])
    policy = policy_for_named(checkpoints, stores)._replace(
        may_empty=empty_run, spared=configured.spared, min_age=read_min_age(configured.flags.min_age or "auto")
    )
    keeps, keeps_for = configured.choose_trash(trash=trash, trash_for=trash_for)
    scanning = read_options(NameOptions(None, layout, ext, "="), sure=True, now=min(it.clock() for it in stores))
    limits = configured.flags
    job = PruneJob(stores, scanning, policy, limits.max_delete, read_size(limits.max_delete_size))
    consent = PruneConsent(
        is_dry=dry_run, has_consent=yes, keeps=keeps, keeps_for=keeps_for, takes_open=allow_open, command="rm"
    )
    raise typer.Exit(prune(job, consent, Console(color.value), json=json, verbose=True))


def policy_for_named(checkpoints: Sequence[str], stores: Sequence[Store]) -> Policy:
    """The policy that lets go what is named, by its paths as a plan of these stores has them; raises Refused."""
    for path in checkpoints:
        if islink(_place(path)):
            text = "is a link, and no checkpoint itself"
            raise Refused(text, path=path, id="is-link", done="nothing was deleted", hint="name what it leads to")
    places = [split(_place(it)) for it in checkpoints]
    several = len(stores) > 1
    named = frozenset(relocate_path(name, folder or ".") if several else name for folder, name in places)
    return Policy((KeepOthers(named),), protect_last=False, named=named)


def _place(path: str) -> str:
    """A path without a slash at its end, as a shell adds one to a folder's name."""
    return path if "://" in path else normpath(path)
