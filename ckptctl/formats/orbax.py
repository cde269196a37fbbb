"""Orbax: names and shapes lie in ``_METADATA``; the numbers lie in a database (OCDBT) that is not read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ckptctl.errors import Damaged
from ckptctl.formats.contents import Contents, FileSet, Flaw, Tensor, part_of
from ckptctl.formats.strict_json import parse
from ckptctl.formats.zip import ByteSource

_MOST_BYTES = 64 << 20
_LONGEST_KEY = 200


def read(source: ByteSource, name: str, files: FileSet, *, placed: bool) -> Contents:  # noqa: ARG001 - as all of them
    """The contents of the item in whose folder the file lies; raises Damaged, OSError."""
    if source.size > _MOST_BYTES:
        raise Damaged(f"{source.size:,} bytes of names", id="not-read")
    document = parse(source.read(0, source.size), "its tree of names")
    tree = document.get("tree_metadata") if type(document) is dict else None
    if type(tree) is not dict:
        raise Damaged("it has no tree of names")
    flaws: list[Flaw] = []
    if document.get("use_ocdbt"):
        flaws += _find_missing(name.rpartition("/")[0], files)
    return Contents("orbax", tuple(_read_tensors(tree)), flaws=tuple(flaws))


def _read_tensors(tree: Mapping[str, object]) -> Iterator[Tensor]:
    for entry in tree.values():
        match entry:
            case {"key_metadata": list() as keys, "value_metadata": {"write_shape": list() as shape}}:
                yield _make(keys, shape)
            case {"key_metadata": list() as keys, "value_metadata": dict()}:
                yield _make(keys, [])
            case _:
                raise Damaged("its tree of names is malformed")


def _make(keys: list[object], shape: list[object]) -> Tensor:
    names = [str(it.get("key"))[:_LONGEST_KEY] for it in keys if type(it) is dict]
    if not all(type(it) is int and it >= 0 for it in shape):
        raise Damaged("a shape is malformed")
    known: tuple[int, ...] = tuple(shape)  # type: ignore[arg-type] # as above
    return Tensor(".".join(names), known, "?", part_of(names, is_number=not shape))


def _find_missing(folder: str, files: FileSet) -> Iterator[Flaw]:
    """The map of the database, and of each process that wrote a part."""
    front = f"{folder}/" if folder else ""
    inside = [it[len(front) :] for it in files.sizes if it.startswith(front)]
    written = {it.partition("/")[2] for it in inside if it.startswith("array_metadatas/")}
    wanted = ["manifest.ocdbt", *sorted(f"ocdbt.{it}/manifest.ocdbt" for it in written if it.startswith("process_"))]
    for name in wanted:
        if not files.sizes.get(front + name):
            what = "is empty" if front + name in files.sizes else "is missing"
            yield Flaw("missing-file", f"{name} {what}, without which nothing can be read", front + name)
