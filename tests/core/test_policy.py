"""What each rule keeps, and the words in which it says so."""

from __future__ import annotations

from math import nan

import pytest

from ckptctl.core.filters import parse_filter
from ckptctl.core.model import Checkpoint, Note, Origin, Pointer, Run
from ckptctl.core.ranking import Metric, rank
from ckptctl.core.retention.budget import Budget
from ckptctl.core.retention.policy import Policy, describe_policy, find_protected
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
from ckptctl.core.retention.rules.periods import Period
from ckptctl.core.retention.rules.protocol import Reason, Rule, RuleContext, make_rule_context
from ckptctl.core.units import parse_moment, write_duration
from tests.core.samples import HOUR, MINUTE, NOW, save, saves, score
from tests.wording import worded

LOSS = Metric("val_loss", "min")


def stand(*held: Checkpoint, step_base: int = 0, epoch_base: int = 0, metric: Metric | None = LOSS) -> RuleContext:
    ranked = tuple(rank(held, metric)) if metric else ()
    return make_rule_context(held, ranked, metric)._replace(step_base=step_base, epoch_base=epoch_base)


def at_steps(*steps: int | None) -> tuple[Checkpoint, ...]:
    return tuple(save(f"{n}.ckpt", step=step, at=n * HOUR) for n, step in enumerate(steps))


def at_epochs(*epochs: float) -> tuple[Checkpoint, ...]:
    return tuple(save(f"{n}.ckpt", epoch=epoch, at=n * HOUR) for n, epoch in enumerate(epochs))


# R1


@pytest.mark.parametrize(
    ("count", "kept"),
    [
        (0, {}),
        (1, {"epoch=1.ckpt": "best 1 of 3"}),
        (2, {"epoch=1.ckpt": "best 1 of 3", "epoch=3.ckpt": "best 2 of 3"}),
        (9, {"epoch=1.ckpt": "best 1 of 3", "epoch=3.ckpt": "best 2 of 3", "epoch=0.ckpt": "best 3 of 3"}),
    ],
)
def test_top_k_keeps_the_first_places(count: int, kept: dict[str, str]) -> None:
    assert TopK(count).keep(stand(*saves(0.5, 0.3, nan, 0.4))) == kept


def test_top_k_of_minus_one_keeps_all_even_what_has_no_place() -> None:
    kept = TopK(-1).keep(stand(*saves(0.5, nan, None)))
    assert kept == dict.fromkeys(["epoch=0.ckpt", "epoch=1.ckpt", "epoch=2.ckpt"], "top-k -1 keeps all")


def test_keep_best_names_its_metric_for_there_may_be_several() -> None:
    assert TopK(1, "val_loss", "min", "keep-best").keep(stand(*saves(0.5))) == {
        "epoch=0.ckpt": "best 1 of 1 by val_loss"
    }


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.5, "rank 2 of 2 by val_loss"), (nan, "val_loss is nan: it cannot win"), (None, "no value of val_loss")],
)
def test_top_k_says_why_it_passes_over(value: float | None, text: str) -> None:
    held = (*saves(0.1), save("x.ckpt", value, step=99))
    assert TopK(1).pass_over(held[1], stand(*held)) == text


def test_a_value_that_cannot_win_is_told_as_training_wrote_it() -> None:
    odd = save("x.ckpt", metrics={"val_loss": score(nan, "NaN")})
    assert TopK(1).pass_over(odd, stand(odd)) == "val_loss is NaN: it cannot win"


def test_top_k_without_a_metric_says_that_there_is_no_value() -> None:
    held = saves(0.1)
    assert TopK(1).pass_over(held[0], stand(*held, metric=None)) == "no value of the metric"


# R2


