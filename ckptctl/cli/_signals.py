"""Signals while something is being deleted: the item in hand is finished first."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

WATCHED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopSignal:
    """Whether a signal asked to stop, and which."""

    def __init__(self) -> None:
        self.number: int | None = None

    def __call__(self) -> bool:
        """Whether to stop."""
        return self.number is not None

    def note(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the form of a handler
        """Remember a signal; a second one of the terminal's leaves at once, between two system calls."""
        if self.number is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.number = number

    @property
    def exit_code(self) -> int:
        """As a shell counts: 128 and the signal's number."""
        return 128 + (self.number or 0)


@contextmanager
def defer_signals() -> Iterator[StopSignal]:
    """Note signals instead of dying of them; the handlers are put back at the end. Under nohup they stay ignored."""
    stop = StopSignal()
    heard = [number for number in WATCHED if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, stop.note) for number in heard}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
