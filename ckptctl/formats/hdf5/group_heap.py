"""Groups of HDF5 with many members: their links lie in a heap, and a tree over the hashes of their names finds them.

So are groups written with ``libver="latest"`` or ``track_order=True`` that have more than eight members. The heap is of
blocks that double in size from row to row of a table: fractal heaps and version 2 B-trees, by the specification of the
file format.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from ckptctl.errors import Damaged

_DEEPEST = 16
_WIDEST_TABLE = 1024
_MOST_ROWS = 64
_BROKEN_HEAP = "HDF5: the links of a group are malformed"
_BROKEN_TREE = "HDF5: the tree of a group is malformed"


class Hdf5Reader(Protocol):
    """What is asked of an open file."""

    width: int
    span: int
    undefined: int

    def number(self, data: bytes, at: int, width: int = 0) -> int:
        """A number of so many bytes, those of an address where nothing is said; raises Damaged."""

    def read(self, address: int, length: int) -> bytes:
        """Bytes from an address; raises Damaged."""

    def count(self) -> None:
        """One object more was read; raises Damaged where there are too many."""


class HeapTable(NamedTuple):
    """How the blocks of a heap are laid out: each row has as many; their sizes double from the third row on."""

    blocks: int
    """In a row."""
    first: int
    """Bytes of a block in the first row."""
    largest: int
    """Bytes of the largest block that holds links itself."""
    places: int
    """Bytes of an offset in the heap."""

    def size(self, row: int) -> int:
        """Bytes of a block in a row."""
        return self.first << max(0, row - 1)

    def rows_below(self, size: int) -> int:
        """Rows in a block of blocks that covers so many bytes."""
        return (size // (self.first * self.blocks)).bit_length()


class HeapBlock(NamedTuple):
    """A stretch of a heap."""

    offset: int
    """Where it begins in the heap."""
    size: int
    address: int
    """Where it lies in the file."""


def read_links(file: Hdf5Reader, heap: int, tree: int) -> Iterator[bytes]:
    """What each link of a group says, in the order of the hashes of their names; raises Damaged."""
    links = _Heap(file, heap)
    for record in _read_tree(file, tree):
        yield links.read(record[4:])  # behind the hash


class _Heap:
    """A heap of links, whose blocks were looked up."""

    def __init__(self, file: Hdf5Reader, address: int) -> None:
        self.file = file
        span, width, number = file.span, file.width, file.number
        head = file.read(address, 22 + 12 * span + 3 * width)
        if head[:5] != b"FRHP\0" or number(head, 7, 2):
            raise Damaged(_BROKEN_HEAP)
        at = 14 + 10 * span + 2 * width  # behind the sizes of what it holds, and of what is free
        bits = number(head, at + 2 + 2 * span, 2)
        self.table = HeapTable(
            number(head, at, 2), number(head, at + 2, span), number(head, at + 2 + span, span), -(-bits // 8)
        )
        self._prove(bits)
        longest = min(number(head, 10, 4), self.table.largest)
        self.length_width = _bytes_for(longest)
        root, rows = number(head, at + 6 + 2 * span), number(head, at + 6 + 2 * span + width, 2)
        found = self._visit(HeapBlock(0, self.table.first, root), rows, _DEEPEST) if root != file.undefined else ()
        self.blocks = sorted(found)
        self.starts = [it.offset for it in self.blocks]

    def _prove(self, bits: int) -> None:
        table = self.table
        is_sound = 0 < table.blocks <= _WIDEST_TABLE and 0 < table.first <= table.largest and 0 < bits <= 64  # noqa: PLR2004 - bits of an offset
        if not is_sound or table.first & (table.first - 1) or table.blocks & (table.blocks - 1):
            raise Damaged(_BROKEN_HEAP)

    def _visit(self, block: HeapBlock, rows: int, deepest: int) -> Iterator[HeapBlock]:
        """The blocks that hold links, of a block that holds others in so many rows, or of one without."""
        if not rows:
            yield block
            return
        if rows > _MOST_ROWS or not deepest:
            raise Damaged(_BROKEN_HEAP)
        lead, width, table = 5 + self.file.width + self.table.places, self.file.width, self.table
        data = self.file.read(block.address, lead + rows * table.blocks * width)
        if data[:4] != b"FHIB":
            raise Damaged(_BROKEN_HEAP)
        offset = block.offset
        for place in range(rows * table.blocks):
            size, child = table.size(place // table.blocks), self.file.number(data, lead + place * width)
            if child != self.file.undefined:
                self.file.count()
                inner = table.rows_below(size) if size > table.largest else 0
                yield from self._visit(HeapBlock(offset, size, child), inner, deepest - 1)
            offset += size

    def read(self, place: bytes) -> bytes:
        """What a link says, by its place in the heap, or from the place itself where it is short; raises Damaged."""
        kind = place[0] >> 4 & 3 if place else 3
        if kind == 2:  # noqa: PLR2004 - tiny: it lies in the place itself
            return place[1 : 2 + (place[0] & 15)]
        if kind or place[0] >> 6:
            raise Damaged("HDF5: a link of a group lies where it is not read", id="not-read")
        offset = self.file.number(place, 1, self.table.places)
        length = self.file.number(place, 1 + self.table.places, self.length_width)
        found = bisect_right(self.starts, offset) - 1
        block = self.blocks[found] if found >= 0 else HeapBlock(0, 0, 0)
        if offset + length > block.offset + block.size:
            raise Damaged("HDF5: a link of a group lies outside of its heap")
        return self.file.read(block.address + offset - block.offset, length)


def _read_tree(file: Hdf5Reader, address: int) -> Iterator[bytes]:
    """The records of a tree (version 2), in order; raises Damaged."""
    head = file.read(address, 16 + file.width + 2)
    if head[:5] != b"BTHD\0":
        raise Damaged(_BROKEN_TREE)
    size, record, depth = file.number(head, 6, 4), file.number(head, 10, 2), file.number(head, 12, 2)
    root, count = file.number(head, 16), file.number(head, 16 + file.width, 2)
    if not 4 < record <= size or depth > _DEEPEST:  # noqa: PLR2004 - the hash
        raise Damaged(_BROKEN_TREE)
    if root != file.undefined:
        yield from _read_node(file, _Shape(size, record, file.width), (root, count), depth)


class _Shape:
    """How the nodes of a tree are made."""

    def __init__(self, size: int, record: int, width: int) -> None:
        self.size = size
        self.record = record
        leaf = (size - 10) // record
        self.counts = _bytes_for(leaf)
        """Bytes of how many records a child has."""
        self.totals = [0]
        """Bytes of how many records there are below a child, by its depth; leaves tell it once."""
        total = leaf
        for _ in range(_DEEPEST):
            pointer = width + self.counts + self.totals[-1]
            most = max(1, (size - 10 - pointer) // (record + pointer))
            total = (most + 1) * total + most
            self.totals.append(_bytes_for(total))


def _bytes_for(number: int) -> int:
    return max(1, -(-number.bit_length() // 8))


def _read_node(file: Hdf5Reader, shape: _Shape, child: tuple[int, int], depth: int) -> Iterator[bytes]:
    """The records of a node and of all below it; ``child``: its address, and how many records it has."""
    address, count = child
    file.count()
    step = file.width + shape.counts + shape.totals[depth - 1] if depth else 0
    length = 6 + count * shape.record + (count + 1) * step
    if length > shape.size:
        raise Damaged(_BROKEN_TREE)
    data = file.read(address, length)
    if data[:4] != (b"BTIN" if depth else b"BTLF"):
        raise Damaged(_BROKEN_TREE)
    records = [data[6 + place * shape.record :][: shape.record] for place in range(count)]
    if not depth:
        yield from records
        return
    for place in range(count + 1):
        at = 6 + count * shape.record + place * step
        inner = file.number(data, at), file.number(data, at + file.width, shape.counts)
        yield from _read_node(file, shape, inner, depth - 1)
        yield from records[place : place + 1]
