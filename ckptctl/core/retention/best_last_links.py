"""Links named last or best, which may be moved to the checkpoint that is last or best now (``--relink``)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ckptctl.core.model import Checkpoint, Pointer, Run
from ckptctl.core.ranking import in_save_order
from ckptctl.core.retention.eligibility import RuleResult
from ckptctl.core.retention.policy import Policy
from ckptctl.core.retention.rules import TopK

LAST, BEST = frozenset({"last", "latest"}), frozenset({"best"})
"""What such a link is called, its extension aside."""


class LinkMove(NamedTuple):
    """A link that leaves what goes for what stays."""

    path: str
    """The link's."""
    before: str
    """The path of the checkpoint that it leads to."""
    after: str
    """Of the one that it is to lead to."""


def find_link_moves(
    run: Run, whole: Sequence[Checkpoint], results: Sequence[RuleResult], policy: Policy
) -> tuple[LinkMove, ...]:
    """The links of a run that may move out of the way; ``whole`` are its complete checkpoints.

    Each only to what stays for certain, whatever a budget takes: to the newest where that is protected, to the best
    where each rule that ranks keeps the same.
    """
    return tuple(_find(run, whole, results, policy)) if policy.relink else ()


def _find(run: Run, whole: Sequence[Checkpoint], results: Sequence[RuleResult], policy: Policy) -> Iterator[LinkMove]:
    held = {it.path: it for it in whole}
    newest = in_save_order(whole)[-1].path if whole and policy.protect_last else None
    best = _find_best(held, results)
    for pointer in filter(lambda it: _is_own_link(it, run), run.pointers):
        stem = pointer.path.rpartition("/")[2].partition(".")[0]
        after = newest if stem in LAST else best if stem in BEST else None
        before = pointer.target
        if before in held and after is not None and after != before and held[after].unit != "family":
            yield LinkMove(pointer.path, before or "", after)


def _is_own_link(pointer: Pointer, run: Run) -> bool:
    """Whether it is a symbolic link in the run's own folder."""
    return (pointer.kind, pointer.state) == ("symlink", "ok") and pointer.path.rpartition("/")[0] == run.path


def _find_best(held: dict[str, Checkpoint], results: Sequence[RuleResult]) -> str | None:
    """The best of a run by every rule that ranks, if that keeps it; None where they disagree, or none ranks."""
    bests = {_first(held, it) for it in results if isinstance(it.rule, TopK) and it.rule_context.places}
    return bests.pop() if len(bests) == 1 else None


def _first(held: dict[str, Checkpoint], result: RuleResult) -> str | None:
    places = {place: path for path, place in result.rule_context.places.items() if path in held and path in result.kept}
    return places[min(places)] if places else None