@pytest.mark.parametrize(
    ("count", "kept"),
    [
        (0, {}),
        (1, {"epoch=2.ckpt": "last 1"}),
        (2, {"epoch=2.ckpt": "last 1", "epoch=1.ckpt": "last 2"}),
        (5, {"epoch=2.ckpt": "last 1", "epoch=1.ckpt": "last 2", "epoch=0.ckpt": "last 3"}),
        (-1, dict.fromkeys(["epoch=0.ckpt", "epoch=1.ckpt", "epoch=2.ckpt"], "keep-last -1 keeps all")),
    ],
)
def test_keep_last_keeps_the_end_of_the_order(count: int, kept: dict[str, str]) -> None:
    assert KeepLast(count).keep(stand(*saves(1, 1, 1))) == kept


RESTARTED = (
    save("new-10", step=10, at=7 * HOUR),
    save("old-20", step=20, at=1 * HOUR),
    save("new-20", step=20, at=8 * HOUR),
    save("old-30", step=30, at=2 * HOUR),
    save("old-40", step=40, at=3 * HOUR),
)
"""Trained to step 40, then anew in the same folder."""


def test_keep_last_of_a_restarted_run_keeps_the_last_by_step_and_the_last_by_time() -> None:
    kept = KeepLast(2).keep(stand(*RESTARTED))
    assert kept == {
        "old-40": "last 1",
        "old-30": "last 2",
        "new-20": "last 1 by time",
        "new-10": "last 2 by time",
    }
    assert KeepLast(1).keep(stand(*RESTARTED)) == {"old-40": "last 1", "new-20": "last 1 by time"}
    assert KeepLast(0).keep(stand(*RESTARTED)) == {}


def test_of_the_latest_only_those_count_that_came_well_after_one_of_the_newest() -> None:
    held = (save("a", step=1, at=9 * HOUR), save("b", step=2, at=1), save("c", step=3, at=2 * HOUR), save("d", step=4))
    assert KeepLast(2).keep(stand(*held)) == {"d": "last 1", "c": "last 2", "a": "last 1 by time"}
    other = (save("a", step=1, at=5 * HOUR), save("b", step=2, at=1), save("c", step=3, at=9 * HOUR))
    assert KeepLast(2).keep(stand(*other)) == {"c": "last 1", "b": "last 2", "a": "last 2 by time"}


def test_keep_last_says_how_many_are_newer() -> None:
    held = saves(1, 1, 1)
    assert KeepLast(1).pass_over(held[0], stand(*held)) == "2 newer than it"


# R3


@pytest.mark.parametrize(
    ("steps", "kept"),
    [
        pytest.param((100, 150, 200), {"0.ckpt": "at 100 steps", "2.ckpt": "at 200 steps"}, id="on the grid"),
        pytest.param((0, 1), {"0.ckpt": "at 0 steps"}, id="step 0 is on the grid, and nothing is close to it"),
        pytest.param((90, 120, 160), {"0.ckpt": "closest to 100 steps", "2.ckpt": "closest to 200 steps"}, id="off it"),
        pytest.param((90, 110), {"1.ckpt": "closest to 100 steps"}, id="of two as close the later"),
        pytest.param((90, 100, 101), {"1.ckpt": "at 100 steps"}, id="a hit ends the search"),
        pytest.param((49,), {}, id="more than half a grid away from the first multiple"),
        pytest.param((50,), {"0.ckpt": "closest to 100 steps"}, id="half a grid away"),
        pytest.param((150,), {"0.ckpt": "closest to 200 steps"}, id="in the middle it is close to both"),
        pytest.param((100, 100), {"0.ckpt": "at 100 steps", "1.ckpt": "at 100 steps"}, id="two saves of one step"),
        pytest.param(
            (100, None), {"0.ckpt": "at 100 steps", "1.ckpt": "its step is not known"}, id="no step: in doubt"
        ),
        pytest.param((2_000_000,), {"0.ckpt": "at 2000000 steps"}, id="written out"),
    ],
)
def test_keep_every_keeps_the_grid_and_else_the_closest_to_it(
    steps: tuple[int | None, ...], kept: dict[str, str]
) -> None:
    assert KeepEvery(100).keep(stand(*at_steps(*steps))) == kept


