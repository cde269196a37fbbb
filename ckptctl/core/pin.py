"""A pin: that a checkpoint stays whatever the rules say, until when, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ckptctl.core.dates import parse_moment, write_moment
from ckptctl.core.model import Note
from ckptctl.errors import UsageError

KEYS = ("until", "reason")


class Pin(NamedTuple):
    """What a ``NAME.keep`` file says."""

    until: int | None = None
    """Nanoseconds since 1970, by the file server's clock; None: for ever."""
    reason: str | None = None

    def holds(self, now: int) -> bool:
        """Whether it has not passed."""
        return self.until is None or now < self.until

    def extend(self, other: Pin) -> Pin:
        """Both together: until the later moment, and for the other's reason if it has one."""
        moments = [it.until for it in (self, other) if it.until is not None]
        return Pin(max(moments) if len(moments) > 1 else None, other.reason or self.reason)

    def note(self, now: int) -> Note:
        """What to know of it: until when, and why, or that it has passed."""
        until = None if self.until is None else write_moment(self.until)
        if self.holds(now):
            return Note("pinned", until=until, reason=self.reason)
        return Note("pin-passed", until=until, reason=self.reason)


def read_pin(values: object) -> Pin:
    """A pin from what its file holds; raises UsageError where it is not what a pin says."""
    if not isinstance(values, Mapping):
        raise UsageError("it holds no object with 'until' and 'reason'")
    unknown = sorted(str(key) for key in values if key not in KEYS)
    if unknown:
        raise UsageError(f"nobody knows what its '{unknown[0]}' means")
    until, reason = (values.get(key) for key in KEYS)
    if not isinstance(until, str | None) or not isinstance(reason, str | None):
        raise UsageError("its 'until' and 'reason' must be texts")
    return Pin(None if until is None else parse_moment(until), reason)


def write_pin(pin: Pin) -> dict[str, str]:
    """What its file holds; empty of one for ever and without a reason."""
    until = {} if pin.until is None else {"until": write_moment(pin.until)}
    return until | ({"reason": pin.reason} if pin.reason else {})
