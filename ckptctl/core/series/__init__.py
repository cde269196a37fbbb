"""Which names of a folder are one training's saves, by the names alone: series, sets, and files of their own.

    for it in find_series(["model_epoch_1.pt", "model_epoch_2.pt", "fold_1.pt", "vgg16.pth"]):
        it.kind, it.pattern                  "series" "model_epoch_{epoch}.pt", "single" "fold_1.pt", …

Names that differ in numbers alone are siblings. A number that never varies is text; one that varies means what the
nearest word says. A word such as *fold* parts the siblings into several series, or makes a set of them. What a rule may
delete is a proven series: see `Series.doubt`. Nothing is read.
"""

from __future__ import annotations

from collections.abc import Iterable

from ckptctl.core.names.shapes import group_by_shape
from ckptctl.core.series.model import NUMBER, Save, Series
from ckptctl.core.series.parts import find_twins, join_lines, mark_twins
from ckptctl.core.series.slots import read_lines

__all__ = ["NUMBER", "Save", "Series", "find_series"]


def find_series(names: Iterable[str]) -> list[Series]:
    """Every name, in one of the series, sets and single files that they make; in the order of first names."""
    order = {name: place for place, name in enumerate(names)}
    lines = [line for group in group_by_shape(order) for line in read_lines(group)]
    twins = find_twins(lines)
    found = [mark_twins(it, twins) for it in join_lines(lines)]
    found.sort(key=lambda it: min(order[name] for name in it.names))
    return found
