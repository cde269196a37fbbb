"""Write plain values and float32 tensors as torch writes them (the zip format, since 1.6), without torch.

For what is made up: the demo, tests and benchmarks. Real checkpoints are never written anew from values.
"""

from __future__ import annotations

import zipfile
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from io import BytesIO
from itertools import accumulate
from math import prod
from operator import mul
from struct import pack
from typing import NamedTuple

_HEAD = 30
"""Bytes of a member's head before its name; the extra field's own head takes four more."""
_ALIGNMENT = 64
"""Bytes; torch lets each storage begin at a multiple, so that it can be mapped into memory."""
_INT32 = range(-(2**31), 2**31)


class FloatTensor(NamedTuple):
    """A float32 tensor on the CPU that owns its storage."""

    shape: tuple[int, ...]
    """() is a single number."""
    data: bytes
    """Little-endian, four bytes a number, the last axis fastest."""


def make_tensor(values: Iterable[float], shape: tuple[int, ...] = ()) -> FloatTensor:
    """Round numbers to float32; raises ValueError where the shape asks for another count."""
    numbers = list(values)
    if len(numbers) != prod(shape):
        raise ValueError(f"{len(numbers)} numbers do not fill the shape {shape}")
    return FloatTensor(shape, pack(f"<{len(numbers)}f", *numbers))


def write_torch(path: str, value: object) -> None:
    """Write the file that ``torch.load(path, weights_only=True)`` reads; raises TypeError, OSError.

    The value is built of None, bool, int, float, str, list, tuple, dict, OrderedDict and Tensor.
    """
    content = encode_torch(value)
    with open(path, "wb") as file:
        file.write(content)


def encode_torch(value: object) -> bytes:
    """The bytes of that file: always the same for the same value."""
    storages: list[bytes] = []
    pickled = b"\x80\x02" + _pickle(value, storages) + b"."
    members = {
        "data.pkl": pickled,
        "byteorder": b"little",
        **{f"data/{key}": data for key, data in enumerate(storages)},
        "version": b"3\n",
    }
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(_head(f"archive/{name}", buffer.tell()), content)
    return buffer.getvalue()


def _head(name: str, offset: int) -> zipfile.ZipInfo:
    """A stored member whose data begins aligned, by an extra field that readers skip."""
    info = zipfile.ZipInfo(name)
    gap = -(offset + _HEAD + len(name) + 4) % _ALIGNMENT
    info.extra = b"FB" + pack("<H", gap) + b"Z" * gap
    return info


def _pickle(value: object, storages: list[bytes]) -> bytes:
    """Opcodes (protocol 2, nothing memoized) that leave the value on the stack; its storages are appended."""
    match value:
        case None | bool() | int() | float() | str():
            return _pickle_atom(value)
        case FloatTensor():
            return _pickle_tensor(value, storages)
        case OrderedDict():
            return b"ccollections\nOrderedDict\n)R" + _pickle_items(value, storages)
        case dict():
            return b"}" + _pickle_items(value, storages)
        case list():
            return b"](" + b"".join(_pickle(item, storages) for item in value) + b"e"
        case tuple():
            return b"(" + b"".join(_pickle(item, storages) for item in value) + b"t"
    raise TypeError(f"a {type(value).__name__} is not a plain value")


def _pickle_items(value: Mapping[object, object], storages: list[bytes]) -> bytes:
    items = (_pickle(part, storages) for item in value.items() for part in item)
    return b"(" + b"".join(items) + b"u"


def _pickle_atom(value: float | str | None) -> bytes:
    if value is None:
        return b"N"
    if isinstance(value, bool):
        return b"\x88" if value else b"\x89"
    if isinstance(value, int):
        return _pickle_int(value)
    if isinstance(value, float):
        return b"G" + pack(">d", value)
    text = value.encode("utf-8", "surrogatepass")
    return b"X" + pack("<I", len(text)) + text


def _pickle_int(value: int) -> bytes:
    if value in _INT32:
        return b"J" + pack("<i", value)
    length = value.bit_length() // 8 + 1
    return b"\x8a" + pack("<B", length) + value.to_bytes(length, "little", signed=True)


def _pickle_tensor(tensor: FloatTensor, storages: list[bytes]) -> bytes:
    """A call of the rebuilder that every torch since 0.4 names, with the storage as a persistent id."""
    strides = (1, *accumulate(reversed(tensor.shape[1:]), mul))[::-1] if tensor.shape else ()
    key, count = str(len(storages)), len(tensor.data) // 4
    storages.append(tensor.data)
    storage = b"(" + _pickle_atom("storage") + b"ctorch\nFloatStorage\n"
    storage += _pickle_atom(key) + _pickle_atom("cpu") + _pickle_int(count) + b"tQ"
    layout = _pickle_int(0) + _pickle(tensor.shape, []) + _pickle(strides, [])
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + layout + b"\x89ccollections\nOrderedDict\n)RtR"
