"""The opcodes that push plain values: numbers, texts, bytes. Lengths are proved before they are used.

Missing bytes come out as IndexError or struct.error, which the reader turns into Damaged.
"""

from __future__ import annotations

import re
from codecs import escape_decode, raw_unicode_escape_decode
from collections.abc import Mapping
from struct import Struct

from ckptctl.errors import Damaged
from ckptctl.formats.pickle.nodes import SkippedValue
from ckptctl.formats.pickle.vm import Operation, PickleVM

_LONGEST_NUMBER = 1024
"""Bytes of a whole number, digits of a written one."""

_INT32 = Struct("<i").unpack_from
_UINT16 = Struct("<H").unpack_from
UINT32 = Struct("<I").unpack_from
UINT64 = Struct("<Q").unpack_from
_DOUBLE = Struct(">d").unpack_from


def decoded(raw: bytes | SkippedValue) -> object:
    """The text that UTF-8 bytes are, surrogates allowed, as Python writes them; raises Damaged."""
    if type(raw) is SkippedValue:
        return raw
    try:
        return str(raw, "utf-8", "surrogatepass")  # type: ignore[arg-type] # it is bytes
    except UnicodeDecodeError:
        raise Damaged("pickle: a text is not UTF-8") from None


def _text_of_old(raw: bytes | SkippedValue) -> object:
    """A string of Python 2: text where it can be, else bytes."""
    try:
        return raw if type(raw) is SkippedValue else str(raw, "utf-8")  # type: ignore[arg-type] # it is bytes
    except UnicodeDecodeError:
        return raw


def number(machine: PickleVM, at: int, pattern: bytes, kind: str) -> tuple[bytes, int]:
    """The line at ``at`` if all of it is a number of this pattern, and the offset behind it; raises Damaged."""
    line = machine.line(at, _LONGEST_NUMBER)
    if not re.fullmatch(pattern, line):
        raise Damaged(f"pickle: what should be {kind} is none")
    return line, at + len(line) + 1


def _push_constant(value: object) -> Operation:
    def push(machine: PickleVM, at: int) -> int:
        machine.stack.append(value)
        return at

    return push


def _int(machine: PickleVM, at: int) -> int:
    line, end = number(machine, at, rb"[+-]?[0-9]+", "a whole number")
    machine.stack.append({b"00": False, b"01": True}.get(line) if line in (b"00", b"01") else int(line))
    return end


def _long(machine: PickleVM, at: int) -> int:
    line, end = number(machine, at, rb"[+-]?[0-9]+L?", "a whole number")
    machine.stack.append(int(line.rstrip(b"L")))
    return end


def _float(machine: PickleVM, at: int) -> int:
    line, end = number(machine, at, rb"[+-]?(?:[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?|inf|nan)", "a number")
    machine.stack.append(float(line))
    return end


def _binint(machine: PickleVM, at: int) -> int:
    machine.stack.append(_INT32(machine.data, at)[0])
    return at + 4


def _binint1(machine: PickleVM, at: int) -> int:
    machine.stack.append(machine.data[at])
    return at + 1


def _binint2(machine: PickleVM, at: int) -> int:
    machine.stack.append(_UINT16(machine.data, at)[0])
    return at + 2


def _push_long(machine: PickleVM, at: int, length: int) -> int:
    if not 0 <= length <= _LONGEST_NUMBER:
        raise Damaged(f"pickle: a whole number of {length:,} bytes")
    if length > len(machine.data) - at:
        raise Damaged(f"pickle: {length:,} bytes announced, {len(machine.data) - at:,} are left")
    machine.stack.append(int.from_bytes(machine.data[at : at + length], "little", signed=True))
    return at + length


def _long1(machine: PickleVM, at: int) -> int:
    return _push_long(machine, at + 1, machine.data[at])


def _long4(machine: PickleVM, at: int) -> int:
    return _push_long(machine, at + 4, _INT32(machine.data, at)[0])


def _binfloat(machine: PickleVM, at: int) -> int:
    machine.stack.append(_DOUBLE(machine.data, at)[0])
    return at + 8


def _string(machine: PickleVM, at: int) -> int:
    line = machine.line(at, machine.limits.string)
    body = line[1:-1]
    if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in (b"'", b'"'):  # noqa: PLR2004 - two quotes
        raise Damaged("pickle: a string without its quotes")
    if b"\\" in re.sub(rb"\\(?:x[0-9a-fA-F]{2}|[nrt\\'\"])", b"", body):
        raise Damaged("pickle: a string with an escape that Python does not write")
    machine.stack.append(_text_of_old(escape_decode(body)[0]))
    return at + len(line) + 1


def _binstring(machine: PickleVM, at: int) -> int:
    length = _INT32(machine.data, at)[0]
    if length < 0:
        raise Damaged("pickle: a string of negative length")
    machine.stack.append(_text_of_old(machine.take(at + 4, length)))
    return int(at + 4 + length)


def _short_binstring(machine: PickleVM, at: int) -> int:
    length = machine.data[at]
    machine.stack.append(_text_of_old(machine.take(at + 1, length)))
    return at + 1 + length


def _unicode(machine: PickleVM, at: int) -> int:
    line = machine.line(at, machine.limits.string)
    try:
        machine.stack.append(raw_unicode_escape_decode(line)[0])
    except UnicodeDecodeError:
        raise Damaged("pickle: a text with a broken escape") from None
    return at + len(line) + 1


def _short_binunicode(machine: PickleVM, at: int) -> int:
    length = machine.data[at]
    machine.stack.append(decoded(machine.take(at + 1, length)))
    return at + 1 + length


def _binunicode(machine: PickleVM, at: int) -> int:
    length = UINT32(machine.data, at)[0]
    start = at + 4
    machine.stack.append(decoded(machine.take(start, length)))
    return int(start + length)


def _binunicode8(machine: PickleVM, at: int) -> int:
    length = UINT64(machine.data, at)[0]
    machine.stack.append(decoded(machine.take(at + 8, length)))
    return int(at + 8 + length)


def _short_binbytes(machine: PickleVM, at: int) -> int:
    length = machine.data[at]
    machine.stack.append(machine.take(at + 1, length))
    return at + 1 + length


def _binbytes(machine: PickleVM, at: int) -> int:
    length = UINT32(machine.data, at)[0]
    machine.stack.append(machine.take(at + 4, length))
    return int(at + 4 + length)


def _binbytes8(machine: PickleVM, at: int) -> int:
    length = UINT64(machine.data, at)[0]
    machine.stack.append(machine.take(at + 8, length))
    return int(at + 8 + length)


def _bytearray8(machine: PickleVM, at: int) -> int:
    end = _binbytes8(machine, at)
    taken = machine.stack[-1]
    machine.stack[-1] = bytearray(taken) if type(taken) is bytes else taken
    return end


LITERALS: Mapping[bytes, Operation] = {
    b")": _push_constant(()),
    b"N": _push_constant(None),
    b"\x88": _push_constant(value=True),
    b"\x89": _push_constant(value=False),
    b"I": _int,
    b"L": _long,
    b"F": _float,
    b"J": _binint,
    b"K": _binint1,
    b"M": _binint2,
    b"\x8a": _long1,
    b"\x8b": _long4,
    b"G": _binfloat,
    b"S": _string,
    b"T": _binstring,
    b"U": _short_binstring,
    b"V": _unicode,
    b"\x8c": _short_binunicode,
    b"X": _binunicode,
    b"\x8d": _binunicode8,
    b"B": _binbytes,
    b"C": _short_binbytes,
    b"\x8e": _binbytes8,
    b"\x96": _bytearray8,
}
"""Opcode to what it does."""
