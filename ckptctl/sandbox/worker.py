"""A process of its own that answers requests one after the other: for what may crash, hang, or take all memory.

    with closing(Worker("ckptctl.sandbox.torch_load")) as worker:
        worker.start()                                   what the module's ``prepare()`` gives
        worker.ask({"size": 4}, descriptor, limits)      what its ``answer(request, caller)`` gives, or WorkerLost
        worker.stream({"dataset": "w"}, source, limits)  the bytes that it sends, and then the same

Requests and replies are mappings that JSON can hold. A file is never named: with a request goes one that is open, or
the process asks for its bytes piece by piece. The process has no terminal, no variables but a few, and no folder of
code that this one does not have; it writes no file, and it is started again when it is asked after it was lost. It ends
with this one, whose thread that starts it must live as long.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib import import_module
from struct import Struct
from time import monotonic
from types import ModuleType
from typing import Literal, NamedTuple, cast

from ckptctl.formats.zip import ByteSource

WorkerReply = Mapping[str, object]
_START_SECONDS = 120.0
"""For importing what is large, from a disk that is slow; and for taking what it is sent."""
_GRACE = 5
"""Seconds after which it ends itself where nobody ended it in time."""
_LONGEST = 1 << 20
"""Bytes of a request or a reply."""
_LARGEST = 8 << 20
"""Bytes of a file, or of what it sends, in one message."""
_MOST_READS = 4
_SPARE_READS = 64 << 20
"""How often all of a file, and so many bytes besides, may be asked for before the next bytes are sent."""
_READ_COUNTS = 1 << 10
_EMPTY_READ_COUNTS = 1 << 20
"""Bytes that each such request counts for at least, and that one counts for that asks for nothing in the file."""
_LENGTHS = Struct("<II")
"""Before each message: the bytes of its JSON, and of the data behind that."""
_KEPT = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH", "TMPDIR")
"""Variables without which a library may not be found."""
BOOT = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from ckptctl.sandbox.worker import main
main(*sys.argv[2:])
"""


class WorkerLimits(NamedTuple):
    """What one reply may cost."""

    seconds: float
    """That it may say nothing."""
    memory: int | None
    """Bytes of address space beyond what the process has when it is asked; only Linux keeps it.

    None where its module has limited it for good."""


class WorkerLost(NamedTuple):
    """How it ended where it should have replied."""

    how: Literal["time", "memory", "signal", "exit", "nonsense"]
    number: int = 0
    """Of the signal, or the exit code."""


class WorkerNotStarted(Exception):
    """The process cannot do what it is for; the text tells why, as its module put it."""

    def __init__(self, text: str, lost: WorkerLost | None = None) -> None:
        super().__init__(text)
        self.lost = lost
        """How it ended before its module could say anything; None where that did."""


