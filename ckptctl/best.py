"""The best over everything under a path: found by name, proved whole one by one from the top."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from math import nan
from typing import TYPE_CHECKING, NamedTuple

from ckptctl.core.filters import Filter, meets_all
from ckptctl.core.model import Note, Run, Score
from ckptctl.core.names.tokens import find_plain_values
from ckptctl.core.ranking import (
    NAME_THEM,
    UNNAMED,
    Metric,
    Ranked,
    choose_metric,
    count_metrics,
    describe_counts,
    in_save_order,
    rank,
    require_same_metric,
    same_metric,
)
from ckptctl.core.score_sources import rounding_error
from ckptctl.errors import MetricUnclear, ModeUnclear, NoCheckpoint, NoScore, TurnedRound
from ckptctl.layouts.index import find_layout
from ckptctl.scan.completeness import check_completeness, refresh_entries
from ckptctl.scan.metrics.collect import resolve_ties
from ckptctl.scan.peer_checks import check_against_peers
from ckptctl.scan.pointers import read_named_best
from ckptctl.stores import ReadStore

if TYPE_CHECKING:
    from ckptctl.core.model import Checkpoint


_LASTS = ("last.", "last-", "last_")
"""How the names of independent saves begin that take no part."""
_BEST = re.compile(r"(?<![a-z])best(?![a-z])", re.IGNORECASE)
NO_SCORE = Score(nan, None, "name")
"""Of what training itself called best: nobody ranked it."""


class BestQuery(NamedTuple):
    """What "best" is to mean."""

    places: int = 1
    monitor: str | None = None
    mode: str = "auto"
    threshold: float | None = None
    now: int = 0
    equals: str = "="
    """What stands between a name and its value in file names."""
    filters: tuple[Filter, ...] = ()
    """What does not meet all of them takes no part."""
    or_own: bool = False
    """Whether what training itself called best answers where no metric is known."""

    @property
    def takes_own(self) -> bool:
        """Whether nothing that was asked for needs a score."""
        return self.or_own and self.monitor is None and self.mode == "auto" and self.threshold is None


class BestCheckpoint(NamedTuple):
    """One of the best, with where it lies."""

    store: ReadStore
    run: Run
    ranked: Ranked


class BestResult(NamedTuple):
    """The best, and by what."""

    metric: Metric | None
    """None where no metric is known, and the only place is what training itself called best."""
    places: tuple[BestCheckpoint, ...]
    run: Run
    """The run that told the metric first."""
    is_tied: bool = False
    """Whether another has the very score of the last of them, so that the order decided."""
    why_own: str = ""
    """Why what training itself called best is the answer."""


class BestSearch:
    """Runs are shown one by one; only the leaders are kept."""

    def __init__(self, query: BestQuery, where: str) -> None:
        self.wish = query
        self.where = where
        """The path, as the user knows it."""
        self.metric: Metric | None = None
        self.first: Run | None = None
        self.leaders: list[BestCheckpoint] = []
        self.is_tied = False
        self.own: list[BestCheckpoint] = []
        """Of the runs that cannot be ranked, what training itself called best."""
        self.turned: TurnedRound | None = None
        """Why one of them must not, with the mode asked for."""
        self.unclear: MetricUnclear | ModeUnclear | None = None
        """Why one of them cannot, where it has metrics."""
        self.counts: Counter[str] = Counter()
        """Metrics seen, for those who asked for another."""
        self.checkpoints = 0

    def could_place(self, paths: Sequence[str]) -> bool:
        """Whether a run, as its file names tell it, could have one of the best; True in doubt.

        A name holds the rounded score, so a run whose names are all worse than the last leader, with rounding, cannot.
        A 0 may mean that the metric was not logged. What the runs themselves recorded as metric and mode does not
        matter where both are asked for.
        """
        places, monitor, mode, *_ = self.wish
        if self.metric is None or monitor is None or mode == "auto" or not 0 < places <= len(self.leaders):
            return True
        ranked = [path for path in paths if not path.startswith(_LASTS)]
        texts = find_plain_values(ranked, monitor, self.wish.equals) if ranked else []
        if texts is None or any(float(text) == 0 for text in texts):
            return True
        sign = 1 if mode == "min" else -1
        bar = sign * self.leaders[-1].ranked.score.value
        return any(sign * float(text) - rounding_error(text) < bar for text in texts)

    def show(self, store: ReadStore, run: Run) -> None:
        """Let a run's best compete; raises MetricUnclear and ModeUnclear, also where it disagrees with earlier runs."""
        self.checkpoints += len(run.checkpoints)
        self.counts.update(count_metrics(run.checkpoints))
        metric = self._metric_of(store, run)
        if metric is None:
            return
        run = resolve_ties(store, run, metric, self.wish.places)
        ranked = self._rank(run, metric)
        found = [BestCheckpoint(store, run, it) for it in self._prove(store, run, ranked)]
        if found:
            self._agree(metric, run)
            self._merge(metric, found, ranked)

    def _metric_of(self, store: ReadStore, run: Run) -> Metric | None:
        """What to rank a run by; None where it has no score, or where training's own best answers instead."""
        try:
            return choose_metric(run, monitor=self.wish.monitor, mode=self.wish.mode)
        except TurnedRound as error:
            self.turned = error
        except NoScore:
            self.own += self._own_best(store, run)
        except (MetricUnclear, ModeUnclear) as error:
            own = self._own_best(store, run)
            if not own:
                raise
            self.own += own
            self.unclear = self.unclear or error
        return None

    def _own_best(self, store: ReadStore, run: Run) -> list[BestCheckpoint]:
        """What training itself called best in a run, where it is complete and meets the filters."""
        if not self.wish.takes_own:
            return []
        for it in find_own_bests(store, run):
            checked = refresh_checkpoint(store, it, self.wish.now)
            if checked.state == "complete" and meets_all(self.wish.filters, checked, self.wish.now):
                return [BestCheckpoint(store, run, Ranked(checked, NO_SCORE, 1))]
        return []

    def _rank(self, run: Run, metric: Metric) -> list[Ranked]:
        possible = [it for it in run.checkpoints if it.state not in ("partial", "doubtful")]
        met = [it for it in possible if meets_all(self.wish.filters, it, self.wish.now)]
        return rank(met, metric, threshold=self.wish.threshold)

    def _prove(self, store: ReadStore, run: Run, ranked: Sequence[Ranked]) -> Iterable[Ranked]:
        """The first whole ones of a run; the rest is never looked at."""
        wanted = self.wish.places if self.wish.places >= 0 else len(ranked)
        for it in ranked:
            if wanted <= 0:
                return
            checked = refresh_checkpoint(store, it.checkpoint, self.wish.now)
            if checked.state == "complete" and checked.unit != "file":
                checked = _compare(store, run, checked, self.wish.now)
            if checked.state == "complete":
                wanted -= 1
                yield it._replace(checkpoint=checked)

    def _agree(self, metric: Metric, run: Run) -> None:
        if self.metric is None or self.first is None:
            self.metric, self.first = metric, run
        else:
            require_same_metric((self.first.path, self.metric), (run.path, metric), where=self.where)

    def _merge(self, metric: Metric, found: list[BestCheckpoint], ranked: Sequence[Ranked]) -> None:
        """Let a run's best take their places, and note whether one with the very score of the last had none left."""
        sign = 1 if metric.mode == "min" else -1
        merged = sorted([*self.leaders, *found], key=lambda leader: sign * leader.ranked.score.value)
        places = self.wish.places if self.wish.places >= 0 else len(merged)
        before = self.leaders[-1].ranked.score.value if self.leaders else None
        self.leaders = merged[:places]
        bar = self.leaders[-1].ranked.score.value
        left = sum(it.score.value == bar for it in ranked) - sum(it.ranked.score.value == bar for it in found)
        is_tied = left > 0 or any(it.ranked.score.value == bar for it in merged[places:])
        self.is_tied = is_tied or (self.is_tied and bar == before)

    def close(self) -> BestResult:
        """The leaders, else what training itself called best; raises NoCheckpoint and NoScore where there is none.

        Raises MetricUnclear and ModeUnclear where some runs can be ranked, and one with metrics of its own cannot.
        """
        if self.metric is not None and self.first is not None:
            if self.unclear is not None:
                raise self.unclear
            ranked = [it._replace(ranked=it.ranked._replace(place=place)) for place, it in enumerate(self.leaders, 1)]
            return BestResult(self.metric, tuple(ranked), self.first, self.is_tied)
        if not self.checkpoints:
            raise NoCheckpoint("no checkpoint found", path=self.where, hint="name the folder of a run, or one above it")
        if len(self.own) == 1:
            why = self.unclear.text if self.unclear else "no metric is known"
            return BestResult(None, tuple(self.own), self.own[0].run, why_own=why)
        raise self.turned or self._no_score()

    def _no_score(self) -> NoScore:
        asked = self.wish.monitor
        if self.own:
            text = f"no metric is known, and training called a checkpoint best in {len(self.own)} runs"
            return NoScore(text, path=self.where, hint="name one of the runs, or pass --group-by run")
        wanted = f"a value for '{asked}'" if asked else "a metric"
        if set(self.counts) == {UNNAMED} and (asked or self.wish.mode == "auto"):
            return NoScore("the numbers in the names have no name", path=self.where, hint=NAME_THEM)
        seen = next((name for name in sorted(self.counts) if asked is None or same_metric(name, asked)), None)
        if seen is not None:
            bar = "" if self.wish.threshold is None else f" better than {self.wish.threshold:g}"
            bar += "".join(f" and meets {it.text}" for it in self.wish.filters)
            return NoScore(f"no complete checkpoint has a usable value of '{asked or seen}'{bar}", path=self.where)
        hint = (
            f"metrics found: {describe_counts(self.counts)}" if self.counts else "names and side files hold no metric"
        )
        near = get_close_matches(asked or "", self.counts, 1)
        hint += f". Did you mean --monitor {near[0]}?" if near else ""
        return NoScore(f"no checkpoint has {wanted}", path=self.where, hint=hint)


