"""A plan in a file: drawn in one step, carried out in another, and nothing that is not in it."""

from __future__ import annotations

import json
import math
import operator
import os
import time
from collections.abc import Callable, Iterator
from functools import reduce
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from tests.cli.calls import BEST, LAST, NAMES, call, listing, make_run, save, state
from tests.cli.ills import rewrite

LONGER = state(epoch=7, note="longer")
GONE = [name for name in NAMES if name not in (BEST, LAST)]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return make_run(tmp_path / "runs" / "a")


def drawn(*words: str) -> Path:
    """The file of a plan."""
    answer = call("prune", "runs", "--top-k", "1", "--mode", "min", "--plan-out", "plan.json", *words)
    assert answer.code == 0, answer.err
    return Path("plan.json")


def test_to_write_a_plan_changes_nothing_and_to_apply_it_does_exactly_that(run: Path) -> None:
    before = listing(run)
    plan = drawn()
    assert listing(run) == before
    answer = call("apply", plan, "--yes")
    assert answer.code == 0, answer.err
    assert sorted(os.listdir(run)) == sorted([BEST, LAST])
    assert answer.err.startswith("Deleted 2 checkpoints")


def test_the_file_tells_the_plan_as_the_json_of_a_prune_does(run: Path) -> None:
    held = json.loads(drawn().read_text())
    told = call("prune", "runs", "--top-k", "1", "--mode", "min", "-n", "--json").json
    assert held["plan"] == told
    assert sorted(held["changes"]) == [str(run / name) for name in sorted(GONE)]


def test_it_can_be_applied_from_elsewhere(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = drawn().resolve()
    (tmp_path / "else").mkdir()
    monkeypatch.chdir(tmp_path / "else")
    assert call("apply", plan, "--yes").code == 0
    assert sorted(os.listdir(run)) == sorted([BEST, LAST])


def test_a_plan_for_several_places_is_carried_out_in_all(run: Path) -> None:
    make_run(run.parent / "b")
    answer = call("prune", "runs/a", "runs/b", "--top-k", "1", "--plan-out", "plan.json")
    assert answer.code == 0, answer.err
    assert call("apply", "plan.json", "--yes").code == 0
    assert sorted(os.listdir(run)) == sorted(os.listdir(run.parent / "b")) == sorted([BEST, LAST])


def test_what_would_go_by_now_and_is_not_in_the_plan_stays(run: Path) -> None:
    plan = drawn()
    save(run, ["epoch=9-step=900-val_loss=0.90.ckpt", "epoch=10-step=1000-val_loss=0.95.ckpt"])
    assert call("apply", plan, "--yes").code == 0
    assert sorted(os.listdir(run)) == sorted(
        [BEST, LAST, "epoch=9-step=900-val_loss=0.90.ckpt", "epoch=10-step=1000-val_loss=0.95.ckpt"]
    )


CHANGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "written anew": (
        lambda path: rewrite(path.parent, path.name, state(epoch=7, note="longer")),
        "changed since the plan",
    ),
    "linked": (lambda path: (path.parent / "best.ckpt").symlink_to(path.name), "stays now: linked by best.ckpt"),
    "pinned": (lambda path: Path(f"{path}.keep").touch(), "stays now: pinned"),
    "gone": (lambda path: path.rename(path.parent / "elsewhere"), "gone since the plan"),
}


@pytest.mark.parametrize(("change", "why"), CHANGES.values(), ids=CHANGES)
def test_what_changed_since_the_plan_stays_and_is_named(run: Path, change: Callable[[Path], object], why: str) -> None:
    plan = drawn()
    change(run / GONE[0])
    before = listing(run)
    answer = call("apply", plan, "--yes")
    assert answer.code == 3, answer.err
    assert f"runs/a/{GONE[0]}: {why}" in answer.err
    assert listing(run) == {path: told for path, told in before.items() if path != GONE[1]}


def test_where_nothing_of_it_may_go_any_more_it_is_refused(run: Path) -> None:
    plan = drawn()
    for name in GONE:
        (run / f"{name}.keep").touch()
    answer = call("apply", plan, "--yes")
    assert (answer.code, "error[stale-plan]" in answer.err) == (6, True)
    assert f"a/{GONE[0]}: stays now: pinned" in answer.err


def test_a_plan_of_another_folder_under_the_same_name_is_refused(run: Path) -> None:
    plan = drawn()
    run.parent.rename(run.parent.parent / "older")
    make_run(run)
    before = listing(run)
    answer = call("apply", plan, "--yes")
    assert (answer.code, "is another folder than the one that was planned for" in answer.err) == (6, True)
    assert listing(run) == before


def test_a_plan_older_than_a_day_is_refused(run: Path) -> None:
    plan = drawn()
    held = json.loads(plan.read_text())
    plan.write_text(json.dumps({**held, "created": time.time_ns() - 25 * 3600 * 10**9}))
    answer = call("apply", plan, "--yes")
    assert (answer.code, "more than a day old" in answer.err) == (6, True)
    assert sorted(os.listdir(run)) == sorted(NAMES)


