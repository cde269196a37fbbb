from __future__ import annotations

import pytest

from ckptctl.core.model import Run
from ckptctl.core.ranking import RunView, view_run
from ckptctl.render import plain
from ckptctl.render.columns import RunTotals
from ckptctl.render.text import measure
from tests.render.samples import NOW, all_views, lightning, long, make, odd, score
from tests.wording import said


def show(shown: RunView, width: int = 80, *, root: str = "runs/", all_metrics: bool = False) -> list[str]:
    return "".join(plain.listing(shown, NOW, root=root, width=width, all_metrics=all_metrics)).splitlines()


def column_of(line: str, word: str) -> int:
    """The cell in which a word ends."""
    return measure(line[: line.index(word) + len(word)])


@pytest.mark.parametrize("width", [30, 50, 80, 100, 200])
@pytest.mark.parametrize("number", range(5))
@pytest.mark.parametrize("all_metrics", [False, True])
def test_no_line_is_wider_than_the_terminal(number: int, width: int, all_metrics: bool) -> None:
    lines = show(all_views()[number], width, all_metrics=all_metrics)
    assert [line for line in lines if measure(line) > width] == []
    assert [line for line in lines if line != line.rstrip()] == []


def test_a_title_says_where_and_what() -> None:
    assert show(lightning(), 100)[0] == (
        "runs/lr1e-3/version_0/checkpoints   lightning · val_loss min · 5 checkpoints · 53.0 GB"
    )


def test_numbers_end_in_one_column() -> None:
    _, heads, *rows = show(long())
    assert {column_of(row, " GB") for row in rows} == {column_of(heads, "size")}
    assert [column_of(row, f"{1000 * (n + 1)}") for n, row in enumerate(rows)] == [column_of(heads, "step")] * 17


def test_wide_letters_and_combining_marks_align() -> None:
    _, heads, *rows = show(odd(), 80)
    start = measure(heads[: heads.index("name")])
    assert {column_of(row, "B  ") if "B  " in row else None for row in rows} == {column_of(heads, "size") + 2}
    marks = ["pinned", "best, link", "last, 2", "damaged", "exception", "named best"]
    (place,) = {measure(row[: row.index(mark)]) for row, mark in zip(rows, marks, strict=True)}
    assert place > start


def test_a_long_name_loses_its_middle_and_keeps_its_mark() -> None:
    best = show(long())[-1]
    assert best.endswith("s=0.2588.ckpt  best, last")
    assert "epoch=16-step=" in best
    assert "…" in best


def test_numbers_are_never_shortened() -> None:
    for line in show(long(), 60)[2:]:
        assert "10.6 GB" in line
        assert "…" not in line[: line.index("epoch=")]


def test_a_short_name_leaves_its_room_to_the_marks() -> None:
    shown = view_run(Run("r", (make("r/a.ckpt", epoch=1, state="damaged", note=said("the end record is missing")),)))
    assert show(shown)[-1].endswith("a.ckpt  damaged: the end record is missing")


def test_columns_without_a_value_are_left_out() -> None:
    shown = view_run(Run("r", (make("r/a.ckpt"),)))
    assert show(shown)[1].split() == ["size", "age", "name"]


def test_columns_go_before_a_name_gets_too_short() -> None:
    heads = [show(odd(), width, all_metrics=True)[1].split() for width in (100, 52, 44, 38, 33)]
    assert heads == [
        ["epoch", "val/acc", "lr", "val_loss", "size", "age", "name"],
        ["epoch", "val/acc", "size", "age", "name"],
        ["epoch", "val/acc", "size", "name"],
        ["epoch", "val/acc", "name"],
        ["val/acc", "name"],
    ]


def test_on_the_narrowest_terminal_only_names_are_left() -> None:
    lines = show(odd(), 16)
    assert lines[1].split() == ["name"]
    assert max(map(measure, lines)) <= 16


def test_metrics_that_found_no_room_are_told() -> None:
    metrics = {f"metric_{n}": score(0.5) for n in range(9)}
    many = view_run(Run("r", (make("r/a.ckpt", metrics=metrics),)), monitor="metric_0", mode="min")
    assert "3 metrics hidden: too narrow · 1 checkpoint" in show(many, 100, all_metrics=True)[0]
    assert "hidden" not in show(many, 200, all_metrics=True)[0]
    assert "hidden" not in show(many, 100)[0]


def test_a_run_without_checkpoints_is_a_line() -> None:
    assert show(view_run(Run("r", ()))) == ["runs/r   no checkpoints"]


def test_no_size_is_told_where_nobody_asked_for_it() -> None:
    checkpoint = make("r/x", step=1)
    unasked = checkpoint._replace(entries=tuple(it._replace(size=None) for it in checkpoint.entries))
    assert show(view_run(Run("r", (unasked,))))[0] == "runs/r   lightning · 1 checkpoint"


def test_a_later_row_that_is_wider_shifts_only_itself() -> None:
    shown = long(plain.SAMPLE + 2)
    last = shown.run.checkpoints[-1]
    wide = shown._replace(
        run=shown.run._replace(checkpoints=(*shown.run.checkpoints[:-2], last._replace(step=10**15), last)),
        last=None,
        best=None,
    )
    _, heads, *rows = show(wide, 80)
    assert column_of(rows[-1], "GB") == column_of(heads, "size")
    assert column_of(rows[-2], "GB") > column_of(heads, "size")
    assert max(map(measure, rows)) <= 80


def test_a_wider_row_with_marks_fits_too() -> None:
    shown = long(plain.SAMPLE + 1)
    *rest, last = shown.run.checkpoints
    wide = shown._replace(run=shown.run._replace(checkpoints=(*rest, last._replace(step=10**12, pinned=True))))
    assert max(map(measure, show(wide, 80))) <= 80


def test_a_large_run_comes_in_pieces() -> None:
    pieces = list(plain.listing(long(1200), NOW, width=80))
    assert len(pieces) == 3
    assert all(piece.endswith("\n") for piece in pieces)
    assert sum(piece.count("\n") for piece in pieces) == 1202


def test_totals_are_one_line() -> None:
    assert plain.totals(RunTotals(2, 8, 57_000_000_000, 8)) == "2 runs · 8 checkpoints · 57.0 GB\n"
    assert plain.totals(RunTotals(1, 1, 1, 1)) == "1 run · 1 checkpoint · 1 B\n"
    assert plain.totals(RunTotals(1, 12_000, 1, 1)) == "1 run · 12\u00a0000 checkpoints · 1 B\n"
