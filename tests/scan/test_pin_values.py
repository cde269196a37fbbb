"""What a pin says, and until when it holds."""

from __future__ import annotations

import pytest

from ckptctl.core.units import parse_moment
from ckptctl.errors import UsageError
from ckptctl.scan.pins import Pin, read_pin, write_pin
from tests.wording import worded

CHRISTMAS = parse_moment("2026-12-24T18:00Z")


@pytest.mark.parametrize(
    ("values", "pin"),
    [
        ({}, Pin()),
        ({"until": "2026-12-24T18:00Z"}, Pin(CHRISTMAS)),
        ({"reason": "for the paper"}, Pin(None, "for the paper")),
        ({"until": "2026-12-24T18:00Z", "reason": ""}, Pin(CHRISTMAS, "")),
        ({"until": None, "reason": None}, Pin()),
    ],
)
def test_a_pin_is_read_from_its_two_fields(values: object, pin: Pin) -> None:
    assert read_pin(values) == pin


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ([], "it holds no object"),
        ("2026-12-24", "it holds no object"),
        ({"till": "2026-12-24"}, "nobody knows what its 'till' means"),
        ({"until": 20261224}, "must be texts"),
        ({"reason": ["a"]}, "must be texts"),
        ({"until": "Christmas"}, "'Christmas' is no date"),
    ],
)
def test_what_is_no_pin_is_refused_with_why(values: object, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        read_pin(values)


@pytest.mark.parametrize("pin", [Pin(), Pin(CHRISTMAS), Pin(None, "mine"), Pin(CHRISTMAS, "mine")], ids=repr)
def test_a_pin_that_was_written_is_read_as_the_same(pin: Pin) -> None:
    assert read_pin(write_pin(pin)) == pin


@pytest.mark.parametrize(
    ("pin", "now", "holds", "words"),
    [
        (Pin(), 2**62, True, "pinned"),
        (Pin(None, "mine"), 2**62, True, "pinned: mine"),
        (Pin(CHRISTMAS, "mine"), CHRISTMAS - 1, True, "pinned until 2026-12-24T18:00:00Z: mine"),
        (Pin(CHRISTMAS), CHRISTMAS, False, "its pin has passed (until 2026-12-24T18:00:00Z)"),
        (Pin(CHRISTMAS, "mine"), CHRISTMAS, False, "its pin has passed (until 2026-12-24T18:00:00Z): mine"),
    ],
    ids=repr,
)
def test_a_pin_holds_until_its_moment_and_says_so(pin: Pin, now: int, holds: bool, words: str) -> None:
    assert (pin.holds(now), worded(pin.note(now))) == (holds, words)
