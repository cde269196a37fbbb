from __future__ import annotations

import math

import pytest

from ckptctl.core.model import Checkpoint, Pointer, Run, Score
from ckptctl.core.ranking import Metric, RunView, view_run
from ckptctl.core.units import NANOSECONDS
from ckptctl.render.columns import (
    MISSING,
    RunTotals,
    Tone,
    columns_of,
    links_of,
    marks_of,
    metrics_of,
    rows_of,
    write_count,
    write_epoch,
    write_score,
    write_time,
)
from tests.render.samples import FLOAT32, NOW, lightning, long, make, odd, score, transformers
from tests.wording import said


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (score(0.3, "0.30", "name"), "0.30"),
        (score(0.3, "0.300000001192", "name"), "0.300000001192"),
        (score(-1e-05, "-1e-05", "name"), "-1e-05"),
        (score(1e-05, "1e-05", "yaml"), "1e-05"),
        (score(FLOAT32), "0.3000"),
        (score(FLOAT32, "0.30000001192092896", "yaml"), "0.3000"),
        (score(0.3989, "0.3989", "json"), "0.3989"),
        (score(0.5), "0.5000"),
        (score(0.0), "0.0000"),
        (score(9.999999747378752e-06), "1e-05"),
        (score(0.0098765432), "0.009877"),
        (score(-0.4000000059604645), "-0.4000"),
        (score(12345.678), "12345.6780"),
        (score(1e20), "1e+20"),
        (score(math.nan), "nan"),
        (score(math.inf), "inf"),
        (score(-math.inf), "-inf"),
        (None, MISSING),
    ],
    ids=str,
)
def test_a_score_has_the_precision_of_its_source(given: Score | None, shown: str) -> None:
    assert write_score(given) == shown


@pytest.mark.parametrize(("epoch", "shown"), [(3, "3"), (0, "0"), (1.5, "1.50"), (3.0, "3.00"), (None, MISSING)])
def test_parts_of_epochs_have_two_decimals(epoch: float | None, shown: str) -> None:
    assert write_epoch(epoch) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1_800_000_000, "2027-01-15T08:00:00Z"),
        (-1, "1969-12-31T23:59:59Z"),
        (10**12, "9999-12-31T23:59:59Z"),
        (10**30, "9999-12-31T23:59:59Z"),
        (-(10**12), "0001-01-01T00:00:00Z"),
        (-(10**30), "0001-01-01T00:00:00Z"),
    ],
)
def test_any_time_can_be_written(seconds: int, shown: str) -> None:
    assert write_time(seconds * NANOSECONDS) == shown


def test_parts_of_seconds_are_left_out() -> None:
    assert write_time(1_800_000_000_999_999_999) == "2027-01-15T08:00:00Z"


@pytest.mark.parametrize(("count", "shown"), [(0, "0 runs"), (1, "1 run"), (2, "2 runs"), (17_000, "17\u00a0000 runs")])
def test_counts_agree_with_their_noun(count: int, shown: str) -> None:
    assert write_count(count, "run") == shown


def test_a_row_has_its_numbers_its_name_and_its_marks() -> None:
    rows = list(rows_of(transformers(), NOW, ["eval_loss"]))
    assert [row.cells for row in rows] == [
        ("1.50", "500", "1.4485", "1.3 GB", "2h"),
        ("3.00", "1000", "0.3989", "1.3 GB", "1h"),
        (MISSING, "1500", MISSING, "1.3 GB", "40s"),
    ]
    assert [(row.name, row.marks, row.tone) for row in rows] == [
        ("checkpoint-500/", "", "plain"),
        ("checkpoint-1000/", "best, last", "best"),
        ("checkpoint-1500/", "live: written 40 s ago", "dim"),
    ]


def test_sizes_and_times_that_nobody_asked_for_are_missing() -> None:
    checkpoint = make("x", step=1)
    unasked = checkpoint._replace(entries=tuple(it._replace(size=None, modified=None) for it in checkpoint.entries))
    (row,) = rows_of(view_run(Run("", (unasked,))), NOW, [])
    assert row.cells == (MISSING, "1", MISSING, MISSING)


def test_rows_have_the_order_that_they_are_given_in() -> None:
    shown = long(3)
    turned = shown._replace(run=shown.run._replace(checkpoints=shown.run.checkpoints[::-1]))
    assert [row.cells[1] for row in rows_of(turned, NOW, [])] == ["3000", "2000", "1000"]


