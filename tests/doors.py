"""A prune planned by both doors, the command and the API: they must keep and drop the same."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ckptctl import CkptctlError, plan_prune
from tests.cli.calls import call

NUMBERS = {"top_k", "keep_last", "keep_hourly", "keep_daily", "keep_monthly", "global_best", "resumable", "max_files"}
SWITCHES = {"--no-protect-last", "--drop-unranked", "--partial", "--relink", "--strict", "--exact"}
Decisions = Mapping[str, set[str]]
"""By action, the absolute paths of the checkpoints."""


def options_of(flags: Sequence[str]) -> dict[str, Any]:
    """The keyword options that say the same as the flags of a command line."""
    options: dict[str, Any] = {}
    words = iter(flags)
    for flag in words:
        name = flag.removeprefix("--").replace("-", "_")
        word = True if flag in SWITCHES else next(words)
        value = int(word) if name in NUMBERS else word
        options[name] = [options[name], value] if name in options else value
    return options


def by_command(root: Path, flags: Sequence[str]) -> Decisions | str:
    """What a dry run says, or the id of its error."""
    answer = call("prune", root, *flags, "-n", "--json")
    if answer.code:
        return str(answer.error["id"])
    found = defaultdict(set)
    for verdict in (it for run in answer.json["runs"] for it in run["verdicts"]):
        found[verdict["action"]].add(os.path.join(root, verdict["path"]))
    return dict(found)


def by_api(root: Path, flags: Sequence[str]) -> Decisions | str:
    """What a plan says, or the id of the error."""
    try:
        plan = plan_prune(root, **options_of(flags))
    except CkptctlError as error:
        return error.id
    lists = {"drop": plan.drops, "keep": plan.keeps, "slim": plan.slims, "skip": plan.skips}
    return {action: {it.path for it in verdicts} for action, verdicts in lists.items() if verdicts}


def assert_same(root: Path, *flags: str) -> Decisions | str:
    """Plan by both doors; what both say."""
    said = by_command(root, flags)
    assert by_api(root, flags) == said
    return said
