"""JSON documents: rows of metrics in them, names they hold, and the same document without some of its names.

Bare ``NaN``, ``Infinity`` and ``-Infinity`` are read, as Python itself writes them; of equal keys the last counts.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from json import JSONDecodeError, JSONDecoder
from typing import cast

from ckptctl.errors import Damaged

MOST_DIGITS = 300
"""Of a whole number: what is longer is no count, and beyond what floats can hold."""
MOST_BYTES = 64 << 20
"""A Hugging Face trainer that logged 300,000 times writes about as much."""
LONGEST = 200
"""Characters of a column's name, nested keys joined: none that means something is longer, and a crafted one, repeated
for each key below it, would fill the memory."""
_BOM = "\ufeff"
_SPACE = re.compile(r"[ \t\n\r]*")
_KEY = re.compile(r"-?[0-9]{1,18}")

Scalar = str | int | float
Row = Mapping[str, Scalar]


@lru_cache(maxsize=1)  # a file that holds metrics and names a checkpoint too is asked for both, one after the other
def read(data: bytes) -> object:
    """The document's value; raises Damaged where it is none, or nested deeper than Python goes."""
    return _decode(_text_of(data))


def read_rows(data: bytes, at: str = "") -> list[Row]:
    """The rows at ``at``; [] where nothing is there. Raises Damaged."""
    return find_rows(read(data), at)


def field(data: bytes, keys: str) -> object | None:
    """The value at ``keys``, joined by ``/``; None where nothing is there. Raises Damaged."""
    return find(read(data), keys)


def names(data: bytes, listing: str, listed: str) -> list[str]:
    """The texts at ``listed`` of the items of the list at ``listing`` ("": the items are texts). Raises Damaged."""
    items = find(read(data), listing)
    found = [find(item, listed) for item in items] if isinstance(items, list) else []
    return [name for name in found if isinstance(name, str)]


def without(data: bytes, listing: str, listed: str, gone: Collection[str]) -> bytes:
    """The document without the items of the list at ``listing`` whose text at ``listed`` is gone.

    Everything else stays byte for byte as it was. Without such a list, nothing changes. Raises Damaged.
    """
    text = _text_of(data)
    _decode(text)
    start = _locate(text, listing)
    return data if start is None or text[start] != "[" else _splice(text, start, listed, gone).encode()


def find(value: object, keys: str) -> object | None:
    """What stands at ``keys`` of nested mappings, joined by ``/``; None where nothing does."""
    for key in keys.split("/") if keys else ():
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def find_rows(value: object, at: str) -> list[Row]:
    """The rows that plain nested values hold at ``at``: of a list one an item, of a mapping one, or one a numbered key.

    A single value is a row with the column "". What nobody can rank by is left out, and so are rows without anything.
    """
    found = find(value, at)
    if isinstance(found, dict):
        rows = _numbered_rows(found) or [_flatten(found)]
    elif isinstance(found, list):
        rows = [_flatten(item) for item in found if isinstance(item, dict)]
    else:
        rows = [_flatten({"": found})]
    return [row for row in rows if row]


def _numbered_rows(found: Mapping[str, object]) -> list[Row]:
    """A row for each key, if all are whole numbers that lead to mappings."""
    rows: list[Row] = []
    for key, item in found.items():
        if not (isinstance(item, dict) and _KEY.fullmatch(key)):
            return []
        rows.append({**_flatten(item), "key": int(key)})
    return rows


_PLAIN = frozenset({str, int, float})


def _flatten(  # nested: a stack instead of recursion, which a file could exhaust
    item: Mapping[str, object],
) -> Row:
    """The texts and numbers of a mapping and those nested in it."""
    if _PLAIN.issuperset(map(type, item.values())) and max(map(len, item), default=0) <= LONGEST:
        return cast("Row", item)
    row: dict[str, Scalar] = {}
    pending: list[tuple[str, Mapping[str, object]]] = [("", item)]
    while pending:
        above, mapping = pending.pop()
        for key, value in mapping.items():
            name = above + key
            if len(name) > LONGEST:
                continue
            if isinstance(value, dict):
                pending.append((f"{name}/", value))
            elif isinstance(value, str | int | float) and not isinstance(value, bool):
                row[name] = value
    return row


_DECODER = JSONDecoder(parse_int=lambda it: int(it) if len(it) <= MOST_DIGITS else float(it))


def _text_of(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise Damaged(f"not text: byte {error.start} is not UTF-8") from error


def _decode(text: str) -> object:
    try:
        value: object = _DECODER.decode(text.removeprefix(_BOM))
    except JSONDecodeError as error:
        raise Damaged(f"not JSON: line {error.lineno}: {error.msg}") from error
    except RecursionError as error:
        raise Damaged("not JSON that anyone wrote: nested too deep") from error
    return value


def _locate(text: str, keys: str) -> int | None:
    """Where the value at ``keys`` starts in a sound document; None where there is none."""
    start: int | None = _skip(text, len(_BOM) if text.startswith(_BOM) else 0)
    for key in keys.split("/") if keys else ():
        start = dict(_members(text, start)).get(key) if start is not None and text[start] == "{" else None
    return start


def _members(text: str, start: int) -> Iterator[tuple[str, int]]:
    """The keys of the object that starts there, and where their values start."""
    at = _skip(text, start + 1)
    while text[at] != "}":
        key, at = _DECODER.raw_decode(text, at)
        at = _skip(text, _skip(text, at) + 1)
        yield key, at
        at = _pass_comma(text, _DECODER.raw_decode(text, at)[1])


def _items(text: str, start: int) -> Iterator[tuple[object, int, int]]:
    """The items of the list that starts there, each with where it starts and ends."""
    at = _skip(text, start + 1)
    while text[at] != "]":
        item, end = _DECODER.raw_decode(text, at)
        yield item, at, end
        at = _pass_comma(text, end)


def _splice(text: str, start: int, listed: str, gone: Collection[str]) -> str:
    """The text with the list that starts there shortened; what parts its items is what parted them before."""
    items = list(_items(text, start))
    kept = [it for it in items if not (isinstance(name := find(it[0], listed), str) and name in gone)]
    if len(kept) == len(items):
        return text
    last = items[-1][2]
    if not kept:
        return text[: start + 1] + text[_skip(text, last) :]
    ends = {begin: before for (_, begin, _), (_, _, before) in zip(items[1:], items, strict=False)}
    first, *others = kept
    body = text[first[1] : first[2]] + "".join(text[ends[begin] : end] for _, begin, end in others)
    return text[: items[0][1]] + body + text[last:]


def _pass_comma(text: str, at: int) -> int:
    at = _skip(text, at)
    return _skip(text, at + 1) if text[at] == "," else at


def _skip(text: str, at: int) -> int:
    """The next place that is no white space."""
    space = _SPACE.match(text, at)
    return space.end() if space else at
