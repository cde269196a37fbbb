"""What each rule says of one checkpoint (``explain``)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import Literal, NamedTuple

from ckptctl.core.model import Checkpoint, Run, Text
from ckptctl.core.retention.eligibility import RuleResult, evaluate_rules, find_eligible
from ckptctl.core.retention.plan import Plan, Verdict, plan_untouched
from ckptctl.core.retention.verdicts import EvaluationContext, find_doubts, make_evaluation_context


class RuleExplanation(NamedTuple):
    """What one rule says."""

    rule: str
    """As in a reason."""
    says: Literal["keep", "pass", "slim"]
    text: Text


class Explanation(NamedTuple):
    """What becomes of one checkpoint, and what each rule says of it."""

    verdict: Verdict
    rules: tuple[RuleExplanation, ...]


def explain(runs: Sequence[Run], plan: Plan, now: int, path: str) -> Explanation:
    """The explanation for the checkpoint of a path, that must be in one of the runs for which the plan was drawn."""
    policy = plan.policy
    verdict = next(it for drawn in plan.runs for it in drawn.verdicts if it.path == path)
    parts = [find_eligible(run, policy, now) for run in runs if plan_untouched(run, policy) is None]
    cases = map(make_evaluation_context, parts, evaluate_rules(parts, policy, now), repeat(policy), repeat(now))
    held = ((case, it) for case in cases for it in case.part.run.checkpoints if it.path == path)
    rules = tuple(explanation for case, it in held for explanation in _say_all(case, it))
    says: Literal["keep", "slim"] = "slim" if verdict.action == "slim" else "keep"
    slims = (RuleExplanation(it.rule, says, it.text) for it in verdict.reasons if it.rule == "resumable")
    return Explanation(verdict, (*rules, *slims))


def _say_all(context: EvaluationContext, checkpoint: Checkpoint) -> Iterator[RuleExplanation]:
    yield from (_say(result, checkpoint) for result in context.results)
    kept = [*context.always.get(checkpoint.path, ()), *find_doubts(context, checkpoint)]
    yield from (RuleExplanation(it.rule, "keep", it.text) for it in kept)
    if checkpoint.pin is not None and not checkpoint.pinned:
        yield RuleExplanation("pinned", "pass", checkpoint.pin)


def _say(result: RuleResult, checkpoint: Checkpoint) -> RuleExplanation:
    rule, rule_context, kept = result
    if rule_context.trouble is not None:
        return RuleExplanation(rule.id, "keep", f"{rule_context.trouble}: the run is left alone")
    if checkpoint.path in kept:
        return RuleExplanation(rule.id, "keep", kept[checkpoint.path])
    if checkpoint.path not in rule_context.newer:
        return RuleExplanation(rule.id, "pass", "it takes no part")
    return RuleExplanation(rule.id, "pass", rule.pass_over(checkpoint, rule_context))
