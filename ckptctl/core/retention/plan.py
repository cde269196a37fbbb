"""What would be done with every checkpoint, and why. Nothing has happened yet."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, repeat
from typing import Literal, NamedTuple

from ckptctl.core.model import Checkpoint, Note, Roster, Run, Text
from ckptctl.core.ranking import Metric, find_best_doubt, find_mode_doubt, in_save_order
from ckptctl.core.restarts import find_time_conflict
from ckptctl.core.retention.budget import Budget, BudgetCandidate, LinkCounts, apply_budget
from ckptctl.core.retention.decisions import (
    Action,
    EvaluationContext,
    LinkMove,
    budget_rank_of,
    evaluate_checkpoint,
    find_doubts,
    make_evaluation_context,
)
from ckptctl.core.retention.eligibility import Eligibility, RuleResult, evaluate_rules, find_eligible
from ckptctl.core.retention.policy import Policy, describe_policy
from ckptctl.core.retention.rules import TopK
from ckptctl.core.retention.rules.protocol import Reason, RuleContext
from ckptctl.core.retention.slimming import SlimPlan


class Verdict(NamedTuple):
    """What becomes of one checkpoint, or of a stray."""

    path: str
    action: Action
    reasons: tuple[Reason, ...]
    frees: int = 0
    """Bytes that its going really frees: 0 while another name holds the same file."""
    checkpoint: Checkpoint | None = None
    """None for a stray."""
    slim: SlimPlan | None = None
    """What stays of one that is to be slimmed."""

    @property
    def is_change(self) -> bool:
        """Whether anything is to be done with it."""
        return self.action in ("drop", "slim")

    @property
    def stays(self) -> bool:
        """Whether it is kept, whole or slimmed."""
        return self.action in ("keep", "slim")


class RunPlan(NamedTuple):
    """The verdicts on one run, oldest checkpoint first, strays last."""

    path: str
    verdicts: tuple[Verdict, ...]
    metric: Metric | None = None
    notices: tuple[Note, ...] = ()
    unscored: bool = False
    """The run was left alone because nothing in it has a usable score."""
    is_turned: bool = False
    """It was left alone because the mode asked for would turn its metric round."""
    rosters: tuple[Roster, ...] = ()
    """The lists in which training named what would go."""
    folder: str | None = None
    """As in the run."""
    loose: tuple[LinkMove, ...] = ()
    """The links that may move."""

    @property
    def moves(self) -> list[LinkMove]:
        """The links that would move, for what they lead to would go."""
        gone = {it.path for it in self.dropped}
        return [it for it in self.loose if it.before in gone]

    @property
    def dropped(self) -> list[Verdict]:
        """What would go."""
        return [verdict for verdict in self.verdicts if verdict.action == "drop"]

    @property
    def changed(self) -> list[Verdict]:
        """What would go, or be slimmed."""
        return [verdict for verdict in self.verdicts if verdict.is_change]

    @property
    def frees(self) -> int:
        """Bytes that would be freed."""
        return sum(verdict.frees for verdict in self.verdicts)


class Plan(NamedTuple):
    """The verdicts on all runs, under one policy."""

    policy: Policy
    runs: tuple[RunPlan, ...]
    shortfalls: tuple[tuple[str, str], ...] = ()
    """Of each budget that cannot be met: the flag without dashes, and by how much."""

    @property
    def words(self) -> str:
        """The policy in a sentence."""
        return describe_policy(self.policy)

    @property
    def dropped(self) -> list[Verdict]:
        """What would go, of all runs."""
        return [verdict for run in self.runs for verdict in run.dropped]

    @property
    def changed(self) -> list[Verdict]:
        """What would go, or be slimmed, of all runs."""
        return [verdict for run in self.runs for verdict in run.changed]

    @property
    def frees(self) -> int:
        """Bytes that would be freed."""
        return sum(run.frees for run in self.runs)


def plan_run(run: Run, policy: Policy, now: int) -> RunPlan:
    """Give every checkpoint and stray of one run its verdict, as `plan_runs`."""
    return plan_runs([run], policy, now).runs[0]


def plan_runs(runs: Sequence[Run], policy: Policy, now: int, *, room: int = 0) -> Plan:
    """Give every checkpoint and stray of the runs its verdict; ``now`` in nanoseconds by the file server's clock.

    ``room``: bytes that are free on the file system now. Raises MetricUnclear or ModeUnclear where the policy ranks and
    nobody can tell by what, or ranks runs together that disagree.
    """
    alone = [plan_untouched(run, policy) for run in runs]
    parts = [find_eligible(run, policy, now) for run, left in zip(runs, alone, strict=True) if left is None]
    drawn = (
        _draw(part, results, policy, now)
        for part, results in zip(parts, evaluate_rules(parts, policy, now), strict=True)
    )
    drafts = [left or next(drawn) for left in alone]
    return _complete(_cut(drafts, policy, room))


class DraftRunPlan(NamedTuple):
    """A run's plan before budgets."""

    plan: RunPlan
    spares: Mapping[str, float] = {}
    """What only rules keep, by path, with its place in the ranking; infinity where it has none."""


def families_of(checkpoints: Iterable[Checkpoint]) -> list[str]:
    """The frameworks that saved here, sorted; what is set aside does not tell: an export lies beside any.

    Nor does a series of no framework's names, which is chosen from by itself.
    """
    return sorted({it.family for it in checkpoints if not it.is_set_aside and not it.proofs})


