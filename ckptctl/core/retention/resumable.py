"""Which of the kept checkpoints keep their optimizer state (``--resumable N``): the newest; the others are slimmed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ckptctl.core.model import Checkpoint, Note, Run, Text
from ckptctl.core.ranking import in_save_order
from ckptctl.core.retention.plan import RunPlan, Verdict
from ckptctl.core.retention.policy import Policy
from ckptctl.core.retention.rules.protocol import Reason
from ckptctl.core.retention.slimming import SHARED, SlimPlan

RULE = "resumable"
_LEFT_ALONE = frozenset({"mixed", "no-score", "no-rule"})
"""Reasons of runs that nobody judged."""
_WHOLE = frozenset({"newest", "origin"})
"""Reasons for which one stays as it is."""

SlimAnswer = SlimPlan | Text
"""What would stay of one that holds state to resume from; or why nobody can tell, or may take it out."""


class ResumeCandidate(NamedTuple):
    """One that may hold state to resume from."""

    verdict: Verdict
    checkpoint: Checkpoint


def find_resume_candidates(drawn: RunPlan) -> list[ResumeCandidate]:
    """The complete ones that a plan keeps, oldest first, but for pinned ones, which use up no count.

    None of a run that is left alone.
    """
    kept = [(it, it.checkpoint) for it in drawn.verdicts if it.action == "keep" and it.checkpoint is not None]
    found = {it.path: ResumeCandidate(verdict, it) for verdict, it in kept if _may_hold(verdict, it)}
    return [found[it.path] for it in in_save_order(it.checkpoint for it in found.values())]


def _may_hold(verdict: Verdict, checkpoint: Checkpoint) -> bool:
    rules = {reason.rule for reason in verdict.reasons}
    return checkpoint.state == "complete" and rules.isdisjoint(_LEFT_ALONE | {"pinned", "config"})


def slim_all_but_newest(run: Run, drawn: RunPlan, policy: Policy, answers: Mapping[str, SlimAnswer]) -> RunPlan:
    """The plan with all slimmed but the newest that hold state; of those that hold none there is no answer."""
    if policy.resumable is None:
        return drawn
    moves = {it.path: it.after for it in drawn.moves}
    pointers = tuple(it._replace(target=moves.get(it.path, it.target)) for it in run.pointers)
    named, turned = run._replace(pointers=pointers), dict[str, Verdict]()
    candidates, number = find_resume_candidates(drawn), 0
    held = [(it, answers[it.verdict.path]) for it in candidates if it.verdict.path in answers]
    total = sum(isinstance(answer, SlimPlan) for _, answer in held)
    for seen, (holder, answer) in enumerate(reversed(held), 1):
        holds = isinstance(answer, SlimPlan)  # what cannot be slimmed may hold no state, and does not count
        number += holds
        if (number if holds else seen) > max(policy.resumable, int(policy.protect_last)):
            place = f"{write_ordinal(number)} newest of {total} that can resume: --resumable {policy.resumable}"
            turned[holder.verdict.path] = _turn(named, holder, answer, place)
    return drawn._replace(verdicts=tuple(turned.get(it.path, it) for it in drawn.verdicts))


def _turn(run: Run, holder: ResumeCandidate, answer: SlimAnswer, place: str) -> Verdict:
    """The verdict on one that is not among the newest."""
    verdict = holder.verdict
    if holder.checkpoint.is_set_aside or any(reason.rule in _WHOLE for reason in verdict.reasons):
        return verdict
    if not isinstance(answer, SlimPlan):
        return keep_whole(verdict, answer)
    if why := describe_hold(run, answer):
        return keep_whole(verdict, why)
    if answer.frees <= 0:
        return keep_whole(verdict, "that would free nothing")
    reasons = (*verdict.reasons, Reason(RULE, place))
    return verdict._replace(action="slim", reasons=reasons, frees=answer.frees, slim=answer)


def keep_whole(verdict: Verdict, why: Text) -> Verdict:
    """The verdict on one that is not to be slimmed after all."""
    reasons = (*(it for it in verdict.reasons if it.rule != RULE), Reason(RULE, Note("not-slimmed", why=why)))
    return verdict._replace(action="keep", reasons=reasons, frees=0, slim=None)


def describe_hold(run: Run, slim: SlimPlan) -> str | None:
    """Why other names hold a checkpoint as it is: a link to resume by, a copy that would be none any more."""
    checkpoint = slim.checkpoint
    if slim.is_shared:
        return SHARED
    kinds = {pointer.path: pointer.kind for pointer in run.pointers if pointer.target == checkpoint.path}
    names = {**dict.fromkeys(checkpoint.aliases, "symlink"), **kinds}
    own = {it.path for it in run.checkpoints}  # a copy that is a checkpoint itself is judged by itself
    for path, kind in sorted((path, kind) for path, kind in names.items() if path not in own):
        if kind in ("copy", "hardlink"):
            return f"{path} is a copy of it"
        is_inside = any(path.startswith(f"{it.path}/") for it in run.checkpoints)  # nobody resumes by such a file
        if "best" not in path.rpartition("/")[2] and not is_inside:
            return f"{path} leads to it, and training may resume by that"
    return None


def write_ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th."""
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th") if number // 10 % 10 != 1 else "th"
    return f"{number}{ending}"
