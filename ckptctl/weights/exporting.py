"""The weights of one file as safetensors: which of its tensors they are, and what they are called then."""

from __future__ import annotations

from collections.abc import Sequence

from ckptctl.errors import Damaged, Refused
from ckptctl.weights.contents import Contents, Files
from ckptctl.weights.formats import read_file
from ckptctl.weights.formats.safetensors import read_notes
from ckptctl.weights.keeping import find_bare, refuse_shards
from ckptctl.weights.proving import prove_records
from ckptctl.weights.safetensors_writing import Named, Plan, plan, write
from ckptctl.weights.streams import open_numbers
from ckptctl.weights.torch_legacy import is_legacy, read_values
from ckptctl.weights.torch_zip import read_value
from ckptctl.weights.verify import check
from ckptctl.weights.zip_archive import Source
from ckptctl.weights.zip_writing import Draft

_HEAD = 32


class Export:
    """What of a file is written."""

    def __init__(self, files: Files, contents: Contents, made: Plan) -> None:
        self.files = files
        self.contents = contents
        self.plan = made

    @property
    def size(self) -> int:
        """Bytes of the new file."""
        return self.plan.size

    def write(self, draft: Draft) -> None:
        """Write it, the checksums of what is read proved; raises Damaged, OSError."""
        with open_numbers(self.files, self.contents) as numbers:
            keys = {piece.storage for it in self.plan.tensors for piece in it.tensor.pieces}
            prove_records(numbers.open, self.contents, keys)
            write(draft, self.plan, numbers)


def open_export(files: Files, name: str, drop: Sequence[str] | None) -> Export:
    """Decide what of a file is written; raises Refused with the reason, Damaged, OSError."""
    contents = read_file(files, name)
    if contents is None:
        raise Refused("it holds no weights that can be read")
    for flaw in check(contents, files):
        if flaw.severity == "error" and flaw.id != "suspect-name":
            raise Damaged(flaw.text)
    with files.open(name) as source:
        front = find_front(source, contents.format, drop)
        notes = find_notes(source, contents.format)
    named = [Named(it.name.removeprefix(front), it) for it in contents.tensors if it.name.startswith(front)]
    if not front:
        named = [it for it in named if it.tensor.part == "weights"]
    if not named:
        raise Refused("no weights were found in it")
    refuse_shards(it.name for it in named)
    return Export(files, contents, plan(named, notes))


def find_front(source: Source, kind: str, drop: Sequence[str] | None) -> str:
    """What the names of the weights begin with in what was saved, and do not in a state dict."""
    if kind not in ("torch", "torch-legacy"):
        return ""
    root = read_values(source) if is_legacy(source.read(0, _HEAD)) else read_value(source)
    if not isinstance(root, dict):
        raise Refused("what it holds is no dictionary, so that nobody knows what of it are the weights")
    return "".join(f"{key}." for key in find_bare(root, drop))


def find_notes(source: Source, kind: str) -> dict[str, str]:
    """What stands beside the tensors in safetensors; nothing of other files."""
    return read_notes(source) if kind == "safetensors" else {}
