"""JSON documents as frameworks leave them: metrics, and lists of checkpoints."""

from __future__ import annotations

import json as standard
import sys
from bisect import bisect_left
from collections.abc import Mapping
from math import inf, nan
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckptctl.errors import Damaged
from ckptctl.readers import json

FIXTURES = Path(__file__).parents[1] / "fixtures" / "layouts"
TRAINER_STATE = b"""{
  "best_metric": 0.31,
  "best_model_checkpoint": "out/checkpoint-10",
  "epoch": 2.0,
  "is_hyper_param_search": false,
  "log_history": [
    {
      "epoch": 1.0,
      "loss": NaN,
      "step": 5
    },
    {
      "epoch": 1.0,
      "eval_loss": 0.4,
      "step": 5
    },
    {
      "epoch": 2.0,
      "eval_loss": Infinity,
      "eval_note": "late",
      "step": 10
    }
  ],
  "trial_name": null
}
"""
RAY = (
    b'{"ray_version":"2.60.0","checkpoint_manager_state":{"version":0,"checkpoint_results":['
    b'{"version":0,"checkpoint_dir_name":"checkpoint_a","metrics":{"loss":1e-5}},'
    b'{"version":0,"checkpoint_dir_name":"checkpoint_b","metrics":{"loss":null}},'
    b'{"version":0,"checkpoint_dir_name":"checkpoint_c","metrics":{"loss":NaN}}],'
    b'"latest_checkpoint_result":{"version":0,"checkpoint_dir_name":"checkpoint_c","metrics":{}}}}'
)
RESULTS = "checkpoint_manager_state/checkpoint_results"
CATALYST = b"""{
  "logdir": "./logs",
  "metric_key": "loss",
  "minimize": true,
  "storage": [
    {
      "logpath": "./logs/model.0003.pth",
      "metric": 0.1
    },
    {
      "logpath": "./logs/model.0001.pth",
      "metric": NaN
    }
  ]
}"""


# Rows ----------------------------------------------------------------------------------------------------------------


def test_a_list_gives_a_row_for_each_item() -> None:
    rows = [
        {"epoch": 1.0, "loss": nan, "step": 5},
        {"epoch": 1.0, "eval_loss": 0.4, "step": 5},
        {"epoch": 2.0, "eval_loss": inf, "eval_note": "late", "step": 10},
    ]
    assert repr(json.read_rows(TRAINER_STATE, "log_history")) == repr(rows)


def test_a_mapping_is_one_row_without_switches_nothings_and_lists() -> None:
    row = {"best_metric": 0.31, "best_model_checkpoint": "out/checkpoint-10", "epoch": 2.0}
    assert json.read_rows(TRAINER_STATE) == [row]


@pytest.mark.parametrize(("step", "loss"), [(20, 0.05), (30, 0.03333333333333333)])
def test_what_orbax_wrote_is_read(step: int, loss: float) -> None:
    data = (FIXTURES / "orbax" / str(step) / "metrics" / "metrics").read_bytes()
    assert json.read_rows(data) == [{"loss": loss}]


@pytest.mark.parametrize(
    ("data", "at", "rows"),
    [
        pytest.param(b'{"a": {"b": {"c": 1}}, "d": 2}', "", [{"a/b/c": 1, "d": 2}], id="nested keys are joined"),
        pytest.param(b'{"a": {"b": {"c": 1}}}', "a/b", [{"c": 1}], id="rows far down"),
        pytest.param(b'{"1": {"x": 5}, "12": {"y": 6}}', "", [{"x": 5, "key": 1}, {"y": 6, "key": 12}], id="numbered"),
        pytest.param(b'{"0012": {}}', "", [{"key": 12}], id="a padded number"),
        pytest.param(b'{"1": {"x": 5}, "z": {"y": 6}}', "", [{"1/x": 5, "z/y": 6}], id="a key that is no number"),
        pytest.param(b'{"1": 5, "2": 6}', "", [{"1": 5, "2": 6}], id="numbered values"),
        pytest.param(b'[1, [2], {}, null, {"a": 3}]', "", [{"a": 3}], id="items that are no mappings"),
        pytest.param(b'{"best": 0.5}', "best", [{"": 0.5}], id="a single number"),
        pytest.param(b'"text"', "", [{"": "text"}], id="a single text"),
        pytest.param(b"true", "", [], id="a switch"),
        pytest.param(b"{}", "", [], id="nothing in it"),
        pytest.param(b'{"a": 1}', "b", [], id="a path that is not there"),
        pytest.param(b'{"a": 1}', "a/b", [], id="a path through a number"),
        pytest.param(b'{"a": [{"b": 1}]}', "a/b", [], id="a path through a list"),
        pytest.param(b'{"a": 1, "a": 2}', "", [{"a": 2}], id="of equal keys the last"),
        pytest.param(b'\xef\xbb\xbf{"a": 1}', "", [{"a": 1}], id="a byte order mark"),
        pytest.param(b'{"a": ' + b"9" * 5000 + b"}", "", [{"a": inf}], id="a number that no float holds"),
        pytest.param(b'{"' + b"k" * 201 + b'": 1, "b": 2}', "", [{"b": 2}], id="a name too long to mean anything"),
        pytest.param(b'{"' + b"k" * 150 + b'": {"' + b"l" * 60 + b'": 1}}', "", [], id="names too long together"),
    ],
)
def test_rows_are_found(data: bytes, at: str, rows: list[json.Row]) -> None:
    assert json.read_rows(data, at) == rows


