"""torch's one home: files are loaded by the installed torch, in the process that ``child`` tells of, and nowhere else.

Only what our own checks found whole and harmless comes here, and ``weights_only=True`` reads it all the same.
"""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Mapping
from pickle import UnpicklingError

_OPENED = "/proc/self/fd" if sys.platform == "linux" else "/dev/fd"
_REFUSED = (
    "os.chmod", "os.chown", "os.exec", "os.fork", "os.kill", "os.link", "os.mkdir", "os.posix_spawn",
    "os.remove", "os.rename", "os.rmdir", "os.spawn", "os.symlink", "os.system", "os.truncate", "os.utime",
    "ctypes.dlopen", "pty.", "shutil.", "socket.bind", "socket.connect", "socket.getaddrinfo", "socket.gethost",
    "socket.sendto", "subprocess.", "tempfile.",
)  # fmt: skip
"""Beginnings of what Python calls the deeds that no loading needs."""
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_NO_MEMORY = re.compile(r"not enough memory|can.?t allocate memory|cannot allocate memory|bad_alloc", re.IGNORECASE)
_UNKNOWN_NAME = re.compile(r"GLOBAL (\S+) was not an allowed global")
_DAMAGE = "Failed to load pickle data"
"""What torch after 2.13 says where a pickle is broken, not refused."""
_MOST_NAMES = 20
_LONGEST = 300
"""Characters of what torch says."""


def prepare() -> Mapping[str, object]:
    """Import torch, and load a little with it: whatever it imports for that is there before anything is refused."""
    import torch

    torch.set_num_threads(1)
    for is_zip in (True, False):
        file = io.BytesIO()
        torch.save({"a": torch.zeros(1)}, file, _use_new_zipfile_serialization=is_zip)
        file.seek(0)
        torch.load(file, map_location="cpu", weights_only=True)
    sys.addaudithook(refuse)
    return {"version": str(torch.__version__)}


def answer(request: Mapping[str, object], descriptor: int) -> Mapping[str, object]:
    """Load a file: nothing to say where that went well, else why it failed, or what ``weights_only`` does not take.

    A zip is mapped, not read: its tensors are made, and checked, at the place where they lie in the file.
    """
    import torch

    path = f"{_OPENED}/{descriptor}"
    try:
        torch.load(path, map_location="cpu", weights_only=True, mmap=bool(request["is_zip"]))
    except UnpicklingError as error:
        reason = _reason_of(str(error))
        is_damage = reason.startswith(_DAMAGE)
        return {"failed": reason} if is_damage else {"refused": reason, "names": _names(path, str(error))}
    except MemoryError:
        raise
    except Exception as error:
        if _NO_MEMORY.search(str(error)):
            raise MemoryError from error
        return {"failed": _reason_of(str(error)) or type(error).__name__}
    return {}


def refuse(event: str, args: tuple[object, ...]) -> None:
    """Keep what is being loaded from anything but being loaded."""
    writes = event == "open" and len(args) > 2 and isinstance(args[2], int) and args[2] & _WRITING  # noqa: PLR2004 - path, mode, flags
    if writes or event.startswith(_REFUSED):
        raise PermissionError(f"loading it would do this: {event}")


def _names(path: str, said: str) -> list[str]:
    """The names in a pickle that are not on torch's list; of the older format the first alone."""
    from torch.serialization import get_unsafe_globals_in_checkpoint

    try:
        found = get_unsafe_globals_in_checkpoint(path)
    except Exception:  # noqa: BLE001 - it takes fewer files than the loading
        found = _UNKNOWN_NAME.findall(said)
    return sorted({it.removeprefix("builtins.") for it in found})[:_MOST_NAMES]


def _reason_of(said: str) -> str:
    """The line that says something in what torch says."""
    told = said.rpartition("WeightsUnpickler error:")[2].strip()
    return told.partition("\n")[0][:_LONGEST]
