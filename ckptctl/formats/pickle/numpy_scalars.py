"""The scalars of numpy, which metrics often are, as plain numbers."""

from __future__ import annotations

from collections.abc import Mapping
from struct import calcsize, unpack

from ckptctl.formats.pickle.nodes import GlobalName, PickledCall
from ckptctl.formats.pickle.vm import Decoder

_FORMATS = {
    "f2": "e",
    "f4": "f",
    "f8": "d",
    "i1": "b",
    "i2": "h",
    "i4": "i",
    "i8": "q",
    "u1": "B",
    "u2": "H",
    "u4": "I",
    "u8": "Q",
    "b1": "?",
}
"""Kind and bytes of the data type to struct's letter."""
_DTYPE = GlobalName("numpy", "dtype")
_ENCODE = GlobalName("_codecs", "encode")
_LONGEST = 8
"""Bytes of the widest of them."""


def _decode_scalar(args: tuple[object, ...]) -> float | int | None:
    """``scalar(dtype, bytes)``; None for data types that are no single number."""
    if len(args) != 2 or type(args[0]) is not PickledCall:  # noqa: PLR2004 - as above
        return None
    letter, raw = _read_format(args[0]), _read_bytes(args[1])
    if letter is None or raw is None or len(raw) != calcsize(letter):
        return None
    number: float | int = unpack(letter, raw)[0]
    return int(number) if type(number) is bool else number


def _read_format(dtype: PickledCall) -> str | None:
    """Struct's format of ``dtype('f8', …)``, whose byte order is set as its state."""
    match (dtype.target, dtype.args, dtype.state):
        case (target, (str() as name, *_), (_, str() as order, *_)) if target == _DTYPE:
            letter = _FORMATS.get(name.lstrip("<>|="))
            return letter and (">" if order == ">" else "<") + letter
        case _:
            return None


def _read_bytes(node: object) -> bytes | None:
    """Bytes, or the call that stands for them in pickles of protocol 2, which torch writes."""
    match node:
        case bytes():
            return node
        case PickledCall(target=target, args=(str() as text, "latin1")) if target == _ENCODE and len(text) <= _LONGEST:
            return bytes(map(ord, text)) if all(letter <= "\xff" for letter in text) else None
        case _:
            return None


DECODERS: Mapping[GlobalName, Decoder] = {
    GlobalName("numpy.core.multiarray", "scalar"): _decode_scalar,
    GlobalName("numpy._core.multiarray", "scalar"): _decode_scalar,
}
"""The name until numpy 1.26, and the one since."""
