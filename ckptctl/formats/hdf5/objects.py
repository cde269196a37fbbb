"""The objects of an HDF5 file, read by the standard library: superblock, groups, and the headers of datasets.

As much of the format as h5py and Keras write: superblocks 0 to 3, object headers 1 and 2, symbol tables, links kept in
the header, and those in a heap. Numbers are little-endian; each address is proved to lie in the file before it is
followed.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from typing import NamedTuple

from ckptctl.errors import Damaged
from ckptctl.formats.zip import ByteSource

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_USER_BLOCKS = (0, 512, 1024, 2048, 4096)
_MOST_OBJECTS = 250_000
"""Objects, links to them, and nodes of trees."""
_MOST_BLOCKS = 1000
_LARGEST_BLOCK = 8 << 20
_CONTINUATION = 0x10
_SYMBOLS = 0x11
_LINK = 0x06
_LINK_INFO = 0x02
_DEEPEST_TREE = 32


class ObjectMessage(NamedTuple):
    """One fact in the header of an object."""

    kind: int
    data: bytes


class Hdf5Link(NamedTuple):
    """A member of a group."""

    name: str
    address: int


class Hdf5File:
    """An open file, whose superblock was read."""

    def __init__(self, source: ByteSource) -> None:
        self.source = source
        head = source.read(0, _USER_BLOCKS[-1] + 128)
        start = next((it for it in _USER_BLOCKS if head[it : it + 8] == _SIGNATURE), None)
        if start is None:
            raise Damaged("not an HDF5 file")
        block = head[start : start + 128]
        self.version = block[8] if len(block) > 8 else 255  # noqa: PLR2004 - behind the signature
        is_new = self.version in (2, 3)
        if self.version > 3 or len(block) < 64:  # noqa: PLR2004 - the newest, and the shortest
            raise Damaged(f"HDF5: superblock version {self.version} is unknown")
        self.width, self.span = (block[9], block[10]) if is_new else (block[13], block[14])
        """Bytes of an address, and of a length."""
        if self.width not in (4, 8) or self.span not in (4, 8):
            raise Damaged("HDF5: addresses of a width that nobody writes")
        at = 12 if is_new else (28 if self.version == 1 else 24)
        self.base = self.number(block, at)
        self.end = self.number(block, at + 2 * self.width)
        """Where the file says that it ends."""
        root = at + 3 * self.width if is_new else at + 5 * self.width
        self.root = self.number(block, root)
        self.undefined = (1 << 8 * self.width) - 1
        self.left = _MOST_OBJECTS

    def number(self, data: bytes, at: int, width: int = 0) -> int:
        """A number of so many bytes, those of an address where nothing is said; raises Damaged where they lack."""
        width = width or self.width
        if at + width > len(data):
            raise Damaged("HDF5: an object is cut short")
        return int.from_bytes(data[at : at + width], "little")

    def read(self, address: int, length: int, *, at_most: bool = False) -> bytes:
        """Bytes from an address; raises Damaged where they do not lie in the file, unless fewer will do."""
        if length > _LARGEST_BLOCK:
            raise Damaged(f"HDF5: an object of {length:,} bytes")
        data = self.source.read(self.base + address, length) if address < self.undefined else b""
        if len(data) < length and not (at_most and data):
            raise Damaged("HDF5: an address leads out of the file")
        return data

    def count(self) -> None:
        """One object more was read; raises Damaged, with the id ``not-read``, where there are too many."""
        self.left -= 1
        if self.left < 0:
            raise Damaged(f"HDF5: more than {_MOST_OBJECTS:,} objects", id="not-read")

    def messages(self, address: int) -> list[ObjectMessage]:
        """The header of an object; raises Damaged."""
        self.count()
        head = self.read(address, 64, at_most=True)
        if head[:4] == b"OHDR":
            flags = self.number(head, 5, 1)
            at, size = 6 + 16 * bool(flags & 0x20) + 4 * bool(flags & 0x10), 1 << (flags & 3)
            width, lead, frame = 1, 4 + 2 * bool(flags & 4), 4
            blocks = [(address + at + size, self.number(head, at, size))]
        elif head[:1] == b"\x01":
            width, lead, frame = 2, 8, 0
            blocks = [(address + 16, self.number(head, 8, 4))]
        else:
            raise Damaged("HDF5: the header of an object is malformed")
        found: list[ObjectMessage] = []
        for where, length in blocks:  # more of them are noted on the way
            for message in self._split(self.read(where, length), width, lead):
                self._go_on(blocks, message, frame)
                found.append(message)
        return found

    def _split(self, block: bytes, width: int, lead: int) -> Iterator[ObjectMessage]:
        """The facts in a block; ``width``: bytes of their kind, ``lead``: bytes before what they say."""
        at = 0
        while at + lead <= len(block):
            size = self.number(block, at + width, 2)
            yield ObjectMessage(self.number(block, at, width), block[at + lead : at + lead + size])
            at += lead + size

    def _go_on(self, blocks: list[tuple[int, int]], message: ObjectMessage, frame: int) -> None:
        """Note where an object goes on, if a fact tells it; ``frame``: bytes of the signature and of the checksum."""
        if message.kind != _CONTINUATION:
            return
        if len(blocks) > _MOST_BLOCKS:
            raise Damaged("HDF5: an object that never ends")
        length = self.number(message.data, self.width, self.span) - 2 * frame
        blocks.append((self.number(message.data, 0) + frame, max(0, length)))

    def links(self, messages: list[ObjectMessage]) -> list[Hdf5Link]:
        """The members of a group, by their names; [] for what is no group."""
        found: list[Hdf5Link] = []
        for link in self._read_links(messages):
            self.count()
            found.append(link)
        return sorted(found)

    def _read_links(self, messages: list[ObjectMessage]) -> Iterator[Hdf5Link]:
        for kind, data in messages:
            if kind == _SYMBOLS:
                yield from self._read_symbols(self.number(data, 0), self.number(data, self.width))
            elif kind == _LINK:
                yield from self._read_link(data)
            elif kind == _LINK_INFO:
                yield from self._read_dense(data)

    def _read_dense(self, data: bytes) -> Iterator[Hdf5Link]:
        """The members that lie in a heap; none where all are kept in the header."""
        at = 2 + 8 * (self.number(data, 1, 1) & 1)
        heap = self.number(data, at)
        if heap != self.undefined:
            for said in read_links(self, heap, self.number(data, at + self.width)):
                yield from self._read_link(said)

    def _read_link(self, data: bytes) -> list[Hdf5Link]:
        """A hard link; soft and external ones lead elsewhere, and are none of this file's."""
        flags = self.number(data, 1, 1)
        kind = self.number(data, 2, 1) if flags & 8 else 0
        at = 2 + bool(flags & 8) + 8 * bool(flags & 4) + bool(flags & 0x10)
        width = 1 << (flags & 3)
        length = self.number(data, at, width)
        name = data[at + width : at + width + length]
        return [Hdf5Link(_text(name), self.number(data, at + width + length))] if kind == 0 else []

    def _read_symbols(self, tree: int, heap: int) -> Iterator[Hdf5Link]:
        head = self.read(heap, 8 + 2 * self.span + self.width)
        if head[:4] != b"HEAP":
            raise Damaged("HDF5: the names of a group are missing")
        names = self.read(self.number(head, 8 + 2 * self.span), self.number(head, 8, self.span))
        for _, node in self.branches(tree, 0, self.span):
            yield from self._read_node(node, names)

    def _read_node(self, node: int, names: bytes) -> Iterator[Hdf5Link]:
        block, size = self.read(node, 8), 2 * self.width + 24
        if block[:4] != b"SNOD":
            raise Damaged("HDF5: a group is malformed")
        length = self.number(block, 6, 2) * size
        entries = self.read(node + 8, length)
        for at in range(0, length, size):
            start = self.number(entries, at)
            name = names[start : names.find(b"\0", start)]
            if self.number(entries, at + 2 * self.width, 4) != 2:  # noqa: PLR2004 - a soft link
                yield Hdf5Link(_text(name), self.number(entries, at + self.width))

    def branches(self, address: int, kind: int, key: int) -> Iterator[tuple[bytes, int]]:
        """The keys, of so many bytes, and the addresses in the leaves of a tree (version 1), in order."""
        pending = [(address, _DEEPEST_TREE)]
        while pending:
            where, deepest = pending.pop()
            self.count()
            head = self.read(where, 8 + 2 * self.width)
            if head[:4] != b"TREE" or head[4] != kind or not deepest:
                raise Damaged("HDF5: a tree is malformed")
            step, count = key + self.width, self.number(head, 6, 2)
            block = self.read(where + 8 + 2 * self.width, count * step)
            found = [(block[at : at + key], self.number(block, at + key)) for at in range(0, count * step, step)]
            if head[5] == 0:
                yield from found
            else:
                pending += [(child, deepest - 1) for _, child in reversed(found)]


