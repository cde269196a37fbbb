"""Scores in a file's own dictionary: which are found, when a file is read for them, and how far they are trusted."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import nan
from pathlib import Path
from typing import NamedTuple

import pytest

from ckptctl import show
from ckptctl.core.model import Checkpoint, Entry, Run
from ckptctl.core.ranking import Metric, is_metric_name, rank
from ckptctl.core.units import QUIET
from ckptctl.formats.torch_writer import encode_torch, make_tensor
from ckptctl.scan.metrics.collect import resolve_ties
from ckptctl.scan.metrics.saved_scores import add_saved_scores, read_saved_scores
from ckptctl.scan.runs import Options, scan
from ckptctl.stores import ReadableFile
from tests.cli.calls import call, save
from tests.formats.legacy import encode_legacy
from tests.states import Watched, lightning, state
from tests.stores.memory import MemoryStore
from tests.wording import worded

WEIGHTS = {f"layer{index}.weight": make_tensor(range(6), (2, 3)) for index in range(3)}
LOSSES = (0.9, 0.5, 0.3, 0.4, 0.6)
RUN = {
    f"run/model_epoch_{n}.pt": encode_torch({"epoch": n, "state_dict": WEIGHTS, "val_loss": loss})
    for n, loss in enumerate(LOSSES, 1)
}


def held(values: object, *, encode: object = encode_torch, roles: tuple[str, ...] = ()) -> dict[str, float]:
    """The scores in one file."""
    store = MemoryStore({"x.pt": encode(values)})  # type: ignore[operator] # as the test says
    one = Checkpoint("x.pt", "generic", "file", (Entry("x.pt", "file"),), roles=roles)
    return {name: round(value, 6) for name, value in read_saved_scores(store, one).items()}


def gathered(files: Mapping[str, bytes] | MemoryStore, **options: object) -> Run:
    store = files if isinstance(files, MemoryStore) else MemoryStore(files)
    (run,) = scan(store, Options(now=store.clock() + QUIET)._replace(**options))  # type: ignore[arg-type] # as above
    return run


def sources(run: Run, metric: str) -> list[tuple[float, str] | None]:
    """Value and source of each checkpoint's score, oldest first."""
    scores = [it.metrics.get(metric) for it in run.checkpoints]
    return [None if it is None else (round(it.value, 4), it.source) for it in scores]


# What is found


@pytest.mark.parametrize(
    ("values", "found"),
    [
        pytest.param({"model": WEIGHTS, "val_loss": 0.25}, {"val_loss": 0.25}, id="a number at the top"),
        pytest.param({"best_acc1": make_tensor([81.5]), "epoch": 3}, {"best_acc1": 81.5}, id="a tensor of one element"),
        pytest.param(
            {"metric": 3, "fitness": 0.5, "score": 1.5}, {"metric": 3, "fitness": 0.5, "score": 1.5}, id="words"
        ),
        pytest.param({"metrics": {"top5": 0.9, "gap": 2, "epoch": 3}}, {"top5": 0.9, "gap": 2}, id="all among metrics"),
        pytest.param({"val_metrics": {"miou": 0.5}}, {"miou": 0.5}, id="what ends so"),
        pytest.param({"stats": {"mean": 0.5, "val_acc": 0.75}}, {"val_acc": 0.75}, id="of other holders only metrics"),
        pytest.param(
            {"extra_state": {"val_loss": 3.5, "best": 3.25, "epoch": 7}}, {"val_loss": 3.5, "best": 3.25}, id="fairseq"
        ),
        pytest.param({"val_loss": 0.5, "metrics": {"val_loss": 0.25}}, {"val_loss": 0.5}, id="the top counts"),
        pytest.param({"optimizer": {"loss": 0.5}, "args": {"loss": 1.5}}, {}, id="nested elsewhere"),
        pytest.param({"best_epoch": 3, "acc_steps": 4, "loss_weight": 0.5, "win_length": 9}, {}, id="settings"),
        pytest.param(
            {"loss": 10**400, "acc": nan}, {"acc": pytest.approx(nan, nan_ok=True)}, id="a number that is none"
        ),
        pytest.param({"loss": True, "acc": "0.5", "f1": None, "auc": [0.5]}, {}, id="no numbers"),
        pytest.param({**WEIGHTS, "loss.scale": make_tensor([7])}, {}, id="a statistic among weights"),
        pytest.param([{"val_loss": 0.5}], {}, id="no dictionary"),
    ],
)
@pytest.mark.parametrize("encode", [encode_torch, encode_legacy], ids=["zip", "before 1.6"])
def test_numbers_under_the_names_of_metrics_are_scores(values: object, found: dict[str, float], encode: object) -> None:
    assert held(values, encode=encode) == found