def test_keep_every_counts_steps_done_where_names_count_from_0() -> None:
    assert KeepEvery(100).keep(stand(*at_steps(99, 100), step_base=1)) == {"0.ckpt": "at 100 steps"}


@pytest.mark.parametrize(
    ("epochs", "epoch_base", "kept"),
    [
        pytest.param((0, 1, 2, 3), 0, {"1.ckpt": "at 2 epochs", "3.ckpt": "at 4 epochs"}, id="Lightning counts from 0"),
        pytest.param((1, 2, 3, 4), 1, {"1.ckpt": "at 2 epochs", "3.ckpt": "at 4 epochs"}, id="Keras counts from 1"),
        pytest.param((0.5,), 0, {"0.ckpt": "closest to 2 epochs"}, id="a fraction of an epoch"),
    ],
)
def test_keep_every_counts_epochs_done(epochs: tuple[float, ...], epoch_base: int, kept: dict[str, str]) -> None:
    assert KeepEvery(2, "epochs").keep(stand(*at_epochs(*epochs), epoch_base=epoch_base)) == kept


def test_keep_every_epochs_keeps_what_has_no_epoch() -> None:
    assert KeepEvery(2, "epochs").keep(stand(save("a", step=1))) == {"a": "its epoch is not known"}


@pytest.mark.parametrize(
    ("held", "kept"),
    [
        pytest.param(at_steps(5, 6), {"0.ckpt": "at 5 steps"}, id="steps"),
        pytest.param(at_epochs(5, 6), {"0.ckpt": "at 5 epochs"}, id="epochs where there are no steps"),
        pytest.param(
            tuple(save(f"{n}", epoch=n)._replace(step=step) for n, step in ((5, 8), (6, 10))),
            {"6": "at 10 steps"},
            id="steps where there are both",
        ),
        pytest.param(
            tuple(save(f"{n}")._replace(counter=n) for n in (0, 4, 5, 6, 7)),
            {"0": "at number 0", "5": "at number 5"},
            id="save counters, as named",
        ),
        pytest.param(
            (save("a")._replace(counter=3), save("b", epoch=3)),
            dict.fromkeys("ab", "counted by epochs and by saves: --keep-every needs a unit"),
            id="two counters: in doubt all",
        ),
        pytest.param((save("a"),), {"a": "its step is not known"}, id="no number"),
    ],
)
def test_keep_every_without_a_unit_goes_by_steps_else_by_the_only_counter(
    held: tuple[Checkpoint, ...], kept: dict[str, str]
) -> None:
    assert KeepEvery(5, None).keep(stand(*held, epoch_base=1)) == kept


def test_keep_every_keeps_the_epoch_0_that_alone_shows_from_where_a_run_counts() -> None:
    context = stand(*at_epochs(0, 1, 2), epoch_base=0)._replace(has_epoch_zero=True)
    assert KeepEvery(3, "epochs").keep(context) == {
        "0.ckpt": "epoch 0: shows that epochs count from 0",
        "2.ckpt": "at 3 epochs",
    }


def test_keep_every_says_by_what_it_counts_where_that_was_not_said() -> None:
    held = at_epochs(1)
    assert KeepEvery(5, None).pass_over(held[0], stand(*held)) == "not the closest to a multiple of 5 epochs"


def test_keep_every_says_that_it_is_off_the_grid() -> None:
    held = at_steps(7)
    assert KeepEvery(100).pass_over(held[0], stand(*held)) == "not the closest to a multiple of 100 steps"


# R4


@pytest.mark.parametrize(
    ("hours", "kept"),
    [
        pytest.param(0, [], id="nothing is less than no time older"),
        pytest.param(1, ["4.ckpt"], id="just as old as that is not less"),
        pytest.param(2, ["3.ckpt", "4.ckpt"], id="less"),
        pytest.param(99, ["0.ckpt", "1.ckpt", "2.ckpt", "3.ckpt", "4.ckpt"], id="all"),
    ],
)
def test_keep_within_counts_back_from_the_newest_of_the_run(hours: int, kept: list[str]) -> None:
    found = KeepWithin(hours * HOUR).keep(stand(*at_steps(9, 8, 7, 6, 5)))
    assert list(found) == kept
    assert set(found.values()) <= {f"within {write_duration(hours * 3600)} of the newest"}


