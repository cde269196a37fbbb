"""The weights of one file as safetensors: which of its tensors they are, and what they are called then."""

from __future__ import annotations

from collections.abc import Sequence

from ckptctl.errors import Refused
from ckptctl.formats import read_file
from ckptctl.formats.contents import Contents, FileSet
from ckptctl.formats.safetensors import read_metadata
from ckptctl.formats.torch_archive import read_value
from ckptctl.formats.torch_legacy import is_legacy, read_values
from ckptctl.formats.zip import ByteSource
from ckptctl.formats.zip_writer import ArchiveDraft
from ckptctl.tensors.copy_check import verify_records
from ckptctl.tensors.safetensors_writer import NamedTensor, SafetensorsPlan, plan_safetensors, write_safetensors
from ckptctl.tensors.slim_keys import find_bare, refuse_shards
from ckptctl.tensors.streams import open_numbers
from ckptctl.tensors.structure_check import find_flaws

_HEAD = 32


class TensorExport:
    """What of a file is written."""

    def __init__(self, files: FileSet, contents: Contents, made: SafetensorsPlan) -> None:
        self.files = files
        self.contents = contents
        self.plan = made

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
    root = read_values(source) if is_legacy(source.read(0, _HEAD)) else read_value(source)
    if not isinstance(root, dict):
        raise Refused("what it holds is no dictionary, so that nobody knows what of it are the weights")
    return "".join(f"{key}." for key in find_bare(root, drop))


def find_metadata(source: ByteSource, kind: str) -> dict[str, str]:
    """What stands beside the tensors in safetensors; nothing of other files."""
    return read_metadata(source) if kind == "safetensors" else {}
