"""The verdict on one checkpoint and its reasons: doubt skips, any reason to keep keeps, only then is it dropped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import inf
from typing import Literal, NamedTuple

from ckptctl.core.model import SET_ASIDE, Checkpoint, Note, Run
from ckptctl.core.ranking import in_save_order, score_of
from ckptctl.core.retention.eligibility import Eligibility, RuleResult
from ckptctl.core.retention.policy import Policy, find_protected
from ckptctl.core.retention.rules import TopK
from ckptctl.core.retention.rules.protocol import Reason
from ckptctl.core.units import QUIET

Action = Literal["keep", "slim", "drop", "skip"]
Decision = tuple[Action, tuple[Reason, ...]]


_ASIDE = {
    "last": "a save of its own under a last name",
    "final": "the final one",
    "resume": "what training resumes from",
    "derived": "made of others, not saved by training",
    "export": "an export, no training checkpoint",
    "named": "its name is not one that its framework gives",
}
"""What a role says of a save that is set aside."""


class LinkMove(NamedTuple):
    """A link that leaves what goes for what stays."""

    path: str
    """The link's."""
    before: str
    """The path of the checkpoint that it leads to."""
    after: str
    """Of the one that it is to lead to."""


class EvaluationContext(NamedTuple):
    """What the verdicts on a run hang on."""

    part: Eligibility
    results: Sequence[RuleResult]
    policy: Policy
    now: int
    always: Mapping[str, list[Reason]]
    """By path, why it stays whatever the rules say."""
    moves: tuple[LinkMove, ...] = ()
    """The links that hold nothing, for they may move."""


def make_evaluation_context(
    part: Eligibility, results: Sequence[RuleResult], policy: Policy, now: int
) -> EvaluationContext:
    """The context of a run, with what is kept in it always."""
    whole = [it for it in part.quiet if it.state == "complete"]
    moves = tuple(_find_link_moves(part.run, whole, results, policy)) if policy.relink else ()
    loose = {it.path for it in moves}
    always = find_protected(
        whole, part.run, last=policy.protect_last, spared=policy.spared, view=policy.view, loose=loose
    )
    return EvaluationContext(part, results, policy, now, always, moves)


def _find_link_moves(
    run: Run, whole: Sequence[Checkpoint], results: Sequence[RuleResult], policy: Policy
) -> Iterator[LinkMove]:
    """The links named last or best that may leave what goes (``--relink``); ``whole``: a run's complete checkpoints.

    Each only to what stays for certain, whatever a budget takes: to the newest where that is protected, to the best
    where each rule that ranks keeps the same.
    """
    held = {it.path: it for it in whole}
    newest = in_save_order(whole)[-1].path if whole and policy.protect_last else None
    best = _find_best(held, results)
    links = (it for it in run.pointers if (it.kind, it.state) == ("symlink", "ok"))
    for pointer in (it for it in links if it.path.rpartition("/")[0] == run.path):  # in the run's own folder
        stem = pointer.path.rpartition("/")[2].partition(".")[0]
        after = newest if stem in ("last", "latest") else best if stem == "best" else None
        before = pointer.target
        if before in held and after is not None and after != before and held[after].unit != "family":
            yield LinkMove(pointer.path, before or "", after)


def _find_best(held: dict[str, Checkpoint], results: Sequence[RuleResult]) -> str | None:
    """The best of a run by every rule that ranks, if that keeps it; None where they disagree, or none ranks."""
    bests = {_first(held, it) for it in results if isinstance(it.rule, TopK) and it.rule_context.places}
    return bests.pop() if len(bests) == 1 else None


def _first(held: dict[str, Checkpoint], result: RuleResult) -> str | None:
    places = {place: path for path, place in result.rule_context.places.items() if path in held and path in result.kept}
    return places[min(places)] if places else None


def evaluate_checkpoint(context: EvaluationContext, checkpoint: Checkpoint) -> Decision:
    """One checkpoint's verdict."""
    path = checkpoint.path
    if path in context.part.restless:
        return "skip", (Reason("min-age", context.part.restless[path]),)
    if context.policy.named:
        return _evaluate_named(context, checkpoint)
    if checkpoint.state != "complete":
        return _evaluate_unfinished(context, checkpoint)
    reasons = [*_rules_for(context, path), *context.always.get(path, ())] or find_doubts(context, checkpoint)
    return ("keep", tuple(reasons)) if reasons else ("drop", tuple(_pass_over(context, checkpoint)))