COLUMNS = {"epoch": [1, 2, 3], "metrics/mAP50(B)": [0.1, 0.2, 0.3], "lr/pg0": [0.01, 0.01, 0.01]}


@pytest.mark.parametrize(
    ("epoch", "columns", "found"),
    [
        pytest.param(1, COLUMNS, 0.2, id="rows count from 1, the file from 0"),
        pytest.param(1, {**COLUMNS, "epoch": [0, 1, 2]}, 0.2, id="both count from 0"),
        pytest.param(-1, COLUMNS, None, id="a finished file: the last row is another's"),
        pytest.param(7, COLUMNS, None, id="no row of its own"),
        pytest.param(1, {**COLUMNS, "epoch": 2}, None, id="no column of epochs"),
    ],
)
def test_of_a_table_inside_the_row_of_its_own_epoch_counts(
    epoch: int, columns: dict[str, object], found: float | None
) -> None:
    assert held({"epoch": epoch, "train_results": columns}).get("metrics/mAP50(B)") == found


def test_a_renamed_file_tells_what_its_only_callback_saved_it_for() -> None:
    memory = state({"epoch=3.ckpt": 0.25, "epoch=1.ckpt": 0.5}, current=0.25)
    renamed = {"callbacks": memory, "epoch": 3, "pytorch-lightning_version": "2.6.6", "state_dict": {}}
    assert held(renamed) == {"val_loss": 0.25}
    assert held(renamed, roles=("last",)) == {}
    two = {**renamed, "callbacks": memory | state({"epoch=3.ckpt": 0.75}, monitor="val_acc", current=0.75)}
    assert held(two) == {}
    assert held({**renamed, "callbacks": state({"epoch=3.ckpt": 0.25}, current=0.125)}) == {}


def test_a_renamed_file_has_a_score_in_a_listing_too() -> None:
    run = gathered({"submitted.ckpt": lightning(state({"epoch=3.ckpt": 0.25}, current=0.25), epoch=3)}, exact=True)
    assert sources(run, "val_loss") == [(0.25, "inside")]


def test_the_only_file_of_a_kind_in_a_folder_is_read() -> None:
    data = encode_torch({"val_loss": 0.5})
    store = MemoryStore({"e3/model.pt": data, "e3/config.json": b"{}", "e3/deep/other.pt": data})
    one, deep = Entry("e3/model.pt", "file"), Entry("e3/deep/other.pt", "file")
    folder = Checkpoint("e3", "generic", "dir", (Entry("e3", "dir"), one, Entry("e3/config.json", "file"), deep))
    assert add_saved_scores(store, folder).metrics["val_loss"].value == 0.5
    several = folder._replace(entries=(*folder.entries, one._replace(path="e3/optimizer.pt")))
    assert add_saved_scores(store, several).metrics == {}


def test_a_dictionary_that_is_made_to_cost_much_is_read_on_a_budget() -> None:
    many = {f"loss{n}": make_tensor([n], (1,)) for n in range(200)}
    assert len(held({"epoch": 1, **{f"set{n}": {} for n in range(900)}, "scores": many})) <= 64
    scores = {f"loss{n}": n for n in range(100)}
    wide = {f"{n}_metrics": scores for n in range(1000)}
    assert len(held(wide)) == 100
    assert held({"loss" * 100: 0.5}) == {}


# When a file is read


def test_a_metric_that_is_asked_for_is_read_from_inside_where_nothing_else_tells_it() -> None:
    assert sources(gathered(RUN, monitor="val_loss"), "val_loss") == [(it, "inside") for it in LOSSES]
    assert sources(gathered(RUN, monitor="val/loss"), "val_loss") == [(it, "inside") for it in LOSSES]
    assert sources(gathered(RUN), "val_loss") == [None] * 5


class Counted(NamedTuple):
    """An open file that notes how much of it is read."""

    source: ReadableFile
    lengths: list[int]

    @property
    def size(self) -> int:
        return self.source.size

    def read(self, offset: int, length: int) -> bytes:
        self.lengths.append(length)
        return self.source.read(offset, length)