def test_keep_within_of_nothing_keeps_nothing() -> None:
    assert KeepWithin(HOUR).keep(stand()) == {}


def test_keep_within_says_how_long_before_the_newest_it_was() -> None:
    held = at_steps(1, 2, 3)
    assert KeepWithin(HOUR).pass_over(held[0], stand(*held)) == "written 2h before the newest"


def test_keep_newer_than_counts_back_from_now_and_keeps_what_has_a_time_to_come() -> None:
    held = (save("old", at=0), save("just", at=998 * HOUR), save("young", at=999 * HOUR), save("next", at=1001 * HOUR))
    standing = stand(*held)._replace(now=NOW)
    rule = KeepNewerThan(2 * HOUR)
    assert rule.keep(standing) == {"young": "newer than 2h", "next": "newer than 2h"}
    assert rule.pass_over(held[0], standing) == "written 41d ago"


@pytest.mark.parametrize("rule", [KeepWithin(0), KeepNewerThan(0), KeepPeriods(0)], ids=lambda rule: rule.id)
def test_a_rule_of_times_keeps_what_has_none(rule: Rule) -> None:
    timeless = save("x", at=1000 * HOUR - NOW)
    assert timeless.modified == 0
    assert rule.keep(stand(timeless, save("y"))._replace(now=NOW)) == {"x": "its time is not known"}


# R5


def at_times(*texts: str) -> tuple[Checkpoint, ...]:
    """One at each moment, named for it."""
    return tuple(save(text, step=n, at=parse_moment(text) - (NOW - 1000 * HOUR)) for n, text in enumerate(texts))


YEAR = at_times(
    "2026-01-31T23:59Z", "2026-02-01T00:00Z", "2026-02-01T00:59Z", "2026-02-02T00:00Z", "2026-02-08T23:59Z",
    "2026-02-09T00:00Z", "2026-12-31T23:00Z", "2027-01-01T01:00Z",
)  # fmt: skip


@pytest.mark.parametrize(
    ("period", "count", "kept"),
    [
        pytest.param("hourly", 1, {7: "hour 2027-01-01 01h"}, id="an hour"),
        pytest.param(
            "hourly", -1, {0: "", 2: "hour 2026-02-01 00h", 3: "", 4: "", 5: "", 6: "", 7: ""}, id="all hours"
        ),
        pytest.param("daily", 3, {5: "day 2026-02-09", 6: "day 2026-12-31", 7: "day 2027-01-01"}, id="days, with gaps"),
        pytest.param("daily", -1, {0: "", 2: "day 2026-02-01", 3: "", 4: "", 5: "", 6: "", 7: ""}, id="all days"),
        pytest.param("weekly", 1, {7: "week from 2026-12-28"}, id="a week that has two years"),
        pytest.param("weekly", 9, {2: "week from 2026-01-26", 4: "week from 2026-02-02", 5: "", 7: ""}, id="weeks"),
        pytest.param("monthly", 2, {6: "month 2026-12", 7: "month 2027-01"}, id="months"),
        pytest.param("monthly", 4, {0: "month 2026-01", 5: "month 2026-02", 6: "", 7: ""}, id="more than there are"),
        pytest.param("daily", 0, {}, id="none"),
    ],
)
def test_keep_daily_and_the_like_keep_the_newest_of_each_of_the_last_periods(
    period: Period, count: int, kept: dict[int, str]
) -> None:
    found = KeepPeriods(count, period).keep(stand(*YEAR))
    assert sorted(found) == sorted(YEAR[n].path for n in kept)
    told = {YEAR[n].path: f"newest of the {text}" for n, text in kept.items() if text}
    assert told.items() <= found.items()


