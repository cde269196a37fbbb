"""One prune at a time in a root; who holds the lock is shown to whoever comes second."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

from ckptctl.core.units import write_moment
from ckptctl.errors import Locked, StorageFailed, Unfinished
from ckptctl.stores import PRIVATE, LockHolder

if TYPE_CHECKING:
    from ckptctl.stores import Store

LOCK = f"{PRIVATE}/lock"
NOTHING = "nothing was changed"
_TRIES = 100
_BOOT = "/proc/sys/kernel/random/boot_id"
_SPACE = "/proc/self/ns/pid"


class LockOwner(NamedTuple):
    """A process, as it tells of itself."""

    pid: int
    host: str
    boot: str
    """Identifies the start of the machine: a number of a process means nothing after the next one."""
    command: str
    since: int
    """Nanoseconds since 1970, by the file server's clock."""
    space: str = ""
    """Which processes see each other: in another container of the same machine its number means nothing."""


@contextmanager
def acquire_lock(store: Store, command: str) -> Iterator[None]:
    """Keep every other run out of a root meanwhile.

    Raises Locked where one is there, Unfinished where a killed one left its lock on a file system that cannot tell,
    StorageFailed where nothing can be written.
    """
    me = LockOwner(os.getpid(), os.uname().nodename, _read_boot(), command, store.clock(), _read_space())
    with ExitStack() as held:
        held.callback(_leave, store)
        try:
            holder = _enter(store, json.dumps(me._asdict()).encode(), held)
        except OSError as error:
            text = f"no lock can be written there: {error.strerror or error}"
            raise StorageFailed(text, path=LOCK, done=NOTHING) from error
        if holder is not None:
            raise _refusal(holder)
        yield


def _leave(store: Store) -> None:
    """Take the tool's own folder away, if nothing is in it."""
    with suppress(OSError):
        store.delete_exact(store.stat(PRIVATE), only_empty=True)


def _enter(store: Store, record: bytes, held: ExitStack) -> LockHolder | None:
    """Take the lock; again, where another run took its folder away in that moment."""
    for _ in range(_TRIES):
        with suppress(FileNotFoundError):
            store.make_folder(PRIVATE)
            return held.enter_context(store.hold_file(LOCK, record))
    raise FileNotFoundError("its folder is taken away again and again")


def _refusal(holder: LockHolder) -> Locked | Unfinished:
    """What to say of the one who holds it."""
    later = "try again when it has ended"
    owner = _read_owner(holder.record)
    if owner is None:
        return Locked("another run is at work here", path=PRIVATE, done=NOTHING, hint=later)
    who = f"pid {owner.pid} on {owner.host} since {write_moment(owner.since)} ({owner.command})"
    if holder.is_alive:
        return Locked(f"held by {who}", path=PRIVATE, done=NOTHING, hint=later)
    hint = f"this file system knows no locks: when that run has ended, remove {LOCK} there"
    if _has_ended(owner):
        return Unfinished(f"left by {who}, which has ended", path=PRIVATE, done=NOTHING, hint=hint)
    return Locked(f"held by {who}", path=PRIVATE, done=NOTHING, hint=hint)


def _read_owner(record: bytes) -> LockOwner | None:
    """The process that a lock file tells of; None where it does not."""
    try:
        said = json.loads(record)
        host, boot, command = (str(said[name]) for name in ("host", "boot", "command"))
        return LockOwner(int(said["pid"]), host, boot, command, int(said["since"]), str(said.get("space", "")))
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None


def _has_ended(owner: LockOwner) -> bool:
    """Whether a process of this very machine is surely not there any more; of another one nobody can tell from here."""
    boot = _read_boot()
    if not boot or owner.host != os.uname().nodename:
        return False
    if owner.boot != boot:
        return True
    return owner.space == _read_space() and not os.path.exists(f"/proc/{owner.pid}")


def _read_boot() -> str:
    """The identifier of this start of the machine; empty where there is none (not Linux: without /proc either)."""
    with suppress(OSError), open(_BOOT, encoding="ascii") as file:
        return file.read().strip()
    return ""


def _read_space() -> str:
    """The identifier of the container's processes; empty where there are none (not Linux)."""
    with suppress(OSError):
        return os.readlink(_SPACE)
    return ""
