"""The flags that say what to keep, read into a policy."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ckptctl.core.filters import parse_filter
from ckptctl.core.retention.budget import Budget
from ckptctl.core.retention.policy import Policy
from ckptctl.core.retention.rules import (
    KeepAll,
    KeepEvery,
    KeepGlob,
    KeepLast,
    KeepNewerThan,
    KeepPeriods,
    KeepSteps,
    KeepWithin,
    TopK,
)
from ckptctl.core.retention.rules.periods import Period
from ckptctl.core.retention.rules.protocol import Rule
from ckptctl.core.retention.rules.top_k import GLOBAL_BEST
from ckptctl.core.units import NANOSECONDS, parse_duration, parse_size
from ckptctl.errors import UsageError

if TYPE_CHECKING:
    from ckptctl.cli._policy_flags import Flags

_BEST = re.compile(r"(?P<metric>.+?)(?::(?P<mode>min|max))?=(?P<count>-?\d+)")
_EVERY = re.compile(r"(?P<count>\d+)\s*(?P<unit>steps?|epochs?)?")
_PERIODS: tuple[Period, ...] = ("hourly", "daily", "weekly", "monthly")


def make_policy(flags: Flags, *, spared: Sequence[str] = ()) -> Policy:
    """The whole policy; ``spared`` are patterns that files keep; raises UsageError."""
    tie = flags.tie or "earliest"
    if tie not in ("earliest", "latest"):
        raise UsageError(f"--tie {tie} is unknown", hint="pass earliest or latest")
    return Policy(
        read_rules(flags),
        flags.threshold,
        tie == "latest",
        flags.drop_unranked,
        protect_last=not flags.no_protect_last,
        min_age=read_min_age(flags.min_age or "auto"),
        filters=tuple(map(parse_filter, flags.filters or ())),
        group_by=flags.group_by.value,
        partial=flags.partial,
        relink=flags.relink,
        spared=tuple(spared),
        budget=Budget(read_size(flags.max_size), flags.max_files, read_size(flags.free)),
        resumable=flags.resumable,
    )


def read_size(text: str | None) -> int | None:
    """Bytes; None where none was given."""
    return None if text is None else parse_size(text)


def read_rules(flags: Flags) -> tuple[Rule, ...]:
    """The rules that the flags ask for; raises UsageError where they ask for none, or only for nothing."""
    rules = tuple(_rules(flags))
    has_budget = any(it is not None for it in (flags.max_size, flags.max_files, flags.free))
    if not rules and flags.resumable is not None and not has_budget:
        return (KeepAll(),)
    if not rules:
        hint = "pass --top-k N, --keep-last N, --keep-every N, or another rule; --top-k -1 keeps all"
        raise UsageError("no rule says what to keep", hint=hint)
    if all(map(_is_idle, rules)):
        hint = "pass 1 or more, or add a rule that keeps"
        raise UsageError("a count of 0 keeps nothing: it cannot be the only rule", hint=hint)
    return rules


def _is_idle(rule: Rule) -> bool:
    """Whether it keeps nothing of any run."""
    match rule:
        case TopK() | KeepLast() | KeepPeriods():
            return rule.count == 0
        case KeepWithin() | KeepNewerThan():
            return rule.span == 0
    return False


def _rules(flags: Flags) -> Iterator[Rule]:
    if flags.top_k is not None:
        yield TopK(_count("--top-k", flags.top_k), flags.monitor, flags.mode.value)
    if flags.global_best is not None:
        yield TopK(_count("--global-best", flags.global_best), flags.monitor, flags.mode.value, GLOBAL_BEST)
    yield from (_read_best(text, flags.mode.value) for text in flags.keep_best or ())
    if flags.keep_last is not None:
        yield KeepLast(_count("--keep-last", flags.keep_last))
    yield from map(_read_every, flags.keep_every or ())
    if flags.keep_within is not None:
        yield KeepWithin(_read_span(flags.keep_within))
    if flags.keep_newer_than is not None:
        yield KeepNewerThan(_read_span(flags.keep_newer_than))
    for period in _PERIODS:
        count = getattr(flags, f"keep_{period}")
        if count is not None:
            yield KeepPeriods(_count(f"--keep-{period}", count), period)
    if flags.keep_step:
        yield KeepSteps(frozenset(_read_steps(flags.keep_step)))
    yield from map(KeepGlob, flags.keep or ())


def _count(flag: str, count: int) -> int:
    if count < -1:
        raise UsageError(f"{flag} {count} means nothing", hint="pass a number from 0, or -1 to keep all")
    return count


def _read_best(text: str, mode: str) -> TopK:
    """``METRIC[:MODE]=N``; without a mode of its own, by the one that is asked for everywhere."""
    match = _BEST.fullmatch(text)
    if match is None:
        raise UsageError(f"'{text}' does not say which best to keep", hint="write --keep-best val_loss:min=3")
    return TopK(_count("--keep-best", int(match["count"])), match["metric"], match["mode"] or mode, "keep-best")


def _read_every(text: str) -> KeepEvery:
    match = _EVERY.fullmatch(text.strip())
    if match is None or int(match["count"]) == 0:
        raise UsageError(f"'{text}' is not an interval", hint="write --keep-every 1000steps or --keep-every 5epochs")
    return KeepEvery(int(match["count"]), "epochs" if (match["unit"] or "").startswith("epoch") else "steps")


def _read_span(text: str) -> int:
    """Nanoseconds."""
    return parse_duration(text) * NANOSECONDS


def _read_steps(texts: Sequence[str]) -> Iterator[int]:
    for text in ",".join(texts).split(","):
        if not text.strip().isdigit():
            raise UsageError(f"'{text}' is not a step", hint="write --keep-step 1000,5000")
        yield int(text)


def read_min_age(text: str) -> int | None:
    """Nanoseconds; None for ``auto``: only what its layout cannot prove complete waits."""
    return None if text == "auto" else _read_span(text)
