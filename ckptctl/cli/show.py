"""``ckptctl show``: what is known of one checkpoint, and what is inside it."""

from __future__ import annotations

from typing import Annotated

from typer import Exit, Option

from ckptctl.cli import _options as opt
from ckptctl.cli._show_checkpoint import ShowOptions, show_one
from ckptctl.scan.targets import NameOptions, fill_names, read_options

EXAMPLES = """
  ckptctl show runs/a/last.ckpt
  ckptctl show runs/bert/checkpoint-500 --tensors
  ckptctl show model.pt --json | jq .contents.parts
"""


def command(
    checkpoint: opt.OneCheckpoint,
    tensors: Annotated[bool, Option("--tensors", help="A line for each tensor.")] = False,
    tree: Annotated[bool, Option("--tree", help="The names of the tensors as a tree, with sizes.")] = False,
    template: opt.TemplateText = None,
    layout: opt.LayoutName = None,
    ext: opt.Extensions = None,
    equals: opt.Equals = "=",
    include: opt.Includes = None,
    color: opt.Color = opt.ColorName.auto,
    json: opt.Json = False,
) -> None:
    """Show what is known of a checkpoint, and what is inside.

    Nothing of it is executed, and the weights are not read: it takes as long for 2 GB as for 2 MB. Exit code 5 where
    the content is broken.
    """
    opt.refuse_together(json=json, tensors=tensors)
    opt.refuse_together(json=json, tree=tree)
    form = ShowOptions(tensors, tree, json, color.value)
    code = show_one(
        checkpoint, form, read_options(fill_names(NameOptions(template, layout, ext, equals, include), [checkpoint]))
    )
    if code:
        raise Exit(code)
