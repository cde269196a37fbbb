"""Tensors as torch's pickles describe them, in the zip format and in the one before it, and the numbers in them.

Scalars of numpy, which metrics often are, come as plain numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from struct import calcsize, unpack
from typing import NamedTuple

from ckptctl.errors import Damaged
from ckptctl.formats.pickle.nodes import GlobalName, PersistentId, PickledCall, PickledOrderedDict
from ckptctl.formats.pickle.vm import Decoder

_MOST_AXES = 64
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
    "DoubleStorage": ("float64", 8),
    "FloatStorage": ("float32", 4),
    "HalfStorage": ("float16", 2),
    "BFloat16Storage": ("bfloat16", 2),
    "LongStorage": ("int64", 8),
    "IntStorage": ("int32", 4),
    "ShortStorage": ("int16", 2),
    "CharStorage": ("int8", 1),
    "ByteStorage": ("uint8", 1),
    "BoolStorage": ("bool", 1),
    "ComplexFloatStorage": ("complex64", 8),
    "ComplexDoubleStorage": ("complex128", 16),
    "QUInt8Storage": ("quint8", 1),
    "QInt8Storage": ("qint8", 1),
    "QInt32Storage": ("qint32", 4),
    "QUInt4x2Storage": ("quint4x2", 1),
    "QUInt2x4Storage": ("quint2x4", 1),
    "UntypedStorage": ("uint8", 1),
}
"""Class of a storage to the data type of its elements and the bytes that each takes."""


_NUMPY_FORMATS = {
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
_WIDEST = 8
"""Bytes of the widest of them."""


class PickledTensor(NamedTuple):
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
    """Of the storage; tensors that share memory share it."""


class StorageReference(NamedTuple):
    """What a pickle says of a storage."""

    key: str
    dtype: str
    width: int | None
    """Bytes of an element; None where the class of the storage is unknown."""
    elements: int
    """How many there are."""
    offset: int = 0
    """Of the part that is meant, in elements; not 0 only for views of storages (torch before 1.0)."""


def is_number(node: object) -> bool:
    """Whether a node is a tensor of one element, of a type that can be read."""
    return type(node) is PickledTensor and prod(node.shape) == 1 and node.dtype in _FORMATS


def width_of(dtype: str) -> int:
    """Bytes of one element; raises KeyError for a type whose numbers are not read."""
    return calcsize(f"<{_FORMATS[dtype]}")


def decode_number(raw: bytes, dtype: str, order: str) -> float | int:
    """The number that one element's bytes are, in ``order`` big or little; raises Damaged where some are missing."""
    if len(raw) != width_of(dtype):
        raise Damaged("the file ended while a tensor was read")
    if dtype == "bfloat16":  # the upper half of a float32
        raw, dtype = (raw + b"\0\0" if order == "big" else b"\0\0" + raw), "float32"
    number: float | int = unpack((">" if order == "big" else "<") + _FORMATS[dtype], raw)[0]
    return int(number) if dtype == "bool" else number


def read_reference(node: PersistentId) -> StorageReference | None:
    """The storage that a reference means, None where it means something else, or is not what torch writes."""
    match node.value:
        case ("storage", GlobalName() as kind, str() as key, _, int() as count, *view) if count >= 0:
            dtype, width = _STORAGES.get(kind.name, (kind.name, None))
        case _:
            return None
    match view:
        case [] | [None]:
            return StorageReference(key, dtype, width, count)
        case [(str(), int() as offset, int())] if offset >= 0:
            return StorageReference(key, dtype, width, count, offset)
        case _:
            return None


def _decode_tensor(args: tuple[object, ...]) -> object:
    """``_rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks)``."""
    return _describe(args[0], args[1], args[2:4], None) if len(args) >= _V2_ARGUMENTS else None


def _decode_oldest(args: tuple[object, ...]) -> object:
    """``_rebuild_tensor(storage, offset, size, stride)``, by torch before 0.4."""
    return _describe(args[0], args[1], args[2:4], None) if len(args) == 4 else None  # noqa: PLR2004 - as listed


def _decode_tensor_v3(args: tuple[object, ...]) -> object:
    """The same with the data type, on a storage of bytes."""
    if len(args) < _V3_ARGUMENTS or type(args[6]) is not GlobalName:
        return None
    return _describe(args[0], args[1], args[2:4], args[6].name)


