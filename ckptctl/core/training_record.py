"""What a training recorded of itself inside a checkpoint, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple


class CallbackState(NamedTuple):
    """The memory of one callback that saves the best (Lightning: one ModelCheckpoint)."""

    monitor: str | None
    mode: Literal["min", "max"] | None
    """Recorded by Lightning since 1.5 only, in the state's key."""
    folder: str | None
    """Where it saved, as the writing machine named it; absolute."""
    scores: Mapping[str, float]
    """Path, as the writing machine named it, to score; in the order of saving. NaN stands as ±inf."""
    best: str | None
    last: str | None
    current: float | None
    """The score of the newest accepted save (before 1.5 the only score of the file itself)."""


class TrainingRecord(NamedTuple):
    """What one checkpoint says of the training that wrote it."""

    writer: str | None
    """Version of the framework, as text ("2.6.6")."""
    epoch: int | None
    step: int | None
    resumable: bool
    """Whether optimizer state is inside."""
    watches: tuple[CallbackState, ...] = ()
