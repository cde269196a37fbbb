"""``ckptctl trash``: what was set aside: listed, put back, or removed for good."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Annotated

import typer

from ckptctl.cli import _options as opt
from ckptctl.cli._console import Console
from ckptctl.cli._recovery import TrashedPrune, find_trashed
from ckptctl.cli._restore import empty_prunes, require_one, split_arguments, undo_all, undo_some
from ckptctl.core.units import NANOSECONDS, parse_duration
from ckptctl.errors import UsageError

EPILOG = """Examples:

\b
  ckptctl trash ls runs/
  ckptctl trash restore runs/a/epoch=3.ckpt
  ckptctl trash empty runs/ --older-than 7d
"""


class TrashAction(str, Enum):
    """What to do."""

    ls = "ls"
    restore = "restore"
    empty = "empty"


Words = Annotated[
    list[str] | None,
    typer.Argument(metavar="[ID] [PATH]...", help="Which prune, and where; to restore, also checkpoints."),
]
OlderThan = Annotated[str, typer.Option(metavar="TIME", help="Empty only what was set aside longer ago: 7d.")]


def command(
    action: Annotated[TrashAction, typer.Argument(metavar="ACTION", help="ls, restore or empty.")],
    words: Words = None,
    older_than: OlderThan = "0",
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Do not ask before emptying.")] = False,
    json: opt.Json = False,
    color: opt.Color = opt.ColorName.auto,
    verbose: opt.Verbose = 0,
) -> None:
    """List what was set aside, put it back, or remove it for good."""
    console = Console(color.value)
    if action is TrashAction.restore:
        restore(words, console, json=json)
        return
    txid, paths = split_arguments(words)
    found = _choose(txid, paths, parse_duration(older_than) * NANOSECONDS)
    if action is TrashAction.empty:
        empty_prunes(found, console, has_consent=yes, json=json)
    else:
        show(found, console, json=json, verbose=bool(verbose))


def restore(typed: Sequence[str] | None, console: Console, *, json: bool) -> None:
    """Put a whole prune back by its identifier, or checkpoints by where they lay."""
    if not typed:
        raise UsageError("nothing says what to restore", hint="name a checkpoint by where it lay, or a prune by its id")
    txid, paths = split_arguments(typed)
    if txid is None:
        undo_some(paths, console, json=json)
    else:
        undo_all(require_one(txid, paths), console, json=json)


def _choose(txid: str | None, paths: Sequence[str], older: int) -> list[TrashedPrune]:
    """The prunes in the trash that are meant, oldest first."""
    found = [require_one(txid, paths)] if txid else list(find_trashed(paths))
    chosen = [it for it in found if it.store.clock() - it.transaction.deed.since >= older]
    return sorted(chosen, key=lambda it: it.transaction.deed.since)


def show(found: Sequence[TrashedPrune], console: Console, *, json: bool, verbose: bool) -> None:
    """List what lies there."""
    from ckptctl.prune.trash import restorable_items
    from ckptctl.render.trash import TrashedItems, rows, screen

    heaps = [
        TrashedItems(it.store.url, it.transaction.deed, tuple(restorable_items(it.store, it.transaction)))
        for it in found
    ]
    if json:
        from ckptctl.render.json import trash as as_json

        console.answer(as_json(heaps))
    elif console.is_terminal:
        console.answer(screen(heaps, max((it.store.clock() for it in found), default=0), verbose=verbose))
    else:
        console.answer(rows(heaps))
