"""A listing in colour: the plain one with styles. For runs of a few hundred rows; more stream faster as plain text."""

from __future__ import annotations

from io import StringIO
from typing import Literal

from rich.console import Console
from rich.text import Text

from ckptctl.core.ranking import RunView
from ckptctl.render.columns import Tone
from ckptctl.render.plain import lay_out

# Magenta and red are the two that can be read on white and on black; dim follows the terminal's own colours.
STYLES: dict[Tone, str] = {"plain": "", "title": "bold", "best": "bold magenta", "dim": "dim", "damaged": "red"}


def listing(  # noqa: PLR0913 - those of plain.listing, and the colours
    view: RunView,
    now: int,
    *,
    root: str = ".",
    width: int = 80,
    all_metrics: bool = False,
    depth: Literal["standard", "256", "truecolor"] = "standard",
) -> str:
    """The same text as `plain.listing`, with the ANSI codes of a terminal of that colour depth."""
    text = Text(no_wrap=True, overflow="ignore", end="")
    for span in lay_out(view, now, root=root, width=width, all_metrics=all_metrics):
        text.append(span.text, STYLES[span.tone])
    screen = StringIO()
    console = Console(
        file=screen,
        force_terminal=True,
        color_system=depth,
        no_color=False,
        width=width,
        highlight=False,
        legacy_windows=False,
    )
    console.print(text, soft_wrap=True, end="")
    return screen.getvalue()
