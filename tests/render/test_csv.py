from __future__ import annotations

import csv as stdlib_csv
import math
from io import StringIO

import pytest

from ckptctl.core.model import Run
from ckptctl.render import export
from ckptctl.render.columns import metrics_of
from tests.render.samples import FLOAT32, all_views, lightning, long, make, nasty, odd, score


def table(text: str) -> list[dict[str, str]]:
    return list(stdlib_csv.DictReader(StringIO(text), strict=True))


def show(run: Run, *metrics: str, raw: bool = False) -> list[dict[str, str]]:
    return table(export.csv_header(metrics, raw=raw) + "".join(export.csv_rows(run, metrics, raw=raw)))


def test_a_row_has_every_column() -> None:
    assert show(lightning().run, "val_loss")[3] == {
        "run": "lr1e-3/version_0/checkpoints",
        "path": "lr1e-3/version_0/checkpoints/epoch=03-val_loss=0.30.ckpt",
        "layout": "lightning",
        "kind": "file",
        "state": "complete",
        "epoch": "3",
        "step": "400",
        "version": "",
        "val_loss": repr(FLOAT32),
        "bytes": "10600000000",
        "files": "1",
        "modified": "2027-01-12T08:00:00Z",
        "roles": "",
        "aliases": "",
        "pinned": "false",
    }


def test_several_runs_share_the_columns() -> None:
    metrics = metrics_of(it.run for it in all_views())
    rows = table(
        export.csv_header(metrics) + "".join(piece for it in all_views() for piece in export.csv_rows(it.run, metrics))
    )
    assert metrics == ["eval_loss", "lr", "val/acc", "val_loss"]
    assert len(rows) == 31
    assert (rows[5]["eval_loss"], rows[5]["val_loss"]) == ("1.448512077331543", "")


@pytest.mark.parametrize("start", ["=1+1", "+1", "-1", "@x", " =1+1"])
def test_a_text_that_would_run_as_a_formula_is_held(start: str) -> None:
    (row,) = show(Run(start, (make(start, layout=start, aliases=(start,), roles=(start,)),)))
    assert {row[name] for name in ("path", "layout", "run", "roles", "aliases")} == {"'" + start}
    (bare,) = show(Run(start, (make(start),)), raw=True)
    assert not bare["path"].startswith("'")


@pytest.mark.parametrize("start", ["\t=1", "\r=1", "\n=1", "\u3000=1"])
def test_hidden_letters_before_a_formula_are_written_out(start: str) -> None:
    (row,) = show(Run("", (make(start),)))
    assert row["path"].startswith("\\")


def test_numbers_are_left_alone() -> None:
    run = Run(
        "",
        (make("a", epoch=-1, metrics={"m": score(-0.4, "-0.4", "name"), "n": score(-math.inf), "o": score(math.nan)}),),
    )
    (row,) = show(run, "m", "n", "o")
    assert (row["epoch"], row["m"], row["n"], row["o"]) == ("-1", "-0.4", "-inf", "nan")


def test_texts_are_quoted_and_numbers_are_not() -> None:
    text = "".join(export.csv_rows(odd().run, ["val/acc"]))
    assert text.startswith(
        '"実験","実験/模型-エポック=1.ckpt","lightning","file","complete",1,"","",0.912345,10600000000,1,'
    )


def test_a_metric_with_the_name_of_a_column_is_told_apart() -> None:
    (row,) = show(Run("", (make("a", step=1, metrics={"step": score(2.0), "=m": score(3.0)}),)), "step", "=m")
    assert (row["step"], row["metric.step"], row["'=m"]) == ("1", "2.0", "3.0")


def test_the_root_is_a_dot_and_a_pin_is_a_word() -> None:
    (row,) = show(Run("", (make("a", pinned=True),)))
    assert (row["run"], row["pinned"]) == (".", "true")


def test_a_time_that_nobody_asked_for_is_empty() -> None:
    checkpoint = make("x")
    unasked = checkpoint._replace(entries=(checkpoint.entries[0]._replace(modified=None),))
    assert show(Run("", (unasked,)))[0]["modified"] == ""


def test_no_name_can_break_a_row() -> None:
    run = nasty().run
    metrics = metrics_of([run])
    rows = show(run, *metrics)
    assert len(rows) == len(run.checkpoints)
    assert all(None not in row for row in rows)


def test_a_large_run_comes_in_pieces() -> None:
    assert [piece.count("\n") for piece in export.csv_rows(long(4500).run, [])] == [2000, 2000, 500]
