"""The one place that prints: answers to standard output, everything about them to standard error."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from shutil import get_terminal_size

from ckptctl.render.messages import warning


class Console:
    """What the two streams can show, and how to write to them."""

    def __init__(self, color: str = "auto") -> None:
        self.is_terminal = sys.stdout.isatty()
        self.has_color = _has_color(color, terminal=self.is_terminal)
        self.can_ask = sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()
        self.trouble = 0
        """How many things could not be read."""

    @property
    def width(self) -> int:
        """Columns of the terminal."""
        return get_terminal_size((80, 24)).columns

    def answer(self, pieces: Iterable[str]) -> None:
        """Write an answer, piece by piece as it comes."""
        for piece in pieces:
            sys.stdout.write(piece)
        sys.stdout.flush()

    def remark(self, text: str) -> None:
        """Write a line about the answer, after what has been answered so far."""
        sys.stdout.flush()
        sys.stderr.write(text if text.endswith("\n") else text + "\n")
        sys.stderr.flush()

    def say(self, text: str) -> None:
        """Write a closing sentence: below the answer on a screen, beside it where the answer goes to a pipe."""
        if self.is_terminal:
            self.answer([text])
        else:
            self.remark(text)

    def warn(self, text: str) -> None:
        """Write a warning line."""
        self.remark(warning(text))

    def ask(self, question: str) -> bool:
        """Whether the person says yes; an empty line and the end of input say no."""
        sys.stdout.flush()
        sys.stderr.write(f"{question} [y/N] ")
        sys.stderr.flush()
        return sys.stdin.readline().strip().lower() in ("y", "yes")


def _has_color(asked: str, *, terminal: bool) -> bool:
    if asked != "auto":
        return asked == "always"
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (terminal and os.environ.get("TERM") != "dumb")


def lines(items: Iterable[str], *, ends: str = "\n") -> Iterator[str]:
    """Each item with its end."""
    return (item + ends for item in items)
