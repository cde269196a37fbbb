"""What a person should know of a plan for one run."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from ckptctl.core.model import Roster
from ckptctl.core.ranking import describe_best_doubt, describe_mode_doubt, was_restarted
from ckptctl.core.retention.eligibility import Eligibility, RuleResult
from ckptctl.core.retention.evaluate import RuleContext
from ckptctl.core.retention.rules import TopK


def warn_order(part: Eligibility, stood: Sequence[RuleResult]) -> Iterator[str]:
    """What in the order a person may see otherwise: a second training, an infinite best, a tie for the last place."""
    if any(it.lineage for it in part.candidates):
        yield "more than one training used this folder: last is the newest one's, an earlier one's newest is kept too"
    elif was_restarted(part.candidates):
        yield "steps fall while times rise: was training restarted here? The newest by step and by time are both kept"
    for rule, standing, _ in stood:
        if isinstance(rule, TopK) and standing.metric:
            yield from filter(None, [describe_mode_doubt(standing.metric, rule.mode)])
            yield from _warn_rank(rule, standing, standing.metric.name)


def _warn_rank(rule: TopK, context: RuleContext, name: str) -> Iterator[str]:
    ranked = context.ranked
    if not ranked:
        yield f"no {name} is better than the threshold: nothing is kept for its score"
        return
    yield from filter(None, [describe_best_doubt(ranked[0], name)])
    places = rule.count
    if 0 < places < len(ranked) and ranked[places - 1].score.value == ranked[places].score.value:
        value = ranked[places].score.text or ranked[places].score.value
        yield f"{name} is {value} on both sides of place {places}: the order of saving decided"


def warn_rosters(rosters: Sequence[Roster], going: Collection[str]) -> Iterator[str]:
    """Which lists of training's own will lose names; ``going``: the paths of what goes."""
    for roster in rosters:
        count = sum(target in going for _, target in roster.names)
        if count:
            yield f"{roster.path} lists {count} of what goes, and is corrected before"
