"""JSON lines: one object a line, appended while the training ran. A crash may have left any line half-written."""

from __future__ import annotations

from ckptctl.errors import Damaged
from ckptctl.readers import json

MOST_BYTES = 256 << 20


def read_rows(data: bytes, at: str = "") -> list[json.Row]:
    """The rows at ``at`` of each line; raises Damaged where there are lines, and none is an object.

    A line that is none is left out: the last, cut short, or one that a resumed training wrote behind such a one.
    """
    # Without white space, and without the zeros that a file system leaves of what it lost.
    lines = [line for it in data.split(b"\n") if (line := it.strip(b"\0 \t\r"))]
    found = [value for line in lines if isinstance(value := _read_line(line), dict)]
    if lines and not found:
        raise Damaged("not JSON lines: no line is an object")
    return [row for value in found for row in json.find_rows(value, at)]


def _read_line(line: bytes) -> object | None:
    try:
        return json.read(line)
    except Damaged:
        return None
