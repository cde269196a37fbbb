"""The zip format of torch (its default since 1.6), read without torch and without loading a tensor.

archive = open_archive(source)
values = read_values(archive)       plain values, tensors as their descriptions
scalar(archive, values["loss"])     the number in a tensor of one element

First how torch's pickles describe tensors, in this format and in the one before it. Scalars of numpy, which metrics
often are, come as plain numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache, partial
from math import inf, prod
from struct import calcsize, unpack
from typing import NamedTuple, TypeGuard

from ckptctl.errors import AmbiguousZip, Damaged, EmptyFile
from ckptctl.formats.contents import BITS
from ckptctl.formats.pickle.reader import ParsedPickle, read_pickle
from ckptctl.formats.pickle.vm import LIMITS, Decoder, GlobalName, PersistentId, PickledCall, PickledOrderedDict
from ckptctl.formats.zip import ByteSource, ZipArchive, open_archive, printable_name

_MOST_AXES = 64
_FORMATS = {
    "float64": "d", "float32": "f", "float16": "e", "bfloat16": "H", "int64": "q", "int32": "i", "int16": "h",
    "int8": "b", "uint64": "Q", "uint32": "I", "uint16": "H", "uint8": "B", "bool": "?",
}  # fmt: skip
"""Data type to struct's letter; what has none is no single number to us (complex, quantized, 8-bit floats)."""

_STORAGES = {
    "DoubleStorage": "float64", "FloatStorage": "float32", "HalfStorage": "float16", "BFloat16Storage": "bfloat16",
    "LongStorage": "int64", "IntStorage": "int32", "ShortStorage": "int16", "CharStorage": "int8",
    "ByteStorage": "uint8", "BoolStorage": "bool", "UntypedStorage": "uint8",
    "ComplexFloatStorage": "complex64", "ComplexDoubleStorage": "complex128",
    "QUInt8Storage": "quint8", "QInt8Storage": "qint8", "QInt32Storage": "qint32", "QUInt4x2Storage": "quint4x2",
    "QUInt2x4Storage": "quint2x4",
}  # fmt: skip
"""Class of a storage to the data type of its elements."""
_NUMPY_FORMATS = dict(zip("f2 f4 f8 i1 i2 i4 i8 u1 u2 u4 u8 b1".split(), "efdbhiqBHIQ?", strict=True))
"""Kind and bytes of the data type to struct's letter."""
DTYPE = GlobalName("numpy", "dtype")
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


def is_number(node: object) -> TypeGuard[PickledTensor]:
    """Whether a node is a tensor of one element, of a type that can be read."""
    return type(node) is PickledTensor and prod(node.shape) == 1 and node.dtype in _FORMATS


def decode_number(raw: bytes, dtype: str, order: str) -> float | int:
    """The number that one element's bytes are, in ``order`` big or little; raises Damaged where some are missing."""
    if len(raw) != BITS[dtype] // 8:
        raise Damaged("the file ended while a tensor was read")
    if dtype == "bfloat16":  # the upper half of a float32
        raw, dtype = (raw + b"\0\0" if order == "big" else b"\0\0" + raw), "float32"
    number: float | int = unpack((">" if order == "big" else "<") + _FORMATS[dtype], raw)[0]
    return int(number) if dtype == "bool" else number


def read_reference(node: PersistentId) -> StorageReference | None:
    """The storage that a reference means, None where it means something else, or is not what torch writes."""
    match node.value:
        case ("storage", GlobalName() as kind, str() as key, _, int() as count, *view) if count >= 0:
            dtype = _STORAGES.get(kind.name, kind.name)
            width = BITS[dtype] // 8 if kind.name in _STORAGES else None
        case _:
            return None
    match view:
        case [] | [None]:
            return StorageReference(key, dtype, width, count)
        case [(str(), int() as offset, int())] if offset >= 0:
            return StorageReference(key, dtype, width, count, offset)
        case _:
            return None


def _decode_tensor(fewest: int, most: float, args: tuple[object, ...]) -> PickledTensor | None:
    """``_rebuild_tensor(storage, offset, size, stride, …)``; None where the arguments are not what torch writes.

    Then the call stays as it is. Each version of the function has its own number of arguments.
    """
    if not fewest <= len(args) <= most:
        return None
    storage, offset, shape, stride = args[:4]
    reference = read_reference(storage) if type(storage) is PersistentId else None
    if reference is None or type(shape) is not tuple or type(stride) is not tuple:
        return None
    if len(shape) != len(stride) or len(shape) > _MOST_AXES:
        return None
    numbers = (reference.offset, offset, *shape, *stride)
    if set(map(type, numbers)) != {int} or min(numbers) < 0:
        return None
    return PickledTensor(reference.dtype, shape, stride, sum(numbers[:2]), reference.key)


def _decode_tensor_v3(args: tuple[object, ...]) -> object:
    """The same with the data type, on a storage of bytes."""
    described = _decode_tensor(7, inf, args)
    if described is None or type(args[6]) is not GlobalName:
        return None
    return described._replace(dtype=args[6].name or described.dtype)


