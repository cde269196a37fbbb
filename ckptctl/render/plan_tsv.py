"""A plan for pipes: a line for each checkpoint, with every reason, and for each link that would move."""

from __future__ import annotations

from collections.abc import Iterator

from ckptctl.core.retention.plan import Plan
from ckptctl.render.names import escape, locate
from ckptctl.render.notes import describe_note


def rows(plan: Plan, *, root: str = ".") -> Iterator[str]:
    """Action, whole path, bytes freed and reasons, tab-separated under a line of heads."""
    yield "action\tpath\tfrees\treasons\n"
    for run in plan.runs:
        for verdict in run.verdicts:
            reasons = "; ".join(escape(describe_note(reason.text)) for reason in verdict.reasons)
            yield f"{verdict.action}\t{escape(locate(root, verdict.path))}\t{verdict.frees}\t{reasons}\n"
        for move in run.moves:
            path, before, after = (escape(locate(root, path)) for path in move)
            yield f"link\t{path}\t0\tto {after}, not {before} any more\n"
