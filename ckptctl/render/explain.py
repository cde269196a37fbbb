"""What each rule says of one checkpoint."""

from __future__ import annotations

from collections.abc import Iterator

from ckptctl.core.retention.explain import Explanation
from ckptctl.core.units import write_size
from ckptctl.render.names import escape, locate, pad


def screen(told: Explanation, *, root: str = ".") -> Iterator[str]:
    """For a terminal: what becomes of it, then a line for each rule."""
    verdict = told.verdict
    frees = f" · frees {write_size(verdict.frees)}" if verdict.is_change else ""
    yield f"{escape(locate(root, verdict.path))}   {verdict.action}{frees}\n"
    lines = told.sayings or verdict.reasons
    width = max(len(it.rule) for it in lines)
    for it in lines:
        yield f"  {getattr(it, 'says', verdict.action)}  {pad(it.rule, width)}  {escape(it.text)}\n"


def rows(told: Explanation, *, root: str = ".") -> Iterator[str]:
    """For a pipe: a line for each rule, under one for what becomes of it."""
    verdict = told.verdict
    yield "rule\tsays\ttext\n"
    yield f"verdict\t{verdict.action}\t{escape(locate(root, verdict.path))}\n"
    for it in told.sayings:
        yield f"{it.rule}\t{it.says}\t{escape(it.text)}\n"
