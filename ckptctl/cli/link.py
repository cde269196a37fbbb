"""``ckptctl link``: makes or repairs ``last`` and ``best`` links."""

from __future__ import annotations

from typing import Annotated

import typer

from ckptctl.cli import _options as opt
from ckptctl.cli._console import Console
from ckptctl.cli._linking import LinkOptions, link_all
from ckptctl.cli._targets import NameOptions, open_separate_stores, read_options
from ckptctl.errors import UsageError

EPILOG = """Examples:

\b
  ckptctl link runs/ --best --monitor val_loss
  ckptctl link runs/a --last --name latest
  ckptctl link runs/ --last --best --dry-run
"""


def command(
    paths: opt.Paths = None,
    last: Annotated[bool, typer.Option("--last", help="Link last to the newest.")] = False,
    best: Annotated[bool, typer.Option("--best", help="Link best to the best.")] = False,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Another name for the link.")] = None,
    kind: Annotated[opt.KindName, typer.Option(help="What to make.")] = opt.KindName.symlink,
    monitor: opt.Monitor = None,
    mode: opt.ModeOption = opt.ModeName.auto,
    threshold: opt.Threshold = None,
    dry_run: Annotated[bool, typer.Option("-n", "--dry-run", help="Show the links, make none.")] = False,
    template: opt.TemplateText = None,
    layout: opt.LayoutName = None,
    ext: opt.Extensions = None,
    equals: opt.Equals = "=",
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
    scanning = read_options(NameOptions(template, layout, ext, equals), monitor=monitor, sure=True)
    link_all(open_separate_stores(paths), scanning, linking, Console())
