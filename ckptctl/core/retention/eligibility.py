"""Which checkpoints of a run the rules may choose from, and what each rule keeps of a run or a group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple

from ckptctl.core.model import Checkpoint, Run
from ckptctl.core.ranking import (
    Metric,
    choose_metric,
    in_save_order,
    in_time_order,
    is_usable,
    rank,
    require_same_metric,
    score_of,
)
from ckptctl.core.retention.policy import GroupBy, Policy
from ckptctl.core.retention.rules.protocol import Rule, RuleContext, make_rule_context
from ckptctl.core.retention.rules.top_k import GLOBAL_BEST, TopK
from ckptctl.core.units import NANOSECONDS, write_age
from ckptctl.errors import NoScore, TurnedRound


class Eligibility(NamedTuple):
    """What of a run can be judged."""

    run: Run
    quiet: tuple[Checkpoint, ...]
    """Old enough."""
    restless: Mapping[str, str]
    """By path, why each other one is not."""
    candidates: tuple[Checkpoint, ...]
    """What the rules choose from, oldest first."""


class RuleResult(NamedTuple):
    """A rule, how a run stands before it, and what it keeps."""

    rule: Rule
    rule_context: RuleContext
    kept: Mapping[str, str]
    """By path, of the whole group, with the words that say why."""


def find_eligible(run: Run, policy: Policy, now: int) -> Eligibility:
    """Who of a run takes part; ``now`` in nanoseconds by the file server's clock."""
    quiet, restless = _part_by_age(run.checkpoints, policy, now)
    return Eligibility(run, tuple(quiet), restless, _candidates(quiet))


def _candidates(quiet: Sequence[Checkpoint]) -> tuple[Checkpoint, ...]:
    """Complete, proven to be of a series, and not set aside, as an independent ``best`` is too.

    That one is kept anyway; would it take a place among the best, another save of the very same moment would take the
    next, and the second best would go.
    """
    whole = (it for it in quiet if it.state == "complete" and not it.is_set_aside)
    pool = in_save_order(it for it in whole if it.why_not is None)
    # A callback may call its every save "best" (best.ckpt, best-v1.ckpt): then the rules decide.
    is_numbered = any("best" in it.roles and it.version is not None for it in pool)
    return tuple(it for it in pool if is_numbered or "best" not in it.roles)


def _part_by_age(held: Sequence[Checkpoint], policy: Policy, now: int) -> tuple[list[Checkpoint], dict[str, str]]:
    """Those old enough to judge, and why each other one is not."""
    if not policy.min_age:
        return list(held), {}
    young = {
        checkpoint.path: f"live: written {write_age((now - checkpoint.modified) / NANOSECONDS)} ago"
        for checkpoint in held
        if now - checkpoint.modified < policy.min_age
    }
    return [it for it in held if it.path not in young], young


def evaluate_rules(parts: Sequence[Eligibility], policy: Policy, now: int) -> list[list[RuleResult]]:
    """How each run stands before each rule; raises MetricUnclear and ModeUnclear, also where grouped runs disagree.

    Of each run the rules choose within each of its series.
    """
    series_of = [_part_by_series(part) for part in parts]
    by_rule = [_evaluate_rule(rule, [it for own in series_of for it in own], policy, now) for rule in policy.rules]
    ends = accumulate(map(len, series_of))
    places = [range(end - len(own), end) for own, end in zip(series_of, ends, strict=True)]
    return [[_merge([results[at] for at in own]) for results in by_rule] for own in places]


def _part_by_series(part: Eligibility) -> list[Eligibility]:
    """A run's candidates series by series; all of it where there is one, or none."""
    by_series: dict[str, list[Checkpoint]] = {}
    for it in part.candidates:
        by_series.setdefault(it.series, []).append(it)
    if len(by_series) <= 1:
        return [part]
    return [
        part._replace(run=part.run._replace(checkpoints=tuple(own)), candidates=tuple(own))
        for own in by_series.values()
    ]


def _merge(results: Sequence[RuleResult]) -> RuleResult:
    """What a rule says of a run, of what it says of its series."""
    if len(results) == 1:
        return results[0]
    contexts = [it.rule_context for it in results]
    merged = contexts[0]._replace(
        candidates=tuple(it for context in contexts for it in context.candidates),
        ranked=tuple(it for context in contexts for it in context.ranked),
        places={path: place for context in contexts for path, place in context.places.items()},
        newer={path: count for context in contexts for path, count in context.newer.items()},
        latest=max(it.latest for it in contexts),
        metric=next((it.metric for it in contexts if it.metric), None),
        trouble=next((it.trouble for it in contexts if it.trouble), None),
        is_turned=any(it.is_turned for it in contexts),
    )
    kept = {path: text for result in results for path, text in result.kept.items()}
    return RuleResult(results[0].rule, merged, kept)