def _evaluate_named(context: EvaluationContext, checkpoint: Checkpoint) -> Decision:
    """It goes if it is named, whatever it is, unless somebody writes it, or a link or a pin holds it."""
    if checkpoint.path not in context.policy.named:
        return "keep", (Reason("not-named", "not named"),)
    if checkpoint.state == "live":
        return "skip", (Reason("live", Note("state", state="live", why=checkpoint.note)),)
    held = _find_held(context, checkpoint)
    reasons = [it for it in held[checkpoint.path] if it.rule not in ("only", "origin")]
    return ("keep", tuple(reasons)) if reasons else ("drop", (Reason("named", "named"),))


def _find_held(context: EvaluationContext, checkpoint: Checkpoint) -> dict[str, list[Reason]]:
    """What holds one checkpoint, whatever others there are."""
    spared, view = context.policy.spared, context.policy.view
    return find_protected([checkpoint], context.part.run, last=False, spared=spared, view=view)


def _rules_for(context: EvaluationContext, path: str) -> list[Reason]:
    """What the rules say for keeping it."""
    return [Reason(it.rule.id, it.kept[path]) for it in context.results if path in it.kept]


def _pass_over(context: EvaluationContext, checkpoint: Checkpoint) -> list[Reason]:
    """Why nothing keeps it."""
    passed = [Reason(it.rule.id, it.rule.pass_over(checkpoint, it.rule_context)) for it in context.results]
    return passed if checkpoint.pin is None else [*passed, Reason("pinned", checkpoint.pin)]


def _evaluate_unfinished(context: EvaluationContext, checkpoint: Checkpoint) -> Decision:
    """It is left alone; but what a killed save left goes where that was asked for, and the run has a whole one."""
    state = checkpoint.public_state
    if not (context.policy.partial and checkpoint.state == "partial" and context.now - checkpoint.modified >= QUIET):
        return "skip", (Reason(state, Note("left-alone", why=Note("state", state=state, why=checkpoint.note))),)
    held = _find_held(context, checkpoint)
    reasons = [it for it in held[checkpoint.path] if it.rule != "only"] or _keep_aside(checkpoint)
    reasons = reasons or _keep_by_filter(context, checkpoint)
    if not any(it.state == "complete" for it in context.part.quiet):
        reasons = [Reason("only", "its run has no complete one")]
    if reasons:
        return "skip", tuple(reasons)
    return "drop", (Reason("partial", Note("killed-save", why=checkpoint.note)),)


def find_doubts(context: EvaluationContext, checkpoint: Checkpoint) -> list[Reason]:
    """Why it is kept though no rule speaks for it: by what it is, without a score, or left out by a filter."""
    return _keep_by_nature(context, checkpoint) or _keep_by_filter(context, checkpoint)


def _keep_by_nature(context: EvaluationContext, checkpoint: Checkpoint) -> list[Reason]:
    """What is set aside, an independent ``best``, and what a ranking rule cannot rank: no other rule makes it go."""
    if aside := _keep_aside(checkpoint):
        return aside
    if checkpoint.why_not is not None:
        return [Reason("unproven", checkpoint.why_not)]
    if "best" in checkpoint.roles and checkpoint.path not in context.results[0].rule_context.newer:
        return [Reason("best", "a save of its own under a best name")]
    names = dict.fromkeys(it.rule_context.metric.name for it in context.results if it.rule_context.metric)
    missing = [name for name in names if score_of(checkpoint, name) is None]
    if missing and not context.policy.drop_unranked:
        return [Reason("unranked", f"unranked: no value of {' or '.join(missing)}")]
    return []


def _keep_aside(checkpoint: Checkpoint) -> list[Reason]:
    """The first of its roles that sets it aside."""
    return [Reason(role, _ASIDE[role]) for role in checkpoint.roles if role in SET_ASIDE][:1]


def _keep_by_filter(context: EvaluationContext, checkpoint: Checkpoint) -> list[Reason]:
    """The filters that it does not meet."""
    unmet = [it for it in context.policy.filters if not it.holds(checkpoint, context.now)]
    return [Reason("filter", it.describe_unmet(checkpoint)) for it in unmet]


def budget_rank_of(context: EvaluationContext, checkpoint: Checkpoint) -> float | None:
    """Its best place, where a budget may take it, because only rules keep it; infinity without any place.

    None where something else keeps it too, and for the best by any metric that counts.
    """
    path = checkpoint.path
    if not _rules_for(context, path) or path in context.always or find_doubts(context, checkpoint):
        return None
    places = [it.rule_context.places.get(path, inf) for it in context.results if isinstance(it.rule, TopK)]
    best = min(places, default=inf)
    return None if best == 1 else best
