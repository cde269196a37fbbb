"""``ckptctl slim``: checkpoints without what only serves to resume training."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer

from ckptctl.cli import _options as opt
from ckptctl.cli._resolve import Checkpoints
from ckptctl.cli._slimming import SlimRequest, slim_all
from ckptctl.cli._targets import NameOptions, read_options
from ckptctl.errors import UsageError
from ckptctl.prune.policy_options import EffectiveConfig, PolicyOptions, configure

EPILOG = """Examples:

\b
  ckptctl slim runs/a/last.ckpt -o small.ckpt
  ckptctl slim runs/a/*.ckpt --in-place --trash
  ckptctl slim last.ckpt --to safetensors -o model.safetensors
"""


class SlimFormat(str, Enum):
    """What to write."""

    torch = "torch"
    safetensors = "safetensors"


def command(
    checkpoints: Checkpoints,
    output: Annotated[
        str | None, typer.Option("-o", "--output", metavar="OUT", help="The copy, or its folder.")
    ] = None,
    in_place: Annotated[bool, typer.Option("--in-place", help="Put it in place of the whole one.")] = False,
    bare: Annotated[bool, typer.Option("--bare", help="Keep the mapping with the weights alone.")] = False,
    to: Annotated[SlimFormat, typer.Option("--to", help="What to write of a file.")] = SlimFormat.torch,
    dry_run: opt.DryRun = False,
    yes: opt.Yes = False,
    trash: opt.Trash = False,
    trash_for: opt.TrashFor = None,
    template: opt.TemplateText = None,
    layout: opt.LayoutName = None,
    ext: opt.Extensions = None,
    equals: opt.Equals = "=",
    json: opt.Json = False,
) -> None:
    """Write checkpoints without optimizer state.

    What only serves to resume training is left out: in a file by writing the rest anew, at the speed of a copy, in a
    folder by leaving out files. Nothing is executed, the weights stay byte for byte, and each checksum is proved on the
    way. What is not understood is refused, with the reason.
    """
    opt.refuse_together(yes=yes, dry_run=dry_run)
    if in_place == (output is not None):
        raise UsageError("it must be told where to", hint="pass -o OUT for a copy, or --in-place")
    if in_place and to is SlimFormat.safetensors:
        raise UsageError("--in-place keeps the format", hint="pass -o OUT with --to safetensors")
    if (trash or trash_for is not None) and not in_place:
        raise UsageError("--trash is for --in-place: a copy leaves all as it is", hint="leave it out")
    found = configure(PolicyOptions(), checkpoints) if in_place else EffectiveConfig(PolicyOptions())
    keeps, keeps_for = found.choose_trash(trash=trash, trash_for=trash_for)
    scanning = read_options(NameOptions(template, layout, ext, equals))
    terms = SlimRequest(
        output,
        bare=bare,
        to=to.value,
        is_dry=dry_run,
        has_consent=yes,
        json=json,
        keeps=keeps,
        keeps_for=keeps_for,
        spared=found.spared,
    )
    slim_all(checkpoints, terms, scanning)