def plan_untouched(run: Run, policy: Policy) -> DraftRunPlan | None:
    """The plan of a run that is not to be judged: nothing says how, or two trainings share the folder.

    What is the best or the last of two trainings together is neither's.
    """
    families = families_of(run.checkpoints)
    if policy.rules and (len(families) <= 1 or policy.named):
        return None
    if not policy.rules:
        reason, notices = Reason("no-rule", "no rule says what to keep"), run.notices
    else:
        note = Note("mixed-layouts", families=tuple(families))
        reason, notices = Reason("mixed", note), (*run.notices, Note("left-alone", why=note))
    return DraftRunPlan(RunPlan(run.path, _keep_all(run, reason), notices=notices))


def _keep_all(run: Run, reason: Reason) -> tuple[Verdict, ...]:
    kept = (Verdict(it.path, "keep", (reason,), checkpoint=it) for it in run.checkpoints)
    return (*kept, *_pass_strays(run))


def _pass_strays(run: Run) -> tuple[Verdict, ...]:
    return tuple(Verdict(it.path, "skip", (Reason("stray", Note("left-alone", why=it.why)),)) for it in run.strays)


def _draw(part: Eligibility, results: Sequence[RuleResult], policy: Policy, now: int) -> DraftRunPlan:
    run = part.run
    trouble = next((it.rule_context.trouble for it in results if it.rule_context.trouble), None)
    if trouble is not None:
        verdicts = _keep_all(run, Reason("no-score", f"{trouble}: the run is left alone"))
        notices = (*run.notices, Note("left-alone", why=trouble))
        is_turned = any(it.rule_context.is_turned for it in results)
        return DraftRunPlan(RunPlan(run.path, verdicts, notices=notices, unscored=True, is_turned=is_turned))
    case = make_evaluation_context(part, results, policy, now)
    judged = tuple(Verdict(it.path, *evaluate_checkpoint(case, it), checkpoint=it) for it in run.checkpoints)
    spares = {it.path: place for it in run.checkpoints if (place := budget_rank_of(case, it)) is not None}
    metric = next((it.rule_context.metric for it in results if it.rule_context.metric), None)
    notices = (*run.notices, *warn_order(part, results, policy.named))
    plan = RunPlan(run.path, (*judged, *_pass_strays(run)), metric, notices, rosters=run.rosters, folder=run.folder)
    plan = plan._replace(loose=case.moves)
    return DraftRunPlan(plan, spares)


def _cut(drafts: Sequence[DraftRunPlan], policy: Policy, room: int) -> Plan:
    """The plan, with what its budgets take beyond the rules."""
    plan = Plan(policy, tuple(it.plan for it in drafts))
    if policy.budget == Budget():
        return plan
    stays = [it for number, draft in enumerate(drafts) for it in _stays(number, draft)]
    taken = apply_budget(policy.budget, stays, [it.checkpoint for it in plan.dropped if it.checkpoint], room)
    runs = (
        run._replace(verdicts=tuple(_take(it, taken.going.get((number, it.path))) for it in run.verdicts))
        for number, run in enumerate(plan.runs)
    )
    return plan._replace(runs=tuple(runs), shortfalls=taken.shortfalls)


def _stays(number: int, draft: DraftRunPlan) -> Iterator[BudgetCandidate]:
    """What of a run stays by the rules."""
    held = in_save_order(it.checkpoint for it in draft.plan.verdicts if it.checkpoint)
    times = accumulate((it.modified for it in held), max)
    gone, spares = {it.path for it in draft.plan.dropped}, draft.spares
    for it, since in zip(held, times, strict=True):
        if it.path not in gone:
            yield BudgetCandidate(it, number, it.path in spares, spares.get(it.path, 0), since)


def _take(verdict: Verdict, why: tuple[str, str] | None) -> Verdict:
    """The verdict, turned where a budget takes the checkpoint; what the rules said for it is told still."""
    if why is None:
        return verdict
    return verdict._replace(action="drop", reasons=(Reason(*why), *verdict.reasons))


def _complete(plan: Plan) -> Plan:
    """The plan with what each going frees, where several names of one file the last, and with what lists lose."""
    names, runs = LinkCounts(), list[RunPlan]()
    for run in plan.runs:
        going = {it.path: names.take(it.checkpoint).size for it in run.dropped if it.checkpoint}
        verdicts = tuple(it._replace(frees=going[it.path]) if it.path in going else it for it in run.verdicts)
        lost = warn_rosters(run.rosters, {it.path for it in run.dropped})
        runs.append(run._replace(verdicts=verdicts, notices=(*run.notices, *lost)))
    return plan._replace(runs=tuple(runs))


def warn_order(part: Eligibility, results: Sequence[RuleResult], named: frozenset[str]) -> Iterator[Note]:
    """What a person may see otherwise: files of no series, a second training, an infinite best, a tied last place."""
    if part.run.left_out and not named:  # `rm` may delete one of them
        yield Note("of-no-series", paths=tuple(sorted(it.path for it in part.run.left_out)))
    if any(it.lineage for it in part.candidates):
        yield Note("reused-folder")
    elif (conflict := find_time_conflict(part.candidates)) is not None:
        yield conflict
    for rule, rule_context, _ in results:
        if isinstance(rule, TopK) and rule_context.metric:
            yield from filter(None, [find_mode_doubt(rule_context.metric, rule.mode)])
            yield from _warn_rank(rule, rule_context, rule_context.metric.name)


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
