"""Reading every byte of a checkpoint: each checksum is proved, and what is no number is found, at the speed of memory.

The work is cut into stretches, the largest first, and two threads take them in turn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from math import prod
from typing import NamedTuple

from ckptctl.errors import Damaged
from ckptctl.formats.checksums import crc32, crc32c
from ckptctl.formats.contents import BITS, Check, ChecksumRecord, Contents, FileSet, Flaw, Storage, Tensor
from ckptctl.formats.zip import ByteSource
from ckptctl.tensors.finite import KINDS, find_non_finite
from ckptctl.tensors.streams import NumberReader, Tick, make_room, open_numbers, read_chunks, rechunk, run_in_threads

_LONGEST = 64 << 20
"""Bytes of a stretch without a checksum: it can be cut, so that both threads have something to do."""
_MOST_TIMES = 4
"""How often all bytes may be read: once for their checksums, and for what lies inside of a member."""
_MOST_ODD = 100_000
"""NaN and infinities of one storage that are counted."""


class ReadSpan(NamedTuple):
    """Bytes to be read."""

    file: str
    offset: int
    length: int
    record: ChecksumRecord | None = None
    storage: str = ""
    """Key of the storage that it is, where its numbers are to be looked at."""


def plan_reads(contents: Contents, files: FileSet, *, deep: bool, finite: bool) -> list[ReadSpan]:
    """What must be read, the largest first: with ``deep`` all, with ``finite`` what holds floating point.

    Left out is what reaches beyond its file, of which ``check`` tells.
    """
    stretches: dict[tuple[str, int, int], ReadSpan] = {}
    for it in contents.records if deep else ():
        stretches[it.file, it.offset, it.length] = ReadSpan(it.file, it.offset, it.length, it)
    for key in _floating(contents) if finite else ():
        storage = contents.storages[key]
        if storage.offset is not None:
            place = storage.file, storage.offset, storage.length
            stretches[place] = stretches.get(place, ReadSpan(*place))._replace(storage=key)
    found = [it for it in stretches.values() if it.offset + it.length <= files.sizes.get(it.file, 0)]
    if deep:
        found += _rest(found, files)
    return sorted(found, key=lambda it: -it.length)


def _floating(contents: Contents) -> Iterator[str]:
    """The storages in which something could be no number, each once."""
    seen: set[str] = set()
    for piece in (piece for tensor in contents.tensors if should_be_finite(tensor) for piece in tensor.pieces):
        storage = contents.storages.get(piece.storage)
        if storage is not None and not storage.packing and piece.storage not in seen:
            seen.add(piece.storage)
            yield piece.storage


def should_be_finite(tensor: Tensor) -> bool:
    """Whether its numbers should be finite: what callbacks remember is often infinite, and means nothing by it."""
    return tensor.dtype in KINDS and tensor.part != "other"


def _rest(taken: Sequence[ReadSpan], files: FileSet) -> Iterator[ReadSpan]:
    """All bytes of the files that no stretch has, in pieces."""
    for file, size in files.sizes.items():
        at = 0
        for it in sorted(one for one in taken if one.file == file):
            yield from _cut(file, at, it.offset)
            at = max(at, it.offset + it.length)
        yield from _cut(file, at, size)


def _cut(file: str, start: int, end: int) -> Iterator[ReadSpan]:
    for offset in range(start, end, _LONGEST):
        yield ReadSpan(file, offset, min(_LONGEST, end - offset))


def read_deep(
    contents: Contents, files: FileSet, *, deep: bool, finite: bool, tick: Tick = lambda _: None
) -> list[Flaw]:
    """Read what was asked for, and tell what is wrong with it."""
    stretches = plan_reads(contents, files, deep=deep, finite=finite)
    total = sum(it.length for it in stretches)
    if total > _MOST_TIMES * sum(files.sizes.values()):
        return [Flaw("broken", "its tensors lie over each other, so that reading them would never end")]
    work = _Work(contents, files, tick)
    run_in_threads(stretches, work.run, total)
    return [*sorted(work.flaws, key=lambda it: (it.file, it.text)), *_warn_non_finite(contents, work.odds)]


class _Work:
    """What was found; shared by the threads."""

    def __init__(self, contents: Contents, files: FileSet, tick: Tick) -> None:
        self.contents = contents
        self.files = files
        self.tick = tick
        self.flaws: list[Flaw] = []
        self.odds: dict[str, list[tuple[int, bool]]] = {}
        """By storage the offsets in it of what is no number, in bytes, and whether it is NaN."""
        self.dtypes = _types_of(contents)

    def run(self, stretches: Iterator[ReadSpan]) -> None:
        """Read one stretch after the other."""
        held: dict[str, ByteSource] = {}
        room = make_room()
        with ExitStack() as stack:
            for stretch in stretches:
                self._read(stretch, held, stack, room)

    def _read(self, span: ReadSpan, held: dict[str, ByteSource], stack: ExitStack, room: memoryview) -> None:
        try:
            if span.file not in held:
                held[span.file] = stack.enter_context(self.files.open(span.file))
            found = self._examine(span, held[span.file], room)
        except OSError as error:
            found = Flaw("unreadable", f"cannot be read: {error.strerror or error}", span.file)
        except Damaged as error:
            found = Flaw("cut-short", error.text, span.file)
        if found is not None:
            self.flaws.append(found)

    def _examine(self, span: ReadSpan, source: ByteSource, room: memoryview) -> Flaw | None:
        """Read a stretch; what is wrong with it."""
        look = _Look(span, self.dtypes.get(span.storage, ()))
        for chunk in read_chunks(source, span.offset, span.length, room):
            look.add(chunk)
            self.tick(len(chunk))
        if look.odd:
            self.odds[span.storage] = look.odd
        if look.sum is None or look.sum.is_right():
            return None
        return Flaw("checksum", f"{self._name(span)}: checksum differs", span.file)

    def _name(self, span: ReadSpan) -> str:
        """The tensor that lies in a stretch, else what the file calls it."""
        pieces = ((tensor, piece) for tensor in self.contents.tensors for piece in tensor.pieces)
        for tensor, piece in pieces:
            storage = self.contents.storages[piece.storage]
            if (storage.file, storage.offset) == (span.file, span.offset):
                return f"tensor {tensor.name!a}"
        return f"{span.record.name if span.record else ''!a}"


class _Look:
    """What is noted of a stretch while it passes."""

    def __init__(self, span: ReadSpan, dtypes: Sequence[tuple[str, bool]]) -> None:
        self.dtypes = dtypes
        self.at = 0
        self.sum = _SUMS[span.record.check](span.record) if span.record else None
        self.odd: list[tuple[int, bool]] = []
        """Offsets, and whether it is NaN."""

    def add(self, chunk: memoryview) -> None:
        """Take the next bytes, a whole number of numbers but at the end."""
        if self.sum is not None:
            self.sum.add(chunk)
        for dtype, is_big in self.dtypes if len(self.odd) < _MOST_ODD else ():
            width = KINDS[dtype].width
            data = bytes(chunk[: len(chunk) // width * width])
            found = find_non_finite(data, dtype, big_endian=is_big)
            self.odd += [(self.at + it.place * width, it.is_nan) for it in found]
        self.at += len(chunk)


def _types_of(contents: Contents) -> dict[str, tuple[tuple[str, bool], ...]]:
    """The floating types, and whether they are big-endian, that lie in each storage."""
    found: dict[str, dict[tuple[str, bool], None]] = {}
    for tensor in filter(should_be_finite, contents.tensors):
        for piece in tensor.pieces:
            found.setdefault(piece.storage, {})[tensor.dtype, tensor.big_endian] = None
    return {key: tuple(kinds) for key, kinds in found.items()}


# Checksums -----------------------------------------------------------------------------------------------------------


class _Crc32:
    """zlib's, of the bytes or of what deflate makes of them."""

    def __init__(self, record: ChecksumRecord) -> None:
        import zlib

        self.error = zlib.error
        self.record = record
        self.value = 0
        self.count = 0
        self.unpacker = None if record.unpacked is None else zlib.decompressobj(-15)

    def add(self, chunk: memoryview) -> None:
        if self.unpacker is None:
            self.value = crc32(chunk, self.value)
        elif self.count <= (self.record.unpacked or 0):  # what makes more than it says is wrong, and is not unpacked
            self._unpack(bytes(chunk))

    def _unpack(self, data: bytes) -> None:
        try:
            while data and self.unpacker is not None and self.count <= (self.record.unpacked or 0):
                made = self.unpacker.decompress(data, 1 << 20)
                self.value = crc32(made, self.value)
                self.count += len(made)
                data = self.unpacker.unconsumed_tail
        except self.error:
            self.count = -1 << 62

    def is_right(self) -> bool:
        return self.value == self.record.checksum and self.count == (self.record.unpacked or 0)


