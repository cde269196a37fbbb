"""Two checkpoints beside each other: tensors that were added, removed, reshaped, retyped, changed, and how much."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack
from typing import NamedTuple

from ckptctl.core.model import Note
from ckptctl.errors import Damaged, Refused
from ckptctl.formats.contents import BITS, Contents, FileSet, Plain, Tensor
from ckptctl.tensors.arrays import NumberSpan, NumericDifference, is_known_dtype, measure_difference
from ckptctl.tensors.streams import CHUNK, NumberReader, Tick, open_numbers, rechunk

_MISSING = object()


class ComparedCheckpoint(NamedTuple):
    """One of the two."""

    files: FileSet
    contents: Contents
    path: str = ""
    """As the user knows it."""


class TensorChange(NamedTuple):
    """A tensor that both have, and that is not the same in both."""

    name: str
    old: Tensor
    new: Tensor
    distance: NumericDifference | None = None
    """None where the numbers were not compared."""
    why: str = ""
    """Why they were not."""

    @property
    def mean(self) -> float | None:
        """Mean of the distances that are finite; None where there are none."""
        count = self.old.elements - (self.distance.odd if self.distance else 0)
        return self.distance.total / count if self.distance and count else None


class Difference(NamedTuple):
    """What is not the same in two checkpoints."""

    added: tuple[Tensor, ...]
    removed: tuple[Tensor, ...]
    reshaped: tuple[TensorChange, ...]
    retyped: tuple[TensorChange, ...]
    """Of another type; compared all the same."""
    changed: tuple[TensorChange, ...]
    same: int
    """How many tensors are the same."""
    metadata: tuple[tuple[str, Plain, Plain], ...]
    """Key, and its values; None where one has none."""
    unread: tuple[TensorChange, ...] = ()
    """Those whose numbers could not be compared."""


def compare_contents(old: ComparedCheckpoint, new: ComparedCheckpoint, tick: Tick = lambda _: None) -> Difference:
    """Compare all that both have by name, chunk by chunk; raises OSError, Refused where one was not read to its end."""
    before, after = name_alike(old.contents, new.contents)
    _require_read(old, after.keys() - before.keys())
    _require_read(new, before.keys() - after.keys())
    with ExitStack() as stack:
        left, right = (stack.enter_context(open_numbers(it.files, it.contents)) for it in (old, new))
        found = [_compare(name, left, right, (it, after[name]), tick) for name, it in before.items() if name in after]
    differing = [it for it in found if it is not None]
    compared = [it for it in differing if not it.why and it.old.shape == it.new.shape]
    return Difference(
        tuple(it._replace(name=name) for name, it in after.items() if name not in before),
        tuple(it._replace(name=name) for name, it in before.items() if name not in after),
        tuple(it for it in differing if it.old.shape != it.new.shape),
        tuple(it for it in compared if it.old.dtype != it.new.dtype),
        tuple(it for it in compared if it.old.dtype == it.new.dtype),
        len(found) - len(differing),
        tuple(_compare_metadata(old.contents.metadata, new.contents.metadata)),
        tuple(it for it in differing if it.why and it.old.shape == it.new.shape),
    )


def name_alike(old: Contents, new: Contents) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The tensors by name, without what stands before the weights' names in one of the two alone."""
    plain = {it.name for it in old.tensors}, {it.name for it in new.tensors}
    if not plain[0].isdisjoint(plain[1]):
        return {it.name: it for it in old.tensors}, {it.name: it for it in new.tensors}
    choices = [
        (len({it.removeprefix(a) for it in plain[0]} & {it.removeprefix(b) for it in plain[1]}), a, b)
        for a in _fronts(old)
        for b in _fronts(new)
    ]
    _, front, other = max(choices, key=lambda it: (it[0], -len(it[1]) - len(it[2])))
    return (
        {it.name.removeprefix(front): it for it in old.tensors},
        {it.name.removeprefix(other): it for it in new.tensors},
    )


def _fronts(contents: Contents) -> list[str]:
    """What names of weights begin with, up to the first dot; and nothing."""
    return ["", *dict.fromkeys(own.name.partition(".")[0] + "." for own in contents.tensors if own.part == "weights")]


def _require_read(side: ComparedCheckpoint, missing: Collection[str]) -> None:
    """Raise Refused where tensors seem to be missing, or all are, and it may be that they were only not read."""
    unread = [it for it in side.contents.flaws if it.id == "not-read"]
    if unread and (missing or not side.contents.tensors):
        note = Note("not-compared", why=unread[0].text)
        raise Refused("cannot be compared", path=side.path, id="cannot-compare", note=note)


def _compare(
    name: str, left: NumberReader, right: NumberReader, pair: tuple[Tensor, Tensor], tick: Tick
) -> TensorChange | None:
    """What is not the same of one; None where nothing is."""
    old, new = pair
    change = TensorChange(name, old, new)
    if old.shape != new.shape:
        return change
    if old.dtype != new.dtype and not (is_known_dtype(old.dtype) and is_known_dtype(new.dtype)):
        return change._replace(why="of types that are not compared")
    try:
        distance, is_same = NumericDifference(), old.dtype == new.dtype
        for one, other in _side_by_side(left, right, old, new):
            tick(len(one.data) + len(other.data))
            is_same = is_same and one == other
            distance = distance.add(measure_difference(one, other)) if is_known_dtype(old.dtype) else distance
    except Damaged as error:
        return change._replace(why=error.text)
    if not is_same and not is_known_dtype(old.dtype):
        return change._replace(why=f"changed, but {old.dtype} has no numbers that are read")
    return None if is_same else change._replace(distance=distance)


def _side_by_side(
    left: NumberReader, right: NumberReader, old: Tensor, new: Tensor
) -> Iterator[tuple[NumberSpan, NumberSpan]]:
    widths = [BITS.get(it.dtype, 8) for it in (old, new)]
    sizes = [max(1, CHUNK * width // max(widths)) for width in widths]
    chunks = rechunk(left.stream(old), sizes[0]), rechunk(right.stream(new), sizes[1])
    for one, other in zip(*chunks, strict=True):
        yield NumberSpan(bytes(one), old.dtype), NumberSpan(bytes(other), new.dtype)


def _compare_metadata(old: Mapping[str, Plain], new: Mapping[str, Plain]) -> Iterator[tuple[str, Plain, Plain]]:
    for key in dict.fromkeys((*old, *new)):
        one, other = old.get(key, _MISSING), new.get(key, _MISSING)
        is_nan = one != one and other != other  # noqa: PLR0124 - that is what NaN is
        if one != other and not is_nan:
            yield key, old.get(key), new.get(key)
