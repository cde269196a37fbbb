"""The objects of an HDF5 file, read by the standard library: superblock, groups, and the headers of datasets.

As much of the format as h5py and Keras write: superblocks 0 to 3, object headers 1 and 2, symbol tables, links kept in
the header, and those in a heap. Numbers are little-endian; each address is proved to lie in the file before it is
followed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ckptctl.errors import Damaged
from ckptctl.formats.hdf5.group_heap import read_links
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
        return list(self._new_messages(address, head) if head[:4] == b"OHDR" else self._old_messages(address, head))

    def _old_messages(self, address: int, head: bytes) -> Iterator[ObjectMessage]:
        if head[:1] != b"\x01":
            raise Damaged("HDF5: the header of an object is malformed")
        blocks = [(address + 16, self.number(head, 8, 4))]
        for where, length in blocks:
            for message in self._split(self.read(where, length), 2, 8):
                self._go_on(blocks, message, 0)
                yield message

    def _new_messages(self, address: int, head: bytes) -> Iterator[ObjectMessage]:
        flags = self.number(head, 5, 1)
        at = 6 + 16 * bool(flags & 0x20) + 4 * bool(flags & 0x10)
        width = 1 << (flags & 3)
        blocks = [(address + at + width, self.number(head, at, width))]
        for where, length in blocks:
            for message in self._split(self.read(where, length), 1, 4 + 2 * bool(flags & 4)):
                self._go_on(blocks, message, 4)
                yield message

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
