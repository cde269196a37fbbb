"""Where a key ends and its number begins, in names without a sign between them."""

from __future__ import annotations

import pytest

from ckptctl.core.names.glued_keys import read_words


@pytest.mark.parametrize(
    ("stem", "key", "text"),
    [
        pytest.param("epoch02-val_f10.32", "val_f1", "0.32", id="a digit belongs to the key"),
        pytest.param("epoch02-val_f0.32", "val_f", "0.32", id="no digit makes it a metric"),
        pytest.param("epoch02-val_x12345.5", "val_x", "12345.5", id="many digits, none of them the key's"),
        pytest.param("epoch02-val_loss0.32", "val_loss", "0.32", id="a metric without digits"),
    ],
)
def test_digits_belong_to_the_key_only_where_they_make_it_a_metric(stem: str, key: str, text: str) -> None:
    assert read_words(stem).fields[key].text == text
