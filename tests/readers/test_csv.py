"""metrics.csv, as Lightning's CSVLogger wrote it."""

from __future__ import annotations

from math import isnan

import pytest

from ckptctl.errors import Damaged
from ckptctl.readers.csv import Cell, read_metrics


def test_each_logged_value_is_found_by_metric_and_epoch_in_the_order_of_logging() -> None:
    table = read_metrics(b"epoch,step,val_loss,lr\n0,9,0.5,\n0,9,,0.001\n0,19,0.45,\n1,29,0.40,1e-05\n")
    assert table == {
        "val_loss": {0: [Cell(9, "0.5", 0.5), Cell(19, "0.45", 0.45)], 1: [Cell(29, "0.40", 0.4)]},
        "lr": {0: [Cell(9, "0.001", 0.001)], 1: [Cell(29, "1e-05", 1e-05)]},
    }


@pytest.mark.parametrize(
    ("data", "table"),
    [
        pytest.param(b"epoch,step\n", {}, id="only a head"),
        pytest.param(b"epoch,loss\n0,0.5\n", {"loss": {0: [Cell(None, "0.5", 0.5)]}}, id="no step"),
        pytest.param(b"epoch,step,loss\n,9,0.5\n", {}, id="a row without an epoch"),
        pytest.param(b"epoch,step,loss\n0.5,9,0.5\nnan,9,1\ninf,9,1\n", {}, id="an epoch that is no count"),
        pytest.param(b"epoch,step,loss\n1.0,,0.5\n", {"loss": {1: [Cell(None, "0.5", 0.5)]}}, id="an epoch as a float"),
        pytest.param(b"epoch,step,loss\n0,9,much\n", {}, id="a word"),
        pytest.param(b"epoch,step,loss\n0,9\n", {}, id="a row too short, as a killed training leaves it"),
        pytest.param(b"epoch,step,loss\n0,9,1,2,3\n", {"loss": {0: [Cell(9, "1", 1.0)]}}, id="a row too long"),
        pytest.param(b"epoch,step,loss\r\n0,9,1\r\n", {"loss": {0: [Cell(9, "1", 1.0)]}}, id="lines of Windows"),
        pytest.param(b'epoch,"val, loss"\n0,1\n', {"val, loss": {0: [Cell(None, "1", 1.0)]}}, id="a comma in a name"),
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
