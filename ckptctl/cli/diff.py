"""``ckptctl diff``: which tensors of two checkpoints differ."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from typer import Argument

from ckptctl.cli import _options as opt
from ckptctl.cli._console import Console
from ckptctl.cli._progress import Progress
from ckptctl.core.model import Note
from ckptctl.render import contents as screens
from ckptctl.scan.inspect import CheckpointFiles, read_checkpoint
from ckptctl.scan.resolve import resolve_checkpoint
from ckptctl.scan.runs import Options
from ckptctl.scan.targets import NameOptions, fill_names, read_options
from ckptctl.tensors.arrays import require_numpy
from ckptctl.tensors.compare import ComparedCheckpoint, Difference, compare_contents

EXAMPLES = """
  ckptctl diff epoch=3.ckpt epoch=4.ckpt
  ckptctl diff last.ckpt model.safetensors --json | jq .changed
"""


def command(
    old: Annotated[str, Argument(metavar="A", help="A file, a folder, or the stem of a family.")],
    new: Annotated[str, Argument(metavar="B", help="Another; it may be of another format.")],
    template: opt.TemplateText = None,
    layout: opt.LayoutName = None,
    ext: opt.Extensions = None,
    equals: opt.Equals = "=",
    include: opt.Includes = None,
    json: opt.Json = False,
) -> None:
    """Find which tensors were added, removed, changed, and how much.

    Every number of both is read, a stretch at a time, and nothing is executed. Settings and other plain values are
    compared too. The exit code is 0 whether they differ or not. Requires numpy: pip install 'ckptctl[fast]'.
    """
    require_numpy("diff")
    console, progress = Console(), Progress("compared")
    scanning = read_options(fill_names(NameOptions(template, layout, ext, equals, include), [old, new]))
    sides = (_open(old, scanning), _open(new, scanning))
    for path, flaw in ((side.path, flaw) for side in sides for flaw in side.contents.flaws if flaw.id == "not-read"):
        console.warn(Note("left-out", why=flaw.text), path)
    found = compare_contents(*sides, progress.add)
    progress.clear()
    console.answer(_write(found, console, json=json))
    if not json:
        console.say(screens.diff_closing(found))


def _open(path: str, scanning: Options) -> ComparedCheckpoint:
    """What a path means; raises Damaged where it is broken."""
    target = resolve_checkpoint(path, scanning)
    contents = read_checkpoint(target.store, target.checkpoint, placed=True)
    for flaw in contents.flaws:
        if flaw.severity == "error" and flaw.id not in ("suspect-name", "odd-pickle"):
            raise flaw.as_error(path)
    return ComparedCheckpoint(CheckpointFiles(target.store, target.checkpoint), contents, path)


def _write(found: Difference, console: Console, *, json: bool) -> Iterator[str]:
    if json:
        from ckptctl.render.json_contents import diff

        return diff(found)
    return screens.diff_screen(found, width=console.width) if console.is_terminal else screens.diff_rows(found)
