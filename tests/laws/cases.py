"""Runs and policies of every kind, for the laws."""

from __future__ import annotations

from math import inf, nan
from typing import Literal, NamedTuple

from hypothesis import strategies as st

from ckptctl.core.filters import parse_filter
from ckptctl.core.model import Checkpoint, Pointer, Run, Score, Stray
from ckptctl.core.ranking import in_save_order
from ckptctl.core.retention.budget import Budget
from ckptctl.core.retention.plan import RunPlan, plan_run
from ckptctl.core.retention.policy import Policy
from ckptctl.core.retention.rules import (
    KeepEvery,
    KeepGlob,
    KeepLast,
    KeepNewerThan,
    KeepPeriods,
    KeepSteps,
    KeepWithin,
    TopK,
)
from ckptctl.core.retention.rules.protocol import Rule
from ckptctl.core.retention.rules.top_k import GLOBAL_BEST
from tests.core.samples import HOUR, MINUTE, NOW, save

LOSS = "val_loss"
VALUES = st.one_of(st.sampled_from([0.0, 0.1, 0.5, 0.5, 1.0]), st.floats(-5, 5), st.sampled_from([nan, inf, -inf]))
NUMBERS = ("step", "epoch", "both", "mixed")
MODES: list[Literal["min", "max"]] = ["min", "max"]


class Case(NamedTuple):
    """A run and a policy for it."""

    run: Run
    policy: Policy

    @property
    def plan(self) -> RunPlan:
        return plan_run(self.run, self.policy, NOW)


@st.composite
def checkpoints(draw_: st.DrawFn, *, numbers: tuple[str, ...] = NUMBERS) -> list[Checkpoint]:
    """Up to fourteen, with every kind of trouble, at times in another order than steps.

    Where their numbers are mixed, some have a step, some an epoch, some both, some neither.
    """
    held = []
    numbered = draw_(st.sampled_from(numbers))
    for n in range(draw_(st.integers(0, 14))):
        is_odd = numbered == "mixed" or draw_(st.integers(0, 9)) == 0
        has_step = draw_(st.booleans()) if numbered == "mixed" else numbered != "epoch" and not is_odd
        has_epoch = draw_(st.booleans()) if numbered == "mixed" else numbered != "step" and not is_odd
        value = draw_(st.one_of(st.none(), VALUES, VALUES))
        held.append(
            save(
                f"r/{n}.ckpt",
                value,
                metrics={"acc": Score(draw_(VALUES), None, "name")} if draw_(st.booleans()) else {},
                step=draw_(st.integers(0, 60)) if has_step else None,
                epoch=draw_(st.integers(0, 9)) if has_epoch else None,
                version=draw_(st.sampled_from([None, None, 1])),
                at=draw_(st.integers(0, 9)) * draw_(st.sampled_from([HOUR, HOUR, MINUTE // 3])),
                state=draw_(
                    st.sampled_from(["complete"] * 6 + ["partial", "live", "damaged", "doubtful", "unchecked"])
                ),
                roles=draw_(st.sampled_from([()] * 6 + [("last",), ("best",)])),
                pinned=draw_(st.integers(0, 9)) == 0,
                resumable=draw_(st.sampled_from([None, None, True, False])),
                lineage=draw_(st.sampled_from([0, 0, 0, 1])),
            )
        )
    return held


@st.composite
def runs(draw_: st.DrawFn, *, numbers: tuple[str, ...] = NUMBERS) -> Run:
    held = draw_(checkpoints(numbers=numbers))
    targets = draw_(st.lists(st.sampled_from(held), max_size=2)) if held else []
    names = draw_(st.permutations(["far/0", "far/1", "r/last.ckpt", "r/best"]))
    pointers = tuple(Pointer(name, "symlink", it.path, "ok") for name, it in zip(names, targets, strict=False))
    strays = tuple(Stray(f"r/notes{n}", "not understood") for n in range(draw_(st.integers(0, 2))))
    mode = draw_(st.sampled_from(MODES))
    return Run(
        "r",
        tuple(in_save_order(held)),
        pointers,
        strays,
        LOSS,
        mode,
        draw_(st.integers(0, 1)),
        draw_(st.integers(0, 1)),
    )


COUNTS = st.integers(0, 6)
RULES: st.SearchStrategy[Rule] = st.one_of(
    st.sampled_from([TopK(-1, LOSS), KeepLast(-1)]),
    COUNTS.map(lambda count: TopK(count, LOSS)),
    st.builds(lambda count, mode: TopK(count, LOSS, mode), COUNTS, st.sampled_from(MODES)),
    COUNTS.map(lambda count: TopK(count, "acc", "max", "keep-best")),
    COUNTS.map(lambda count: TopK(count, LOSS, id=GLOBAL_BEST)),
    COUNTS.map(KeepLast),
    st.integers(1, 30).map(KeepEvery),
    st.integers(1, 4).map(lambda count: KeepEvery(count, "epochs")),
    st.integers(0, 9).map(lambda hours: KeepWithin(hours * HOUR)),
    st.integers(990, 1001).map(lambda hours: KeepNewerThan(hours * HOUR)),
    st.builds(KeepPeriods, st.integers(-1, 6), st.sampled_from(["hourly", "daily", "weekly", "monthly"])),
    st.frozensets(st.integers(0, 60), max_size=4).map(KeepSteps),
    st.sampled_from([KeepGlob(pattern) for pattern in ("*1*", "r/2.ckpt", "[3-5].ckpt", "none")]),
)


FILTERS = st.lists(
    st.sampled_from(["val_loss>0.3", "step>=20", "epoch<5", "age>995h", "size=100", "acc!=0.5"]).map(parse_filter),
    max_size=2,
)
BUDGETS = st.builds(Budget, *[st.one_of(st.none(), st.integers(0, 1500)) for _ in range(3)])


@st.composite
def policies(draw_: st.DrawFn, *, budgets: bool = False) -> Policy:
    return Policy(
        tuple(draw_(st.lists(RULES, min_size=1, max_size=4))),
        draw_(st.one_of(st.none(), st.floats(-2, 2))),
        draw_(st.booleans()),
        draw_(st.booleans()),
        draw_(st.booleans()),
        draw_(st.sampled_from([None, None, 0, 995 * HOUR])),
        tuple(draw_(FILTERS)) if draw_(st.booleans()) else (),
        draw_(st.sampled_from(["run", "run", "parent", "all"])),
        draw_(st.booleans()),
        draw_(st.sampled_from([(), (), ("*1*",)])),
        draw_(BUDGETS) if budgets else Budget(),
        relink=draw_(st.booleans()),
    )


CASES = st.builds(Case, runs(), policies())
ORDERED = st.builds(Case, runs(numbers=("step", "epoch", "both")), policies())
"""Those whose order does not hang on which of them are there."""
