"""What training recorded of a checkpoint's scores, in several places: which one counts, and whether they agree.

The order of trust: the checkpoint's own recorded state, a sibling's, a list of scores, another side file, the name.
A name comes late because it is rounded, and because a field that was not logged is written as 0. A number of its own
dictionary is last, for nothing says of which save it is; but where the name shows the same digits, it is the fuller.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from math import inf, isfinite, isinf, isnan, nan
from typing import Literal, NamedTuple

from ckptctl.core.model import Note, Score

TRUST = ("state", "sibling", "yaml", "csv", "json", "npz", "name", "inside")

WORST: Mapping[str | None, float] = {"min": inf, "max": -inf}
"""The worst score of each mode, which some programs note for a NaN."""
NOT_SCORED = frozenset({"last", "exception", "hpc"})
"""Roles of saves that a callback's last score may not be of."""
_NUMBER = r"[-+]?(?=[\d.])[\d,]*\.?(?P<decimals>\d*)(?:[eE](?P<exponent>[-+]?\d{1,3}))?(?P<percent>%?)"
_FLOAT32 = 1e-6
"""Relative: what a score loses by passing through a float32 tensor, with room."""


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
    stand_in: float | None = None
    """What stands among the scores for NaN."""


class TrainingRecord(NamedTuple):
    """What one checkpoint says, inside, of the training that wrote it."""

    writer: str | None
    """Version of the framework, as text ("2.6.6")."""
    epoch: int | None
    step: int | None
    resumable: bool
    """Whether optimizer state is inside."""
    watches: tuple[CallbackState, ...] = ()
    ahead: int = 0
    """By how much epoch and step are above those in names, which then count from 0."""


class ScoreConflict(NamedTuple):
    """Two sources that do not agree."""

    path: str
    metric: str
    trusted: Score
    other: Score
    files: Mapping[str, str] = {}
    """By source, the name of the file that was read."""

    @property
    def note(self) -> Note:
        """What a person should know of it."""
        path, metric, trusted, other, files = self
        return Note("score-conflict", path=path, metric=metric, trusted=trusted, other=other, files=(*files.items(),))


def resolve_score(claims: Sequence[Score]) -> tuple[Score, Score | None]:
    """The most trusted of the claims on one score, and the most trusted that contradicts it, if any.

    A program may record an infinity for a NaN; so where the name or a table says which of them it was, that counts.
    """
    if len(claims) == 1:
        return claims[0], None
    ordered = sorted(claims, key=lambda score: TRUST.index(score.source))
    trusted = ordered[0]
    if (trusted.source, ordered[-1].source) == ("name", "inside") and scores_agree(trusted, ordered[-1]):
        trusted = ordered[-1]._replace(source="name")
    if not isfinite(trusted.value):
        written = next((it for it in ordered if it.text is not None and not isfinite(it.value)), trusted)
        trusted = written._replace(source=trusted.source)
    return trusted, next((claim for claim in ordered[1:] if not scores_agree(trusted, claim)), None)


def own_score(record: TrainingRecord) -> tuple[str, float] | None:
    """The metric and score of the save that a record is in, whatever its file is called now; None where in doubt.

    The only callback saved it, and remembers the score that it saved last among those that it keeps.
    """
    if len(record.watches) != 1:
        return None
    (watch,) = record.watches
    if watch.monitor is None or watch.current is None or watch.current not in watch.scores.values():
        return None
    return watch.monitor, nan if watch.current == watch.stand_in else watch.current


def scores_agree(one: Score, other: Score) -> bool:
    """Whether two scores are equal at the precision that the coarser of them shows."""
    if isnan(one.value) or isnan(other.value):
        return (isnan(one.value) or isinf(one.value)) and (isnan(other.value) or isinf(other.value))
    if one.value == other.value or not (isfinite(one.value) and isfinite(other.value)):
        return one.value == other.value
    room = max(rounding_error(one.text), rounding_error(other.text), _FLOAT32 * abs(one.value))
    return abs(one.value - other.value) <= room * (1 + 1e-9)


def rounding_error(text: str | None) -> float:
    """How far a number, as written, may be from what was measured: half of the last digit shown.

    0.005 for "0.32", 0.0005 for "87.6%", 5e-07 for "1.5e-05"; 0 where nothing is written.
    """
    _, _, decimals = (text or "").partition(".")
    if decimals.isdecimal():
        return 0.5 * 10.0 ** -min(len(decimals), 300)
    match = re.fullmatch(_NUMBER, text or "")
    if match is None:
        return 0.0
    power = -len(match["decimals"]) + int(match["exponent"] or 0) - (2 if match["percent"] else 0)
    return 0.5 * 10.0 ** max(-300, min(300, power))


def match_paths(
    recorded: Iterable[str], held: Mapping[str, object], folder: str | None = None, run: str = ""
) -> dict[str, str]:
    """Each recorded path (of any machine) to the run's own path that it means, where there is one.

    Below ``folder``, the recorded home of the run, the rest of the path decides; without it the longest tail that the
    run holds. ``run`` is the run's own folder: it may lie below the recorded one (``val/loss=0.8.ckpt`` in ``val``).
    """
    home = None if folder is None else folder.replace("\\", "/").rstrip("/") + "/"
    found: dict[str, str] = {}
    for path in recorded:
        plain = path.replace("\\", "/")
        parts = plain.split("/")
        tails = ("/".join(parts[start:]) for start in range(max(0, len(parts) - _LONGEST_TAIL), len(parts)))
        own = next(filter(held.__contains__, tails), None) if home is None else _below(plain, home, held, run)
        if own is not None:
            found[path] = own
    return found


_LONGEST_TAIL = 8
"""Parts of a recorded path of which nobody knows the home."""


def _below(path: str, home: str, held: Mapping[str, object], run: str) -> str | None:
    """The rest of a path below its recorded home, less the folders at its front that are the run's own last ones."""
    if not path.startswith(home):
        return None
    front, own = "", path[len(home) :].lstrip("/")
    while own not in held and "/" in own:
        folder, _, own = own.partition("/")
        front = f"{front}/{folder}"
    return own if own in held and f"/{run}".endswith(front) else None
