"""A folder for each save of a home-made loop: what is one save, what is a run, and what lies in one alone."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from ckptctl.formats.torch_writer import encode_torch
from ckptctl.scan.runs import Options, scan
from ckptctl.stores.local import open_url
from tests.cli.calls import HOUR, call
from tests.scan.test_loose_files import ADAM, STATE, full

OPTIMIZER = encode_torch({"optimizer": ADAM})
TWO_FILES = {"model.pt": STATE, "optimizer.pt": OPTIMIZER}


def plant(root: Path, files: Mapping[str, bytes]) -> Path:
    """Write files; each folder right below the root is an hour older than the next."""
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    tops = list(dict.fromkeys(it.partition("/")[0] for it in files))
    for ago, top in enumerate(reversed(tops), 1):
        for it in (*(root / top).rglob("*"), root / top):
            os.utime(it, (time.time() - ago * HOUR,) * 2)
    return root


def in_each(folders: list[str], files: Mapping[str, bytes]) -> dict[str, bytes]:
    return {f"{folder}/{name}": data for folder in folders for name, data in files.items()}


def listed(root: Path, *flags: str) -> dict[str, dict[str, object]]:
    answer = call("ls", root, "--json", *flags)
    return {it["path"]: it for run in answer.json["runs"] for it in run["checkpoints"]} if answer.code == 0 else {}


def left(root: Path, *flags: str) -> set[str]:
    call("prune", root, *(flags or ("--keep-last", "1")), "--yes")
    return {it.name for it in root.iterdir() if it.name != ".ckptctl"}


def numbered(pattern: str, *numbers: int) -> list[str]:
    return [pattern.format(it) for it in numbers]


# One save


@pytest.mark.parametrize(
    ("folders", "files"),
    [
        pytest.param(numbered("epoch_{}", 1, 2, 3), TWO_FILES, id="a model and its optimizer"),
        pytest.param(numbered("step_{}", 100, 200), {"policy/w.pt": STATE, "trainer/s.pt": OPTIMIZER}, id="parts"),
        pytest.param(numbered("{}", 500, 1000, 1500, 2000), {"model.pt": STATE}, id="bare numbers far apart"),
        pytest.param(numbered("model_epoch{}", 8, 9, 10), {"pytorch_model.bin": STATE}, id="a number behind a word"),
        pytest.param(
            numbered("epoch={}", 0, 1), {"state/model.pt": full(1), "config.json": b"{}"}, id="an equals sign"
        ),
        pytest.param(numbered("iter_{}", 100, 200, 300), {"G.pth": STATE, "D.pth": STATE}, id="two networks"),
        pytest.param(numbered("round_{}", 1, 2, 3), {f"client_{n}.pt": STATE for n in range(3)}, id="clients' files"),
        pytest.param(numbered("epoch_{}", 1, 2), {f"rank_{n}.pt": STATE for n in range(4)}, id="ranks"),
        pytest.param(numbered("ckpt-{}", 10, 20), {"weights": STATE}, id="no ending"),
    ],
)
def test_a_folder_for_each_save_is_one_checkpoint(tmp_path: Path, folders: list[str], files: dict[str, bytes]) -> None:
    plant(tmp_path, in_each(folders, files))
    found = listed(tmp_path)
    assert list(found) == folders
    assert {(it["kind"], it["state"], it["files"], it["prunable"]) for it in found.values()} == {
        ("dir", "complete", len(files), True)
    }
    assert left(tmp_path) == {folders[-1]}


def test_its_name_says_its_numbers_and_metrics(tmp_path: Path) -> None:
    names = ["epoch_1_val_loss_0.50", "epoch_2_val_loss_0.30", "epoch_3_val_loss_0.40"]
    plant(tmp_path, in_each(names, TWO_FILES))
    found = listed(tmp_path)
    assert [found[it]["epoch"] for it in names] == [1, 2, 3]
    assert call("best", tmp_path, "--monitor", "val_loss").lines == [str(tmp_path / names[1])]
    assert left(tmp_path, "--top-k", "1", "--no-protect-last") == {names[1]}


def test_a_file_may_be_named_for_the_save_again(tmp_path: Path) -> None:
    plant(tmp_path, {f"epoch_{n:02d}/model_epoch_{n}.pt": STATE for n in (8, 9, 10)})
    assert left(tmp_path) == {"epoch_10"}


def test_each_fold_has_its_own(tmp_path: Path) -> None:
    plant(tmp_path, in_each([f"fold_{f}/epoch_{e}" for f in (0, 1) for e in (1, 2)], TWO_FILES))
    call("prune", tmp_path, "--keep-last", "1", "--yes")
    assert sorted(str(it.relative_to(tmp_path)) for it in tmp_path.glob("*/*")) == ["fold_0/epoch_2", "fold_1/epoch_2"]


def test_every_command_has_one_answer_for_it(tmp_path: Path) -> None:
    plant(tmp_path, in_each(numbered("epoch_{}", 1, 2, 3), TWO_FILES))
    assert call("show", tmp_path / "epoch_2", "--json").json["checkpoint"]["epoch"] == 2
    assert call("last", tmp_path).lines == [str(tmp_path / "epoch_3")]
    assert call("last", tmp_path, "--resumable").lines == [str(tmp_path / "epoch_3")]
    assert [it["path"] for it in call("verify", tmp_path, "--json").json["checkpoints"]] == [
        str(tmp_path / f"epoch_{n}") for n in (1, 2, 3)
    ]
    assert call("pin", tmp_path / "epoch_1").code == 0
    assert left(tmp_path) == {"epoch_1", "epoch_1.keep", "epoch_3"}
    assert call("rm", tmp_path / "epoch_3", "--yes", "--empty-run").code in (0, 6)


def test_a_file_in_it_means_the_whole_save(tmp_path: Path) -> None:
    plant(tmp_path, in_each(numbered("epoch_{}", 1, 2, 3), TWO_FILES))
    part = tmp_path / "epoch_2" / "model.pt"
    assert call("show", part, "--json").json["checkpoint"]["path"] == "epoch_2"
    answer = call("rm", part, "--yes", "--empty-run")
    assert (answer.code, part.exists()) == (6, True)
    assert f"name the folder: {part.parent}" in answer.err
    assert call("pin", part).code == 0
    assert left(tmp_path) == {"epoch_2", "epoch_2.keep", "epoch_3"}


def test_what_a_link_names_stays(tmp_path: Path) -> None:
    plant(tmp_path, in_each(numbered("epoch_{}", 1, 2, 3), TWO_FILES))
    (tmp_path / "best").symlink_to("epoch_1")
    assert left(tmp_path) == {"best", "epoch_1", "epoch_3"}


# No save


def test_folders_of_runs_are_runs(tmp_path: Path) -> None:
    plant(tmp_path, {f"round_{r}/epoch_{e}.pt": STATE for r in (1, 2) for e in (1, 2)})
    assert list(listed(tmp_path)) == [f"round_{r}/epoch_{e}.pt" for r in (1, 2) for e in (1, 2)]


def test_folders_of_folders_that_are_saves_are_runs(tmp_path: Path) -> None:
    plant(tmp_path, in_each([f"round_{r}/epoch_{e}" for r in (1, 2) for e in (1, 2)], TWO_FILES))
    assert list(listed(tmp_path)) == [f"round_{r}/epoch_{e}" for r in (1, 2) for e in (1, 2)]


@pytest.mark.parametrize(
    "names",
    [
        numbered("step{}", 1, 2, 3),
        numbered("batch_{}", 1, 2, 3),
        numbered("{}", 1, 2, 3, 4, 5),
        numbered("{}", 1234567, 1234571, 1234580, 1234999),
        numbered("{:05d}-auto1", 0, 1, 2, 3, 4),
        numbered("exp_{}", 1, 2, 3),
        numbered("epoch_{}_samples", 1, 2, 3),
    ],
    ids=["parts of a recipe", "batches of jobs", "small numbers", "jobs", "padded runs", "experiments", "samples"],
)
def test_names_that_files_may_have_are_not_enough_for_folders(tmp_path: Path, names: list[str]) -> None:
    plant(tmp_path, in_each(names, TWO_FILES))
    assert {it["kind"] for it in listed(tmp_path).values()} <= {"file", "family"}
    assert left(tmp_path) == set(names)


def test_a_person_may_say_that_small_numbers_are_saves(tmp_path: Path) -> None:
    plant(tmp_path, in_each(numbered("{}", 1, 2, 3), {"model.pt": STATE}))
    assert left(tmp_path, "--keep-last", "1", "--template", "{epoch}") == {"3"}


def test_folders_with_different_files_are_no_series(tmp_path: Path) -> None:
    plant(tmp_path, {"epoch_1/encoder.pt": STATE, "epoch_2/decoder.pt": STATE, "epoch_3/other.pt": STATE})
    assert left(tmp_path) == {"epoch_1", "epoch_2", "epoch_3"}


def test_folders_without_weights_are_no_series(tmp_path: Path) -> None:
    plant(tmp_path, in_each(numbered("epoch_{}", 1, 2, 3), {"data.pt": encode_torch([1, 2, 3])}))
    assert left(tmp_path) == {"epoch_1", "epoch_2", "epoch_3"}


# What lies in one and not in the others


@pytest.mark.parametrize("name", ["README.md", "eval/results.json", "other.pt", "run_2/model_epoch_1.pt", ".notes"])
def test_a_folder_with_something_of_its_own_stays_and_says_what_it_is(tmp_path: Path, name: str) -> None:
    files = in_each(numbered("epoch_{}", 1, 2, 3, 4), TWO_FILES)
    plant(tmp_path, files | {f"epoch_2/{name}": STATE if name.endswith(".pt") else b"text"})
    answer = call("prune", tmp_path, "--keep-last", "1", "--yes")
    assert {it.name for it in tmp_path.iterdir()} == {"epoch_2", "epoch_4"}
    assert f"it holds {name}, which the folders beside it do not" in answer.out


def test_a_save_that_lacks_a_file_is_partial_and_never_the_last(tmp_path: Path) -> None:
    files = in_each(numbered("epoch_{}", 1, 2, 3, 4), TWO_FILES)
    del files["epoch_4/optimizer.pt"]
    plant(tmp_path, files)
    assert listed(tmp_path)["epoch_4"]["state"] == "partial"
    assert left(tmp_path) == {"epoch_3", "epoch_4"}


def test_a_file_that_is_added_after_the_plan_keeps_its_folder(tmp_path: Path) -> None:
    plant(tmp_path, in_each(numbered("epoch_{}", 1, 2, 3), TWO_FILES))
    plan = tmp_path.parent / "plan.json"
    assert call("prune", tmp_path, "--keep-last", "1", "--plan-out", plan).code == 0
    (tmp_path / "epoch_1" / "README.md").write_text("mine")
    call("apply", plan, "--yes")
    assert {it.name for it in tmp_path.iterdir()} == {"epoch_1", "epoch_3"}


def test_one_whose_weights_were_replaced_stays(tmp_path: Path) -> None:
    names = numbered("epoch_{}", 1, 2, 3, 4, 5, 6)
    files = in_each(names, {"model.pt": STATE})
    plant(tmp_path, files | {"epoch_2/model.pt": encode_torch([1, 2, 3])})
    assert left(tmp_path) == {"epoch_2", "epoch_6"}


# Beside frameworks


def test_half_written_saves_of_a_framework_stay_its_own_beside_a_proved_one(tmp_path: Path) -> None:
    files = in_each(numbered("step_{}", 10, 20, 30), {"policy/weights.pt": STATE})
    plant(tmp_path, files | {"step_10/training_info.json": b"{}"})
    assert {it["layout"] for it in listed(tmp_path).values()} == {"nemo_rl"}


def test_a_name_that_frameworks_have_too_is_read_by_what_lies_in_it(tmp_path: Path) -> None:
    plant(tmp_path, in_each(numbered("step_{}", 10, 20, 30), {"policy/weights.pt": STATE}))
    assert {it["layout"] for it in listed(tmp_path).values()} == {"generic-folder"}


def test_what_is_held_back_is_a_few_folders_alone(tmp_path: Path) -> None:
    """Else a tree of many numbered folders would be held in memory."""
    for number in range(100):
        (tmp_path / f"part_{number % 2}" / f"x{number}").mkdir(parents=True)
        (tmp_path / f"part_{number % 2}" / f"x{number}" / "epoch_1.pt").write_bytes(STATE)
    entered: list[str] = []
    first = next(scan(open_url(str(tmp_path)), Options(now=time.time_ns()), observe=lambda it: entered.append(it.path)))
    assert first.path == "part_0/x0"
    assert len(entered) < 50
