"""Maps of sharded weights (``model.safetensors.index.json``, Keras' ``….weights.json``): what is in which file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ckptctl.errors import Damaged
from ckptctl.formats.contents import Contents, FileSet, Flaw
from ckptctl.formats.strict_json import parse
from ckptctl.formats.zip import ByteSource

_MOST_BYTES = 64 << 20
_MANY = 3
"""Missing tensors of a file that are named one by one."""


def read(source: ByteSource, name: str, files: FileSet, *, placed: bool) -> Contents:
    """The map's own contents: nothing but what is missing of what it names; raises Damaged, OSError."""
    if source.size > _MOST_BYTES:
        raise Damaged(f"a map of {source.size:,} bytes", id="not-read")
    document = parse(source.read(0, source.size), "the index")
    held = document.get("weight_map") if type(document) is dict else None
    if type(held) is not dict:
        return Contents("index")
    folder = name.rpartition("/")[0]
    by_file = _group(held)
    flaws = tuple(_find_missing(by_file, folder, files, placed=placed and name.endswith(".safetensors.index.json")))
    return Contents("index", flaws=flaws)


def _group(held: Mapping[str, object]) -> dict[str, set[str]]:
    """File to the tensors that it should have."""
    found: dict[str, set[str]] = {}
    pairs = ((tensor, file) for tensor, said in held.items() for file in (said if type(said) is list else [said]))
    for tensor, file in pairs:
        if type(file) is str:
            found.setdefault(file, set()).add(tensor)
    return found


def _find_missing(by_file: Mapping[str, set[str]], folder: str, files: FileSet, *, placed: bool) -> Iterator[Flaw]:
    for file, tensors in sorted(by_file.items()):
        path = f"{folder}/{file}" if folder else file
        if path not in files.sizes:
            yield Flaw("missing-file", f"{file} is missing, which the index names", path)
        elif placed:
            yield from _find_lacking(path, tensors, files)


def _find_lacking(path: str, tensors: set[str], files: FileSet) -> Iterator[Flaw]:
    """The tensors that a file should have and has not."""
    from ckptctl.formats import read_file

    contents = read_file(files, path, placed=False)
    if contents is None or not contents.tensors:
        return
    lacking = sorted(tensors - {tensor.name for tensor in contents.tensors})
    for tensor in lacking[:_MANY]:
        yield Flaw("missing-tensor", f"tensor {tensor!a} is not in it, which the index says", path)
    if len(lacking) > _MANY:
        yield Flaw("missing-tensor", f"{len(lacking) - _MANY} more tensors are not in it", path)
