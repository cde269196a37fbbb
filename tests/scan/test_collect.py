"""What training recorded: which source counts, and how much is read to know it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import inf
from pathlib import Path

import pytest

from ckptctl.core.model import Checkpoint, Run, Score
from ckptctl.core.ranking import Metric, rank
from ckptctl.core.units import QUIET
from ckptctl.scan.metrics.collect import resolve_ties
from ckptctl.scan.runs import Options, scan
from ckptctl.stores import ReadableFile
from ckptctl.stores.local import open_url
from tests.states import HOME, Watched, lightning, state
from tests.stores.memory import MemoryStore
from tests.wording import worded

FIXTURES = Path(__file__).parents[1] / "fixtures" / "lightning"
LOSS = Metric("val_loss", "min")
BARE = lightning(resumable=False)
"""Weights only: no score inside."""


def gathered(files: Mapping[str, bytes] | MemoryStore, **options: object) -> Run:
    store = files if isinstance(files, MemoryStore) else MemoryStore(files)
    wanted = Options(now=store.clock() + QUIET)._replace(**options)  # type: ignore[arg-type] # as the test says
    (run,) = scan(store, wanted)
    return run


def one(run: Run, path: str) -> Checkpoint:
    return next(it for it in run.checkpoints if it.path == path)


def said(run: Run, path: str, metric: str = "val_loss") -> tuple[float, str | None, str]:
    """Value to four places, text and source."""
    score = one(run, path).metrics[metric]
    return round(score.value, 4), score.text, score.source


def table(*rows: str, head: str = "epoch,step,val_loss") -> bytes:
    return "\n".join([head, *rows, ""]).encode()


# Which source counts


def test_the_newest_state_tells_the_scores_of_all_and_its_own() -> None:
    scores = {"epoch=0.ckpt": 0.5012, "epoch=1.ckpt": 0.4987}
    run = gathered({"epoch=0.ckpt": lightning(state()), "epoch=1.ckpt": lightning(state(scores))})
    assert said(run, "epoch=0.ckpt") == (0.5012, None, "sibling")
    assert said(run, "epoch=1.ckpt") == (0.4987, None, "state")
    assert (run.monitor, run.mode) == ("val_loss", "min")


def test_one_state_is_read_for_a_run_that_its_names_tell() -> None:
    store = Watched({f"epoch={n}-val_loss=0.{n}.ckpt": lightning(state()) for n in range(1, 6)})
    gathered(store, stat=False)
    assert store.opened == ["epoch=5-val_loss=0.5.ckpt"]


def test_a_newest_state_that_cannot_be_read_makes_way_for_the_next() -> None:
    run = gathered(
        {
            "epoch=0-val_loss=0.5.ckpt": lightning(state({"epoch=0-val_loss=0.5.ckpt": 0.5012})),
            "epoch=1-val_loss=0.4.ckpt": b"garbage",
            "epoch=2-val_loss=0.3.ckpt": BARE[:-40],
        }
    )
    assert said(run, "epoch=0-val_loss=0.5.ckpt") == (0.5012, None, "state")


def test_after_three_that_cannot_be_read_no_more_are_tried() -> None:
    store = Watched({f"epoch={n}-val_loss=0.{n}.ckpt": b"garbage" for n in range(1, 9)})
    gathered(store, stat=False)
    assert len(store.opened) == 3


def test_all_states_are_read_where_asked() -> None:
    store = Watched({f"epoch={n}.ckpt": lightning(state({f"epoch={n}.ckpt": n})) for n in range(4)})
    run = gathered(store, stat=False, exact=True)
    assert len(store.opened) == 4
    assert [said(run, f"epoch={n}.ckpt") for n in range(4)] == [(n, None, "state") for n in range(4)]


def test_the_callbacks_own_list_tells_where_no_state_does() -> None:
    run = gathered(
        {
            "epoch=0-val_loss=0.50.ckpt": BARE,
            "epoch=1-val_loss=0.40.ckpt": BARE,
            "best_k_models.yaml": f"{HOME}/epoch=0-val_loss=0.50.ckpt: 0.5012\n{HOME}/gone.ckpt: 0.1\n".encode(),
        }
    )
    assert said(run, "epoch=0-val_loss=0.50.ckpt") == (0.5012, None, "yaml")
    assert said(run, "epoch=1-val_loss=0.40.ckpt") == (0.4, "0.40", "name")
    assert run.notices == ()


@pytest.mark.parametrize(
    ("name", "scores", "metric"),
    [
        pytest.param("epoch=0-lr=0.10-val_loss=0.50.ckpt", 0.5012, "val_loss", id="the one whose digits fit"),
        pytest.param("epoch=0-train_loss=0.30.ckpt", 0.5012, "value", id="none fits: it has no name"),
        pytest.param("best.ckpt", 0.5012, "value", id="no metric in the names"),
        pytest.param("epoch=0-batch=20.ckpt", 0.5012, "value", id="a counter is no metric"),
    ],
)
def test_a_list_without_a_recorded_monitor_belongs_to_the_metric_that_it_fits(
    name: str, scores: float, metric: str
) -> None:
    run = gathered({name: BARE, "best_k_models.yaml": f"{HOME}/{name}: {scores}\n".encode()})
    assert said(run, name, metric) == (scores, None, "yaml")


def test_a_table_tells_the_value_logged_in_the_epoch_up_to_the_step() -> None:
    files = {f"epoch=0-step={step}.ckpt": BARE for step in (5, 10, 15)}
    run = gathered({**files, "metrics.csv": table("0,4,0.5", "0,9,0.4", "0,19,0.3", "1,9,0.9")})
    assert [said(run, path) for path in files] == [(0.5, "0.5", "csv"), (0.4, "0.4", "csv"), (0.4, "0.4", "csv")]


def test_a_table_tells_by_epoch_alone_where_no_step_is_known() -> None:
    run = gathered({"epoch=1-loss=0.5.ckpt": BARE, "metrics.csv": table("1,,0.41", head="epoch,step,loss")})
    assert one(run, "epoch=1-loss=0.5.ckpt").step is not None  # its own state says it
    run = gathered({"epoch=1.keras": b"x", "metrics.csv": table("1,7,0.41")})
    assert said(run, "epoch=1.keras") == (0.41, "0.41", "csv")


@pytest.mark.parametrize(
    ("text", "row", "found"),
    [
        pytest.param("0.50", "1,9,0.4", (0.5, "0.50", "name"), id="nothing of the epoch"),
        pytest.param("0.00", "1,9,0.4", (0.0, "0.00", "name"), id="nothing of the epoch, though it is 0"),
    ],
)
def test_a_table_that_does_not_tell_of_the_epoch_says_nothing(
    text: str, row: str, found: tuple[float, str, str]
) -> None:
    name = f"epoch=0-val_loss={text}.ckpt"
    run = gathered({name: BARE, "metrics.csv": table(row)})
    assert said(run, name) == found


def test_a_zero_is_no_score_where_the_table_tells_of_the_epoch_but_not_of_the_metric() -> None:
    name = "epoch=0-val_loss=0.00.ckpt"
    run = gathered({name: BARE, "metrics.csv": table("0,9,,0.4", "1,19,0.3,", head="epoch,step,val_loss,lr")})
    assert one(run, name).metrics["val_loss"].state == "nan"


def test_a_table_counts_steps_as_names_before_1_6_do() -> None:
    old = lightning(state(), epoch=1, step=10, writer="1.5.10")
    run = gathered({"epoch=0-step=9.ckpt": old, "metrics.csv": table("0,8,0.5", "0,9,0.4", "0,10,0.3")})
    assert said(run, "epoch=0-step=9.ckpt") == (0.4, "0.4", "csv")
    assert run.step_base == 1


def test_a_table_is_asked_for_what_names_and_states_name_only() -> None:
    csv = table("0,9,0.40,0.001", head="epoch,step,val/loss,lr")
    run = gathered({"epoch=0-step=10-val_loss=0.4.ckpt": BARE, "metrics.csv": csv})
    assert one(run, "epoch=0-step=10-val_loss=0.4.ckpt").metrics == {"val_loss": Score(0.4, "0.40", "csv")}


def test_a_table_is_read_whole_where_nothing_names_a_metric() -> None:
    csv = table("0,9,0.40,0.001", head="epoch,step,val_loss,lr")
    run = gathered({"epoch=0-step=10.ckpt": BARE, "metrics.csv": csv})
    assert set(one(run, "epoch=0-step=10.ckpt").metrics) == {"val_loss", "lr"}
    run = gathered({"epoch=0-step=10.ckpt": BARE, "metrics.csv": csv}, monitor="lr")
    assert set(one(run, "epoch=0-step=10.ckpt").metrics) == {"lr"}


def test_a_table_tells_nothing_of_an_independent_last() -> None:
    run = gathered({"last.ckpt": lightning(epoch=0, step=10), "metrics.csv": table("0,9,0.4")})
    assert one(run, "last.ckpt").metrics == {}


@pytest.mark.parametrize(
    ("csv", "checkpoint", "found"),
    [
        ("v/metrics.csv", "v/checkpoints/epoch=0.ckpt", True),
        ("v/checkpoints/metrics.csv", "v/checkpoints/epoch=0.ckpt", True),
        ("metrics.csv", "checkpoints/epoch=0.ckpt", True),
        ("metrics.csv", "v/checkpoints/epoch=0.ckpt", False),
        ("w/metrics.csv", "v/checkpoints/epoch=0.ckpt", False),
    ],
)
def test_a_table_lies_with_the_checkpoints_or_in_the_folder_above(csv: str, checkpoint: str, *, found: bool) -> None:
    run = gathered({checkpoint: BARE, csv: table("0,,0.4"), "v/x.txt": b""})
    assert ("val_loss" in one(run, checkpoint).metrics) is found


def test_of_tables_the_nearer_counts() -> None:
    run = gathered({"v/c/epoch=0.ckpt": BARE, "v/metrics.csv": table("0,,0.1"), "v/c/metrics.csv": table("0,,0.2")})
    assert said(run, "v/c/epoch=0.ckpt") == (0.2, "0.2", "csv")


def test_the_order_of_trust_decides_and_the_rest_is_told() -> None:
    name = "epoch=0-val_loss=0.10.ckpt"
    run = gathered(
        {
            name: lightning(state({name: 0.5})),
            "best_k_models.yaml": f"{HOME}/{name}: 0.4\n".encode(),
            "metrics.csv": table("0,,0.3"),
        }
    )
    assert said(run, name) == (0.5, None, "state")
    assert worded(run.notices) == (
        f"{name}: val_loss: its own state says 0.5, best_k_models.yaml says 0.4: the first counts",
    )


def test_many_disputes_are_counted() -> None:
    names = [f"epoch={n}-val_loss=0.10.ckpt" for n in range(6)]
    run = gathered({name: lightning(state(dict.fromkeys(names, 0.5))) for name in names})
    assert len(run.notices) == 4
    assert worded(run.notices[-1]) == "3 more scores on which two sources disagree"


def test_a_name_with_a_slash_and_a_record_with_another_are_one_metric() -> None:
    name = "epoch=0-val_loss=0.50.ckpt"
    run = gathered({name: lightning(state({name: 0.5012}, monitor="val/loss"))})
    assert set(one(run, name).metrics) == {"val/loss"}


def test_of_states_that_disagree_the_later_written_counts() -> None:
    """A name that was used again: the older state remembers the file that had it before."""
    run = gathered(
        {
            "last.ckpt": lightning(state({"epoch=1-val_loss=0.3.ckpt": 0.9}), epoch=5, step=50),
            "epoch=1-val_loss=0.3.ckpt": BARE,
            "epoch=2-val_loss=0.2.ckpt": lightning(state({"epoch=1-val_loss=0.3.ckpt": 0.31}), epoch=2, step=20),
        }
    )
    assert said(run, "epoch=1-val_loss=0.3.ckpt") == (0.31, None, "sibling")


# NaN and what stands for it


@pytest.mark.parametrize(
    ("recorded", "mode", "name", "state_of_score"),
    [
        pytest.param(inf, "min", "epoch=0-val_loss=nan.ckpt", "nan", id="the name says NaN"),
        pytest.param(inf, "min", "epoch=0.ckpt", "nan", id="the worst infinity stands for NaN"),
        pytest.param(-inf, "max", "epoch=0.ckpt", "nan", id="the other way round"),
        pytest.param(inf, "min", "epoch=0-val_loss=inf.ckpt", "inf", id="the name says that it is true"),
        pytest.param(-inf, "min", "epoch=0.ckpt", "-inf", id="the best infinity is true"),
        pytest.param(inf, None, "epoch=0.ckpt", "inf", id="nobody recorded a mode"),
    ],
)
def test_a_recorded_infinity_is_what_it_stands_for(
    recorded: float, mode: str | None, name: str, state_of_score: str
) -> None:
    run = gathered({name: lightning(state({name: recorded}, mode=mode))})
    assert one(run, name).metrics["val_loss"].state == state_of_score


def test_what_stands_for_nan_does_not_win_when_the_other_mode_is_asked_for() -> None:
    scores = {"epoch=0.ckpt": inf, "epoch=1.ckpt": 0.9}
    run = gathered({name: lightning(state(scores, monitor="val_acc")) for name in scores})
    assert [it.checkpoint.path for it in rank(run.checkpoints, Metric("val_acc", "max"))] == ["epoch=1.ckpt"]


# What was watched


@pytest.mark.parametrize(
    ("callbacks", "monitor", "mode"),
    [
        pytest.param(state(monitor="a"), "a", "min", id="one"),
        pytest.param(state(monitor="a", mode="max"), "a", "max", id="its mode"),
        pytest.param(state(monitor="a") | state(monitor="b"), None, None, id="two metrics"),
        pytest.param(state(monitor="a") | state(monitor="a", mode="max"), "a", None, id="two modes"),
        pytest.param(state(monitor="a") | state(monitor="a", mode=None), "a", "min", id="one recorded no mode"),
        pytest.param(state(monitor=None), None, None, id="none"),
        pytest.param({}, None, None, id="no callback"),
    ],
)
def test_the_watched_metric_is_recorded_where_there_is_one(
    callbacks: dict[str, object], monitor: str | None, mode: str | None
) -> None:
    run = gathered({"epoch=0.ckpt": lightning(callbacks)})
    assert (run.monitor, run.mode) == (monitor, mode)


def test_two_callbacks_modes_are_kept_apart_and_a_disagreement_within_one_metric_is_no_mode() -> None:
    two = (
        state(monitor="gap", mode="max")
        | state(monitor="val_loss")
        | state(monitor="x")
        | state(monitor="x", mode="max")
    )
    run = gathered({"epoch=0.ckpt": lightning(two)})
    assert run.modes == {"gap": "max", "val_loss": "min"}


def test_a_state_that_is_read_for_a_tie_does_not_undo_a_disagreement_about_the_mode() -> None:
    names = [f"epoch={n}-x=0.50.ckpt" for n in range(2)]
    both = state({names[1]: 0.5}, monitor="x") | state(monitor="x", mode="max")
    run = gathered({names[0]: lightning(state({names[0]: 0.5}, monitor="x")), names[1]: lightning(both)})
    assert resolve_ties(MemoryStore({}), run, Metric("x", "min"), 1).modes == {}


def test_two_callbacks_scores_are_kept_apart() -> None:
    callbacks = state({"epoch=0.ckpt": 0.5}, monitor="a") | state({"epoch=0.ckpt": 0.7}, monitor="b")
    run = gathered({"epoch=0.ckpt": lightning(callbacks)})
    assert {name: round(score.value, 4) for name, score in run.checkpoints[0].metrics.items()} == {"a": 0.5, "b": 0.7}


@pytest.mark.parametrize(
    ("name", "scored"),
    [pytest.param("epoch=0.ckpt", True, id="its own"), pytest.param("last.ckpt", False, id="a last")],
)
def test_before_1_5_a_state_tells_its_own_score_only(name: str, *, scored: bool) -> None:
    run = gathered({name: lightning(state(current=0.5), writer="1.4.9")})
    assert ("val_loss" in run.checkpoints[0].metrics) is scored


def test_the_worst_infinity_stands_for_nan_in_the_list_of_scores_too() -> None:
    files = {"epoch=0.ckpt": BARE, "epoch=1.ckpt": lightning(state({"epoch=1.ckpt": 0.4}))}
    listed = f"{HOME}/epoch=0.ckpt: .inf\n{HOME}/epoch=1.ckpt: 0.4\n".encode()
    score = one(gathered({**files, "best_k_models.yaml": listed}), "epoch=0.ckpt").metrics["val_loss"]
    assert (score.state, score.source) == ("nan", "yaml")


# Numbers from the state


@pytest.mark.parametrize(
    ("writer", "epoch", "step", "base"),
    [
        ("2.6.6", 3, 40, 0),
        ("1.6.0", 3, 40, 0),
        ("1.5.10", 2, 39, 1),
        ("1.4.9", 2, 39, 1),
        ("1.6.0rc1", 3, 40, 0),
        ("odd", 3, 40, 0),
    ],
)
def test_numbers_that_a_name_lacks_come_from_the_state_in_the_base_of_names(
    writer: str, epoch: int, step: int, base: int
) -> None:
    run = gathered({"model.ckpt": lightning(epoch=3, step=40, writer=writer)})
    (checkpoint,) = run.checkpoints
    assert (checkpoint.epoch, checkpoint.step, run.step_base) == (epoch, step, base)


def test_numbers_of_the_name_stay() -> None:
    (it,) = gathered({"epoch=7.ckpt": lightning(epoch=3, step=40)}).checkpoints
    assert (it.epoch, it.step) == (7, 40)


@pytest.mark.parametrize(("stat", "step"), [(True, 40), (False, None)])
def test_a_lasts_state_is_read_for_its_numbers_only_where_they_are_wanted(*, stat: bool, step: int | None) -> None:
    (it,) = gathered({"last.ckpt": lightning(epoch=3, step=40)}, stat=stat).checkpoints
    assert it.step == step


@pytest.mark.parametrize("resumable", [True, False])
def test_whether_it_can_resume_is_known_of_what_was_read(*, resumable: bool) -> None:
    run = gathered({"epoch=0.ckpt": BARE, "epoch=1.ckpt": lightning(resumable=resumable)})
    assert [it.resumable for it in run.checkpoints] == [None, resumable]


def test_a_folder_has_no_state_to_read() -> None:
    run = gathered({"last.ckpt/meta.pt": b"x", "last.ckpt/.metadata": b"x"})
    assert (run.checkpoints[0].resumable, run.checkpoints[0].step) == (None, None)


# Side files that are broken


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("best_k_models.yaml", b"- x", "not a mapping of paths to numbers: left out"),
        ("best_k_models.yaml", b"\xff", "not text: byte 0 is not UTF-8: left out"),
        ("metrics.csv", b"x\n1\n", "it has no column 'epoch': left out"),
        ("best_k_models.yaml", b" " * ((16 << 20) + 1), "16777217 bytes are more than it can be: left out"),
    ],
    ids=["no mapping", "no text", "another table", "too large"],
)
def test_a_broken_side_file_is_told_and_left_out(name: str, data: bytes, why: str) -> None:
    run = gathered({"epoch=0-val_loss=0.5.ckpt": BARE, name: data})
    assert worded(run.notices) == (f"{name}: {why}",)
    assert said(run, "epoch=0-val_loss=0.5.ckpt") == (0.5, "0.5", "name")


def test_a_side_file_that_cannot_be_opened_is_told() -> None:
    class Locked(MemoryStore):
        @contextmanager
        def open(self, path: str) -> Iterator[ReadableFile]:  # type: ignore[override]
            if path == "metrics.csv":
                raise PermissionError(13, "Permission denied", path)
            with super().open(path) as source:
                yield source

    run = gathered(Locked({"epoch=0.ckpt": BARE, "metrics.csv": table()}))
    assert worded(run.notices) == ("metrics.csv: cannot be read: Permission denied",)


def test_an_empty_list_says_nothing() -> None:
    assert gathered({"epoch=0.ckpt": BARE, "best_k_models.yaml": b""}).notices == ()


# Ties


def tied(*scores: float) -> tuple[Watched, Run]:
    """A run whose names all say 0.50, and whose states alone know better."""
    files = {
        f"epoch={n}-val_loss=0.50.ckpt": lightning(state({f"epoch={n}-val_loss=0.50.ckpt": it}))
        for n, it in enumerate(scores)
    }
    store = Watched({**files, f"epoch={len(scores)}-val_loss=0.90.ckpt": BARE})
    run = gathered(store, stat=False)
    store.opened.clear()
    return store, run


def test_scores_that_tie_by_name_are_resolved_by_their_states() -> None:
    store, run = tied(0.501, 0.502, 0.499)
    resolved = resolve_ties(store, run, LOSS, 1)
    assert [round(it.score.value, 3) for it in rank(resolved.checkpoints, LOSS)] == [0.499, 0.501, 0.502, 0.9]
    assert len(store.opened) == 3
    assert resolved.monitor == run.monitor


@pytest.mark.parametrize("places", [0, -1])
def test_ties_that_decide_nothing_are_not_resolved(places: int) -> None:
    store, run = tied(0.501, 0.499)
    assert resolve_ties(store, run, LOSS, places) == run
    assert store.opened == []


def test_a_tie_below_the_last_place_is_not_resolved() -> None:
    names = ["epoch=0-val_loss=0.10.ckpt", "epoch=1-val_loss=0.50.ckpt", "epoch=2-val_loss=0.50.ckpt"]
    store = Watched(dict.fromkeys(names, BARE))
    run = gathered(store, stat=False)
    store.opened.clear()
    assert resolve_ties(store, run, LOSS, 1) == run
    assert store.opened == []


def test_a_tie_whose_states_cannot_be_read_stays() -> None:
    names = ["epoch=0-val_loss=0.50.ckpt", "epoch=1-val_loss=0.50.ckpt"]
    store = Watched(dict.fromkeys(names, b"garbage"))
    run = resolve_ties(store, gathered(store, stat=False), LOSS, 1)
    assert [it.checkpoint.path for it in rank(run.checkpoints, LOSS)] == names


def test_a_tie_of_a_layout_without_records_is_not_read() -> None:
    names = ["01-0.50.keras", "02-0.50.keras"]
    store = Watched(dict.fromkeys(names, b"garbage"))
    run = gathered(store, stat=False)
    store.opened.clear()  # what was sniffed
    assert resolve_ties(store, run, Metric("value", "min"), 1) == run
    assert store.opened == []


def test_what_a_state_says_may_raise_another_tie() -> None:
    """Once the first three are known to be worse than their names, those behind them decide the place."""
    files = {
        f"epoch={n}-val_loss=0.50.ckpt": lightning(state({f"epoch={n}-val_loss=0.50.ckpt": 0.7})) for n in range(2)
    }
    others = {
        f"epoch={n}-val_loss=0.60.ckpt": lightning(state({f"epoch={n}-val_loss=0.60.ckpt": 0.6 + n / 1000}))
        for n in (4, 3)
    }
    store = Watched({**files, **others, "epoch=9-val_loss=0.90.ckpt": BARE})
    run = resolve_ties(store, gathered(store, stat=False), LOSS, 1)
    first = rank(run.checkpoints, LOSS)[0]
    assert (first.checkpoint.epoch, first.score.source) == (3, "state")


# Real folders


def copied(tmp_path: Path, case: str) -> Run:
    """A fixture, with times in the order of its names."""
    shutil.copytree(FIXTURES / case, tmp_path / "run", symlinks=True)
    for n, path in enumerate(sorted((tmp_path / "run").rglob("*.ckpt"))):
        if not path.is_symlink():
            os.utime(path, (1_700_000_000 + n, 1_700_000_000 + n))
    (run,) = scan(open_url(str(tmp_path / "run")), Options())
    return run


REAL = [
    ("pl26/rounding", {"val_loss=0.50.ckpt": 0.501, "val_loss=0.50-v1.ckpt": 0.502, "val_loss=0.50-v2.ckpt": 0.499}),
    ("pl26/constant_name", None),
    ("pl26/slash_nested", {"epoch=1-val/loss=0.40.ckpt": 0.4}),
    ("pl15/topk2_last", {"epoch=01-val_loss=0.40.ckpt": 0.4, "epoch=03-val_loss=0.30.ckpt": 0.3}),
    ("pl14/topk2_last", {"epoch=01-val_loss=0.40.ckpt": 0.4, "epoch=03-val_loss=0.30.ckpt": 0.3}),
]


@pytest.mark.parametrize(("case", "scores"), REAL, ids=[case for case, _ in REAL])
def test_a_real_run_tells_its_scores_beyond_the_printed_digits(
    tmp_path: Path, case: str, scores: dict[str, float] | None
) -> None:
    run = copied(tmp_path, case)
    name = run.monitor or "val_loss"
    found = {it.path: it.metrics[name].value for it in run.checkpoints if "last" not in it.roles}
    if scores is not None:
        assert found == pytest.approx(scores, rel=1e-6)
    assert all(
        checkpoint.metrics[name].source in ("state", "sibling", "yaml")
        for checkpoint in run.checkpoints
        if "last" not in checkpoint.roles
    )
    assert run.notices == ()


@pytest.mark.parametrize("version", ["pl14", "pl15"])
def test_before_1_6_names_count_steps_from_0(tmp_path: Path, version: str) -> None:
    run = copied(tmp_path, f"{version}/default")
    assert (run.step_base, run.checkpoints[0].step) == (1, 3)


@pytest.mark.parametrize("version", ["pl14", "pl15"])
def test_a_real_nan_is_nan(tmp_path: Path, version: str) -> None:
    run = copied(tmp_path, f"{version}/nan_topk3")
    assert one(run, "epoch=2-val_loss=nan.ckpt").metrics["val_loss"].state == "nan"


def test_weights_only_are_told_apart(tmp_path: Path) -> None:
    run = copied(tmp_path, "pl26/weights_only")
    assert run.monitor is None
    assert run.checkpoints[-1].resumable is False


def test_what_a_checkpoint_says_of_itself_no_older_sibling_disputes() -> None:
    """A constant name: the older file remembers what the newer one's name meant before."""
    run = gathered(
        {
            "best.ckpt": lightning(state({"best.ckpt": 0.5, "best-v1.ckpt": 0.6}), epoch=1, step=10),
            "best-v1.ckpt": lightning(state({"best.ckpt": 0.5, "best-v1.ckpt": 0.4}), epoch=2, step=20),
        }
    )
    assert said(run, "best-v1.ckpt") == (0.4, None, "state")
    assert run.notices == ()
