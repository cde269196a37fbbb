"""Pins: small files next to checkpoints, named NAME.keep, that keep them whatever the rules say.

An empty one pins for ever; else it is JSON: ``{"until": "2026-12-24", "reason": "for the paper"}``, both may be left
out. One that cannot be understood pins for ever too, and a notice tells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from errno import EISDIR
from typing import TYPE_CHECKING, NamedTuple

from ckptctl.core.model import Note
from ckptctl.core.units import parse_moment, write_moment
from ckptctl.errors import CkptctlError, UsageError
from ckptctl.stores import read_whole

if TYPE_CHECKING:
    from ckptctl.core.model import Checkpoint, Entry
    from ckptctl.stores import ReadStore, Store

PIN = ".keep"
MOST_BYTES = 1 << 16
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


def attach_pins(
    store: ReadStore, files: Mapping[str, Entry], checkpoints: Sequence[Checkpoint], now: int
) -> tuple[list[Checkpoint], list[Note]]:
    """The checkpoints with the pins beside them, and what a person should know of those; ``now`` in nanoseconds."""
    notices: list[Note] = []
    return [_attach(store, it, files.get(it.path + PIN), now, notices) for it in checkpoints], notices


def _attach(store: ReadStore, checkpoint: Checkpoint, entry: Entry | None, now: int, notices: list[Note]) -> Checkpoint:
    if entry is None:
        return checkpoint
    try:
        found = _read(store, entry)
    except (OSError, CkptctlError) as error:
        found = Pin()
        why = error.text if isinstance(error, CkptctlError) else (error.strerror or str(error)).lower()
        notices.append(Note("unreadable-pin", path=entry.path, why=why))
    return checkpoint._replace(pinned=found.holds(now), pin=found.note(now))


def _read(store: ReadStore, entry: Entry) -> Pin:
    """What one says; raises OSError, Damaged, UsageError."""
    if entry.size == 0 or entry.kind != "file":
        return Pin()
    data = read_whole(store, entry.path, MOST_BYTES)
    if not data.strip():
        return Pin()
    from ckptctl.readers.json import read

    return read_pin(read(data))


def find_pin(store: ReadStore, checkpoint: str) -> Pin | None:
    """The pin of a checkpoint, for ever where it cannot be understood; None where there is none; raises OSError."""
    try:
        return _read(store, store.stat(checkpoint + PIN))
    except FileNotFoundError:
        return None
    except CkptctlError:
        return Pin()


def pin(store: Store, checkpoint: str, what: Pin) -> None:
    """Write the pin of a checkpoint, in one step, also in place of an older one; raises OSError."""
    from json import dumps

    told = write_pin(what)
    store.link(checkpoint + PIN, dumps(told) if told else "", "pointer")


def unpin(store: Store, checkpoint: str) -> bool:
    """Take the pin of a checkpoint away: False where there was none; raises OSError."""
    try:
        entry = store.stat(checkpoint + PIN)
    except FileNotFoundError:
        return False
    if entry.kind == "dir":
        raise IsADirectoryError(EISDIR, "a folder, which no pin is", entry.path)
    store.delete_exact(entry)
    return True