class Counting(MemoryStore):
    """A store that notes how much of its files is read."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        super().__init__(files)
        self.lengths: list[int] = []

    @contextmanager
    def open(self, path: str) -> Iterator[Counted]:  # type: ignore[override]
        with super().open(path) as source:
            yield Counted(source, self.lengths)


def test_no_tensor_is_read() -> None:
    weights = {"weight": make_tensor([0.5] * (1 << 18), (1 << 18,)), "bias": make_tensor([1, 2], (2,))}
    store = Counting({"epoch_1.pt": encode_torch({"model": weights, "val_loss": 0.5})})
    assert sources(gathered(store, monitor="val_loss", stat=False), "val_loss") == [(0.5, "inside")]
    assert 0 < sum(store.lengths) < 1 << 18


def test_a_metric_that_is_asked_for_may_have_any_name() -> None:
    files = {f"epoch_{n}.pt": encode_torch({"gap": n / 2, "val_loss": 1.0}) for n in (1, 2)}
    run = gathered(files, monitor="gap")
    assert [set(it.metrics) for it in run.checkpoints] == [{"gap"}, {"gap"}]


@pytest.mark.parametrize(
    "options", [{}, {"monitor": "acc"}, {"monitor": "epoch"}], ids=["nothing asked", "names tell it", "a counter"]
)
def test_no_file_is_read_for_scores_where_that_tells_nothing_new(options: dict[str, object]) -> None:
    data = encode_torch({"acc": 0.75, "state_dict": WEIGHTS})
    files = {f"epoch_{n}_acc=0.{n}0.pt": data for n in range(1, 10)}
    store = Watched({**files, "last.pt": data})
    gathered(store, stat=False, **options)
    sniffed = ["epoch_1_acc=0.10.pt", "epoch_5_acc=0.50.pt", "epoch_9_acc=0.90.pt", "last.pt"]
    assert sorted(store.opened) == sniffed  # three of a shape tell what all hold


def test_all_that_files_hold_is_told_where_every_file_is_read() -> None:
    files = {f"epoch_{n}.pt": encode_torch({"acc": n / 8, "metrics": {"gap": n}, "model": WEIGHTS}) for n in (1, 2)}
    run = gathered({**files, "last.pt": encode_torch({"acc": 0.5, "model": WEIGHTS})}, exact=True)
    assert sources(run, "acc") == [(0.5, "inside"), (0.125, "inside"), (0.25, "inside")]
    assert sources(run, "gap") == [None, (1.0, "inside"), (2.0, "inside")]


def test_each_file_that_is_read_is_told_of_as_progress() -> None:
    read: list[object] = []
    gathered(RUN, monitor="val_loss", tick=lambda: read.append(1))
    assert len(read) == 5


def test_a_file_that_cannot_be_read_is_a_notice_and_of_many_the_rest_is_counted() -> None:
    broken = {path: data[:-40] for path, data in list(RUN.items())[:4]}
    run = gathered(RUN | broken, monitor="val_loss", stat=False)
    assert sources(run, "val_loss")[4] == (0.6, "inside")
    assert len(run.notices) == 4
    assert worded(run.notices)[0].endswith("left out")
    assert worded(run.notices)[3] == "1 more file could not be read for scores"


class Closed(MemoryStore):
    """A store whose files may be listed, and not opened."""

    @contextmanager
    def open(self, path: str) -> Iterator[ReadableFile]:  # type: ignore[override]
        raise PermissionError(13, "Permission denied", path)


def test_a_file_that_may_not_be_opened_is_a_notice_and_is_shown_as_it_is_known() -> None:
    store = Closed({"epoch_1.pt": RUN["run/model_epoch_1.pt"]})
    run = gathered(store, monitor="val_loss", stat=False)
    assert worded(run.notices) == ("epoch_1.pt: cannot be read: Permission denied",)
    assert add_saved_scores(store, run.checkpoints[0]) == run.checkpoints[0]


def test_a_sound_file_of_another_kind_holds_no_scores_and_is_no_trouble() -> None:
    run = gathered(
        {"epoch_1.safetensors": b"\x02\0\0\0\0\0\0\0{}", "epoch_2.safetensors": b"x"}, monitor="f1", stat=False
    )
    assert run.notices == ()


# How far it is trusted


def test_a_name_that_shows_the_same_digits_is_refined_and_one_that_does_not_counts() -> None:
    files = {"epoch_1_acc=0.50.pt": {"acc": 0.5012}, "epoch_2_acc=0.75.pt": {"acc": 0.25}}
    run = gathered({path: encode_torch(values) for path, values in files.items()}, exact=True)
    assert sources(run, "acc") == [(0.5012, "name"), (0.75, "name")]
    assert worded(run.notices) == (
        "epoch_2_acc=0.75.pt: acc: its name says 0.75, the file itself says 0.25: the first counts",
    )


def test_names_that_tie_are_told_apart_by_what_the_files_hold() -> None:
    files = {
        f"epoch_{n}_acc=0.50.pt": encode_torch({"acc": value, "model": WEIGHTS})
        for n, value in ((1, 0.501), (2, 0.504), (3, 0.499))
    }
    store = MemoryStore({**files, "epoch_4_acc=0.50.pt": b"x"})
    run = gathered(store, stat=False)
    metric = Metric("acc", "max")
    resolved = resolve_ties(store, run, metric, 1)
    assert rank(resolved.checkpoints, metric)[0].checkpoint.path == "epoch_2_acc=0.50.pt"


def test_many_names_that_tie_are_left_to_the_order_of_saving() -> None:
    store = Watched({f"epoch_{n}_acc=0.50.pt": encode_torch({"acc": n}) for n in range(17)})
    run = gathered(store, stat=False)
    store.opened.clear()  # what was sniffed
    assert resolve_ties(store, run, Metric("acc", "max"), 1) == run
    assert store.opened == []


def test_every_file_read_for_all_it_holds_does_not_blur_what_a_run_is_ranked_by(tmp_path: Path) -> None:
    for n in (1, 2):
        data = encode_torch({"acc": n / 4, "loss": n, "best_acc": 0.5})
        save(tmp_path, [f"epoch_{n}_acc={n / 4:.2f}.pt"], data)
    assert call("best", tmp_path, "--exact").lines == [f"{tmp_path}/epoch_2_acc=0.50.pt"]


# What commands make of it


@pytest.fixture
def run(tmp_path: Path) -> Path:
    for path, data in RUN.items():
        save(tmp_path, [path], data)
    return tmp_path / "run"


def test_show_and_best_say_the_same(run: Path) -> None:
    (line,) = call("best", run, "--monitor", "val_loss", "--score").lines
    path, _, score = line.partition("\t")
    assert (path, score) == (f"{run}/model_epoch_3.pt", "0.3000")
    metrics = json.loads(call("show", path, "--json").out)["checkpoint"]["metrics"]
    assert metrics == {"val_loss": {"value": 0.3, "state": "finite", "text": None, "source": "inside"}}
    assert show(path).checkpoint.metrics["val_loss"].value == 0.3


def test_a_slip_of_the_finger_is_told_what_the_files_hold(run: Path) -> None:
    answer = call("best", run, "--monitor", "val_los")
    assert (answer.code, answer.out) == (4, "")
    assert "metrics found: val_loss (5). Did you mean --monitor val_loss?" in answer.err


def test_a_prune_ranks_by_each_metric_that_it_keeps_by(tmp_path: Path) -> None:
    for n, (loss, acc) in enumerate([(0.9, 0.9), (0.5, 0.1), (0.6, 0.2)], 1):
        save(tmp_path, [f"epoch_{n}.pt"], encode_torch({"val_loss": loss, "val_acc": acc}))
    rules = ("--keep-best", "val_loss=1", "--keep-best", "val_acc=1", "--no-protect-last")
    assert call("prune", tmp_path, *rules, "--yes").code == 0
    assert sorted(it.name for it in tmp_path.glob("*.pt")) == ["epoch_1.pt", "epoch_2.pt"]


@pytest.mark.parametrize(
    "name", ["val_loss", "best_acc", "fitness", "metric", "score", "best_prec1", "error_rate", "top1"]
)
def test_a_metric_is_known_by_its_words(name: str) -> None:
    assert is_metric_name(name)


@pytest.mark.parametrize("name", ["lr", "learning_rate", "best_step", "loss_scale", "epoch", "seed", "n_classes", ""])
def test_what_counts_or_sets_is_no_metric(name: str) -> None:
    assert not is_metric_name(name)
