"""Every rule's verdict on one checkpoint, one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import Literal, NamedTuple

from ckptctl.core.model import Checkpoint, Run
from ckptctl.core.retention.eligibility import Stood, part_of, stand_all
from ckptctl.core.retention.plan import Plan, Verdict, leave
from ckptctl.core.retention.verdicts import Case, find_doubts, open_case


class Saying(NamedTuple):
    """What one rule says."""

    rule: str
    """As in a reason."""
    says: Literal["keep", "pass", "slim"]
    text: str


class Explanation(NamedTuple):
    """What becomes of one checkpoint, and what each rule says of it."""

    verdict: Verdict
    sayings: tuple[Saying, ...]


def explain(runs: Sequence[Run], plan: Plan, now: int, path: str) -> Explanation:
    """The explanation for the checkpoint of a path, that must be in one of the runs for which the plan was drawn."""
    policy = plan.policy
    verdict = next(it for drawn in plan.runs for it in drawn.verdicts if it.path == path)
    parts = [part_of(run, policy, now) for run in runs if leave(run, policy) is None]
    cases = map(open_case, parts, stand_all(parts, policy, now), repeat(policy), repeat(now))
    held = ((case, it) for case in cases for it in case.part.run.checkpoints if it.path == path)
    sayings = tuple(saying for case, it in held for saying in _say_all(case, it))
    says: Literal["keep", "slim"] = "slim" if verdict.action == "slim" else "keep"
    slims = (Saying(it.rule, says, it.text) for it in verdict.reasons if it.rule == "resumable")
    return Explanation(verdict, (*sayings, *slims))


def _say_all(case: Case, checkpoint: Checkpoint) -> Iterator[Saying]:
    yield from (_say(stood, checkpoint) for stood in case.stood)
    kept = [*case.always.get(checkpoint.path, ()), *find_doubts(case, checkpoint)]
    yield from (Saying(it.rule, "keep", it.text) for it in kept)
    if checkpoint.pin is not None and not checkpoint.pinned:
        yield Saying("pinned", "pass", checkpoint.pin)


def _say(stood: Stood, checkpoint: Checkpoint) -> Saying:
    rule, standing, kept = stood
    if standing.trouble is not None:
        return Saying(rule.id, "keep", f"{standing.trouble}: the run is left alone")
    if checkpoint.path in kept:
        return Saying(rule.id, "keep", kept[checkpoint.path])
    if checkpoint.path not in standing.newer:
        return Saying(rule.id, "pass", "it takes no part")
    return Saying(rule.id, "pass", rule.pass_over(checkpoint, standing))
