"""JSON lines, whole and as crashes leave them."""

from __future__ import annotations

import json as standard

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckptctl.errors import Damaged
from ckptctl.readers.json import Row
from ckptctl.readers.jsonl import read_rows

DETECTRON = (
    b'{"bbox/AP": 41.2, "iteration": 4999, "total_loss": 0.71}\n{"bbox/AP": NaN, "iteration": 9999, "lr": 1e-05}\n'
)


def test_each_line_is_a_row() -> None:
    first, second = read_rows(DETECTRON)
    assert first == {"bbox/AP": 41.2, "iteration": 4999, "total_loss": 0.71}
    assert {name: value for name, value in second.items() if name != "bbox/AP"} == {"iteration": 9999, "lr": 1e-05}


@pytest.mark.parametrize(
    ("data", "rows"),
    [
        pytest.param(b'{"a": 1}\n{"a": 2, "b', [{"a": 1}], id="a last line half-written"),
        pytest.param(b'{"a": 1}\n{"a": 2}', [{"a": 1}, {"a": 2}], id="a last line without its end"),
        pytest.param(b'{"a": 1}\n{"a": 2, {"a": 3}\n{"a": 4}\n', [{"a": 1}, {"a": 4}], id="one resumed in a half line"),
        pytest.param(b'{"a": 1}\n\0\0\0{"a": 2}\n', [{"a": 1}, {"a": 2}], id="zeros of a lost block"),
        pytest.param(b'{"a": 1}\n{"a": "\xc3', [{"a": 1}], id="half a letter"),
        pytest.param(b'{"a": 1}\r\n\r\n{"a": 2}\r\n', [{"a": 1}, {"a": 2}], id="lines of Windows, one empty"),
        pytest.param(b'\xef\xbb\xbf{"a": 1}\n', [{"a": 1}], id="a byte order mark"),
        pytest.param(b'{"a": 1}\n5\n[{"a": 2}]\n', [{"a": 1}], id="lines that are no objects"),
        pytest.param(b'{"a": 1}\n' + b"[" * 100_000 + b"\n", [{"a": 1}], id="a line very deep"),
        pytest.param(b'{"config": {"lr": 0.1}, "a": [1], "b": true}\n', [{"config/lr": 0.1}], id="nested keys"),
        pytest.param('{"a": "x\u2028y"}\n'.encode(), [{"a": "x\u2028y"}], id="a line separator in a text"),
        pytest.param(b"{}\n", [], id="a line without anything"),
        pytest.param(b"", [], id="empty"),
        pytest.param(b" \n\n", [], id="blank"),
    ],
)
def test_lines_that_are_objects_are_read(data: bytes, rows: list[Row]) -> None:
    assert read_rows(data) == rows


def test_rows_may_lie_further_down() -> None:
    data = b'{"val": {"loss": 1}}\n{"train": {"loss": 2}}\n{"val": [{"loss": 3}, {"loss": 4}]}\n'
    assert read_rows(data, "val") == [{"loss": 1}, {"loss": 3}, {"loss": 4}]


@pytest.mark.parametrize("data", [b"epoch,loss\n0,0.5\n", b"[1]\n2\n", b'{\n  "a": 1\n}\n', b"\x80\x02}q\x00."])
def test_a_file_of_which_no_line_is_an_object_is_damaged(data: bytes) -> None:
    with pytest.raises(Damaged) as caught:
        read_rows(data)
    assert caught.value.text == "not JSON lines: no line is an object"


ROWS = st.lists(st.dictionaries(st.text("abc/_", min_size=1, max_size=4), st.integers() | st.text(), min_size=1))


@given(ROWS, st.integers(0, 40))
def test_a_file_cut_anywhere_keeps_all_whole_lines(rows: list[dict[str, int | str]], lost: int) -> None:
    lines = [standard.dumps(row).encode() + b"\n" for row in rows]
    data = b"".join(lines)
    cut = data[: max(0, len(data) - lost)]
    whole = next((n for n in range(len(lines), -1, -1) if cut.startswith(b"".join(lines[:n]).removesuffix(b"\n"))), 0)
    if cut.strip() and whole == 0:
        with pytest.raises(Damaged):
            read_rows(cut)
        return
    assert read_rows(cut) == rows[:whole]


@given(st.binary(max_size=60) | st.text('{}[]"a:1,\n\r\0 ', max_size=60).map(str.encode))
def test_no_bytes_do_worse_than_being_damaged(data: bytes) -> None:
    try:
        rows = read_rows(data)
    except Damaged:
        return
    assert all(rows)