class _Crc32c:
    """TensorFlow's, of the bytes."""

    def __init__(self, record: ChecksumRecord) -> None:
        self.record = record
        self.value = 0

    def add(self, chunk: memoryview) -> None:
        self.value = crc32c(chunk, self.value)

    def is_right(self) -> bool:
        return self.value == self.record.checksum


class _Crc32cOfTexts(_Crc32c):
    """TensorFlow's of texts: of their lengths as numbers of fixed width, their own checksum, and the texts."""

    def __init__(self, record: ChecksumRecord) -> None:
        super().__init__(record)
        self.held = bytearray()

    def add(self, chunk: memoryview) -> None:
        self.held += chunk

    def is_right(self) -> bool:
        return prove_texts(bytes(self.held), self.record.checksum)


def prove_texts(data: bytes, checksum: int) -> bool:
    """Whether texts behind their lengths fit a checksum; how many there are is told by when the lengths add up."""
    lengths, at, texts = bytearray(), 0, 0
    while at < len(data):
        length, shift = 0, 0
        while at < len(data) and data[at] & 0x80:
            length |= (data[at] & 0x7F) << shift
            at, shift = at + 1, shift + 7
        if at >= len(data) or shift > 63:  # noqa: PLR2004 - bits of the longest
            return False
        length |= data[at] << shift
        at, texts = at + 1, texts + length
        lengths += length.to_bytes(4 if length < 1 << 32 else 8, "little")
        if at + 4 + texts == len(data):  # with the checksum of the lengths
            return crc32c(data[at:], crc32c(bytes(lengths))) == checksum
    return False


