"""Unpacks datasets of an HDF5 file by h5py, in a process of its own that opens nothing: ``unpacking.py`` starts it.

What comes in on standard input: the size of the file; then one dataset after the other, as bytes of a number, bytes of
its name, and the name. What goes out on standard output, each behind a letter: ``r`` asks for bytes of the file (offset
and length) and gets them behind their length; ``d`` hands on numbers of a dataset behind their length; ``.`` ends it;
``e`` ends it with an error, a text behind its length. The first ``.`` says that h5py is there, the second that the file
was opened. Lengths and offsets are of eight bytes, the lowest first.

The numbers go out as they are in the file, the last axis fastest. HDF5's library is large, and files come from
anywhere: so the process gives up opening files, writing files and eating memory before it sees a byte of one.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import suppress
from itertools import product
from math import prod
from typing import Any, BinaryIO

from ckptctl.sandbox.process import forbid_writing, limit_memory

BLOCK = 8 << 20
"""Bytes that are unpacked at once, where the chunks of a dataset are not larger."""
LARGEST = 512 << 20
"""Bytes of a row of chunks that is unpacked at once."""
PART = 1 << 20
"""Bytes that are asked for, or handed on, at once."""
SPARE = 2 << 30
"""Bytes of address space beyond what importing h5py took."""


class RequestedFile(io.RawIOBase):
    """The file, as the process that started this one hands it over."""

    def __init__(self, size: int, incoming: BinaryIO, outgoing: BinaryIO) -> None:
        super().__init__()
        self.size = size
        self.at = 0
        self.incoming = incoming
        self.outgoing = outgoing

    def readable(self) -> bool:
        """It can be read."""
        return True

    def seekable(self) -> bool:
        """It can be read from anywhere."""
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to an offset."""
        self.at = offset + (0, self.at, self.size)[whence]
        return self.at

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - anything that holds bytes
        """Ask for the next bytes."""
        view = memoryview(buffer).cast("B")
        wanted = min(len(view), PART)
        send(self.outgoing, b"r" + number(self.at) + number(wanted))
        data = receive(self.incoming)
        view[: len(data)] = data
        self.at += len(data)
        return len(data)


def number(value: int) -> bytes:
    """A length or an offset."""
    return value.to_bytes(8, "little")


def send(outgoing: BinaryIO, data: bytes) -> None:
    """Hand on at once."""
    outgoing.write(data)
    outgoing.flush()


def receive_exactly(incoming: BinaryIO, length: int) -> bytes:
    """So many bytes; raises EOFError where nobody is there any more."""
    data = incoming.read(length)
    if len(data) < length:
        raise EOFError
    return data


def receive(incoming: BinaryIO) -> bytes:
    """Bytes behind their length."""
    return receive_exactly(incoming, int.from_bytes(receive_exactly(incoming, 8), "little"))


def restrict_process() -> None:
    """Give up opening files, writing to them, and more memory than datasets of checkpoints need."""
    from resource import RLIMIT_NOFILE, setrlimit

    limit_memory(SPARE)
    forbid_writing()
    setrlimit(RLIMIT_NOFILE, (3, 3))


def stream(dataset: Any, width: int) -> Iterator[memoryview]:  # noqa: ANN401 - h5py has no types
    """The numbers, block after block."""
    import numpy as np
    from h5py import h5s

    own = dataset.id
    if own.get_type().get_size() != width:
        raise ValueError("its numbers are of another width than its header says")
    for start, count in blocks(dataset.shape, dataset.chunks or dataset.shape, width):
        made: Any = np.empty(prod(count) * width, dtype="u1")
        space = own.get_space()
        if count:
            space.select_hyperslab(start, count)
        own.read(h5s.create_simple(count) if count else h5s.create(h5s.SCALAR), space, made, own.get_type())
        yield memoryview(made)


def blocks(
    shape: tuple[int, ...], chunk: tuple[int, ...], width: int
) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Where the blocks of a dataset begin, and how large they are: whole rows of chunks as far as memory allows."""
    if 0 in shape:
        return
    if not shape:
        yield (), ()
        return
    axis = 0  # along which it is cut; along those before it one by one
    while axis < len(shape) - 1 and prod(shape[axis + 1 :]) * width * chunk[axis] > LARGEST:
        axis += 1
    row = prod(shape[axis + 1 :]) * width
    step = max(1, BLOCK // row // chunk[axis] * chunk[axis] or min(chunk[axis], LARGEST // row))
    for place in product(*(range(size) for size in shape[:axis])):
        for at in range(0, shape[axis], step):
            rest = len(shape) - axis - 1
            count = (1,) * axis + (min(step, shape[axis] - at), *shape[axis + 1 :])
            yield (*place, at, *(0,) * rest), count


def answer(file: Any, incoming: BinaryIO, outgoing: BinaryIO) -> None:  # noqa: ANN401 - h5py has no types
    """Hand on all numbers of the dataset that is asked for next."""
    width = int.from_bytes(receive_exactly(incoming, 8), "little")
    name = receive(incoming)
    try:
        for part in (block[at : at + PART] for block in stream(file[name], width) for at in range(0, len(block), PART)):
            send(outgoing, b"d" + number(len(part)) + bytes(part))
    except (EOFError, BrokenPipeError):
        raise
    except Exception as error:  # noqa: BLE001 - whatever h5py makes of a file of anybody's
        send_error(outgoing, error)
    else:
        send(outgoing, b".")


def send_error(outgoing: BinaryIO, error: Exception) -> None:
    """Say why there are no more numbers."""
    text = str(error).encode("utf-8", "backslashreplace")[:500]
    send(outgoing, b"e" + number(len(text)) + text)


def main() -> None:
    """Answer until nobody asks any more."""
    with suppress(EOFError, BrokenPipeError):
        serve()


def serve() -> None:
    """Answer; raises EOFError, BrokenPipeError where nobody asks any more."""
    incoming, outgoing = sys.stdin.buffer, sys.stdout.buffer
    try:
        import h5py
    except ImportError:
        send(outgoing, b"!")
        return
    restrict_process()
    send(outgoing, b".")
    size = int.from_bytes(receive_exactly(incoming, 8), "little")
    held = RequestedFile(size, incoming, outgoing)
    try:
        file = h5py.File(held, "r", rdcc_nbytes=64 << 20, rdcc_nslots=10_007)
    except (OSError, ValueError, RuntimeError) as error:
        send_error(outgoing, error)
        return
    send(outgoing, b".")
    while True:
        answer(file, incoming, outgoing)
