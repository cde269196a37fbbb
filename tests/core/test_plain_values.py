"""A glance at many names says what reading them says, or nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from ckptctl.core.names.parse import parse_folder
from ckptctl.core.names.tokens import find_plain_values

SHOWN = [
    pytest.param("epoch=2-val_loss=0.32.ckpt", "0.32", id="behind a value"),
    pytest.param("val_loss=0.32.ckpt", "0.32", id="at the front"),
    pytest.param("sample-val_loss=0.32-v1.ckpt", "0.32", id="behind a prefix, before a version"),
    pytest.param("epoch=2-val_loss=-0.32-step=4.ckpt", "-0.32", id="negative"),
    pytest.param("epoch=2-val_loss=nan.ckpt", "nan", id="nan"),
]
NOT_SHOWN = [
    pytest.param("epoch=2-train-val_loss=0.32.ckpt", id="the end of a longer key"),
    pytest.param("epoch=2-mAP5-val_loss=0.32.ckpt", id="the end of a longer key with a number"),
    pytest.param("train_val_loss=0.32.ckpt", id="the end of a longer first key"),
    pytest.param("epoch=2-val_loss=1e-05.ckpt", id="an exponent"),
    pytest.param("epoch=2-val_loss=0.3-val_loss=0.31.ckpt", id="twice"),
    pytest.param("epoch=2-val_loss=0.32\n.ckpt", id="a line end in the name"),
    pytest.param("epoch=2-val_loss=big.ckpt", id="a word"),
    pytest.param("epoch=2.ckpt", id="not there"),
]


@pytest.mark.parametrize(("name", "text"), SHOWN)
def test_a_plain_value_is_seen(name: str, text: str) -> None:
    assert find_plain_values([name, name], "val_loss") == [text, text]


@pytest.mark.parametrize("name", NOT_SHOWN)
def test_what_is_not_plain_is_not_seen_and_neither_are_its_neighbours(name: str) -> None:
    assert find_plain_values(["epoch=1-val_loss=0.5.ckpt", name], "val_loss") is None


@pytest.mark.parametrize(("name", "metric"), [("top-5=0.9.ckpt", "5"), ("val-loss=0.32.ckpt", "val-loss")])
def test_of_a_metric_that_is_no_single_word_nothing_is_seen(name: str, metric: str) -> None:
    assert find_plain_values([name], metric) is None


WORDS = some.sampled_from(
    ["epoch", "step", "val_loss", "loss", "val", "top-5", "5", "lr", "m", "1e", "-", "_", "--", ", ", "/"]
)
PARTS = some.one_of(
    WORDS,
    some.sampled_from(["=", "-", "_", ".", "nan", "1e-05", "v1", "-v2"]),
    some.floats(-9, 9).map(lambda number: f"={number:.2f}"),
    some.integers(0, 99).map(lambda number: f"={number}-"),
)
NAMES = some.lists(PARTS, min_size=1, max_size=8).map(lambda parts: "".join(parts) + ".ckpt")


@given(some.lists(NAMES, min_size=1, max_size=4), some.sampled_from(["val_loss", "loss", "val", "m", "5", "top-5"]))
def test_what_a_glance_sees_is_what_reading_finds(names: list[str], metric: str) -> None:
    texts = find_plain_values(names, metric)
    if texts is None:
        return
    for text, name in zip(texts, parse_folder(names), strict=True):
        field = name.fields.get(metric)
        assert field is not None
        assert field.text == text
