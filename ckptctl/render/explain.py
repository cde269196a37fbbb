"""What each rule says of one checkpoint."""

from __future__ import annotations

from collections.abc import Iterator

from ckptctl.core.retention.explain import Explanation
from ckptctl.core.units import write_size
from ckptctl.render.names import escape, locate, pad
from ckptctl.render.notes import describe_note


def screen(told: Explanation, *, root: str = ".") -> Iterator[str]:
    """For a terminal: what becomes of it, then a line for each rule."""
    verdict = told.verdict
    frees = f" · frees {write_size(verdict.frees)}" if verdict.is_change else ""
    yield f"{escape(locate(root, verdict.path))}   {verdict.action}{frees}\n"
    lines = told.sayings or verdict.reasons
    width = max(len(it.rule) for it in lines)
    for line in lines:
        says, text = getattr(line, "says", verdict.action), escape(describe_note(line.text))
        yield f"  {says}  {pad(line.rule, width)}  {text}\n"


def rows(told: Explanation, *, root: str = ".") -> Iterator[str]:
    """For a pipe: a line for each rule, under one for what becomes of it."""
    verdict = told.verdict
    yield "rule\tsays\ttext\n"
    yield f"verdict\t{verdict.action}\t{escape(locate(root, verdict.path))}\n"
    for saying in told.sayings:
        yield f"{saying.rule}\t{saying.says}\t{escape(describe_note(saying.text))}\n"
