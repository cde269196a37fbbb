"""Where errors meet people: every error becomes one line, a hint and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import cast

import typer

from ckptctl.cli import app
from ckptctl.cli.console import ReaderGone
from ckptctl.errors import CkptctlError, StorageFailed, UsageError
from ckptctl.render.messages import error_lines

_CLICK_ERROR = cast("type[Exception]", typer.BadParameter.__mro__[2])
"""What the command line's own parser raises; Typer carries its own click since 0.26 and does not export the class."""
INTERRUPTED = 130
CLOSED_PIPE = 141


def run(argv: Sequence[str]) -> int:
    """Run a command line; returns the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        return _run(argv)
    except CkptctlError as error:
        return _tell(error, argv)
    except ReaderGone:
        _abandon_output()
        return CLOSED_PIPE
    except KeyboardInterrupt:
        return INTERRUPTED
    except OSError as error:
        _abandon_output_if_stuck()
        return _tell(StorageFailed(error.strerror or str(error), path=_path_of(error)), argv)


def _run(argv: Sequence[str]) -> int:
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


def _tell(error: CkptctlError, argv: Sequence[str]) -> int:
    sys.stdout.flush()
    if "--json" in argv:
        from ckptctl.render.json import error as error_json

        sys.stderr.write(error_json(error))
    else:
        sys.stderr.write(error_lines(error, error.done))
    return error.exit_code


def _path_of(error: OSError) -> str | None:
    return os.fsdecode(error.filename) if isinstance(error.filename, (str, bytes)) else None


def _abandon_output_if_stuck() -> None:
    """What cannot be written now, to a full disk, cannot be written at the end either."""
    try:
        sys.stdout.flush()
    except OSError:
        _abandon_output()


def _abandon_output() -> None:
    """The reader has gone; keep the interpreter from saying so again when it flushes."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
