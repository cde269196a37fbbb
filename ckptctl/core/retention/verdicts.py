"""What becomes of one checkpoint, and why: doubt skips, a reason keeps, and only then do the rules pass over it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from typing import Literal, NamedTuple

from ckptctl.core.model import SET_ASIDE, Checkpoint
from ckptctl.core.ranking import score_of
from ckptctl.core.retention.best_last_links import Move, find_moves
from ckptctl.core.retention.eligibility import Part, Stood
from ckptctl.core.retention.evaluate import Reason
from ckptctl.core.retention.policy import Policy, protect
from ckptctl.core.retention.rules import TopK
from ckptctl.core.units import QUIET

Action = Literal["keep", "slim", "drop", "skip"]
Ruling = tuple[Action, tuple[Reason, ...]]


class Case(NamedTuple):
    """What the verdicts on a run hang on."""

    part: Part
    stood: Sequence[Stood]
    policy: Policy
    now: int
    always: Mapping[str, list[Reason]]
    """By path, why it stays whatever the rules say."""
    moves: tuple[Move, ...] = ()
    """The links that hold nothing, for they may move."""


def open_case(part: Part, stood: Sequence[Stood], policy: Policy, now: int) -> Case:
    """The case of a run, with what is kept in it always."""
    whole = [it for it in part.quiet if it.state == "complete"]
    moves = find_moves(part.run, whole, stood, policy)
    loose = {it.path for it in moves}
    always = protect(whole, part.run, last=policy.protect_last, spared=policy.spared, loose=loose)
    return Case(part, stood, policy, now, always, moves)


def judge(case: Case, checkpoint: Checkpoint) -> Ruling:
    """One checkpoint's verdict."""
    path = checkpoint.path
    if path in case.part.restless:
        return "skip", (Reason("min-age", case.part.restless[path]),)
    if case.policy.named:
        return _judge_named(case, checkpoint)
    if checkpoint.state != "complete":
        return _judge_unfinished(case, checkpoint)
    reasons = [*_rules_for(case, path), *case.always.get(path, ())] or find_doubts(case, checkpoint)
    return ("keep", tuple(reasons)) if reasons else ("drop", tuple(_pass_over(case, checkpoint)))


def _judge_named(case: Case, checkpoint: Checkpoint) -> Ruling:
    """It goes if it is named, whatever it is, unless somebody writes it, or a link or a pin holds it."""
    if checkpoint.path not in case.policy.named:
        return "keep", (Reason("not-named", "not named"),)
    if checkpoint.state == "live":
        return "skip", (Reason("live", f"live: {checkpoint.note}" if checkpoint.note else "live"),)
    held = protect([checkpoint], case.part.run, last=False, spared=case.policy.spared)
    reasons = [it for it in held[checkpoint.path] if it.rule not in ("only", "origin")]
    return ("keep", tuple(reasons)) if reasons else ("drop", (Reason("named", "named"),))


def _rules_for(case: Case, path: str) -> list[Reason]:
    """What the rules say for keeping it."""
    return [Reason(it.rule.id, it.kept[path]) for it in case.stood if path in it.kept]


def _pass_over(case: Case, checkpoint: Checkpoint) -> list[Reason]:
    """Why nothing keeps it."""
    passed = [Reason(it.rule.id, it.rule.pass_over(checkpoint, it.standing)) for it in case.stood]
    return passed if checkpoint.pin is None else [*passed, Reason("pinned", checkpoint.pin)]


def _judge_unfinished(case: Case, checkpoint: Checkpoint) -> Ruling:
    """It is left alone; but what a killed save left goes where that was asked for, and the run has a whole one."""
    text = f"{checkpoint.state}: {checkpoint.note}" if checkpoint.note else checkpoint.state
    if not (case.policy.partial and checkpoint.state == "partial" and case.now - checkpoint.modified >= QUIET):
        return "skip", (Reason(checkpoint.state, f"{text}: left alone"),)
    held = protect([checkpoint], case.part.run, last=False, spared=case.policy.spared)
    reasons = [it for it in held[checkpoint.path] if it.rule != "only"] or _keep_aside(checkpoint)
    reasons = reasons or _keep_by_filter(case, checkpoint)
    if not any(it.state == "complete" for it in case.part.quiet):
        reasons = [Reason("only", "its run has no complete one")]
    if reasons:
        return "skip", tuple(reasons)
    return "drop", (Reason("partial", f"left by a killed save: {checkpoint.note or 'not whole'}"),)


def find_doubts(case: Case, checkpoint: Checkpoint) -> list[Reason]:
    """Why it is kept though no rule speaks for it: by what it is, without a score, or left out by a filter."""
    return _keep_by_nature(case, checkpoint) or _keep_by_filter(case, checkpoint)


def _keep_by_nature(case: Case, checkpoint: Checkpoint) -> list[Reason]:
    """What is set aside, an independent ``best``, and what a ranking rule cannot rank: no other rule makes it go."""
    if aside := _keep_aside(checkpoint):
        return aside
    if "best" in checkpoint.roles and checkpoint.path not in case.stood[0].standing.newer:
        return [Reason("best", "a save of its own under a best name")]
    names = dict.fromkeys(it.standing.metric.name for it in case.stood if it.standing.metric)
    missing = [name for name in names if score_of(checkpoint, name) is None]
    if missing and not case.policy.drop_unranked:
        return [Reason("unranked", f"unranked: no value of {' or '.join(missing)}")]
    return []


def _keep_aside(checkpoint: Checkpoint) -> list[Reason]:
    """The first of its roles that sets it aside."""
    return [Reason(role, _ASIDE[role]) for role in checkpoint.roles if role in SET_ASIDE][:1]


def _keep_by_filter(case: Case, checkpoint: Checkpoint) -> list[Reason]:
    """The filters that it does not meet."""
    unmet = [it for it in case.policy.filters if not it.holds(checkpoint, case.now)]
    return [Reason("filter", it.tell(checkpoint)) for it in unmet]


def place_of_spare(case: Case, checkpoint: Checkpoint) -> float | None:
    """Its best place, where a budget may take it, because only rules keep it; infinity without any place.

    None where something else keeps it too, and for the best by any metric that counts.
    """
    path = checkpoint.path
    if not _rules_for(case, path) or path in case.always or find_doubts(case, checkpoint):
        return None
    places = [it.standing.places.get(path, inf) for it in case.stood if isinstance(it.rule, TopK)]
    best = min(places, default=inf)
    return None if best == 1 else best


_ASIDE = {
    "last": "a save of its own under a last name",
    "final": "the final one",
    "resume": "what training resumes from",
    "derived": "made of others, not saved by training",
    "export": "an export, no training checkpoint",
    "named": "its name is not one that its framework gives",
}
