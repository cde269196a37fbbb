"""Checkpoints as rows for another program's table."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from ckptctl.core.units import NANOSECONDS

if TYPE_CHECKING:
    from ckptctl.core.model import Checkpoint, Run


def flatten_checkpoint(run: Run, checkpoint: Checkpoint) -> dict[str, Any]:
    """A checkpoint as one row, its metrics among the keys; one that is called as another key is renamed."""
    row: dict[str, Any] = {
        "run": run.path,
        "path": checkpoint.path,
        "name": checkpoint.path.rpartition("/")[2],
        "layout": checkpoint.layout,
        "epoch": checkpoint.epoch,
        "step": checkpoint.step,
        "state": checkpoint.public_state,
        "roles": ", ".join(checkpoint.roles),
        "pinned": checkpoint.pinned,
        "resumable": checkpoint.resumable,
        "size": checkpoint.size,
        "files": checkpoint.files,
        "modified": datetime.fromtimestamp(checkpoint.modified / NANOSECONDS, tz=timezone.utc),
    }
    scores = {(f"metric_{key}" if key in row else key): it.value for key, it in checkpoint.metrics.items()}
    return row | scores
