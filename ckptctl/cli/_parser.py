"""Typer's part: it reads the command line and calls the command; its complaints become our errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import typer

from ckptctl.cli._app import app
from ckptctl.errors import UsageError

_CLICK_ERROR = cast("type[Exception]", typer.BadParameter.__mro__[2])
"""What the command line's own parser raises; Typer carries its own click since 0.26 and does not export the class."""


def parse_and_run(argv: Sequence[str]) -> int:
    """Run the command that a command line names; returns its exit code, raises UsageError and what commands raise."""
    try:
        return int(app(list(argv), prog_name="ckptctl", standalone_mode=False) or 0)
    except typer.Exit as stop:
        return int(stop.exit_code)
    except _CLICK_ERROR as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # a bare ckptctl: its message is the help
            typer.echo(_text_of(error))
            return 0
        raise _usage(error) from error


def _usage(error: BaseException) -> UsageError:
    """A parser's complaint, in our form."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "ckptctl"
    text = " ".join(_text_of(error).split()).rstrip(".")
    return UsageError(text[:1].lower() + text[1:], hint=f"see {command} --help")


def _text_of(error: BaseException) -> str:
    return str(error.format_message()) if hasattr(error, "format_message") else str(error)
