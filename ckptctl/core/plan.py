"""What would be done with every checkpoint, and why. Nothing has happened yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

from ckptctl.core.checkpoint import SET_ASIDE, Checkpoint, Roster, Run
from ckptctl.core.policy import Policy, describe, protect
from ckptctl.core.ranking import (
    Metric,
    choose_metric,
    doubt_best,
    doubt_mode,
    in_order,
    is_usable,
    rank,
    score_of,
    was_restarted,
)
from ckptctl.core.rules import TopK
from ckptctl.core.standing import Reason, Rule, Standing, standing_of
from ckptctl.core.units import NANOSECONDS, write_age
from ckptctl.errors import NoScore

Action = Literal["keep", "slim", "drop", "skip"]


class Verdict(NamedTuple):
    """What becomes of one checkpoint, or of a stray."""

    path: str
    action: Action
    reasons: tuple[Reason, ...]
    frees: int = 0
    """Bytes that its going really frees: 0 while another name holds the same file."""
    checkpoint: Checkpoint | None = None
    """None for a stray."""


class RunPlan(NamedTuple):
    """The verdicts on one run, oldest checkpoint first, strays last."""

    path: str
    verdicts: tuple[Verdict, ...]
    metric: Metric | None = None
    notices: tuple[str, ...] = ()
    unscored: bool = False
    """The run was left alone because nothing in it has a usable score."""
    rosters: tuple[Roster, ...] = ()
    """The lists in which training named what would go."""
    folder: str | None = None
    """As in the run."""

    @property
    def dropped(self) -> list[Verdict]:
        """What would go."""
        return [verdict for verdict in self.verdicts if verdict.action == "drop"]

    @property
    def frees(self) -> int:
        """Bytes that would be freed."""
        return sum(verdict.frees for verdict in self.verdicts)


class Plan(NamedTuple):
    """The verdicts on all runs, under one policy."""

    policy: Policy
    runs: tuple[RunPlan, ...]

    @property
    def words(self) -> str:
        """The policy in a sentence."""
        return describe(self.policy)

    @property
    def dropped(self) -> list[Verdict]:
        """What would go, of all runs."""
        return [verdict for run in self.runs for verdict in run.dropped]

    @property
    def frees(self) -> int:
        """Bytes that would be freed."""
        return sum(run.frees for run in self.runs)


def draw(run: Run, policy: Policy, now: int) -> RunPlan:
    """Give every checkpoint and stray of a run its verdict; ``now`` in nanoseconds by the file server's clock.

    Raises MetricUnclear or ModeUnclear where the policy ranks and nobody can tell by what.
    """
    if not policy.rules:
        return RunPlan(run.path, _keep_all(run, Reason("no-rule", "no rule says what to keep")), notices=run.notices)
    families = families_of(run.checkpoints)
    if len(families) > 1:
        return _leave_mixed(run, families)
    quiet, restless = _part_by_age(run.checkpoints, policy, now)
    candidates = _candidates(quiet)
    standings = [(rule, _stand(run, candidates, rule, policy, now)) for rule in policy.rules]
    troubles = [standing.trouble for _, standing in standings if standing.trouble]
    if troubles:
        return _leave_alone(run, troubles[0])
    kept = protect([it for it in quiet if it.state == "complete"], run.pointers, last=policy.protect_last)
    _apply_rules(kept, standings)
    verdicts = _count_freed([_judge(it, kept, restless, standings, policy) for it in run.checkpoints])
    metric = next((standing.metric for _, standing in standings if standing.metric), None)
    notices = (*run.notices, *_warn(standings), *_tell_rosters(run, verdicts))
    return RunPlan(run.path, (*verdicts, *_pass_strays(run)), metric, notices, rosters=run.rosters, folder=run.folder)


def _tell_rosters(run: Run, verdicts: Sequence[Verdict]) -> Iterator[str]:
    """Which lists of training's own will lose names."""
    going = {verdict.path for verdict in verdicts if verdict.action == "drop"}
    for roster in run.rosters:
        count = sum(target in going for _, target in roster.names)
        if count:
            yield f"{roster.path} lists {count} of what goes, and is corrected before"


def families_of(checkpoints: Iterable[Checkpoint]) -> list[str]:
    """The frameworks that saved here, sorted; what is set aside does not tell: an export lies beside any."""
    return sorted({it.family for it in checkpoints if not it.is_set_aside})


