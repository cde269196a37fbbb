"""A plan for many runs at a glance: a line each, what loses most first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ckptctl.core.retention.plan import RunPlan
from ckptctl.core.units import write_size
from ckptctl.render.columns import write_count, write_number
from ckptctl.render.names import clip, escape, locate, measure, pad, pad_left, shorten

MOST_SHOWN = 6
"""So many changing runs are shown with all that they keep; more have a line each."""
_HEADS = ("run", "keep", "frees", "", "kept for")
_PATH_LEAST = 16
_WHY_LEAST = 20
_GAP = "  "
_WORDS = {
    "top-k": "best",
    "keep-best": "best",
    "global-best": "best of all",
    "keep-last": "last",
    "keep-every": "on the grid",
    "keep-within": "young",
    "keep-newer-than": "young",
    "keep-step": "named",
    "keep": "named",
    "newest": "newest",
    "config": "by config",
}
"""How rules are told in a word or two; others by their own names."""


class BriefRow(NamedTuple):
    """One run."""

    path: str
    """Escaped."""
    keep: str
    """``3 of 17``."""
    frees: str
    share: str
    """Of the run's bytes, in per cent."""
    why: str
    """For what the others stay, each counted once, by its first reason."""


def listing(runs: Sequence[RunPlan], *, root: str, width: int) -> Iterator[str]:
    """The runs from which something goes, the greatest loss first; the others as a count."""
    changing = [run for run in runs if run.changed]
    rows = [_row(run, root) for run in changing]
    columns = [max(measure(cell) for cell in column) for column in zip(_HEADS, *rows, strict=True)]
    taken = sum(columns[1:4]) + 4 * len(_GAP)
    path = min(columns[0], max(_PATH_LEAST, width - taken - min(columns[4], max(_WHY_LEAST, width // 3))))
    for row in (BriefRow(*_HEADS), *rows):
        cells = (pad(shorten(row.path, path), path), *map(pad_left, row[1:4], columns[1:4]))
        room = max(0, width - path - taken)
        yield f"{_GAP.join(cells)}{_GAP}{clip(row.why, room)}".rstrip() + "\n"
    if len(runs) > len(changing):
        yield f"{write_count(len(runs) - len(changing), 'more run')}: nothing to delete\n"


def _row(run: RunPlan, root: str) -> BriefRow:
    held = [it for it in run.verdicts if it.checkpoint]
    stays = [it for it in held if it.stays]
    counts = Counter(_WORDS.get(it.reasons[0].rule, it.reasons[0].rule) for it in stays)
    why = [f"{count} {word}" for word, count in counts.items()]
    skipped = sum(it.action == "skip" for it in held)
    why += [f"{skipped} left alone"] if skipped else []
    size = sum(it.checkpoint.size for it in held if it.checkpoint)
    share = f"{100 * run.frees // size} %" if size else ""
    keep = f"{write_number(len(stays))} of {write_number(len(held))}"
    return BriefRow(escape(locate(root, run.path)), keep, write_size(run.frees), share, ", ".join(why))
