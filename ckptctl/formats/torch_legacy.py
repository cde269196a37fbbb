"""The format of torch before 1.6, which some still write (OpenPCDet), read without torch and without loading a tensor.

    file = open_legacy(source)
    file.value                          plain values, tensors as their descriptions
    scalar(file, file.value["loss"])    the number in a tensor of one element

Five pickles behind each other (a magic number, a version, what machine, what was saved, the keys of the storages), then
each storage: an int64 that counts its elements, and their bytes. All numbers are little-endian, on any machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ckptctl.errors import Damaged, Truncated
from ckptctl.formats.contents import BITS
from ckptctl.formats.pickle.reader import ParsedPickle, read_pickles
from ckptctl.formats.pickle.scan import find_ends
from ckptctl.formats.pickle.vm import LIMITS, PersistentId
from ckptctl.formats.torch_zip import (
    DECODERS,
    UNSUPPORTED,
    StorageReference,
    decode_number,
    is_number,
    read_reference,
)
from ckptctl.formats.zip import ByteSource

CUT_SHORT = "cut short inside its pickles"
_MAGIC = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
"""The magic number as every protocol since 2 writes it, and the end of its pickle."""
_HEAD = 32
"""Bytes in which the first pickle ends; newer protocols put a frame around it."""
_PICKLES = 5
_VERSION = 1001
_COUNT = 8
"""Bytes of the count before each storage."""


class LegacyStorage(NamedTuple):
    """Where the numbers of tensors lie."""

    start: int
    """Offset in the file."""
    elements: int
    """How many there are."""
    width: int
    """Bytes of each."""

    @property
    def end(self) -> int:
        """The offset behind it."""
        return self.start + self.elements * self.width


class LegacyFile(NamedTuple):
    """A file whose pickles were read."""

    source: ByteSource
    value: object
    """What was saved: plain data, Tensor and inert nodes."""
    storages: Mapping[str, LegacyStorage]
    """By their keys, in the order of the file."""
    end: int
    """Bytes that the file must have."""
    pickles: tuple[ParsedPickle, ...]
    """All five, in their order."""


def is_legacy(head: bytes) -> bool:
    """Whether a file that begins with these bytes, at least 32, is in this format."""
    return head[:1] == b"\x80" and _MAGIC in head[:_HEAD]


def open_legacy(source: ByteSource) -> LegacyFile:
    """Read the pickles and reckon where each storage lies; raises Damaged, OSError.

    That a storage is missing at the end of the file is no reason to refuse: ``end`` tells it.
    """
    ends = find_ends(source, _PICKLES)
    if len(ends) < _PICKLES:
        raise Truncated(CUT_SHORT)
    if ends[-1] > LIMITS.data:
        raise Damaged(f"pickle: {ends[-1]:,} bytes are more than the {LIMITS.data:,} that are read")
    pickles = tuple(read_pickles(source.read(0, ends[-1]), decoders=DECODERS))
    if len(pickles) != _PICKLES:
        raise Damaged("torch's format from before 1.6: its pickles are broken")
    _, version, _, saved, keys = pickles
    if version.value != _VERSION:
        raise Damaged("torch's format from before 1.6, in another version", id=UNSUPPORTED)
    storages = _place(ends[-1], keys.value, _collect(saved.references))
    end = max((storage.end for storage in storages.values()), default=ends[-1])
    return LegacyFile(source, saved.value, storages, end, pickles)


def read_values(source: ByteSource) -> Mapping[object, object]:
    """What a checkpoint's dictionary holds; raises Damaged, with the id ``unsupported`` where it holds none."""
    value = open_legacy(source).value
    if not isinstance(value, dict):
        raise Damaged("it holds no dictionary, but something else", id=UNSUPPORTED)
    return value


def scalar(file: LegacyFile, node: object) -> float | int | None:
    """The number in a tensor of one element, None for anything else; raises Damaged where its storage cannot be."""
    if not is_number(node):
        return None
    storage, width = file.storages[node.key], BITS[node.dtype] // 8
    start = storage.start + node.offset * width
    if start + width > storage.end:
        raise Damaged("a tensor reaches beyond its storage")
    return decode_number(file.source.read(start, width), node.dtype, "little")


def verify_counts(file: LegacyFile, *, every: bool = False) -> bool:
    """Whether the first and the last storage, or every one, say of themselves what the pickles say.

    Of a file that is long enough.
    """
    storages = list(file.storages.values())
    looked_at = storages if every else {*storages[:1], *storages[-1:]}
    counts = ((it, file.source.read(it.start - _COUNT, _COUNT)) for it in looked_at)
    return all(int.from_bytes(raw, "little", signed=True) == it.elements for it, raw in counts)


def _collect(references: tuple[PersistentId, ...]) -> dict[str, StorageReference]:
    """Key to what is said of the storage; of several the first, by which torch writes it."""
    found: dict[str, StorageReference] = {}
    for reference in filter(None, map(read_reference, references)):
        found.setdefault(reference.key, reference)
    return found


def _place(start: int, keys: object, references: Mapping[str, StorageReference]) -> dict[str, LegacyStorage]:
    """Where each storage lies, from ``start`` on; raises Damaged where the list and the references differ."""
    if type(keys) is not list or not all(type(key) is str for key in keys) or len(set(keys)) < len(keys):
        raise Damaged("torch's format from before 1.6: the list of its storages is broken")
    if set(keys) != references.keys():
        raise Damaged("torch's format from before 1.6: its storages are not those that it refers to")
    places: dict[str, LegacyStorage] = {}
    for key in keys:
        reference = references[key]
        if reference.width is None:
            raise Damaged(f"torch's format from before 1.6: storages of type {reference.dtype!a} are unknown")
        places[key] = LegacyStorage(start + _COUNT, reference.elements, reference.width)
        start = places[key].end
    return places
