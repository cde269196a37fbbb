from __future__ import annotations

import math

import pytest

from ckptctl.core.model import Run
from ckptctl.core.ranking import view_run
from ckptctl.render import plain
from ckptctl.render.plain import draw_sparkline, summarize_run, values_of
from ckptctl.render.text import measure
from tests.render.samples import all_views, empty, lightning, long, make, odd, score, transformers


def show(*, width: int = 120) -> list[str]:
    return "".join(plain.run_listing((summarize_run(it, root="runs/") for it in all_views()), width=width)).splitlines()


@pytest.mark.parametrize(
    ("values", "cells", "line"),
    [
        ([], 24, ""),
        ([1.0], 24, "▁"),
        ([2.0, 2.0], 24, "▁▁"),
        ([0.0, 1.0], 24, "▁█"),
        ([7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0, 0.0], 24, "█▇▆▅▄▃▂▁"),
        ([0.0, 0.0, 1.0, 1.0], 2, "▁█"),
        ([0.0, 1.0, 0.0, 1.0], 2, "▁▁"),
        ([-1e308, 1e308], 24, "▁▁"),
    ],
)
def test_bars_go_from_the_least_to_the_most(values: list[float], cells: int, line: str) -> None:
    assert draw_sparkline(values, cells) == line


@pytest.mark.parametrize("count", [1, 23, 24, 25, 100, 1001])
def test_a_line_has_at_most_its_cells(count: int) -> None:
    line = draw_sparkline([float(n) for n in range(count)], 24)
    assert len(line) == min(count, 24)
    assert list(line) == sorted(line)


def test_values_are_in_the_order_of_the_steps_and_finite() -> None:
    saves = [make(f"{n}", step=step, metrics={"m": score(value)})
             for n, (step, value) in enumerate(((30, 3.0), (10, 1.0), (40, math.inf), (20, math.nan)))]  # fmt: skip
    assert list(values_of(Run("", (*saves, make("x", step=50))), "m")) == [1.0, 3.0]


def test_a_row_says_how_far_a_run_came() -> None:
    row = summarize_run(long(), root="runs/")
    assert (row.run, row.facts, row.metric, row.best) == (
        "runs/lr3e-4", ("lightning", "17", "180 GB", "17\u00a0000"), "val_loss", "0.2588"
    )  # fmt: skip


def test_an_empty_run_has_a_row() -> None:
    assert summarize_run(empty())[1:] == (("–", "0", "0 B", "–"), "", (), "–")


def test_a_run_that_cannot_be_ranked_has_no_line() -> None:
    shown = view_run(Run("", (make("x", metrics={"a": score(1.0), "b": score(2.0)}),)))
    assert summarize_run(shown)[2:] == ("", (), "–")


def test_the_commonest_metric_is_the_head_and_others_are_named() -> None:
    heads, first, second, *_ = show()
    assert heads.split() == ["run", "layout", "checkpoints", "size", "last", "step", "val_loss", "best"]
    assert "val_loss" not in first
    assert "eval_loss █▁" in second


def test_columns_align() -> None:
    heads, *rows = show()
    ends = {measure(row) for row in rows}
    assert ends == {measure(heads)}
    assert len(rows) == 5


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 200])
def test_no_row_is_wider_than_the_terminal(width: int) -> None:
    assert [line for line in show(width=width) if measure(line) > width] == []


def test_the_layout_gives_way_first() -> None:
    assert "layout" not in show(width=80)[0]
    assert "size" in show(width=80)[0]


def test_no_runs_are_no_text() -> None:
    assert list(plain.run_listing([])) == []


def test_many_runs_come_in_pieces() -> None:
    pieces = list(plain.run_listing([summarize_run(lightning())] * 1200))
    assert [piece.count("\n") for piece in pieces] == [501, 500, 200]


def test_one_kind_of_run_names_its_metric_once() -> None:
    text = "".join(plain.run_listing([summarize_run(transformers())] * 3, width=100))
    assert text.count("eval_loss") == 1


def test_a_narrow_line_of_another_metric_keeps_its_bars() -> None:
    lines = "".join(plain.run_listing([summarize_run(long()), summarize_run(odd())], width=60)).splitlines()
    assert "█" in lines[-1]
    assert max(map(measure, lines)) <= 60
