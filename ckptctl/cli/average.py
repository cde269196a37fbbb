"""``ckptctl average``: the mean of the weights of several checkpoints."""

from __future__ import annotations

from typing import Annotated

import typer

from ckptctl.cli import _options as opt
from ckptctl.cli._averaging import AverageOptions, write_average
from ckptctl.cli._targets import NameOptions, read_options
from ckptctl.errors import UsageError
from ckptctl.tensors.arrays import require_numpy

EPILOG = """Examples:

\b
  ckptctl average epoch=3.ckpt epoch=4.ckpt epoch=5.ckpt -o mean.ckpt
  ckptctl average a.ckpt b.ckpt --weights 0.7,0.3 -o mean.safetensors
  ckptctl average runs/a --top-k 5 --monitor val_loss -o mean.ckpt
"""


def command(
    checkpoints: Annotated[
        list[str], typer.Argument(metavar="CKPT...", help="Checkpoints; with --top-k a folder of them.")
    ],
    output: Annotated[
        str, typer.Option("-o", "--output", metavar="OUT", help="The new file, .safetensors or torch's.")
    ],
    weights: Annotated[str | None, typer.Option(metavar="W,W,…", help="How much each counts; default: alike.")] = None,
    top_k: Annotated[int | None, typer.Option("--top-k", metavar="N", help="The N best in the folder.")] = None,
    monitor: opt.Monitor = None,
    mode: opt.ModeOption = opt.ModeName.auto,
    template: opt.TemplateText = None,
    layout: opt.LayoutName = None,
    ext: opt.Extensions = None,
    equals: opt.Equals = "=",
) -> None:
    """Write the mean of the weights of several checkpoints.

    All must have the same tensors. They are read a stretch at a time, and nothing is executed. Whole numbers, settings
    and all else are the first one's; the optimizer's state is left out. Requires numpy: pip install 'ckptctl[fast]'.
    """
    if top_k is None and len(checkpoints) < 2:  # noqa: PLR2004 - a mean needs two
        raise UsageError("one checkpoint has no mean", hint="name several, or a folder and --top-k")
    if top_k is not None and (len(checkpoints) > 1 or top_k < 2):  # noqa: PLR2004 - as above
        raise UsageError("--top-k chooses 2 or more from one folder", hint="name the folder, and --top-k 5")
    require_numpy("average")
    scanning = read_options(NameOptions(template, layout, ext, equals), monitor=monitor)
    wanted = AverageOptions(output, weights, top_k, monitor, mode)
    write_average(checkpoints, wanted, scanning)
