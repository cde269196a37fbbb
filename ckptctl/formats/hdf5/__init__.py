"""HDF5, as Keras and h5py write it: every dataset with its shape, its type and where its numbers lie."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import NamedTuple

from ckptctl.errors import Damaged, Truncated
from ckptctl.formats.contents import BITS, Contents, FileSet, Flaw, Packing, Piece, Plain, Storage, Tensor, part_of
from ckptctl.formats.hdf5.objects import Hdf5File, ObjectMessage
from ckptctl.formats.zip import ByteSource

_SPACE, _TYPE, _LAYOUT, _FILTERS, _ATTRIBUTE = 0x01, 0x03, 0x08, 0x0B, 0x0C
_INTEGER, _FLOAT, _STRING, _ENUM, _VARIABLE = 0, 1, 3, 8, 9
_OPAQUE = (b"\x15", b"\x25", b"\x35")
"""How such a type begins, in any version."""
_COMPACT, _CONTIGUOUS, _CHUNKED = 0, 1, 2
_MOST_CHUNKS = 200_000
_MOST_AXES = 32
_LONGEST_TEXT = 4096


def read(source: ByteSource, name: str, files: FileSet, *, placed: bool) -> Contents:  # noqa: ARG001 - as all of them
    """The contents; raises Damaged, OSError."""
    file = Hdf5File(source)
    if source.size < file.base + file.end:
        raise Truncated(f"cut short: {source.size:,} of {file.base + file.end:,} bytes")
    walk = _Walk(file, name)
    walk.run()
    if source.size > file.base + file.end:
        walk.flaws.append(Flaw("trailing", f"{source.size - file.end - file.base:,} bytes follow its end", name))
    return Contents("hdf5", tuple(walk.tensors), walk.storages, walk.values, flaws=tuple(walk.flaws))


class Hdf5Chunk(NamedTuple):
    """A block of a dataset."""

    address: int
    length: int
    """Bytes in the file."""
    start: tuple[int, ...]
    """Where in the dataset its first number is, for each axis."""
    shape: tuple[int, ...]
    """Of what lies inside of the dataset."""
    strides: tuple[int, ...]


class _Walk:
    """A visit to every object, groups in the order of their names."""

    def __init__(self, file: Hdf5File, name: str) -> None:
        self.file = file
        self.name = name
        self.tensors: list[Tensor] = []
        self.storages: dict[str, Storage] = {}
        self.values: dict[str, Plain] = {}
        self.flaws: list[Flaw] = []
        self.chunks = _MOST_CHUNKS

    def run(self) -> None:
        """Visit all, each object under its first name."""
        seen: set[int] = set()
        pending: list[tuple[tuple[str, ...], int]] = [((), self.file.root)]
        while pending:
            keys, address = pending.pop()
            if address in seen:
                continue
            seen.add(address)
            messages = self.file.messages(address)
            pending += [((*keys, it.name), it.address) for it in reversed(self.file.links(messages))]
            kinds = {it.kind: it.data for it in messages}
            if not keys:
                self.values |= dict(_read_attributes(self.file, messages))
            if _SPACE in kinds and _TYPE in kinds and _LAYOUT in kinds:
                noted = dict(_read_attributes(self.file, messages)) if kinds[_TYPE][:1] in _OPAQUE else {}
                self._enter(keys, kinds, noted.get("dtype", "?"))

    def _enter(self, keys: tuple[str, ...], kinds: dict[int, bytes], noted: str) -> None:
        """A dataset; ``noted``: the type that Keras notes of one that HDF5 has no type for (bfloat16)."""
        shape = _read_shape(self.file, kinds[_SPACE])
        dtype, is_big = _read_type(kinds[_TYPE], noted)
        name, width = "/".join(keys), int.from_bytes(kinds[_TYPE][4:8], "little")
        key = f"{self.name}:{name}"
        pieces = tuple(self._read_pieces(key, kinds, shape, width))
        self.tensors.append(Tensor(name, shape, dtype, part_of(keys), pieces, is_big))
        for piece in pieces:
            storage = self.storages[piece.storage]
            if not storage.dataset and (storage.offset or 0) + storage.length > self.file.source.size:
                self._warn_short(name)
                return

    def _warn_short(self, name: str) -> None:
        self.flaws.append(Flaw("short-storage", f"{name!a} reaches beyond the end of the file", self.name))

    def _read_pieces(self, key: str, kinds: dict[int, bytes], shape: tuple[int, ...], width: int) -> Iterator[Piece]:
        """Where the numbers of a dataset lie; none where they were never written."""
        data, file = kinds[_LAYOUT], self.file
        version = file.number(data, 0, 1)
        kind = file.number(data, 1 if version >= 3 else 2, 1)  # noqa: PLR2004 - where the class stands first
        at = 2 if version >= 3 else 8  # noqa: PLR2004 - where the class stands first
        length = prod(shape) * width
        if kind == _CONTIGUOUS:
            address = file.number(data, at)
            if address != file.undefined and length:
                self.storages[key] = Storage(self.name, file.base + address, length)
                yield Piece(key, 0, shape)
        elif kind == _CHUNKED and version <= 3:  # noqa: PLR2004 - later ones have other indexes
            yield from self._read_chunks(key, kinds, shape, version)
        elif kind in {_CHUNKED, _COMPACT}:
            yield self._leave_to_h5py(key, shape, length, "hdf5-unproved" if kind == _CHUNKED else "hdf5")

    def _leave_to_h5py(self, key: str, shape: tuple[int, ...], length: int, packing: Packing) -> Piece:
        """All numbers of a dataset, as what h5py must unpack."""
        self.storages[key] = Storage(self.name, 0, length, packing, key.partition(":")[2])
        return Piece(key, 0, shape)

    def _read_chunks(self, key: str, kinds: dict[int, bytes], shape: tuple[int, ...], version: int) -> Iterator[Piece]:
        """The chunks of a dataset; as one piece where they are packed, or not all were written."""
        chunks = list(self._list_chunks(kinds[_LAYOUT], shape, version))
        if _FILTERS not in kinds and sum(prod(it.shape) for it in chunks) == prod(shape):
            for number, it in enumerate(chunks):
                self.storages[f"{key}:{number}"] = Storage(self.name, self.file.base + it.address, it.length)
                yield Piece(f"{key}:{number}", 0, it.shape, it.strides, it.start)
        elif chunks:
            if any(self.file.base + it.address + it.length > self.file.source.size for it in chunks):
                self._warn_short(key.partition(":")[2])
            yield self._leave_to_h5py(key, shape, sum(it.length for it in chunks), "hdf5")

    def _list_chunks(self, data: bytes, shape: tuple[int, ...], version: int) -> Iterator[Hdf5Chunk]:
        """Those that were written; raises Damaged."""
        file = self.file
        rank = file.number(data, 2 if version == 3 else 1, 1)  # noqa: PLR2004 - as above
        at = 3 if version == 3 else 8  # noqa: PLR2004 - as above
        address = file.number(data, at)
        if address == file.undefined or not 1 < rank <= _MOST_AXES + 1:
            return
        sides = tuple(file.number(data, at + file.width + 4 * axis, 4) for axis in range(rank - 1))
        strides = tuple(prod(sides[axis + 1 :]) for axis in range(rank - 1))
        for head, child in file.branches(address, 1, 8 + 8 * rank):
            self.chunks -= 1
            if self.chunks < 0:
                raise Damaged(f"HDF5: more than {_MOST_CHUNKS:,} chunks", id="not-read")
            start = tuple(file.number(head, 8 + 8 * axis, 8) for axis in range(rank - 1))
            own = tuple(max(0, min(side, size - at)) for side, size, at in zip(sides, shape, start, strict=False))
            if len(own) != len(shape):
                raise Damaged("HDF5: the chunks of a dataset are malformed")
            yield Hdf5Chunk(child, file.number(head, 0, 4), start, own, strides)


def _read_shape(file: Hdf5File, data: bytes) -> tuple[int, ...]:
    version, rank = file.number(data, 0, 1), file.number(data, 1, 1)
    if rank > _MOST_AXES:
        raise Damaged(f"HDF5: a dataset of {rank} axes")
    at = 8 if version == 1 else 4
    return tuple(file.number(data, at + file.span * axis, file.span) for axis in range(rank))


def _read_type(data: bytes, noted: str) -> tuple[str, bool]:
    """The name of a type as torch would call it, and whether it is big-endian; ``string`` and ``?`` for no number.

    ``noted``: what is said of one that HDF5 knows nothing of but its width.
    """
    if len(data) < 8:  # noqa: PLR2004 - its head
        raise Damaged("HDF5: a type is malformed")
    kind, flags, size = data[0] & 15, data[1], int.from_bytes(data[4:8], "little")
    if kind in (_STRING, _VARIABLE):
        return "string", False
    if data[:1] in _OPAQUE:
        return (noted if BITS.get(noted) == 8 * size else "?"), False
    if kind == _ENUM:
        return ("bool" if size == 1 else "?"), False
    if kind == _FLOAT and size == 2 and len(data) > 13 and data[13] == 8:  # noqa: PLR2004 - bits of the exponent
        return "bfloat16", bool(flags & 1)
    front = {_FLOAT: "float", _INTEGER: "int" if flags & 8 else "uint"}.get(kind, "")
    name = f"{front}{8 * size}"
    return (name if front and name in BITS else "?"), bool(flags & 1)


def _read_attributes(file: Hdf5File, messages: list[ObjectMessage]) -> Iterator[tuple[str, str]]:
    """The texts that an object carries: the root versions and which backend wrote it, a dataset its type."""
    for kind, data in messages:
        if kind != _ATTRIBUTE or len(data) < 8:  # noqa: PLR2004 - its head
            continue
        version = data[0]
        sizes = [int.from_bytes(data[at : at + 2], "little") for at in (2, 4, 6)]
        padded = [-(-it // 8) * 8 for it in sizes] if version == 1 else sizes
        at = 8 + (version == 3)  # noqa: PLR2004 - with the encoding of the name
        name = data[at : at + sizes[0]].rstrip(b"\0")
        type_at = at + padded[0]
        text = _read_text(file, data[type_at : type_at + sizes[1]], data[type_at + padded[1] + padded[2] :])
        if text is not None:
            yield str(name, "utf-8", "replace"), text


def _read_text(file: Hdf5File, kind: bytes, value: bytes) -> str | None:
    """A single text, kept in place or in the heap of the file; None for anything else, and for a long one."""
    if kind[:1] and kind[0] & 15 == _STRING:
        raw = value[: int.from_bytes(kind[4:8], "little")].rstrip(b"\0 ")
        return str(raw, "utf-8", "replace") if len(raw) <= _LONGEST_TEXT else None
    length = int.from_bytes(value[:4], "little")
    is_one = kind[:1] and kind[0] & 15 == _VARIABLE and len(value) == 8 + file.width
    if not is_one or length > _LONGEST_TEXT:
        return None
    raw_heap = _find_in_heap(file, file.number(value, 4), file.number(value, 4 + file.width, 4))
    return None if raw_heap is None else str(raw_heap[:length], "utf-8", "replace")


def _find_in_heap(file: Hdf5File, address: int, wanted: int) -> bytes | None:
    """An object in a global heap; None where there is none."""
    head = file.read(address, 8 + file.span)
    if head[:4] != b"GCOL":
        return None
    block = file.read(address, min(file.number(head, 8, file.span), 1 << 20))
    at = 8 + file.span
    while at + 8 + file.span <= len(block):
        index, size = file.number(block, at, 2), file.number(block, at + 8, file.span)
        if index in (0, wanted):
            return block[at + 8 + file.span : at + 8 + file.span + size] if index else None
        at += 8 + file.span + -(-size // 8) * 8
    return None
