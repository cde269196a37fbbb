"""Which training saved what, where a folder was used more than once; and where times disagree with the numbers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from operator import attrgetter

from ckptctl.core.model import Checkpoint, Note
from ckptctl.core.ranking import came_later, in_save_order

MOST_TRAININGS = 32
"""Trainings told apart; a folder with more has times that nothing can be read from."""

KeptPaths = Callable[[Checkpoint], Mapping[str, "set[str]"]]


def number_restarts(held: Mapping[str, Checkpoint], list_kept: KeptPaths, last: Collection[str] = ()) -> dict[str, int]:
    """The number of each checkpoint's training, from 0; by the keys of ``held``, in each series by itself.

    Where the highest step is older than another save, training was restarted, or a copy has changed the times. Only a
    record proves the former: then all that was saved after the highest step is another training's.

    - ``list_kept`` gives the paths that a checkpoint's state lists as kept when it was saved, by metric. A training
      deletes what its list loses; so where the other lists a file that is there and that the highest does not list,
      two trainings saved them, unless one of the two lists the other.
    - ``last`` holds the paths of what trackers name as the last save: one that was saved well after the highest.
    - All ``-vN`` of one N were saved after the highest step, and the same names without it before.
    """
    series: dict[str, dict[str, Checkpoint]] = {}
    for key, it in held.items():
        series.setdefault(it.series, {})[key] = it
    return {key: it for own in series.values() for key, it in _number_series(own, list_kept, last).items()}


def _number_series(held: Mapping[str, Checkpoint], list_kept: KeptPaths, last: Collection[str]) -> dict[str, int]:
    """The number of the training that saved each checkpoint of one series."""
    lineages = dict.fromkeys(held, 0)
    for number in range(1, MOST_TRAININGS):
        pool = {key: it for key, it in held.items() if lineages[key] == number - 1}
        border = _border(list(pool.values()), list_kept, last)
        if border is None:
            return lineages
        lineages |= {key: number for key, it in pool.items() if it.saved > border}
    return dict.fromkeys(held, 0)


def _border(pool: list[Checkpoint], list_kept: KeptPaths, last: Collection[str]) -> int | None:
    """The time after which another training saved; None where no record proves that there is another."""
    numbered = in_save_order(it for it in pool if it.step is not None or it.epoch is not None)
    if not numbered:
        return None
    highest, latest = numbered[-1], max(numbered, key=attrgetter("saved"))
    if latest.saved <= highest.saved or (latest.step, latest.epoch) == (highest.step, highest.epoch):
        return None
    kept, others = list_kept(highest), list_kept(latest)
    if any(highest.path in paths for paths in others.values()) or any(latest.path in it for it in kept.values()):
        return None
    is_unlisted = any(paths - kept[metric] for metric, paths in others.items() if metric in kept)
    is_named = any(it.path in last and came_later(it, highest) for it in numbered)
    has_twins = _has_twins(pool, highest, set().union(*kept.values()))
    return highest.saved if is_unlisted or is_named or has_twins else None


def _has_twins(pool: list[Checkpoint], highest: Checkpoint, kept: Collection[str]) -> bool:
    """Whether each ``-vN``, for one N, was saved after the highest step, and its namesake before.

    Two callbacks with one pattern write such twins as well, at once: a copy may part one pair, not all. What the
    highest step's state lists was there before it.
    """
    paths = {it.path: it for it in pool}
    straddles: dict[int, set[bool]] = {}
    for it in (it for it in pool if it.version is not None):
        namesake = paths.get(it.path.replace(f"-v{it.version}.", "."))
        if namesake is not None:
            is_parted = namesake.saved <= highest.saved < it.saved and it.path not in kept
            straddles.setdefault(it.version or 0, set()).add(is_parted)
    return {True} in straddles.values()


def find_time_conflict(checkpoints: Iterable[Checkpoint]) -> Note | None:
    """What to warn of where times disagree with numbers: training was restarted in the folder, or a copy changed them.

    It names the highest number of a series that is older than a lower one, and the newest of those.
    """
    series: dict[str, list[Checkpoint]] = {}
    for it in checkpoints:
        if it.is_numbered:
            series.setdefault(it.series, []).append(it)
    return next(filter(None, map(_find_series_conflict, series.values())), None)


def _find_series_conflict(numbered: list[Checkpoint]) -> Note | None:
    latest, found = None, None
    for checkpoint in in_save_order(numbered):
        if latest is not None and came_later(latest, checkpoint):
            found = Note("times-disagree", later=latest.path, higher=checkpoint.path)
        latest = checkpoint if latest is None or checkpoint.saved > latest.saved else latest
    return found
