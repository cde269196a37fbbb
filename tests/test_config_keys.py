"""What can be configured, of what kind it is, and which of two values counts."""

from __future__ import annotations

import pytest

from ckptctl.config import POLICY_KEYS, PROTECTIONS, Setting, merge_settings, read_value, read_word
from ckptctl.errors import UsageError


@pytest.mark.parametrize(
    ("kind", "value", "read"),
    [
        ("number", -1, -1),
        ("count", 0, 0),
        ("float", 1, 1.0),
        ("float", 0.5, 0.5),
        ("flag", True, True),
        ("text", "val_loss", "val_loss"),
        ("texts", "a", ["a"]),
        ("texts", ["a", "b"], ["a", "b"]),
        ("texts", 1000, ["1000"]),
        ("texts", [100, 200], ["100", "200"]),
        ("size", "20GB", "20GB"),
        ("size", 2000, "2000"),
        ("duration", "7d", "7d"),
        ("age", "auto", "auto"),
        ("age", "10m", "10m"),
        ("group", "parent", "parent"),
        ("mode", "max", "max"),
        ("tie", "latest", "latest"),
    ],
)
def test_a_value_is_read_as_its_flag_takes_it(kind: str, value: object, read: object) -> None:
    assert read_value(kind, value) == read


@pytest.mark.parametrize(
    ("kind", "value", "why"),
    [
        ("number", "3", "'3' is not a whole number"),
        ("number", 1.5, "1.5 is not a whole number"),
        ("number", True, "True is not a whole number"),
        ("count", -1, "-1 is not a number from 0"),
        ("float", "0.5", "'0.5' is not a number"),
        ("float", False, "False is not a number"),
        ("flag", "yes", "'yes' is not true or false"),
        ("flag", 1, "1 is not true or false"),
        ("text", 3, "3 is not a text in quotes"),
        ("texts", [1.5], r"\[1.5\] is not a list of texts"),
        ("texts", True, "True is not a list of texts"),
        ("size", "big", "'big' is not a size"),
        ("size", 1.5, "1.5 is not a text in quotes"),
        ("size", True, "True is not a text in quotes"),
        ("duration", "soon", "'soon' is not a length of time"),
        ("duration", 7, "7 is not a text in quotes"),
        ("age", 7, "7 is not a text in quotes"),
        ("group", "me", "'me' is not one of run, parent, all"),
        ("mode", "up", "'up' is not one of min, max, auto"),
        ("tie", 1, "1 is not one of earliest, latest"),
    ],
)
def test_a_value_of_another_kind_is_refused(kind: str, value: object, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        read_value(kind, value)


@pytest.mark.parametrize(
    ("kind", "word", "read"),
    [
        ("count", "50", 50),
        ("flag", "1", True),
        ("flag", "TRUE", True),
        ("flag", "off", False),
        ("flag", "", False),
        ("texts", "a*:b*", ["a*", "b*"]),
        ("texts", "", []),
        ("size", "2TB", "2TB"),
        ("age", "auto", "auto"),
    ],
)
def test_a_word_of_the_environment_is_read_by_its_kind(kind: str, word: str, read: object) -> None:
    assert read_word(kind, word) == read


@pytest.mark.parametrize(("kind", "word"), [("count", "-1"), ("count", "many"), ("flag", "maybe"), ("size", "big")])
def test_a_word_that_means_nothing_is_refused(kind: str, word: str) -> None:
    with pytest.raises(UsageError):
        read_word(kind, word)


@pytest.mark.parametrize(
    ("key", "values", "counts"),
    [
        ("min-age", ["10m", "2h", "auto"], "2h"),
        ("min-age", ["auto", "0"], "0"),
        ("max-delete", [50, 5, 10], 5),
        ("max-delete-size", ["1TB", "999GB"], "999GB"),
        ("strict", [False, True, False], True),
        ("trash", [False, False], False),
        ("trash-for", ["7d", "30d"], "30d"),
        ("keep", [["a"], ["b", "c"]], ["a", "b", "c"]),
    ],
)
def test_of_several_values_the_most_careful_counts_whatever_their_order(
    key: str, values: list[object], counts: object
) -> None:
    settings = [Setting(key, value, f"file{n}") for n, value in enumerate(values)]
    assert merge_settings(settings)[key].value == counts
    turned = merge_settings(settings[::-1])[key].value
    assert (sorted(turned) if isinstance(turned, list) else turned) == counts


def test_the_origin_is_that_of_the_value_which_counts() -> None:
    both = [Setting("max-delete", 5, "near"), Setting("max-delete", 5, "far"), Setting("max-delete", 9, "farther")]
    assert merge_settings(both)["max-delete"].origin == "near"
    globs = [Setting("keep", ["a"], "near"), Setting("keep", ["b"], "far")]
    assert merge_settings(globs)["keep"].origin == "near, far"


def test_every_protection_has_an_order_of_care_and_is_a_policys_key_too() -> None:
    assert merge_settings(Setting(key, [], "x") for key in PROTECTIONS for _ in range(1)).keys() == PROTECTIONS.keys()
    assert PROTECTIONS.keys() <= POLICY_KEYS.keys()
