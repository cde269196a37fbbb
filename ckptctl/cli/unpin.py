"""``ckptctl unpin``: remove pins."""

from __future__ import annotations

from ckptctl.cli import _options as opt
from ckptctl.cli._console import Console
from ckptctl.cli.pin import UNCHANGED
from ckptctl.errors import NotFound
from ckptctl.render.text import escape, locate
from ckptctl.scan.pins import unpin
from ckptctl.scan.resolve import resolve_listed
from ckptctl.scan.targets import NameOptions, read_options
from ckptctl.stores import require_writable

EXAMPLES = """
  ckptctl unpin runs/a/epoch=3.ckpt
  ckptctl unpin runs/a/checkpoint-*
"""


def command(checkpoints: opt.Checkpoints, layout: opt.LayoutName = None, ext: opt.Extensions = None) -> None:
    """Let checkpoints go by the rules again.

    Nothing is deleted but the pin. One that is not pinned is told; where none is, the exit code is 4.
    """
    console, found = Console(), resolve_listed(checkpoints, read_options(NameOptions(None, layout, ext)))
    count = 0
    for one in found:
        store = require_writable(one.store, path=one.store.url, done=UNCHANGED)
        shown = escape(locate(store.url, one.checkpoint.path))
        is_done = unpin(store, one.checkpoint.path)
        count += is_done
        console.say(f"{shown}: {'no longer pinned' if is_done else 'was not pinned'}\n")
    if not count:
        raise NotFound("none of them is pinned", id="not-pinned", hint="ckptctl ls tells what is")
