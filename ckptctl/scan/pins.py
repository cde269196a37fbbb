"""Pins: small files beside checkpoints, named like them with ``.keep`` behind, that keep them whatever the rules say.

An empty one pins for ever; else it is JSON: ``{"until": "2026-12-24", "reason": "for the paper"}``, both may be left
out. One that cannot be understood pins for ever too, and a notice tells.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from errno import EISDIR
from typing import TYPE_CHECKING

from ckptctl.errors import CkptctlError
from ckptctl.stores import read_whole

if TYPE_CHECKING:
    from ckptctl.core.model import Checkpoint, Entry
    from ckptctl.core.pin import Pin  # most runs have none, and dates take a while to import
    from ckptctl.stores import ReadStore, Store

PIN = ".keep"
MOST_BYTES = 1 << 16


def attach_pins(
    store: ReadStore, entries: Iterable[Entry], checkpoints: Sequence[Checkpoint], now: int
) -> tuple[list[Checkpoint], list[str]]:
    """The checkpoints with the pins beside them, and what a person should know of those; ``now`` in nanoseconds."""
    files = {entry.path: entry for entry in entries if entry.path.endswith(PIN)}
    notices: list[str] = []
    if not files:
        return list(checkpoints), notices
    return [_attach(store, it, files.get(it.path + PIN), now, notices) for it in checkpoints], notices


def _attach(store: ReadStore, checkpoint: Checkpoint, entry: Entry | None, now: int, notices: list[str]) -> Checkpoint:
    if entry is None:
        return checkpoint
    from ckptctl.core.pin import Pin

    try:
        found = _read(store, entry)
    except (OSError, CkptctlError) as error:
        found = Pin()
        notices.append(f"{entry.path} is taken for a pin for ever: {_reason(error)}")
    return checkpoint._replace(pinned=found.holds(now), pin=found.describe(now))


def _reason(error: OSError | CkptctlError) -> str:
    return error.text if isinstance(error, CkptctlError) else (error.strerror or str(error)).lower()


def _read(store: ReadStore, entry: Entry) -> Pin:
    """What one says; raises OSError, Damaged, UsageError."""
    from ckptctl.core.pin import Pin, read_pin

    if entry.size == 0 or entry.kind != "file":
        return Pin()
    data = read_whole(store, entry.path, MOST_BYTES)
    if not data.strip():
        return Pin()
    from ckptctl.readers.json import read

    return read_pin(read(data))


def find_pin(store: ReadStore, checkpoint: str) -> Pin | None:
    """The pin of a checkpoint, for ever where it cannot be understood; None where there is none; raises OSError."""
    from ckptctl.core.pin import Pin

    try:
        return _read(store, store.stat(checkpoint + PIN))
    except FileNotFoundError:
        return None
    except CkptctlError:
        return Pin()


def pin(store: Store, checkpoint: str, what: Pin) -> None:
    """Write the pin of a checkpoint, in one step, also in place of an older one; raises OSError."""
    from json import dumps

    from ckptctl.core.pin import write_pin

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
