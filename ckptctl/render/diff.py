"""What is not the same in two checkpoints, for a terminal and for a pipe."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ckptctl.formats.contents import Plain, Tensor
from ckptctl.render.columns import write_count
from ckptctl.render.names import clip, escape, pad, shorten
from ckptctl.render.show import write_shape
from ckptctl.tensors.compare import Alteration, Difference

_WORD = 10
"""Cells for what became of it."""
_NAME_LEAST = 20


class Row(NamedTuple):
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
    for it in rows:
        lead = f"{pad(it.word, _WORD)}{pad(shorten(escape(it.name), column), column)}   "
        yield f"{lead}{clip(escape(it.text), max(_NAME_LEAST, width - len(lead)))}".rstrip() + "\n"


def rows(found: Difference) -> Iterator[str]:
    """The same, tab-separated, under a line of heads."""
    yield "what\tname\ttext\tmax\tmean\n"
    for it in _rows(found):
        figures = "\t".join("" if value is None else f"{value!r}" for value in (it.most, it.mean))
        yield f"{it.word}\t{escape(it.name)}\t{escape(it.text)}\t{figures}\n"


def _rows(found: Difference) -> Iterator[Row]:
    yield from (Row("added", it.name, _describe(it)) for it in found.added)
    yield from (Row("removed", it.name, _describe(it)) for it in found.removed)
    for it in found.reshaped:
        yield Row("reshaped", it.name, f"{write_shape(it.old.shape)} → {write_shape(it.new.shape)}")
    for it in found.retyped:
        yield _compared("retyped", it, f"{it.old.dtype} → {it.new.dtype}, ")
    yield from (_compared("changed", it, "") for it in found.changed)
    yield from (Row("unread", it.name, it.why) for it in found.unread)
    for key, old, new in found.metadata:
        yield Row("metadata", key, f"{_plain(old)} → {_plain(new)}")


def _describe(it: Tensor) -> str:
    return f"{write_shape(it.shape)} {it.dtype}"


def _compared(word: str, it: Alteration, front: str) -> Row:
    distance = it.distance
    most, odd = (distance.most, distance.odd) if distance else (None, 0)
    mean = it.mean
    figures = "" if most is None else f"max {most:.3g}" + ("" if mean is None else f", mean {mean:.3g}")
    figures += f", {odd:,} of NaN or infinity" if odd else ""
    return Row(word, it.name, f"{front}{figures}", most, mean)


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