_SUMS: dict[Check, Callable[[ChecksumRecord], _Crc32 | _Crc32c]] = {
    "crc32": _Crc32,
    "crc32c": _Crc32c,
    "crc32c-text": _Crc32cOfTexts,
}
"""Kind of checksum to what works it out."""


# What is no number ---------------------------------------------------------------------------------------------------


def _warn_non_finite(contents: Contents, odds: Mapping[str, list[tuple[int, bool]]]) -> Iterator[Flaw]:
    """The tensors that have NaN or infinity, each with how many; what lies in no tensor does not count."""
    for tensor in filter(should_be_finite, contents.tensors):
        found = [
            is_nan
            for piece in tensor.pieces
            for place, is_nan in odds.get(piece.storage, ())
            if _holds(piece.shape, piece.stride, place - piece.start, BITS[tensor.dtype] // 8)
        ]
        if found:
            file = contents.storages[tensor.pieces[0].storage].file
            yield make_non_finite_flaw(tensor, sum(found), len(found) - sum(found), file)


def make_non_finite_flaw(tensor: Tensor, nan: int, infinite: int, file: str) -> Flaw:
    """That so many of its numbers are none."""
    counts = ", ".join(f"{count:,} {word}" for count, word in ((nan, "NaN"), (infinite, "infinite")) if count)
    return Flaw("not-finite", f"tensor {tensor.name!a}: {counts} of {tensor.elements:,}", file)


def _holds(shape: Sequence[int], stride: Sequence[int] | None, offset: int, width: int) -> bool:
    """Whether an element of a piece lies so many bytes behind its first."""
    if offset < 0:
        return False
    left = offset // width
    if stride is None:
        return left < prod(shape)
    for step, size in sorted(zip(stride, shape, strict=True), reverse=True):
        if step:
            taken = min(left // step, size - 1)
            left -= taken * step
    return left == 0


# Datasets that h5py must unpack ---------------------------------------------------------------------------------------

_BLOCK = 1 << 20


def read_packed(contents: Contents, files: FileSet, *, finite: bool, tick: Tick = lambda _: None) -> Iterator[Flaw]:
    """Unpack all that h5py must; what is wrong with it, and, once, why some was not read."""
    from ckptctl.sandbox.h5py_read import MOST_TIMES

    packed = [(tensor, storage) for tensor in contents.tensors if (storage := _find_packed(contents, tensor))]
    if sum(tensor.bytes for tensor, _ in packed) > MOST_TIMES * sum(files.sizes.values()):
        yield Flaw("broken", "its datasets lie over each other, so that unpacking them would never end")
        return
    with open_numbers(files, contents) as numbers:
        found = [_examine(numbers, tensor, storage.file, tick, finite=finite) for tensor, storage in packed]
    unread = [it for it in found if it is not None and it.id == "not-read"]
    yield from (it for it in found if it is not None and it.id != "not-read")
    if unread:
        what = "a dataset was" if len(unread) == 1 else f"{len(unread)} datasets were"
        yield Flaw("not-read", f"{what} not read: {unread[0].text}", unread[0].file)


def _find_packed(contents: Contents, tensor: Tensor) -> Storage | None:
    """Where the numbers of a tensor are that h5py must unpack; None for all others."""
    storage = contents.storages.get(tensor.pieces[0].storage) if len(tensor.pieces) == 1 else None
    return storage if storage is not None and storage.dataset and tensor.dtype in BITS else None


def _examine(numbers: NumberReader, tensor: Tensor, file: str, tick: Tick, *, finite: bool) -> Flaw | None:
    """Read a dataset to its end; what is wrong with it."""
    try:
        odd = _read(numbers, tensor, tick, finite=finite and should_be_finite(tensor))
    except Damaged as error:
        if error.id == "not-read":
            return Flaw("not-read", error.text, file)
        return Flaw("broken", f"dataset {tensor.name!a}: {error.text}", file)
    except OSError as error:
        return Flaw("unreadable", f"cannot be read: {error.strerror or error}", file)
    return make_non_finite_flaw(tensor, *odd, file) if any(odd) else None


def _read(numbers: NumberReader, tensor: Tensor, tick: Tick, *, finite: bool) -> tuple[int, int]:
    """Read a dataset to its end; how many of its numbers are NaN, and how many infinite, where that was asked for."""
    nan, all_odd = 0, 0
    for chunk in rechunk(numbers.stream(tensor), _BLOCK):
        tick(len(chunk))
        odd = list(find_non_finite(bytes(chunk), tensor.dtype)) if finite else []
        nan, all_odd = nan + sum(it.is_nan for it in odd), all_odd + len(odd)
    return nan, all_odd - nan
