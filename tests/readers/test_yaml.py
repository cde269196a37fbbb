"""best_k_models.yaml, and what may be called so."""

from __future__ import annotations

from math import inf, isnan
from pathlib import Path

import pytest

from ckptctl.errors import Damaged
from ckptctl.readers.yaml import read_scores

FIXTURES = Path(__file__).parents[1] / "fixtures" / "lightning"


@pytest.mark.parametrize(
    ("run", "scores"),
    [
        (
            "pl26/rounding",
            {"val_loss=0.50.ckpt": 0.501, "val_loss=0.50-v1.ckpt": 0.502, "val_loss=0.50-v2.ckpt": 0.499},
        ),
        ("pl26/max_negative", {"epoch=1-val_loss=-1e-05.ckpt": -1e-05, "epoch=2-val_loss=-0.4.ckpt": -0.4}),
        ("pl26/slash_nested", {"loss=0.40.ckpt": 0.4}),
        ("pl15/topk2_last", {"epoch=01-val_loss=0.40.ckpt": 0.4, "epoch=03-val_loss=0.30.ckpt": 0.3}),
    ],
)
def test_what_lightning_wrote_is_read_with_the_paths_as_written(run: str, scores: dict[str, float]) -> None:
    found = read_scores((FIXTURES / run / "best_k_models.yaml").read_bytes())
    assert {path.rpartition("/")[2]: score for path, score in found.items()} == pytest.approx(scores, rel=1e-6)
    assert all(path.startswith("/") for path in found)


@pytest.mark.parametrize(
    ("text", "scores"),
    [
        ("/x/a.ckpt: 0.5\n", {"/x/a.ckpt": 0.5}),
        ("/x/a.ckpt: 1e-05\n", {"/x/a.ckpt": 1e-05}),
        ("/x/a.ckpt: 3\n", {"/x/a.ckpt": 3.0}),
        ("/x/a.ckpt: .inf\n/x/b.ckpt: -.inf\n", {"/x/a.ckpt": inf, "/x/b.ckpt": -inf}),
        ("? /x/a*b.ckpt\n: 0.5\n", {"/x/a*b.ckpt": 0.5}),
        ("", {}),
        ("{}", {}),
        ("null", {}),
    ],
)
def test_a_mapping_of_paths_to_numbers_is_read(text: str, scores: dict[str, float]) -> None:
    assert read_scores(text.encode()) == scores


def test_nan_is_read_as_nan() -> None:
    assert isnan(read_scores(b"a: .nan")["a"])


def test_what_no_float_holds_is_infinite() -> None:
    assert read_scores(b"a: " + b"9" * 9000) == {"a": inf}


@pytest.mark.parametrize(
    ("data", "why"),
    [
        pytest.param(b"\xff\xfe", "not text: byte 0 is not UTF-8", id="no text"),
        pytest.param(b"'a: 1", "not YAML: line 1", id="cut short"),
        pytest.param(b"a: 1: 2", "not YAML: line 1: mapping values are not allowed", id="not YAML"),
        pytest.param(b"a: \x01", "not YAML: ", id="a control character"),
        pytest.param(b"- a\n- b", "not a mapping of paths to numbers", id="a list"),
        pytest.param(b"text", "not a mapping of paths to numbers", id="a text"),
        pytest.param(b"a: much", "not a mapping of paths to numbers", id="a word for a number"),
        pytest.param(b"a: {b: 1}", "not a mapping of paths to numbers", id="a mapping for a number"),
        pytest.param(b"a: &x 1\nb: *x", "not a mapping of paths to numbers", id="an alias"),
        pytest.param(b"a: !!python/object/apply:os.system [id]", "not a mapping of paths to numbers", id="code"),
        pytest.param(b"{[a]: 1}", "not a mapping of paths to numbers", id="a list for a path"),
        pytest.param(b"a: 1\n---\nb: 2", "not a mapping of paths to numbers", id="two documents"),
        pytest.param(b"[" * 100_000, "not a mapping of paths to numbers", id="very deep"),
        pytest.param(b"a: " + b"[" * 100_000, "not a mapping of paths to numbers", id="very deep inside"),
    ],
)
def test_anything_else_is_damaged(data: bytes, why: str) -> None:
    with pytest.raises(Damaged) as caught:
        read_scores(data)
    assert caught.value.text.startswith(why)
