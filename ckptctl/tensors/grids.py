"""Tensors that were cut along several axes, put together again: shards of a grid of ranks, chunks of a dataset.

for rows in stream_grid(tensor, read):      read(piece) gives the bytes of a piece, or of rows of one
…                                       rows of the first axis, the last axis fastest
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from math import prod

from ckptctl.errors import Damaged
from ckptctl.formats.contents import BITS, Piece, Tensor

_BLOCK = 8 << 20
"""Bytes that are put together at once; a row that is larger is one block."""


def stream_grid(tensor: Tensor, read: Callable[[Piece], bytes]) -> Iterator[bytes]:
    """Its numbers; raises Damaged, with the id ``not-read``, where its pieces do not fill it."""
    width = BITS[tensor.dtype] // 8
    if not width or not tensor.shape or not _is_filled(tensor):
        raise Damaged(f"tensor {tensor.name!a}: its shards do not fill it", id="not-read")
    row = prod(tensor.shape[1:]) * width
    step = max(1, _BLOCK // max(1, row))
    for first in range(0, tensor.shape[0], step):
        end = min(first + step, tensor.shape[0])
        made = memoryview(bytearray((end - first) * row))
        for rows in filter(None, (_cut(piece, first, end, width) for piece in tensor.pieces)):
            _put(read(rows), rows, made, tensor.shape, width)
        yield bytes(made)


def _is_filled(tensor: Tensor) -> bool:
    """Whether the pieces lie in the tensor, no two begin at one place, and together they are as large."""
    places = {it.at for it in tensor.pieces}
    return (
        len(places) == len(tensor.pieces)
        and sum(prod(it.shape) for it in tensor.pieces) == tensor.elements
        and all(len(it.at) == len(it.shape) == len(tensor.shape) for it in tensor.pieces)
        and all(
            at >= 0 and at + own <= size
            for piece in tensor.pieces
            for at, own, size in zip(piece.at, piece.shape, tensor.shape, strict=True)
        )
    )


def _cut(piece: Piece, first: int, end: int, width: int) -> Piece | None:
    """The rows of a piece between two rows of the tensor, with their places counted from the first of these."""
    start, stop = max(first, piece.at[0]), min(end, piece.at[0] + piece.shape[0])
    if start >= stop or 0 in piece.shape:
        return None
    step = piece.stride[0] if piece.stride else prod(piece.shape[1:])
    return piece._replace(
        start=piece.start + (start - piece.at[0]) * step * width,
        shape=(stop - start, *piece.shape[1:]),
        at=(start - first, *piece.at[1:]),
    )


def _put(data: bytes, piece: Piece, made: memoryview, shape: tuple[int, ...], width: int) -> None:
    """Copy a piece to where it belongs, in lines as long as they lie together in both."""
    axis = len(shape) - 1
    while axis and piece.shape[axis] == shape[axis]:
        axis -= 1
    strides = [prod(shape[it + 1 :]) * width for it in range(len(shape))]
    line = prod(piece.shape[axis:]) * width
    start = sum(at * stride for at, stride in zip(piece.at, strides, strict=True))
    places = product(*(range(size) for size in piece.shape[:axis]))
    for number, place in enumerate(places):
        to = start + sum(at * stride for at, stride in zip(place, strides, strict=False))
        made[to : to + line] = data[number * line : (number + 1) * line]
