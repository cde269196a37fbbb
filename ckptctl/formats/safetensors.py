"""safetensors: a header as JSON that tells where each tensor lies, and then their bytes, without gaps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from math import prod
from typing import NamedTuple

from ckptctl.errors import Damaged, Truncated
from ckptctl.formats.contents import BITS, Contents, FileSet, Flaw, Piece, Storage, Tensor, part_of
from ckptctl.formats.strict_json import parse
from ckptctl.formats.zip import ByteSource

MOST_HEADER = 100_000_000
"""Bytes that the format allows."""
_MOST_READ = 16 << 20
"""Bytes of a header that are read: 100,000 tensors have less."""
_MOST_TENSORS = 100_000
"""They take a second, and 200 MB of memory."""
_MOST_AXES = 64
_LONGEST_SETTING = 4096
"""Characters: what is longer is no setting."""
TYPES: Mapping[str, str] = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "C64": "complex64", "BOOL": "bool",
    "I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8",
    "U64": "uint64", "U32": "uint32", "U16": "uint16", "U8": "uint8",
    "F8_E4M3": "float8_e4m3fn", "F8_E4M3FNUZ": "float8_e4m3fnuz", "F8_E5M2": "float8_e5m2",
    "F8_E5M2FNUZ": "float8_e5m2fnuz", "F8_E8M0": "float8_e8m0fnu",
    "F6_E2M3": "float6_e2m3", "F6_E3M2": "float6_e3m2", "F4": "float4",
}  # fmt: skip


class SafetensorsEntry(NamedTuple):
    """An entry of the header."""

    start: int
    end: int
    """Offsets behind the header."""
    name: str
    dtype: str
    shape: tuple[int, ...]


def read(source: ByteSource, name: str, files: FileSet, *, placed: bool) -> Contents:  # noqa: ARG001 - as all of them
    """The contents; raises Damaged, OSError."""
    text = _read_text(source)
    header = _parse(text)
    places = sorted(_read_places(header))
    _prove(places)
    start = 8 + len(text)
    storages = {f"{name}:{it.name}": Storage(name, start + it.start, it.end - it.start) for it in places}
    tensors = (
        Tensor(
            place.name,
            place.shape,
            place.dtype,
            "optimizer" if part_of(place.name.split(".")) == "optimizer" else "weights",
            (Piece(f"{name}:{place.name}", 0, place.shape),),
        )
        for place in places
    )
    flaws = _compare(source.size, start + (places[-1].end if places else 0), name)
    noted = {key: value for key, value in _read_notes(header).items() if len(value) <= _LONGEST_SETTING}
    return Contents("safetensors", tuple(tensors), storages, noted, flaws=tuple(flaws))


def read_metadata(source: ByteSource) -> dict[str, str]:
    """The texts that stand beside the tensors, of any length; raises Damaged, OSError."""
    return _read_notes(_parse(_read_text(source)))


def _read_text(source: ByteSource) -> bytes:
    """The header; raises Damaged, OSError."""
    length = int.from_bytes(source.read(0, 8), "little")
    if length > MOST_HEADER:
        raise Damaged(f"safetensors: a header of {length:,} bytes, and the format allows {MOST_HEADER:,}")
    if source.size < 8 + length:
        raise Truncated("cut short inside its header")
    if length > _MOST_READ:
        raise Damaged(f"safetensors: a header of {length:,} bytes, of which {_MOST_READ:,} are read", id="not-read")
    return source.read(8, length)


def _parse(text: bytes) -> dict[str, object]:
    header = parse(text, "safetensors: its header", _refuse_twice)
    if type(header) is not dict:
        raise Damaged("safetensors: its header is no mapping")
    return header


def _refuse_twice(pairs: list[tuple[str, object]]) -> dict[str, object]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise Damaged("safetensors: two entries of its header have one name")
    return made


def _read_places(header: Mapping[str, object]) -> Iterator[SafetensorsEntry]:
    if len(header) > _MOST_TENSORS:
        text = f"safetensors: {len(header):,} tensors are more than the {_MOST_TENSORS:,} that are read"
        raise Damaged(text, id="not-read")
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        match entry:
            case {"dtype": str() as dtype, "shape": list() as shape, "data_offsets": [start, end], **rest} if not rest:
                yield _read_place(name, dtype, shape, start, end)
            case _:
                raise Damaged(f"safetensors: the entry of {name[:200]!a} is malformed")


def _read_place(name: str, dtype: str, shape: list[object], start: object, end: object) -> SafetensorsEntry:
    """An entry, proved; raises Damaged where its numbers do not agree."""
    numbers = [start, end, *shape]
    if len(shape) > _MOST_AXES or not all(type(it) is int and it >= 0 for it in numbers):
        raise Damaged(f"safetensors: the entry of {name[:200]!a} has numbers that are none")
    known = TYPES.get(dtype, "?")
    expected = prod(shape) * BITS.get(known, 0)  # type: ignore[arg-type] # they are numbers
    if known != "?" and expected != 8 * (end - start):  # type: ignore[operator] # as above
        raise Damaged(f"safetensors: {name[:200]!a} has other bytes than its shape needs")
    return SafetensorsEntry(start, end, name, known, tuple(shape))  # type: ignore[arg-type] # as above


def _prove(places: list[SafetensorsEntry]) -> None:
    """Raise Damaged where tensors overlap or leave a hole."""
    if places and places[0].start:
        raise Damaged("safetensors: its first tensor does not begin behind the header")
    for one, other in pairwise(places):
        if one.end != other.start:
            raise Damaged(f"safetensors: {other.name[:200]!a} does not begin where the one before it ends")


def _compare(size: int, expected: int, name: str) -> Iterator[Flaw]:
    if size < expected:
        yield Flaw("cut-short", f"cut short: {size:,} of {expected:,} bytes", name)
    if size > expected:
        yield Flaw("trailing", f"{size - expected:,} bytes follow its last tensor", name)


def _read_notes(header: Mapping[str, object]) -> dict[str, str]:
    noted = header.get("__metadata__", {})
    if type(noted) is not dict or not all(type(it) is str for it in noted.values()):
        raise Damaged("safetensors: its __metadata__ is no mapping of texts")
    return noted
