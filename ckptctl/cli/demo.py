"""``ckptctl demo``: real small run folders, and the main commands on them."""

from __future__ import annotations

import shlex
from typing import Annotated

from typer import Argument, Exit

from ckptctl.cli._console import Console
from ckptctl.demo import write_demo
from ckptctl.render.text import escape

EXAMPLES = """
  ckptctl demo
  ckptctl demo /tmp/runs
"""


def command(
    folder: Annotated[str | None, Argument(metavar="[DIR]", help="A new folder; default: ckptctl-demo.")] = None,
) -> None:
    """Write small real runs, and show the commands on them."""
    from ckptctl.cli.main import run

    target = folder or "ckptctl-demo"
    console = Console()
    written = write_demo(target)
    console.answer([f"Wrote {len(written)} files below {escape(target.rstrip('/'))}/. Nothing else was touched.\n"])
    for argv in (
        ["ls", target],
        ["best", target, "--monitor", "val_loss"],
        ["prune", target, "--top-k", "2", "--monitor", "val_loss", "--mode", "min", "--dry-run"],
    ):
        console.answer([f"\n$ ckptctl {escape(shlex.join(argv))}\n"])
        code = run(argv)
        if code:
            raise Exit(code)
    console.answer([f"\nTry more: ckptctl --help. When done: {escape(shlex.join(['rm', '-r', target]))}\n"])