def _leave_mixed(run: Run, families: Sequence[str]) -> RunPlan:
    """Two trainings share the folder: what is the best or the last of both together is neither's."""
    text = f"checkpoints of {' and '.join(families)} lie here: choose one with --layout"
    verdicts = _keep_all(run, Reason("mixed", text))
    return RunPlan(run.path, verdicts, notices=(*run.notices, f"{text}: left alone"))


def _pass_strays(run: Run) -> tuple[Verdict, ...]:
    return tuple(Verdict(it.path, "skip", (Reason("stray", f"{it.why}: left alone"),)) for it in run.strays)


def _warn(standings: Sequence[tuple[Rule, Standing]]) -> Iterator[str]:
    """What in the order a person may see otherwise: a second training, an infinite best, a tie for the last place."""
    if any(it.lineage for it in standings[0][1].candidates):
        yield "more than one training used this folder: last is the newest one's, an earlier one's newest is kept too"
    elif was_restarted(standings[0][1].candidates):
        yield "steps fall while times rise: was training restarted here? The newest by step and by time are both kept"
    for rule, standing in standings:
        if isinstance(rule, TopK) and standing.metric:
            yield from filter(None, [doubt_mode(standing.metric, rule.mode)])
            yield from _warn_of_rank(rule, standing, standing.metric.name)


def _warn_of_rank(rule: TopK, standing: Standing, name: str) -> Iterator[str]:
    scores = [it.score for it in standing.ranked]
    if not scores:
        yield f"no {name} is better than the threshold: nothing is kept for its score"
        return
    yield from filter(None, [doubt_best(standing.ranked[0], name)])
    places = rule.count
    if 0 < places < len(scores) and scores[places - 1].value == scores[places].value:
        value = scores[places].text or scores[places].value
        yield f"{name} is {value} on both sides of place {places}: the order of saving decided"


def _candidates(quiet: Sequence[Checkpoint]) -> tuple[Checkpoint, ...]:
    """What the rules choose from, oldest first: complete, and not set aside, as an independent ``best`` is too.

    That one is kept anyway; would it take a place among the best, another save of the very same moment would take the
    next, and the second best would go.
    """
    pool = in_order(it for it in quiet if it.state == "complete" and not it.is_set_aside)
    # A callback may call its every save "best" (best.ckpt, best-v1.ckpt): then the rules decide.
    is_numbered = any("best" in it.roles and it.version is not None for it in pool)
    return tuple(it for it in pool if is_numbered or "best" not in it.roles)


def _part_by_age(
    checkpoints: Sequence[Checkpoint], policy: Policy, now: int
) -> tuple[list[Checkpoint], dict[str, str]]:
    """Those old enough to judge, and why each other one is not."""
    if not policy.min_age:
        return list(checkpoints), {}
    young = {
        it.path: f"live: written {write_age((now - it.modified) / NANOSECONDS)} ago"
        for it in checkpoints
        if now - it.modified < policy.min_age
    }
    return [it for it in checkpoints if it.path not in young], young


def _stand(run: Run, candidates: tuple[Checkpoint, ...], rule: Rule, policy: Policy, now: int) -> Standing:
    """How the run stands before one rule."""
    standing = standing_of(candidates)._replace(step_base=run.step_base, epoch_base=run.epoch_base, now=now)
    if not isinstance(rule, TopK) or rule.count < 0 or not candidates:
        return standing
    try:
        metric = choose_metric(run, monitor=rule.monitor, mode=rule.mode)
    except NoScore as error:
        return standing._replace(trouble=error.text)
    scores = [score for it in candidates if (score := score_of(it, metric.name)) is not None]
    if not any(is_usable(score, metric.mode) for score in scores):
        worth = "a usable value" if scores else "a value"
        return standing._replace(metric=metric, trouble=f"no checkpoint has {worth} of '{metric.name}'")
    ranked = rank(candidates, metric, threshold=policy.threshold, latest_wins=policy.latest_wins)
    return standing_of(candidates, ranked, metric)._replace(step_base=run.step_base, epoch_base=run.epoch_base)


