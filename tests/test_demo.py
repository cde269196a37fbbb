from __future__ import annotations

import csv
import io
import json
import os
import zipfile
from itertools import pairwise
from math import isfinite, isnan
from pathlib import Path

import pytest
import yaml

from ckptctl.demo import write_demo
from ckptctl.errors import Refused, StorageFailed
from ckptctl.formats.pickle import reader

NOW = 1_700_000_000.0
STUMBLED = "lr1e-3/version_0/checkpoints"
STEADY = "lr3e-4/version_0/checkpoints"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    write_demo(str(folder), now=NOW)
    return folder


def saves(folder: Path) -> list[Path]:
    """The files, without links, oldest first."""
    found = [it for it in folder.iterdir() if it.suffix in {".ckpt", ".keras"} and not it.is_symlink()]
    return sorted(found, key=lambda path: path.stat().st_mtime)


def state_of(path: Path) -> dict[str, object]:
    with zipfile.ZipFile(path) as archive:
        value = reader.read_pickle(archive.read("archive/data.pkl")).value
    assert isinstance(value, dict)
    return value


def test_three_runs_are_written(demo: Path) -> None:
    assert [len(saves(demo / run)) for run in (STUMBLED, STEADY, "keras")] == [5, 12, 6]


def test_every_path_that_was_written_is_told(tmp_path: Path) -> None:
    told = write_demo(str(tmp_path / "demo"), now=NOW)
    found = [path for path in (tmp_path / "demo").rglob("*") if path.is_symlink() or path.is_file()]
    assert sorted(told) == sorted(map(str, found))


def test_it_is_small(demo: Path) -> None:
    assert sum(path.stat().st_size for path in demo.rglob("*")) < 2_000_000


def test_every_checkpoint_is_a_whole_zip(demo: Path) -> None:
    for run in (STUMBLED, STEADY, "keras"):
        for path in saves(demo / run):
            with zipfile.ZipFile(path) as archive:
                assert archive.testzip() is None


def test_the_same_moment_gives_the_same_bytes_and_times(demo: Path, tmp_path: Path) -> None:
    write_demo(str(tmp_path), now=NOW)
    for path in demo.rglob("*"):
        twin = tmp_path / path.relative_to(demo)
        if path.is_symlink():
            assert twin.readlink() == path.readlink()
        elif path.is_file():
            assert twin.read_bytes() == path.read_bytes()
    for run in (STUMBLED, STEADY, "keras"):
        times = [path.stat().st_mtime for path in saves(demo / run)]
        assert times == [path.stat().st_mtime for path in saves(tmp_path / run)]


@pytest.mark.parametrize(
    ("run", "newest", "apart"),
    [(STUMBLED, 72, {1, 2}), (STEADY, 5, {2}), ("keras", 24, {1})],
    ids=["1e-3", "3e-4", "keras"],
)
def test_saves_lie_hours_apart_and_end_hours_ago(demo: Path, run: str, newest: int, apart: set[int]) -> None:
    ages = [(NOW - path.stat().st_mtime) / 3600 for path in saves(demo / run)]
    assert ages[-1] == newest
    assert {older - younger for older, younger in pairwise(ages)} == apart


def test_the_names_of_a_run_are_in_the_order_of_its_times(demo: Path) -> None:
    for run in (STUMBLED, STEADY, "keras"):
        names = [path.name for path in saves(demo / run)]
        assert names == sorted(names)


def test_last_of_the_first_run_is_a_save_of_its_own_after_all_others(demo: Path) -> None:
    *_, newest_ranked, last = saves(demo / STUMBLED)
    assert last.name == "last.ckpt"
    assert (state_of(last)["epoch"], state_of(last)["global_step"]) == (8, 900)
    assert (state_of(newest_ranked)["epoch"], state_of(newest_ranked)["global_step"]) == (7, 800)


def test_the_first_run_has_a_nan(demo: Path) -> None:
    assert (demo / STUMBLED / "epoch=05-step=600-val_loss=nan.ckpt").is_file()


def test_scores_that_look_equal_in_the_names_differ_in_the_list(demo: Path) -> None:
    scores = yaml.safe_load((demo / STEADY / "best_k_models.yaml").read_text())
    names = sorted(os.path.basename(path) for path in scores)
    assert names == [path.name for path in saves(demo / STEADY)]
    shown = [name.partition("val_loss=")[2] for name in names]
    assert len(set(shown)) < len(shown)
    assert len(set(scores.values())) == len(scores)
    assert list(scores) == sorted(scores)


def test_by_its_name_alone_another_would_be_the_best(demo: Path) -> None:
    scores = yaml.safe_load((demo / STEADY / "best_k_models.yaml").read_text())
    best = os.path.basename(min(scores, key=scores.__getitem__))
    first_of_the_lowest = min(
        (path.name for path in saves(demo / STEADY)), key=lambda name: name.partition("val_loss=")[2]
    )
    assert best == "epoch=09-val_loss=0.21.ckpt"
    assert first_of_the_lowest == "epoch=08-val_loss=0.21.ckpt"


@pytest.mark.parametrize(
    ("link", "target"),
    [("best.ckpt", "epoch=09-val_loss=0.21.ckpt"), ("last.ckpt", "epoch=11-val_loss=0.22.ckpt")],
)
def test_the_links_are_relative_and_lead_to_a_checkpoint(demo: Path, link: str, target: str) -> None:
    path = demo / STEADY / link
    assert str(path.readlink()) == target
    assert path.is_file()