def _decode_parameter(args: tuple[object, ...]) -> object:
    """``_rebuild_parameter(tensor, requires_grad, hooks)``."""
    return args[0] if args and type(args[0]) is PickledTensor else None


def _decode_quantized(args: tuple[object, ...]) -> object:
    """``_rebuild_qtensor(storage, offset, size, stride, quantizer, requires_grad, hooks)``."""
    return _describe(args[0], args[1], args[2:4], None) if len(args) == _V3_ARGUMENTS else None


def _decode_typed(args: tuple[object, ...]) -> object:
    """``_rebuild_from_type_v2(function, type, arguments, state)``: a tensor with attributes of its own."""
    match args:
        case (GlobalName() as function, _, tuple() as inner, _) if function in _TENSORS:
            return _TENSORS[function](inner)
        case _:
            return None


def _describe(storage: object, offset: object, places: tuple[object, ...], dtype: str | None) -> PickledTensor | None:
    """The Tensor, None where the arguments are not what torch writes: then the call stays as it is."""
    reference = read_reference(storage) if type(storage) is PersistentId else None
    shape, stride = places
    if reference is None or type(shape) is not tuple or type(stride) is not tuple:
        return None
    if len(shape) != len(stride) or len(shape) > _MOST_AXES:
        return None
    numbers = (reference.offset, offset, *shape, *stride)
    if set(map(type, numbers)) != {int} or min(numbers) < 0:
        return None
    return PickledTensor(dtype or reference.dtype, shape, stride, sum(numbers[:2]), reference.key)


def _decode_scalar(args: tuple[object, ...]) -> float | int | None:
    """``scalar(dtype, bytes)``; None for data types that are no single number."""
    if len(args) != 2 or type(args[0]) is not PickledCall:  # noqa: PLR2004 - as above
        return None
    letter, raw = _read_numpy_format(args[0]), _read_bytes(args[1])
    if letter is None or raw is None or len(raw) != calcsize(letter):
        return None
    number: float | int = unpack(letter, raw)[0]
    return int(number) if type(number) is bool else number


def _read_numpy_format(dtype: PickledCall) -> str | None:
    """Struct's format of ``dtype('f8', …)``, whose byte order is set as its state."""
    match (dtype.target, dtype.args, dtype.state):
        case (target, (str() as name, *_), (_, str() as order, *_)) if target == _DTYPE:
            letter = _NUMPY_FORMATS.get(name.lstrip("<>|="))
            return letter and (">" if order == ">" else "<") + letter
        case _:
            return None


def _read_bytes(node: object) -> bytes | None:
    """Bytes, or the call that stands for them in pickles of protocol 2, which torch writes."""
    match node:
        case bytes():
            return node
        case PickledCall(target=target, args=(str() as text, "latin1")) if target == _ENCODE and len(text) <= _WIDEST:
            return bytes(map(ord, text)) if all(letter <= "\xff" for letter in text) else None
        case _:
            return None


_TENSORS: dict[GlobalName, Decoder] = {
    GlobalName("torch._utils", "_rebuild_tensor"): _decode_oldest,
    GlobalName("torch._utils", "_rebuild_tensor_v2"): _decode_tensor,
    GlobalName("torch._utils", "_rebuild_tensor_v3"): _decode_tensor_v3,
    GlobalName("torch._utils", "_rebuild_qtensor"): _decode_quantized,
    GlobalName("torch._utils", "_rebuild_parameter"): _decode_parameter,
    GlobalName("torch._utils", "_rebuild_parameter_with_state"): _decode_parameter,
}

DECODERS: Mapping[GlobalName, Decoder] = {
    **_TENSORS,
    GlobalName("numpy.core.multiarray", "scalar"): _decode_scalar,  # until numpy 1.26
    GlobalName("numpy._core.multiarray", "scalar"): _decode_scalar,
    GlobalName("torch._tensor", "_rebuild_from_type_v2"): _decode_typed,
    GlobalName("collections", "OrderedDict"): lambda args: None if args else PickledOrderedDict(),
}
"""What stands for torch's own calls: Tensor, Ordered, and plain numbers for the scalars of numpy."""
