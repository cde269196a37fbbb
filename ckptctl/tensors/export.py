"""The weights of one file as safetensors: which of its tensors they are, and what they are called then."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ckptctl.errors import Refused
from ckptctl.formats import read_file
from ckptctl.formats.contents import Contents, FileSet, Tensor
from ckptctl.formats.safetensors import MOST_HEADER, TYPES, read_metadata
from ckptctl.formats.torch_legacy import is_legacy, read_values
from ckptctl.formats.torch_zip import read_pickled
from ckptctl.formats.zip import ByteSource
from ckptctl.formats.zip_writer import ArchiveDraft, WrittenMember
from ckptctl.tensors.copy_check import verify_members, verify_records
from ckptctl.tensors.slim import find_bare, refuse_shards
from ckptctl.tensors.streams import NumberReader, open_numbers
from ckptctl.tensors.structure_check import find_flaws

_HEAD = 32


class TensorExport(NamedTuple):
    """What of a file is written."""

    files: FileSet
    contents: Contents
    plan: SafetensorsPlan

    @property
    def size(self) -> int:
        """Bytes of the new file."""
        return self.plan.size

    def write(self, draft: ArchiveDraft) -> None:
        """Write it, the checksums of what is read proved; raises Damaged, OSError."""
        with open_numbers(self.files, self.contents) as numbers:
            keys = {piece.storage for it in self.plan.tensors for piece in it.tensor.pieces}
            verify_records(numbers.open, self.contents, keys)
            write_safetensors(draft, self.plan, numbers)


def open_export(files: FileSet, name: str, drop: Sequence[str] | None) -> TensorExport:
    """Decide what of a file is written; raises Refused with the reason, Damaged, OSError."""
    contents = read_file(files, name)
    if contents is None:
        raise Refused("it holds no weights that can be read")
    for flaw in find_flaws(contents, files):
        if flaw.severity == "error" and flaw.id != "suspect-name":
            raise flaw.as_error()
    with files.open(name) as source:
        front = find_weight_prefix(source, contents.format, drop)
        notes = find_metadata(source, contents.format)
    named = [NamedTensor(it.name.removeprefix(front), it) for it in contents.tensors if it.name.startswith(front)]
    if not front:
        named = [it for it in named if it.tensor.part == "weights"]
    if not named:
        raise Refused("no weights were found in it")
    refuse_shards(it.name for it in named)
    return TensorExport(files, contents, plan_safetensors(named, notes))


def find_weight_prefix(source: ByteSource, kind: str, drop: Sequence[str] | None) -> str:
    """What the names of the weights begin with in what was saved, and do not in a state dict."""
    if kind not in ("torch", "torch-legacy"):
        return ""
    root = read_values(source) if is_legacy(source.read(0, _HEAD)) else read_pickled(source).value
    if not isinstance(root, dict):
        raise Refused("what it holds is no dictionary, so that nobody knows what of it are the weights")
    return "".join(f"{key}." for key in find_bare(root, drop))


def find_metadata(source: ByteSource, kind: str) -> dict[str, str]:
    """What stands beside the tensors in safetensors; nothing of other files."""
    return read_metadata(source) if kind == "safetensors" else {}


# Writing safetensors: a header as JSON that tells where each tensor lies, and then their bytes ------------------------

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
    for source in {id(source): source for source, _ in copied}.values():
        verify_members(draft, [own for origin, own in copied if origin is source], source)


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
