"""``ckptctl pin``: keep checkpoints whatever the rules say."""

from __future__ import annotations

from typing import Annotated

from typer import Option

from ckptctl.cli import _options as opt
from ckptctl.cli._console import Console
from ckptctl.core.units import NANOSECONDS, parse_duration, parse_moment
from ckptctl.errors import UsageError
from ckptctl.render.note_texts import describe_note
from ckptctl.render.text import escape, locate
from ckptctl.scan.pins import Pin, find_pin
from ckptctl.scan.pins import pin as write
from ckptctl.scan.resolve import resolve_listed
from ckptctl.scan.targets import NameOptions, read_options
from ckptctl.stores import require_writable

UNCHANGED = "no pin was changed"

EXAMPLES = """
  ckptctl pin runs/a/epoch=3.ckpt
  ckptctl pin runs/a/checkpoint-500 --for 30d --reason paper
  ckptctl pin runs/a/best.ckpt --until 2026-12-24
"""


def command(
    checkpoints: opt.Checkpoints,
    span: Annotated[str | None, Option("--for", metavar="TIME", help="For so long: 12h, 30d.")] = None,
    until: Annotated[str | None, Option(metavar="DATE", help="Until then, in UTC: 2026-12-24.")] = None,
    reason: Annotated[str | None, Option(metavar="TEXT", help="Why; plans and listings tell it.")] = None,
    layout: opt.LayoutName = None,
    ext: opt.Extensions = None,
) -> None:
    """Keep checkpoints whatever the rules say.

    Without --for and --until for ever. One that is pinned already stays until the later date.
    """
    opt.refuse_together(**{"for": span is not None, "until": until is not None})
    console = Console()
    for found in resolve_listed(checkpoints, read_options(NameOptions(None, layout, ext))):
        store = require_writable(found.store, path=found.store.url, done=UNCHANGED)
        path = found.checkpoint.path
        asked = Pin(_read_until(span, until, store.clock()), reason)
        older = find_pin(store, path)
        pin = asked if older is None else older.extend(asked)
        write(store, path, pin)
        console.say(f"{escape(locate(store.url, path))}: {escape(describe_note(pin.note(store.clock())))}\n")


def _read_until(span: str | None, until: str | None, now: int) -> int | None:
    """The moment; None for ever; raises UsageError for one that has passed."""
    if span is None and until is None:
        return None
    moment = parse_moment(until) if until is not None else now + parse_duration(span or "") * NANOSECONDS
    if moment <= now:
        text = f"--until {until} has passed" if until is not None else f"--for {span} is no time"
        raise UsageError(f"{text}: such a pin keeps nothing", hint="give a time to come")
    return moment
