"""Which checkpoints a policy keeps, and why. Each rule names what it keeps; rules add up; none speaks for dropping."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Literal, NamedTuple, Protocol

from ckptctl.core.checkpoint import Checkpoint, Pointer
from ckptctl.core.ranking import Metric, Ranked, came_later, in_order, in_time, score_of


class Reason(NamedTuple):
    """Why a checkpoint is kept, dropped or skipped."""

    rule: str
    """Stable: the flag's name without dashes, or a word of its own."""
    text: str


class Standing(NamedTuple):
    """A run as the rules see it."""

    candidates: tuple[Checkpoint, ...]
    """Complete, and not an independent save under a ``last`` name; oldest first."""
    ranked: tuple[Ranked, ...] = ()
    """Best first; only those that may win."""
    places: Mapping[str, int] = {}
    """By path: the place in the ranking, from 1."""
    newer: Mapping[str, int] = {}
    """By path: how many candidates are newer."""
    metric: Metric | None = None
    trouble: str | None = None
    """Why nothing can be ranked, where the rule wants to."""
    step_base: int = 0
    """As in the run."""
    epoch_base: int = 0
    """As in the run."""


def standing_of(
    candidates: Sequence[Checkpoint], ranked: Sequence[Ranked] = (), metric: Metric | None = None
) -> Standing:
    """The standing of a run's candidates, oldest first, with what the rules look up for each of them."""
    places = {it.checkpoint.path: it.place for it in ranked}
    newer = {it.path: number for number, it in enumerate(reversed(candidates))}
    return Standing(tuple(candidates), tuple(ranked), places, newer, metric)


class Rule(Protocol):
    """One reason to keep."""

    @property
    def id(self) -> str:
        """The flag's name without dashes."""
        ...

    def keep(self, standing: Standing) -> dict[str, str]:
        """Path of what is kept to the words that say why."""
        ...

    def pass_over(self, checkpoint: Checkpoint, standing: Standing) -> str:
        """The words that say why this rule does not keep it."""
        ...

    def describe(self) -> str:
        """What the rule keeps, as a part of a sentence that begins with "Keep"."""
        ...


class TopK(NamedTuple):
    """R1: the best ``count`` by a metric; -1 keeps all."""

    count: int  # type: ignore[assignment] # a tuple counts too; here it is how many to keep
    monitor: str | None = None
    """What to rank by; None takes each run's own."""
    mode: str = "auto"
    """min, max or auto."""
    id: str = "top-k"

    def keep(self, standing: Standing) -> dict[str, str]:
        """The first places of the ranking."""
        if self.count < 0:
            return _all(standing.candidates, "top-k -1 keeps all")
        total = len(standing.ranked)
        by = f" by {standing.metric.name}" if self.id == "keep-best" and standing.metric else ""
        return {it.checkpoint.path: f"best {it.place} of {total}{by}" for it in standing.ranked[: self.count]}

    def pass_over(self, checkpoint: Checkpoint, standing: Standing) -> str:
        """Its place, or why it has none."""
        name = standing.metric.name if standing.metric else "the metric"
        place = standing.places.get(checkpoint.path)
        if place is not None:
            return f"rank {place} of {len(standing.ranked)} by {name}"
        score = score_of(checkpoint, name)
        if score is None:
            return f"no value of {name}"
        return f"{name} is {score.text or score.value}: it cannot win"

    def describe(self) -> str:
        """The best N."""
        mode = f" ({self.mode})" if self.mode != "auto" else ""
        by = f" by {self.monitor}{mode}" if self.monitor else ""
        return "all" if self.count < 0 else f"the best {self.count}{by}"


class KeepLast(NamedTuple):
    """R2: the newest ``count`` by order, and by time too where training was restarted; -1 keeps all."""

    count: int  # type: ignore[assignment] # a tuple counts too; here it is how many to keep
    id: str = "keep-last"

    def keep(self, standing: Standing) -> dict[str, str]:
        """The end of the order."""
        if self.count < 0:
            return _all(standing.candidates, "keep-last -1 keeps all")
        newest = list(reversed(standing.candidates))[: self.count]
        latest = list(reversed(in_time(standing.candidates)))[: self.count]
        return {
            it.path: f"last {place} by time"
            for place, it in enumerate(latest, 1)
            if any(came_later(it, other) for other in newest)
        } | {it.path: f"last {place}" for place, it in enumerate(newest, 1)}

    def pass_over(self, checkpoint: Checkpoint, standing: Standing) -> str:
        """How far from the end it is."""
        return f"{standing.newer[checkpoint.path]} newer than it"

    def describe(self) -> str:
        """The last N."""
        return "all" if self.count < 0 else f"the last {self.count}"


