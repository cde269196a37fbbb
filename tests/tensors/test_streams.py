"""Tensors cut along several axes."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckptctl.errors import Damaged
from ckptctl.formats.contents import Contents, Piece, Storage, Tensor
from ckptctl.tensors.streams import open_numbers
from tests.formats.held import Held

SHAPES = st.lists(st.integers(1, 6), min_size=1, max_size=4)


def cut(shape: tuple[int, ...], cuts: list[list[int]]) -> tuple[Held, Contents]:
    """A tensor of numbers 0, 1, …, in pieces that follow each other in a file; ``cuts``: where each axis is cut."""
    strides = [prod(shape[axis + 1 :]) for axis in range(len(shape))]
    edges = [sorted({0, *(at for at in own if at < size), size}) for own, size in zip(cuts, shape, strict=True)]
    data, pieces, storages = b"", list[Piece](), dict[str, Storage]()
    for place in product(*(range(len(it) - 1) for it in edges)):
        first = tuple(edges[axis][at] for axis, at in enumerate(place))
        own = tuple(edges[axis][at + 1] - edges[axis][at] for axis, at in enumerate(place))
        key = str(place)
        storages[key] = Storage("x", len(data), 4 * prod(own))
        pieces.append(Piece(key, 0, own, at=first))
        for inner in product(*map(range, own)):
            value = sum((a + b) * c for a, b, c in zip(first, inner, strides, strict=True))
            data += value.to_bytes(4, "little")
    tensor = Tensor("w", shape, "int32", "weights", tuple(pieces))
    return Held({"x": data}), Contents("dcp", (tensor,), storages)


def stream(files: Held, contents: Contents) -> list[int]:
    with open_numbers(files, contents) as numbers:
        return memoryview(b"".join(bytes(it) for it in numbers.stream(contents.tensors[0]))).cast("i").tolist()


@given(st.data())
def test_the_numbers_of_a_grid_of_shards_come_in_the_order_of_the_tensor(data: st.DataObject) -> None:
    shape = tuple(data.draw(SHAPES))
    cuts = [data.draw(st.lists(st.integers(0, 6), max_size=3)) for _ in shape]
    files, contents = cut(shape, cuts)
    shuffled = data.draw(st.permutations(contents.tensors[0].pieces))
    contents = contents._replace(tensors=(contents.tensors[0]._replace(pieces=tuple(shuffled)),))
    assert stream(files, contents) == list(range(prod(shape)))


def test_a_grid_larger_than_a_block_is_put_together_block_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ckptctl.tensors.streams._GRID_BLOCK", 100)
    assert stream(*cut((30, 7), [[4, 19], [3]])) == list(range(210))


def test_numbers_of_a_grid_of_the_other_byte_order_are_turned() -> None:
    files, contents = cut((2, 4), [[], [2]])
    contents = contents._replace(tensors=(contents.tensors[0]._replace(big_endian=True),))
    assert stream(files, contents)[:2] == [0, 1 << 24]


BROKEN: dict[str, Callable[[tuple[Piece, ...]], tuple[Piece, ...]]] = {
    "a shard is missing": lambda pieces: pieces[1:],
    "a shard is there twice": lambda pieces: (pieces[0], *pieces[:-1]),
    "a shard lies beside the tensor": lambda pieces: (*pieces[:-1], pieces[-1]._replace(at=(1, 3))),
    "a shard does not say where it is": lambda pieces: (*pieces[:-1], pieces[-1]._replace(at=())),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_grid_that_is_not_full_is_not_read(case: str) -> None:
    files, contents = cut((2, 4), [[1], [2]])
    tensor = contents.tensors[0]._replace(pieces=BROKEN[case](contents.tensors[0].pieces))
    with pytest.raises(Damaged, match="its shards do not fill it") as raised:
        stream(files, contents._replace(tensors=(tensor,)))
    assert raised.value.id == "not-read"