def test_the_newest_of_a_day_is_that_by_order_and_by_time_where_training_was_restarted() -> None:
    day = (save("a", step=1, at=3 * HOUR), save("b", step=2, at=1 * HOUR), save("c", step=3, at=2 * HOUR))
    assert set(KeepPeriods(1).keep(stand(*day))) == {"a", "c"}
    copied = (save("a", step=1, at=2), save("b", step=2, at=1))
    assert set(KeepPeriods(1).keep(stand(*copied))) == {"b"}


def test_keep_daily_says_of_which_day_it_is_not_the_newest() -> None:
    text = KeepPeriods(1).pass_over(YEAR[1], stand(*YEAR))
    assert text == "not the newest of the day 2026-02-01, or that is too long ago"


# R6


def test_keep_step_keeps_the_named_and_what_may_be_one() -> None:
    kept = KeepSteps(frozenset({10, 30})).keep(stand(*at_steps(10, 20, 30, None)))
    assert kept == {"0.ckpt": "step 10 is named", "2.ckpt": "step 30 is named", "3.ckpt": "its step is not known"}
    held = at_steps(20)
    assert KeepSteps(frozenset({10})).pass_over(held[0], stand(*held)) == "its step is not named"


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("epoch=1*", "runs/a/epoch=1-v1.ckpt", True),
        ("a/epoch=1*", "runs/a/epoch=1-v1.ckpt", True),
        ("runs/*", "runs/a/epoch=1-v1.ckpt", True),
        ("runs/a/epoch=1-v1.ckpt", "runs/a/epoch=1-v1.ckpt", True),
        ("epoch=1", "runs/a/epoch=1-v1.ckpt", False),
        ("poch=1*", "runs/a/epoch=1-v1.ckpt", False),
        ("EPOCH=1*", "epoch=1-v1.ckpt", False),
        ("epoch=[12]*", "epoch=2.ckpt", True),
        ("epoch=?.ckpt", "epoch=10.ckpt", False),
        ("*", "line\nbreak.ckpt", True),
    ],
)
def test_keep_matches_a_path_or_the_end_of_it(pattern: str, path: str, *, matches: bool) -> None:
    held = save(path)
    kept = KeepGlob(pattern).keep(stand(held))
    assert kept == ({path: f"matches {pattern}"} if matches else {})
    assert KeepGlob(pattern).pass_over(held, stand(held)) == f"does not match {pattern}"


# R8


ONE, TWO = (save(name, step=step) for name, step in (("one", 1), ("two", 2)))


def protected(*held: Checkpoint, pointers: tuple[Pointer, ...] = (), last: bool = True) -> dict[str, list[Reason]]:
    return find_protected(held, Run("", held, pointers), last=last)


def test_the_newest_is_protected() -> None:
    assert protected(ONE, TWO) == {"two": [Reason("newest", "newest that can resume")]}


def test_what_another_training_began_from_is_protected() -> None:
    run = Run("", (ONE, TWO), origins=(Origin("b/args.yaml", "one"),))
    assert find_protected(run.checkpoints, run, last=False) == {
        "one": [Reason("origin", "another training began from it: b/args.yaml")]
    }


def test_the_newest_is_given_up_where_asked_but_not_the_only_one() -> None:
    assert protected(ONE, TWO, last=False) == {}
    assert protected(ONE, last=False) == {"one": [Reason("only", "the only complete checkpoint")]}


def test_of_nothing_nothing_is_protected() -> None:
    assert protected() == {}


def test_the_newest_that_can_resume_is_protected_beside_a_newer_one_that_cannot() -> None:
    assert protected(ONE, TWO, save("three", step=3, resumable=False)) == {
        "three": [Reason("newest", "newest")],
        "two": [Reason("newest", "newest of which nobody knows whether it can resume")],
    }


def test_the_newest_that_can_resume_and_the_newest_of_which_nobody_knows_are_both_protected() -> None:
    able = ONE._replace(resumable=True)
    assert protected(able, TWO, save("three", step=3, resumable=False)) == {
        "three": [Reason("newest", "newest")],
        "one": [Reason("newest", "newest that can resume")],
        "two": [Reason("newest", "newest of which nobody knows whether it can resume")],
    }


