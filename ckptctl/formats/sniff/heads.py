"""The kind of a file by how it begins and ends; what is inside of archives and pickles is looked into by others."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Mapping

from ckptctl.formats.pickle.marks import MARKED, UNMARKED
from ckptctl.formats.sniff.kinds import Sniffed
from ckptctl.formats.sniff.outline import read_outline
from ckptctl.formats.sniff.states import judge_names, read_counters, sniff_state
from ckptctl.formats.torch_records import is_own_record
from ckptctl.formats.zip import ByteSource

_HEAD = 16 << 10
_TAIL = 8
_LEGACY = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
_LEGACY_WITHIN = 32
_MOST = 60 << 10
_SYSTEM_ENDS = b"uu."
"""How the third pickle of that format ends, which says on what machine it was written."""
_TABLE = b"\x57\xfb\x80\x8b\x24\x75\x47\xdb"
_PICKLE_STEPS = 100
_USER_BLOCKS = (0, 512, 1024, 2048, 4096)
_HDF5 = b"\x89HDF\r\n\x1a\n"
_SHARD = re.compile(r"\.data-\d{5}-of-\d{5}$")
_WEIGHTS = re.compile(
    r"\.(?:pt|pth|bin|ckpt|tar|th|safetensors|distcp|h5|hdf5|keras|npz|pkl|pickle|pdparams|pdopt|msgpack|gguf|index|checkpoint)$"
)
"""Endings under which a text is no checkpoint."""
_NAME = re.compile(rb'"((?:[^"\\]|\\.){1,300})"\s*:\s*\{\s*"(?:dtype|shape|data_offsets)"')
_OFFSETS = re.compile(rb'"data_offsets"\s*:\s*\[\s*\d{1,18}\s*,\s*(\d{1,18})\s*\]')
_NAMES_WITHIN = 4096
_HEADER_END = 512
_LONGEST_HEADER = 1 << 32
_SUPERBLOCK = 48
_BASES: Mapping[int, int] = {0: 24, 1: 28, 2: 12, 3: 12}
"""Version of HDF5's superblock to the offset of its addresses."""
_KERAS = (
    b"layer_names\0",
    b"keras_version\0",
    b"model_weights\0",
    b"_layer_checkpoint_dependencies",
    b"weight_names\0",
)
_KERAS3 = (b"vars\0", b"layers\0")
_FLAX_HEAD = re.compile(rb"(?:[\x80-\x8f]|\xde..|\xdf....)(?:[\xa1-\xbf]|\xd9.)[ -~]", re.DOTALL)
"""A map of msgpack that begins with a text."""
_FLAX = re.compile(rb"(?:\xc7.|\xc8..|\xc9....|[\xd4-\xd8])\x01", re.DOTALL)
"""A value of type 1, as which flax writes arrays."""
_FLAX_STEP = re.compile(
    rb"\xa4(step)(?:([\0-\x7f])|\xcc(.)|\xcd(..)|\xce(....)|\xcf(........)|\xd2(....)|\xd3(........))", re.DOTALL
)
_TEXT = re.compile(rb"[\t\n\r\x20-\x7e\x80-\xff]{1,512}")


def sniff_source(source: ByteSource, name: str) -> Sniffed:
    """The kind of a file; raises OSError."""
    if not source.size:
        return Sniffed("broken")
    head = source.read(0, _HEAD)
    if not head:
        return Sniffed("broken")
    for begins, look in _LOOKS.items():
        if head.startswith(begins):
            return look(source, head, name)
    if head[8:9] == b"{" and 1 < int.from_bytes(head[:8], "little") < _LONGEST_HEADER:
        return _sniff_safetensors(source, head)
    if head[:1] == b"\x80" and b"\x02" <= head[1:2] <= b"\x05":
        return _sniff_pickle(source, head)
    if (base := next((at for at in _USER_BLOCKS if head.startswith(_HDF5, at)), None)) is not None:
        return _sniff_hdf5(source, head, base)
    return _sniff_rest(source, head, name)


def _sniff_rest(source: ByteSource, head: bytes, name: str) -> Sniffed:
    """What is told by less than its first bytes."""
    tail = source.read(max(0, source.size - _TAIL), _TAIL)
    if (tail == _TABLE and (not name or name.endswith(".index"))) or _SHARD.search(name):
        return Sniffed("tensorflow")
    if _FLAX_HEAD.match(head) and _FLAX.search(head):
        return Sniffed("flax", numbers=_read_flax_step(head))
    if head[4:8] == b"TFL3" or (head[:1] == b"\x08" and (name.endswith(".onnx") or b"pytorch" in head[:32])):
        return Sniffed("exported")
    if _is_old_pickle(head, tail):
        return Sniffed("pickle")
    if _WEIGHTS.search(name.lower()) and (_TEXT.fullmatch(head[:512]) or not head.strip(b"\0")):
        return Sniffed("broken")
    return Sniffed("unknown")


def _is_old_pickle(head: bytes, tail: bytes) -> bool:
    """Whether it may be a pickle of protocol 0 or 1, which has no mark at its start."""
    return tail.endswith(b".") and b"\n" in head and UNMARKED.match(head) is not None


