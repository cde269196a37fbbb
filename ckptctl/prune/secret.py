"""A secret of the user, outside of every tree: journals are sealed with it, so that nobody else's is carried out."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from time import sleep

_SIZE = 32
_NAME = "secret"
_TRIES, _PAUSE = 50, 0.01
_MODES = stat.S_IRWXG | stat.S_IRWXO
"""What nobody but the user may have of it."""


def read_secret() -> bytes:
    """The secret, made where there is none yet; one of this process alone where no place can keep it."""
    for folder in _folders():
        with suppress(OSError):
            return _read(folder)
    return _make_passing()


@cache
def _make_passing() -> bytes:
    return os.urandom(_SIZE)


def _folders() -> Iterator[str]:
    """Where it may lie, the lasting place first."""
    home = os.path.expanduser("~")
    yield os.path.join(os.environ.get("XDG_STATE_HOME") or os.path.join(home, ".local", "state"), "ckptctl")
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        yield os.path.join(runtime, "ckptctl")
    yield os.path.join(tempfile.gettempdir(), f"ckptctl-{os.geteuid()}")


@cache
def _read(folder: str) -> bytes:
    """The secret of a folder that is the user's alone; raises OSError."""
    os.makedirs(folder, mode=0o700, exist_ok=True)
    _require_private(os.lstat(folder), stat.S_ISDIR)
    path = os.path.join(folder, _NAME)
    with suppress(FileExistsError):
        _make(path)
    for _ in range(_TRIES):  # another process may just be writing it
        secret = _read_file(path)
        if len(secret) == _SIZE:
            return secret
        sleep(_PAUSE)
    raise OSError(errno.EINVAL, "it has another length")


def _make(path: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, os.urandom(_SIZE))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read_file(path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        _require_private(os.fstat(descriptor), stat.S_ISREG)
        return os.read(descriptor, _SIZE + 1)
    finally:
        os.close(descriptor)


def _require_private(found: os.stat_result, is_kind: Callable[[int], bool]) -> None:
    """Raise OSError for what is another user's, or open to others."""
    if not is_kind(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & _MODES:
        raise PermissionError(errno.EPERM, "it is not this user's alone")
