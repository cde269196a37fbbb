"""Files in memory or on disk as those of one checkpoint, and the numbers of tensors read by their places."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import product
from pathlib import Path

from ckptctl.formats import read_files
from ckptctl.formats.contents import BITS, Contents, Tensor, merge_contents
from tests.formats.samples import Bytes


class Held:
    """The files of a checkpoint."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.files = dict(files)
        self.sizes = {name: len(content) for name, content in files.items()}
        self.sources: list[Bytes] = []

    @contextmanager
    def open(self, name: str) -> Iterator[Bytes]:
        self.sources.append(Bytes(self.files[name]))
        yield self.sources[-1]


def load(path: Path) -> Held:
    """A file, or all below a folder."""
    if path.is_file():
        return Held({path.name: path.read_bytes()})
    return Held({it.relative_to(path).as_posix(): it.read_bytes() for it in path.rglob("*") if it.is_file()})


def read(content: bytes, name: str = "x.pt", *, placed: bool = True) -> Contents:
    """What is in one file."""
    return merge_contents(read_files(Held({name: content}), placed=placed))


def take(files: Held, contents: Contents, tensor: Tensor) -> bytes:
    """The numbers of a tensor in the order of its axes, from where the contents say that they lie."""
    width = BITS[tensor.dtype] // 8
    made = bytearray(tensor.bytes)
    strides = [width] * len(tensor.shape)
    for axis in reversed(range(len(tensor.shape) - 1)):
        strides[axis] = strides[axis + 1] * tensor.shape[axis + 1]
    for piece in tensor.pieces:
        storage = contents.storages[piece.storage]
        assert storage.offset is not None
        own = piece.stride or dense(piece.shape)
        first = piece.at or (0,) * len(tensor.shape)
        for index in product(*map(range, piece.shape)):
            source = storage.offset + piece.start + width * sum(a * b for a, b in zip(index, own, strict=True))
            target = sum((a + b) * c for a, b, c in zip(index, first, strides, strict=True))
            made[target : target + width] = files.files[storage.file][source : source + width]
    return bytes(made)


def dense(shape: tuple[int, ...]) -> tuple[int, ...]:
    found = [1] * len(shape)
    for axis in reversed(range(len(shape) - 1)):
        found[axis] = found[axis + 1] * shape[axis + 1]
    return tuple(found)