def test_where_none_can_resume_the_newest_is_protected_all_the_same() -> None:
    held = (save("one", step=1, resumable=False), save("two", step=2, resumable=False))
    assert protected(*held) == {"two": [Reason("newest", "newest")]}


@pytest.mark.parametrize(
    "held",
    [
        pytest.param((save("latest", at=9 * HOUR), save("top", step=5, at=1)), id="a name without numbers"),
        pytest.param((save("latest", at=2), save("top", step=5, at=1)), id="a name without numbers, a moment later"),
        pytest.param((save("latest", step=1, at=9 * HOUR), save("top", step=5, at=1)), id="a second training"),
    ],
)
def test_the_latest_is_protected_too_where_the_order_is_in_doubt(held: tuple[Checkpoint, ...]) -> None:
    assert protected(*held) == {
        "top": [Reason("newest", "newest that can resume")],
        "latest": [Reason("newest", "newest by time")],
    }


def test_where_only_names_without_numbers_are_the_newest_is_that_by_time_and_told_once() -> None:
    assert protected(save("a", at=9 * HOUR), save("b", at=1)) == {"a": [Reason("newest", "newest that can resume")]}


def test_where_numbers_cannot_be_compared_the_highest_of_each_is_protected() -> None:
    held = (
        save("step=5", step=5, at=1),
        save("step=10", step=10, at=2),
        save("epoch=1", epoch=1, at=4),
        save("epoch=3", epoch=3, at=3),
        save("both", step=1, epoch=1, at=5),
    )
    assert protected(*held) == {
        "both": [Reason("newest", "newest that can resume")],
        "step=10": [Reason("newest", "newest by step")],
        "epoch=3": [Reason("newest", "newest by epoch")],
    }


@pytest.mark.parametrize("more", [(), (save("c", at=1),)], ids=["all have both", "one has none"])
def test_where_steps_tell_the_order_a_higher_epoch_puts_nothing_in_doubt(more: tuple[Checkpoint, ...]) -> None:
    held = (save("a", step=1, epoch=9, at=1 * HOUR), save("b", step=2, epoch=1, at=2 * HOUR))
    assert set(protected(*held, *more)) == {"b"}


def test_the_highest_of_an_earlier_training_is_protected_beside_the_newest() -> None:
    held = (
        save("old-90", step=90, at=1),
        save("old-80", step=80),
        save("new-10", step=10, at=2, lineage=1),
        save("new-20", step=20, at=3, lineage=1),
    )
    assert protected(*held) == {
        "new-20": [Reason("newest", "newest that can resume")],
        "old-90": [Reason("newest", "newest of an earlier training")],
    }


def test_of_a_name_without_numbers_that_is_not_the_latest_nothing_is_in_doubt() -> None:
    assert set(protected(save("old", at=1), save("top", step=5, at=2))) == {"top"}


@pytest.mark.parametrize("number", ["step", "epoch"])
def test_times_of_a_copy_put_nothing_in_doubt(number: str) -> None:
    earlier, later = save("a", at=MINUTE), save("b", at=0)
    assert set(protected(earlier._replace(**{number: 1}), later._replace(**{number: 2}))) == {"b"}  # type: ignore[arg-type]


def test_the_target_of_a_pointer_is_protected_under_the_names_that_lead_to_it() -> None:
    held = (save("r/one", step=1, aliases=("r/best",)), save("r/two", step=2))
    pointers = (
        Pointer("r/best", "symlink", "r/one", "ok"),
        *(Pointer(f"{place}/x", "symlink", "r/one", "ok") for place in ("d", "b", "c", "a")),
        Pointer("r/broken", "symlink", None, "dangling"),
    )
    assert protected(*held, pointers=pointers, last=False) == {
        "r/one": [Reason("linked", "linked by a/x, b/x, c/x, d/x, best")]
    }


def test_names_in_the_root_are_told_as_they_are() -> None:
    pointers = (Pointer("best", "symlink", "one", "ok"),)
    assert protected(ONE, TWO, pointers=pointers, last=False) == {"one": [Reason("linked", "linked by best")]}


