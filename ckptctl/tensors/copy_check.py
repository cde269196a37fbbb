"""Proof that members were copied whole: what was written is read again, and compared with the checksum of its source.

with following(draft, records, source) as reached:      in a thread of its own, behind the writing
…
reached(draft.size)
prove(draft, records, source)                           afterwards
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from threading import Condition

from ckptctl.errors import Damaged
from ckptctl.formats.checksums import crc32
from ckptctl.formats.contents import Contents
from ckptctl.formats.zip import ByteSource, printable_name
from ckptctl.formats.zip_writer import WrittenMember
from ckptctl.tensors.streams import make_room, read_chunks


def verify_members(draft: ByteSource, written: Sequence[WrittenMember], source: ByteSource | None = None) -> None:
    """Raise Damaged unless every member fits its checksum; with ``source``, where there are none, the bytes there."""
    room = make_room()
    for name, offset, length, crc, origin in written:
        expected = crc if source is None else _sum_up(source, origin, length, room)
        if _sum_up(draft, offset, length, room) != expected:
            raise Damaged(f"{printable_name(name)}: its checksum does not fit its content")


def verify_records(open_file: Callable[[str], ByteSource], contents: Contents, keys: Collection[str]) -> None:
    """Raise Damaged unless these storages fit their checksums, where they have any."""
    places = {(it.file, it.offset) for key, it in contents.storages.items() if key in keys}
    for record in contents.records:
        if (record.file, record.offset) in places and record.check == "crc32" and record.unpacked is None:
            place, name = (record.offset, record.length, record.checksum, record.offset), record.name.encode()
            verify_members(open_file(record.file), [WrittenMember(name, *place)])


def _sum_up(source: ByteSource, offset: int, length: int, room: memoryview) -> int:
    value = 0
    for chunk in read_chunks(source, offset, length, room):
        value = crc32(chunk, value)
    return value


class _Behind:
    """A draft that is only read as far as it was written."""

    def __init__(self, draft: ByteSource) -> None:
        self.draft = draft
        self.size = draft.size
        self.end = 0
        self.is_over = False
        self.changed = Condition()

    def reached(self, end: int) -> None:
        with self.changed:
            self.end = end
            self.changed.notify()

    def close(self) -> None:
        with self.changed:
            self.is_over = True
            self.changed.notify()

    def read(self, offset: int, length: int) -> bytes:
        """Wait until it is written, and read; empty where it never will be."""
        with self.changed:
            self.changed.wait_for(lambda: self.is_over or self.end >= offset + length)
        return self.draft.read(offset, length)

    def read_into(self, offset: int, buffer: memoryview) -> int:
        with self.changed:
            self.changed.wait_for(lambda: self.is_over or self.end >= offset + len(buffer))
        read_into: Callable[[int, memoryview], int] | None = getattr(self.draft, "read_into", None)
        if read_into is not None:
            return read_into(offset, buffer)
        data = self.draft.read(offset, len(buffer))
        buffer[: len(data)] = data
        return len(data)


@contextmanager
def verify_while_writing(
    draft: ByteSource, written: Sequence[WrittenMember], source: ByteSource | None = None
) -> Iterator[Callable[[int], None]]:
    """Prove it while it is written; raises Damaged in the end."""
    from concurrent.futures import ThreadPoolExecutor

    behind = _Behind(draft)
    with ThreadPoolExecutor(1) as pool:
        proof = pool.submit(verify_members, behind, written, source)
        try:
            yield behind.reached
        finally:
            behind.close()
    proof.result()
