"""A policy: the rules, the options that decide beside them, and what is always kept."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

from ckptctl.core.filters import Filter
from ckptctl.core.model import Checkpoint, Run, Text
from ckptctl.core.ranking import came_later, in_save_order, in_time_order
from ckptctl.core.retention.budget import Budget
from ckptctl.core.retention.rules.named import ANYWHERE, PathView, matches_path
from ckptctl.core.retention.rules.protocol import Reason, Rule
from ckptctl.core.retention.rules.top_k import GLOBAL_BEST
from ckptctl.core.units import write_size

GroupBy = Literal["run", "parent", "all"]


class Policy(NamedTuple):
    """Everything that decides what stays."""

    rules: tuple[Rule, ...]
    threshold: float | None = None
    """Only scores strictly better than this may win."""
    latest_wins: bool = False
    """Of equal scores, the later save (the callbacks keep the earlier)."""
    drop_unranked: bool = False
    """Whether checkpoints without a score may go."""
    protect_last: bool = True
    min_age: int | None = None
    """Nanoseconds; younger than this is never touched. None: only what its layout cannot prove complete waits."""
    filters: tuple[Filter, ...] = ()
    """What does not meet all of them stays."""
    group_by: GroupBy = "run"
    """Of what the rules choose: of each run, of the runs of one folder together, or of all."""
    partial: bool = False
    """Whether leftovers of killed saves go."""
    spared: tuple[str, ...] = ()
    """Patterns of paths that are kept as by a pin."""
    budget: Budget = Budget()
    named: frozenset[str] = frozenset()
    """Paths that a person named: nothing else goes, and of these also what rules pass over."""
    relink: bool = False
    """Whether links called last or best may be moved to what stays, so that they hold nothing that would go."""
    may_empty: bool = False
    """Whether a run may lose its last complete checkpoint."""
    allow_mount: bool = False
    """Whether a root may be a mount point."""
    ignore_unreadable: bool = False
    """Whether files that may name checkpoints and cannot be read keep nothing."""
    resumable: int | None = None
    """So many of what stays, the newest, keep what resuming needs; None: all."""
    view: PathView = ANYWHERE
    """From where the patterns of ``spared`` see paths."""


_GROUPS: Mapping[GroupBy, str] = {
    "run": "of each run",
    "parent": "of the runs of each folder together",
    "all": "of all runs together",
}


def describe_policy(policy: Policy) -> str:
    """The policy in a few sentences."""
    own = " and ".join(rule.describe() for rule in policy.rules if rule.id != GLOBAL_BEST)
    overall = [f"{rule.describe()} of all runs" for rule in policy.rules if rule.id == GLOBAL_BEST]
    kept = " and ".join([*([f"{own} {_GROUPS[policy.group_by]}"] if own else []), *overall])
    newest = ["the newest that can resume"] if policy.protect_last else []
    always = ", ".join(["what a link names", *(f"what matches {it}" for it in policy.spared), *newest])
    return " ".join([f"Keep {kept}. Always kept: {always}.", *_describe_more(policy)])


def _describe_more(policy: Policy) -> Iterator[str]:
    """What else decides, a sentence each."""
    if policy.filters:
        yield f"Only what meets {' and '.join(it.text for it in policy.filters)} may go."
    if policy.resumable is not None:
        newest = "the newest keeps" if policy.resumable == 1 else f"the newest {policy.resumable} keep"
        yield f"Of what stays, only {f'{newest} what resuming needs' if policy.resumable else 'the weights'}."
    if policy.relink:
        yield "Links called last or best follow what stays."
    if policy.partial:
        yield "Leftovers of killed saves go too."
    size, files, free = policy.budget
    limits = [f"at most {write_size(size)}"] if size is not None else []
    limits += [f"at most {files} files"] if files is not None else []
    limits += [f"{write_size(free)} free"] if free is not None else []
    if limits:
        yield f"Worst first, more goes until there are {' and '.join(limits)}."


def find_protected(  # noqa: PLR0913 - one parameter, one reason to keep
    candidates: Iterable[Checkpoint],
    run: Run,
    *,
    last: bool,
    spared: Sequence[str] = (),
    view: PathView = ANYWHERE,
    loose: Collection[str] = (),
) -> dict[str, list[Reason]]:
    """R7 and R8: what of a run no rule and no budget may drop, whatever the policy, by path.

    ``last`` is False where the newest is not asked about, or was given up (``--no-protect-last``); ``loose`` are the
    links that hold nothing, ``spared`` patterns of paths as they are seen by ``view``.
    """
    held = in_save_order(candidates)
    reasons: dict[str, list[Reason]] = {}

    def keep(checkpoint: Checkpoint | None, rule: str, text: Text) -> None:
        if checkpoint is not None:
            reasons.setdefault(checkpoint.path, []).append(Reason(rule, text))

    aliases = {it.path: set(it.aliases) for it in held}
    for pointer in run.pointers:
        if pointer.target in aliases:
            aliases[pointer.target].add(pointer.path)
    for checkpoint in held:
        names = [_seen_from(checkpoint.path, name) for name in sorted(aliases[checkpoint.path].difference(loose))]
        keep(checkpoint if names else None, "linked", f"linked by {', '.join(names)}")
        keep(checkpoint if checkpoint.pinned else None, "pinned", checkpoint.pin or "pinned")
        for origin in (it for it in run.origins if it.target == checkpoint.path):
            keep(checkpoint, "origin", f"another training began from it: {origin.file}")
        for pattern in (it for it in spared if matches_path(it, checkpoint.path, view)):
            keep(checkpoint, "config", f"matches {pattern}, which a configuration file keeps")
    if last and held:
        _protect_newest(held, keep)
    keep(held[0] if len(held) == 1 else None, "only", "the only complete checkpoint")
    return reasons


def _seen_from(path: str, name: str) -> str:
    """A name without its folder where that is the path's own."""
    folder, _, own = name.rpartition("/")
    return own if folder == path.rpartition("/")[0] else name


def _protect_newest(held: list[Checkpoint], keep: Callable[[Checkpoint | None, str, str], None]) -> None:
    """By order and by what can resume; where the order is in doubt, by each number and by time too."""
    newest, latest = held[-1], in_time_order(held)[-1]
    keep(newest, "newest", "newest" if newest.resumable is False else "newest that can resume")
    able = next((it for it in reversed(held) if it.resumable), None)
    unknown = next((it for it in reversed(held) if it.resumable is None or it is able), None)
    keep(able if able is not newest else None, "newest", "newest that can resume")
    is_other = unknown is not newest and unknown is not able
    keep(unknown if is_other else None, "newest", "newest of which nobody knows whether it can resume")
    highest = in_save_order(it._replace(lineage=0) for it in held)[-1]
    if highest.path != newest.path:
        keep(highest, "newest", "newest of an earlier training")
    for checkpoint, number in _newest_by_number(held):
        keep(checkpoint if checkpoint != newest else None, "newest", f"newest by {number}")
    is_unnumbered = latest.step is None and latest.epoch is None
    if latest != newest and (is_unnumbered or came_later(latest, newest)):
        keep(latest, "newest", "newest by time")


def _newest_by_number(held: list[Checkpoint]) -> Iterator[tuple[Checkpoint, str]]:
    """The highest by each number that some of those with numbers lack: it does not count in the order."""
    for number, other in (("step", "epoch"), ("epoch", "step")):
        with_it = [it for it in held if getattr(it, number) is not None]
        if with_it and any(getattr(it, number) is None and getattr(it, other) is not None for it in held):
            yield max(with_it, key=lambda it: (getattr(it, number), it.modified)), number
