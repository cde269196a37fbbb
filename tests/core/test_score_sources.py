"""Several sources for one score: which one counts, whether they agree, and what a recorded path means."""

from __future__ import annotations

from math import inf, isnan, nan

import pytest

from ckptctl.core.model import Score, ScoreSource
from ckptctl.core.score_sources import (
    TRUST,
    CallbackState,
    ScoreConflict,
    TrainingRecord,
    match_paths,
    own_score,
    resolve_score,
    rounding_error,
    scores_agree,
)
from tests.wording import worded


def state(value: float) -> Score:
    return Score(value, None, "state")


def inside(value: float) -> Score:
    return Score(value, None, "inside")


def name(text: str, source: ScoreSource = "name") -> Score:
    return Score(float(text), text, source)


# Which one counts


@pytest.mark.parametrize(
    ("claims", "counts", "other"),
    [
        pytest.param([name("0.50"), inside(0.4987)], Score(0.4987, None, "name"), None, id="the same digits"),
        pytest.param([name("0.50"), inside(0.4)], name("0.50"), inside(0.4), id="others"),
        pytest.param([state(0.5), name("0.50"), inside(0.4)], state(0.5), inside(0.4), id="a surer source"),
        pytest.param([inside(0.4)], inside(0.4), None, id="alone"),
    ],
)
def test_a_number_in_the_file_only_gives_a_name_more_digits(
    claims: list[Score], counts: Score, other: Score | None
) -> None:
    assert resolve_score(claims) == (counts, other)


RECORD = TrainingRecord("2.6.6", 3, 30, resumable=True)
WATCH = CallbackState("loss", "min", None, {"a.ckpt": 0.5, "b.ckpt": 0.25}, None, None, 0.25, inf)


@pytest.mark.parametrize(
    ("watches", "found"),
    [
        pytest.param((WATCH,), ("loss", 0.25), id="what it saved last"),
        pytest.param((WATCH, WATCH), None, id="two callbacks: either may have saved it"),
        pytest.param((), None, id="none"),
        pytest.param((WATCH._replace(monitor=None),), None, id="no metric"),
        pytest.param((WATCH._replace(current=None),), None, id="nothing saved"),
        pytest.param((WATCH._replace(current=0.75),), None, id="a score that it does not keep"),
    ],
)
def test_a_record_tells_the_score_of_its_own_save_where_only_one_callback_can_have_saved_it(
    watches: tuple[CallbackState, ...], found: tuple[str, float] | None
) -> None:
    assert own_score(RECORD._replace(watches=watches)) == found


def test_what_stands_for_nan_is_nan_in_its_own_save_too() -> None:
    found = own_score(RECORD._replace(watches=(WATCH._replace(scores={"a.ckpt": inf}, current=inf),)))
    assert found is not None
    assert isnan(found[1])


def test_the_order_of_trust_begins_with_the_checkpoint_itself_and_ends_with_its_dictionary() -> None:
    claims = [Score(float(n), None, source) for n, source in enumerate(TRUST)]  # type: ignore[arg-type]
    for first in range(len(claims)):
        assert resolve_score(claims[: first - 1 : -1] if first else claims[::-1])[0] == claims[first]


def test_a_single_claim_is_not_contradicted() -> None:
    assert resolve_score([name("0.5")]) == (name("0.5"), None)


def test_the_most_trusted_that_contradicts_is_told() -> None:
    trusted, other = resolve_score([name("0.40"), name("0.45", "csv"), state(0.5), Score(0.5, None, "yaml")])
    assert trusted == state(0.5)
    assert other == name("0.45", "csv")


def test_a_rounded_name_does_not_contradict() -> None:
    assert resolve_score([name("0.50"), state(0.4987)]) == (state(0.4987), None)


@pytest.mark.parametrize("recorded", [inf, -inf, nan])
@pytest.mark.parametrize("text", ["nan", "inf", "-inf"])
def test_what_was_not_finite_is_what_the_name_says_it_was(recorded: float, text: str) -> None:
    trusted, other = resolve_score([name(text), state(recorded)])
    assert (trusted.text, trusted.source) == (text, "state")
    assert trusted.state == text
    assert other is None or not isnan(trusted.value)


def test_a_recorded_infinity_that_nothing_explains_stays_one() -> None:
    assert resolve_score([state(inf), Score(inf, None, "yaml")]) == (state(inf), None)


def test_a_finite_name_contradicts_a_recorded_infinity() -> None:
    assert resolve_score([state(inf), name("0.5")]) == (state(inf), name("0.5"))


# Whether they agree


