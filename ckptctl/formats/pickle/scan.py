"""Where pickles end, found without reading what they hold: texts and buffers are stepped over, nothing is built.

    for item in walk(source):               every text, buffer and line, then the STOP
        ...
    find_texts(data, b".distcp")            the texts of one that end so

It shows that a pickle was written to its end, not that it makes sense: that is for ``pickles``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from time import thread_time
from typing import NamedTuple

from ckptctl.errors import Damaged, Truncated
from ckptctl.formats.pickle.vm import LIMITS
from ckptctl.formats.zip import ByteSource

STOP = ord(".")
WINDOW = 64 << 10
"""Bytes that are read at once; a buffer that reaches beyond is stepped over and never read."""
_TEXTS = frozenset(b"X\x8c\x8d")
"""The opcodes of text, UTF-8 written plainly. A text that comes up again is only referred to; the first is written."""
_LONGEST_PATH = 4096
_LONGEST_HEAD = 16
"""Bytes: more than any opcode with what says its length."""

_RUN = re.compile(
    rb"(?s:[()012NQR\]}abdelostu\x81\x85-\x89\x8f-\x94\x97\x98]+"
    rb"|[Khq\x80\x82].|[M\x83]..|[Jjr\x84].{4}|[G\x95].{8}){1,500}"
)
"""Opcodes whose arguments have a fixed length, one behind the other."""
_COUNTED: Mapping[int, int] = {
    **dict.fromkeys(b"UC\x8a\x8c", 1),
    **dict.fromkeys(b"BTX\x8b", 4),
    **dict.fromkeys(b"\x8d\x8e\x96", 8),
}
"""Opcode to the bytes that say how many follow."""
_SIGNED = b"T\x8b"
_LINES: Mapping[int, int] = {**dict.fromkeys(b"FILPSVgp", 1), **dict.fromkeys(b"ci", 2)}
"""Opcode to the lines that follow."""
_CUT = frozenset(b"KhqMJjrG\x80\x82\x83\x84\x95")
"""Those of fixed length, of which the end of the file may leave a part."""


class WalkedOpcode(NamedTuple):
    """An opcode with an argument of its own length, or STOP."""

    opcode: int
    start: int
    """Offset of the argument, behind what says its length."""
    length: int
    """Bytes; it may reach beyond the end of the file."""


def find_ends(source: ByteSource, count: int = 1) -> list[int]:
    """Offsets behind the first ``count`` pickles of a file, fewer where it ends before; raises Damaged, OSError."""
    return [item.start for item in walk(source, count) if item.opcode == STOP]


def walk(source: ByteSource, count: int = 1, most: int = LIMITS.data) -> Iterator[WalkedOpcode]:
    """The items of the first ``count`` pickles, fewer where the file ends before; raises Damaged, OSError.

    Damaged is what no pickle holds, and what takes more than ``most`` bytes or the time of one pickle to read.
    """
    pages = _Pages(source, most)
    while count:
        pages.fill()
        place, is_last = pages.place, pages.is_last
        item = _step(pages)
        if is_last and item is None and pages.place == place:
            return
        if item is not None:
            yield item
            count -= item.opcode == STOP


class _Bytes:
    """Bytes in memory, to be read by position."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.size = len(content)

    def read(self, offset: int, length: int) -> bytes:
        return self.content[offset : offset + length]


def find_texts(data: bytes, suffix: bytes) -> frozenset[str]:
    """The texts of a pickle that end so; raises Damaged for what is no single pickle, written to its end.

    Every text is looked at, so none is missed; those longer than a path can be are left out.
    """
    found: set[bytes] = set()
    is_whole = False
    for item in walk(_Bytes(data), most=len(data) + 1):
        is_whole = item.opcode == STOP and item.start == len(data)
        end = item.start + item.length
        if item.opcode in _TEXTS and item.length <= _LONGEST_PATH and data.endswith(suffix, item.start, end):
            found.add(data[item.start : end])
    if not is_whole:
        raise Truncated("cut short: a pickle without its end, or with more behind it")
    return frozenset(str(text, "utf-8", "surrogatepass") for text in found)


class _Pages:
    """The part of the file that is looked at, and how far it was understood."""

    __slots__ = ("at", "base", "deadline", "left", "source", "window")

    def __init__(self, source: ByteSource, most: int) -> None:
        self.source = source
        self.window = b""
        self.base = 0
        """Offset of the window in the file."""
        self.at = 0
        """Where to go on, in the window or behind it."""
        self.left = most
        self.deadline = thread_time() + LIMITS.allow(min(most, source.size))

    @property
    def place(self) -> int:
        return self.base + self.at

    @property
    def is_last(self) -> bool:
        return self.base + len(self.window) >= self.source.size

    def fill(self) -> None:
        """Move the window on where what is left of it may be too short for the next opcode."""
        if len(self.window) - self.at < _LONGEST_HEAD and (not self.is_last or not self.window):
            self.turn()

    def turn(self) -> None:
        """Begin the window where to go on; raises Damaged over the limits."""
        known = max(0, len(self.window) - self.at)
        self.base, self.at = self.place, 0
        length = max(0, min(WINDOW, self.source.size - self.base))
        self.window = self.source.read(self.base, length) if length else b""
        if len(self.window) < length:
            raise Damaged("pickle: the file ended while it was read")
        self.left -= length - known
        if self.left < 0 or thread_time() > self.deadline:
            raise Damaged("pickle: too long to find its end")


def _step(pages: _Pages) -> WalkedOpcode | None:
    """Go on by a run of fixed opcodes and the one behind it; None where the window holds no item."""
    window = pages.window
    run = _RUN.match(window, pages.at) if pages.at < len(window) else None
    pages.at = run.end() if run else pages.at
    if pages.at >= len(window):
        return None
    opcode = window[pages.at]
    if opcode == STOP:
        pages.at += 1
        return WalkedOpcode(STOP, pages.base + pages.at, 0)
    if opcode in _COUNTED:
        return _step_over(pages, opcode, _COUNTED[opcode])
    if opcode in _LINES:
        return _step_lines(pages, opcode, _LINES[opcode])
    if opcode not in _CUT and not run:
        raise Damaged(f"pickle: unknown opcode 0x{opcode:02x} at byte {pages.base + pages.at}")
    return None


def _step_over(pages: _Pages, opcode: int, width: int) -> WalkedOpcode | None:
    start = pages.at + 1 + width
    if start > len(pages.window):
        return None
    length = int.from_bytes(pages.window[pages.at + 1 : start], "little", signed=opcode in _SIGNED)
    if length < 0:
        raise Damaged("pickle: a negative length")
    pages.at = start + length
    return WalkedOpcode(opcode, pages.base + start, length)


def _step_lines(pages: _Pages, opcode: int, lines: int) -> WalkedOpcode | None:
    start = end = pages.at + 1
    for _ in range(lines):
        end = pages.window.find(b"\n", end) + 1
        if not end:
            _wait_for_line(pages)
            return None
    pages.at = end
    return WalkedOpcode(opcode, pages.base + start, end - start)


def _wait_for_line(pages: _Pages) -> None:
    """Look at more of the file, unless the window already begins with the line: then there is no end to it."""
    if not pages.is_last and not pages.at:
        raise Damaged(f"pickle: no end of line within {WINDOW:,} bytes")
    if not pages.is_last:
        pages.turn()
