"""What is not the same in two checkpoints, for a terminal and for a pipe."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ckptctl.formats.contents import Plain, Tensor
from ckptctl.render.columns import write_count
from ckptctl.render.show import write_shape
from ckptctl.render.text import clip, escape, pad, shorten
from ckptctl.tensors.compare import Difference, TensorChange

_WORD = 10
"""Cells for what became of it."""
_NAME_LEAST = 20


class DiffRow(NamedTuple):
    """One thing that is not the same."""

    word: str
    name: str
    text: str
    most: float | None = None
    mean: float | None = None


def screen(found: Difference, *, width: int = 80) -> Iterator[str]:
    """A line for each: a word, its name, and what of it differs."""
    rows = list(_rows(found))
    room = max(_NAME_LEAST, width - _WORD - 3 - max((min(len(it.text), width // 2) for it in rows), default=0))
    column = min(room, max((len(escape(it.name)) for it in rows), default=0))
    for row in rows:
        lead = f"{pad(row.word, _WORD)}{pad(shorten(escape(row.name), column), column)}   "
        yield f"{lead}{clip(escape(row.text), max(_NAME_LEAST, width - len(lead)))}".rstrip() + "\n"


def rows(found: Difference) -> Iterator[str]:
    """The same, tab-separated, under a line of heads."""
    yield "what\tname\ttext\tmax\tmean\n"
    for row in _rows(found):
        figures = "\t".join("" if value is None else f"{value!r}" for value in (row.most, row.mean))
        yield f"{row.word}\t{escape(row.name)}\t{escape(row.text)}\t{figures}\n"


def _rows(found: Difference) -> Iterator[DiffRow]:
    yield from (DiffRow("added", it.name, _describe(it)) for it in found.added)
    yield from (DiffRow("removed", it.name, _describe(it)) for it in found.removed)
    for change in found.reshaped:
        yield DiffRow("reshaped", change.name, f"{write_shape(change.old.shape)} → {write_shape(change.new.shape)}")
    for change in found.retyped:
        yield _compared("retyped", change, f"{change.old.dtype} → {change.new.dtype}, ")
    yield from (_compared("changed", it, "") for it in found.changed)
    yield from (DiffRow("unread", it.name, it.why) for it in found.unread)
    for key, old, new in found.metadata:
        yield DiffRow("metadata", key, f"{_plain(old)} → {_plain(new)}")


def _describe(tensor: Tensor) -> str:
    return f"{write_shape(tensor.shape)} {tensor.dtype}"


def _compared(word: str, change: TensorChange, front: str) -> DiffRow:
    distance = change.distance
    most, odd = (distance.most, distance.odd) if distance else (None, 0)
    mean = change.mean
    figures = "" if most is None else f"max {most:.3g}" + ("" if mean is None else f", mean {mean:.3g}")
    figures += f", {odd:,} of NaN or infinity" if odd else ""
    return DiffRow(word, change.name, f"{front}{figures}", most, mean)


def _plain(value: Plain) -> str:
    return "nothing" if value is None else str(value)


def closing(found: Difference) -> str:
    """The line that ends it."""
    counts = [
        f"{len(own)} {word}"
        for word, own in (
            ("added", found.added),
            ("removed", found.removed),
            ("reshaped", found.reshaped),
            ("retyped", found.retyped),
            ("changed", found.changed),
            ("not compared", found.unread),
        )
        if own
    ]
    return f"{', '.join(counts) or 'no tensor differs'} · {write_count(found.same, 'tensor')} the same\n"
