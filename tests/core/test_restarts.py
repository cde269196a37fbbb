"""Which training saved what, where one folder was used more than once."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckptctl.core.model import Checkpoint
from ckptctl.core.ranking import in_save_order
from ckptctl.core.restarts import MOST_TRAININGS, find_time_conflict, number_restarts
from tests.core.samples import HOUR, MINUTE, save

OLD = [save(f"old-{step}", step=step, at=step * HOUR) for step in (10, 20, 30)]
NEW = [save(f"new-{step}", step=step, at=(100 + step) * HOUR) for step in (10, 20)]


def parted(held: list[Checkpoint], lists: Mapping[str, set[str]]) -> dict[str, int]:
    """The trainings of checkpoints, some of whose states list others."""
    return number_restarts(
        {it.path: it for it in held}, lambda it: {"val_loss": lists[it.path]} if it.path in lists else {}
    )


def names(*checkpoints: Checkpoint) -> set[str]:
    return {it.path for it in checkpoints}


def test_what_neither_lists_the_other_was_saved_by_two_trainings() -> None:
    lists = {"old-30": names(*OLD), "new-20": names(*NEW)}
    assert parted([*OLD, *NEW], lists) == dict.fromkeys(names(*OLD), 0) | dict.fromkeys(names(*NEW), 1)


@pytest.mark.parametrize(
    "lists",
    [
        pytest.param({"old-30": {"old-30"}}, id="only the highest lists any"),
        pytest.param({"new-20": {"new-20"}}, id="only the latest lists any"),
        pytest.param({}, id="none lists any"),
        pytest.param({"old-30": set(), "new-20": set()}, id="the lists are empty"),
        pytest.param({"old-30": {"old-30"}, "new-20": {"old-30", "new-20"}}, id="the latest lists the highest"),
    ],
)
def test_times_that_are_well_apart_are_no_proof_of_a_second_training(lists: dict[str, set[str]]) -> None:
    assert set(parted([*OLD, *NEW], lists).values()) == {0}


def test_what_another_callback_saved_is_no_second_training_when_its_file_is_touched() -> None:
    every = save("every-10", step=10, at=99 * HOUR)  # in no list: that callback keeps all
    best = [save("best-5", step=5, at=5 * HOUR), save("best-25", step=25, at=25 * HOUR)]
    lists = {"every-10": {"best-5"}, "best-25": {"best-5", "best-25"}}
    assert set(parted([every, *best], lists).values()) == {0}


def test_lists_of_different_metrics_are_not_held_against_each_other() -> None:
    lists = {"old-30": {"val_loss": names(*OLD)}, "new-20": {"val_acc": names(*NEW)}}
    parts = number_restarts({it.path: it for it in [*OLD, *NEW]}, lambda it: lists.get(it.path, {}))
    assert set(parts.values()) == {0}


def test_a_tracker_that_names_a_save_after_the_highest_parts_them() -> None:
    held = {it.path: it for it in [*OLD, *NEW]}
    assert number_restarts(held, lambda _: {}, {"new-10"}) == dict.fromkeys(names(*OLD), 0) | dict.fromkeys(
        names(*NEW), 1
    )
    assert set(number_restarts(held, lambda _: {}, {"old-20"}).values()) == {0}


def test_a_folder_that_an_evaluation_wrote_into_was_not_saved_then() -> None:
    written = save("old-10", step=10, at=99 * HOUR)._replace(saved_at=10 * HOUR)
    assert set(number_restarts({it.path: it for it in [written, *OLD[1:]]}, lambda _: {}, {"old-10"}).values()) == {0}
    assert find_time_conflict([written, *OLD[1:]]) is None


@pytest.mark.parametrize(
    ("held", "told"),
    [
        pytest.param([], None, id="nothing"),
        pytest.param([*OLD, *NEW], ("new-20", "old-30"), id="the highest is older"),
        pytest.param(OLD, None, id="numbers and times agree"),
        pytest.param([save("b", step=20, at=1), save("a", step=10, at=MINUTE)], None, id="within a minute"),
        pytest.param([save("x", at=99 * HOUR), *OLD], None, id="what has no number"),
        pytest.param(
            [save("a", epoch=1, at=9 * HOUR), save("b", epoch=2, at=2 * HOUR), save("c", epoch=3, at=10 * HOUR)],
            ("a", "b"),
            id="one in the middle",
        ),
        pytest.param(
            [save("b", at=1)._replace(counter=2), save("a", at=HOUR)._replace(counter=1)], ("a", "b"), id="counters"
        ),
    ],
)
def test_times_that_disagree_with_the_numbers_are_found(held: list[Checkpoint], told: tuple[str, str] | None) -> None:
    conflict = find_time_conflict(held)
    assert (None if conflict is None else (conflict.facts["later"], conflict.facts["higher"])) == told


@given(st.lists(st.integers(0, 400), min_size=1, max_size=12, unique=True), st.data())
def test_shuffled_times_change_neither_the_order_nor_the_trainings(steps: list[int], data: st.DataObject) -> None:
    held = [save(f"{step}.ckpt", step=step, at=step * HOUR) for step in steps]
    times = data.draw(st.permutations([step * HOUR for step in steps]))
    shuffled = [it._replace(saved_at=at) for it, at in zip(held, times, strict=True)]
    listed = {it.path: {other.path for other in held if (other.step or 0) <= (it.step or 0)} for it in held}
    last = {max(held, key=lambda it: it.step or 0).path}
    parts = number_restarts({it.path: it for it in shuffled}, lambda it: {"val_loss": listed[it.path]}, last)
    assert set(parts.values()) == {0}
    assert [it.path for it in in_save_order(shuffled)] == [it.path for it in in_save_order(held)]


def test_a_second_version_of_a_name_parts_what_was_written_within_a_minute() -> None:
    old = [save("a.ckpt", step=10, at=1), save("b.ckpt", step=20, at=2)]
    again = save("a-v1.ckpt", step=10, at=3, version=1)
    assert parted([*old, again], {}) == {"a.ckpt": 0, "b.ckpt": 0, "a-v1.ckpt": 1}


@pytest.mark.parametrize(
    ("held", "lists"),
    [
        pytest.param([], {}, id="nothing"),
        pytest.param([save("best.ckpt", at=1), save("last.ckpt", at=2)], {}, id="no numbers"),
        pytest.param(OLD, {"old-30": names(*OLD)}, id="in the order of time"),
        pytest.param([*OLD, *NEW], {"new-20": names(*OLD, *NEW)}, id="the latest knows the highest: a copy"),
        pytest.param([*OLD, *NEW], {"old-30": names(*OLD, *NEW)}, id="the highest knows the latest: a copy"),
        pytest.param([*OLD, save("again", step=30, at=99 * HOUR)], {"old-30": names(*OLD)}, id="the same step again"),
        pytest.param([save("b.ckpt", step=20, at=1), save("a.ckpt", step=10, at=MINUTE)], {}, id="a quick copy"),
        pytest.param(
            [save("b.ckpt", step=20, at=1), save("a-v1.ckpt", step=10, version=1, at=9), save("a.ckpt", step=9, at=8)],
            {},
            id="both versions came after",
        ),
    ],
)
def test_what_one_training_may_have_saved_is_not_parted(held: list[Checkpoint], lists: dict[str, set[str]]) -> None:
    assert set(parted(held, lists).values()) <= {0}


def test_three_trainings_are_told_apart() -> None:
    newest = save("newest-5", step=5, at=900 * HOUR)
    lists = {"old-30": names(*OLD), "new-20": names(*NEW), "newest-5": names(newest)}
    assert parted([*OLD, *NEW, newest], lists) == {
        **dict.fromkeys(names(*OLD), 0),
        **dict.fromkeys(names(*NEW), 1),
        "newest-5": 2,
    }


def test_of_too_many_trainings_none_is_told() -> None:
    held = [save(f"{n}", step=1000 - n, at=n * HOUR) for n in range(MOST_TRAININGS + 1)]
    assert set(parted(held, {it.path: {it.path} for it in held}).values()) == {0}


def twins(*at: tuple[str, int, int]) -> dict[str, Checkpoint]:
    """Saves by name, step and hour, those called ``-v1`` with their version."""
    held = [save(name, step=step, at=hour * HOUR) for name, step, hour in at]
    return {it.path: it._replace(version=1 if "-v1" in it.path else None) for it in held}


def test_twins_of_two_callbacks_that_a_copy_has_parted_are_no_second_training() -> None:
    held = twins(("1.ckpt", 1, 1), ("9.ckpt", 9, 2), ("1-v1.ckpt", 1, 3), ("2.ckpt", 2, 4), ("2-v1.ckpt", 2, 5))
    assert set(number_restarts(held, lambda _: {}).values()) == {0}
    pair = {name: it for name, it in held.items() if not name.startswith("2")}
    assert number_restarts(pair, lambda _: {}) == {"1.ckpt": 0, "9.ckpt": 0, "1-v1.ckpt": 1}
    lists = {"9.ckpt": {"val_acc": {"1-v1.ckpt"}}}
    later = {**pair, "3.ckpt": save("3.ckpt", step=3, at=9 * HOUR)}
    assert set(number_restarts(later, lambda it: lists.get(it.path, {})).values()) == {0}


def test_each_series_has_its_own_trainings() -> None:
    old = [save(f"fold1-{step}", step=step, at=step * HOUR)._replace(series="1") for step in (10, 20)]
    new = [save(f"fold2-{step}", step=step, at=step * HOUR)._replace(series="2") for step in (1, 2, 99)]
    held = {it.path: it for it in [*old, *new]}
    assert number_restarts(held, lambda _: {}, {"fold1-20"}) == dict.fromkeys(held, 0)
    assert find_time_conflict(held.values()) is None
    again = {**held, "fold2-3": save("fold2-3", step=3, at=200 * HOUR)._replace(series="2")}
    assert number_restarts(again, lambda _: {}, {"fold2-3"}) == {**dict.fromkeys(held, 0), "fold2-3": 1}
    conflict = find_time_conflict(again.values())
    assert conflict is not None
    assert (conflict.facts["later"], conflict.facts["higher"]) == ("fold2-3", "fold2-99")


def test_a_version_whose_namesake_is_gone_proves_nothing() -> None:
    held = twins(("9.ckpt", 9, 2), ("1-v1.ckpt", 1, 30))
    assert set(number_restarts(held, lambda _: {}).values()) == {0}
