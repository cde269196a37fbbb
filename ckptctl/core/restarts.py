"""Trainings that used one folder one after the other: which of them saved which checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ckptctl.core.model import Checkpoint
from ckptctl.core.ranking import came_later, in_save_order

MOST = 32
"""Trainings told apart; a folder with more has times that nothing can be read from."""

KeptPaths = Callable[[Checkpoint], "set[str] | None"]


def number_restarts(held: Mapping[str, Checkpoint], list_kept: KeptPaths) -> dict[str, int]:
    """The number of each checkpoint's training, from 0; by the keys of ``held``.

    Where the highest step is older than another save, training was begun anew, or a copy has mixed up the times. The
    states tell: ``list_kept`` gives the paths that a checkpoint's state lists as kept when it was saved, None where it
    lists none. Two saves of one training are in the list of the later; where neither lists the other, all that was
    written after the highest step is another training's. States without lists (weights only) leave it to a ``-vN`` that
    was written after the highest step, while its namesake was there before, and to times that are well apart.
    """
    lineages = dict.fromkeys(held, 0)
    for number in range(1, MOST):
        pool = {key: it for key, it in held.items() if lineages[key] == number - 1}
        border = _border(list(pool.values()), list_kept)
        if border is None:
            return lineages
        lineages |= {key: number for key, it in pool.items() if it.modified > border}
    return dict.fromkeys(held, 0)


def _border(pool: list[Checkpoint], list_kept: KeptPaths) -> int | None:
    """The time after which another training wrote; None where there is only one."""
    numbered = in_save_order(it for it in pool if it.step is not None or it.epoch is not None)
    if not numbered:
        return None
    highest, latest = numbered[-1], max(numbered, key=lambda it: it.modified)
    if latest.modified <= highest.modified or (latest.step, latest.epoch) == (highest.step, highest.epoch):
        return None
    lists = (list_kept(highest) or set(), list_kept(latest) or set())
    if highest.path in lists[1] or latest.path in lists[0]:
        return None
    told = any(lists) or _has_twins(pool, highest.modified) or came_later(latest, highest)
    return highest.modified if told else None


def _has_twins(pool: list[Checkpoint], border: int) -> bool:
    """Whether a ``-vN`` was written after a time by which its namesake stood there."""
    old = {it.path for it in pool if it.modified <= border}
    return any(it.version is not None and _bare(it) in old for it in pool if it.modified > border)


def _bare(checkpoint: Checkpoint) -> str:
    """The path without its version."""
    return checkpoint.path.replace(f"-v{checkpoint.version}.", ".")
