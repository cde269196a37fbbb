"""``ckptctl config``: each setting and where it came from."""

from __future__ import annotations

import os

from ckptctl.cli import _options as opt
from ckptctl.cli._console import Console
from ckptctl.config import find_settings
from ckptctl.scan.targets import expand_globs

EXAMPLES = """
  ckptctl config
  ckptctl config runs/
  ckptctl config runs/ --json
"""


def command(paths: opt.Paths = None, json: opt.Json = False) -> None:
    """Show each setting and where it came from.

    A found file may only add protection; a policy in it counts when it is named: prune --policy NAME.
    """
    console, found = Console(), find_settings(expand_globs(paths), os.environ)
    if json:
        from ckptctl.render.json import config

        console.answer(config(found))
    else:
        from ckptctl.render.config import rows, screen

        console.answer(screen(found) if console.is_terminal else rows(found))
