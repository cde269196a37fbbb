"""A plan for many runs: a line each, what loses most first, on any screen."""

from __future__ import annotations

import pytest

from ckptctl.core.model import Note, Run
from ckptctl.core.retention.plan import Plan, plan_run, plan_runs
from ckptctl.core.retention.policy import Policy
from ckptctl.core.retention.rules import KeepLast, TopK
from ckptctl.render import plan as screens
from ckptctl.render.text import measure
from tests.core.samples import HOUR, NOW, run_of, save

GB = 10**9
POLICY = Policy((TopK(1), KeepLast(1)))


def make_run(path: str, count: int, *, size: int = GB, **others: object) -> Run:
    """So many checkpoints, each better than the one before but for the last."""
    values = [1 - n / 100 for n in range(count - 1)] + [2.0]
    held = (save(f"{path}/{n}", value, step=n, at=n * HOUR, size=size) for n, value in enumerate(values))
    return run_of(*held, path=path, **others)  # type: ignore[arg-type]


def plan_of(*runs: Run, policy: Policy = POLICY) -> Plan:
    return plan_runs(runs, policy, NOW)


def show(plan: Plan, width: int = 80) -> list[str]:
    return "".join(screens.list_briefly(plan.runs, root="sweep", width=width)).splitlines()


def screen(plan: Plan, width: int = 80, *, verbose: bool = False) -> list[str]:
    return "".join(screens.screen(plan, root="sweep", width=width, verbose=verbose)).splitlines()


def test_a_run_is_a_line_with_what_stays_what_goes_and_for_what() -> None:
    plan = plan_of(make_run("a", 10), make_run("long/b", 3, size=GB // 2))
    assert show(plan) == [
        "run              keep   frees        kept for",
        "sweep/a       2 of 10  8.0 GB  80 %  1 best, 1 last",
        "sweep/long/b   2 of 3  500 MB  33 %  1 best, 1 last",
    ]


def test_runs_from_which_nothing_goes_are_a_count() -> None:
    plan = plan_of(make_run("a", 3), make_run("b", 2), make_run("c", 1))
    assert show(plan)[-1] == "2 more runs: nothing to delete"
    assert show(plan_of(make_run("a", 3), make_run("b", 2)))[-1] == "1 more run: nothing to delete"


def test_each_that_stays_is_counted_once_and_what_is_left_alone_too() -> None:
    held = [*make_run("a", 4).checkpoints, save("a/x", step=9, state="damaged"), save("a/y", 3.0, step=1, pinned=True)]
    assert show(plan_of(run_of(*held, path="a")))[1].endswith("1 best, 1 last, 1 pinned, 1 left alone")


def test_a_run_that_frees_nothing_has_no_share_of_nothing() -> None:
    empty = make_run("a", 3, size=0)
    assert show(plan_of(empty))[1] == "sweep/a  2 of 3    0 B    1 best, 1 last"


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_no_line_is_wider_than_the_screen(width: int) -> None:
    runs = [make_run("n" * 90 + str(n), 30) for n in range(3)]
    lines = show(plan_of(*runs, make_run("\x1b[31mred", 3), make_run("実験" * 30, 3)), width)
    assert max(map(measure, lines)) <= width
    assert not any("\x1b" in line for line in lines)
    assert any("28 of 30" not in line and "2 of 30" in line for line in lines)


# Where it is shown


def many(count: int) -> list[Run]:
    return [make_run(f"r{n}", 3 + n) for n in range(count)]


def test_the_greatest_loss_comes_first_whatever_the_form() -> None:
    heads = [line.split()[0] for line in screen(plan_of(*many(4))) if line.startswith("sweep/")]
    assert heads == ["sweep/r3", "sweep/r2", "sweep/r1", "sweep/r0"]
    rows = [line.split()[0] for line in screen(plan_of(*many(9))) if line.startswith("sweep/")]
    assert rows == [f"sweep/r{n}" for n in range(8, -1, -1)]


def test_more_than_six_changing_runs_have_a_line_each_unless_every_decision_is_asked_for() -> None:
    idle = [make_run(f"idle{n}", 1) for n in range(20)]
    few, more = plan_of(*many(6), *idle), plan_of(*many(7), *idle)
    assert any(line.startswith("  keep ") for line in screen(few))
    assert not any(line.startswith("  keep ") for line in screen(more))
    assert "note: -v shows what stays and what goes, one by one." in screen(more)
    assert any(line.startswith("  keep ") for line in screen(more, verbose=True))
    assert not any("-v shows" in line for line in screen(more, verbose=True))


def test_what_loses_more_than_half_is_counted_below_the_lines() -> None:
    assert "note: 5 of 7 runs lose more than half of their bytes." in screen(plan_of(*many(7)))
    small = [*(make_run(f"s{n}", 3) for n in range(6)), make_run("big", 9)]
    assert "note: 1 of 7 runs loses more than half of its bytes." in screen(plan_of(*small))
    assert not any("more than half" in line for line in screen(plan_of(*small[:6], make_run("s6", 3))))


def test_what_goes_though_it_was_pinned_once_is_the_first_note() -> None:
    run = make_run("a", 4)
    passed = tuple(it._replace(pin=Note("pin-passed", until="2020-01-01", reason=None)) for it in run.checkpoints)
    notes = [
        line for line in screen(plan_of(run._replace(checkpoints=passed[:2] + run.checkpoints[2:]))) if "note:" in line
    ]
    assert notes[0] == "note: 2 checkpoints whose pin has passed go."
    one = run._replace(checkpoints=passed[:1] + run.checkpoints[1:])
    assert "note: 1 checkpoint whose pin has passed goes." in screen(plan_of(one))
    assert not any("pin" in line for line in screen(Plan(POLICY, (plan_run(run, POLICY, NOW),))))


def test_fourteen_runs_with_212_checkpoints_fit_the_smallest_screen_with_the_question() -> None:
    counts = (20, 20, 20, 20, 18, 18, 16, 16, 14, 14, 12, 12, 8, 4)
    plan = plan_of(*(make_run(f"lr{n}e-3/seed0", count) for n, count in enumerate(counts, 1)))
    lines = screen(plan)
    assert sum(counts) == sum(len(run.verdicts) for run in plan.runs) == 212
    assert len([*lines, screens.question(plan)]) <= 24
    assert max(map(measure, lines)) <= 80
