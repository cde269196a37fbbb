"""metrics.csv, as Lightning's CSVLogger wrote it, and the tables of others."""

from __future__ import annotations

from math import isnan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckptctl.errors import Damaged
from ckptctl.readers.csv import LoggedValue, read_metrics, read_rows


def test_each_logged_value_is_found_by_metric_and_epoch_in_the_order_of_logging() -> None:
    table = read_metrics(b"epoch,step,val_loss,lr\n0,9,0.5,\n0,9,,0.001\n0,19,0.45,\n1,29,0.40,1e-05\n")
    assert table == {
        "val_loss": {0: [LoggedValue(9, "0.5", 0.5), LoggedValue(19, "0.45", 0.45)], 1: [LoggedValue(29, "0.40", 0.4)]},
        "lr": {0: [LoggedValue(9, "0.001", 0.001)], 1: [LoggedValue(29, "1e-05", 1e-05)]},
    }


@pytest.mark.parametrize(
    ("data", "table"),
    [
        pytest.param(b"epoch,step\n", {}, id="only a head"),
        pytest.param(b"epoch,loss\n0,0.5\n", {"loss": {0: [LoggedValue(None, "0.5", 0.5)]}}, id="no step"),
        pytest.param(b"epoch,step,loss\n,9,0.5\n", {}, id="a row without an epoch"),
        pytest.param(b"epoch,step,loss\n0.5,9,0.5\nnan,9,1\ninf,9,1\n", {}, id="an epoch that is no count"),
        pytest.param(
            b"epoch,step,loss\n1.0,,0.5\n", {"loss": {1: [LoggedValue(None, "0.5", 0.5)]}}, id="an epoch as a float"
        ),
        pytest.param(b"epoch,step,loss\n0,9,much\n", {}, id="a word"),
        pytest.param(b"epoch,step,loss\n0,9\n", {}, id="a row too short, as a killed training leaves it"),
        pytest.param(b"epoch,step,loss\n0,9,1,2,3\n", {"loss": {0: [LoggedValue(9, "1", 1.0)]}}, id="a row too long"),
        pytest.param(b"epoch,step,loss\r\n0,9,1\r\n", {"loss": {0: [LoggedValue(9, "1", 1.0)]}}, id="lines of Windows"),
        pytest.param(
            b'epoch,"val, loss"\n0,1\n', {"val, loss": {0: [LoggedValue(None, "1", 1.0)]}}, id="a comma in a name"
        ),
    ],
)
def test_what_is_no_value_is_passed_over(data: bytes, table: object) -> None:
    assert read_metrics(data) == table


def test_nan_is_a_value() -> None:
    (cell,) = read_metrics(b"epoch,loss\n0,nan\n")["loss"][0]
    assert isnan(cell.value)
    assert cell.text == "nan"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        pytest.param(b"", "it has no column 'epoch'", id="empty"),
        pytest.param(b"step,loss\n1,2\n", "it has no column 'epoch'", id="another table"),
        pytest.param(b"epoch\xff\n", "not text: byte 5 is not UTF-8", id="no text"),
        pytest.param(b'epoch,loss\n0,"1\n', "not CSV", id="an open quote"),
        pytest.param(b'epoch,loss\n0,"1"2\n', "not CSV", id="text behind a quote"),
        pytest.param(b"epoch,loss\n0," + b"1" * 200_000 + b"\n", "not CSV", id="an endless cell"),
    ],
)
def test_anything_else_is_damaged(data: bytes, why: str) -> None:
    with pytest.raises(Damaged) as caught:
        read_metrics(data)
    assert caught.value.text.startswith(why)


# Tables of others ----------------------------------------------------------------------------------------------------

ULTRALYTICS = (
    b"                  epoch,         train/box_loss,       metrics/mAP50(B)\n"
    b"                      1,                 1.1734,                0.40210\n"
    b"                      2,                 1.0001,                    nan\n"
)


def test_cells_and_heads_lose_their_padding_and_keep_their_digits() -> None:
    assert read_rows(ULTRALYTICS) == [
        {"epoch": "1", "train/box_loss": "1.1734", "metrics/mAP50(B)": "0.40210"},
        {"epoch": "2", "train/box_loss": "1.0001", "metrics/mAP50(B)": "nan"},
    ]


