"""Reading a stretch of a file piece by piece, each into the same memory; and many stretches by several threads.

The memory is placed as the stretch lies on pages of the file: copying between places that differ in that takes several
times as long. It fits the cache of a processor, so that what is worked out of a piece costs no more than its reading.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from mmap import mmap
from typing import TypeVar

from ckptctl.errors import Damaged
from ckptctl.formats.zip import ByteSource

CHUNK = 1 << 19
"""Bytes that are read at once; a whole number of numbers of every type."""
_REQUEST = 1 << 20
"""Bytes that are asked for at once where a file is not on this machine."""
_PAGE = 4096
_WORTH = 8 << 20
"""Bytes from which a second thread pays: reading, writing, checksums and arrays leave the lock of Python alone."""
_Read = Callable[[int, memoryview], int]
Job = TypeVar("Job")


def make_room() -> memoryview:
    """Memory for a piece, wherever it lies on its page."""
    return memoryview(mmap(-1, CHUNK + _PAGE))


def place(room: memoryview, offset: int, length: int) -> memoryview:
    """The part of the memory that lies as so many bytes from an offset lie on pages of their file."""
    return room[offset % _PAGE :][:length]


def read_chunks(source: ByteSource, offset: int, length: int, room: memoryview) -> Iterator[memoryview]:
    """A stretch, each piece until the next is asked for; raises Damaged where the file ends before it."""
    read_into: _Read | None = getattr(source, "read_into", None)
    if read_into is None:
        yield from _request_chunks(source, offset, length)
        return
    for at in range(offset, offset + length, CHUNK):
        chunk = place(room, at, min(CHUNK, offset + length - at))
        done = 0
        while done < len(chunk):
            count = read_into(at + done, chunk[done:])
            done += _require(count, at + done)
        yield chunk


def _request_chunks(source: ByteSource, offset: int, length: int) -> Iterator[memoryview]:
    """The same where each reading is a request that takes its time."""
    at, end = offset, offset + length
    while at < end:
        data = memoryview(source.read(at, min(_REQUEST, end - at)))
        at += _require(len(data), at)
        yield from (data[start : start + CHUNK] for start in range(0, len(data), CHUNK))


def _require(count: int, offset: int) -> int:
    """The count; raises Damaged where it is none."""
    if not count:
        raise Damaged(f"the file ended at byte {offset:,}, where more was to come")
    return count


def run_in_threads(jobs: Sequence[Job], work: Callable[[Iterator[Job]], None], total: int) -> None:
    """Hand out the jobs, the first first, to ``work``, which runs in two threads where they have many bytes in total.

    Raises what stopped one of them, once both have stopped.
    """
    pending = iter(jobs)  # shared: its next() is a single step to other threads
    if total <= _WORTH:
        work(pending)
        return
    from concurrent.futures import ThreadPoolExecutor, as_completed

    pool = ThreadPoolExecutor(2)
    try:
        for it in as_completed([pool.submit(work, pending) for _ in range(2)]):
            it.result()
    finally:
        deque(pending, maxlen=0)  # so that the other one stops, too
        pool.shutdown()
