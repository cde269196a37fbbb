"""Checkpoints as a table for a pull request or a wiki, as GitHub reads it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from ckptctl.core.ranking import RunView
from ckptctl.render.columns import CheckpointRow, rows_of
from ckptctl.render.text import escape, locate

_SPECIAL = re.compile(r"[\\`*\[\]<>|~&#$]|_(?![0-9A-Za-z])|(?<![0-9A-Za-z])_")
"""What GitHub would take for markup; inside a word an underscore is none."""


def listing(views: Iterable[RunView], now: int, metrics: Sequence[str], *, root: str = ".") -> Iterator[str]:
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