def test_a_pin_protects() -> None:
    pinned = save("one", step=1, pinned=True)
    assert protected(pinned, TWO, last=False) == {"one": [Reason("pinned", "pinned")]}
    told = pinned._replace(pin=Note("pinned", until="2030-01-01", reason="mine"))
    assert worded(protected(told, TWO, last=False)["one"]) == [Reason("pinned", "pinned until 2030-01-01: mine")]


# The policy in words


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ((TopK(3),), "Keep the best 3 of each run."),
        ((TopK(-1), KeepLast(-1)), "Keep all and all of each run."),
        ((TopK(0), KeepLast(0)), "Keep the best 0 and the last 0 of each run."),
        ((TopK(3, "val_loss"),), "Keep the best 3 by val_loss of each run."),
        ((TopK(3, "val_loss", "max"),), "Keep the best 3 by val_loss (max) of each run."),
        ((KeepLast(2), KeepEvery(5, "epochs")), "Keep the last 2 and one every 5 epochs of each run."),
        ((KeepEvery(5, None),), "Keep one every 5 steps (epochs or saves where no step is known) of each run."),
        ((KeepWithin(48 * HOUR),), "Keep what is within 2d of the newest of each run."),
        ((KeepNewerThan(90 * MINUTE),), "Keep what is newer than 1h30m of each run."),
        (
            (KeepPeriods(7), KeepPeriods(-1, "monthly")),
            "Keep one of each of the last 7 days and one of every month of each run.",
        ),
        ((KeepPeriods(0, "weekly"),), "Keep one of each of the last 0 weeks of each run."),
        ((KeepSteps(frozenset({17, 3})), KeepGlob("x*")), "Keep step 3, 17 and what matches x* of each run."),
    ],
)
def test_a_policy_is_told_in_a_sentence(rules: tuple[Rule, ...], words: str) -> None:
    assert describe_policy(Policy(rules)) == f"{words} Always kept: what a link names, the newest that can resume."
    assert describe_policy(Policy(rules, protect_last=False)) == f"{words} Always kept: what a link names."


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        (Policy((), filters=(parse_filter("a>1"), parse_filter("b<2"))), "Only what meets a>1 and b<2 may go."),
        (Policy((), partial=True), "Leftovers of killed saves go too."),
        (Policy((), budget=Budget(10**9)), "Worst first, more goes until there are at most 1.0 GB."),
        (
            Policy((), budget=Budget(None, 7, 10**9)),
            "Worst first, more goes until there are at most 7 files and 1.0 GB free.",
        ),
    ],
)
def test_a_policy_tells_what_else_decides(policy: Policy, words: str) -> None:
    assert describe_policy(policy).endswith(f"can resume. {words}")


def test_a_policy_tells_what_it_spares() -> None:
    assert "Always kept: what a link names, what matches a*, what matches b*, the newest" in describe_policy(
        Policy((KeepLast(1),), spared=("a*", "b*"))
    )


def test_what_is_spared_is_kept_as_by_a_pin() -> None:
    assert find_protected([ONE, TWO], Run("", (ONE, TWO)), last=False, spared=("on*", "x")) == {
        "one": [Reason("config", "matches on*, which a configuration file keeps")]
    }


def test_every_rule_has_the_name_of_its_flag() -> None:
    rules: tuple[Rule, ...] = (
        *(TopK(1), KeepLast(1), KeepEvery(1), KeepWithin(1), KeepNewerThan(1), KeepPeriods(1, "hourly")),
        *(KeepPeriods(1, "daily"), KeepPeriods(1, "weekly"), KeepPeriods(1, "monthly")),
        *(KeepSteps(frozenset()), KeepGlob("*")),
    )
    flags = "top-k keep-last keep-every keep-within keep-newer-than keep-hourly keep-daily keep-weekly keep-monthly"
    assert [rule.id for rule in rules] == [*flags.split(), "keep-step", "keep"]
