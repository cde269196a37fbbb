"""Doing it again and again, beside a training that goes on."""

from __future__ import annotations

from collections.abc import Callable
from time import sleep

from ckptctl.cli._console import Console
from ckptctl.core.units import NANOSECONDS
from ckptctl.errors import CkptctlError, PathMissing, UsageError
from ckptctl.render.text import error_lines

SIGNALLED = 128
"""Exit codes from here on tell of a signal that came while something was being deleted."""
LEAST = 1
"""Seconds between two rounds."""


def repeat(once: Callable[[], int], pause: int, console: Console) -> int:
    """Call a command, and again after ``pause`` nanoseconds, until a signal; returns its exit code.

    What goes wrong in a round is told, and the next one tries again: a run without a checkpoint may have one then. Only
    a command line that cannot be obeyed, and a place that is not there at first, end it. A signal between two rounds
    ends it at once; one that comes while something is deleted, after the item in hand.
    """
    code = _do_once(once, console, (UsageError, PathMissing))
    while code < SIGNALLED:
        sleep(max(LEAST, pause / NANOSECONDS))
        code = _do_once(once, console, (UsageError,))
    return code


def _do_once(once: Callable[[], int], console: Console, final: tuple[type[CkptctlError], ...]) -> int:
    """One round; its exit code, also of an error, unless that is of a kind that ends it all."""
    try:
        return once()
    except final:
        raise
    except CkptctlError as error:
        console.remark(error_lines(error, error.done))
        return error.exit_code
