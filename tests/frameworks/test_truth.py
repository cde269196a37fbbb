"""The judge is judged first: it must see what a prune did wrong."""

from __future__ import annotations

from math import inf, nan

import pytest

from tests.frameworks.truth import Save, against, expect, ranked


def saves(*values: float | None) -> list[Save]:
    return [
        Save(str(epoch), epoch, epoch, nan if value is None else value, value) for epoch, value in enumerate(values)
    ]


@pytest.mark.parametrize(
    ("values", "top_k", "kept", "faults"),
    [
        pytest.param((0.5, 0.4, 0.3, 0.6), 2, "123", [], id="the best two and the newest"),
        pytest.param((0.5, 0.4, 0.3, 0.6), 2, "23", ["last place decided wrongly: 1"], id="the second best lost"),
        pytest.param((0.5, 0.4, 0.3, 0.6), 2, "13", ["lost: 2"], id="the best lost"),
        pytest.param((0.5, 0.4, 0.3, 0.6), 2, "12", ["lost: 3"], id="the newest lost"),
        pytest.param((0.5, 0.4, 0.3, 0.6), 2, "0123", ["kept without a reason: 0"], id="too much kept"),
        pytest.param((nan, 0.4, inf, 0.6), 3, "13", [], id="NaN and its stand-in hold no place"),
        pytest.param((nan, 0.4, inf, 0.6), 3, "013", ["kept without a reason: 0"], id="NaN kept"),
        pytest.param((0.4, 0.4, 0.4, 0.6), 2, "013", [], id="ties to the earlier"),
        pytest.param((0.4, 0.4, 0.4, 0.6), 2, "03", ["last place decided wrongly: 1"], id="too few of the tied"),
        pytest.param((0.4, 0.4, 0.4), 1, "02", [], id="the newest beside the place it lost"),
    ],
)
def test_a_fault_of_a_prune_is_seen(values: tuple[float, ...], top_k: int, kept: str, faults: list[str]) -> None:
    assert against(set(kept), expect(saves(*values), "min", top_k, ()), earliest=True) == faults


def test_where_the_order_is_in_doubt_any_of_the_tied_may_stay_but_no_more() -> None:
    expected = expect(saves(0.4, 0.4, 0.4, 0.6), "min", 2, ())
    assert not against(set("023"), expected, earliest=False)
    assert against(set("23"), expected, earliest=False) == ["1 of 3 tied kept, where 2 have a place"]
    assert against(set("0123"), expected, earliest=False) == ["3 of 3 tied kept, where 2 have a place"]


def test_a_true_infinity_on_the_good_side_is_best() -> None:
    assert [save.path for save in ranked(saves(0.5, inf, nan, -inf, None), "max")] == ["1", "0"]
    assert [save.path for save in ranked(saves(0.5, inf, nan, -inf, None), "min")] == ["3", "0"]
