"""Checkpoints for other programs: CSV, Markdown, rows of a data frame, Lightning's YAML summary."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from csv import QUOTE_NONNUMERIC, writer
from datetime import datetime, timezone
from io import StringIO
from itertools import islice
from typing import Any

from ckptctl.core.model import Checkpoint, Run
from ckptctl.core.ranking import RunView
from ckptctl.core.units import NANOSECONDS
from ckptctl.render.columns import CheckpointRow, rows_of, write_time
from ckptctl.render.text import escape, locate

BATCH = 2000
"""Rows in one piece."""

_HEADS = ("run", "path", "layout", "kind", "state", "epoch", "step", "version")
_TAIL = ("bytes", "files", "modified", "roles", "aliases", "pinned")

Cell = str | int | float | None


def csv_header(metrics: Sequence[str], *, raw: bool = False) -> str:
    """The heads of `csv_rows`; a metric that has the name of another column is written ``metric.NAME``."""
    taken = {*_HEADS, *_TAIL}
    names = [f"metric.{name}" if name in taken else name for name in metrics]
    return _write([[*_HEADS, *(_text(name, raw=raw) for name in names), *_TAIL]])


def csv_rows(run: Run, metrics: Sequence[str], *, raw: bool = False) -> Iterator[str]:
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


# A table for a pull request or a wiki, as GitHub reads it


_SPECIAL = re.compile(r"[\\`*\[\]<>|~&#$]|_(?![0-9A-Za-z])|(?<![0-9A-Za-z])_")
"""What GitHub would take for markup; inside a word an underscore is none."""


def markdown_listing(views: Iterable[RunView], now: int, metrics: Sequence[str], *, root: str = ".") -> Iterator[str]:
    """One table of all runs, a row a checkpoint, the best in bold; ``metrics`` are the columns, in their order."""
    heads = ("run", "name", "epoch", "step", *metrics, "size", "age", "marks")
    yield _join(map(escape_markup, heads))
    yield _join(("---", "---", *("---:" for _ in heads[3:]), "---"))
    for view in views:
        run = escape_markup(locate(root, view.run.path))
        yield "".join(_line(run, row) for row in rows_of(view, now, metrics))


def escape_markup(text: str) -> str:
    """A text that shows as it is: nothing hidden in it, no markup, no table cell ended."""
    return _SPECIAL.sub(r"\\\g<0>", escape(text))


def _line(run: str, row: CheckpointRow) -> str:
    name = escape_markup(row.name)
    return _join(
        (run, f"**{name}**" if row.tone == "best" else name, *map(escape_markup, row.cells), escape_markup(row.marks))
    )


def _join(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |\n"


# For data frames, and for Lightning


def flatten_checkpoint(run: Run, checkpoint: Checkpoint) -> dict[str, Any]:
    """A checkpoint as one row, its metrics among the keys; one that is called as another key is renamed."""
    row: dict[str, Any] = {
        "run": run.path,
        "path": checkpoint.path,
        "name": checkpoint.path.rpartition("/")[2],
        "layout": checkpoint.layout,
        "epoch": checkpoint.epoch,
        "step": checkpoint.step,
        "state": checkpoint.public_state,
        "roles": ", ".join(checkpoint.roles),
        "pinned": checkpoint.pinned,
        "resumable": checkpoint.resumable,
        "size": checkpoint.size,
        "files": checkpoint.files,
        "modified": datetime.fromtimestamp(checkpoint.modified / NANOSECONDS, tz=timezone.utc),
    }
    scores = {(f"metric_{key}" if key in row else key): it.value for key, it in checkpoint.metrics.items()}
    return row | scores


def best_k_models(scores: Mapping[str, float]) -> str:
    """Paths to scores as Lightning's ``ModelCheckpoint.to_yaml`` (1.4 to 2.6) writes them, byte for byte.

    Keys are sorted, long ones written as ``? key``. The paths are dumped as given; Lightning gives absolute ones.
    """
    import yaml

    return yaml.dump(dict(scores))
