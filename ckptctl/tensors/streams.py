"""The numbers of tensors, read in order and in pieces, whatever their strides: never a whole tensor at once.

with open_numbers(files, contents) as numbers:
    for chunk in numbers.stream(tensor):
        …                                   little-endian, the last axis fastest
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from itertools import product
from math import prod
from mmap import mmap
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeVar

from ckptctl.errors import Damaged
from ckptctl.formats.checksums import crc32
from ckptctl.formats.contents import BITS, Contents, FileSet, Piece, Storage, Tensor
from ckptctl.formats.torch import is_dense
from ckptctl.formats.zip import ByteSource, FileWindow

if TYPE_CHECKING:
    from ckptctl.sandbox.h5py_read import Unpacker

Tick = Callable[[int], None]
"""Is told of bytes as they have been read or written; by any thread."""
Chunk = bytes | memoryview
"""Bytes that are handed on at once; those in memory that is used again are there until the next are asked for."""
_SPAN = 8 << 20
"""Bytes of a stretch that is read as a whole for the numbers that lie scattered in it."""
_BLOCK = 4 << 20
"""Bytes of scattered numbers that are put in order at once."""
_LETTERS: Mapping[int, Literal["B", "H", "I", "Q"]] = {1: "B", 2: "H", 4: "I", 8: "Q"}


class NumberReader:
    """The files of a checkpoint, opened as they are needed; with ``proves`` each checksum is proved of what is read."""

    def __init__(self, files: FileSet, contents: Contents, stack: ExitStack, *, proves: bool) -> None:
        self.files = files
        self.contents = contents
        self._room = make_room()
        self._unproved = {
            (record.file, record.offset, record.length): record
            for record in contents.records
            if proves and record.check == "crc32" and record.unpacked is None
        }
        self._opened: dict[str, ByteSource] = {}
        self._unpackers: dict[tuple[str, int], Unpacker] = {}
        self._stack = stack

    def open(self, file: str) -> ByteSource:
        """One of the files; raises OSError."""
        if file not in self._opened:
            self._opened[file] = self._stack.enter_context(self.files.open(file))
        return self._opened[file]

    def find_dense(self, tensor: Tensor) -> tuple[ByteSource, int] | None:
        """Where all its bytes lie as they are to be written; None where they must be put in order."""
        if len(tensor.pieces) != 1 or _is_swapped(tensor):
            return None
        piece = tensor.pieces[0]
        storage = self._find(tensor, piece)
        if storage.dataset:
            return None
        is_plain = piece.stride is None or is_dense(piece.shape, piece.stride)
        return (self.open(storage.file), _start(storage) + piece.start) if is_plain else None

    def stream(self, tensor: Tensor) -> Iterator[Chunk]:
        """Its numbers; raises Damaged, with the id ``not-read`` where they cannot be read one after the other."""
        for chunk in self._stream_rows(tensor):
            yield _swap(chunk, tensor) if _is_swapped(tensor) else chunk

    def _stream_rows(self, tensor: Tensor) -> Iterator[Chunk]:
        """Its numbers, whether its pieces follow each other or make a grid."""
        pieces = _in_order(tensor)
        for piece in pieces or tensor.pieces:
            self._find(tensor, piece)  # before the first is read
        if not pieces:
            yield from stream_grid(tensor, lambda it: b"".join(self._stream_piece(tensor, it)))
        for piece in pieces:
            yield from self._stream_piece(tensor, piece)

    def stream_storage(self, storage: Storage) -> Iterator[memoryview]:
        """All bytes of a storage."""
        record = self._unproved.pop((storage.file, _start(storage), storage.length), None)
        value = 0
        for chunk in read_chunks(self.open(storage.file), _start(storage), storage.length, self._room):
            value = crc32(chunk, value) if record else 0
            yield chunk
        if record and value != record.checksum:
            raise Damaged(f"{record.name!a}: its checksum does not fit its content")

    def _stream_piece(self, tensor: Tensor, piece: Piece) -> Iterator[Chunk]:
        storage, bits = self._find(tensor, piece), BITS[tensor.dtype]
        length, start = (prod(piece.shape) * bits + 7) // 8, _start(storage) + piece.start
        if storage.dataset:
            yield from self._find_unpacker(storage).stream(storage.dataset, bits // 8, length)
            return
        is_plain = piece.stride is None or is_dense(piece.shape, piece.stride)
        if is_plain and (start, length) == (_start(storage), storage.length):
            yield from self.stream_storage(storage)
            return
        if (storage.file, _start(storage), storage.length) in self._unproved:
            deque(self.stream_storage(storage), maxlen=0)
        if is_plain:
            yield from read_chunks(self.open(storage.file), start, length, self._room)
        elif length:
            yield from _stream_scattered(self.open(storage.file), start, piece.shape, piece.stride or (), bits // 8)

    def _find_unpacker(self, storage: Storage) -> Unpacker:
        """What unpacks the datasets of the HDF5 file that begins where the storage says."""
        place = storage.file, _start(storage)
        if place not in self._unpackers:
            from ckptctl.sandbox.h5py_read import Unpacker

            source = self.open(storage.file)
            held = FileWindow(source, place[1], source.size - place[1]) if place[1] else source
            self._unpackers[place] = self._stack.enter_context(closing(Unpacker(held)))
        return self._unpackers[place]

    def _find(self, tensor: Tensor, piece: Piece) -> Storage:
        storage = self.contents.storages.get(piece.storage)
        if storage is None:
            raise Damaged(f"tensor {tensor.name!a}: its numbers are missing")
        if (storage.packing and not storage.dataset) or storage.offset is None or tensor.dtype not in BITS:
            text = f"tensor {tensor.name!a}: its numbers are packed, or of a type that is not known"
            raise Damaged(text, id="not-read")
        return storage


@contextmanager
def open_numbers(files: FileSet, contents: Contents, *, proves: bool = False) -> Iterator[NumberReader]:
    """The numbers of the contents, which must have been read with their places."""
    with ExitStack() as stack:
        yield NumberReader(files, contents, stack, proves=proves)


def rechunk(chunks: Iterable[Chunk], size: int) -> Iterator[Chunk]:
    """The same bytes in pieces of one size, but for the last."""
    held = bytearray()
    for chunk in chunks:
        if not held and len(chunk) == size:
            yield chunk
            continue
        held += chunk
        while len(held) >= size:
            yield bytes(held[:size])
            del held[:size]
    if held:
        yield bytes(held)


def _start(storage: Storage) -> int:
    return storage.offset or 0


def _in_order(tensor: Tensor) -> list[Piece]:
    """The pieces of a tensor as they follow each other along its first axis; [] where they make a grid."""
    pieces = sorted(tensor.pieces, key=lambda it: it.at)
    if len(pieces) == 1 and pieces[0].shape == tensor.shape:
        return pieces
    at = 0
    for piece in pieces:
        if piece.at[:1] != (at,) or any(piece.at[1:]) or piece.shape[1:] != tensor.shape[1:]:
            return []
        at += piece.shape[0]
    if not pieces or at != tensor.shape[0]:
        raise Damaged(f"tensor {tensor.name!a}: its numbers lie inside of what is not unpacked", id="not-read")
    return pieces


def _read(source: ByteSource, offset: int, length: int) -> bytes:
    data = source.read(offset, length)
    if len(data) < length:
        raise Damaged(f"the file ended at byte {offset + len(data):,}, where more was to come")
    return data


def _stream_scattered(
    source: ByteSource, start: int, shape: Sequence[int], stride: Sequence[int], width: int
) -> Iterator[bytes]:
    """Blocks along the first axis, or along those below it where one of its rows is too large for a block."""
    row = prod(shape[1:]) * width
    if row > _BLOCK:
        for place in range(shape[0]):
            yield from _stream_scattered(source, start + place * stride[0] * width, shape[1:], stride[1:], width)
        return
    count = max(1, _BLOCK // max(1, row))
    for place in range(0, shape[0], count):
        block = (min(count, shape[0] - place), *shape[1:])
        yield _gather(source, start + place * stride[0] * width, block, stride, width)


def _gather(source: ByteSource, start: int, shape: Sequence[int], stride: Sequence[int], width: int) -> bytes:
    """The numbers of a block in order: taken line by line along the axis whose numbers lie closest."""
    made = memoryview(bytearray(prod(shape) * width))
    steps = [prod(shape[axis + 1 :]) for axis in range(len(shape))]
    apart = [axis for axis in range(len(shape)) if shape[axis] > 1 and stride[axis]]
    near = min(apart, key=stride.__getitem__, default=-1)
    line = _Line(shape[near], stride[near], steps[near]) if near >= 0 else _Line(1, 1, 1)
    others = [axis for axis in range(len(shape)) if axis != near]
    reach = (1 + sum((size - 1) * step for size, step in zip(shape, stride, strict=True))) * width
    held = memoryview(_read(source, start, reach)) if reach <= _SPAN else None
    length = ((line.numbers - 1) * line.step + 1) * width
    for index in product(*(range(shape[axis]) for axis in others)):
        at = width * sum(place * stride[axis] for place, axis in zip(index, others, strict=True))
        to = width * sum(place * steps[axis] for place, axis in zip(index, others, strict=True))
        taken = memoryview(_read(source, start + at, length)) if held is None else held[at : at + length]
        _scatter(taken, made[to:], line, width)
    return bytes(made)


class _Line(NamedTuple):
    """Numbers along one axis."""

    numbers: int
    step: int
    """From one to the next where they are read, in numbers."""
    apart: int
    """The same where they are put."""


def _scatter(taken: memoryview, made: memoryview, line: _Line, width: int) -> None:
    """Put the numbers of a line where they belong."""
    unit = width if width in _LETTERS else 1
    parts = width // unit  # numbers of 16 bytes go in pieces
    source = taken.cast(_LETTERS[unit])
    target = made[: ((line.numbers - 1) * line.apart + 1) * width].cast(_LETTERS[unit])
    for part in range(parts):
        target[part :: line.apart * parts] = source[part :: line.step * parts]


def _is_swapped(tensor: Tensor) -> bool:
    return tensor.big_endian and BITS.get(tensor.dtype, 0) > 8  # noqa: PLR2004 - bits of a byte


def _swap(chunk: Chunk, tensor: Tensor) -> bytes:
    width = BITS[tensor.dtype] // (16 if tensor.dtype.startswith("complex") else 8)
    held = array(_LETTERS[width], bytes(chunk))
    held.byteswap()
    return held.tobytes()


# Tensors that were cut along several axes: shards of a grid of ranks, chunks of a dataset -----------------------------

_GRID_BLOCK = 8 << 20
"""Bytes that are put together at once; a row that is larger is one block."""


def stream_grid(tensor: Tensor, read: Callable[[Piece], bytes]) -> Iterator[bytes]:
    """Its numbers; raises Damaged, with the id ``not-read``, where its pieces do not fill it."""
    width = BITS[tensor.dtype] // 8
    if not width or not tensor.shape or not _is_filled(tensor):
        raise Damaged(f"tensor {tensor.name!a}: its shards do not fill it", id="not-read")
    row = prod(tensor.shape[1:]) * width
    step = max(1, _GRID_BLOCK // max(1, row))
    for first in range(0, tensor.shape[0], step):
        end = min(first + step, tensor.shape[0])
        made = memoryview(bytearray((end - first) * row))
        for rows in filter(None, (_cut(piece, first, end, width) for piece in tensor.pieces)):
            _put(read(rows), rows, made, tensor.shape, width)
        yield bytes(made)


def _is_filled(tensor: Tensor) -> bool:
    """Whether the pieces lie in the tensor, no two begin at one place, and together they are as large."""
    places = {it.at for it in tensor.pieces}
    return (
        len(places) == len(tensor.pieces)
        and sum(prod(it.shape) for it in tensor.pieces) == tensor.elements
        and all(len(it.at) == len(it.shape) == len(tensor.shape) for it in tensor.pieces)
        and all(
            at >= 0 and at + own <= size
            for piece in tensor.pieces
            for at, own, size in zip(piece.at, piece.shape, tensor.shape, strict=True)
        )
    )


def _cut(piece: Piece, first: int, end: int, width: int) -> Piece | None:
    """The rows of a piece between two rows of the tensor, with their places counted from the first of these."""
    start, stop = max(first, piece.at[0]), min(end, piece.at[0] + piece.shape[0])
    if start >= stop or 0 in piece.shape:
        return None
    step = piece.stride[0] if piece.stride else prod(piece.shape[1:])
    return piece._replace(
        start=piece.start + (start - piece.at[0]) * step * width,
        shape=(stop - start, *piece.shape[1:]),
        at=(start - first, *piece.at[1:]),
    )


def _put(data: bytes, piece: Piece, made: memoryview, shape: tuple[int, ...], width: int) -> None:
    """Copy a piece to where it belongs, in lines as long as they lie together in both."""
    axis = len(shape) - 1
    while axis and piece.shape[axis] == shape[axis]:
        axis -= 1
    strides = [prod(shape[it + 1 :]) * width for it in range(len(shape))]
    line = prod(piece.shape[axis:]) * width
    start = sum(at * stride for at, stride in zip(piece.at, strides, strict=True))
    places = product(*(range(size) for size in piece.shape[:axis]))
    for number, place in enumerate(places):
        to = start + sum(at * stride for at, stride in zip(place, strides, strict=False))
        made[to : to + line] = data[number * line : (number + 1) * line]


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
