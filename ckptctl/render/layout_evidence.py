"""By what each checkpoint's layout was recognised."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from ckptctl.core.model import Checkpoint
from ckptctl.core.ranking import RunView
from ckptctl.render.columns import write_count
from ckptctl.render.notes import describe_note
from ckptctl.render.text import escape, locate, shorten

_HEADS = ("path", "layout", "evidence")


def describe_evidence(checkpoint: Checkpoint) -> str:
    """Why it is taken for what it is, escaped; a doubt comes with it."""
    why = escape(checkpoint.evidence or "its name")
    if checkpoint.state != "doubtful" or checkpoint.note is None:
        return why
    return f"{why}; {escape(describe_note(checkpoint.note))}"


def screen(view: RunView, *, root: str, width: int) -> Iterator[str]:
    """For a terminal: of a run each layout, how many checkpoints are of it, and by what."""
    counts = Counter((escape(it.layout), describe_evidence(it)) for it in view.run.checkpoints)
    yield shorten(escape(locate(root, view.run.path)), width) + "\n"
    shown = [(layout, write_count(count, "checkpoint"), why) for (layout, why), count in counts.items()]
    widths = [max((len(row[place]) for row in shown), default=0) for place in (0, 1)]
    for layout, count, why in shown:
        yield f"  {layout.ljust(widths[0])}  {count.rjust(widths[1])}  {why}"[:width] + "\n"
    yield "\n"


def rows(view: RunView, *, root: str) -> Iterator[str]:
    """For a pipe: a line for each checkpoint, cells parted by tabs."""
    for checkpoint in view.run.checkpoints:
        yield (
            "\t".join((escape(locate(root, checkpoint.path)), escape(checkpoint.layout), describe_evidence(checkpoint)))
            + "\n"
        )


def header() -> str:
    """The heads of `rows`."""
    return "\t".join(_HEADS) + "\n"
