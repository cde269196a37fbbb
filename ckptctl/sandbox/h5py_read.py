"""Numbers of an HDF5 dataset that lie in packed chunks, or in chunks of a newer form, unpacked by h5py.

    with closing(Unpacker(source)) as unpacker:
        for chunk in unpacker.stream("layers/dense/kernel", width=4, length=4096):
            …                               bytes as they are in the file, the last axis fastest

h5py's one home. HDF5's library reads untrusted bytes in C, so it does that in a process of its own, which opens
nothing, and is handed the file piece by piece. What ends that process, or what it says nothing about for long, is a
fault of the file, and the next dataset gets a new process.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import lru_cache
from importlib.machinery import PathFinder
from itertools import product
from math import prod
from typing import Any, cast

from ckptctl.errors import Damaged
from ckptctl.formats.zip import ByteSource
from ckptctl.sandbox.worker import (
    Caller,
    Worker,
    WorkerLimits,
    WorkerLost,
    WorkerNotStarted,
    WorkerReply,
    find_code,
    limit_memory,
)

_SECONDS = 120
"""That the process may say nothing."""
_LIMITS = WorkerLimits(_SECONDS, memory=None)
_MOST_STARTS = 5
"""Processes for one file: where so many broke down, the next will, too."""
MOST_TIMES = 1100
"""How often as long numbers may be as the file that holds them: deflate packs no closer."""
_SETTINGS = {"OPENBLAS_NUM_THREADS": "1", "HDF5_PLUGIN_PRELOAD": "::"}
"""No threads that are not needed, and no plug-ins of HDF5."""

_MISSING = "its chunks are packed: pip install 'ckptctl[hdf5]' brings what unpacks them"
_BROKEN_LIBRARY = "its chunks are packed, and h5py, which would unpack them, cannot be imported"
_OTHER = "h5py finds other numbers than the header tells of"
_BROKEN = "what unpacks its chunks broke down"


class Unpacker:
    """A process that unpacks datasets of one file, started when the first is asked for."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._worker = Worker(__name__, _SETTINGS)
        self._starts = 0

    def stream(self, dataset: str, width: int, length: int) -> Iterator[bytes]:
        """All numbers of a dataset; ``width``: bytes of one, ``length``: bytes of all.

        Raises Damaged, with the id ``not-read`` where it cannot be unpacked here at all; OSError.
        """
        if length > MOST_TIMES * self._source.size:
            raise Damaged("its numbers would be a thousand times as long as the file", id="not-read")
        if not self._worker.is_running:
            self._start()
        request = {"dataset": dataset, "width": width, "size": self._source.size}
        is_done = False
        try:
            yield from _check(self._worker.stream(request, self._source, _LIMITS), length)
            is_done = True
        finally:
            if not is_done:  # the next dataset asks another process
                self.close()

    def _start(self) -> None:
        if PathFinder.find_spec("h5py", find_code()) is None or self._starts == _MOST_STARTS:
            raise Damaged(_MISSING if not self._starts else _BROKEN, id="not-read")
        self._starts += 1
        try:
            self._worker.start(_SECONDS)
        except WorkerNotStarted as error:
            raise Damaged(_BROKEN_LIBRARY, id="not-read") if error.lost is None else _judge_loss(error.lost) from error

    def close(self) -> None:
        """End the process, whatever it does."""
        self._worker.close()


def _check(stream: Iterator[bytes | WorkerReply | WorkerLost], length: int) -> Iterator[bytes]:
    """So many bytes of a stream; raises Damaged where there are more or fewer, and why."""
    left = length
    for said in stream:
        match said:
            case bytes() if len(said) <= left:
                left -= len(said)
                yield said
            case WorkerLost():
                raise _judge_loss(said)
            case {"failed": why}:
                raise Damaged(f"h5py cannot read it: {why!a}")
            case _ if left or isinstance(said, bytes):
                raise Damaged(_OTHER)


def _judge_loss(lost: WorkerLost) -> Damaged:
    return Damaged(f"what unpacks its chunks said nothing for {_SECONDS} seconds" if lost.how == "time" else _BROKEN)


