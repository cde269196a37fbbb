"""Checkpoints as comma-separated values, safe to open in a spreadsheet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from csv import QUOTE_NONNUMERIC, writer
from io import StringIO
from itertools import islice

from ckptctl.core.model import Checkpoint, Run
from ckptctl.render.columns import write_time
from ckptctl.render.text import escape

BATCH = 2000
"""Rows in one piece."""

_HEADS = ("run", "path", "layout", "kind", "state", "epoch", "step", "version")
_TAIL = ("bytes", "files", "modified", "roles", "aliases", "pinned")

Cell = str | int | float | None


def header(metrics: Sequence[str], *, raw: bool = False) -> str:
    """The heads of `rows`; a metric that has the name of another column is written ``metric.NAME``."""
    taken = {*_HEADS, *_TAIL}
    names = [f"metric.{name}" if name in taken else name for name in metrics]
    return _write([[*_HEADS, *(_text(name, raw=raw) for name in names), *_TAIL]])


def rows(run: Run, metrics: Sequence[str], *, raw: bool = False) -> Iterator[str]:
    """A line for each checkpoint of a run, in pieces of many; ``metrics`` are the columns, in their order.

    A text that a spreadsheet would take for a formula gets a ``'`` in front, unless ``raw``; numbers are left alone.
    """
    lines = (_row(run, checkpoint, metrics, raw=raw) for checkpoint in run.checkpoints)
    while batch := list(islice(lines, BATCH)):
        yield _write(batch)


def _row(run: Run, checkpoint: Checkpoint, metrics: Sequence[str], *, raw: bool) -> list[Cell]:
    def text(words: str) -> str:
        return _text(words, raw=raw)

    scores = checkpoint.metrics
    return [
        text(run.path or "."),
        text(checkpoint.path),
        text(checkpoint.layout),
        checkpoint.unit,
        checkpoint.public_state,
        checkpoint.epoch,
        checkpoint.step,
        checkpoint.version,
        *(scores[name].value if name in scores else None for name in metrics),
        checkpoint.size,
        checkpoint.files,
        write_time(checkpoint.modified) if checkpoint.modified else None,
        text(" ".join(checkpoint.roles)),
        text(", ".join(checkpoint.aliases)),
        "true" if checkpoint.pinned else "false",
    ]


def _text(words: str, *, raw: bool) -> str:
    """A text as a cell that cannot run: spreadsheets take what begins so for a formula, also after blanks."""
    shown = escape(words)
    return f"'{shown}" if not raw and shown.lstrip()[:1] in tuple("=+-@") else shown


def _write(lines: Sequence[Sequence[Cell]]) -> str:
    """Every text in quotes, so that no other separator can part it either."""
    page = StringIO()
    writer(page, quoting=QUOTE_NONNUMERIC, lineterminator="\n").writerows(lines)
    return page.getvalue()
