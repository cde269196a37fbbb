"""The zip format of torch (its default since 1.6), read without torch and without loading a tensor.

archive = open_archive(source)
values = read_values(archive)       plain values, tensors as their descriptions
scalar(archive, values["loss"])     the number in a tensor of one element
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache, partial

from ckptctl.errors import AmbiguousZip, Damaged, EmptyFile
from ckptctl.formats.pickle.reader import ParsedPickle, read_pickle
from ckptctl.formats.pickle.vm import LIMITS
from ckptctl.formats.torch_tensors import DECODERS, PickledTensor, decode_number, is_number, width_of
from ckptctl.formats.zip import ByteSource, ZipArchive, open_archive, printable_name

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
    value = read_value(source)
    if not isinstance(value, dict):
        raise Damaged("data.pkl holds no dictionary, but something else", id=UNSUPPORTED)
    return value


def read_value(source: ByteSource | ZipArchive) -> object:
    """What was saved, be it a dictionary or not: plain data, Tensor and inert nodes; raises Damaged."""
    return read_pickled(source if isinstance(source, ZipArchive) else _open(source)).value


def read_pickled(archive: ZipArchive) -> ParsedPickle:
    """What was saved, with all that its pickle names; raises Damaged."""
    root = root_of(archive)
    if not all(name.startswith(root) for name in archive.members):
        raise AmbiguousZip("ambiguous zip: its members are not all in one folder")
    data = archive.read(root + b"data.pkl", LIMITS.data)
    return _read_again(data) if len(data) <= _WORTH_KEEPING else read_pickle(data, decoders=DECODERS)


def scalar(source: ByteSource | ZipArchive, node: object) -> float | int | None:
    """The number in a tensor of one element, None for anything else; raises Damaged where its storage cannot be."""
    if type(node) is not PickledTensor or not is_number(node):
        return None
    archive = source if isinstance(source, ZipArchive) else _open(source)
    root = root_of(archive)
    name = root + b"data/" + node.key.encode("utf-8", "surrogatepass")
    if name not in archive.members:
        raise Damaged(f"{printable_name(name)}: the storage of a tensor is missing")
    order = "big" if read_byteorder(archive, root) == b"big" else "little"
    width = width_of(node.dtype)
    member, at = archive.members[name], node.offset * width
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
