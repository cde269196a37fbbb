"""Progress of a long read: one line on standard error, in a terminal, from the second second on."""

from __future__ import annotations

import sys
from threading import Lock
from time import monotonic

from ckptctl.core.units import write_size

_SILENT = 1.0
"""Seconds in which nothing is shown."""
_BETWEEN = 0.2
"""Seconds between two drawings."""


class Progress:
    """Bytes and checkpoints that were read so far; told by any thread."""

    def __init__(self, done: str = "examined") -> None:
        self.done = done
        self.is_shown = sys.stderr.isatty()
        self.begun = monotonic()
        self._drawn = self.begun + _SILENT - _BETWEEN
        self._size = 0
        self._count = 0
        self._is_dirty = False
        self._lock = Lock()

    @property
    def seconds(self) -> float:
        """Since it began."""
        return monotonic() - self.begun

    def add(self, size: int) -> None:
        """Take note of bytes that have been read."""
        with self._lock:
            self._size += size
            self._draw()

    def count(self) -> None:
        """Take note of a checkpoint that is done."""
        with self._lock:
            self._count += 1
            self._draw()

    def clear(self) -> None:
        """Make room for what is to be written."""
        with self._lock:
            if self._is_dirty:
                sys.stderr.write("\r\x1b[K")
                sys.stderr.flush()
            self._is_dirty = False

    def _draw(self) -> None:
        now = monotonic()
        if not self.is_shown or now - self._drawn < _BETWEEN:
            return
        self._drawn, self._is_dirty = now, True
        read = f", {write_size(self._size)} read" if self._size else ""
        sys.stderr.write(f"\r\x1b[K{self._count} checkpoints {self.done}{read}")
        sys.stderr.flush()