def _text(raw: bytes) -> str:
    return str(raw[:1024], "utf-8", "backslashreplace")


# Groups with many members: those written with ``libver="latest"`` or ``track_order=True`` that have more than eight.
# Their links lie in a heap, of blocks that double in size from row to row of a table, and a tree over the hashes of
# their names finds them: fractal heaps and version 2 B-trees, by the specification of the file format.

_DEEPEST = 16
_WIDEST_TABLE = 1024
_MOST_ROWS = 64
_BROKEN_HEAP = "HDF5: the links of a group are malformed"
_BROKEN_TREE = "HDF5: the tree of a group is malformed"


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


def read_links(file: Hdf5File, heap: int, tree: int) -> Iterator[bytes]:
    """What each link of a group says, in the order of the hashes of their names; raises Damaged."""
    links = _Heap(file, heap)
    for record in _read_tree(file, tree):
        yield links.read(record[4:])  # behind the hash


class _Heap:
    """A heap of links, whose blocks were looked up."""

    def __init__(self, file: Hdf5File, address: int) -> None:
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


def _read_tree(file: Hdf5File, address: int) -> Iterator[bytes]:
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


def _read_node(file: Hdf5File, shape: _Shape, child: tuple[int, int], depth: int) -> Iterator[bytes]:
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
