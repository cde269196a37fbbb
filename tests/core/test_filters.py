"""What a filter means, and what it says of those that do not meet it."""

from __future__ import annotations

from math import nan

import pytest

from ckptctl.core.filters import meets_all, parse_filter
from ckptctl.errors import UsageError
from tests.core.samples import HOUR, NOW, save

ONE = save("one.ckpt", 0.5, epoch=3, step=1000, at=998 * HOUR, size=2_000_000_000)


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("size>1GB", True),
        ("size>2GB", False),
        ("size>=2GB", True),
        ("size<=1GiB", False),
        ("files=1", True),
        ("files>1", False),
        ("age>1h", True),
        ("age<2h", False),
        ("age<=2h", True),
        ("age<3h", True),
        ("step>=1000", True),
        ("step == 1000", True),
        ("step!=1000", False),
        ("epoch<3", False),
        ("val_loss<0.6", True),
        ("val_loss < 0.5", False),
        ("val/loss=5e-1", True),
        ("val_loss>-inf", True),
        ("acc>0", False),
    ],
)
def test_a_filter_compares_one_number(text: str, holds: bool) -> None:
    assert parse_filter(text).holds(ONE, NOW) is holds


@pytest.mark.parametrize("comparison", ["<", ">", "<=", ">=", "=", "!="])
def test_what_is_nan_or_not_known_meets_nothing(comparison: str) -> None:
    for checkpoint in (save("x"), save("x", nan), save("x", at=1000 * HOUR - NOW)):
        for key in ("val_loss", "step"):
            assert not parse_filter(f"{key}{comparison}0").holds(checkpoint, NOW)
    assert not parse_filter(f"age{comparison}1h").holds(save("x", at=1000 * HOUR - NOW), NOW)


def test_all_filters_must_be_met() -> None:
    both = (parse_filter("step>10"), parse_filter("epoch<3"))
    assert not meets_all(both, ONE, NOW)
    assert meets_all(both[:1], ONE, NOW)
    assert meets_all((), ONE, NOW)


@pytest.mark.parametrize(
    ("text", "told"),
    [("step > 2000", "not step>2000"), ("acc>0", "not acc>0: acc is not known")],
)
def test_a_filter_says_why_it_is_not_met(text: str, told: str) -> None:
    assert parse_filter(text).describe_unmet(ONE) == told


@pytest.mark.parametrize(
    ("text", "needs"), [("size>1", True), ("age>1d", True), ("files>1", False), ("val_loss<1", False)]
)
def test_only_sizes_and_ages_need_a_closer_look(text: str, needs: bool) -> None:
    assert parse_filter(text).needs_stat is needs


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "'' is not a filter"),
        ("size", "'size' is not a filter"),
        (">1GB", "is not a filter"),
        ("size>", "is not a filter"),
        ("size>1<2", "is not a filter"),
        ("size>many", "'many' is not a size"),
        ("age>1", "'1' is not a length of time"),
        ("val_loss<low", "'low' in 'val_loss<low' is not a number"),
        ("val_loss=nan", "'nan' in 'val_loss=nan' is not a number"),
    ],
)
def test_what_is_no_filter_is_refused(text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        parse_filter(text)
