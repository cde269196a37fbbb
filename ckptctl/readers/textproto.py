"""``checkpoint``: the state file in which TensorFlow's managers and savers remember what they saved, as text proto.

    model_checkpoint_path: "ckpt-300"
    all_model_checkpoint_paths: "ckpt-200"
    all_model_checkpoint_paths: "ckpt-300"
    all_model_checkpoint_timestamps: 1795311290.630868
    all_model_checkpoint_timestamps: 1795311290.658632
    last_preserved_timestamp: 1795311289.5152328

The two lists are parallel, oldest first; TensorFlow pairs them by place, as far as the shorter goes. Checkpoints that
``keep_checkpoint_every_n_hours`` preserved are not listed. Names may be absolute, and of another machine.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import NamedTuple

from ckptctl.errors import Damaged

MOST_BYTES = 16 << 20
_LATEST = b"model_checkpoint_path"
_PATHS = b"all_model_checkpoint_paths"
_TIMES = b"all_model_checkpoint_timestamps"
_BLANK = re.compile(rb"(?:[ \t\r\n\f\v;,]|#[^\n]*)*")
"""What parts fields: it matches always, so it is never tried twice."""
_NAME = re.compile(rb"([A-Za-z_][A-Za-z0-9_]*)[ \t\r\n]*:[ \t\r\n]*")
_STRINGS = re.compile(rb"""(?:(?:"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')[ \t\r\n]*)+""")
"""Texts side by side are one."""
_BARE = re.compile(rb"[-+.A-Za-z0-9_]+")
_STRING = re.compile(rb"""(["'])((?:(?!\1)[^\\]|\\.)*)\1""")
_ESCAPE = re.compile(rb"""\\(?:([0-7]{1,3})|x([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))""", re.DOTALL)
_LETTERS = dict(zip(b"abfnrtv\\'\"", b"\a\b\f\n\r\t\v\\'\"", strict=True))
_SEPARATOR = re.compile(rb"[ \t]*[;,]?[ \t]*")
_LINE_REST = re.compile(rb"[ \t]*[;,]?[ \t]*(?:#[^\n]*)?(?:\n|\r\n|\Z)")


class TrackerState(NamedTuple):
    """What the file says."""

    latest: str | None
    """The name to resume from; None where there is none, and TensorFlow refuses the file."""
    all: tuple[str, ...]
    """The names that the manager knows, oldest first."""


class _Field(NamedTuple):
    """One value, and where it stands."""

    name: bytes
    start: int
    value: int
    """Where the value starts."""
    end: int
    written: bytes
    """The value as it stands there."""
    text: str
    """Of a text what it says; of a number as written."""


def read(data: bytes) -> TrackerState:
    """The names, as they were written; raises Damaged."""
    fields = list(_read_fields(data))
    latest = [field.text for field in fields if field.name == _LATEST]
    return TrackerState((latest or [""])[-1] or None, tuple(field.text for field in fields if field.name == _PATHS))


def without(data: bytes, gone: Collection[str]) -> bytes:
    """The file without those names and their times; everything else stays byte for byte as it was.

    Where the latest goes, the last of those that remain in the list becomes it. Raises ValueError where none remains,
    and Damaged.
    """
    fields = list(_read_fields(data))
    paths, times = ([it for it in fields if it.name == name] for name in (_PATHS, _TIMES))
    going = [place for place, it in enumerate(paths) if it.text in gone]
    edits = [(*_line_of(data, it[place]), b"") for it in (paths, times) for place in going if place < len(it)]
    kept = [it for it in paths if it.text not in gone]
    for latest in (it for it in fields if it.name == _LATEST and it.text in gone):
        if not kept:
            raise ValueError("no checkpoint would be left to resume from")
        edits.append((latest.value, latest.end, kept[-1].written))
    return _edit(data, edits)


def _edit(data: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    parts, done = [], 0
    for start, end, new in sorted(edits):
        parts += [data[done:start], new]
        done = end
    return b"".join([*parts, data[done:]])


def _line_of(data: bytes, field: _Field) -> tuple[int, int]:
    """Where a field's line starts and ends; where it shares the line, the field and what parts it from the next."""
    begun = field.start
    while data[max(0, begun - 1) : begun] in (b" ", b"\t"):
        begun -= 1
    rest = _LINE_REST.match(data, field.end)
    if rest and (begun == 0 or data[begun - 1 : begun] == b"\n"):
        return begun, rest.end()
    separator = _SEPARATOR.match(data, field.end)
    return field.start, separator.end() if separator else field.end


def _read_fields(data: bytes) -> Iterator[_Field]:
    """The fields, in their order; raises Damaged where there is anything but texts and numbers."""
    at = _skip(data, 0)
    while at < len(data):
        name = _NAME.match(data, at)
        value = name and (_STRINGS.match(data, name.end()) or _BARE.match(data, name.end()))
        if not (name and value):
            raise Damaged(f"not a checkpoint state: byte {at} begins no field")
        written = value[0].rstrip()
        end = value.start() + len(written)
        yield _Field(name[1], at, value.start(), end, written, _read_text(name[1], written))
        at = _skip(data, end)


def _skip(data: bytes, at: int) -> int:
    blank = _BLANK.match(data, at)
    return blank.end() if blank else at


def _read_text(name: bytes, written: bytes) -> str:
    """What one or more quoted texts say, one after the other; a number as it is."""
    if written[:1] not in (b'"', b"'"):
        if name in (_LATEST, _PATHS):
            raise Damaged("not a checkpoint state: a path is no text")
        return written.decode("ascii")
    try:
        said = b"".join(_ESCAPE.sub(_unescape, string[2]) for string in _STRING.finditer(written))
    except (ValueError, OverflowError) as error:
        raise Damaged("not a checkpoint state: a text holds an escape that stands for nothing") from error
    return said.decode("utf-8", "surrogateescape")


def _unescape(escape: re.Match[bytes]) -> bytes:
    """The bytes that an escape stands for; raises ValueError or OverflowError."""
    octal, byte, short, long, letter = escape.groups()
    if octal or byte:
        return bytes([int(octal, 8) if octal else int(byte, 16)])
    if short or long:
        return chr(int(short or long, 16)).encode()
    if letter[0] not in _LETTERS:
        raise ValueError(letter)
    return bytes([_LETTERS[letter[0]]])
