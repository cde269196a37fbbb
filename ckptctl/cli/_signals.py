"""Signals: what is half written is removed on the way out; while something is deleted, the item in hand is finished."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

WATCHED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Terminated(BaseException):
    """A signal that ends the program, on its way out through everything that must be put in order."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.exit_code = 128 + number


@contextmanager
def unwind_at_signals() -> Iterator[None]:
    """Leave by an exception where a signal would end the process at once; one that is ignored, or handled, stays so."""
    usual = (signal.SIG_DFL, signal.default_int_handler)
    before: dict[int, Any] = {number: it for number in WATCHED if (it := signal.getsignal(number)) in usual}
    _handle(dict.fromkeys(before, _unwind))
    try:
        yield
    finally:
        _handle(before)


def _handle(handlers: Mapping[int, Any]) -> None:
    with suppress(ValueError):  # not the main thread, where nothing is handled
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _unwind(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the form of a handler
    raise Terminated(number)


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