class Worker:
    """The process."""

    def __init__(self, module: str, variables: Mapping[str, str] | None = None) -> None:
        self.module = module
        self.variables = variables or {}
        """What it has in its environment besides."""
        self._process: subprocess.Popen[bytes] | None = None
        self._line: _Line | None = None

    @property
    def is_running(self) -> bool:
        """Whether it was started, and has not ended yet."""
        return self._process is not None and self._process.poll() is None

    def start(self, seconds: float = _START_SECONDS) -> WorkerReply:
        """Start it, and wait until it is prepared; raises WorkerNotStarted."""
        self.close()
        own, theirs = socket.socketpair()
        self._line = _Line(own)
        with theirs:
            self._process = self._run(theirs)
        heard = self._hear(seconds)
        if isinstance(heard, WorkerLost):
            raise WorkerNotStarted(f"its process was lost at the start: {heard.how} {heard.number}", heard)
        if "reply" not in heard[0]:
            self.close()
            raise WorkerNotStarted(str(heard[0].get("failed")))
        return cast("WorkerReply", heard[0]["reply"])

    def _run(self, line: socket.socket) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(  # noqa: S603 - Python itself, on our own code
                [sys.executable, "-I", "-c", BOOT, json.dumps(find_code()), str(os.getpid()), self.module],
                stdin=line.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env={name: os.environ[name] for name in _KEPT if name in os.environ} | dict(self.variables),
                start_new_session=True,  # what a terminal sends to all is for this process to handle
            )
        except OSError as error:
            raise WorkerNotStarted(f"{sys.executable}: {error.strerror or error}") from error

    def ask(self, request: WorkerReply, descriptor: int, limits: WorkerLimits) -> WorkerReply | WorkerLost:
        """What it replies about an open file; raises WorkerNotStarted where it was lost, and does not start again."""
        *_, reply = self._converse(request, limits, descriptor=descriptor)
        return cast("WorkerReply | WorkerLost", reply)

    def stream(
        self, request: WorkerReply, source: ByteSource, limits: WorkerLimits
    ) -> Iterator[bytes | WorkerReply | WorkerLost]:
        """All bytes that it sends, and at last its reply, or how it was lost; raises as ``ask``, and OSError.

        Meanwhile it is handed what it asks for of the source. It is ended where this is not read to the end.
        """
        yield from self._converse(request, limits, source=source)

    def _converse(
        self,
        request: WorkerReply,
        limits: WorkerLimits,
        source: ByteSource | None = None,
        descriptor: int | None = None,
    ) -> Iterator[bytes | WorkerReply | WorkerLost]:
        if not self.is_running:
            self.start()
        is_done = False
        try:
            self._say({"request": request, **limits._asdict()}, descriptor=descriptor)
            for said in self._listen(source, limits.seconds):
                is_done = not isinstance(said, bytes)
                yield said
        finally:
            if not is_done:  # it may be about to say something that the next request would take for its reply
                self.close()

    def _listen(self, source: ByteSource | None, seconds: float) -> Iterator[bytes | WorkerReply | WorkerLost]:
        most = _MOST_READS * source.size + _SPARE_READS if source is not None else 0
        left, message = most, cast("WorkerReply", {})
        while not isinstance(heard := self._hear(seconds), WorkerLost):
            message, part = heard
            if "part" in message and part and source is not None:
                left = most
                yield part
            elif "wants" in message and source is not None and left >= 0:
                left -= self._hand_over(source, message["wants"])
            else:
                break
        yield heard if isinstance(heard, WorkerLost) else self._close_reply(message)

    def _hand_over(self, source: ByteSource, wanted: object) -> int:
        """Give it what it asked for of the source, nothing of what lies outside; what that counts for."""
        data = b""
        match wanted:
            case [int() as offset, int() as length] if 0 <= offset < source.size and length > 0:
                data = source.read(offset, min(length, _LARGEST))
        self._say({}, data)
        return max(_READ_COUNTS, len(data)) if data else _EMPTY_READ_COUNTS

    def _close_reply(self, message: WorkerReply) -> WorkerReply | WorkerLost:
        match message:
            case {"reply": dict() as reply}:
                return reply
            case {"lost": "memory"}:
                return WorkerLost("memory")
            case _:
                return self._end("nonsense")

    def close(self) -> None:
        """End it, whatever it does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        if self._line is not None:
            self._line.end.close()
        self._process = self._line = None

    def _say(self, message: WorkerReply, data: bytes = b"", descriptor: int | None = None) -> None:
        """Say something; to one that has ended, or does not listen, it is said in vain, which shows by its silence."""
        line = cast("_Line", self._line)
        line.end.settimeout(_START_SECONDS)
        with suppress(BrokenPipeError, ConnectionResetError, TimeoutError):
            line.send(message, data, descriptor)

    def _hear(self, seconds: float) -> tuple[WorkerReply, bytes] | WorkerLost:
        """What it says next; WorkerLost, and the process ended, where nothing comes in time."""
        try:
            return cast("_Line", self._line).receive(monotonic() + seconds)
        except TimeoutError:
            return self._end("time")
        except ValueError:
            return self._end("nonsense")
        except (EOFError, ConnectionResetError):
            pass
        process = cast("subprocess.Popen[bytes]", self._process)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE)
        self.close()
        code = process.returncode
        return WorkerLost("signal", -code) if code < 0 else WorkerLost("exit", code)

    def _end(self, how: Literal["time", "nonsense"]) -> WorkerLost:
        self.close()
        return WorkerLost(how)


def find_code() -> list[str]:
    """Where modules are looked for; but not where the caller happens to stand, where anything may lie."""
    own, here = __file__.removesuffix("/ckptctl/sandbox/worker.py"), os.path.realpath(os.curdir)
    return [it for it in sys.path if os.path.isabs(it) and (it == own or os.path.realpath(it) != here)]


class _Line:
    """Either end of the line between the two: messages, each with data behind it."""

    def __init__(self, end: socket.socket, files: int = 0) -> None:
        self.end = end
        self.files = files
        """How many open files may come with a message."""
        self.descriptor: int | None = None
        """The file that came last."""

    def send(self, message: WorkerReply, data: bytes = b"", descriptor: int | None = None) -> None:
        """Send a message; raises ConnectionError where nobody takes it, TimeoutError where nobody does in time."""
        text = json.dumps(message).encode()
        whole = _LENGTHS.pack(len(text), len(data)) + text + data
        sent = 0 if descriptor is None else socket.send_fds(self.end, [whole], [descriptor])
        self.end.sendall(memoryview(whole)[sent:])

    def receive(self, until: float | None = None) -> tuple[WorkerReply, bytes]:
        """The next message; raises EOFError after the last, TimeoutError, ValueError for what is no message."""
        lengths = _LENGTHS.unpack(self._take(_LENGTHS.size, until))
        if lengths[0] > _LONGEST or lengths[1] > _LARGEST:
            raise ValueError(lengths)
        try:
            message = json.loads(self._take(lengths[0], until))
        except RecursionError as error:
            raise ValueError from error
        if type(message) is not dict:
            raise ValueError(message)
        return message, self._take(lengths[1], until)

    def _take(self, length: int, until: float | None) -> bytes:
        held = bytearray()
        while len(held) < length:
            if until is not None:
                self.end.settimeout(max(0.001, until - monotonic()))
            part, files, _, _ = socket.recv_fds(self.end, length - len(held), self.files)
            if not part:
                raise EOFError
            self.descriptor = files[0] if files else self.descriptor
            held += part
        return bytes(held)


# In the process -------------------------------------------------------------------------------------------------------


class Caller:
    """Who asks, as the process sees it: the same for all requests."""

    def __init__(self, line: _Line) -> None:
        self._line = line
        self.seconds = 0
        """After which it ends itself, unless it waits for the other side."""

    @property
    def descriptor(self) -> int:
        """The open file that came with the request."""
        return cast("int", self._line.descriptor)

    def read(self, offset: int, length: int) -> bytes:
        """At most so many bytes of the source; raises EOFError, ConnectionError where nobody is there any more."""
        signal.alarm(0)
        self._line.send({"wants": [offset, length]})
        data = self._line.receive()[1]
        signal.alarm(self.seconds)
        return data

    def send(self, data: bytes) -> None:
        """Hand on a part of the reply; raises as ``read``."""
        signal.alarm(0)
        self._line.send({"part": True}, data)
        signal.alarm(self.seconds)


def main(parent: str, module: str) -> None:
    """Answer until nobody asks any more; ``parent``: the process that started this one, unless it has gone since."""
    _end_with(int(parent))
    with socket.socket(fileno=os.dup(0)) as end, suppress(EOFError, ConnectionError):
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        _serve(_Line(end, files=1), module)


def _end_with(parent: int) -> None:
    """Have the kernel end this process with the one that started it; elsewhere than on Linux, it does when idle."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before it could be asked for that
        os._exit(0)