def find_own_bests(store: ReadStore, run: Run) -> Iterator[Checkpoint]:
    """What training itself called best in a run, the surest first: by its tracker, by a link, by a name.

    Of several numbered saves under a best name the last is meant; of several without a number none.
    """
    held = {it.path: it for it in run.checkpoints}
    leading = (it for it in run.pointers if it.target in held and it.path not in held)
    links = {it.target for it in leading if _BEST.search(it.path.rpartition("/")[2])}
    called = in_save_order(it for it in run.checkpoints if "best" in it.roles and not it.is_made)
    plain = [it for it in called if not it.is_numbered]
    for paths in (read_named_best(store, run), links, {it.path for it in plain}):
        if len(paths) == 1:
            yield from (held[path] for path in paths if path in held)
    if called and not plain:
        yield called[-1]


def _compare(store: ReadStore, run: Run, checked: Checkpoint, now: int) -> Checkpoint:
    """A checkpoint, judged beside its siblings too; those are taken for whole where nobody looked at them."""
    others = (it._replace(state="complete") if it.public_state == "unknown" else it for it in run.checkpoints)
    held = [checked if it.path == checked.path else it for it in others]
    judged = check_against_peers(store, held, now)
    return next(it for it in judged if it.path == checked.path)


def refresh_checkpoint(store: ReadStore, checkpoint: Checkpoint, now: int) -> Checkpoint:
    """A checkpoint that was only named, with its sizes, times and state; one that is gone is doubtful.

    What was listed with its sizes is not asked for again: an object store would list for it.
    """
    is_told = any(it.size is not None for it in checkpoint.entries if it.kind == "file")
    try:
        entries = checkpoint.entries if is_told else refresh_entries(store, checkpoint)
    except OSError as error:
        return checkpoint._replace(state="doubtful", note=Note("not-found-again", why=str(error.strerror or error)))
    state, note = check_completeness(store, find_layout(checkpoint.layout), entries, now, checkpoint.unit)
    return checkpoint._replace(entries=entries, state=state, note=note)
