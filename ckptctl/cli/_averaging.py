"""The flow of ``average``: which files, how much each counts, and where their mean goes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from math import isfinite
from typing import NamedTuple

from ckptctl.best import Contest, Wish
from ckptctl.cli import _options as opt
from ckptctl.cli._console import Console
from ckptctl.cli._progress import Progress
from ckptctl.cli._resolve import Target, find_target
from ckptctl.cli._targets import open_all, placed, see
from ckptctl.cli.best import warn_of_doubt
from ckptctl.core.model import Checkpoint
from ckptctl.core.units import write_size
from ckptctl.errors import Damaged, NoCheckpoint, Refused, UsageError
from ckptctl.formats import read_file
from ckptctl.formats.contents import Contents
from ckptctl.layouts import find_slimming
from ckptctl.prune.slimming import is_meant
from ckptctl.render.names import escape, locate
from ckptctl.scan.inspect import Held
from ckptctl.scan.runs import Options
from ckptctl.stores import open_store
from ckptctl.tensors.average import Input, plan_average


class Wanted(NamedTuple):
    """What to average, and where to."""

    output: str
    weights: str | None
    top_k: int | None
    monitor: str | None
    mode: opt.ModeName


def write_average(paths: Sequence[str], wanted: Wanted, scanning: Options) -> None:
    """Write the mean; raises Refused where they are not alike, Damaged where one is not whole."""
    if os.path.lexists(wanted.output):
        hint = "name a free one with -o"
        raise Refused("is there already", id="exists", path=wanted.output, done="nothing was changed", hint=hint)
    console, progress = Console(), Progress("averaged")
    targets = (
        _choose(paths[0], wanted, scanning, console) if wanted.top_k else [find_target(it, scanning) for it in paths]
    )
    weights = _read_weights(wanted.weights, len(targets))
    made = plan_average([_open(it) for it in targets], weights)
    slimming = find_slimming(targets[0].checkpoint.layout)
    to = "safetensors" if wanted.output.endswith(".safetensors") else "torch"
    folder, name = os.path.split(wanted.output)
    with open_store(folder or ".").draft(name) as draft:
        made.write(draft, to, slimming.drop if slimming else None, progress.add)
    progress.clear()
    console.hand_over([(wanted.output, "")], null=False)
    size = write_size(os.path.getsize(wanted.output))
    console.remark(
        f"the mean of {len(targets)} checkpoints, {size}: {', '.join(escape(_path_of(it)) for it in targets)}"
    )


def _choose(path: str, wanted: Wanted, scanning: Options, console: Console) -> list[Target]:
    """The best under a folder, by the ranking of ``best``; raises what that raises."""
    places = wanted.top_k or 0
    contest = Contest(Wish(places, wanted.monitor, wanted.mode.value, None, scanning.now, scanning.equals), path)
    for sight in see(open_all([path]), scanning, console):
        with placed(sight.store):
            contest.show(sight.store, sight.run)
    leaders = contest.close()
    warn_of_doubt(console, leaders, asked=wanted.mode)
    if len(leaders.places) < 2:  # noqa: PLR2004 - a mean needs two
        raise NoCheckpoint("only one checkpoint has a score, and one has no mean", path=path)
    return [Target(it.store, it.run, it.ranked.checkpoint) for it in leaders.places]


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


def _path_of(target: Target) -> str:
    return locate(target.store.url, target.checkpoint.path)


def _open(target: Target) -> Input:
    """The file with the weights, and what is in it; raises Refused where there is none, Damaged for what is broken."""
    path = _path_of(target)
    files = Held(target.store, target.checkpoint)
    name = _find_weights(target.checkpoint, list(files.sizes), path)
    contents = read_file(files, name) or Contents("none")
    for flaw in contents.flaws:
        if flaw.severity == "error":
            raise Damaged(flaw.text, path=path)
    if contents.format not in ("torch", "safetensors"):
        raise Refused("only files of torch's or safetensors can be averaged", path=path, id="cannot-average")
    return Input(path, files, contents, name)


def _find_weights(it: Checkpoint, names: Sequence[str], path: str) -> str:
    """The only file with weights; of a folder the one that its layout names. Raises Refused where there are others."""
    held = list(names)
    if it.unit == "dir":
        slimming = find_slimming(it.layout)
        held = [name for name in names if slimming is not None and is_meant(slimming.require, name)]
    if len(held) == 1:
        return held[0]
    if held:
        hint = "average them file by file"
        raise Refused(f"its weights lie in {len(held)} files", path=path, id="cannot-average", hint=hint)
    raise Refused("nobody has told which of its files holds the weights", path=path, id="cannot-average")
