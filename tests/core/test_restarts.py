"""Which training saved what, where one folder was used more than once."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from ckptctl.core.model import Checkpoint
from ckptctl.core.ranking import MOST_TRAININGS, number_restarts
from tests.core.samples import HOUR, MINUTE, save

OLD = [save(f"old-{step}", step=step, at=step * HOUR) for step in (10, 20, 30)]
NEW = [save(f"new-{step}", step=step, at=(100 + step) * HOUR) for step in (10, 20)]


def parted(held: list[Checkpoint], lists: Mapping[str, set[str]]) -> dict[str, int]:
    """The trainings of checkpoints, some of whose states list others."""
    return number_restarts({it.path: it for it in held}, lambda it: lists.get(it.path))


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
        pytest.param({}, id="none lists any, but their times are well apart"),
        pytest.param({"old-30": set(), "new-20": set()}, id="the lists are empty, but their times are well apart"),
    ],
)
def test_one_list_or_the_times_are_enough_to_part_them(lists: dict[str, set[str]]) -> None:
    assert parted([*OLD, *NEW], lists)["new-20"] == 1


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
