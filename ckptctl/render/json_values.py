"""The values of the contract's JSON: what they may be, how texts and paths are written, and how arrays stream."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Iterator
from itertools import islice
from json import JSONEncoder
from math import isfinite
from typing import Union

from ckptctl.render.names import encode, escape

BATCH = 1000
"""Values that are encoded at once: one by one takes twice as long, and json.dump three times."""

Value = Union[None, bool, int, float, str, "list[Value]", "dict[str, Value]"]

dump = JSONEncoder(separators=(",", ":"), allow_nan=False).encode
"""A value as ASCII, on one line."""


def write_batches(values: Iterable[dict[str, Value]]) -> Iterator[str]:
    """The inside of an array."""
    stream, comma = iter(values), ""
    while batch := list(islice(stream, BATCH)):
        yield comma + dump(batch)[1:-1]
        comma = ","


def write_finite(number: float | None) -> float | None:
    """A number that JSON can hold, None for all else."""
    return number if number is not None and isfinite(number) else None


def write_text(text: str) -> str:
    """A text as it is, unless no UTF-8 can hold it: then escaped."""
    return text if _is_utf8(text) else escape(text)


def write_texts(texts: Iterable[str]) -> Value:
    """Texts, each as ``write_text`` has it."""
    return [write_text(text) for text in texts]


def write_path(key: str, path: str) -> dict[str, Value]:
    """A path under its key; where it is not UTF-8, escaped, with its bytes beside it."""
    if _is_utf8(path):
        return {key: path}
    return {key: escape(path), f"{key}_b64": b64encode(encode(path)).decode()}


def _is_utf8(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def write_plain(value: object) -> Value:
    """A value of a setting, of training's or of ours."""
    if isinstance(value, str):
        return write_text(value)
    if isinstance(value, list):
        return write_texts(value)
    return value if isinstance(value, bool | int) or value is None else write_finite(float(str(value)))