def _evaluate_rule(rule: Rule, parts: Sequence[Eligibility], policy: Policy, now: int) -> dict[int, RuleResult]:
    """By its place among the parts, how each run stands before one rule."""
    results: dict[int, RuleResult] = {}
    for group in _group(parts, "all" if rule.id == GLOBAL_BEST else policy.group_by):
        results |= zip(group, _evaluate_group([parts[it] for it in group], rule, policy, now), strict=True)
    return results


def _group(parts: Sequence[Eligibility], by: GroupBy) -> list[list[int]]:
    """The places of the runs that stand together before a rule."""
    groups: dict[str | int, list[int]] = {}
    for place, part in enumerate(parts):
        keys: dict[GroupBy, str | int] = {"run": place, "parent": part.run.path.rpartition("/")[0], "all": ""}
        groups.setdefault(keys[by], []).append(place)
    return list(groups.values())


def _evaluate_group(group: Sequence[Eligibility], rule: Rule, policy: Policy, now: int) -> list[RuleResult]:
    """How each run of a group stands before one rule: numbers are counted as in that run, all else is the group's.

    A run that cannot be ranked has its trouble alone, and takes no part in the ranking of the others.
    """
    found = [_metric_of(part, rule) for part in group]
    metric = _agreed([(part.run.path, it) for part, it in zip(group, found, strict=True) if isinstance(it, Metric)])
    held = [
        it for part, told in zip(group, found, strict=True) if not isinstance(told, NoScore) for it in part.candidates
    ]
    shared = _stand_together(in_time_order(held) if len(group) > 1 else held, metric, policy)._replace(now=now)
    results: list[RuleResult] = []
    kept: dict[tuple[int, int, bool], Mapping[str, str]] = {}
    for part, told in zip(group, found, strict=True):
        bases = _bases_of(part)
        own = shared._replace(step_base=bases[0], epoch_base=bases[1], has_epoch_zero=bases[2])
        kept[bases] = kept[bases] if bases in kept else rule.keep(own)
        if isinstance(told, NoScore):
            own = own._replace(trouble=told.text, is_turned=isinstance(told, TurnedRound))
        results.append(RuleResult(rule, own, kept[bases]))
    return results


def _bases_of(part: Eligibility) -> tuple[int, int, bool]:
    """From what a run's steps and epochs count, and whether only its own epoch 0 shows the latter."""
    step_base, epoch_base = part.run.step_base, part.run.epoch_base
    if epoch_base is not None:
        return step_base, epoch_base, False
    has_zero = any(it.epoch == 0 for it in part.candidates)
    return step_base, int(not has_zero), has_zero


def _agreed(found: Sequence[tuple[str, Metric]]) -> Metric | None:
    """The one metric that all of a group are ranked by, given with the paths of the runs; None where none is ranked."""
    for path, metric in found[1:]:
        require_same_metric(found[0], (path, metric))
    return found[0][1] if found else None


def _stand_together(held: Sequence[Checkpoint], metric: Metric | None, policy: Policy) -> RuleContext:
    """The rule_context of all candidates of a group, oldest first."""
    if metric is None:
        return make_rule_context(held)
    ranked = rank(held, metric, threshold=policy.threshold, latest_wins=policy.latest_wins)
    return make_rule_context(held, ranked, metric)


def _metric_of(part: Eligibility, rule: Rule) -> Metric | NoScore | None:
    """What to rank a run by; where it should be and cannot, why not; None where nothing is to be ranked."""
    if not isinstance(rule, TopK) or rule.count < 0 or not part.candidates:
        return None
    try:
        metric = choose_metric(part.run, monitor=rule.monitor, mode=rule.mode)
    except NoScore as error:
        return error
    scores = [score for it in part.candidates if (score := score_of(it, metric.name)) is not None]
    if any(is_usable(score, metric.mode) for score in scores):
        return metric
    return NoScore(f"no checkpoint has {'a usable value' if scores else 'a value'} of '{metric.name}'")