def test_a_plan_from_the_future_is_refused(run: Path) -> None:
    plan = drawn()
    held = json.loads(plan.read_text())
    plan.write_text(json.dumps({**held, "created": 10**30}))
    answer = call("apply", plan, "--yes")
    assert (answer.code, "made in the future" in answer.err) == (6, True)
    assert sorted(os.listdir(run)) == sorted(NAMES)


def test_a_pipe_for_a_plan_keeps_nobody_waiting(run: Path) -> None:
    os.mkfifo(run / "pipe.json")
    answer = call("apply", run / "pipe.json", "--yes")
    assert (answer.code, "pipe.json: is not a regular file" in answer.err) == (2, True)


BROKEN = {
    "too deep": ("[" * 200_000, 2, "it is nested too deeply"),
    "a long number": ('{"ckptctl_plan": ' + "9" * 6000 + "}", 2, "cannot be read as a plan"),
    "no JSON": ("{", 2, "cannot be read as a plan"),
    "something else": ("[]", 2, "is no plan of this version"),
    "another version": ('{"ckptctl_plan": 9}', 2, "is no plan of this version"),
    "not whole": ('{"ckptctl_plan": 1}', 2, "does not say what a plan says"),
    "an unknown flag": (None, 2, "does not say what a plan says"),
}


@pytest.mark.parametrize(("text", "code", "says"), BROKEN.values(), ids=BROKEN)
def test_what_is_no_plan_is_told_in_a_line(run: Path, text: str | None, code: int, says: str) -> None:
    plan = drawn()
    if text is None:
        held = json.loads(plan.read_text())
        text = json.dumps({**held, "flags": {**held["flags"], "nonsense": 1}})
    plan.write_text(text)
    answer = call("apply", plan, "--yes")
    assert (answer.code, says in answer.err, "Traceback" in answer.err) == (code, True, False)


ODD: tuple[object, ...] = (
    None,
    True,
    -1,
    10**30,
    1.5,
    math.inf,
    math.nan,
    "",
    "x",
    "/",
    "/a\0b",
    "/\ud800",
    "9" * 5000,
    [],
    [1],
    ["x"],
    {},
)


def find_places(value: object, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to each value in a document."""
    yield from [above] if above else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, it in items:
        yield from find_places(it, (*above, key))


def test_a_plan_with_any_value_of_another_kind_ends_in_a_line(run: Path) -> None:
    plan = drawn()
    held = {key: it for key, it in json.loads(plan.read_text()).items() if key != "plan"}
    before = listing(run)
    for way, odd in product(find_places(held), ODD):
        twisted = json.loads(json.dumps(held))
        holder = reduce(operator.getitem, way[:-1], twisted)
        holder[way[-1]] = odd
        plan.write_text(json.dumps(twisted))
        assert call("apply", plan).code in (0, 2, 4, 5, 6), (way, odd)
    assert listing(run) == before


def test_a_plan_that_is_not_there_is_told_with_the_way_to_one(run: Path) -> None:
    answer = call("apply", "none.json")
    assert (answer.code, "prune --plan-out" in answer.err) == (4, True)


def test_a_plan_that_a_guard_refuses_is_not_written(run: Path) -> None:
    answer = call("prune", "runs", "--top-k", "1", "--max-delete", "1", "--plan-out", "plan.json")
    assert (answer.code, Path("plan.json").exists()) == (6, False)


def test_nothing_is_carried_out_without_consent(run: Path) -> None:
    plan = drawn()
    before = listing(run)
    assert call("apply", plan).code == 6
    assert call("apply", plan, "-n").code == 0
    assert listing(run) == before


@pytest.mark.parametrize("flag", [["--yes"], ["--every", "5m"]], ids=["--yes", "--every"])
def test_to_write_a_plan_contradicts_to_carry_it_out(run: Path, flag: list[str]) -> None:
    answer = call("prune", "runs", "--top-k", "1", "--plan-out", "plan.json", *flag)
    assert (answer.code, "contradict each other" in answer.err) == (2, True)


def test_it_can_be_set_aside_and_put_back(run: Path) -> None:
    before = listing(run)
    assert call("apply", drawn(), "--yes", "--trash").code == 0
    assert call("undo").code == 0
    assert listing(run) == before


def test_where_a_configuration_file_makes_the_trash_the_default_it_is_set_aside_too(run: Path) -> None:
    before = listing(run)
    plan = drawn()
    Path("ckptctl.toml").write_text('trash = true\ntrash-for = "7d"\n')
    answer = call("apply", plan, "--yes")
    assert (answer.code, "nothing freed for 7d" in answer.err) == (0, True), answer.err
    assert call("undo").code == 0
    assert listing(run) == before
