"""The mean of the weights of several files, a stretch at a time: as torch's file, or as safetensors.

    plan = plan_average(inputs, [1, 1, 1])          raises Refused where they are not alike
    plan.write(draft, "torch")

What is no floating-point number is taken from the first, and so is all that was saved beside the tensors; the
optimizer's state is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import NamedTuple
from zlib import crc32

from ckptctl.errors import Damaged, Refused
from ckptctl.weights.arrays import FLOATING, average
from ckptctl.weights.compare import name_alike
from ckptctl.weights.contents import BITS, Contents, Files, Storage, Tensor
from ckptctl.weights.proving import beside, prove_records
from ckptctl.weights.safetensors_writing import Named, plan
from ckptctl.weights.slim import Cut, open_whole
from ckptctl.weights.streams import Numbers, even, open_numbers
from ckptctl.weights.zip_writing import Draft, Writer

_ELEMENTS = 1 << 16
"""Numbers that are averaged at once."""
_COUNTS = frozenset({"int64", "int32", "int16", "int8", "uint64", "uint32", "uint16", "uint8", "bool"})
"""Types that are taken from the first."""
Tick = Callable[[int], None]


class Input(NamedTuple):
    """A file to be averaged."""

    path: str
    """As the user knows it."""
    files: Files
    contents: Contents
    name: str
    """Of its only file with weights."""


class Average(NamedTuple):
    """What is averaged with what."""

    inputs: tuple[Input, ...]
    weights: tuple[float, ...]
    alike: tuple[dict[str, Tensor], ...]
    """For each input its tensors by the names in the first."""

    def write(self, draft: Draft, to: str, drop: Sequence[str] | None, tick: Tick) -> None:
        """Write it, every checksum of what is read proved; raises Refused, Damaged, OSError."""
        with ExitStack() as stack:
            stack.enter_context(beside(self._prove))
            opened = [stack.enter_context(open_numbers(it.files, it.contents)) for it in self.inputs]
            if to == "safetensors":
                _write_safetensors(self, opened, draft, tick)
            else:
                source = opened[0].open(self.inputs[0].name)
                _write_torch(self, opened, open_whole(source, drop), draft, tick)

    def _prove(self) -> None:
        for it in self.inputs:
            keys = {piece.storage for own in it.contents.tensors if own.part == "weights" for piece in own.pieces}
            with open_numbers(it.files, it.contents) as numbers:
                prove_records(numbers.open, it.contents, keys)


def plan_average(inputs: Sequence[Input], weights: Sequence[float]) -> Average:
    """Prove that all have the same tensors; raises Refused with the first that is not so."""
    first = inputs[0].contents
    alike: list[dict[str, Tensor]] = []
    for it in inputs:
        before, after = name_alike(first, it.contents)
        alike.append({own.name: after[name] for name, own in before.items() if name in after})
        _require_same(it, before, after)
    return Average(tuple(inputs), tuple(weights), tuple(alike))


def _require_same(it: Input, before: dict[str, Tensor], after: dict[str, Tensor]) -> None:
    for name, own in before.items():
        if own.part != "weights":
            continue
        other = after.get(name)
        if other is None:
            raise Refused(f"has no tensor {name!a}, which the first has", path=it.path, id="not-alike")
        if (other.shape, other.dtype) != (own.shape, own.dtype):
            text = f"tensor {name!a} is {_describe(other)}, in the first {_describe(own)}"
            raise Refused(text, path=it.path, id="not-alike")
        if own.dtype not in FLOATING | _COUNTS:
            raise Refused(f"tensor {name!a} is of type {own.dtype}, which has no mean", path=it.path, id="not-alike")
    extra = next((name for name, own in after.items() if own.part == "weights" and name not in before), None)
    if extra is not None:
        raise Refused(f"has a tensor {extra!a}, which the first has not", path=it.path, id="not-alike")


def _describe(it: Tensor) -> str:
    return f"{it.dtype} of {list(it.shape)}"


def _write_safetensors(made: Average, opened: Sequence[Numbers], draft: Draft, tick: Tick) -> None:
    own = [it for it in made.inputs[0].contents.tensors if it.part == "weights"]
    named = [Named(name, it) for name, it in name_alike(made.inputs[0].contents, made.inputs[0].contents)[0].items()]
    laid = plan([it for it in named if it.tensor in own])
    draft.write(laid.header)
    for _, tensor in laid.tensors:
        width = BITS[tensor.dtype] // 8
        count = len(opened) if tensor.dtype in FLOATING else 1
        streams = [
            even(numbers.stream(alike[tensor.name]), _ELEMENTS * width)
            for numbers, alike in zip(opened[:count], made.alike, strict=False)
        ]
        for chunk in _mean(streams, made.weights, tensor.dtype):
            draft.write(chunk)
            tick(len(chunk))


def _write_torch(made: Average, opened: Sequence[Numbers], cut: Cut, draft: Draft, tick: Tick) -> None:
    """The first, with the numbers of each storage averaged."""
    holders = _find_holders(made.inputs[0])
    writer = Writer(draft)
    cut.write_front(writer)
    for name in cut.storages:
        key = f"{made.inputs[0].name}:{str(name.rpartition(b'/')[2], 'utf-8', 'surrogatepass')}"
        tensors = holders.get(key, [])
        _require_one_type(tensors, key)
        writer.begin(name, cut.archive.members[name].size)
        value = 0
        for chunk in _mean(_open_storages(made, opened, tensors, key), made.weights, tensors[0].dtype):
            draft.write(chunk)
            value = crc32(chunk, value)
            tick(len(chunk))
        writer.end(value)
    cut.write_back(writer)


def _find_holders(it: Input) -> dict[str, list[Tensor]]:
    """Key of each storage to the tensors in it."""
    found: dict[str, list[Tensor]] = {}
    for tensor in it.contents.tensors:
        for piece in tensor.pieces:
            found.setdefault(piece.storage, []).append(tensor)
    return found


def _require_one_type(tensors: Sequence[Tensor], key: str) -> None:
    """Raise Refused where a storage is not of numbers of one type, or of tensors that are not understood."""
    kinds = {it.dtype for it in tensors}
    if len(kinds) != 1 or not kinds <= FLOATING | _COUNTS:
        raise Refused(f"storage {key!a} holds numbers of several types, or none that are understood", id="not-alike")


def _open_storages(
    made: Average, opened: Sequence[Numbers], tensors: Sequence[Tensor], key: str
) -> list[Iterator[bytes]]:
    """The bytes of a storage in every input, of what is not averaged in the first alone."""
    first = made.inputs[0].contents.storages[key]
    is_weight = any(it.part == "weights" for it in tensors)
    count = len(opened) if is_weight and tensors[0].dtype in FLOATING else 1
    size = _ELEMENTS * BITS[tensors[0].dtype] // 8
    streams = []
    for it, numbers, alike in zip(made.inputs[:count], opened, made.alike, strict=False):
        storage = _find_storage(it, tensors, alike)
        if storage is None or storage.length != first.length:
            text = f"tensor {tensors[0].name!a} does not lie in its file as in the first: write safetensors"
            raise Refused(text, path=it.path, id="not-alike", hint="name the output .safetensors")
        streams.append(even(numbers.stream_storage(storage), size))
    return streams


def _find_storage(it: Input, tensors: Sequence[Tensor], alike: dict[str, Tensor]) -> Storage | None:
    """The storage of an input in which all of these lie as they do in the first; None where there is none."""
    found: set[str] = set()
    for own in tensors:
        other = alike.get(own.name)
        places = [] if other is None else [(piece.start, piece.shape, piece.stride) for piece in other.pieces]
        if other is None or other.big_endian or places != [(one.start, one.shape, one.stride) for one in own.pieces]:
            return None
        found |= {piece.storage for piece in other.pieces}
    return it.contents.storages[found.pop()] if len(found) == 1 else None


def _mean(streams: Sequence[Iterator[bytes]], weights: Sequence[float], dtype: str) -> Iterator[bytes]:
    for chunks in zip(*streams, strict=True):
        if len(chunks) == 1:
            yield chunks[0]
        elif len({len(it) for it in chunks}) > 1:
            raise Damaged("one of the files ended before the others")
        else:
            yield average(list(zip(chunks, weights, strict=True)), dtype)
