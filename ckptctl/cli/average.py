"""``ckptctl average``: the mean of the weights of several checkpoints."""

from __future__ import annotations

import os
from collections.abc import Sequence
from math import isfinite
from typing import Annotated, NamedTuple

from typer import Argument, Option

from ckptctl.best import BestQuery, BestSearch
from ckptctl.cli import _options as opt
from ckptctl.cli._console import Console
from ckptctl.cli._progress import Progress
from ckptctl.cli._targets import scan_stores
from ckptctl.cli.best import print_doubts
from ckptctl.core.model import Checkpoint
from ckptctl.core.units import write_size
from ckptctl.errors import NoCheckpoint, Refused, UsageError
from ckptctl.formats import read_file
from ckptctl.formats.contents import Contents
from ckptctl.layouts.index import find_slimming
from ckptctl.prune.slimming import is_covered_by
from ckptctl.render.text import escape, locate
from ckptctl.scan.inspect import CheckpointFiles
from ckptctl.scan.resolve import ResolvedCheckpoint, resolve_checkpoints
from ckptctl.scan.runs import Options
from ckptctl.scan.targets import NameOptions, locate_errors, open_stores, read_options
from ckptctl.stores import open_store, require_writable
from ckptctl.tensors.arrays import require_numpy
from ckptctl.tensors.average import AverageInput, plan_average

EXAMPLES = """
  ckptctl average epoch=3.ckpt epoch=4.ckpt epoch=5.ckpt -o mean.ckpt
  ckptctl average a.ckpt b.ckpt --weights 0.7,0.3 -o mean.safetensors
  ckptctl average runs/a --top-k 5 --monitor val_loss -o mean.ckpt
"""


def command(
    checkpoints: Annotated[list[str], Argument(metavar="CKPT...", help="Checkpoints; with --top-k a folder of them.")],
    output: Annotated[str, Option("-o", "--output", metavar="OUT", help="The new file, .safetensors or torch's.")],
    weights: Annotated[str | None, Option(metavar="W,W,…", help="How much each counts; default: alike.")] = None,
    top_k: Annotated[int | None, Option("--top-k", metavar="N", help="The N best in the folder.")] = None,
    monitor: opt.Monitor = None,
    mode: opt.ModeOption = opt.ModeName.auto,
    template: opt.TemplateText = None,
    layout: opt.LayoutName = None,
    ext: opt.Extensions = None,
    equals: opt.Equals = "=",
    include: opt.Includes = None,
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
    scanning = read_options(NameOptions(template, layout, ext, equals, include), monitor=monitor)
    wanted = AverageOptions(output, weights, top_k, monitor, mode)
    write_average(checkpoints, wanted, scanning)


class AverageOptions(NamedTuple):
    """What to average, and where to."""

    output: str
    weights: str | None
    top_k: int | None
    monitor: str | None
    mode: opt.ModeName


def write_average(paths: Sequence[str], wanted: AverageOptions, scanning: Options) -> None:
    """Write the mean; raises Refused where they are not alike, Damaged where one is not whole."""
    if os.path.lexists(wanted.output):
        hint = "name a free one with -o"
        raise Refused("is there already", id="exists", path=wanted.output, done="nothing was changed", hint=hint)
    console, progress = Console(), Progress("averaged")
    targets = _choose(paths[0], wanted, scanning, console) if wanted.top_k else resolve_checkpoints(paths, scanning)
    weights = _read_weights(wanted.weights, len(targets))
    made = plan_average([_open(it) for it in targets], weights)
    slimming = find_slimming(targets[0].checkpoint.layout)
    to = "safetensors" if wanted.output.endswith(".safetensors") else "torch"
    folder, name = os.path.split(wanted.output)
    place = require_writable(open_store(folder or "."), path=wanted.output, done="nothing was changed")
    with place.draft(name) as draft:
        made.write(draft, to, slimming.drop if slimming else None, progress.add)
    progress.clear()
    console.hand_over([(wanted.output, "")], null=False)
    size = write_size(os.path.getsize(wanted.output))
    console.remark(
        f"the mean of {len(targets)} checkpoints, {size}: {', '.join(escape(_path_of(it)) for it in targets)}"
    )


def _choose(path: str, wanted: AverageOptions, scanning: Options, console: Console) -> list[ResolvedCheckpoint]:
    """The best under a folder, by the ranking of ``best``; raises what that raises."""
    places = wanted.top_k or 0
    search = BestSearch(BestQuery(places, wanted.monitor, wanted.mode.value, None, scanning.now, scanning.equals), path)
    for located in scan_stores(open_stores([path]), scanning, console):
        with locate_errors(located.store):
            search.show(located.store, located.run)
    result = search.close()
    print_doubts(console, result, asked=wanted.mode)
    if len(result.places) < 2:  # noqa: PLR2004 - a mean needs two
        raise NoCheckpoint("only one checkpoint has a score, and one has no mean", path=path)
    return [ResolvedCheckpoint(it.store, it.run, it.ranked.checkpoint) for it in result.places]


def _read_weights(text: str | None, count: int) -> list[float]:
    """How much each counts; raises UsageError."""
    if text is None:
        return [1.0] * count
    try:
        weights = [float(it) for it in text.split(",")]
    except ValueError:
        raise UsageError(f"--weights {text!r} are no numbers", hint="write them with commas: 0.5,0.3,0.2") from None
    if len(weights) != count:
        raise UsageError(f"{len(weights)} weights for {count} checkpoints", hint="give one for each")
    if not all(map(isfinite, weights)) or sum(weights) <= 0:
        raise UsageError("weights must be finite, and more than 0 together", hint="write them as 0.5,0.3,0.2")
    return weights


def _path_of(target: ResolvedCheckpoint) -> str:
    return locate(target.store.url, target.checkpoint.path)


def _open(target: ResolvedCheckpoint) -> AverageInput:
    """The file with the weights, and what is in it; raises Refused where there is none, Damaged for what is broken."""
    path = _path_of(target)
    files = CheckpointFiles(target.store, target.checkpoint)
    name = _find_weights(target.checkpoint, list(files.sizes), path)
    contents = read_file(files, name) or Contents("none")
    for flaw in contents.flaws:
        if flaw.severity == "error":
            raise flaw.as_error(path)
    if contents.format not in ("torch", "safetensors"):
        raise Refused("only files of torch's or safetensors can be averaged", path=path, id="cannot-average")
    return AverageInput(path, files, contents, name)


def _find_weights(checkpoint: Checkpoint, names: Sequence[str], path: str) -> str:
    """The only file with weights; of a folder the one that its layout names. Raises Refused where there are others."""
    held = list(names)
    if checkpoint.unit == "dir":
        slimming = find_slimming(checkpoint.layout)
        held = [name for name in names if slimming is not None and is_covered_by(slimming.require, name)]
    if len(held) == 1:
        return held[0]
    if held:
        hint = "average them file by file"
        raise Refused(f"its weights lie in {len(held)} files", path=path, id="cannot-average", hint=hint)
    raise Refused("nobody has told which of its files holds the weights", path=path, id="cannot-average")
