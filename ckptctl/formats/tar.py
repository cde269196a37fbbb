"""Tar archives: each member that holds weights is read as a file of its own. Nothing is unpacked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ckptctl.formats.contents import Contents, FileSet, Flaw, merge_contents
from ckptctl.formats.zip import ByteSource, FileWindow

_BLOCK = 512
_MOST_MEMBERS = 2000
"""More are not looked at: such an archive is a data set."""
_FILES = (b"0", b"\0")
"""Types of regular files."""


def is_tar(head: bytes) -> bool:
    """Whether a file begins as every tar since POSIX does."""
    return head[257:262] == b"ustar"


def list_members(source: ByteSource) -> dict[str, FileWindow]:
    """The first regular files of an archive by their names, as far as its headers can be read."""
    found: dict[str, FileWindow] = {}
    at = 0
    while at + _BLOCK <= source.size and len(found) < _MOST_MEMBERS:
        header = source.read(at, _BLOCK)
        size = _read_size(header[124:136]) if is_tar(header) else None
        if size is None:
            break
        if header[156:157] in _FILES and at + _BLOCK + size <= source.size:
            name = header[:100].rstrip(b"\0").decode("utf-8", "replace")
            found[name] = FileWindow(source, at + _BLOCK, size)
        at += _BLOCK + (size + _BLOCK - 1) // _BLOCK * _BLOCK
    return found


def _read_size(field: bytes) -> int | None:
    """A size, as octal digits or, of more than 8 GB, in binary."""
    if field[:1] == b"\x80":
        return int.from_bytes(field[1:], "big")
    digits = field.strip(b" \0")
    return int(digits, 8) if digits and not digits.strip(b"01234567") else None


class TarMembers:
    """The members of an archive as the files of a checkpoint."""

    def __init__(self, source: ByteSource) -> None:
        self.windows = list_members(source)
        self.sizes = {name: it.size for name, it in self.windows.items() if it.size}

    @contextmanager
    def open(self, name: str) -> Iterator[ByteSource]:
        """A member as a file."""
        yield self.windows[name]


def read(source: ByteSource, name: str, files: FileSet, *, placed: bool) -> Contents:  # noqa: ARG001 - as all of them
    """What is wrong with the members, and what their pickles name; raises OSError."""
    from ckptctl.formats import read_files

    held = read_files(TarMembers(source), placed=False, every=True)
    inner = merge_contents(held) if held else Contents("tar")
    flaws = tuple(Flaw(it.id, it.text, name) for it in inner.flaws)
    return Contents("tar", globals=inner.globals, flaws=flaws)