@pytest.mark.parametrize(
    ("data", "why"),
    [
        pytest.param(b"", "not JSON: line 1: Expecting value", id="empty"),
        pytest.param(b'{"a":\n 1', "not JSON: line 2: Expecting", id="cut short"),
        pytest.param(b'{"a": 1} x', "not JSON: line 1: Extra data", id="more behind"),
        pytest.param(b'{"a": "\xff"}', "not text: byte 7 is not UTF-8", id="no text"),
        pytest.param(b"[" * 200_000, "not JSON that anyone wrote: nested too deep", id="very deep"),
        pytest.param(b'{"a":' * 200_000, "not JSON that anyone wrote: nested too deep", id="very deep mappings"),
    ],
)
def test_anything_else_is_damaged(data: bytes, why: str) -> None:
    for read in (json.read, json.read_rows, lambda it: json.without(it, "a", "", ())):
        with pytest.raises(Damaged) as caught:
            read(data)
        assert caught.value.text.startswith(why)


def test_what_is_deep_but_can_be_read_gives_rows() -> None:
    data = b'{"a":' * 300 + b"1" + b"}" * 300
    assert json.read_rows(data) == []
    assert json.read_rows(data, "/".join("a" * 299)) == [{"a": 1}]


def test_at_the_edge_of_what_python_can_read_lists_are_found_or_it_is_damaged() -> None:
    deep = [b'{"a": [' + b"[" * depth + b"]" * depth + b', "x"]}' for depth in range(sys.getrecursionlimit())]
    readable = bisect_left(deep, True, key=lambda it: not is_readable(it))
    for data in deep[readable - 9 : readable]:
        assert json.without(data, "a", "", {"x"}) == data.replace(b', "x"', b"")


def is_readable(data: bytes) -> bool:
    try:
        json.read(data)
    except Damaged:
        return False
    return True


# Lists of checkpoints ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "listing", "listed", "names"),
    [
        pytest.param(RAY, RESULTS, "checkpoint_dir_name", ["checkpoint_a", "checkpoint_b", "checkpoint_c"], id="ray"),
        pytest.param(CATALYST, "storage", "logpath", ["./logs/model.0003.pth", "./logs/model.0001.pth"], id="catalyst"),
        pytest.param(b'["a", 1, "b"]', "", "", ["a", "b"], id="a list of texts"),
        pytest.param(b'[{"a": {"b": "x"}}, {"a": 1}]', "", "a/b", ["x"], id="nested in the item"),
        pytest.param(b'{"a": "x"}', "a", "", [], id="no list"),
        pytest.param(b"{}", "a", "", [], id="nothing there"),
    ],
)
def test_names_in_a_list_are_found(data: bytes, listing: str, listed: str, names: list[str]) -> None:
    assert json.names(data, listing, listed) == names


def test_a_field_is_found_by_its_keys() -> None:
    assert json.field(RAY, "checkpoint_manager_state/latest_checkpoint_result/checkpoint_dir_name") == "checkpoint_c"
    assert json.field(RAY, "ray_version/x") is None
    assert json.field(b"5", "") == 5