def marks(
    checkpoint: Checkpoint, *, best: str | None = None, last: str | None = None, links: tuple[str, ...] = ()
) -> str:
    run = Run("r", (checkpoint,), tuple(Pointer(link, "symlink", checkpoint.path, "ok") for link in links))
    return ", ".join(marks_of(checkpoint, RunView(run, best=best, last=last), links_of(run)))


@pytest.mark.parametrize(
    ("checkpoint", "best", "last", "links", "shown"),
    [
        (make("r/a"), None, None, (), ""),
        (make("r/a"), "r/a", "r/a", (), "best, last"),
        (make("r/a", roles=("last",)), None, "r/a", (), "last"),
        (make("r/a", roles=("last",)), None, "r/b", (), "named last"),
        (make("r/a", roles=("best",)), "r/b", None, (), "named best"),
        (make("r/a", roles=("best",)), None, None, (), "best"),
        (make("r/a", roles=("final", "exception")), None, None, (), "final, exception"),
        (make("r/a"), None, None, ("r/last.ckpt",), "linked by last.ckpt"),
        (make("r/a", aliases=("r/last.ckpt",)), None, None, ("r/last.ckpt", "r/b"), "linked by b, last.ckpt"),
        (make("r/a", aliases=tuple("dcba")), None, None, (), "linked by a, b and 2 more"),
        (make("r/a", pinned=True), "r/a", None, ("r/l",), "best, linked by l, pinned"),
        (make("r/a", state="damaged", note=said("cut short")), None, None, (), "damaged: cut short"),
        (make("r/a", state="unchecked"), None, None, (), "unknown"),
        (make("r/a", state="complete", note=said("no checksums")), None, None, (), ""),
        (make("r/a", unit="family"), None, None, (), "2 files"),
        (make("r/a", roles=("\x1b",), state="partial", note=said("\x1b")), None, None, (), r"\x1b, partial: \x1b"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_marks_are_words(
    checkpoint: Checkpoint, best: str | None, last: str | None, links: tuple[str, ...], shown: str
) -> None:
    assert marks(checkpoint, best=best, last=last, links=links) == shown


def test_a_pointer_that_leads_nowhere_marks_nothing() -> None:
    assert links_of(Run("r", (), (Pointer("r/last", "symlink", None, "dangling"),))) == {}


@pytest.mark.parametrize(
    ("checkpoint", "tone"),
    [
        (make("best"), "best"),
        (make("other"), "plain"),
        (make("best", state="damaged"), "damaged"),
        (make("other", state="partial"), "dim"),
        (make("other", state="live"), "dim"),
    ],
)
def test_only_damage_is_red_and_only_the_best_stands_out(checkpoint: Checkpoint, tone: Tone) -> None:
    (row,) = rows_of(RunView(Run("", (checkpoint,)), best="best"), NOW, [])
    assert row.tone == tone


def test_the_watched_metric_has_the_column() -> None:
    assert columns_of(lightning()) == ["val_loss"]
    assert columns_of(odd()) == ["val/acc"]


def test_all_metrics_have_columns_where_asked_the_watched_one_first() -> None:
    assert columns_of(odd(), all_metrics=True) == ["val/acc", "lr", "val_loss"]
    assert columns_of(odd()._replace(metric=Metric("val_acc", "max")), all_metrics=True) == [
        "val_acc",
        "lr",
        "val_loss",
    ]


def test_a_few_metrics_are_shown_where_nobody_can_tell_which_is_watched() -> None:
    few = {name: score(1.0) for name in "abc"}
    assert columns_of(view_run(Run("", (make("x", metrics=few),)))) == ["a", "b", "c"]
    assert columns_of(view_run(Run("", (make("x", metrics={**few, "d": score(1.0)}),)))) == []


@pytest.mark.parametrize("name", ["epoch", "step"])
def test_a_counter_that_is_watched_has_no_second_column(name: str) -> None:
    assert columns_of(view_run(Run("", (make("x", step=1, epoch=1),)), monitor=name, mode="max")) == []


def test_metrics_of_runs_are_united() -> None:
    assert metrics_of([lightning().run, transformers().run]) == ["eval_loss", "val_loss"]


def test_a_tally_sums_runs() -> None:
    assert RunTotals().add(lightning().run).add(transformers().run) == (2, 8, 5 * 10_600_000_000 + 3 * 1_300_000_000, 8)
