"""The flags that say what to keep, read into a policy."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ckptctl.core.policy import KeepEvery, KeepGlob, KeepLast, KeepSteps, Policy, Rule, TopK
from ckptctl.core.units import NANOSECONDS, parse_duration
from ckptctl.errors import UsageError

_BEST = re.compile(r"(?P<metric>.+?)(?::(?P<mode>min|max))?=(?P<count>-?\d+)")
_EVERY = re.compile(r"(?P<count>\d+)\s*(?P<unit>steps?|epochs?)?")


class Keeping(NamedTuple):
    """The flags, as typed."""

    top_k: int | None = None
    keep_best: Sequence[str] | None = None
    keep_last: int | None = None
    keep_every: Sequence[str] | None = None
    keep_step: Sequence[str] | None = None
    keep: Sequence[str] | None = None
    monitor: str | None = None
    mode: str = "auto"


def read_rules(flags: Keeping) -> tuple[Rule, ...]:
    """The rules that the flags ask for; raises UsageError where they ask for none, or only for nothing."""
    rules = tuple(_rules(flags))
    if not rules:
        hint = "pass --top-k N, --keep-last N, --keep-every N, or another rule"
        raise UsageError("no rule says what to keep", hint=hint)
    if all(isinstance(rule, (TopK, KeepLast)) and rule.count == 0 for rule in rules):
        hint = "pass 1 or more, or add a rule that keeps"
        raise UsageError("a count of 0 keeps nothing: it cannot be the only rule", hint=hint)
    return rules


def _rules(flags: Keeping) -> Iterator[Rule]:
    if flags.top_k is not None:
        yield TopK(_count("--top-k", flags.top_k), flags.monitor, flags.mode)
    yield from (_read_best(text, flags.mode) for text in flags.keep_best or ())
    if flags.keep_last is not None:
        yield KeepLast(_count("--keep-last", flags.keep_last))
    yield from map(_read_every, flags.keep_every or ())
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


def _read_steps(texts: Sequence[str]) -> Iterator[int]:
    for text in ",".join(texts).split(","):
        if not text.strip().isdigit():
            raise UsageError(f"'{text}' is not a step", hint="write --keep-step 1000,5000")
        yield int(text)


def read_min_age(text: str) -> int | None:
    """Nanoseconds; None for ``auto``: only what its layout cannot prove complete waits."""
    return None if text == "auto" else parse_duration(text) * NANOSECONDS


def make_policy(  # the flags that are no rules, each a question of its own
    flags: Keeping, *, threshold: float | None, tie: str, drop_unranked: bool, protect_last: bool, min_age: str
) -> Policy:
    """The whole policy; raises UsageError."""
    if tie not in ("earliest", "latest"):
        raise UsageError(f"--tie {tie} is unknown", hint="pass earliest or latest")
    return Policy(read_rules(flags), threshold, tie == "latest", drop_unranked, protect_last, read_min_age(min_age))
