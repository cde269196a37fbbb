"""Whether the installed torch loads a file that our own checks found whole and harmless.

with loading() as loader:
loader.load(descriptor, size, is_zip=True)     what is to be said of an open file, None where it was loaded
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from signal import SIGKILL, Signals
from typing import NamedTuple

from ckptctl.core.units import write_size
from ckptctl.errors import MissingLibrary, UsageError
from ckptctl.formats.flaws import Flaw
from ckptctl.sandbox.process import find_code
from ckptctl.sandbox.worker import Worker, WorkerLimits, WorkerLost, WorkerNotStarted, WorkerReply

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
    with closing(Worker("ckptctl.sandbox.torch_worker", _VARIABLES)) as child:
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
            text = f"torch needs more than {write_size(limits.memory)} of memory to load it"
        case WorkerLost("signal", number):
            why = ", often for want of memory" if number == SIGKILL else ""
            text = f"loading it with torch ended in {_name(number)}{why}"
        case WorkerLost(_, code):
            text = f"loading it with torch ended the process with exit code {code}"
    return Flaw("load-failed", text)


def _name(number: int) -> str:
    return next((it.name for it in Signals if it == number), f"signal {number}")