def _sniff_zip(source: ByteSource, head: bytes, name: str) -> Sniffed:
    if name.endswith(".distcp"):
        return Sniffed("weights")
    from ckptctl.formats.sniff.archives import sniff_archive

    return sniff_archive(source, head)


def _sniff_gzip(source: ByteSource, head: bytes, name: str) -> Sniffed:  # noqa: ARG001 - as all of them
    try:
        inside = zlib.decompressobj(16 + zlib.MAX_WBITS).decompress(head, 64)
    except zlib.error:
        return Sniffed("broken")
    is_pickle = inside[:1] == b"\x80" or UNMARKED.match(inside) is not None
    return Sniffed("pickle" if is_pickle else "unknown")


def _sniff_pickle(source: ByteSource, head: bytes) -> Sniffed:
    """Files of torch from before 1.6, and pickles of anything."""
    if _LEGACY in head[:_LEGACY_WITHIN]:
        start = head.find(_SYSTEM_ENDS, _LEGACY_WITHIN)
        if start < 0:
            return Sniffed("broken" if source.size <= len(head) else "unknown")
        return sniff_state(_more(source, head), start + len(_SYSTEM_ENDS), bytes)
    outline = read_outline(head, steps=_PICKLE_STEPS)
    if not outline.is_whole and not MARKED.match(head):
        return Sniffed("unknown")
    return Sniffed("pickle", numbers=read_counters(outline.value))


def _more(source: ByteSource, head: bytes) -> bytes:
    return head + source.read(len(head), _MOST - len(head)) if source.size > len(head) else head


def _sniff_hdf5(source: ByteSource, head: bytes, base: int) -> Sniffed:
    """Keras writes attributes or groups of known names, all of them near the start."""
    if len(head) < base + _SUPERBLOCK:
        return Sniffed("broken")
    version = head[base + 8]
    if version in _BASES and head[base + (13 if version < 2 else 9)] == 8:  # noqa: PLR2004 - of one form, bytes of an offset
        at = base + _BASES[version] + 16
        if base + int.from_bytes(head[at : at + 8], "little") > source.size:
            return Sniffed("broken")
    is_keras = _names_keras(head) or (source.size > len(head) and _names_keras(_more(source, head)))
    return Sniffed("keras", "keras") if is_keras else Sniffed("other-hdf5")


def begins_as_weights(head: bytes) -> bool:
    """Whether a damaged file begins as torch, numpy, Keras or safetensors begin one."""
    if head.startswith(b"PK\x03\x04"):
        return is_own_record(_first_member(head)) or b"model.weights.h5" in head
    if head.startswith(_HDF5):
        return _names_keras(head)
    return _LEGACY in head[:_LEGACY_WITHIN] or (head[8:9] == b"{" and _NAME.search(head) is not None)


def _first_member(head: bytes) -> bytes:
    return head[30 : 30 + int.from_bytes(head[26:28], "little")]


def _names_keras(head: bytes) -> bool:
    return any(word in head for word in _KERAS) or all(word in head for word in _KERAS3)


def _sniff_safetensors(source: ByteSource, head: bytes) -> Sniffed:
    """By the names in its header; one that ends before its last tensor does is broken."""
    length = int.from_bytes(head[:8], "little")
    if 8 + length > source.size:
        return Sniffed("broken" if _NAME.search(head[:_NAMES_WITHIN]) or head[8:10] == b'{"' else "unknown")
    last = (
        head[8 : 8 + length][-_HEADER_END:]
        if 8 + length <= len(head)
        else source.read(max(0, 8 + length - _HEADER_END), _HEADER_END)
    )
    if any(8 + length + int(end) > source.size for end in _OFFSETS.findall(last)):
        return Sniffed("broken")
    names = [found.decode("utf-8", "replace") for found in _NAME.findall(head[: min(8 + length, _NAMES_WITHIN)])]
    sort = judge_names(list(names)) if names else "data"
    if sort == "optimizer":
        return Sniffed("optimizer")
    return Sniffed("safetensors" if sort == "weights" else "other-safetensors")


def _read_flax_step(head: bytes) -> dict[str, float]:
    found = _FLAX_STEP.search(head, 0, 256)
    if found is None:
        return {}
    raw = next(filter(None, found.groups()[1:]), b"\0")
    return {"step": int.from_bytes(raw, "big")}


def _always(sniffed: Sniffed) -> Callable[[ByteSource, bytes, str], Sniffed]:
    return lambda _source, _head, _name: sniffed


_LOOKS: Mapping[bytes, Callable[[ByteSource, bytes, str], Sniffed]] = {
    b"PK\x03\x04": _sniff_zip,
    b"\x93NUMPY": _always(Sniffed("tensor")),
    b"GGUF": _always(Sniffed("gguf")),
    b"lmgg": _always(Sniffed("gguf")),
    b"tjgg": _always(Sniffed("gguf")),
    b"\x1f\x8b": _sniff_gzip,
}
