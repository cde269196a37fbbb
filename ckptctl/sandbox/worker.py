"""A process of its own that answers requests one after the other: for what may crash, hang, or take all memory.

    with closing(Child("ckptctl.sandbox.torch_worker")) as child:
        child.start()                                  what the module's ``prepare()`` gives
        child.ask({"size": 4}, descriptor, limits)     what its ``answer(request, descriptor)`` gives, or Lost

Requests and answers are mappings that JSON can hold. With a request goes an open file, never a path. The process is
confined, and started anew when it is asked after it was lost.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from time import monotonic
from typing import Literal, NamedTuple, Protocol, cast

from ckptctl.sandbox.process import forbid_writing, limit_memory, spawn

WorkerReply = Mapping[str, object]
_START_SECONDS = 120.0
"""For importing what is large, from a disk that is slow."""
_GRACE = 5
"""Seconds after which it ends itself where nobody ended it in time."""
_LONGEST = 1 << 20
"""Bytes of a request or an answer."""


class WorkerLimits(NamedTuple):
    """What one answer may cost."""

    seconds: float
    memory: int
    """Bytes of address space beyond what the process has when it is asked; only Linux keeps it."""


class WorkerLost(NamedTuple):
    """How it ended where it should have answered."""

    how: Literal["time", "memory", "signal", "exit"]
    number: int = 0
    """Of the signal, or the exit code."""


class WorkerNotStarted(Exception):
    """The process cannot do what it is for; the text tells why, as its module put it."""


class WorkerModule(Protocol):
    """What runs in the process."""

    def prepare(self) -> WorkerReply:
        """Import what is needed; what it raises ends up as NotStarted."""
        ...

    def answer(self, request: WorkerReply, descriptor: int) -> WorkerReply:
        """Answer a request about an open file; MemoryError ends up as Lost."""
        ...


class Worker:
    """The process."""

    def __init__(self, module: str, variables: Mapping[str, str] | None = None) -> None:
        self.module = module
        self.variables = variables or {}
        self._process: subprocess.Popen[bytes] | None = None
        self._line: socket.socket | None = None

    def start(self, seconds: float = _START_SECONDS) -> WorkerReply:
        """Start it, and wait until it is prepared; raises NotStarted."""
        self.close()
        self._line, theirs = socket.socketpair()
        with theirs:
            self._process = self._run(theirs)
        reply = self._receive(seconds)
        if isinstance(reply, WorkerLost):
            raise WorkerNotStarted(f"its process was lost at the start: {reply.how} {reply.number}")
        if "failed" in reply:
            self.close()
            raise WorkerNotStarted(str(reply["failed"]))
        return reply

    def _run(self, line: socket.socket) -> subprocess.Popen[bytes]:
        try:
            return spawn(
                __name__, self.module, stdin=line.fileno(), stdout=subprocess.DEVNULL, variables=self.variables
            )
        except OSError as error:
            raise WorkerNotStarted(f"{sys.executable}: {error.strerror or error}") from error

    def ask(self, request: WorkerReply, descriptor: int, limits: WorkerLimits) -> WorkerReply | WorkerLost:
        """What it answers; raises NotStarted where it was lost before, and does not start again."""
        if self._process is None or self._process.poll() is not None:
            self.start()
        line = json.dumps({"request": request, **limits._asdict()}).encode() + b"\n"
        with suppress(BrokenPipeError, ConnectionResetError):  # which shows below
            sent = socket.send_fds(cast("socket.socket", self._line), [line], [descriptor])
            cast("socket.socket", self._line).sendall(line[sent:])
        reply = self._receive(limits.seconds)
        return reply if isinstance(reply, WorkerLost) or "lost" not in reply else WorkerLost("memory")

    def close(self) -> None:
        """End it, whatever it does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        if self._line is not None:
            self._line.close()
        self._process = self._line = None

    def _receive(self, seconds: float) -> WorkerReply | WorkerLost:
        """The next line; Lost, and the process ended, where none comes in time."""
        data, until = b"", monotonic() + seconds
        while not data.endswith(b"\n"):
            piece = self._wait(until)
            if piece is None:
                self.close()
                return WorkerLost("time")
            if not piece or len(data) > _LONGEST:
                return self._lose()
            data += piece
        return cast("WorkerReply", json.loads(data))

    def _wait(self, until: float) -> bytes | None:
        """What comes next, empty where nothing will; None where the time is up."""
        line = cast("socket.socket", self._line)
        line.settimeout(max(0.001, until - monotonic()))
        try:
            return line.recv(_LONGEST)
        except TimeoutError:
            return None
        except ConnectionResetError:
            return b""

    def _lose(self) -> WorkerLost:
        """How a process ended that does not speak any more."""
        process = cast("subprocess.Popen[bytes]", self._process)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE)
        self.close()
        code = process.returncode
        return WorkerLost("signal", -code) if code < 0 else WorkerLost("exit", code)


# In the process -------------------------------------------------------------------------------------------------------


def main(module: str) -> None:
    """Answer until nobody asks any more."""
    with socket.socket(fileno=os.dup(0)) as line:
        _close_input()
        prepared = _prepare(module)
        _send(line, {"failed": prepared} if isinstance(prepared, str) else prepared[1])
        while not isinstance(prepared, str) and (asked := _take(line)) is not None:
            _send(line, _answer(prepared[0], *asked))


def _close_input() -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)


def _prepare(name: str) -> tuple[WorkerModule, WorkerReply] | str:
    """The module, and what it says of itself; a text where it cannot do its work."""
    try:
        module = cast("WorkerModule", import_module(name))
        said = module.prepare()
    except Exception as error:  # noqa: BLE001 - a library that is broken raises anything
        return f"{type(error).__name__}: {error}"[:1000]
    forbid_writing()
    return module, said


def _take(line: socket.socket) -> tuple[Mapping[str, object], int] | None:
    """The next request and its open file; None when there are no more."""
    data, files, _, _ = socket.recv_fds(line, _LONGEST, 1)
    while data and not data.endswith(b"\n"):
        data += line.recv(_LONGEST)
    return (json.loads(data), files[0]) if data else None


def _answer(module: WorkerModule, asked: Mapping[str, object], descriptor: int) -> WorkerReply:
    signal.alarm(int(cast("float", asked["seconds"])) + _GRACE)
    limit_memory(cast("int", asked["memory"]))
    try:
        return module.answer(cast("WorkerReply", asked["request"]), descriptor)
    except MemoryError:
        return {"lost": "memory"}
    finally:
        limit_memory(None)
        os.close(descriptor)
        signal.alarm(0)


def _send(line: socket.socket, reply: WorkerReply) -> None:
    line.sendall(json.dumps(reply).encode() + b"\n")