def _decode_parameter(args: tuple[object, ...]) -> object:
    """``_rebuild_parameter(tensor, requires_grad, hooks)``."""
    return args[0] if args and type(args[0]) is PickledTensor else None


def _decode_typed(args: tuple[object, ...]) -> object:
    """``_rebuild_from_type_v2(function, type, arguments, state)``: a tensor with attributes of its own."""
    match args:
        case (GlobalName() as function, _, tuple() as inner, _) if function in _TENSORS:
            return _TENSORS[function](inner)
        case _:
            return None


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
        case (target, (str() as name, *_), (_, str() as order, *_)) if target == DTYPE:
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
    GlobalName("torch._utils", "_rebuild_tensor"): partial(_decode_tensor, 4, 4),
    GlobalName("torch._utils", "_rebuild_tensor_v2"): partial(_decode_tensor, 6, inf),
    GlobalName("torch._utils", "_rebuild_tensor_v3"): _decode_tensor_v3,
    GlobalName("torch._utils", "_rebuild_qtensor"): partial(_decode_tensor, 7, 7),
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


UNSUPPORTED = "unsupported"
"""The id of the Damaged that is raised for a sound file of another kind: it has no state that could be read."""

_LEGACY = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"
"""How torch's files from before 1.6 begin: the pickle of its magic number."""
_WORTH_KEEPING = 1 << 20
"""Bytes of a pickle that is kept in memory until the next one is read."""
_read_again = lru_cache(maxsize=1)(partial(read_pickle, decoders=DECODERS))
"""Of the last pickle that was read, as when a listing asks for its scores and then for its tensors."""
_SMALL_STORAGE = 4096
"""Bytes; up to here a storage is read whole, so that its checksum can be proved."""


def read_values(source: ByteSource | ZipArchive) -> Mapping[object, object]:
    """What a checkpoint's dictionary holds: plain data, Tensor and inert nodes; raises Damaged.

    A sound file that is no dictionary in torch's zip format comes out as Damaged with the id ``unsupported``.
    """
    value = read_pickled(source).value
    if not isinstance(value, dict):
        raise Damaged("data.pkl holds no dictionary, but something else", id=UNSUPPORTED)
    return value


def read_pickled(source: ByteSource | ZipArchive) -> ParsedPickle:
    """What was saved, be it a dictionary or not, with all that its pickle names; raises Damaged."""
    archive = source if isinstance(source, ZipArchive) else _open(source)
    root = root_of(archive)
    if not all(name.startswith(root) for name in archive.members):
        raise AmbiguousZip("ambiguous zip: its members are not all in one folder")
    data = archive.read(root + b"data.pkl", LIMITS.data)
    return _read_again(data) if len(data) <= _WORTH_KEEPING else read_pickle(data, decoders=DECODERS)


def scalar(source: ByteSource | ZipArchive, node: object) -> float | int | None:
    """The number in a tensor of one element, None for anything else; raises Damaged where its storage cannot be."""
    if not is_number(node):
        return None
    archive = source if isinstance(source, ZipArchive) else _open(source)
    root = root_of(archive)
    name = root + b"data/" + node.key.encode("utf-8", "surrogatepass")
    if name not in archive.members:
        raise Damaged(f"{printable_name(name)}: the storage of a tensor is missing")
    order = "big" if read_byteorder(archive, root) == b"big" else "little"
    width, member = BITS[node.dtype] // 8, archive.members[name]
    at = node.offset * width
    if at + width > member.size:
        raise Damaged(f"{printable_name(name)}: a tensor reaches beyond its storage")
    if member.size <= _SMALL_STORAGE:
        return decode_number(archive.read(name, _SMALL_STORAGE)[at : at + width], node.dtype, order)
    return decode_number(archive.source.read(archive.locate(name) + at, width), node.dtype, order)


def _open(source: ByteSource) -> ZipArchive:
    begin = source.read(0, len(_LEGACY))
    if not begin:
        raise EmptyFile("empty file")
    if begin == _LEGACY:
        raise Damaged("torch's format from before 1.6, which is not read", id=UNSUPPORTED)
    if begin[:4] != b"PK\x03\x04":
        raise Damaged("not a file of torch.save", id=UNSUPPORTED)
    return open_archive(source)


def root_of(archive: ZipArchive) -> bytes:
    """The folder of the archive, with its slash; torch takes it from the first member."""
    root = next(iter(archive.members), b"").partition(b"/")[0] + b"/"
    if root + b"data.pkl" not in archive.members:
        raise Damaged("a zip archive without data.pkl", id=UNSUPPORTED)
    return root


def read_byteorder(archive: ZipArchive, root: bytes) -> bytes:
    """As the member says it (since torch 2.1)."""
    name = root + b"byteorder"
    return archive.read(name, len("little")) if name in archive.members else b"little"
