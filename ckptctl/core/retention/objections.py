"""Why a plan must not run, whatever its policy says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ckptctl.core.model import Note, Run, Text
from ckptctl.core.retention.audit import audit
from ckptctl.core.retention.plan import Plan, RunPlan
from ckptctl.core.retention.policy import Policy
from ckptctl.core.units import write_size

MOST_OTHERS = 1000
"""Files in a git work tree beside checkpoints; with more it is a project, and hardly what a rule was meant for."""


class Objection(NamedTuple):
    """Why a plan must not run."""

    id: str
    text: Text
    override: str | None = None
    """The flag that overrides it, if any may."""

    @property
    def is_of_root(self) -> bool:
        """Whether nothing at all may be pruned there."""
        return self.id.startswith("root-")


class RootFacts(NamedTuple):
    """What the guards must know of the place where a plan would run."""

    path: str
    """The root, with links resolved."""
    is_mount: bool = False
    homes: frozenset[str] = frozenset()
    """Folders that are somebody's home, absolute, links resolved."""
    is_empty: bool = False
    """Nothing at all was listed in it."""
    others: int = 0
    """Of a git work tree's top folder: how many files were listed below it that are no checkpoints'."""


def find_objections(
    plan: Plan,
    runs: Sequence[Run],
    roots: Sequence[RootFacts],
    *,
    max_delete: int | None = None,
    max_delete_size: int | None = None,
) -> list[Objection]:
    """Every objection to a plan; an empty list lets it run. ``runs`` are those that the plan was drawn for."""
    return [
        *(objection for facts in roots for objection in _object_to_root(facts, plan.policy)),
        *_object_to_listing(runs),
        *(objection for run in plan.runs for objection in _object_to_held(run, plan.policy.named)),
        *(objection for run in plan.runs for objection in _object_to_emptying(run, plan.policy)),
        *_object_to_unread(plan, runs),
        *_object_to_idle_rules(plan),
        *_object_to_unsound(plan, runs),
        *_object_to_shortfall(plan),
        *_object_to_amount(plan, max_delete, max_delete_size),
    ]


def _object_to_root(facts: RootFacts, policy: Policy) -> Iterator[Objection]:
    """What a rule must not sweep through; what a person named one by one is no sweep."""
    below = "name the folder of runs below it"
    if policy.named:
        pass
    elif facts.path == "/":
        yield Objection("root-is-filesystem", f"'/' is the whole file system: {below}")
    elif facts.path in facts.homes:
        yield Objection("root-is-home", f"'{facts.path}' is a home folder: {below}")
    elif any(home.startswith(f"{facts.path}/") for home in facts.homes):
        yield Objection("root-is-home", f"'{facts.path}' holds home folders: {below}")
    elif facts.is_mount and not policy.allow_mount:
        yield Objection("root-is-mount", f"'{facts.path}' is a mount point: {below}", "--allow-mount")
    elif facts.others > MOST_OTHERS:
        text = f"'{facts.path}' is a git work tree with {facts.others} files that are no checkpoints': {below}"
        yield Objection("root-is-work-tree", text)
    if facts.is_empty:
        yield Objection("root-is-empty", f"'{facts.path}' is empty: is its disk mounted?")


def _object_to_listing(runs: Sequence[Run]) -> Iterator[Objection]:
    for run in runs:
        if not run.listed:
            text = f"'{run.path or '.'}' could not be listed whole: nothing may go by what was not seen"
            yield Objection("incomplete-listing", text)


def _object_to_unread(plan: Plan, runs: Sequence[Run]) -> Iterator[Objection]:
    """Files that may name what would go, and that nobody could read; none keeps what a person named from going."""
    if plan.policy.ignore_unreadable:
        return
    losing = {it.path for it in plan.runs if it.changed}
    unread = (it for run in runs if run.path in losing for it in run.unread)
    for file in dict.fromkeys(it for it in unread if not (it.is_origin and plan.policy.named)):
        what = "where a training began" if file.is_origin else "a checkpoint that is in use"
        text = f"'{file.path}' may say {what}, and was not understood: {file.why}"
        yield Objection("unreadable", text, "--ignore-unreadable")


def _object_to_unsound(plan: Plan, runs: Sequence[Run]) -> Iterator[Objection]:
    """What only a mistake of ours can cause."""
    for path, why in audit_all([run for run in runs if run.checkpoints], plan):
        text = f"the plan for '{path or '.'}' is wrong: {why}. This is a bug in ckptctl: please report it"
        yield Objection("plan-unsound", text)


def audit_all(runs: Sequence[Run], plan: Plan) -> Iterator[tuple[str, str]]:
    """The path of each run whose plan is wrong, and what is wrong with it; ``runs`` in the order of the plan's."""
    if [it.path for it in runs] != [it.path for it in plan.runs]:
        yield "", "it is not of the runs that were found"
        return
    yield from ((run.path, why) for run, it in zip(runs, plan.runs, strict=True) for why in audit(run, it, plan.policy))


def _object_to_held(run: RunPlan, named: frozenset[str]) -> Iterator[Objection]:
    """What a person named and something holds: what else was named does not go without it."""
    for verdict in run.verdicts:
        if verdict.path in named and verdict.action != "drop":
            yield Objection("held", Note("held", path=verdict.path, reasons=tuple(it.text for it in verdict.reasons)))


def _object_to_emptying(run: RunPlan, policy: Policy) -> Iterator[Objection]:
    complete = [it for it in run.verdicts if it.checkpoint and it.checkpoint.state == "complete"]
    if complete and not policy.may_empty and all(verdict.action == "drop" for verdict in complete):
        text = f"'{run.path or '.'}' would lose its every complete checkpoint"
        yield Objection("empties-run", *((text, "--empty-run") if policy.named else (f"{text}: widen a rule",)))


def _object_to_idle_rules(plan: Plan) -> Iterator[Objection]:
    """Rules that keep nothing anywhere: a pattern that matches nothing, a threshold that nothing beats."""
    ids = {rule.id for rule in plan.policy.rules}
    reasons = (reason for run in plan.runs for it in run.verdicts if it.stays for reason in it.reasons)
    if plan.dropped and not plan.policy.named and not any(reason.rule in ids for reason in reasons):
        text = "no rule keeps anything: of each run only what is always kept would stay"
        yield Objection("keeps-nothing", text)


def _object_to_amount(plan: Plan, max_delete: int | None, most: int | None) -> Iterator[Objection]:
    """By what goes, not by what that frees: what other names hold goes all the same."""
    count = len(plan.dropped)
    if max_delete is not None and count > max_delete:
        text = f"{count} checkpoints would go, more than the {max_delete} allowed"
        yield Objection("max-delete", text, "--max-delete")
    size = sum(it.frees if it.action == "slim" else it.checkpoint.size for it in plan.changed if it.checkpoint)
    if most is not None and size > most:
        text = f"{write_size(size)} would go, more than the {write_size(most)} allowed"
        yield Objection("max-delete-size", text, "--max-delete-size")


def _object_to_shortfall(plan: Plan) -> Iterator[Objection]:
    for flag, text in plan.shortfalls:
        yield Objection("budget", f"the budget cannot be met: {text}", None if flag == "free" else f"--{flag}")
