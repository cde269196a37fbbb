"""What of the names alone proves that they are one training's saves in a row, and what to say where nothing does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import gcd

from ckptctl.core.model import Evidence, Note
from ckptctl.core.series.proposal import propose_template
from ckptctl.core.series.slots import COUNTED, ShapeLine, number_of

_LEAST_STRIDE = 5
_MOST_TRIED = 50
"""Names on which a template is tried before it is proposed in a listing."""


_LEAST_SAVES = 4
"""So many saves at least so far apart are no classes, levels or tries."""


_PADDED = 4


_LARGE = 5
"""Digits: of a number with zeros in front, and of one without, that nobody numbers classes or tries by."""


_SIZES = frozenset(
    """8 16 24 32 48 64 96 112 128 144 160 192 224 256 288 320 336 384 448 512 576 640 768 896 1024 1280 1536 1792 2048
    3072 4096 8192""".split()
)
"""What layers and pictures measure: such numbers are no steps."""


def find_evidence(line: ShapeLine) -> Iterator[Evidence]:
    """What of the names proves a series."""
    for slot in line.varying:
        if slot.is_said and slot.meaning in COUNTED:
            yield Evidence("counter", slot.key)
            return
    if not line.varying or any(it.is_date for it in line.varying):
        return
    numbers = sorted({int(number_of(it.values[line.varying[-1].place])) for it in line.members})
    texts = [it.values[line.varying[-1].place] for it in line.members]
    if any(it.meaning == "metric" and it.varies for it in line.slots):
        yield Evidence("shape", "a metric beside the number")
    elif any(len(it) >= _PADDED and it.startswith("0") for it in texts) and len({*map(len, texts)}) == 1:
        yield Evidence("shape", f"{len(texts[0])} digits with zeros in front")
    elif _is_sizes(numbers):
        return
    elif len(numbers) >= _LEAST_SAVES and (stride := _stride(numbers)) >= _LEAST_STRIDE:
        yield Evidence("shape", f"{len(numbers)} saves, {stride} apart")
    elif len(numbers) >= _LEAST_SAVES - 1 and len(str(numbers[len(numbers) // 2])) >= _LARGE:
        yield Evidence("shape", f"numbers of {len(str(numbers[len(numbers) // 2]))} digits")


def _stride(numbers: Sequence[int]) -> int:
    return gcd(*(two - one for one, two in pairwise(numbers)))


def _is_sizes(numbers: Sequence[int]) -> bool:
    """Whether the numbers may be sizes of layers or pictures, or double each time."""
    if all(str(it) in _SIZES for it in numbers):
        return True
    doubles = [two / one for one, two in pairwise(numbers) if one]
    return len(numbers) > 2 and len(doubles) == len(numbers) - 1 and len(set(doubles)) == 1  # noqa: PLR2004 - a ratio


def describe_unproven(line: ShapeLine) -> Note:
    """Why the names of a line prove nothing, with the template that would say what they count."""
    numbers = sorted(number_of(it.values[line.varying[-1].place]) for it in line.members)
    if any(it.is_date for it in line.varying):
        return Note("dates-only")
    names = [it.name for it in line.members]
    tried = [*names[:: len(names) // _MOST_TRIED + 1], names[-1]]  # of many names, which differ in digits alone
    return Note("unnamed-number", first=int(numbers[0]), last=int(numbers[-1]), template=propose_template(tried))
