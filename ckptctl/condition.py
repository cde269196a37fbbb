"""Whether a checkpoint is whole: proved by its format, told by its age, or in doubt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ckptctl.core.units import NANOSECONDS, write_age

if TYPE_CHECKING:
    from ckptctl.core.checkpoint import Checkpoint, Entry, State
    from ckptctl.core.layout import Layout
    from ckptctl.stores import Store

FORMAT_IS_SILENT = "its format does not say where it ends"
"""What the proof says of a file in which nothing is wrong, nor can be: legacy pickles."""
QUIET = 600 * NANOSECONDS
"""Younger than this, a checkpoint that nothing proves whole may still be in the writing."""


def judge(store: Store, layout: Layout, entries: Sequence[Entry], now: int) -> tuple[State, str | None]:
    """Whether a checkpoint is whole, and why not; one that nothing proves counts as whole once it is quiet.

    ``now`` in nanoseconds by the clock that stamps the files; the entries with their times.
    """
    age = now - max(entry.modified or 0 for entry in entries)
    written = f"written {write_age(age / NANOSECONDS)} ago"
    whole, why = _prove_folder(layout, entries) if layout.unit == "dir" else _prove_file(store, layout, entries[0])
    if whole is None and why is not None:
        return "unknown", why
    if whole or (whole is None and age >= QUIET):
        return "complete", None
    if age < QUIET:
        return "live", f"{why}, {written}" if why else written
    return ("partial" if layout.unit == "dir" else "damaged"), why


def _prove_file(store: Store, layout: Layout, entry: Entry) -> tuple[bool | None, str | None]:
    """Whether a file is whole; None with a reason where it is in doubt, None alone where its format does not tell."""
    if not layout.is_proved:
        return None, None
    from ckptctl.weights.wholeness import prove

    try:
        with store.open(entry.path) as source:
            proof = prove(source)
    except OSError as error:
        return None, f"cannot be read: {error.strerror or error}"
    return proof.whole, (None if proof.why == FORMAT_IS_SILENT else proof.why)


def _prove_folder(layout: Layout, entries: Sequence[Entry]) -> tuple[bool | None, str | None]:
    held = {entry.path.rpartition("/")[2] for entry in entries[1:]}
    missing = [name for name in layout.required if name not in held]
    if missing:
        return False, f"{missing[0]} is missing"
    return (True, None) if layout.required else (None, None)


def look_again(store: Store, checkpoint: Checkpoint) -> tuple[Entry, ...]:
    """A checkpoint's entries as they are now, with sizes, times and identities; raises FileNotFoundError, OSError."""
    top = store.stat(checkpoint.entries[0].path)
    if checkpoint.unit == "file":
        return (top,)
    inside = [
        entry
        for folder in store.walk(stat=True, enter=_only_around(top.path))
        for entry in folder.entries
        if entry.path.startswith(top.path + "/")
    ]
    return (top, *inside)


def _only_around(path: str) -> Callable[[str], bool]:
    """Whether a walk must enter a folder to see all of ``path``: it is above it, it, or below it."""
    return lambda folder: not folder or f"{path}/".startswith(f"{folder}/") or folder.startswith(f"{path}/")
