"""``ckptctl ls``: runs and their checkpoints."""

from __future__ import annotations

from typing import Annotated

from typer import Option

from ckptctl.cli import _options as opt
from ckptctl.cli._list_runs import ListOptions, list_runs
from ckptctl.scan.targets import NameOptions, fill_names

EXAMPLES = """
  ckptctl ls runs/
  ckptctl ls runs/ --sort val_loss --limit 5
  ckptctl ls runs/ -0 | xargs -0 du -ch
"""


def command(
    paths: opt.Paths = None,
    runs: Annotated[bool, Option("--runs", help="One row a run.")] = False,
    metrics: Annotated[bool, Option("--metrics", help="A column for every metric.")] = False,
    sort: Annotated[str, Option(metavar="KEY[:desc]", help="step, epoch, size, age, name or a metric.")] = "step",
    limit: Annotated[int | None, Option(metavar="N", min=0, help="At most N checkpoints of a run.")] = None,
    every: Annotated[bool, Option("--all", "-a", help="Also what holds weights and belongs to no series.")] = False,
    filters: opt.Filters = None,
    monitor: opt.Monitor = None,
    mode: opt.ModeOption = opt.ModeName.auto,
    exact: opt.Exact = False,
    explain_layout: Annotated[bool, Option("--explain-layout", help="By what each layout was recognised.")] = False,
    template: opt.TemplateText = None,
    layout: opt.LayoutName = None,
    ext: opt.Extensions = None,
    equals: opt.Equals = "=",
    include: opt.Includes = None,
    quiet: opt.Quiet = False,
    null: opt.Null = False,
    json: opt.Json = False,
    color: opt.Color = opt.ColorName.auto,
) -> None:
    """List runs and their checkpoints."""
    opt.refuse_together(json=json, quiet=quiet or null)
    opt.refuse_together(runs=runs, quiet=quiet or null)
    opt.refuse_together(explain_layout=explain_layout, quiet=quiet or null)
    opt.refuse_together(explain_layout=explain_layout, runs=runs)
    names = fill_names(NameOptions(template, layout, ext, equals, include), paths)
    listing = ListOptions(
        runs, metrics, sort, limit, monitor, mode.value, exact, names, quiet, null, json, color.value, explain_layout
    )
    list_runs(paths, listing._replace(filters=filters or (), every=every))
