"""Checkpoints and runs made by hand, as small as a test needs them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from ckptctl.core.model import Checkpoint, Entry, Note, Pointer, Run, Score, ScoreSource, State, Stray
from ckptctl.core.units import NANOSECONDS

NOW = 1_800_000_000 * NANOSECONDS
MINUTE = 60 * NANOSECONDS
HOUR = 60 * MINUTE


def score(value: float, text: str | None = None, source: ScoreSource = "state") -> Score:
    return Score(value, text, source)


def save(
    path: str,
    value: float | None = None,
    *,
    metric: str = "val_loss",
    metrics: Mapping[str, Score] | None = None,
    epoch: float | None = None,
    step: int | None = None,
    version: int | None = None,
    at: int = 0,
    size: int = 100,
    links: int = 1,
    inode: int | None = None,
    state: State = "complete",
    note: Note | None = None,
    roles: tuple[str, ...] = (),
    aliases: tuple[str, ...] = (),
    pinned: bool = False,
    resumable: bool | None = None,
    lineage: int = 0,
) -> Checkpoint:
    """One checkpoint; ``at`` in nanoseconds since an hour of long ago."""
    entry = Entry(path, "file", size, NOW - 1000 * HOUR + at, (1, inode or hash(path)), links)
    scores = dict(metrics or {})
    if value is not None:
        scores[metric] = score(value)
    return Checkpoint(
        path,
        "lightning",
        "file",
        (entry,),
        epoch,
        step,
        version,
        scores,
        state,
        note,
        roles,
        aliases,
        pinned,
        resumable,
        lineage,
    )


def run_of(
    *checkpoints: Checkpoint,
    path: str = "",
    pointers: Sequence[Pointer] = (),
    strays: Sequence[Stray] = (),
    monitor: str | None = "val_loss",
    mode: Literal["min", "max"] | None = "min",
    step_base: int = 0,
    epoch_base: int = 0,
    listed: bool = True,
) -> Run:
    return Run(path, checkpoints, tuple(pointers), tuple(strays), monitor, mode, step_base, epoch_base, listed=listed)


def saves(*values: float | None, start: int = 0) -> tuple[Checkpoint, ...]:
    """One checkpoint for each value, at step 10, 20, …, an hour apart."""
    return tuple(
        save(f"epoch={n}.ckpt", value, epoch=n, step=10 * (n + 1), at=n * HOUR) for n, value in enumerate(values, start)
    )