@pytest.mark.parametrize(
    ("one", "other", "agree"),
    [
        pytest.param(state(0.5), state(0.5), True, id="equal"),
        pytest.param(state(0.5), state(0.6), False, id="unequal"),
        pytest.param(state(0.30000001192092896), state(0.3), True, id="through float32"),
        pytest.param(state(0.300001), state(0.3), False, id="more than float32 loses"),
        pytest.param(state(0.4951), name("0.50"), True, id="within half a digit"),
        pytest.param(state(0.495), name("0.50"), True, id="at half a digit"),
        pytest.param(state(0.4949), name("0.50"), False, id="beyond half a digit"),
        pytest.param(state(0.5), name("0.0"), False, id="0 for missing"),
        pytest.param(state(9.99e-06), name("0.00"), True, id="rounded to 0"),
        pytest.param(name("0.5"), name("0.4987"), True, id="the coarser counts"),
        pytest.param(state(0.8764), Score(0.876, "87.6%", "name"), True, id="percent"),
        pytest.param(state(0.877), Score(0.876, "87.6%", "name"), False, id="beyond a percent's digit"),
        pytest.param(state(1.54e-05), name("1.5e-05"), True, id="scientific"),
        pytest.param(state(1.6e-05), name("1.5e-05"), False, id="beyond a scientific digit"),
        pytest.param(state(1234.4), Score(1234.0, "1,234", "name"), True, id="grouped"),
        pytest.param(state(nan), name("nan"), True, id="NaN"),
        pytest.param(state(nan), state(inf), True, id="NaN and what stands for it"),
        pytest.param(state(-inf), name("nan"), True, id="what stands for it and NaN"),
        pytest.param(state(nan), name("0.5"), False, id="NaN and a number"),
        pytest.param(name("0.5"), state(nan), False, id="a number and NaN"),
        pytest.param(state(inf), state(inf), True, id="infinities"),
        pytest.param(state(inf), state(-inf), False, id="opposite infinities"),
        pytest.param(state(inf), name("0.5"), False, id="infinity and a number"),
        pytest.param(name("0.5"), state(-inf), False, id="a number and infinity"),
        pytest.param(state(1.0), Score(2.0, "two", "csv"), False, id="no digits to go by"),
        pytest.param(state(0.0), name("0e999"), True, id="a huge exponent of nothing"),
        pytest.param(state(1.0), name("1e400", "csv"), False, id="a number too large for a float"),
    ],
)
def test_scores_agree_at_the_precision_that_the_coarser_shows(one: Score, other: Score, *, agree: bool) -> None:
    assert scores_agree(one, other) is agree


@pytest.mark.parametrize(
    ("text", "half"),
    [
        (None, 0.0),
        ("", 0.0),
        (".5", 0.05),
        ("7", 0.5),
        ("0.32", 0.005),
        ("-0.4", 0.05),
        ("87.6%", 0.0005),
        ("1.5e-05", 5e-07),
        ("1e3", 500.0),
        ("1,234", 0.5),
        ("nan", 0.0),
        ("0.3 ", 0.0),
        ("0." + "1" * 400, 0.5 * 10.0**-300),
        ("1e-999", 0.5 * 10.0**-300),
        ("0e999", 0.5 * 10.0**300),
        ("0e" + "9" * 5000, 0.0),
    ],
)
def test_half_of_the_last_digit_shown(text: str | None, half: float) -> None:
    assert rounding_error(text) == pytest.approx(half, rel=1e-12)


# How a disagreement is told


def test_a_dispute_names_both_sources() -> None:
    dispute = ScoreConflict("a.ckpt", "val_loss", state(0.5), name("0.45", "csv"), {"csv": "metrics.csv"})
    assert worded(dispute.note) == "a.ckpt: val_loss: its own state says 0.5, metrics.csv says 0.45: the first counts"


def test_a_zero_in_a_name_may_mean_that_nothing_was_logged() -> None:
    told = worded(ScoreConflict("a.ckpt", "val_loss", Score(0.5, None, "sibling"), name("0.00")).note)
    assert told.endswith("its name says 0.00 (0 may mean: not logged): the first counts")


# What a recorded path means

HELD = dict.fromkeys(["a.ckpt", "epoch=1-val/loss=0.4.ckpt", "sub/a.ckpt"])


@pytest.mark.parametrize(
    ("recorded", "folder", "own"),
    [
        pytest.param("/old/run/a.ckpt", "/old/run", "a.ckpt", id="below the recorded home"),
        pytest.param("/old/run/a.ckpt", "/old/run/", "a.ckpt", id="a home with a slash"),
        pytest.param("/old/run/sub/a.ckpt", "/old/run", "sub/a.ckpt", id="deeper"),
        pytest.param("/old/other/a.ckpt", "/old/run", None, id="of another run"),
        pytest.param("/old/running/a.ckpt", "/old/run", None, id="a home that only begins alike"),
        pytest.param("/old/run/gone.ckpt", "/old/run", None, id="gone"),
        pytest.param("C:\\old\\run\\a.ckpt", "C:\\old\\run", "a.ckpt", id="of Windows"),
        pytest.param("/old/run/a.ckpt", None, "a.ckpt", id="without a home"),
        pytest.param("/old/run/sub/a.ckpt", None, "sub/a.ckpt", id="the longest tail"),
        pytest.param("/x/epoch=1-val/loss=0.4.ckpt", None, "epoch=1-val/loss=0.4.ckpt", id="a slash in a metric"),
        pytest.param("a.ckpt", None, "a.ckpt", id="a bare name"),
        pytest.param("/old/gone.ckpt", None, None, id="gone, without a home"),
        pytest.param("", None, None, id="nothing"),
        pytest.param("/".join("x" * 100) + "/a.ckpt", None, "a.ckpt", id="very deep"),
    ],
)
def test_a_path_of_another_machine_is_matched_to_the_runs_own(
    recorded: str, folder: str | None, own: str | None
) -> None:
    assert match_paths([recorded], HELD, folder) == ({} if own is None else {recorded: own})


@pytest.mark.parametrize(
    ("recorded", "run", "own"),
    [
        pytest.param("/old/val/loss=0.8.ckpt", "runs/val", "loss=0.8.ckpt", id="the run is a folder of it"),
        pytest.param("/old/val/a/loss=0.8.ckpt", "val/a", "loss=0.8.ckpt", id="two folders down"),
        pytest.param("/old/val/loss=0.8.ckpt", "runs/eval", None, id="a folder that only ends alike"),
        pytest.param("/old/train/loss=0.8.ckpt", "runs/val", None, id="another folder"),
        pytest.param("/old/val/gone.ckpt", "runs/val", None, id="gone"),
    ],
)
def test_a_run_may_lie_below_the_recorded_home(recorded: str, run: str, own: str | None) -> None:
    found = match_paths([recorded], {"loss=0.8.ckpt": None}, "/old", run)
    assert found == ({} if own is None else {recorded: own})
