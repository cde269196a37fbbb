"""What a person should know of a plan for one run."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from ckptctl.core.model import Note, Roster
from ckptctl.core.ranking import find_best_doubt, find_mode_doubt, was_restarted
from ckptctl.core.retention.eligibility import Eligibility, RuleResult
from ckptctl.core.retention.evaluate import RuleContext
from ckptctl.core.retention.rules import TopK


def warn_order(part: Eligibility, stood: Sequence[RuleResult]) -> Iterator[Note]:
    """What in the order a person may see otherwise: a second training, an infinite best, a tie for the last place."""
    if any(it.lineage for it in part.candidates):
        yield Note("reused-folder")
    elif was_restarted(part.candidates):
        yield Note("restarted")
    for rule, standing, _ in stood:
        if isinstance(rule, TopK) and standing.metric:
            yield from filter(None, [find_mode_doubt(standing.metric, rule.mode)])
            yield from _warn_rank(rule, standing, standing.metric.name)


def _warn_rank(rule: TopK, context: RuleContext, name: str) -> Iterator[Note]:
    ranked = context.ranked
    if not ranked:
        yield Note("below-threshold", metric=name)
        return
    yield from filter(None, [find_best_doubt(ranked[0], name)])
    places = rule.count
    if 0 < places < len(ranked) and ranked[places - 1].score.value == ranked[places].score.value:
        value = ranked[places].score.text or ranked[places].score.value
        yield Note("tied-places", metric=name, value=value, place=places)


def warn_rosters(rosters: Sequence[Roster], going: Collection[str]) -> Iterator[Note]:
    """Which lists of training's own will lose names; ``going``: the paths of what goes."""
    for roster in rosters:
        count = sum(target in going for _, target in roster.names)
        if count:
            yield Note("roster-corrected", path=roster.path, count=count)
