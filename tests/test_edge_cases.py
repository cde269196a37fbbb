"""Folders that tools get wrong, collected from the tests, issues and releases of Lightning, Keras and their relatives.

The number in a test's name is the case's. Some belong to layouts or records that are not read yet: 9 (the file that a
run was resumed from), 33 (SavedModel), 34 (TensorFlow), 35 (aliases of wandb); of NeMo, in 27, only a marker is known.
Those only assert that nothing is listed as what it is not, and nothing pruned. More on 42, object stores, is in
cli/test_errors.py.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import fsspec
import pytest

from tests.cli.calls import HOUR, Answer, age, call, listing, remember, save, state, watch

FIXTURES = Path(__file__).parent / "fixtures" / "lightning"


def found(folder: Path, *flags: str) -> dict[str, Any]:
    """The checkpoints of the one run in a folder, by path, in the order of the listing."""
    answer = call("ls", folder, "--json", *flags)
    assert answer.code == 0, answer.err
    (run,) = answer.json["runs"]
    return {it["path"]: it for it in run["checkpoints"]}


def best(folder: Path, *flags: str) -> str:
    (path,) = call("best", folder, *flags).lines
    return path.removeprefix(f"{folder}/")


def last(folder: Path) -> str:
    (path,) = call("last", folder).lines
    return path.removeprefix(f"{folder}/")


def dropped(folder: Path, *flags: str) -> list[str]:
    answer = call("prune", folder, *flags, "-n", "--json")
    assert answer.code == 0, answer.err
    return [it["path"] for run in answer.json["runs"] for it in run["verdicts"] if it["action"] == "drop"]


def pruned(folder: Path, *flags: str) -> Answer:
    return call("prune", folder, *flags, "--yes")


def test_case_01_a_second_training_in_the_folder_is_told_apart_by_its_versions(tmp_path: Path) -> None:
    save(tmp_path, ["epoch=0.ckpt", "epoch=1.ckpt", "epoch=0-v1.ckpt", "epoch=1-v1.ckpt"])
    assert {path: it["version"] for path, it in found(tmp_path).items()} == {
        "epoch=0.ckpt": None,
        "epoch=1.ckpt": None,
        "epoch=0-v1.ckpt": 1,
        "epoch=1-v1.ckpt": 1,
    }
    assert "epoch=1-v1.ckpt" not in dropped(tmp_path, "--keep-last", "1")


def test_case_02_versions_are_numbers_and_may_begin_anywhere(tmp_path: Path) -> None:
    names = ["test.ckpt", "test-v9.ckpt", "test-v10.ckpt", "test-v11.ckpt"]
    save(tmp_path, names)
    assert [it["version"] for it in found(tmp_path).values()] == [None, 9, 10, 11]
    assert last(tmp_path) == "test-v11.ckpt"


def test_case_03_files_written_again_under_their_names_stay_three(tmp_path: Path) -> None:
    save(tmp_path, ["epoch=0.ckpt", "epoch=1.ckpt", "last.ckpt"])
    for name in ("epoch=0.ckpt", "epoch=1.ckpt", "last.ckpt"):
        age(tmp_path / name, -HOUR / 2)
    assert len(found(tmp_path)) == 3
    assert dropped(tmp_path, "--keep-last", "2") == []


@pytest.mark.parametrize(
    ("steps", "older"),
    [
        pytest.param((5, 3), "last-v1.ckpt", id="the first is ahead and later"),
        pytest.param((3, 5), "last.ckpt", id="the second is ahead and later"),
        pytest.param((5, 5), "last.ckpt", id="the second is later"),
        pytest.param((5, 5), "last-v1.ckpt", id="the first is later"),
        pytest.param((5, 3), "last.ckpt", id="the second is of a later training"),
    ],
)
def test_case_04_of_two_lasts_the_name_does_not_tell_the_newest(
    tmp_path: Path, steps: tuple[int, int], older: str
) -> None:
    names = ["last.ckpt", "last-v1.ckpt"]
    for name, step in zip(names, steps, strict=True):
        save(tmp_path, [name], state(global_step=step))
    age(tmp_path / older, HOUR)
    assert [it["roles"] for it in found(tmp_path).values()] == [["last"], ["last"]]
    assert last(tmp_path) != older


def test_case_05_what_holds_a_checkpoint_is_one_with_its_extension_or_without(tmp_path: Path) -> None:
    save(tmp_path, ["last", "last.ckpt", "log.txt"])
    assert list(found(tmp_path)) == ["last", "last.ckpt"]


def test_case_05_another_extension_is_named(tmp_path: Path) -> None:
    save(tmp_path, ["last.pt", "other.pt", "log.txt"])
    assert set(found(tmp_path, "--ext", "pt")) == {"last.pt", "other.pt"}


def test_case_05_a_last_may_have_a_version(tmp_path: Path) -> None:
    save(tmp_path, ["last-v0.ckpt", "last-v1.ckpt"])
    assert [it["roles"] for it in found(tmp_path).values()] == [["last"], ["last"]]
    assert dropped(tmp_path, "--keep-last", "1") == []


@pytest.mark.parametrize("is_link", [True, False], ids=["link", "file"])
def test_case_06_a_last_with_numbers_in_its_name_is_no_fourth_candidate(tmp_path: Path, is_link: bool) -> None:
    names = [f"epoch={epoch}-step={epoch * 10 + 10}.ckpt" for epoch in range(3)]
    save(tmp_path, names, state(epoch=2, global_step=30))
    if is_link:
        (tmp_path / "last-epoch=2.ckpt").symlink_to(names[2])
    else:
        save(tmp_path, ["last-epoch=2.ckpt"], state(epoch=2, global_step=30))
    assert set(dropped(tmp_path, "--keep-last", "1")) <= {names[0], names[1]}
    assert "last-epoch=2.ckpt" not in dropped(tmp_path, "--keep-last", "1")
    assert pruned(tmp_path, "--keep-last", "3").err == "Nothing to delete.\n"


def test_case_07_a_custom_extension_is_found_and_pruned(tmp_path: Path) -> None:
    save(tmp_path, ["epoch=0-step=1.tpkc", "epoch=1-step=2.tpkc", "last.tpkc"], state(epoch=1, global_step=2))
    assert set(found(tmp_path, "--ext", ".tpkc")) == {"epoch=0-step=1.tpkc", "epoch=1-step=2.tpkc", "last.tpkc"}
    assert dropped(tmp_path, "--ext", ".tpkc", "--keep-last", "1") == ["epoch=0-step=1.tpkc"]


def test_case_08_a_last_may_carry_a_metric(tmp_path: Path) -> None:
    save(tmp_path, ["foo=1-last.ckpt"])
    (checkpoint,) = found(tmp_path).values()
    assert checkpoint["roles"] == ["last"]
    assert checkpoint["metrics"]["foo"]["value"] == 1


def test_case_09_what_a_run_was_resumed_from_is_listed_with_the_others(tmp_path: Path) -> None:
    names = [f"epoch=0-step={step}.ckpt" for step in (2, 4, 6, 8)]
    save(tmp_path, names)
    assert list(found(tmp_path)) == names
    assert best(tmp_path, "--monitor", "step", "--mode", "max") == names[3]
    assert dropped(tmp_path, "--keep-last", "3") == [names[0]]


def test_case_10_nothing_outside_the_root_is_pruned_though_a_state_lists_it(tmp_path: Path) -> None:
    old = save(tmp_path / "old", ["epoch=0-val_loss=0.9.ckpt", "epoch=1-val_loss=0.8.ckpt"])
    before = listing(old)
    names = ["epoch=2-val_loss=0.7.ckpt", "epoch=3-val_loss=0.75.ckpt", "epoch=4-val_loss=0.95.ckpt"]
    scores = {"old/epoch=0-val_loss=0.9.ckpt": 0.9, f"new/{names[0]}": 0.7}
    save(tmp_path / "new", names, remember(callbacks=watch(str(tmp_path), scores)))
    assert dropped(tmp_path / "new", "--top-k", "1") == names[1:2]
    assert pruned(tmp_path / "new", "--top-k", "1").code == 0
    assert listing(old) == before


@pytest.mark.parametrize(
    ("values", "mode", "winner"),
    [(("nan", "8", "7", "5"), "min", "5"), (("nan", "5", "7", "8"), "max", "8")],
    ids=["min", "max"],
)
def test_case_11_nan_never_wins(tmp_path: Path, values: tuple[str, ...], mode: str, winner: str) -> None:
    save(tmp_path, [f"epoch={epoch}-x={value}.ckpt" for epoch, value in enumerate(values)])
    assert best(tmp_path, "--mode", mode).endswith(f"x={winner}.ckpt")
    assert dropped(tmp_path, "--top-k", "3", "--mode", mode) == ["epoch=0-x=nan.ckpt"]


def test_case_11_a_folder_of_nothing_but_nan_has_no_best(tmp_path: Path) -> None:
    save(tmp_path, ["epoch=0-val_loss=nan.ckpt", "epoch=1-val_loss=nan.ckpt", "epoch=2-val_loss=nan.ckpt"])
    assert call("best", tmp_path).code == 4
    before = listing(tmp_path)
    assert pruned(tmp_path, "--top-k", "1").code == 4
    assert listing(tmp_path) == before


def test_case_12_where_only_a_last_was_saved_there_is_no_best(tmp_path: Path) -> None:
    save(tmp_path, ["last.ckpt"], remember(callbacks=watch("/elsewhere", {})))
    answer = call("best", tmp_path)
    assert (answer.code, answer.out) == (4, "")
    assert last(tmp_path) == "last.ckpt"


def test_case_13_without_a_monitor_there_is_a_last_and_no_best(tmp_path: Path) -> None:
    save(tmp_path, ["epoch=0-step=1.ckpt", "epoch=1-step=2.ckpt"])
    assert all(it["metrics"] == {} for it in found(tmp_path).values())
    assert (call("best", tmp_path).code, last(tmp_path)) == (4, "epoch=1-step=2.ckpt")


def test_case_14_an_epoch_that_is_monitored_is_a_score_and_a_whole_number(tmp_path: Path) -> None:
    save(tmp_path, ["epoch=0.ckpt", "epoch=1.ckpt", "epoch=2.ckpt"])
    flags = ("--monitor", "epoch", "--mode", "max")
    assert best(tmp_path, *flags) == "epoch=2.ckpt"
    out = call("export", tmp_path, "--format", "yaml", *flags).out
    assert out == "".join(f"{tmp_path}/epoch={epoch}.ckpt: {epoch}\n" for epoch in range(3))


def test_case_15_gaps_between_epochs_are_normal(tmp_path: Path) -> None:
    save(tmp_path, ["epoch=1.ckpt", "epoch=3.ckpt"])
    assert call("ls", tmp_path).err == ""
    assert dropped(tmp_path, "--keep-every", "2epochs") == []


def test_case_16_several_files_of_an_epoch_get_the_values_of_their_steps(tmp_path: Path) -> None:
    names = [f"epoch=0-step={step}.ckpt" for step in (2, 4, 6, 8, 10)]
    save(tmp_path / "checkpoints", names)
    rows = "".join(f"0,{step - 1},0.{9 - step // 2}\n" for step in (2, 4, 6, 8, 10))
    (tmp_path / "metrics.csv").write_text(f"epoch,step,val_loss\n{rows}")
    scores = [it["metrics"]["val_loss"] for it in found(tmp_path).values()]
    assert {it["source"] for it in scores} == {"csv"}
    assert [it["value"] for it in scores] == [0.8, 0.7, 0.6, 0.5, 0.4]


def test_case_17_equal_names_are_ranked_by_what_was_recorded(tmp_path: Path) -> None:
    shutil.copytree(FIXTURES / "pl26" / "rounding", tmp_path / "run")
    assert best(tmp_path / "run") == "val_loss=0.50-v2.ckpt"
    (tmp_path / "run" / "best_k_models.yaml").unlink()
    assert best(tmp_path / "run") == "val_loss=0.50-v2.ckpt"


def test_case_18_names_that_say_nothing_are_ranked_by_what_was_recorded(tmp_path: Path) -> None:
    shutil.copytree(FIXTURES / "pl26" / "constant_name", tmp_path / "run")
    assert best(tmp_path / "run") == "best-v1.ckpt"


def test_case_19_a_metric_with_a_slash_makes_one_checkpoint_not_a_folder(tmp_path: Path) -> None:
    save(tmp_path, ["epoch=1-val/loss=0.40.ckpt"])
    (tmp_path / "epoch=0-val").mkdir()
    (tmp_path / "last.ckpt").symlink_to("epoch=1-val/loss=0.40.ckpt")
    (path,) = found(tmp_path)
    (checkpoint,) = found(tmp_path).values()
    assert (path, checkpoint["epoch"], checkpoint["metrics"]["val/loss"]["value"]) == (
        "epoch=1-val/loss=0.40.ckpt",
        1,
        0.4,
    )
    assert checkpoint["aliases"] == ["last.ckpt"]
    assert best(tmp_path, "--monitor", "val_loss") == path


def test_case_20_a_version_may_be_the_best_of_another_metric(tmp_path: Path) -> None:
    names = ["epoch=0-step=2.ckpt", "epoch=0-step=2-v1.ckpt", "epoch=2-step=6.ckpt"]
    memory = watch("/x", {names[2]: 0.1}) | watch("/x", {names[1]: 0.9}, monitor="val_acc", mode="max")
    save(tmp_path, names, remember(callbacks=memory))
    run = found(tmp_path)
    assert run[names[1]]["metrics"]["val_acc"]["value"] == pytest.approx(0.9)
    assert call("best", tmp_path).code == 2
    assert names[1] not in dropped(tmp_path, "--top-k", "1", "--monitor", "val_loss")


def test_case_21_a_last_that_is_old_is_a_file_of_its_own_and_stays(tmp_path: Path) -> None:
    shutil.copytree(FIXTURES / "pl26" / "last_is_old", tmp_path / "run")
    assert {path: it["epoch"] for path, it in found(tmp_path / "run").items()} == {
        "epoch=00-val_loss=0.50.ckpt": 0,
        "last.ckpt": 0,
    }
    assert dropped(tmp_path / "run", "--top-k", "1") == []


def test_case_22_an_absolute_link_of_a_moved_folder_dangles_and_is_repaired(tmp_path: Path) -> None:
    save(tmp_path, ["epoch=2.ckpt", "epoch=3.ckpt"])
    (tmp_path / "last.ckpt").symlink_to("/abs/old/location/epoch=3.ckpt")
    (run,) = call("ls", tmp_path, "--json").json["runs"]
    assert run["pointers"] == [{"path": "last.ckpt", "kind": "symlink", "target": "epoch=3.ckpt", "state": "dangling"}]
    assert call("link", tmp_path, "--last").code == 0
    assert os.readlink(tmp_path / "last.ckpt") == "epoch=3.ckpt"


def test_case_23_a_link_to_itself_is_a_loop_and_is_repaired(tmp_path: Path) -> None:
    save(tmp_path, ["epoch=3.ckpt"])
    (tmp_path / "last.ckpt").symlink_to("last.ckpt")
    (run,) = call("ls", tmp_path, "--json").json["runs"]
    assert [it["state"] for it in run["pointers"]] == ["loop"]
    assert call("link", tmp_path, "--last").code == 0
    assert os.readlink(tmp_path / "last.ckpt") == "epoch=3.ckpt"


def test_case_24_what_a_best_link_names_stays(tmp_path: Path) -> None:
    names = [f"epoch={epoch}-val_loss=0.{loss}.ckpt" for epoch, loss in ((2, 20), (3, 30), (4, 40), (5, 50))]
    save(tmp_path, names)
    (tmp_path / "best.ckpt").symlink_to(names[1])
    assert dropped(tmp_path, "--top-k", "1") == [names[2]]
    assert pruned(tmp_path, "--top-k", "1").code == 0
    assert (tmp_path / "best.ckpt").exists()


def test_case_25_a_best_link_that_names_another_is_seen_beside_the_best(tmp_path: Path) -> None:
    save(tmp_path, ["epoch=1-val_loss=0.40.ckpt", "epoch=1-val_loss=0.55.ckpt"])
    (tmp_path / "best.ckpt").symlink_to("epoch=1-val_loss=0.55.ckpt")
    marks = {Path(row["path"]).name: row["marks"] for row in call("ls", tmp_path).rows}
    assert marks["epoch=1-val_loss=0.40.ckpt"].startswith("best")
    assert "linked by best.ckpt" in marks["epoch=1-val_loss=0.55.ckpt"]
    assert best(tmp_path) == "epoch=1-val_loss=0.40.ckpt"


def test_case_26_a_link_to_a_folder_checkpoint_is_unlinked_only(tmp_path: Path) -> None:
    folder = tmp_path / "epoch=1-step=2.ckpt"
    for name in ("meta.pt", ".metadata", "__0_0.distcp"):
        save(folder, [name])
    (tmp_path / "last.ckpt").symlink_to("epoch=1-step=2.ckpt")
    before = listing(folder)
    (checkpoint,) = found(tmp_path).values()
    assert (checkpoint["kind"], checkpoint["path"], checkpoint["aliases"], checkpoint["files"]) == (
        "dir",
        "epoch=1-step=2.ckpt",
        ["last.ckpt"],
        3,
    )
    save(tmp_path / "epoch=2-step=4.ckpt", ["__0_0.distcp", ".metadata", "meta.pt"])  # as it is written
    assert call("link", tmp_path, "--last").code == 0
    assert os.readlink(tmp_path / "last.ckpt") == "epoch=2-step=4.ckpt"
    assert listing(folder) == before
    assert pruned(tmp_path, "--keep-last", "1").code == 0
    assert not folder.exists()
    assert sorted(os.listdir(tmp_path)) == ["epoch=2-step=4.ckpt", "last.ckpt"]


@pytest.mark.parametrize("content", [b"", state()[: len(state()) // 2]], ids=["empty", "cut short"])
def test_case_27_what_is_not_whole_is_never_best_and_never_deleted(tmp_path: Path, content: bytes) -> None:
    save(tmp_path, ["epoch=0-val_loss=0.9.ckpt", "epoch=1-val_loss=0.8.ckpt", "epoch=2-val_loss=0.7.ckpt"])
    save(tmp_path, ["epoch=3-val_loss=0.1.ckpt"], content)
    assert found(tmp_path)["epoch=3-val_loss=0.1.ckpt"]["state"] == "damaged"
    assert best(tmp_path) == "epoch=2-val_loss=0.7.ckpt"
    assert pruned(tmp_path, "--top-k", "1").code == 0
    assert (tmp_path / "epoch=3-val_loss=0.1.ckpt").read_bytes() == content


def test_case_27_what_a_marker_calls_unfinished_is_never_pruned(tmp_path: Path) -> None:
    save(tmp_path, ["epoch=0-val_loss=0.9.ckpt", "epoch=1-val_loss=0.8.ckpt", "epoch=2-val_loss=0.7.ckpt"])
    (tmp_path / "epoch=0-val_loss=0.9-unfinished").touch()
    assert pruned(tmp_path, "--top-k", "1").code == 0
    assert (tmp_path / "epoch=0-val_loss=0.9.ckpt").exists()
    assert (tmp_path / "epoch=0-val_loss=0.9-unfinished").exists()


def test_case_28_files_that_the_last_training_does_not_list_are_checkpoints_too(tmp_path: Path) -> None:
    shutil.copytree(FIXTURES / "pl26" / "rerun", tmp_path / "run")
    run = found(tmp_path / "run")
    assert {"epoch=00-val_loss=0.50.ckpt", "epoch=01-val_loss=0.40.ckpt", "last.ckpt"} <= set(run)
    assert run["epoch=01-val_loss=0.40-v1.ckpt"]["metrics"]["val_loss"]["value"] == 0.4000000059604645


def test_case_28_a_moved_folder_still_knows_its_scores(tmp_path: Path) -> None:
    scores = {"a.ckpt": 0.3, "b.ckpt": 0.2}
    save(tmp_path / "moved" / "here", scores, remember(callbacks=watch("/old/run/checkpoints", scores)))
    assert best(tmp_path / "moved" / "here") == "b.ckpt"


def test_case_29_a_mode_against_the_name_is_told(tmp_path: Path) -> None:
    names = [f"epoch=0{epoch}-val_acc=0.9{epoch}.ckpt" for epoch in (1, 2, 3)]
    scores = {name: float(name[-9:-5]) for name in names}
    save(tmp_path, names, remember(callbacks=watch("/x", scores, monitor="val_acc", mode="min")))
    answer = call("best", tmp_path)
    assert answer.lines == [f"{tmp_path}/{names[0]}"]
    assert answer.err == (
        "warning: training's record says min, but 'val_acc' reads as if max were better: min counts\n"
    )


def test_case_30_version_0_and_the_underscore_of_old_releases_are_versions(tmp_path: Path) -> None:
    save(tmp_path, ["epoch=4-v0.ckpt", "epoch=4_v0.ckpt"])
    assert {path: (it["epoch"], it["version"]) for path, it in found(tmp_path).items()} == {
        "epoch=4-v0.ckpt": (4, 0),
        "epoch=4_v0.ckpt": (4, 0),
    }


def test_case_31_the_best_of_a_chain_of_improvements_is_its_last(tmp_path: Path) -> None:
    save(tmp_path, ["weights.01-0.90.hdf5", "weights.02-0.80.hdf5", "weights.07-0.70.hdf5"], b"\x89HDF\r\n\x1a\n")
    run = found(tmp_path)
    assert [(it["layout"], it["epoch"]) for it in run.values()] == [("keras", 1), ("keras", 2), ("keras", 7)]
    whole = (Path(__file__).parent / "fixtures" / "layouts" / "keras" / "m.h5").read_bytes()
    save(tmp_path, run, whole)
    assert best(tmp_path, "--monitor", "val_loss") == "weights.07-0.70.hdf5" == last(tmp_path)


def test_case_32_a_lonely_nan_is_told_and_has_no_best(tmp_path: Path) -> None:
    save(tmp_path, ["m.01-nan.keras"])
    (checkpoint,) = found(tmp_path, "--monitor", "val_loss").values()
    assert checkpoint["metrics"]["val_loss"]["state"] == "nan"
    assert call("best", tmp_path, "--monitor", "val_loss").code == 4


def test_case_33_a_saved_model_is_an_export_that_nothing_drops(tmp_path: Path) -> None:
    inside = ("index", "data-00000-of-00001")
    for name in ("ckpt-05", "ckpt-06"):
        save(tmp_path / name, ["saved_model.pb", *(f"variables/variables.{end}" for end in inside)], b"x")
    before = listing(tmp_path)
    assert call("ls", tmp_path).out.count("\tsavedmodel\t") == 2
    assert pruned(tmp_path, "--keep-last", "1").code == 0
    assert listing(tmp_path) == before


def test_case_34_the_files_of_a_tensorflow_checkpoint_are_not_taken_apart(tmp_path: Path) -> None:
    members = (".index", ".data-00000-of-00001")
    index = b"x" * 40 + bytes.fromhex("57fb808b247547db")
    save(tmp_path, [f"cp-000{n}.ckpt.data-00000-of-00001" for n in (1, 2)], b"x")
    save(tmp_path, [f"cp-000{n}.ckpt.index" for n in (1, 2)], index)
    assert dropped(tmp_path, "--keep-last", "1") == ["cp-0001.ckpt"]
    save(tmp_path, ["epoch=0.ckpt", "epoch=1.ckpt"])
    before = listing(tmp_path)
    assert pruned(tmp_path, "--keep-last", "1").code == 0
    assert listing(tmp_path) == before
    assert pruned(tmp_path, "--keep-last", "1", "--layout", "tensorflow").code == 0
    gone = {f"cp-0001.ckpt{end}" for end in members}
    assert before.keys() - listing(tmp_path).keys() == gone


def test_case_35_a_best_by_name_has_the_role_and_no_metric(tmp_path: Path) -> None:
    save(tmp_path, ["model_05.keras", "model-best.h5"], b"PK\x05\x06" + bytes(18))
    run = found(tmp_path)
    assert (run["model-best.h5"]["roles"], run["model-best.h5"]["metrics"]) == (["best"], {})
    assert pruned(tmp_path, "--keep-last", "1").code == 0
    assert (tmp_path / "model-best.h5").exists()


def test_case_36_steps_of_two_generations_are_one_run(tmp_path: Path) -> None:
    old = {"pytorch-lightning_version": "1.5.10", "epoch": 1, "global_step": 10}
    save(tmp_path, ["epoch=0-step=9.ckpt"], state(**old))
    age(tmp_path / "epoch=0-step=9.ckpt", HOUR)
    save(tmp_path, ["epoch=1-step=20.ckpt"], state(epoch=1, global_step=20))
    assert [it["step"] for it in found(tmp_path).values()] == [9, 20]
    assert last(tmp_path) == "epoch=1-step=20.ckpt"


def test_case_37_a_zero_that_the_state_knows_better_is_that(tmp_path: Path) -> None:
    shutil.copytree(FIXTURES / "pl26" / "topk3_link", tmp_path / "run", symlinks=True)
    score = found(tmp_path / "run")["epoch=2-val_loss=0.00.ckpt"]["metrics"]["val_loss"]
    assert score["value"] == pytest.approx(9.99e-06, rel=1e-2)
    assert best(tmp_path / "run") == "epoch=2-val_loss=0.00.ckpt"


def test_case_37_a_zero_that_nobody_logged_is_no_best(tmp_path: Path) -> None:
    names = [f"epoch={epoch}-val_loss={loss}.ckpt" for epoch, loss in enumerate(("0.50", "0.40", "0.00"))]
    save(tmp_path / "checkpoints", names, state(epoch=2, global_step=30))
    (tmp_path / "metrics.csv").write_text("epoch,step,lr,val_loss\n0,9,1,0.5\n1,19,1,0.4\n2,29,1,\n")
    assert best(tmp_path) == f"checkpoints/{names[1]}"
    assert f"checkpoints/{names[1]}" not in dropped(tmp_path, "--top-k", "1")


def test_case_38_numbers_that_were_logged_over_are_taken_as_the_name_says(tmp_path: Path) -> None:
    save(tmp_path, ["epoch=7.0-step=70.ckpt", "epoch=8-step=7.ckpt"])
    assert {(it["epoch"], it["step"]) for it in found(tmp_path).values()} == {(7, 70), (8, 7)}


def test_case_39_a_file_of_weights_only_has_the_score_of_its_name_or_table(tmp_path: Path) -> None:
    content = remember(callbacks={}, optimizer_states=[], epoch=1, global_step=20)
    save(tmp_path / "checkpoints", ["epoch=0-val_loss=0.5.ckpt", "epoch=1.ckpt"], content)
    (tmp_path / "metrics.csv").write_text("epoch,step,val_loss\n0,9,0.51\n1,19,0.4\n")
    answer = call("ls", tmp_path, "--json")
    scores = {Path(it["path"]).name: it["metrics"]["val_loss"]["value"] for it in answer.json["runs"][0]["checkpoints"]}
    assert scores == {"epoch=0-val_loss=0.5.ckpt": 0.51, "epoch=1.ckpt": 0.4}


def test_case_40_the_tenth_is_later_than_the_first(tmp_path: Path) -> None:
    save(tmp_path, ["hpc_ckpt_1.ckpt", "hpc_ckpt_2.ckpt", "hpc_ckpt_10.ckpt"])
    assert last(tmp_path) == "hpc_ckpt_10.ckpt"


ODD = [
    *("a b", "a,b", "100%", "a@b", "a[1]", "a\nb", "ünï", "学習", "-rf", "--help"),
    *("a'b", 'a"b', "a\\b", "$H", "*", "~"),
]


@pytest.mark.parametrize("odd", ODD)
def test_case_41_odd_names_come_back_exactly(tmp_path: Path, odd: str, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"{odd}-epoch={epoch}-val_loss=0.{5 - epoch}.ckpt" for epoch in range(3)]
    folder = save(tmp_path / odd, names)
    assert sorted(found(folder)) == sorted(names)
    assert call("ls", folder, "-0").raw.decode().split("\0")[:-1] == [f"{folder}/{name}" for name in names]
    monkeypatch.chdir(folder)
    (path,) = call("best", "-0").raw.decode().split("\0")[:-1]
    assert (folder / path).samefile(folder / names[2])
    assert not path.startswith("-")
    assert pruned(Path(), "--top-k", "1").code == 0
    assert os.listdir(folder) == [names[2]]


def test_case_42_an_object_store_has_no_links_and_its_folders_are_prefixes() -> None:
    files = fsspec.filesystem("memory")
    for name in ("meta.pt", ".metadata", "__0_0.distcp"):
        files.pipe_file(f"/case42/run/epoch=1-step=2.ckpt/{name}", b"x")
    files.pipe_file("/case42/run/epoch=0-step=1.ckpt", state())
    document = call("ls", "memory://case42", "--json").json
    assert [(it["path"], it["kind"]) for it in document["runs"][0]["checkpoints"]] == [
        ("run/epoch=0-step=1.ckpt", "file"),
        ("run/epoch=1-step=2.ckpt", "dir"),
    ]
    assert call("prune", "memory://case42", "--keep-last", "1", "--no-protect-last", "--yes").code == 6
    files.rm("/case42", recursive=True)
