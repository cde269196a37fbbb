"""A pseudo-terminal to run programs in, as a person would."""

from __future__ import annotations

import fcntl
import os
import re
import select
import struct
import subprocess
import termios
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import monotonic

ESCAPES = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[()][0-9A-B]|[=>78DEHM])|\x07|\x0f|\x00")
"""Colours, titles, cursor moves, bells."""


class Terminal:
    """A program in a terminal of its own."""

    def __init__(
        self, command: Sequence[str], *, cwd: Path, env: Mapping[str, str], columns: int = 100, lines: int = 40
    ) -> None:
        self._side, other = os.openpty()
        fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        opens = ["/bin/sh", "-c", 'exec "$@" <"$0"', os.ttyname(other)]  # by name: so it controls the session, for ^C
        self.process = subprocess.Popen(
            [*opens, *command], stdin=other, stdout=other, stderr=other, cwd=cwd, env=dict(env), start_new_session=True
        )
        os.close(other)
        self._raw = b""

    @property
    def text(self) -> str:
        """All that was written so far, as plain lines."""
        return ESCAPES.sub("", self._raw.decode(errors="replace")).replace("\r\n", "\n")

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._side, keys.encode())

    def wait_for(self, pattern: str, *, start: int = 0, seconds: float = 120) -> str:
        """The text from ``start`` on, once it holds the pattern; raises TimeoutError with what came instead."""
        until = monotonic() + seconds
        while not re.search(pattern, self.text[start:]):
            if monotonic() > until or not self._read(until):
                message = f"no {pattern!r} in: {self.text[start:]!r}"
                raise TimeoutError(message)
        return self.text[start:]

    def finish(self, answers: Mapping[str, str] | None = None, *, seconds: float = 300) -> tuple[int, str]:
        """Let the program end, answering its questions; its exit code and all that it wrote."""
        until = monotonic() + seconds
        waiting = dict(answers or {})
        while self._read(until):
            for question in [each for each in waiting if self.text.rstrip(" ").endswith(each)]:
                self.type(waiting.pop(question))
        return self.process.wait(max(0.1, until - monotonic())), self.text

    def close(self) -> None:
        """End the program if it runs."""
        self.process.kill()
        self.process.wait()
        os.close(self._side)

    def __enter__(self) -> Terminal:  # noqa: PYI034 - Self came with Python 3.11
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self, until: float) -> bool:
        """Take in what came; False when the program has closed the terminal or the time is over."""
        ready, _, _ = select.select([self._side], [], [], max(0, until - monotonic()))
        if not ready:
            return False
        try:
            got = os.read(self._side, 65536)
        except OSError:  # how Linux says that nobody is at the other side any more
            return False
        self._raw += got
        return bool(got)
