"""The zip format of torch (its default since 1.6), read without torch and without loading a tensor.

archive = open_archive(source)
values = read_values(archive)       plain values, tensors as their descriptions
scalar(archive, values["loss"])     the number in a tensor of one element
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from struct import unpack
from typing import NamedTuple

from ckptctl.errors import Damaged
from ckptctl.weights.machine import LIMITS, Decoder
from ckptctl.weights.nodes import Global, Ordered, Persistent
from ckptctl.weights.pickles import read
from ckptctl.weights.zip_archive import Archive, Source, open_archive, show

UNSUPPORTED = "unsupported"
"""The id of the Damaged that is raised for a sound file of another kind: it has no state that could be read."""

_LEGACY = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"
"""How torch's files from before 1.6 begin: the pickle of its magic number."""
_MOST_AXES = 64
_SMALL_STORAGE = 4096
"""Bytes; up to here a storage is read whole, so that its checksum can be proved."""
_V2_ARGUMENTS = 6
_V3_ARGUMENTS = 7

_FORMATS = {
    "float64": "d",
    "float32": "f",
    "float16": "e",
    "bfloat16": "H",
    "int64": "q",
    "int32": "i",
    "int16": "h",
    "int8": "b",
    "uint64": "Q",
    "uint32": "I",
    "uint16": "H",
    "uint8": "B",
    "bool": "?",
}
"""Data type to struct's letter; what has none is no single number to us (complex, quantized, 8-bit floats)."""

_STORAGES = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
    "ComplexFloatStorage": "complex64",
    "ComplexDoubleStorage": "complex128",
    "UntypedStorage": "uint8",
}


class Tensor(NamedTuple):
    """A tensor's description; its numbers stay in the file."""

    dtype: str
    """As torch calls it, without the module: ``bfloat16``."""
    shape: tuple[int, ...]
    """() is a single number."""
    stride: tuple[int, ...]
    """In elements."""
    offset: int
    """Of its first element in the storage, in elements."""
    key: str
    """Of the storage: the member ``data/<key>``; tensors that share memory share it."""


def read_values(source: Source | Archive) -> Mapping[object, object]:
    """What a checkpoint's dictionary holds: plain data, Tensor and inert nodes; raises Damaged.

    A sound file that is no dictionary in torch's zip format comes out as Damaged with the id ``unsupported``.
    """
    archive = _open(source)
    root = _root(archive)
    if not all(name.startswith(root) for name in archive.members):
        raise Damaged("ambiguous zip: its members are not all in one folder")
    pickled = read(archive.read(root + b"data.pkl", LIMITS.data), decoders=_DECODERS)
    if not isinstance(pickled.value, dict):
        raise Damaged("data.pkl holds no dictionary, but something else", id=UNSUPPORTED)
    return pickled.value


def scalar(source: Source | Archive, node: object) -> float | int | None:
    """The number in a tensor of one element, None for anything else; raises Damaged where its storage cannot be."""
    if type(node) is not Tensor or prod(node.shape) != 1 or node.dtype not in _FORMATS:
        return None
    archive = _open(source)
    root = _root(archive)
    name = root + b"data/" + node.key.encode("utf-8", "surrogatepass")
    if name not in archive.members:
        raise Damaged(f"{show(name)}: the storage of a tensor is missing")
    order = "big" if _read_byteorder(archive, root) == b"big" else "little"
    return _number(_read_element(archive, name, node), node.dtype, order)


def _open(source: Source | Archive) -> Archive:
    if isinstance(source, Archive):
        return source
    begin = source.read(0, len(_LEGACY))
    if not begin:
        raise Damaged("empty file")
    if begin == _LEGACY:
        raise Damaged("torch's format from before 1.6, which is not read", id=UNSUPPORTED)
    if begin[:4] != b"PK\x03\x04":
        raise Damaged("not a file of torch.save", id=UNSUPPORTED)
    return open_archive(source)