class KeepEvery(NamedTuple):
    """R3: those on the grid of every ``count`` steps or epochs; where saves miss it, the closest to each multiple.

    One without the number is kept: it might be one of them.
    """

    count: int  # type: ignore[assignment] # a tuple counts too; here it is how many to keep
    unit: Literal["steps", "epochs"] = "steps"
    id: str = "keep-every"

    def keep(self, standing: Standing) -> dict[str, str]:
        """All on the grid; else the closest to each multiple, within half a grid; of two as close the later."""
        numbered = [(it.path, done) for it in standing.candidates if (done := self._done(it, standing)) is not None]
        on_grid = {path: f"at {int(done)} {self.unit}" for path, done in numbered if done % self.count == 0}
        hit = {done for _, done in numbered if done % self.count == 0}
        closest: dict[int, tuple[float, str]] = {}
        off_grid = [(path, done, it) for path, done in numbered for it in self._multiples_near(done) if it not in hit]
        for path, done, multiple in off_grid:
            if abs(done - multiple) <= closest.get(multiple, (self.count, ""))[0]:
                closest[multiple] = (abs(done - multiple), path)
        near = {path: f"closest to {multiple} {self.unit}" for multiple, (_, path) in closest.items()}
        unknown = {it.path for it in standing.candidates} - {path for path, _ in numbered}
        return dict.fromkeys(unknown, self._unknown) | near | on_grid

    def _done(self, checkpoint: Checkpoint, standing: Standing) -> float | None:
        """Steps done, or epochs done: where the first is called 0, ``epoch + 1``, as Lightning counts them."""
        if self.unit == "epochs":
            return None if checkpoint.epoch is None else checkpoint.epoch + 1 - standing.epoch_base
        return None if checkpoint.step is None else checkpoint.step + standing.step_base

    def _multiples_near(self, done: float) -> list[int]:
        """The multiples from 1 that are at most half a grid away."""
        below = int(done // self.count) * self.count
        return [it for it in (below, below + self.count) if it and 2 * abs(done - it) <= self.count]

    @property
    def _unknown(self) -> str:
        return f"its {self.unit[:-1]} is not known"

    def pass_over(self, checkpoint: Checkpoint, standing: Standing) -> str:  # noqa: ARG002 - the protocol's
        """That it is off the grid."""
        return f"not the closest to a multiple of {self.count} {self.unit}"

    def describe(self) -> str:
        """One at every N."""
        return f"one every {self.count} {self.unit}"


class KeepSteps(NamedTuple):
    """R6: the named steps."""

    steps: frozenset[int]
    id: str = "keep-step"

    def keep(self, standing: Standing) -> dict[str, str]:
        """Those whose step is named, and those whose step is not known: one might be it."""
        return {
            it.path: "its step is not known" if it.step is None else f"step {it.step} is named"
            for it in standing.candidates
            if it.step is None or it.step in self.steps
        }

    def pass_over(self, checkpoint: Checkpoint, standing: Standing) -> str:  # noqa: ARG002 - the protocol's
        """That it is not named."""
        return "its step is not named"

    def describe(self) -> str:
        """The steps."""
        return "step " + ", ".join(map(str, sorted(self.steps)))


class KeepGlob(NamedTuple):
    """R6: paths that match a pattern, or end in what matches it behind a ``/``; ``*`` crosses ``/``."""

    pattern: str
    id: str = "keep"

    def keep(self, standing: Standing) -> dict[str, str]:
        """Those whose path, or the end of it, matches."""
        return {
            it.path: f"matches {self.pattern}"
            for it in standing.candidates
            if fnmatchcase(f"/{it.path}", f"*/{self.pattern}")
        }

    def pass_over(self, checkpoint: Checkpoint, standing: Standing) -> str:  # noqa: ARG002 - the protocol's
        """That it does not match."""
        return f"does not match {self.pattern}"

    def describe(self) -> str:
        """The pattern."""
        return f"what matches {self.pattern}"


class Policy(NamedTuple):
    """Everything that decides what stays."""

    rules: tuple[Rule, ...]
    threshold: float | None = None
    """Only scores strictly better than this may win."""
    latest_wins: bool = False
    """Of equal scores, the later save (the callbacks keep the earlier)."""
    drop_unranked: bool = False
    """Whether checkpoints without a score may go."""
    protect_last: bool = True
    min_age: int | None = None
    """Nanoseconds; younger than this is never touched. None: only what its layout cannot prove complete waits."""


def describe(policy: Policy) -> str:
    """The policy in a sentence or two."""
    kept = " and ".join(rule.describe() for rule in policy.rules)
    newest = ", the newest that can resume" if policy.protect_last else ""
    return f"Keep {kept} of each run. Always kept: what a link names{newest}."


def protect(candidates: Iterable[Checkpoint], pointers: Iterable[Pointer], *, last: bool) -> dict[str, list[Reason]]:
    """R8: what no rule and no budget may drop, whatever the policy, by path.

    ``last`` is False where the user gave up the newest (``--no-protect-last``).
    """
    held = in_order(candidates)
    reasons: dict[str, list[Reason]] = {}

    def keep(checkpoint: Checkpoint | None, rule: str, text: str) -> None:
        if checkpoint is not None:
            reasons.setdefault(checkpoint.path, []).append(Reason(rule, text))

    aliases = {it.path: set(it.aliases) for it in held}
    for pointer in pointers:
        aliases.get(pointer.target or "", set()).add(pointer.path)
    for checkpoint in held:
        names = [_seen_from(checkpoint.path, name) for name in sorted(aliases[checkpoint.path])]
        keep(checkpoint if names else None, "linked", f"linked by {', '.join(names)}")
        keep(checkpoint if checkpoint.pinned else None, "pinned", "pinned")
    if last:
        _protect_newest(held, keep)
    keep(held[0] if len(held) == 1 else None, "only", "the only complete checkpoint")
    return reasons


def _seen_from(path: str, name: str) -> str:
    """A name without its folder where that is the path's own."""
    folder = path.rpartition("/")[0]
    return name[len(folder) :].lstrip("/") if name.rpartition("/")[0] == folder else name


def _protect_newest(held: list[Checkpoint], keep: Callable[[Checkpoint | None, str, str], None]) -> None:
    """By order and by what can resume; where the order is in doubt, by each number and by time too."""
    newest = held[-1] if held else None
    resumable = [it for it in held if it.resumable is not False]
    keep(newest, "newest", "newest that can resume" if newest in resumable else "newest")
    if resumable and resumable[-1] != newest:
        keep(resumable[-1], "newest", "newest that can resume")
    highest = in_order(it._replace(lineage=0) for it in held)[-1] if held else None
    if newest is not None and highest is not None and highest.path != newest.path:
        keep(highest, "newest", "newest of an earlier training")
    for it, number in _newest_by_number(held):
        keep(it if it != newest else None, "newest", f"newest by {number}")
    latest = in_time(held)[-1] if held else None
    if newest is None or latest is None or latest == newest:
        return
    if came_later(latest, newest) or (latest.step is None and latest.epoch is None):
        keep(latest, "newest", "newest by time")


def _newest_by_number(held: list[Checkpoint]) -> Iterator[tuple[Checkpoint, str]]:
    """The highest by each number that some of those with numbers lack: it does not count in the order."""
    for number, other in (("step", "epoch"), ("epoch", "step")):
        with_it = [it for it in held if getattr(it, number) is not None]
        if with_it and any(getattr(it, number) is None and getattr(it, other) is not None for it in held):
            yield max(with_it, key=lambda it: (getattr(it, number), it.modified)), number


def _all(candidates: Iterable[Checkpoint], text: str) -> dict[str, str]:
    return {checkpoint.path: text for checkpoint in candidates}
