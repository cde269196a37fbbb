from __future__ import annotations

from ckptctl.core.model import Run
from ckptctl.core.ranking import RunView, view_run
from ckptctl.render import columns, plain
from tests.render.samples import FLOAT32, all_views, empty, lightning, long, make, nasty, odd, transformers


def table(text: str) -> list[list[str]]:
    assert text.endswith("\n")
    return [line.split("\t") for line in text[:-1].split("\n")]


def show(shown: RunView, *metrics: str) -> list[dict[str, str]]:
    heads, *rows = table(columns.tsv_header(metrics) + "".join(columns.tsv_rows(shown, root="runs/", metrics=metrics)))
    return [dict(zip(heads, row, strict=True)) for row in rows]


def test_a_row_has_whole_paths_and_raw_values() -> None:
    row = show(lightning())[3]
    assert row == {
        "path": "runs/lr1e-3/version_0/checkpoints/epoch=03-val_loss=0.30.ckpt",
        "layout": "lightning",
        "state": "complete",
        "epoch": "3",
        "step": "400",
        "metric": "val_loss",
        "value": repr(FLOAT32),
        "bytes": "10600000000",
        "files": "1",
        "modified": "2027-01-12T08:00:00Z",
        "marks": "best, linked by best.ckpt",
    }


def test_what_is_missing_is_empty() -> None:
    row = show(transformers())[2]
    assert (row["epoch"], row["value"], row["state"]) == ("", "", "live")
    (bare,) = show(view_run(Run("", (make("x"),))))
    assert (bare["metric"], bare["value"], bare["step"]) == ("", "", "")


def test_a_time_that_nobody_asked_for_is_empty() -> None:
    checkpoint = make("x")
    unasked = checkpoint._replace(entries=(checkpoint.entries[0]._replace(modified=None),))
    assert show(view_run(Run("", (unasked,))))[0]["modified"] == ""


def test_values_that_are_no_numbers_are_words() -> None:
    assert [row["value"] for row in show(lightning())] == ["0.5012", "0.4", "nan", repr(FLOAT32), ""]
    assert show(odd())[2]["value"] == "-inf"


def test_metrics_that_are_asked_for_have_columns() -> None:
    rows = show(odd(), "lr", "val_loss")
    assert [(row["value"], row["lr"], row["val_loss"]) for row in rows[:2]] == [
        ("0.912345", "0.001", "1e-05"),
        ("0.93", "", ""),
    ]


def test_paths_are_never_cut_however_long() -> None:
    name = "x" * 250
    assert show(view_run(Run("r", (make(f"r/{name}"),))))[0]["path"] == f"runs/r/{name}"


def test_no_name_can_break_a_row() -> None:
    rows = table("".join(columns.tsv_rows(nasty(), root="a\tb\nc", metrics=["m\t"])))
    assert {len(row) for row in rows} == {12}


def test_there_are_neither_colours_nor_totals() -> None:
    text = "".join(piece for it in all_views() for piece in columns.tsv_rows(it, root="runs/"))
    assert "\x1b" not in text
    assert text.count("\n") == sum(len(it.run.checkpoints) for it in all_views())


def test_a_large_run_comes_in_pieces() -> None:
    assert [piece.count("\n") for piece in columns.tsv_rows(long(4500))] == [2000, 2000, 500]


def test_a_run_is_one_row_without_bars() -> None:
    heads, first, second = table(
        columns.tsv_run_header()
        + columns.tsv_run_row(lightning(), root="runs/")
        + columns.tsv_run_row(empty(), root=".")
    )
    assert dict(zip(heads, first, strict=True)) == {
        "run": "runs/lr1e-3/version_0/checkpoints",
        "layouts": "lightning",
        "metric": "val_loss",
        "mode": "min",
        "checkpoints": "5",
        "bytes": "53000000000",
        "last_step": "500",
        "best": "runs/lr1e-3/version_0/checkpoints/epoch=03-val_loss=0.30.ckpt",
        "best_value": repr(FLOAT32),
    }
    assert second == ["nothing", "", "", "", "0", "0", "", "", ""]


def test_pipes_and_terminals_tell_the_same_marks() -> None:
    marks = [row["marks"] for row in show(odd())]
    text = "".join(plain.listing(odd(), 0, width=200))
    assert [mark for mark in marks if mark not in text] == []