@pytest.mark.parametrize("run", [STUMBLED, STEADY])
def test_a_state_knows_itself_and_all_before_it(demo: Path, run: str) -> None:
    ranked = [path.name for path in saves(demo / run) if path.name != "last.ckpt"]
    for count, name in enumerate(ranked, 1):
        callbacks = state_of(demo / run / name)["callbacks"]
        assert isinstance(callbacks, dict)
        ((key, memory),) = callbacks.items()
        assert "'monitor': 'val_loss', 'mode': 'min'" in key
        assert [os.path.basename(path) for path in memory["best_k_models"]] == ranked[:count]


@pytest.mark.parametrize("run", ["lr1e-3", "lr3e-4"])
def test_the_log_has_the_losses_that_the_names_show(demo: Path, run: str) -> None:
    folder = demo / run / "version_0"
    with (folder / "metrics.csv").open(newline="") as file:
        losses = {int(row["epoch"]): float(row["val_loss"]) for row in csv.DictReader(file) if row["val_loss"]}
    for path in saves(folder / "checkpoints"):
        epoch, _, shown = path.stem.removeprefix("epoch=").partition("-")
        if path.name != "last.ckpt":
            assert f"{losses[int(epoch)]:.2f}" == shown.rpartition("=")[2]
    assert yaml.safe_load((folder / "hparams.yaml").read_text())["lr"] == float(run.removeprefix("lr"))
    assert any(isnan(loss) for loss in losses.values()) == (run == "lr1e-3")
    assert sum(isfinite(loss) for loss in losses.values()) >= 8


def test_keras_files_say_when_they_were_saved(demo: Path) -> None:
    with zipfile.ZipFile(demo / "keras" / "06-0.40.keras") as archive:
        assert archive.namelist() == ["metadata.json", "config.json", "model.weights.h5"]
        assert json.loads(archive.read("metadata.json"))["date_saved"] == "2023-11-13@22:13:20"


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    assert write_demo(str(tmp_path), now=NOW)


def test_times_are_counted_back_from_now_when_no_moment_is_given(tmp_path: Path) -> None:
    write_demo(str(tmp_path))
    newest = saves(tmp_path / STEADY)[-1].stat().st_mtime
    written = (tmp_path / "lr1e-3" / "version_0" / "metrics.csv").stat().st_mtime
    assert 0 <= written - newest - 5 * 3600 < 60


def test_a_folder_that_holds_anything_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / ".hidden").write_text("mine")
    with pytest.raises(Refused, match="not empty") as refusal:
        write_demo(str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == [".hidden"]
    assert refusal.value.path == str(tmp_path)
    assert refusal.value.hint


@pytest.mark.parametrize("kind", ["file", "dangling link"])
def test_what_is_no_folder_is_refused(tmp_path: Path, kind: str) -> None:
    place = tmp_path / "demo"
    place.write_text("mine") if kind == "file" else place.symlink_to("nowhere")
    with pytest.raises(Refused, match="not a folder"):
        write_demo(str(place))
    assert os.listdir(tmp_path) == ["demo"]


def test_a_disk_that_refuses_is_told_with_the_path(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageFailed, match="could not be written") as failure:
        write_demo(str(tmp_path / "file" / "demo"))
    assert failure.value.path


@pytest.mark.lightning
@pytest.mark.parametrize(("run", "name", "epochs"), [(STUMBLED, "last.ckpt", 9), (STEADY, "best.ckpt", 10)])
def test_lightning_resumes_from_a_demo_checkpoint(demo: Path, tmp_path: Path, run: str, name: str, epochs: int) -> None:
    import lightning
    import torch

    class Model(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.embed = torch.nn.Embedding(64, 32)
            self.hidden = torch.nn.Linear(32, 32)
            self.head = torch.nn.Linear(32, 10)

        def training_step(self, batch: object, _index: int) -> object:
            return self.head(self.hidden(self.embed(batch))).sum()

        def configure_optimizers(self) -> object:
            return torch.optim.Adam(self.parameters(), lr=1e-3)

    quiet = {
        "logger": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "enable_checkpointing": False,
    }
    trainer = lightning.Trainer(
        max_epochs=epochs + 1, limit_train_batches=2, accelerator="cpu", default_root_dir=tmp_path, **quiet
    )
    model = Model()
    step = torch.load(demo / run / name, weights_only=True)["global_step"]
    trainer.fit(model, torch.zeros(4, dtype=torch.int64), ckpt_path=str(demo / run / name))
    assert (trainer.current_epoch, trainer.global_step) == (epochs + 1, step + 2)


@pytest.mark.keras
def test_keras_loads_a_demo_checkpoint(demo: Path) -> None:
    import keras

    model = keras.models.load_model(demo / "keras" / "06-0.40.keras")
    assert model.predict(keras.ops.array([[-1.0, 2.0, 0.0, 3.0]]), verbose=0).tolist() == [[0.0, 2.0, 0.0, 3.0]]


@pytest.mark.keras
def test_the_weights_member_is_a_valid_empty_hdf5_file(demo: Path) -> None:
    import h5py

    with (
        zipfile.ZipFile(demo / "keras" / "06-0.40.keras") as archive,
        h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as file,
    ):
        assert list(file) == []
