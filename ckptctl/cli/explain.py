"""``ckptctl explain``: why a checkpoint stays or goes, rule by rule."""

from __future__ import annotations

from typing import Annotated

import typer

from ckptctl.cli import _options as opt
from ckptctl.cli._configured import configure
from ckptctl.cli._console import Console
from ckptctl.cli._planning import PruneJob, PruneOptions, plan_stores
from ckptctl.cli._policy import make_policy
from ckptctl.cli._policy_flags import Flags, takes_flags
from ckptctl.cli._resolve import OneCheckpoint
from ckptctl.cli._targets import NameOptions, read_options
from ckptctl.core.retention.explain import explain
from ckptctl.scan.resolve import find_meant, follow_links, not_listed, path_below, split_place
from ckptctl.stores import open_store

EPILOG = """Examples:

\b
  ckptctl explain runs/a/epoch=3.ckpt --top-k 3 --keep-last 1
  ckptctl explain runs/a/epoch=3.ckpt --keep-daily 7 --in runs/a
"""


@takes_flags
def command(
    flags: Flags,
    checkpoint: OneCheckpoint,
    root: Annotated[
        str | None, typer.Option("--in", metavar="PATH", help="What prune would be called on; default: its folder.")
    ] = None,
    exact: opt.Exact = False,
    template: opt.TemplateText = None,
    layout: opt.LayoutName = None,
    ext: opt.Extensions = None,
    equals: opt.Equals = "=",
    json: opt.Json = False,
) -> None:
    """Say why a checkpoint stays or goes, rule by rule.

    It takes the flags of prune, and changes nothing.
    """
    place = follow_links(checkpoint)
    where = root or split_place(place)[0]
    console, store = Console(), open_store(where)
    configured = configure(flags, [where])
    flags = configured.flags
    policy = make_policy(flags, spared=configured.spared)
    names = NameOptions(template, layout, ext, equals)
    resumable = not flags.no_protect_last
    scanning = read_options(
        names, monitor=flags.monitor, exact=exact, resumable=resumable, sure=True, now=store.clock()
    )
    pruning = PruneJob([store], scanning, PruneOptions(policy, is_dry=True))
    draft = plan_stores(pruning, console)
    runs = [run for run in draft.runs if run.checkpoints]
    found = find_meant(runs, path_below(where, place))
    if found is None:
        raise not_listed(checkpoint)
    explanation = explain(runs, draft.plan, scanning.now, found[1].path)
    if json:
        from ckptctl.render.json import explain as as_json

        console.answer(as_json(explanation))
    else:
        from ckptctl.render.plan import explain_rows, explain_screen

        show = explain_screen if console.is_terminal else explain_rows
        console.answer(show(explanation, root=store.url))
