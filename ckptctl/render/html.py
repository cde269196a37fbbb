"""Tables for notebooks. Whatever a name holds is escaped: it comes from a disk, and may mean to be a script."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape as escape_html
from itertools import islice
from typing import TYPE_CHECKING

from ckptctl.core.units import write_size
from ckptctl.render.columns import MISSING, metrics_of, write_count, write_epoch, write_score
from ckptctl.render.note_texts import describe_note
from ckptctl.render.text import escape, locate, name_within

if TYPE_CHECKING:
    from ckptctl.core.model import Checkpoint, Run, Text
    from ckptctl.core.retention.objections import Objection
    from ckptctl.core.retention.plan import Plan

MOST_ROWS = 500
"""So many are shown; of more the count is told."""


def plan_table(plan: Plan, objections: Iterable[Objection], *, root: str) -> str:
    """A plan: its policy in words, why it must not run, and a row for each checkpoint."""
    rows = [
        (
            it.action,
            locate(root, it.path),
            write_size(it.frees),
            ", ".join(describe_note(why.text) for why in it.reasons),
        )
        for run in plan.runs
        for it in run.verdicts
    ]
    refused = "".join(f"<p><strong>refused[{it.id}]</strong>: {_clean(it.text)}</p>" for it in objections)
    notices = ((locate(root, run.path), it) for run in plan.runs for it in run.notices)
    notes = "".join(f"<p>note: {_clean(path)}: {_clean(notice)}</p>" for path, notice in notices)
    return f"<p>{_clean(plan.words)}</p>{refused}{_table(('', 'checkpoint', 'frees', 'why'), rows)}{notes}"


def runs_table(runs: Sequence[Run]) -> str:
    """Runs: a row for each checkpoint, a column for each metric."""
    metrics = metrics_of(runs)
    rows = [_row(run, it, metrics) for run in runs for it in run.checkpoints]
    count = f"{write_count(len(runs), 'run')}, {write_count(len(rows), 'checkpoint')}"
    return f"{_table(('run', 'checkpoint', 'epoch', 'step', *metrics, 'size', 'state'), rows)}<p>{count}</p>"


def _row(run: Run, checkpoint: Checkpoint, metrics: Sequence[str]) -> tuple[str, ...]:
    scores = (checkpoint.metrics.get(name) for name in metrics)
    return (
        run.path,
        name_within(checkpoint.path, run.path),
        write_epoch(checkpoint.epoch),
        MISSING if checkpoint.step is None else str(checkpoint.step),
        *map(write_score, scores),
        write_size(checkpoint.size),
        checkpoint.public_state,
    )


def _table(heads: Iterable[str], rows: Sequence[Iterable[str]]) -> str:
    more = f"<p>… {len(rows) - MOST_ROWS} more</p>" if len(rows) > MOST_ROWS else ""
    body = "".join(_cells("td", row) for row in islice(rows, MOST_ROWS))
    return f"<table><thead>{_cells('th', heads)}</thead><tbody>{body}</tbody></table>{more}"


def _cells(tag: str, texts: Iterable[str]) -> str:
    return f"<tr>{''.join(f'<{tag}>{_clean(text)}</{tag}>' for text in texts)}</tr>"


def _clean(text: Text) -> str:
    """A text of which a page shows every character, and none is taken for markup."""
    return escape_html(escape(describe_note(text)))