def _root(archive: Archive) -> bytes:
    """The folder of the archive, with its slash; torch takes it from the first member."""
    root = next(iter(archive.members), b"").partition(b"/")[0] + b"/"
    if root + b"data.pkl" not in archive.members:
        raise Damaged("a zip archive without data.pkl", id=UNSUPPORTED)
    return root


def _read_byteorder(archive: Archive, root: bytes) -> bytes:
    """As the member says it (since torch 2.1)."""
    name = root + b"byteorder"
    return archive.read(name, len("little")) if name in archive.members else b"little"


def _read_element(archive: Archive, name: bytes, tensor: Tensor) -> bytes:
    width = _width(tensor.dtype)
    member, at = archive.members[name], tensor.offset * width
    if at + width > member.size:
        raise Damaged(f"{show(name)}: a tensor reaches beyond its storage")
    if member.size <= _SMALL_STORAGE:
        return archive.read(name, _SMALL_STORAGE)[at : at + width]
    return archive.source.read(archive.locate(name) + at, width)


def _width(dtype: str) -> int:
    from struct import calcsize

    return calcsize(f"<{_FORMATS[dtype]}")


def _number(raw: bytes, dtype: str, order: str) -> float | int:
    if len(raw) != _width(dtype):
        raise Damaged("the file ended while a tensor was read")
    if dtype == "bfloat16":  # the upper half of a float32
        raw, dtype = (raw + b"\0\0" if order == "big" else b"\0\0" + raw), "float32"
    number: float | int = unpack((">" if order == "big" else "<") + _FORMATS[dtype], raw)[0]
    return int(number) if dtype == "bool" else number


def _decode_ordered(args: tuple[object, ...]) -> object:
    return None if args else Ordered()


def _decode_tensor(args: tuple[object, ...]) -> object:
    """``_rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks)``."""
    return _describe(args[0], args[1], args[2:4], None) if len(args) >= _V2_ARGUMENTS else None


def _decode_tensor_v3(args: tuple[object, ...]) -> object:
    """The same with the data type, on a storage of bytes."""
    if len(args) < _V3_ARGUMENTS or type(args[6]) is not Global:
        return None
    return _describe(args[0], args[1], args[2:4], args[6].name)


def _decode_parameter(args: tuple[object, ...]) -> object:
    """``_rebuild_parameter(tensor, requires_grad, hooks)``."""
    return args[0] if args and type(args[0]) is Tensor else None


def _decode_typed(args: tuple[object, ...]) -> object:
    """``_rebuild_from_type_v2(function, type, arguments, state)``: a tensor with attributes of its own."""
    match args:
        case (Global() as function, _, tuple() as inner, _) if function in _TENSORS:
            return _TENSORS[function](inner)
        case _:
            return None


def _describe(storage: object, offset: object, places: tuple[object, ...], dtype: str | None) -> Tensor | None:
    """The Tensor, None where the arguments are not what torch writes: then the call stays as it is."""
    value = storage.value if type(storage) is Persistent else None
    shape, stride = places
    if type(value) is not tuple or len(value) != 5 or type(shape) is not tuple or type(stride) is not tuple:  # noqa: PLR2004 - tag, kind, key, device, length
        return None
    _, kind, key, _, length = value
    if type(kind) is not Global or type(key) is not str or len(shape) != len(stride) or len(shape) > _MOST_AXES:
        return None
    if not all(type(number) is int and number >= 0 for number in (offset, length, *shape, *stride)):
        return None
    return Tensor(dtype or _STORAGES.get(kind.name, kind.name), shape, stride, offset, key)  # type: ignore[arg-type] # proved above


_TENSORS: dict[Global, Decoder] = {
    Global("torch._utils", "_rebuild_tensor_v2"): _decode_tensor,
    Global("torch._utils", "_rebuild_tensor_v3"): _decode_tensor_v3,
    Global("torch._utils", "_rebuild_parameter"): _decode_parameter,
}

_DECODERS: Mapping[Global, Callable[[tuple[object, ...]], object]] = {
    **_TENSORS,
    Global("torch._tensor", "_rebuild_from_type_v2"): _decode_typed,
    Global("collections", "OrderedDict"): _decode_ordered,
}
