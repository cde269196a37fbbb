"""The one place that prints and asks: answers to standard output or a file, all else to standard error."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress

from ckptctl.core.model import Run, Text
from ckptctl.errors import CkptctlError, Refused, StorageFailed
from ckptctl.render.text import encode, escape, locate, warning
from ckptctl.stores import open_store, require_writable


class ReaderGone(Exception):
    """Nobody reads the answer any more; no OSError, for typer would catch that and end with 1."""


class Console:
    """What the two streams can show, and how to write to them."""

    def __init__(self, color: str = "auto") -> None:
        self.is_terminal = sys.stdout.isatty()
        can_color = os.environ.get("FORCE_COLOR") or (self.is_terminal and os.environ.get("TERM") != "dumb")
        self.has_color = bool(not os.environ.get("NO_COLOR") and can_color) if color == "auto" else color == "always"
        self.can_ask = sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()
        self.trouble = 0
        """How many things could not be read."""
        self.left_out: list[str] = []
        """Names of what holds weights and is in no series."""

    @property
    def width(self) -> int:
        """Columns of the terminal; 80 where it does not know, which Python 3.10 passes on as 0."""
        from shutil import get_terminal_size  # a tenth of a start, and a pipe never asks

        return get_terminal_size((80, 24)).columns or 80

    def answer(self, pieces: Iterable[str]) -> None:
        """Write an answer, piece by piece as it comes."""
        for piece in pieces:
            _write(piece)
        _write(flush=True)

    def hand_over(self, paths: Iterable[tuple[str, str]], *, null: bool) -> None:
        """Write paths for another program, each with what follows it: a line each, or their very bytes and a NUL.

        In lines, a name that would move the cursor or begin another line is escaped, and a warning says so.
        """
        if null:
            self._hand_over_bytes(paths)
            return
        escaped = 0
        for path, rest in paths:
            shown = escape(path)
            escaped += shown != path
            _write(f"{shown}{rest}\n")
        _write(flush=True)
        if escaped:
            names = "1 name is" if escaped == 1 else f"{escaped} names are"
            self.warn(f"{names} escaped here, and must not be used as written: -0 gives the exact bytes")

    def _hand_over_bytes(self, paths: Iterable[tuple[str, str]]) -> None:
        _write(flush=True)
        for path, rest in paths:
            _write_bytes(encode(path + rest) + b"\0")
        _write(flush=True)

    def remark(self, text: str) -> None:
        """Write a line about the answer, after what has been answered so far."""
        _write(flush=True)
        try:
            sys.stderr.write(text if text.endswith("\n") else text + "\n")
            sys.stderr.flush()
        except BrokenPipeError as error:
            raise ReaderGone from error

    def say(self, text: str) -> None:
        """Write a closing sentence: below the answer on a screen, beside it where the answer goes to a pipe."""
        if self.is_terminal:
            self.answer([text])
        else:
            self.remark(text)

    def warn(self, text: Text, where: str = "") -> None:
        """Write a warning line, of what is at a path."""
        self.remark(warning(text, where))

    def warn_of_run(self, root: str, run: Run) -> None:
        """Warn of what a person should know of a run."""
        for notice in run.notices:
            self.warn(notice, locate(root, run.path))
        self.trouble += not run.listed

    def ask(self, question: str) -> bool:
        """Whether the person says yes; an empty line and the end of input say no."""
        _write(flush=True)
        sys.stderr.write(f"{question} [y/N] ")
        sys.stderr.flush()
        try:
            return sys.stdin.readline().strip().lower() in ("y", "yes")
        except UnicodeDecodeError:
            return False


def _write(text: str = "", *, flush: bool = False) -> None:
    try:
        sys.stdout.write(text)
        if flush:
            sys.stdout.flush()
    except BrokenPipeError as error:
        raise ReaderGone from error


def _write_bytes(raw: bytes) -> None:
    try:
        sys.stdout.buffer.write(raw)
    except BrokenPipeError as error:
        raise ReaderGone from error


def refuse_without_consent(console: Console, ask: Callable[[], str], *, to: str, done: str) -> Refused | None:
    """Why nobody consents, if so; ``ask`` makes the question, ``to`` ends the hint for where nobody can be asked."""
    if not console.can_ask:
        return Refused("nobody to ask, and no --yes", id="no-consent", done=done, hint=f"pass --yes to {to}")
    if console.ask(ask()):
        return None
    return Refused("not confirmed", id="declined", done=done)


def write_whole(path: str, pieces: Iterable[str]) -> None:
    """Write beside the file, sync, and rename over it; raises StorageFailed, and then the old file is as it was."""
    temporary = f"{path}.{os.urandom(4).hex()}.tmp"
    try:
        with open(temporary, "x", encoding="utf-8", newline="") as file:
            file.writelines(pieces)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        _discard(temporary)
        text = f"cannot be written: {error.strerror or error}"
        raise StorageFailed(text, path=path, done="nothing was changed") from error
    except BaseException:
        _discard(temporary)
        raise


def _discard(temporary: str) -> None:
    """Remove the unfinished file, by the one function that removes anything."""
    folder, name = os.path.split(temporary)
    with suppress(OSError, CkptctlError):
        store = require_writable(open_store(folder or "."))
        store.delete_exact(store.stat(name))
