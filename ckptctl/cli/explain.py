"""``ckptctl explain``: why a checkpoint stays or goes, rule by rule."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from typer import Option

from ckptctl.cli import _options as opt
from ckptctl.cli._console import Console
from ckptctl.cli._policy_flags import takes_flags
from ckptctl.cli._pruning import print_unshown
from ckptctl.core.retention.plan import explain
from ckptctl.prune.planning import PruneRequest, make_prune_job, plan_job
from ckptctl.prune.policy_options import PolicyOptions, configure
from ckptctl.scan.resolve import find_meant, follow_links, not_listed, path_below, split_place
from ckptctl.scan.targets import NameOptions
from ckptctl.stores import open_store

EXAMPLES = """
  ckptctl explain runs/a/epoch=3.ckpt --top-k 3 --keep-last 1
  ckptctl explain runs/a/epoch=3.ckpt --keep-daily 7 --in runs/a
"""


@takes_flags
def command(
    flags: PolicyOptions,
    checkpoint: opt.OneCheckpoint,
    root: Annotated[
        str | None, Option("--in", metavar="PATH", help="What prune would be called on; default: its folder.")
    ] = None,
    exact: opt.Exact = False,
    template: opt.TemplateText = None,
    layout: opt.LayoutName = None,
    ext: opt.Extensions = None,
    equals: opt.Equals = "=",
    include: opt.Includes = None,
    json: opt.Json = False,
) -> None:
    """Say why a checkpoint stays or goes, rule by rule.

    It takes the flags of prune, and changes nothing.
    """
    place = follow_links(checkpoint)
    where = root or split_place(place)[0]
    console, store = Console(), open_store(where)
    configured = configure(flags, [where])
    names = configured.read_names(NameOptions(template, layout, ext, equals, include))
    job = make_prune_job(PruneRequest(configured.flags, names, exact, configured.spared, configured.folders), [store])
    planned = plan_job(job, partial(print_unshown, console))
    runs = [run for run in planned.runs if run.checkpoints]
    found = find_meant(runs, path_below(where, place))
    if found is None:
        raise not_listed(checkpoint)
    explanation = explain(runs, planned.plan, job.scanning.now, found[1].path)
    if json:
        from ckptctl.render.json import explain as as_json

        console.answer(as_json(explanation))
    else:
        from ckptctl.render.plan import explain_rows, explain_screen

        show = explain_screen if console.is_terminal else explain_rows
        console.answer(show(explanation, root=store.url))
