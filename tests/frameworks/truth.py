"""What a training really did, and what follows from it by RETENTION's words, worked out without ckptctl."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable, Sequence

Mode = Literal["min", "max"]


class Save(NamedTuple):
    """One file that a training wrote and did not remove again."""

    path: str
    epoch: int
    """In the framework's own base."""
    step: int | None
    value: float
    """Of the monitored metric when it was saved, as the framework held it."""
    seen: float | None
    """What the files still tell of that value: all of it, or what the name has room for; None where nothing does."""
    is_last: bool = False
    """An independent save under the role's name: takes no part in ranking."""


class Expectation(NamedTuple):
    """Which files a ``--top-k`` may leave behind."""

    better: frozenset[str]
    """Ranked above every tie at the limit."""
    tied: tuple[str, ...]
    """Share the score of the last place, in the order of saving."""
    places: int
    """How many of the tied have a place."""
    extras: frozenset[str]
    """Always kept, whatever their score."""
    allowed: frozenset[str] = frozenset()
    """May stay: an earlier training's newest, kept so that a mixed-up time costs nobody the only late state."""


def can_rank(score: float | None, mode: Mode) -> bool:
    """Whether a score can hold a place: a number, or the infinity that is truly best; not NaN or what stands for it."""
    return score is not None and not math.isnan(score) and score != {"min": math.inf, "max": -math.inf}[mode]


def ranked(saves: Iterable[Save], mode: Mode) -> list[Save]:
    """Those that can hold a place, best first by what can still be seen of the scores; of equals, the earlier save."""
    candidates = [save for save in saves if not save.is_last and can_rank(save.seen, mode)]
    return sorted(candidates, key=lambda save: _cost(save, mode))


def _cost(save: Save, mode: Mode) -> float:
    seen = math.nan if save.seen is None else save.seen
    return seen if mode == "min" else -seen


def expect(saves: Sequence[Save], mode: Mode, top_k: int, extras: Iterable[str]) -> Expectation:
    """What ``--top-k`` leaves of the saves, which are in the order of saving."""
    order = ranked(saves, mode)
    lasts = {save.path for save in saves if save.is_last}
    always = frozenset({*extras, *lasts, saves[-1].path})
    allowed = frozenset({max(saves, key=lambda save: (save.step or -1, save.epoch)).path})
    if top_k < 0 or top_k >= len(order):
        return Expectation(frozenset(save.path for save in order), (), 0, always, allowed)
    limit = order[top_k - 1].seen
    better = [save.path for save in order[:top_k] if save.seen != limit]
    tied = [save.path for save in order if save.seen == limit]
    return Expectation(frozenset(better), tuple(tied), top_k - len(better), always, allowed)


def against(kept: set[str], expected: Expectation, *, earliest: bool) -> list[str]:
    """Every way in which what was kept differs from what had to be; ``earliest``: ties go to the earlier save."""
    tied, extras = set(expected.tied), set(expected.extras)
    found = [f"lost: {path}" for path in sorted((expected.better | extras) - kept)]
    found += [
        f"kept without a reason: {path}" for path in sorted(kept - expected.better - tied - extras - expected.allowed)
    ]
    if earliest:
        places = set(expected.tied[: expected.places])
        return found + [
            f"last place decided wrongly: {path}" for path in sorted((kept & tied - extras) ^ (places - extras))
        ]
    if len(kept & tied) < expected.places or len(kept & tied - extras) > expected.places:
        found.append(f"{len(kept & tied)} of {len(tied)} tied kept, where {expected.places} have a place")
    return found


def draw_values(rng: random.Random, count: int) -> list[float]:
    """Metric values of one kind, at times with NaN and infinities among them."""
    draw = rng.choice(
        (
            lambda: rng.uniform(0, 2),
            lambda: rng.choice((0.5, 0.4, 0.3)),
            lambda: 0.5 + rng.randint(-6, 6) / 1000,
            lambda: rng.uniform(-2, 2),
            lambda: rng.uniform(1, 10) * 10 ** rng.randint(-9, -3),
            lambda: -rng.uniform(0, 1),
            lambda: rng.uniform(1, 9) * 10 ** rng.randint(1, 12),
            lambda: float(rng.randint(0, 3)),
        )
    )
    odd = rng.choice((0.0, 0.0, 0.0, 0.15, 0.5))
    oddities = (math.nan, math.nan, math.inf, -math.inf)
    return [rng.choice(oddities) if rng.random() < odd else draw() for _ in range(count)]