def _leave_alone(run: Run, trouble: str) -> RunPlan:
    verdicts = _keep_all(run, Reason("no-score", f"{trouble}: the run is left alone"))
    return RunPlan(run.path, verdicts, notices=(*run.notices, f"{trouble}: left alone"), unscored=True)


def _keep_all(run: Run, reason: Reason) -> tuple[Verdict, ...]:
    kept = (Verdict(it.path, "keep", (reason,), checkpoint=it) for it in run.checkpoints)
    return (*kept, *_pass_strays(run))


def _apply_rules(kept: dict[str, list[Reason]], standings: Sequence[tuple[Rule, Standing]]) -> None:
    """Put what the rules say before what is kept always."""
    said: dict[str, list[Reason]] = {}
    for rule, standing in standings:
        for path, text in rule.keep(standing).items():
            said.setdefault(path, []).append(Reason(rule.id, text))
    for path, reasons in said.items():
        kept[path] = reasons + kept.get(path, [])


def _judge(
    checkpoint: Checkpoint,
    kept: dict[str, list[Reason]],
    restless: dict[str, str],
    standings: Sequence[tuple[Rule, Standing]],
    policy: Policy,
) -> Verdict:
    """One checkpoint's verdict: doubt skips, a reason keeps, and only then do the rules pass over it."""
    path = checkpoint.path
    if path in restless:
        return Verdict(path, "skip", (Reason("min-age", restless[path]),), checkpoint=checkpoint)
    if checkpoint.state != "complete":
        text = f"{checkpoint.state}: {checkpoint.note}" if checkpoint.note else checkpoint.state
        return Verdict(path, "skip", (Reason(checkpoint.state, f"{text}: left alone"),), checkpoint=checkpoint)
    if reasons := kept.get(path) or _keep_by_nature(checkpoint, [it for _, it in standings], policy):
        return Verdict(path, "keep", tuple(reasons), checkpoint=checkpoint)
    passed = [Reason(rule.id, rule.pass_over(checkpoint, standing)) for rule, standing in standings]
    if checkpoint.pin is not None:
        passed.append(Reason("pinned", checkpoint.pin))
    return Verdict(path, "drop", tuple(passed), checkpoint.size, checkpoint)


def _keep_by_nature(checkpoint: Checkpoint, standings: Sequence[Standing], policy: Policy) -> list[Reason]:
    """What is set aside, an independent ``best``, and what a ranking rule cannot rank: no other rule makes it go."""
    aside = next((role for role in checkpoint.roles if role in SET_ASIDE), None)
    if aside is not None:
        return [Reason(aside, _ASIDE[aside])]
    if "best" in checkpoint.roles and checkpoint.path not in standings[0].newer:
        return [Reason("best", "a save of its own under a best name")]
    names = dict.fromkeys(standing.metric.name for standing in standings if standing.metric)
    missing = [name for name in names if score_of(checkpoint, name) is None]
    if missing and not policy.drop_unranked:
        return [Reason("unranked", f"unranked: no value of {' or '.join(missing)}")]
    return []


_ASIDE = {
    "last": "a save of its own under a last name",
    "final": "the final one",
    "resume": "what training resumes from",
    "derived": "made of others, not saved by training",
    "export": "an export, no training checkpoint",
    "named": "its name is not one that its framework gives",
}


def _count_freed(verdicts: list[Verdict]) -> list[Verdict]:
    """Count a hard-linked file's bytes only where all of its names go, and once."""
    going: Counter[object] = Counter(
        entry.identity
        for verdict in verdicts
        if verdict.action == "drop" and verdict.checkpoint
        for entry in verdict.checkpoint.entries
        if entry.links > 1 and entry.kind != "dir"
    )
    if not going:
        return verdicts
    counted: set[object] = set()
    return [_free_of(verdict, going, counted) if verdict.action == "drop" else verdict for verdict in verdicts]


def _free_of(verdict: Verdict, going: Mapping[object, int], counted: set[object]) -> Verdict:
    frees = 0
    for entry in verdict.checkpoint.entries if verdict.checkpoint else ():
        last_name = going[entry.identity] >= entry.links and entry.identity not in counted
        if entry.links == 1 or entry.kind == "dir" or last_name:
            frees += entry.size or 0
        if last_name and entry.links > 1:
            counted.add(entry.identity)
    return verdict._replace(frees=frees)