@pytest.mark.parametrize(
    ("data", "listing", "listed", "gone", "left"),
    [
        pytest.param(
            RAY,
            RESULTS,
            "checkpoint_dir_name",
            {"checkpoint_a", "checkpoint_c"},
            b'{"ray_version":"2.60.0","checkpoint_manager_state":{"version":0,"checkpoint_results":['
            b'{"version":0,"checkpoint_dir_name":"checkpoint_b","metrics":{"loss":null}}],'
            b'"latest_checkpoint_result":{"version":0,"checkpoint_dir_name":"checkpoint_c","metrics":{}}}}',
            id="ray",
        ),
        pytest.param(
            CATALYST,
            "storage",
            "logpath",
            {"./logs/model.0003.pth"},
            b'{\n  "logdir": "./logs",\n  "metric_key": "loss",\n  "minimize": true,\n  "storage": [\n    {\n'
            b'      "logpath": "./logs/model.0001.pth",\n      "metric": NaN\n    }\n  ]\n}',
            id="catalyst",
        ),
        pytest.param(b'{"a": [ "x" , "y" ] }\n', "a", "", {"x", "y"}, b'{"a": [] }\n', id="all of them"),
        pytest.param(b'["x",\r\n"y",\r\n "z"]', "", "", {"y"}, b'["x",\r\n "z"]', id="lines of Windows"),
        pytest.param(b'["\\u0078", "y"]', "", "", {"x"}, b'["y"]', id="a name written with escapes"),
        pytest.param(b'["\\ud800", "y"]', "", "", {"\ud800"}, b'["y"]', id="half a character"),
        pytest.param(b'["x", "x", "y"]', "", "", {"x"}, b'["y"]', id="a name listed twice"),
        pytest.param(b'{"a": ["x"], "a": ["x", "y"]}', "a", "", {"x"}, b'{"a": ["x"], "a": ["y"]}', id="equal keys"),
        pytest.param(b'\xef\xbb\xbf["\xc3\xa9", "y"]', "", "", {"é"}, b'\xef\xbb\xbf["y"]', id="a byte order mark"),
        pytest.param(b'[["x"], {"x": 1}, 2, "x"]', "", "", {"x"}, b'[["x"], {"x": 1}, 2]', id="what is no name stays"),
        pytest.param(b'{"a": "x"}', "a", "", {"x"}, b'{"a": "x"}', id="no list"),
        pytest.param(b'{"b": ["x"]}', "a/c", "", {"x"}, b'{"b": ["x"]}', id="nothing there"),
        pytest.param(b'{"a":[1e5, 1E+5,1.0 ,"x"]}', "a", "", {"x"}, b'{"a":[1e5, 1E+5,1.0]}', id="numbers as written"),
    ],
)
def test_a_document_without_some_names_is_the_same_elsewhere(
    data: bytes, listing: str, listed: str, gone: set[str], left: bytes
) -> None:
    assert json.without(data, listing, listed, gone) == left
    assert not gone & set(json.names(left, listing, listed)) or left == data


# Laws ----------------------------------------------------------------------------------------------------------------

PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
VALUES = st.recursive(PLAIN, lambda it: st.lists(it, max_size=3) | st.dictionaries(st.text(max_size=3), it, max_size=3))
STYLES = st.fixed_dictionaries(
    {
        "indent": st.sampled_from([None, 0, 2, 4, "\t"]),
        "separators": st.sampled_from([None, (",", ":"), (", ", ": ")]),
        "ensure_ascii": st.booleans(),
    }
)
NAMES = st.sampled_from(["a", "ckpt-1", 'x"\\/é'])
ITEMS = st.builds(lambda name, more: {**more, "name": name}, NAMES, st.dictionaries(st.text(max_size=3), VALUES))


def write(value: object, style: Mapping[str, Any]) -> bytes:
    return standard.dumps(value, **style).encode()


@given(st.lists(ITEMS, max_size=5), st.dictionaries(st.text(max_size=3), VALUES), st.sets(NAMES), STYLES)
def test_what_is_left_is_what_the_framework_would_have_written(
    items: list[dict[str, object]], others: dict[str, object], gone: set[str], style: Mapping[str, Any]
) -> None:
    document = {**others, "state": {**others, "items": items}, "last": others}
    left = {**document, "state": {**others, "items": [it for it in items if it["name"] not in gone]}}
    assert json.without(write(document, style), "state/items", "name", gone) == write(left, style)


@given(VALUES, STYLES, st.sampled_from(["", "\n", "\r\n"]))
def test_without_nothing_every_byte_stays(value: object, style: Mapping[str, Any], end: str) -> None:
    data = write({"items": value}, style) + end.encode()
    assert json.without(data, "items", "name", ()) == data
    assert json.without(data, "items", "", {"nobody"}) == data


@given(VALUES)
def test_what_is_written_is_read_back(value: object) -> None:
    found = json.read(write(value, {"indent": None}))
    assert repr(found) == repr(standard.loads(standard.dumps(value)))


BYTES = st.binary(max_size=60) | st.text('[]{}",:0123456789eE+-. \\nulatrfsNIiy', max_size=60).map(str.encode)


@given(BYTES, st.sampled_from(["", "a", "a/b"]))
def test_no_bytes_do_worse_than_being_damaged(data: bytes, keys: str) -> None:
    try:
        rows = json.read_rows(data, keys)
    except Damaged:
        with pytest.raises(Damaged):
            json.without(data, keys, keys, {"a"})
        return
    assert all(isinstance(value, str | int | float) for row in rows for value in row.values())
    assert json.without(data, keys, keys, ()) == data
    json.names(json.without(data, keys, keys, {"a"}), keys, keys)
