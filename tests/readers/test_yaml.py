"""best_k_models.yaml, what may be called so, and the YAML of others."""

from __future__ import annotations

from math import inf, isnan
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ckptctl.errors import Damaged
from ckptctl.readers.json import Row
from ckptctl.readers.yaml import read_rows, read_scores

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


# The YAML of others --------------------------------------------------------------------------------------------------

SPEECHBRAIN = b"""# yamllint disable
WER: 3.1
end-of-epoch: true
loss: 1.0e-05
unixtime: 1795311290.63
"""
HYPERPARAMS = b"""
seed: 1986
__set_seed: !apply:torch.manual_seed [!ref <seed>]
output_folder: !ref results/<seed>
lr: 1e-05
model: !new:torch.nn.Linear
  n_in: 40
  n_out: &out 10
decoder:
  size: *out
sizes: [1, 2]
"""


def test_the_metrics_of_a_checkpoint_are_a_row() -> None:
    assert read_rows(SPEECHBRAIN) == [{"WER": 3.1, "loss": 1e-05, "unixtime": 1795311290.63}]


def test_tags_call_nothing_and_aliases_stand_for_nothing() -> None:
    assert read_rows(HYPERPARAMS) == [
        {"seed": 1986, "output_folder": "results/<seed>", "lr": 1e-05, "model/n_in": 40, "model/n_out": 10}
    ]


@pytest.mark.parametrize(
    ("text", "at", "rows"),
    [
        pytest.param("a: {b: {c: 1}}", "a", [{"b/c": 1}], id="rows further down"),
        pytest.param("- {a: 1}\n- 2\n- {a: 3}", "", [{"a": 1}, {"a": 3}], id="a list of mappings"),
        pytest.param("1: {a: 5}\n2: {a: 6}", "", [{"a": 5, "key": 1}, {"a": 6, "key": 2}], id="numbered mappings"),
        pytest.param("a: '1'\nb: \"2\"\nc: |\n  3", "", [{"a": "1", "b": "2", "c": "3"}], id="quoted is text"),
        pytest.param("a: !!float 1\nb: !!int '2'\nc: !!str 3", "", [{"a": 1, "b": 2, "c": "3"}], id="plain tags"),
        pytest.param("a: !!python/name:os.system x", "", [{"a": "x"}], id="a scalar of any tag is text"),
        pytest.param("a: !!python/object:x.Y {b: 1}", "", [{"a/b": 1}], id="a mapping of any tag is one"),
        pytest.param("a: !!python/tuple [1, 2]\nb: 3", "", [{"b": 3}], id="a list of any tag is left out"),
        pytest.param("a: ~\nb: null\nc:\nd: Yes\ne: off\nf: 1", "", [{"f": 1}], id="nothings and switches"),
        pytest.param("a: .inf\nb: -.Inf\nc: 1_000", "", [{"a": inf, "b": -inf, "c": 1000.0}], id="forms of numbers"),
        pytest.param("? [a, b]\n: 1\n? {c: 2}\n: 3\nd: 4", "", [{"d": 4}], id="keys that are no text"),
        pytest.param("a: &x 1\n*x : 2\nb: 3", "", [{"a": 1, "b": 3}], id="an alias for a key"),
        pytest.param("null: 1\n2: 3\ntrue: 4", "", [{"null": 1, "2": 3, "true": 4}], id="keys are as written"),
        pytest.param("a: 1\na: 2", "", [{"a": 2}], id="of equal keys the last"),
        pytest.param("a: &x [*x]\nb: 1", "", [{"b": 1}], id="what holds itself"),
        pytest.param("\ufeffa: 1", "", [{"a": 1}], id="a byte order mark"),
        pytest.param("a: 1", "b", [], id="a path that is not there"),
        pytest.param("a: 1", "a", [{"": 1}], id="a single value"),
        pytest.param("", "", [], id="empty"),
        pytest.param("# nothing\n", "", [], id="a comment"),
        pytest.param("a: [" + "[" * 90 + "]" * 90 + "]\nb: 1", "", [{"b": 1}], id="deep"),
    ],
)
def test_rows_are_found(text: str, at: str, rows: list[Row]) -> None:
    assert read_rows(text.encode(), at) == rows


@pytest.mark.parametrize(
    ("data", "why"),
    [
        pytest.param(b"\xff\xfe", "not text: byte 0 is not UTF-8", id="no text"),
        pytest.param(b"a: 1: 2", "not YAML: line 1: mapping values are not allowed", id="not YAML"),
        pytest.param(b"a: [1", "not YAML: line 2", id="cut short"),
        pytest.param(b"a: \x01", "not YAML: ", id="a control character"),
        pytest.param(b"a: 1\n---\nb: 2", "several YAML documents in one file", id="two documents"),
        pytest.param(b"a: " + b"[" * 100_000, "not YAML that anyone wrote: nested too deep", id="very deep"),
        pytest.param(b"- " * 100_000, "not YAML that anyone wrote: nested too deep", id="very deep in blocks"),
    ],
)
def test_other_yaml_is_damaged(data: bytes, why: str) -> None:
    with pytest.raises(Damaged) as caught:
        read_rows(data)
    assert caught.value.text.startswith(why)


def test_aliases_do_not_make_a_small_file_huge() -> None:
    laughs = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30))
    assert read_rows(f"{laughs}b: 1".encode()) == [{"b": 1}]


KEYS = st.text(max_size=6)
NUMBERS = st.integers(-(10**20), 10**20) | st.floats(allow_nan=False)


@given(st.dictionaries(KEYS, NUMBERS, min_size=1), st.booleans())
def test_what_pyyaml_writes_is_read_back(row: dict[str, float], flow: bool) -> None:
    assert read_rows(yaml.safe_dump(row, default_flow_style=flow).encode()) == [row]


@given(st.binary(max_size=60) | st.text("a1:-[]{}&*!?|>'\"#%,. \n\t~", max_size=60).map(str.encode))
def test_no_bytes_do_worse_than_being_damaged(data: bytes) -> None:
    for read in (read_rows, read_scores):
        try:
            found = read(data)
        except Damaged:
            continue
        assert isinstance(found, list | dict)