# In the process -------------------------------------------------------------------------------------------------------

_BLOCK = 8 << 20
"""Bytes that are unpacked at once, where the chunks of a dataset are not larger."""
_LARGEST = 512 << 20
"""Bytes of a row of chunks that is unpacked at once."""
_PART = 1 << 20
"""Bytes that are asked for, or handed on, at once."""
_SPARE = 2 << 30
"""Bytes of address space beyond what importing h5py took."""


def prepare() -> WorkerReply:
    """Import h5py, and give up opening files, and more memory than datasets of checkpoints need."""
    from resource import RLIMIT_NOFILE, setrlimit

    import h5py  # noqa: F401 - it imports what is used below, before that would be refused

    limit_memory(_SPARE)
    setrlimit(RLIMIT_NOFILE, (3, 3))
    return {}


def answer(request: WorkerReply, caller: Caller) -> WorkerReply:
    """Hand on all numbers of a dataset; the reply tells why there are no more."""
    name, width, size = (request[key] for key in ("dataset", "width", "size"))
    try:
        file = _open(caller, cast("int", size))
        blocks = _stream_blocks(file[str(name).encode()], cast("int", width))
        for part in (block[at : at + _PART] for block in blocks for at in range(0, len(block), _PART)):
            caller.send(bytes(part))
    except (EOFError, ConnectionError):
        raise
    except Exception as error:  # noqa: BLE001 - whatever h5py makes of a file of anybody's
        return {"failed": str(error)[:500]}
    return {}


@lru_cache(maxsize=1)
def _open(caller: Caller, size: int) -> Any:  # noqa: ANN401 - h5py has no types
    import h5py

    return h5py.File(_RequestedFile(caller, size), "r", rdcc_nbytes=64 << 20, rdcc_nslots=10_007)


class _RequestedFile(io.RawIOBase):
    """The file, as the process that started this one hands it over."""

    def __init__(self, caller: Caller, size: int) -> None:
        super().__init__()
        self.caller = caller
        self.size = size
        self.at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self.at = offset + (0, self.at, self.size)[whence]
        return self.at

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - anything that holds bytes
        view = memoryview(buffer).cast("B")
        data = self.caller.read(self.at, min(len(view), _PART))
        view[: len(data)] = data
        self.at += len(data)
        return len(data)


def _stream_blocks(dataset: Any, width: int) -> Iterator[memoryview]:  # noqa: ANN401 - h5py has no types
    """The numbers, block after block."""
    import numpy as np
    from h5py import h5s

    own = dataset.id
    if own.get_type().get_size() != width:
        raise ValueError("its numbers are of another width than its header says")
    for start, count in _cut_blocks(dataset.shape, dataset.chunks or dataset.shape, width):
        made: Any = np.empty(prod(count) * width, dtype="u1")
        space = own.get_space()
        if count:
            space.select_hyperslab(start, count)
        own.read(h5s.create_simple(count) if count else h5s.create(h5s.SCALAR), space, made, own.get_type())
        yield memoryview(made)


def _cut_blocks(
    shape: tuple[int, ...], chunk: tuple[int, ...], width: int
) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Where the blocks of a dataset begin, and how large they are: whole rows of chunks as far as memory allows."""
    if 0 in shape:
        return
    if not shape:
        yield (), ()
        return
    axis = 0  # along which it is cut; along those before it one by one
    while axis < len(shape) - 1 and prod(shape[axis + 1 :]) * width * chunk[axis] > _LARGEST:
        axis += 1
    row = prod(shape[axis + 1 :]) * width
    step = max(1, _BLOCK // row // chunk[axis] * chunk[axis] or min(chunk[axis], _LARGEST // row))
    for place in product(*(range(size) for size in shape[:axis])):
        for at in range(0, shape[axis], step):
            rest = len(shape) - axis - 1
            count = (1,) * axis + (min(step, shape[axis] - at), *shape[axis + 1 :])
            yield (*place, at, *(0,) * rest), count
