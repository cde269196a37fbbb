"""``--sort KEY[:desc]``: in which order a listing shows a run."""

from __future__ import annotations

from collections.abc import Callable
from math import inf, isnan
from typing import NamedTuple

from ckptctl.core.model import Checkpoint, Run
from ckptctl.core.ranking import infer_mode, score_of
from ckptctl.errors import UsageError


class SortKey(NamedTuple):
    """What to sort by."""

    name: str
    is_reversed: bool = False

    @property
    def is_in_names(self) -> bool:
        """Whether names that hold numbers say it."""
        return self.name in ("step", "epoch", "name")

    @property
    def needs_no_stat(self) -> bool:
        """Whether names alone decide."""
        return self.name not in ("size", "age")


_PLAIN: dict[str, Callable[[Checkpoint], float | str]] = {
    "epoch": lambda it: -1 if it.epoch is None else it.epoch,
    "size": lambda it: it.size,
    "age": lambda it: -it.modified,
    "name": lambda it: it.path,
}


def parse_key(text: str) -> SortKey:
    """Read ``KEY`` or ``KEY:desc``; raises UsageError."""
    name, mark, order = text.rpartition(":") if text.endswith((":desc", ":asc")) else (text, "", "")
    if not name:
        hint = "step, epoch, size, age, name or a metric; add :desc to turn it round"
        raise UsageError("--sort needs a key", hint=hint)
    return SortKey(name, bool(mark) and order == "desc")


def has_key(run: Run, key: SortKey) -> bool:
    """Whether there is anything to sort by."""
    return key.name == "step" or key.name in _PLAIN or any(score_of(it, key.name) for it in run.checkpoints)


def sort_run(run: Run, key: SortKey, limit: int | None) -> Run:
    """The run with its checkpoints in the asked order, and no more than the limit; a metric puts its best first."""
    held = list(run.checkpoints)
    place = _PLAIN.get(key.name)
    if key.name == "step":
        held = held[::-1] if key.is_reversed else held
    elif place is not None:
        held.sort(key=place, reverse=key.is_reversed)
    else:
        held.sort(key=_by_metric(key))
    return run._replace(checkpoints=tuple(held[:limit]))


def _by_metric(key: SortKey) -> Callable[[Checkpoint], float]:
    """Best first, or worst; what has no number is last either way."""
    sign = -1 if (infer_mode(key.name) == "max") != key.is_reversed else 1

    def place(checkpoint: Checkpoint) -> float:
        score = score_of(checkpoint, key.name)
        return inf if score is None or isnan(score.value) else sign * score.value

    return place