@pytest.mark.parametrize(
    ("data", "rows"),
    [
        pytest.param(b"a,b\n1,\n,2\n", [{"a": "1"}, {"b": "2"}], id="empty cells"),
        pytest.param(b"a,b\n1,much\n", [{"a": "1", "b": "much"}], id="words"),
        pytest.param(b"a,b\n1\n1,2,3\n", [{"a": "1"}, {"a": "1", "b": "2"}], id="rows too short and too long"),
        pytest.param(b"a,b\n1,2\n3,0.12", [{"a": "1", "b": "2"}, {"a": "3"}], id="a last cell cut short"),
        pytest.param(b"a,b\n1,2\n3", [{"a": "1", "b": "2"}], id="a first cell cut short"),
        pytest.param(b"a,b\n1,2\n3,", [{"a": "1", "b": "2"}, {"a": "3"}], id="a last cell not begun"),
        pytest.param(b'a,b,c\n1,2,3\n3,"x, y', [{"a": "1", "b": "2", "c": "3"}], id="a last cell cut short in quotes"),
        pytest.param(b"a,b\n1,2\n3,4,\xc3", [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}], id="half a letter"),
        pytest.param(b"a,b\n1,2\n\0\0\0", [{"a": "1", "b": "2"}], id="zeros of a lost block"),
        pytest.param(b"\xef\xbb\xbfa,b\n1,2\n", [{"a": "1", "b": "2"}], id="a byte order mark"),
        pytest.param(b"a,b\r\n1,2\r\n\r\n3,4\r\n", [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}], id="Windows"),
        pytest.param(b"a,b\r1,2\r", [{"a": "1", "b": "2"}], id="lines of old Macs"),
        pytest.param(b'a,"b, c"\n1, "2\n3"\n', [{"a": "1", "b, c": "2\n3"}], id="quotes"),
        pytest.param(b",a\n0,1\n", [{"a": "1"}], id="a column without a head"),
        pytest.param(b"a,a\n1,2\n", [{"a": "2"}], id="of equal heads the last"),
        pytest.param(b"a,b\n1,2\na,b\n3,4\n", [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}], id="a second head"),
        pytest.param(b"\n\na,b\n1,2\n", [{"a": "1", "b": "2"}], id="empty lines before the head"),
        pytest.param(b"a,b\n", [], id="only a head"),
        pytest.param(b"a,b", [], id="half a head"),
        pytest.param(b"", [], id="empty"),
    ],
)
def test_rows_are_what_cells_hold(data: bytes, rows: list[dict[str, str]]) -> None:
    assert read_rows(data) == rows


def test_nothing_is_below_a_table() -> None:
    assert read_rows(ULTRALYTICS, "epoch") == []


@pytest.mark.parametrize(
    ("data", "why"),
    [
        pytest.param(b"a\xff,b\n", "not text: byte 1 is not UTF-8", id="no text"),
        pytest.param(b'a,b\n1,"2\n3,4\n', "not CSV: line 2: ", id="a quote that never ends"),
        pytest.param(b'a,b\n1,"2\n', "not CSV: line 2: ", id="a quote that does not end with its line"),
        pytest.param(b'a,b\n1,"2"3\n4,5\n', "not CSV: line 2: ", id="text behind a quote"),
        pytest.param(b"a,b\n0," + b"1" * 200_000 + b"\n", "not CSV: line 2: ", id="an endless cell"),
    ],
)
def test_any_other_table_is_damaged(data: bytes, why: str) -> None:
    with pytest.raises(Damaged) as caught:
        read_rows(data)
    assert caught.value.text.startswith(why)


CELLS = st.text("ab 0.1é-", max_size=4)


@given(st.lists(st.tuples(CELLS, CELLS, CELLS), max_size=5), st.integers(0, 30))
def test_a_table_cut_anywhere_tells_no_cell_that_the_whole_does_not(
    records: list[tuple[str, str, str]], lost: int
) -> None:
    data = "".join(f"{','.join(record)}\n" for record in [("x", "y", "z"), *records]).encode()
    whole = read_rows(data)
    assert whole == [
        {name: cell.strip() for name, cell in zip("xyz", record, strict=True) if cell.strip()}
        for record in records
        if any(map(str.strip, record))
    ]
    cut = read_rows(data[: max(0, len(data) - lost)])
    *before, last = cut or [{}]
    assert before == whole[: len(before)]
    assert not last or last.items() <= whole[len(before)].items()


@given(st.binary(max_size=60) | st.text('ab,"\n\r\0 1.é', max_size=60).map(str.encode))
def test_no_bytes_do_worse_than_being_damaged(data: bytes) -> None:
    try:
        rows = read_rows(data)
    except Damaged:
        return
    assert all(rows)
    assert all(text == str(text).strip() != "" for row in rows for pair in row.items() for text in pair)
