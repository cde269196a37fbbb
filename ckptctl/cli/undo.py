"""``ckptctl undo``: put back what a prune set aside."""

from __future__ import annotations

from typing import Annotated

from typer import Argument

from ckptctl.cli import _options as opt
from ckptctl.cli._console import Console
from ckptctl.cli.trash import split_arguments, undo_all
from ckptctl.prune.recovery import find_one_prune

EXAMPLES = """
  ckptctl undo runs/
  ckptctl undo 7f3a90c1
  ckptctl undo 7f3a90c1 runs/
"""

Words = Annotated[
    list[str] | None,
    Argument(metavar="[ID] [PATH]...", help="Which prune, and where; default: the newest, here."),
]


def command(words: Words = None, json: opt.Json = False) -> None:
    """Put back what a prune set aside.

    Everything goes to where it was, byte for byte, with its times. What is in the way stays.
    """
    txid, paths = split_arguments(words)
    undo_all(find_one_prune(txid, paths), Console(), json=json)
