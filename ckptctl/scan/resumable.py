"""Whether training can go on from a checkpoint: yes, no, or not known, for whatever saved it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckptctl.core.model import Entries
from ckptctl.core.ranking import in_save_order
from ckptctl.layouts.index import find_layout, glob_matches
from ckptctl.scan.loose_files import sniff_file

if TYPE_CHECKING:
    from ckptctl.core.model import Checkpoint, Run
    from ckptctl.stores import ReadStore

_MOST_FILES = 8
_SURELY_READ = 64 << 10
"""Bytes of a file that is read whole when it is sniffed: of a larger one the optimizer may lie in what was not."""


def find_resumable(store: ReadStore, run: Run) -> Run:
    """The run with what is known of its newest checkpoints, back to the first that can resume."""
    told: dict[str, bool | None] = {}
    for it in reversed(in_save_order(run.checkpoints)):
        known = it.resumable if it.resumable is not None else _is_resumable(store, it)
        told[it.path] = known
        if known and it.state == "complete":
            break
    return run._replace(
        checkpoints=tuple(it._replace(resumable=told.get(it.path, it.resumable)) for it in run.checkpoints)
    )


def _is_resumable(store: ReadStore, checkpoint: Checkpoint) -> bool | None:
    """By what its layout says only serves to resume, else by what its files hold; None where neither tells."""
    layout = find_layout(checkpoint.layout)
    slimming = layout.slimming
    if checkpoint.unit == "dir" and not layout.is_generic:
        names = [path.rpartition("/")[2] for path in Entries.of(checkpoint.entries).inside]
        if slimming is None or not slimming.files:
            return None
        optimizers = [it for it in slimming.files if "opt" in it] or slimming.files
        return any(glob_matches(glob, name) for glob in optimizers for name in names)
    files = [it for it in checkpoint.entries if it.kind == "file"][:_MOST_FILES]
    kinds = {sniff_file(store, it.path).kind for it in files}
    if "training-state" in kinds or ("optimizer" in kinds and "weights" in kinds):
        return True
    is_whole = all((it.size or 0) <= _SURELY_READ for it in files)
    return False if is_whole and kinds <= {"weights", "safetensors", "optimizer"} else None
