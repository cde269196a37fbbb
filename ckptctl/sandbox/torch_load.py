"""Whether the installed torch loads a file that our own checks found whole and harmless.

with start_torch() as loader:
    loader.load(descriptor, size, is_zip=True)     what is to be said of an open file, None where it was loaded

torch's one home: files are loaded in a process of its own, and nowhere else. ``weights_only=True`` reads them, although
only what our own checks found harmless comes here.
"""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pickle import UnpicklingError
from signal import SIGKILL, Signals
from typing import NamedTuple

from ckptctl.core.units import write_size
from ckptctl.errors import MissingLibrary, UsageError
from ckptctl.formats.contents import Flaw
from ckptctl.sandbox.worker import Caller, Worker, WorkerLimits, WorkerLost, WorkerNotStarted, WorkerReply, find_code

_OLDEST = (2, 10)
"""Of torch: before, a file could corrupt memory in spite of ``weights_only`` (CVE-2026-24747)."""
_VARIABLES = {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1", "TORCH_DEVICE_BACKEND_AUTOLOAD": "0"}
"""No device is asked, and nobody else's plug-in imported."""
_SECONDS = 60.0
_SPEED = 50 << 20
"""Bytes for which there is a further second."""
_MEMORY = 1 << 30
"""Bytes beyond the size of the file."""


class TorchLoader(NamedTuple):
    """torch, in a process of its own, which is started again where a file was the end of it."""

    version: str
    child: Worker
    seconds: float = _SECONDS
    memory: int = _MEMORY

    def load(self, descriptor: int, size: int, *, is_zip: bool) -> Flaw | None:
        """What is to be said of an open file; None where torch loaded it. Raises UsageError where torch is broken."""
        limits = WorkerLimits(self.seconds + size / _SPEED, self.memory + size)
        try:
            reply = self.child.ask({"is_zip": is_zip}, descriptor, limits)
        except WorkerNotStarted as error:
            raise _broken(error) from error
        return _judge_loss(reply, limits) if isinstance(reply, WorkerLost) else _judge(reply)


@contextmanager
def start_torch() -> Iterator[TorchLoader]:
    """Start torch; raises MissingLibrary, and UsageError where it is too old or cannot be imported."""
    from importlib.machinery import PathFinder

    if PathFinder.find_spec("torch", find_code()) is None:
        raise MissingLibrary("--load needs torch, which is not installed", hint="pip install 'ckptctl[torch]'")
    with closing(Worker(__name__, _VARIABLES)) as child:
        try:
            version = str(child.start()["version"])
        except WorkerNotStarted as error:
            raise _broken(error) from error
        require_torch_version(version)
        yield TorchLoader(version, child)


def require_torch_version(version: str) -> None:
    """Raise UsageError where torch is too old to be given any file."""
    if tuple(map(int, re.findall("[0-9]+", version)[:2])) < _OLDEST:
        text = f"torch {version} is too old for --load: a file could corrupt its memory (CVE-2026-24747)"
        raise UsageError(text, hint="pip install 'torch>=2.10'")


def _broken(error: WorkerNotStarted) -> UsageError:
    return UsageError(f"torch cannot be imported: {error}", hint="without --load, torch is not needed")


def _judge(reply: WorkerReply) -> Flaw | None:
    if "failed" in reply:
        return Flaw("load-failed", f"torch does not load it: {reply['failed']}")
    if "refused" not in reply:
        return None
    names = reply["names"]
    if isinstance(names, list) and names:
        listed = ", ".join(names)
        more = f"where you trust them, call torch.serialization.add_safe_globals([{listed}]) first"
        return Flaw("not-loaded", f"torch with weights_only=True does not take names in it: {more}")
    more = "load it with weights_only=False where you trust it, or save it again without a pickle_protocol"
    return Flaw("not-loaded", f"torch with weights_only=True does not take its pickle ({reply['refused']}): {more}")


def _judge_loss(lost: WorkerLost, limits: WorkerLimits) -> Flaw:
    match lost:
        case WorkerLost("time"):
            text = f"torch did not load it in {limits.seconds:.0f} seconds"
        case WorkerLost("memory"):
            text = f"torch needs more than {write_size(limits.memory or 0)} of memory to load it"
        case WorkerLost("signal", number):
            why = ", often for want of memory" if number == SIGKILL else ""
            name = next((it.name for it in Signals if it == number), f"signal {number}")
            text = f"loading it with torch ended in {name}{why}"
        case WorkerLost("nonsense"):
            text = "what loads it with torch said nothing that makes sense"
        case WorkerLost(_, code):
            text = f"loading it with torch ended the process with exit code {code}"
    return Flaw("load-failed", text)


# In the process -------------------------------------------------------------------------------------------------------

_OPENED = "/proc/self/fd" if sys.platform == "linux" else "/dev/fd"
_REFUSED = (
    "os.chmod", "os.chown", "os.exec", "os.fork", "os.kill", "os.link", "os.mkdir", "os.posix_spawn",
    "os.remove", "os.rename", "os.rmdir", "os.spawn", "os.symlink", "os.system", "os.truncate", "os.utime",
    "ctypes.dlopen", "pty.", "shutil.", "socket.bind", "socket.connect", "socket.getaddrinfo", "socket.gethost",
    "socket.sendto", "subprocess.", "tempfile.",
)  # fmt: skip
"""Beginnings of the audit events that no loading needs."""
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_NO_MEMORY = re.compile(r"not enough memory|can.?t allocate memory|cannot allocate memory|bad_alloc", re.IGNORECASE)
_UNKNOWN_NAME = re.compile(r"GLOBAL (\S+) was not an allowed global")
_DAMAGE = "Failed to load pickle data"
"""What torch after 2.13 says where a pickle is broken, not refused."""
_MOST_NAMES = 20
_LONGEST = 300
"""Characters of what torch says."""


def prepare() -> WorkerReply:
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


def answer(request: WorkerReply, caller: Caller) -> WorkerReply:
    """Load a file: nothing to say where that went well, else why it failed, or what ``weights_only`` does not take.

    A zip is mapped, not read: its tensors are made, and checked, at the place where they lie in the file.
    """
    import torch

    path = f"{_OPENED}/{caller.descriptor}"
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
    line = said.rpartition("WeightsUnpickler error:")[2].strip()
    return line.partition("\n")[0][:_LONGEST]
