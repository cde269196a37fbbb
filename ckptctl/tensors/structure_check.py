"""Whether contents are whole and harmless, by their structure: nothing of the numbers is read for that."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from math import prod

from ckptctl.formats.contents import BITS, Contents, FileSet, Flaw, Piece, Tensor

_SHARD = re.compile(r"(.+)-(\d{5})-of-(\d{5})(\.[^/]*)?")
_MANY = 20
"""Flaws of one kind that are told one by one."""


def find_flaws(contents: Contents, files: FileSet, allow: Sequence[str] = ()) -> Iterator[Flaw]:
    """What is wrong; ``allow``: globs of further names that pickles may have."""
    yield from contents.flaws
    yield from check_names(contents, allow)
    yield from _some(_check_storages(contents, files))
    yield from _some(_check_tensors(contents))
    missing = {it.file for it in contents.flaws if it.id == "missing-file"}
    yield from _some(it for it in _check_shards(files) if it.file not in missing)


def check_names(contents: Contents, allow: Sequence[str] = ()) -> Iterator[Flaw]:
    """Names that are not known to be harmless: those that are called first."""
    unknown = [it for it in contents.globals if not it.allowed and not any(fnmatchcase(it.name, one) for one in allow)]
    called = [it.name for it in unknown if it.is_called]
    made = [it.name for it in unknown if not it.is_called]
    if called:
        yield Flaw("suspect-name", f"its pickle names {_list(called)}, which loading would call or hand over")
    if made:
        yield Flaw("unlisted-name", f"its pickle names {_list(made)}, of which loading would make instances")


def _list(names: Sequence[str]) -> str:
    more = len(names) - 5
    return ", ".join(names[:5]) + (f" and {more} more" if more > 0 else "")


def _some(flaws: Iterator[Flaw]) -> Iterator[Flaw]:
    """The first of them, and how many more there are."""
    more, last = 0, None
    for number, flaw in enumerate(flaws):
        if number < _MANY:
            yield flaw
        else:
            more, last = more + 1, flaw
    if last is not None:
        yield last._replace(text=f"{more} more like these")


def _check_storages(contents: Contents, files: FileSet) -> Iterator[Flaw]:
    for key, it in contents.storages.items():
        size = files.sizes.get(it.file, 0)
        if it.offset is not None and not it.dataset and it.offset + it.length > size and it.file in files.sizes:
            names = [tensor.name for tensor in contents.tensors if any(piece.storage == key for piece in tensor.pieces)]
            shown = f"tensor {names[0]!a}" if names else "a storage"
            yield Flaw("short-storage", f"{shown} reaches beyond the end of the file", it.file)


def _check_tensors(contents: Contents) -> Iterator[Flaw]:
    known = (tensor for tensor in contents.tensors if tensor.dtype in BITS)
    for tensor, piece in ((one, piece) for one in known for piece in one.pieces):
        if min((*piece.shape, *(piece.stride or ())), default=0) < 0:
            yield Flaw("broken", f"tensor {tensor.name!a} has less than nothing along an axis")
            continue
        storage = contents.storages.get(piece.storage)
        if storage is not None and not storage.packing and piece.start + span_of(tensor, piece) > storage.length:
            yield Flaw("short-storage", f"tensor {tensor.name!a} reaches beyond its storage", storage.file)


def _check_shards(files: FileSet) -> Iterator[Flaw]:
    """The shards that others of a folder count with them, whether an index names them or not."""
    present: dict[tuple[str, str, str], set[int]] = {}
    for shard in filter(None, map(_SHARD.fullmatch, files.sizes if len(files.sizes) > 1 else ())):
        present.setdefault((shard[1], shard[3], shard[4] or ""), set()).add(int(shard[2]))
    for (front, total, ending), numbers in present.items():
        first = 0 if 0 in numbers else 1
        missing = (it for it in range(first, first + int(total)) if it not in numbers)
        for name in (f"{front}-{it:05}-of-{total}{ending}" for it in missing):
            yield Flaw("missing-file", f"{name!a} is missing, one of {int(total)} shards", name)


def span_of(tensor: Tensor, piece: Piece) -> int:
    """Bytes from the first element of a piece to the end of its last."""
    if 0 in piece.shape:
        return 0
    stride = piece.stride
    if stride is None:
        count = prod(piece.shape)
    else:
        count = 1 + sum((size - 1) * step for size, step in zip(piece.shape, stride, strict=True))
    return (count * BITS[tensor.dtype] + 7) // 8
