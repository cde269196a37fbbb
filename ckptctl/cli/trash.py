"""``ckptctl trash``: list what a prune set aside, put it back (as ``undo`` does), or delete it for good."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum
from functools import partial
from os.path import abspath, dirname
from posixpath import join
from typing import Annotated

from typer import Argument, Option

from ckptctl.cli import _options as opt
from ckptctl.cli._console import Console, refuse_without_consent
from ckptctl.core.transaction import TransactionItem, TrashChange
from ckptctl.core.units import NANOSECONDS, parse_duration, write_size
from ckptctl.errors import NotFound, PartlyDone, Refused, UsageError
from ckptctl.prune.journal import load_transaction, trash_folder_of
from ckptctl.prune.lock import acquire_lock
from ckptctl.prune.recovery import (
    TrashedPrune,
    find_one_prune,
    find_trashed,
    undo_prune,
    undo_trashed,
)
from ckptctl.prune.trash import (
    discard_transaction,
    empty_transaction,
    recover,
    restorable_items,
    restore_items,
)
from ckptctl.render import outcome as words
from ckptctl.render.columns import write_count
from ckptctl.scan.targets import locate_errors

EXAMPLES = """
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
    Argument(metavar="[ID] [PATH]...", help="Which prune, and where; to restore, also checkpoints."),
]
OlderThan = Annotated[str, Option(metavar="TIME", help="Empty only what was set aside longer ago: 7d.")]


def command(
    action: Annotated[TrashAction, Argument(metavar="ACTION", help="ls, restore or empty.")],
    words: Words = None,
    older_than: OlderThan = "0",
    yes: Annotated[bool, Option("-y", "--yes", help="Do not ask before emptying.")] = False,
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
        undo_all(find_one_prune(txid, paths), console, json=json)


def _choose(txid: str | None, paths: Sequence[str], older: int) -> list[TrashedPrune]:
    """The prunes in the trash that are meant, oldest first."""
    found = find_one_prune(txid, paths) if txid else list(find_trashed(paths))
    chosen = [it for it in found if it.store.clock() - it.transaction.intent.since >= older]
    return sorted(chosen, key=lambda it: it.transaction.intent.since)


def show(found: Sequence[TrashedPrune], console: Console, *, json: bool, verbose: bool) -> None:
    """List what lies there."""
    trashed = [
        words.TrashedItems(it.store.url, it.transaction.intent, tuple(restorable_items(it.store, it.transaction)))
        for it in found
    ]
    if json:
        from ckptctl.render.json import trash as as_json

        console.answer(as_json(trashed))
    elif console.is_terminal:
        console.answer(words.trash_screen(trashed, max((it.store.clock() for it in found), default=0), verbose=verbose))
    else:
        console.answer(words.trash_rows(trashed))


_ID = re.compile(r"[0-9a-f]{4,8}")


def split_arguments(typed: Sequence[str] | None) -> tuple[str | None, list[str]]:
    """The identifier, if the first word is one, and the places; here, where none is named."""
    first, *rest = typed or ["."]
    if _ID.fullmatch(first):
        return first, rest or ["."]
    return None, [first, *rest]


def undo_all(found: Sequence[TrashedPrune], console: Console, *, json: bool) -> None:
    """Undo a whole prune, and tell it; raises Refused where nothing could be put back, PartlyDone where not all."""
    if len(found) > 1:  # it worked in several places
        print_changes([undo_trashed(found)], "", console, json=json)
    else:
        print_changes(undo_prune(found[0]), found[0].store.url, console, json=json)


def undo_some(paths: Sequence[str], console: Console, *, json: bool) -> None:
    """Put single checkpoints back, by where they lay; raises as `undo_all`, NotFound before any of it is done."""
    found = [_find_item(path, list(find_trashed([dirname(path) or "."]))) for path in paths]
    changes = [_put_back_one(find, item) for find, item in found]
    print_changes(changes, found[0][0].store.url, console, json=json)


def _put_back_one(find: TrashedPrune, item: TransactionItem) -> TrashChange:
    store, txid = find.store, find.transaction.intent.txid
    with locate_errors(store), acquire_lock(store, "restore"):
        recover(store)
        change = restore_items(store, [item])
        discard_transaction(store, trash_folder_of(txid))
    return change._replace(txid=txid)


def empty_prunes(found: Sequence[TrashedPrune], console: Console, *, has_consent: bool, json: bool) -> None:
    """Remove prunes for good, after a question, and tell it; raises Refused without consent."""
    if not found:
        console.say("The trash is empty.\n")
        return
    _require_consent(found, console, has_consent=has_consent)
    changes = []
    for find in found:
        with locate_errors(find.store), acquire_lock(find.store, "trash empty"):
            recover(find.store)
            transaction = load_transaction(find.store, find.transaction.intent.txid)
            changes.append(
                empty_transaction(find.store, transaction) if transaction else TrashChange(find.transaction.intent.txid)
            )
    print_changes(changes, found[0].store.url, console, json=json)


def _require_consent(found: Sequence[TrashedPrune], console: Console, *, has_consent: bool) -> None:
    if has_consent:
        return
    question = partial(_question, found)
    if refusal := refuse_without_consent(console, question, to="empty the trash", done="nothing was deleted"):
        raise refusal


def _question(found: Sequence[TrashedPrune]) -> str:
    items = [item for find in found for item in restorable_items(find.store, find.transaction)]
    return f"Remove {write_count(len(items), 'checkpoint')}, {write_size(sum(it.size for it in items))}, for good?"


def _find_item(path: str, found: Sequence[TrashedPrune]) -> tuple[TrashedPrune, TransactionItem]:
    """The newest checkpoint in a trash that was at a path; raises NotFound."""
    newest = sorted(found, key=lambda it: it.transaction.intent.since, reverse=True)
    there = ((find, item) for find in newest for item in restorable_items(find.store, find.transaction))
    for find, item in there:
        if abspath(join(find.store.url, item.path)) == abspath(path):
            return find, item
    raise NotFound("no checkpoint from there is in a trash", path=path, hint="see ckptctl trash ls -v", id="no-trash")


def print_changes(changes: Sequence[TrashChange], root: str, console: Console, *, json: bool) -> None:
    """Say what became of things in the trash; raises Refused where nothing was done, PartlyDone where not all."""
    done = sum(len(it.back) + len(it.removed) for it in changes)
    failed = [failure for it in changes for failure in it.failed]
    if json:
        from ckptctl.render.json import changes as as_json

        console.answer(as_json(changes))
    else:
        for change in changes:
            console.say(f"{words.describe_change(change, root)}\n")
    if failed and not done:
        raise Refused(failed[0].why, path=failed[0].path, done="nothing was changed", hint="see above")
    if failed:
        raise PartlyDone(f"{len(failed)} could not be put back or removed", hint="each is named above")
