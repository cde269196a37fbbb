"""The program: it runs a command line, and turns every error into one line, a hint and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TextIO

from ckptctl.cli._console import ReaderGone
from ckptctl.cli._list_runs import ListOptions, list_runs
from ckptctl.errors import CkptctlError, StorageFailed
from ckptctl.render.text import error_lines

INTERRUPTED = 130
CLOSED_PIPE = 141


def run(argv: list[str]) -> int:
    """Run a command line; returns the exit code."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:  # it was started without (``>&-``): the next file opened would pass for it
            setattr(sys, name, open(os.devnull, "r+", encoding="utf-8"))  # noqa: SIM115 - to the end
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        return _run(argv)
    except CkptctlError as error:
        return _print_error(error, argv)
    except ReaderGone:
        for stream in (sys.stdout, sys.stderr):
            _abandon(stream)
        return CLOSED_PIPE
    except KeyboardInterrupt:
        _leave_the_line()
        return INTERRUPTED
    except OSError as error:
        _abandon_output_if_stuck()
        return _print_error(StorageFailed(error.strerror or str(error), path=_path_of(error)), argv)


def _run(argv: Sequence[str]) -> int:
    if argv[:1] in (["ls"], ["list"]) and not any(word.startswith("-") for word in argv):
        # The commonest call of all, and it has no options: Typer would take two thirds of its time to read it.
        list_runs(argv[1:], ListOptions())
        return 0
    if argv[:1] == ["show"] and len(argv) == 2 and not argv[1].startswith("-"):  # noqa: PLR2004 - as above: a bare path
        from ckptctl.cli._show_checkpoint import ShowOptions, show_one

        return show_one(argv[1], ShowOptions())
    from ckptctl.cli._app import parse_and_run
    from ckptctl.cli._signals import Terminated, unwind_at_signals

    try:
        with unwind_at_signals():
            return parse_and_run(argv)
    except Terminated as stop:
        _leave_the_line()
        return stop.exit_code


def _print_error(error: CkptctlError, argv: Sequence[str]) -> int:
    sys.stdout.flush()
    if "--json" in argv:
        from ckptctl.render.json import error as error_json

        sys.stderr.write(error_json(error))
    else:
        sys.stderr.write(error_lines(error, error.done))
    return error.exit_code


def _leave_the_line() -> None:
    """Let the prompt stand on a line of its own, below the ``^C`` that the terminal shows."""
    try:
        if sys.stderr.isatty():
            sys.stderr.write("\n")
    except (OSError, ValueError):  # the terminal has gone
        return


def _path_of(error: OSError) -> str | None:
    return os.fsdecode(error.filename) if isinstance(error.filename, (str, bytes)) else None


def _abandon_output_if_stuck() -> None:
    """What cannot be written now, to a full disk, cannot be written at the end either."""
    try:
        sys.stdout.flush()
    except OSError:
        _abandon(sys.stdout)


def _abandon(stream: TextIO) -> None:
    """The reader has gone; keep the interpreter from saying so again when it flushes."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
