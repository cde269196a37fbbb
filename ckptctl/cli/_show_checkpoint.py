"""What ``show`` does: find the checkpoint that a path means, read what is inside, show it."""

from __future__ import annotations

from collections.abc import Iterator
from time import time_ns
from typing import NamedTuple

from ckptctl.cli._console import Console
from ckptctl.core.model import Checkpoint, Run
from ckptctl.errors import Damaged
from ckptctl.formats.contents import Contents
from ckptctl.render import contents as screens
from ckptctl.scan.inspect import read_checkpoint
from ckptctl.scan.metrics.saved_scores import add_saved_scores
from ckptctl.scan.resolve import ResolvedCheckpoint, resolve_checkpoint
from ckptctl.scan.runs import Options


class ShowOptions(NamedTuple):
    """What to show of it, and how."""

    tensors: bool = False
    """A line for each tensor."""
    tree: bool = False
    """The names of the tensors as a tree."""
    json: bool = False
    color: str = "auto"


def show_one(path: str, form: ShowOptions, options: Options | None = None) -> int:
    """Show the checkpoint that a path means; returns the exit code, raises what finding it raises."""
    console = Console(form.color)
    target = resolve_checkpoint(path, options or Options(now=time_ns()))
    target = target._replace(checkpoint=add_saved_scores(target.store, target.checkpoint))
    inside = read_checkpoint(target.store, target.checkpoint)
    console.answer(_write(target, inside, form, console))
    is_broken = any(flaw.severity == "error" and flaw.id != "suspect-name" for flaw in inside.flaws)
    return Damaged.exit_code if is_broken else 0


def _write(target: ResolvedCheckpoint, inside: Contents, form: ShowOptions, console: Console) -> Iterator[str]:
    store, run, it, _ = target
    if form.json:
        from ckptctl.render.json_contents import show

        return show(it, inside)
    if not console.is_terminal:
        return screens.rows(it, inside, root=store.url, tensors=form.tensors or form.tree)
    return _screen(it, run, inside, form, console.width)


def _screen(checkpoint: Checkpoint, run: Run, inside: Contents, form: ShowOptions, width: int) -> Iterator[str]:
    yield from screens.screen(checkpoint, run, inside, width=width)
    if form.tensors:
        yield "\n"
        yield from screens.list_tensors(inside, width=width)
    if form.tree:
        yield "\n"
        yield from screens.draw_tree(inside, width=width)