def _serve(line: _Line, name: str) -> None:
    """Prepare, and answer; raises EOFError, ConnectionError when nobody asks any more."""
    try:
        module = import_module(name)
        said = module.prepare()
    except Exception as error:  # noqa: BLE001 - a library that is broken raises anything
        line.send({"failed": f"{type(error).__name__}: {error}"[:1000]})
        return
    forbid_writing()
    line.send({"reply": said})
    caller = Caller(line)
    while True:
        asked, _ = line.receive()
        line.send(_answer(module, asked, caller, line))


def _answer(module: ModuleType, asked: WorkerReply, caller: Caller, line: _Line) -> WorkerReply:
    memory = cast("int | None", asked["memory"])
    caller.seconds = int(cast("float", asked["seconds"])) + _GRACE
    signal.alarm(caller.seconds)
    if memory is not None:
        limit_memory(memory)
    try:
        return {"reply": module.answer(asked["request"], caller)}
    except MemoryError:
        return {"lost": "memory"}
    finally:
        if memory is not None:
            limit_memory(None)
        if line.descriptor is not None:
            os.close(line.descriptor)
            line.descriptor = None
        signal.alarm(0)


def forbid_writing() -> None:
    """Let this process write no file any more, and leave no core."""
    from resource import RLIMIT_CORE, RLIMIT_FSIZE, setrlimit

    for limit in (RLIMIT_CORE, RLIMIT_FSIZE):
        setrlimit(limit, (0, 0))


def limit_memory(more: int | None) -> None:
    """Let this process take so many bytes more than it has, None for no limit; only Linux keeps it."""
    from resource import RLIM_INFINITY, RLIMIT_AS, getpagesize, getrlimit, setrlimit

    _, most = getrlimit(RLIMIT_AS)
    try:
        with open("/proc/self/statm", encoding="ascii") as statm:
            limit = int(statm.read().split()[0]) * getpagesize() + (more or 0)
    except OSError:
        return
    setrlimit(RLIMIT_AS, (most if more is None or (most != RLIM_INFINITY and limit > most) else limit, most))
