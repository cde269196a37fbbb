"""Writing safetensors, tensor by tensor: a header as JSON that tells where each lies, and then their bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from ckptctl.errors import Refused
from ckptctl.formats.contents import Tensor
from ckptctl.formats.safetensors import MOST_HEADER, TYPES
from ckptctl.formats.zip import ByteSource
from ckptctl.formats.zip_writer import ArchiveDraft, WrittenMember
from ckptctl.tensors.copy_check import verify_members
from ckptctl.tensors.streams import NumberReader

_NAMES = {own: name for name, own in TYPES.items()}
_ALIGNMENT = 8


class NamedTensor(NamedTuple):
    """A tensor, and what it is to be called."""

    name: str
    tensor: Tensor


class SafetensorsPlan(NamedTuple):
    """What is written, and where."""

    header: bytes
    tensors: tuple[NamedTensor, ...]
    """In the order of the file."""

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return len(self.header) + sum(it.tensor.bytes for it in self.tensors)


def plan_safetensors(named: Sequence[NamedTensor], notes: Mapping[str, str]) -> SafetensorsPlan:
    """Lay them out, the widest types first, so that all are aligned; raises Refused for what the format cannot hold.

    Of tensors that are the same numbers the first by name is written; what the others are called is in the metadata,
    beside the ``notes``.
    """
    tensors, aliases = _part(sorted(named))
    entries: dict[str, object] = {"__metadata__": {"format": "pt", **notes, **aliases}}
    at = 0
    for name, tensor in tensors:
        if tensor.dtype not in _NAMES:
            raise Refused(f"tensor {name!a} is of type {tensor.dtype}, which safetensors does not know")
        entries[name] = {"dtype": _NAMES[tensor.dtype], "shape": tensor.shape, "data_offsets": [at, at + tensor.bytes]}
        at += tensor.bytes
    text = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")
    text += b" " * (-len(text) % _ALIGNMENT)
    if len(text) > MOST_HEADER:
        raise Refused(f"its header would have {len(text):,} bytes, and the format allows {MOST_HEADER:,}")
    return SafetensorsPlan(len(text).to_bytes(8, "little") + text, tensors)


def _part(named: Sequence[NamedTensor]) -> tuple[tuple[NamedTensor, ...], dict[str, str]]:
    """The tensors in the order of the file, and for each further name of one the name that it has there."""
    first: dict[object, NamedTensor] = {}
    aliases: dict[str, str] = {}
    for it in named:
        key = (it.tensor.dtype, it.tensor.shape, it.tensor.pieces) if it.tensor.pieces and it.tensor.bytes else it.name
        known = first.setdefault(key, it)
        if known is not it:
            aliases[it.name] = known.name
    width = {it.name: it.tensor.bytes // max(1, it.tensor.elements) for it in first.values()}
    return tuple(sorted(first.values(), key=lambda it: (-width[it.name], it.name))), aliases


def write_safetensors(draft: ArchiveDraft, made: SafetensorsPlan, numbers: NumberReader) -> None:
    """Write all of it, and read it again; raises Damaged, OSError."""
    draft.write(made.header)
    copied = [found for it in made.tensors if (found := _write(draft, it, numbers)) is not None]
    for source, own in _by_source(copied):
        verify_members(draft, own, source)


def _write(draft: ArchiveDraft, named: NamedTensor, numbers: NumberReader) -> tuple[ByteSource, WrittenMember] | None:
    """Write a tensor; from where it was copied, if it could be as it is."""
    dense = numbers.find_dense(named.tensor)
    if dense is None:
        for chunk in numbers.stream(named.tensor):
            draft.write(chunk)
        return None
    source, start = dense
    written = WrittenMember(named.name.encode("utf-8", "replace"), draft.size, named.tensor.bytes, 0, start)
    draft.copy(source, start, named.tensor.bytes)
    return source, written


def _by_source(copied: Sequence[tuple[ByteSource, WrittenMember]]) -> Iterator[tuple[ByteSource, list[WrittenMember]]]:
    sources = {id(source): source for source, _ in copied}
    yield from ((source, [it for own, it in copied if own is source]) for source in sources.values())
