"""A second check of a plan, independent of the code that made it: what must hold whatever the policy says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf

from ckptctl.core.model import Checkpoint, Run
from ckptctl.core.ranking import RESTART
from ckptctl.core.retention.plan import RunPlan
from ckptctl.core.retention.policy import Policy
from ckptctl.core.retention.rules import TopK


def audit(run: Run, drawn: RunPlan, policy: Policy) -> Iterator[str]:
    """What is wrong with the plan of one run; of a right one nothing."""
    names = [*(it.path for it in run.checkpoints), *(it.path for it in run.strays)]
    if sorted(it.path for it in drawn.verdicts) != sorted(names):
        yield "it has not one verdict for each name"
    goes = {it.path: it for it in drawn.verdicts if it.action not in ("keep", "skip", "slim")}
    held = {it.path: it for it in run.checkpoints if it.path in goes}
    if any(it.checkpoint is None or it.checkpoint != held.get(path) for path, it in goes.items()):
        yield "something goes that was not found"
    if any(it.state not in _states_that_may_go(policy) for it in held.values()):
        yield "something goes that is not complete"
    if not _find_held(run, drawn, policy).isdisjoint(goes):
        yield "something goes that is linked or pinned"
    changed = {it.path for it in drawn.changed}
    sizes = {it.path: it.size for it in run.checkpoints if it.path in changed}
    if any(it.frees < 0 or it.frees > sizes.get(it.path, 0) for it in drawn.verdicts):
        yield "more is freed than goes"
    yield from _audit_slims(run, drawn, policy)
    if goes and (drawn.unscored or not policy.rules):
        yield "something goes though no rule could judge it"
    if policy.named:
        yield from () if policy.named.issuperset(goes) else ("something goes that was not named",)
        return
    whole = [it for it in run.checkpoints if it.state == "complete"]
    left = [it for it in whole if it.path not in goes]
    if policy.protect_last and whole and not (left and _is_as_new(left, whole)):
        yield "the newest goes"
    scores = _scores_that_count(drawn, policy, whole)
    plain = [it for it in whole if not it.roles]  # one called best may take part, and may be set aside
    best, rest = (min((scores.get(it.path, inf) for it in group), default=inf) for group in (plain, left))
    if best < rest:
        yield "the best goes"


def _audit_slims(run: Run, drawn: RunPlan, policy: Policy) -> Iterator[str]:
    """What is wrong with what is to be slimmed: it must be whole, nobody's to resume from, and not the newest."""
    known = {it.path: it for it in run.checkpoints}
    slims = [it for it in drawn.verdicts if it.action == "slim"]
    held = [known[it.path] for it in slims if it.path in known]
    if any(it.slim is None or known.get(it.path) != it.checkpoint for it in slims) or len(held) < len(slims):
        yield "something is slimmed that was not found"
    if slims and (policy.resumable is None or policy.named or drawn.unscored):
        yield "something is slimmed though nobody asked for it"
    origins = {it.target for it in run.origins}
    if any(it.state != "complete" or it.pinned or it.is_set_aside or it.path in origins for it in held):
        yield "something is slimmed that must stay as it is"
    paths, own = {it.path for it in held}, tuple(f"{it.path}/" for it in run.checkpoints)
    leading = [it for it in run.pointers if it.target in paths and it.path not in known]
    names = [it.path for it in leading] + [name for it in held for name in it.aliases if name not in known]
    names += [it.path for it in drawn.moves if it.after in paths]
    copies = [it.path for it in leading if it.kind in ("copy", "hardlink")]
    if copies or any("best" not in it.rpartition("/")[2] and not it.startswith(own) for it in names):
        yield "something is slimmed that a link to resume by names"
    whole = [it.checkpoint for it in drawn.verdicts if it.action == "keep" and it.checkpoint]
    left = [it for it in whole if it.state == "complete"]
    if held and policy.protect_last and not (left and _is_as_new(left, [*left, *held])):
        yield "the newest is slimmed"


def _find_held(run: Run, drawn: RunPlan, policy: Policy) -> set[str | None]:
    """What is pinned or has another name, what links hold that are not moved to what stays, where others began."""
    kept = {it.path for it in drawn.verdicts if it.stays}
    moved = {it.path for it in drawn.moves if policy.relink and it.after in kept}
    held = {it.target for it in run.pointers if it.path not in moved}
    held |= {it.path for it in run.checkpoints if it.pinned or not moved.issuperset(it.aliases)}
    return held | {it.target for it in run.origins if not policy.named}


def _states_that_may_go(policy: Policy) -> set[str]:
    """What a person names may go whatever it is, unless somebody writes it."""
    named = {"partial", "damaged", "doubtful", "unchecked"} if policy.named else set()
    return {"complete", *named, *(["partial"] if policy.partial else [])}


def _is_as_new(left: Sequence[Checkpoint], whole: Sequence[Checkpoint]) -> bool:
    """Whether no number of the newest training is lower for what goes, and no time by more than a minute."""
    numbered = [it for it in whole if it.step is not None or it.epoch is not None]
    told = [key for key in ("step", "epoch") if all(getattr(it, key) is not None for it in numbered)][:1]
    since = max(it.lineage for it in whole) if told else 0
    for key in told or ("step", "epoch"):
        numbers = {it.path: getattr(it, key) for it in numbered if it.lineage >= since and getattr(it, key) is not None}
        if numbers and max(numbers.values()) not in [numbers.get(it.path) for it in left]:
            return False
    return max(it.modified for it in whole) - max(it.modified for it in left) <= RESTART


def _scores_that_count(drawn: RunPlan, policy: Policy, whole: Sequence[Checkpoint]) -> dict[str, float]:
    """By path the scores of which a rule must keep the best, less being better; NaN is none."""
    metric, ranks = drawn.metric, [it for it in policy.rules if isinstance(it, TopK) and it.count >= 0]
    if metric is not None and all(it.monitor for it in ranks):
        ranks = [it for it in ranks if it.monitor == metric.name]
    is_clear = len({(it.monitor, it.mode) for it in ranks}) == 1  # else nobody can tell here by what each rule ranks
    if metric is None or not is_clear or not any(it.count and it.id != "global-best" for it in ranks):
        return {}
    sign, bar = (1 if metric.mode == "min" else -1), inf if policy.threshold is None else policy.threshold
    plain = [it for it in whole if metric.name in it.metrics and policy.group_by == "run"]
    found = {it.path: sign * it.metrics[metric.name].value for it in plain}
    return {path: value for path, value in found.items() if value < (inf if bar == inf else sign * bar)}
