"""The best over several runs, proved whole before it is named."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from ckptctl.best import BestQuery, BestResult, BestSearch, refresh_checkpoint
from ckptctl.core.ranking import Metric
from ckptctl.core.units import QUIET
from ckptctl.errors import CkptctlError, MetricUnclear, ModeUnclear, NoCheckpoint, NoScore
from ckptctl.scan.runs import Options, scan
from ckptctl.stores import ReadStore, open_store
from tests.states import lightning, state
from tests.stores.memory import MemoryStore
from tests.wording import worded

WHOLE = lightning()


def held(files: Mapping[str, bytes] | list[str], wish: BestQuery | None = None) -> BestResult:
    store = MemoryStore(files if isinstance(files, Mapping) else dict.fromkeys(files, WHOLE))
    contest = BestSearch((wish or BestQuery())._replace(now=store.clock() + QUIET), "runs")
    for run in scan(store, Options(stat=False, is_worth=contest.could_place)):
        contest.show(store, run)
    return contest.close()


def paths(leaders: BestResult) -> list[str]:
    return [it.ranked.checkpoint.path for it in leaders.places]


RUNS = [
    "a/epoch=0-val_loss=0.5.ckpt",
    "a/epoch=1-val_loss=0.3.ckpt",
    "b/epoch=0-val_loss=0.4.ckpt",
    "b/epoch=1-val_loss=0.2.ckpt",
]


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        pytest.param(BestQuery(), ["b/epoch=1-val_loss=0.2.ckpt"], id="the best"),
        pytest.param(
            BestQuery(monitor="val_loss", mode="max"), ["a/epoch=0-val_loss=0.5.ckpt"], id="the other way round"
        ),
        pytest.param(
            BestQuery(2), ["b/epoch=1-val_loss=0.2.ckpt", "a/epoch=1-val_loss=0.3.ckpt"], id="two, of two runs"
        ),
        pytest.param(BestQuery(9), [RUNS[3], RUNS[1], RUNS[2], RUNS[0]], id="more than there are"),
        pytest.param(BestQuery(-1), [RUNS[3], RUNS[1], RUNS[2], RUNS[0]], id="all"),
        pytest.param(BestQuery(9, threshold=0.4), [RUNS[3], RUNS[1]], id="better than a threshold"),
        pytest.param(BestQuery(1, "val/loss", "max"), [RUNS[0]], id="by a variant of the name"),
        pytest.param(BestQuery(1, "epoch", "max"), [RUNS[1]], id="by a counter; of equals the first run's"),
    ],
)
def test_the_leaders_come_from_all_runs(wish: BestQuery, expected: list[str]) -> None:
    leaders = held(RUNS, wish)
    assert paths(leaders) == expected
    assert [it.ranked.place for it in leaders.places] == list(range(1, len(expected) + 1))
    assert {it.ranked.checkpoint.state for it in leaders.places} == {"complete"}


def test_what_the_leaders_were_ranked_by_is_told_with_the_run_that_said_it() -> None:
    leaders = held(RUNS)
    assert (leaders.metric, leaders.run.path) == (Metric("val_loss", "min"), "a")
    assert leaders.places[0].run.path == "b"


@pytest.mark.parametrize("broken", [b"", WHOLE[:-30]], ids=["empty", "cut"])
def test_what_is_not_whole_makes_way_for_the_next(broken: bytes) -> None:
    files = dict.fromkeys(RUNS, WHOLE) | {RUNS[3]: broken}
    assert paths(held(files, BestQuery(2))) == [RUNS[1], RUNS[2]]


def test_what_its_writer_calls_unfinished_makes_way_for_the_next() -> None:
    assert paths(held([*RUNS, "b/epoch=1-val_loss=0.2-unfinished"])) == [RUNS[1]]


def test_ties_by_name_are_resolved_before_the_best_is_named() -> None:
    names = [f"epoch={n}-val_loss=0.50.ckpt" for n in range(3)]
    files = {name: lightning(state({name: score})) for name, score in zip(names, (0.501, 0.502, 0.499), strict=True)}
    assert paths(held(files)) == [names[2]]


# What cannot place is not looked at


@pytest.mark.parametrize(
    ("names", "wish", "could"),
    [
        pytest.param(["val_loss=0.9.ckpt"], BestQuery(1, "val_loss", "min"), False, id="worse"),
        pytest.param(["val_loss=0.2.ckpt"], BestQuery(1, "val_loss", "min"), True, id="better"),
        pytest.param(["val_loss=0.3.ckpt"], BestQuery(1, "val_loss", "min"), True, id="may be better, rounded"),
        pytest.param(
            ["val_loss=0.9.ckpt", "val_loss=0.1.ckpt"], BestQuery(1, "val_loss", "min"), True, id="one is enough"
        ),
        pytest.param(["val_loss=nan.ckpt"], BestQuery(1, "val_loss", "min"), False, id="NaN"),
        pytest.param(["last.ckpt"], BestQuery(1, "val_loss", "min"), False, id="a last"),
        pytest.param(["best.ckpt"], BestQuery(1, "val_loss", "min"), True, id="a name that does not say"),
        pytest.param(["val_loss=0.0.ckpt"], BestQuery(1, "val_loss", "max"), True, id="0 may mean: not logged"),
        pytest.param(["val_loss=0.2.ckpt"], BestQuery(1, "val_loss", "max"), False, id="worse in the other mode"),
        pytest.param(["val_loss=0.9.ckpt"], BestQuery(1, "val_loss", "auto"), True, id="a mode that is not asked for"),
        pytest.param(["val_loss=0.9.ckpt"], BestQuery(1, None, "min"), True, id="a metric that is not asked for"),
        pytest.param(["val_loss=0.9.ckpt"], BestQuery(3, "val_loss", "min"), True, id="a place is free"),
        pytest.param(["val_loss=0.9.ckpt"], BestQuery(-1, "val_loss", "min"), True, id="all are wanted"),
    ],
)
def test_a_run_is_worth_a_look_where_its_names_may_hold_a_leader(
    names: list[str], wish: BestQuery, *, could: bool
) -> None:
    store = MemoryStore({"a/epoch=1-val_loss=0.3.ckpt": WHOLE})
    contest = BestSearch(wish._replace(now=store.clock() + QUIET), "runs")
    for run in scan(store, Options(stat=False)):
        contest.show(store, run)
    assert contest.could_place(names) is could


def test_before_anything_leads_every_run_is_worth_a_look() -> None:
    assert BestSearch(BestQuery(1, "val_loss", "min"), "runs").could_place(["val_loss=0.9.ckpt"])


# Runs that disagree


def test_runs_that_watch_different_metrics_are_not_ranked_together() -> None:
    with pytest.raises(MetricUnclear, match="a val_loss, b val_acc") as caught:
        held(["a/epoch=0-val_loss=0.5.ckpt", "b/epoch=0-val_acc=0.5.ckpt"])
    assert caught.value.path == "runs"


def test_runs_in_the_root_are_told_by_a_dot() -> None:
    with pytest.raises(MetricUnclear, match=r"a val_loss, \. val_acc"):
        held(["a/epoch=0-val_loss=0.5.ckpt", "epoch=0-val_acc=0.5.ckpt"])


def test_runs_that_recorded_different_modes_are_not_ranked_together() -> None:
    files = {
        f"{mode}/epoch=0-val_loss=0.5.ckpt": lightning(state({"epoch=0-val_loss=0.5.ckpt": 0.5}, mode=mode))
        for mode in ("max", "min")
    }
    with pytest.raises(ModeUnclear, match="runs disagree on 'val_loss': max says max, min min"):
        held(files)
    assert len(paths(held(files, BestQuery(2, "val_loss", mode="min")))) == 2


def test_runs_that_write_one_metric_in_two_ways_are_ranked_together() -> None:
    files = {
        "a/epoch=0.ckpt": lightning(state({"epoch=0.ckpt": 0.5}, monitor="val/loss")),
        "b/epoch=0.ckpt": lightning(state({"epoch=0.ckpt": 0.4}, monitor="val_loss")),
    }
    assert paths(held(files)) == ["b/epoch=0.ckpt"]


def test_a_run_that_lacks_the_metric_is_passed_over() -> None:
    assert paths(held(["a/epoch=0.ckpt", "b/epoch=0-val_loss=0.5.ckpt"])) == ["b/epoch=0-val_loss=0.5.ckpt"]


# Nobody leads


@pytest.mark.parametrize(
    ("files", "wish", "error", "text", "hint"),
    [
        pytest.param([], BestQuery(), NoCheckpoint, "no checkpoint found", "name the folder of a run", id="nothing"),
        pytest.param(
            ["epoch=0.ckpt"], BestQuery(), NoScore, "no checkpoint has a metric", "hold no metric", id="no metric"
        ),
        pytest.param(
            ["05-0.32.keras"],
            BestQuery(),
            NoScore,
            "the numbers in the names have no name",
            "say what the numbers are",
            id="numbers without a name",
        ),
        pytest.param(
            ["epoch=0-val_loss=0.5.ckpt"],
            BestQuery(monitor="val_los"),
            NoScore,
            "no checkpoint has a value for 'val_los'",
            "metrics found: val_loss (1). Did you mean --monitor val_loss?",
            id="a slip of the finger",
        ),
        pytest.param(
            ["epoch=0-val_loss=0.5.ckpt"],
            BestQuery(monitor="f1"),
            NoScore,
            "no checkpoint has a value for 'f1'",
            "metrics found: val_loss (1)",
            id="another metric",
        ),
        pytest.param(
            ["epoch=0-val_loss=nan.ckpt"],
            BestQuery(),
            NoScore,
            "no complete checkpoint has a usable value of 'val_loss'",
            None,
            id="only NaN",
        ),
        pytest.param(
            ["epoch=0-val_loss=0.5.ckpt"],
            BestQuery(monitor="val/loss", threshold=0.25),
            NoScore,
            "no complete checkpoint has a usable value of 'val/loss' better than 0.25",
            None,
            id="none better than the threshold",
        ),
        pytest.param(
            {"epoch=0-val_loss=0.5.ckpt": b""},
            BestQuery(),
            NoScore,
            "no complete checkpoint has a usable value of 'val_loss'",
            None,
            id="none whole",
        ),
    ],
)
def test_where_nobody_leads_it_is_said_why(
    files: Mapping[str, bytes] | list[str], wish: BestQuery, error: type[CkptctlError], text: str, hint: str | None
) -> None:
    with pytest.raises(error) as caught:
        held(files, wish)
    assert (caught.value.text, caught.value.path) == (text, "runs")
    assert caught.value.hint == hint or (hint and hint in (caught.value.hint or ""))


def test_what_is_gone_since_it_was_named_is_in_doubt() -> None:
    store = MemoryStore({"epoch=0.ckpt": WHOLE})
    (run,) = scan(store, Options(stat=False))
    store.delete_exact(store.stat("epoch=0.ckpt"))
    gone = refresh_checkpoint(store, run.checkpoints[0], 0)
    assert (gone.state, worded(gone.note)) == ("doubtful", "No such file or directory")


def test_a_half_written_newest_is_not_the_best_though_its_score_was_written_first() -> None:
    """SpeechBrain writes the scores of a save before its parts."""
    files: dict[str, bytes] = {}
    for n, wer in ((1, 9.0), (2, 8.0), (3, 7.0)):
        top = f"r/CKPT+2026-01-0{n}+12-00-00+00"
        files |= {f"{top}/CKPT.yaml": f"WER: {wer}\nepoch: {n}\n".encode()}
        files |= {f"{top}/{part}.ckpt": lightning() for part in ("brain", "counter", "model", "optimizer")}
    store = MemoryStore(files)
    later = store.clock() + 3600 * 10**9
    assert held_best(store, later) == "r/CKPT+2026-01-03+12-00-00+00"
    del files["r/CKPT+2026-01-03+12-00-00+00/model.ckpt"]
    assert held_best(MemoryStore(files), later) == "r/CKPT+2026-01-02+12-00-00+00"


SAVES = {
    f"{run}/CKPT+2026-01-0{n}+12-00-00+00/{name}": data
    for run in ("a", "b/deep", "c")
    for n in (1, 2, 3)
    for name, data in {"CKPT.yaml": f"WER: {10 - n}\nepoch: {n}\n".encode(), "brain.ckpt": WHOLE}.items()
}


class Counted(MemoryFileSystem):
    """An object store that counts its listings."""

    protocol = "counted"
    lists: ClassVar[list[str]] = []

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(MemoryFileSystem._strip_protocol(path.removeprefix("counted://")))  # noqa: SLF001 - its library's own

    def ls(self, path: str, detail: bool = True, **options: object) -> list[object]:
        self.lists.append(path)
        return list(super().ls(path, detail, **options))

    def find(self, path: str, **options: Any) -> Any:  # noqa: ANN401 - as its library has it
        self.lists.append(path)
        return MemoryFileSystem().find(path, **options)


def test_a_bucket_is_listed_once_however_many_candidates_there_are() -> None:
    fsspec.register_implementation("counted", Counted, clobber=True)
    files = MemoryFileSystem()
    for path, data in SAVES.items():
        files.pipe_file(f"/best-in/{path}", data)
    Counted.lists.clear()
    store = open_store("counted://best-in")
    later = store.clock() + 3600 * 10**9
    assert held_best(store, later) == "a/CKPT+2026-01-03+12-00-00+00"
    assert Counted.lists == ["/best-in"]


def test_on_a_disk_only_the_folders_of_candidates_are_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path, data in SAVES.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(data)
    read: list[str] = []

    def noted(function: Callable[..., Any]) -> Callable[..., Any]:
        def note(folder: int) -> Any:  # noqa: ANN401 - what the system says
            read.append(os.readlink(f"/proc/self/fd/{folder}").removeprefix(f"{tmp_path}/"))
            return function(folder)

        return note

    monkeypatch.setattr(os, "scandir", noted(os.scandir))
    monkeypatch.setattr(os, "listdir", noted(os.listdir))
    store = open_store(str(tmp_path))
    assert held_best(store, store.clock() + 3600 * 10**9) == "a/CKPT+2026-01-03+12-00-00+00"
    again = [path for path, count in Counter(read).items() if count > 1]
    assert again == [f"{run}/CKPT+2026-01-03+12-00-00+00" for run in ("a", "b/deep", "c")]
    assert len(read) == len(set(read)) + len(again)


def held_best(store: ReadStore, now: int) -> str:
    contest = BestSearch(BestQuery(monitor="WER", mode="min", now=now), "r")
    for run in scan(store, Options(now=now, stat=False, sure=True)):
        contest.show(store, run)
    return contest.close().places[0].ranked.checkpoint.path


def test_what_is_in_doubt_by_its_name_alone_is_not_the_best() -> None:
    names = ("unet_epoch_1_WER=7.0000.pt", "vae_epoch_1_WER=8.0000.pt")
    store = MemoryStore({f"r/{name}": lightning() for name in names})
    with pytest.raises(NoScore):
        held_best(store, store.clock() + 3600 * 10**9)


def test_what_lacks_the_share_of_a_rank_is_not_the_best() -> None:
    shares = {(n, rank): f"r/mp_rank_0{rank}/m--WER={9 - n}.5-step={n}.ckpt" for n in (1, 2) for rank in (0, 1)}
    store = MemoryStore({path: lightning() for key, path in shares.items() if key != (2, 1)})
    assert held_best(store, store.clock() + 3600 * 10**9) == "r/m--WER=8.5-step=1"
