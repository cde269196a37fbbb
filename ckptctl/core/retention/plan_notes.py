"""What a person should know of a plan for one run."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from ckptctl.core.model import Roster
from ckptctl.core.ranking import doubt_best, doubt_mode, was_restarted
from ckptctl.core.retention.eligibility import Part, Stood
from ckptctl.core.retention.evaluate import Standing
from ckptctl.core.retention.rules import TopK


def tell_order(part: Part, stood: Sequence[Stood]) -> Iterator[str]:
    """What in the order a person may see otherwise: a second training, an infinite best, a tie for the last place."""
    if any(it.lineage for it in part.candidates):
        yield "more than one training used this folder: last is the newest one's, an earlier one's newest is kept too"
    elif was_restarted(part.candidates):
        yield "steps fall while times rise: was training restarted here? The newest by step and by time are both kept"
    for rule, standing, _ in stood:
        if isinstance(rule, TopK) and standing.metric:
            yield from filter(None, [doubt_mode(standing.metric, rule.mode)])
            yield from _tell_rank(rule, standing, standing.metric.name)


def _tell_rank(rule: TopK, standing: Standing, name: str) -> Iterator[str]:
    ranked = standing.ranked
    if not ranked:
        yield f"no {name} is better than the threshold: nothing is kept for its score"
        return
    yield from filter(None, [doubt_best(ranked[0], name)])
    places = rule.count
    if 0 < places < len(ranked) and ranked[places - 1].score.value == ranked[places].score.value:
        value = ranked[places].score.text or ranked[places].score.value
        yield f"{name} is {value} on both sides of place {places}: the order of saving decided"


def tell_rosters(rosters: Sequence[Roster], going: Collection[str]) -> Iterator[str]:
    """Which lists of training's own will lose names; ``going``: the paths of what goes."""
    for roster in rosters:
        count = sum(target in going for _, target in roster.names)
        if count:
            yield f"{roster.path} lists {count} of what goes, and is corrected before"
