"""The command line: the list of commands. Typer is not imported before one needs its parser."""

from __future__ import annotations

from importlib import import_module

COMMANDS = ("ls", "best", "last", "prune", "link", "export", "demo")
"""In the order of the help; each is ``ckptctl.cli.NAME`` with a function ``command``."""
ALIASES = {"list": "ls"}


def __getattr__(name: str) -> object:
    """The app, when someone asks for it: completions and the reference are generated from it."""
    if name != "app":
        raise AttributeError(f"module 'ckptctl.cli' has no attribute '{name}'")
    return import_module("ckptctl.cli.app").app
