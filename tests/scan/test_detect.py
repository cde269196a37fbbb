"""What in a folder is a checkpoint, seen where names look alike."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from ckptctl.formats.torch_writer import write_torch
from ckptctl.scan.runs import Options, scan
from ckptctl.stores import open_store
from tests.cli.calls import HOUR, call
from tests.layouts.tree import torch_file


def save(folder: Path, names: Sequence[str]) -> None:
    """Write whole torch files of these names."""
    for name in names:
        write_torch(str(folder / name), {"epoch": 1, "model": {}, "optimizer": {}})


TWINS = {
    "with and without a separator": (
        [f"model_{word}{n}.pt" for n in (1, 2, 3) for word in ("epoch_", "epoch")],
        {f"model_{word}{n}.pt" for n in (1, 2, 3) for word in ("epoch_", "epoch")},
    ),
    "with and without leading zeros": (
        ["net_step_100.pth", "net_step_200.pth", "net_step_0200.pth"],
        {"net_step_200.pth", "net_step_0200.pth"},
    ),
    "two words for one number": (
        ["vae_epoch_4.pt", "vae_epoch_5.pt", "vae_ep5.pt"],
        {"vae_epoch_5.pt", "vae_ep5.pt"},
    ),
    "epoch 0 written twice": (["a_epoch_0.pt", "a_epoch_00.pt", "a_epoch_1.pt"], {"a_epoch_0.pt", "a_epoch_00.pt"}),
}
"""Names, and those of them that share their number with another: nobody can say which of the two is the newer one."""


@pytest.mark.parametrize(("names", "twins"), TWINS.values(), ids=TWINS)
def test_two_names_with_the_very_same_number_are_in_doubt(tmp_path: Path, names: list[str], twins: set[str]) -> None:
    save(tmp_path, names)
    (run,) = call("ls", str(tmp_path), "--json").json["runs"]
    assert {it["path"] for it in run["checkpoints"] if it["state"] == "unknown"} == twins
    assert {it["path"] for it in run["checkpoints"]} == set(names)


@pytest.mark.parametrize(("names", "twins"), TWINS.values(), ids=TWINS)
def test_a_prune_leaves_names_with_the_very_same_number_alone(
    tmp_path: Path, names: list[str], twins: set[str]
) -> None:
    save(tmp_path, names)
    call("prune", str(tmp_path), "--keep-last", "1", "--yes")
    assert twins <= {path.name for path in tmp_path.iterdir()}


def test_names_whose_numbers_differ_are_not_in_doubt(tmp_path: Path) -> None:
    save(tmp_path, ["model_epoch_1.pt", "model_epoch_10.pt", "model_epoch_100.pt"])
    (run,) = call("ls", str(tmp_path), "--json").json["runs"]
    assert [(it["epoch"], it["state"]) for it in run["checkpoints"]] == [
        (1, "complete"),
        (10, "complete"),
        (100, "complete"),
    ]


# Families and folders


def listed(root: Path) -> dict[str, str]:
    """Of each checkpoint its state, and why, as the listing says."""
    for path in [*root.rglob("*")]:
        os.utime(path, (root.stat().st_ctime - HOUR,) * 2)
    found = {}
    for row in call("ls", str(root)).rows:
        _, colon, why = row["marks"].partition(f"{row['state']}: ")
        found[os.path.relpath(row["path"], root)] = f"{row['state']}{colon and ': '}{why}"
    return found


def write(root: Path, *paths: str, data: bytes = b"{}") -> Path:
    """Write files of one content; folders are made."""
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    return root


def test_names_without_a_number_are_no_twins_of_each_other(tmp_path: Path) -> None:
    save(tmp_path, ["best.pt", "last.pt", "epoch_1.pt", "epoch_2.pt"])
    assert set(listed(tmp_path).values()) == {"complete"}


def test_two_series_in_one_folder_are_chosen_from_apart(tmp_path: Path) -> None:
    save(tmp_path, [*(f"unetish_epoch_{n}.pt" for n in (1, 2)), *(f"vae_epoch_{n}.pth" for n in (1, 2, 3)), "best.pt"])
    assert set(listed(tmp_path).values()) == {"complete"}
    call("prune", str(tmp_path), "--keep-last", "1", "--yes")
    assert {it.name for it in tmp_path.iterdir()} == {"unetish_epoch_2.pt", "vae_epoch_3.pth", "best.pt"}


SHARE = "gpt--val_loss=0.5-step={}-last.ckpt"


def shares(step: int, *ranks: int) -> tuple[str, ...]:
    return tuple(f"mp_rank_{rank:02d}/{SHARE.format(step)}" for rank in ranks)


def test_a_family_that_lacks_a_ranks_share_is_half_written(tmp_path: Path) -> None:
    write(tmp_path, *shares(1, 0, 1, 2), *shares(2, 0, 2), data=torch_file())
    assert listed(tmp_path) == {
        "gpt--val_loss=0.5-step=1-last": "complete",
        "gpt--val_loss=0.5-step=2-last": "partial: the share of mp_rank_01 is missing",
    }


def test_a_file_beside_the_folders_of_ranks_needs_no_share_in_them(tmp_path: Path) -> None:
    write(tmp_path, *shares(1, 0, 1), SHARE.format(2), data=torch_file())
    assert set(listed(tmp_path).values()) == {"complete"}


def test_a_folder_in_which_a_run_of_its_own_framework_lies_is_in_doubt(tmp_path: Path) -> None:
    state = "trainer_state.json"
    write(tmp_path, f"checkpoint-1/{state}", f"checkpoint-2/{state}", f"checkpoint-2/tuned/more/checkpoint-7/{state}")
    assert listed(tmp_path) == {"checkpoint-1": "complete", "checkpoint-2": "unknown: a run lies in it: more"}


def test_a_folder_that_only_resembles_a_checkpoint_is_no_run_inside_of_one(tmp_path: Path) -> None:
    write(tmp_path, "checkpoint-1/trainer_state.json", "checkpoint-1/parts/checkpoint-7/optimizer.pt")
    assert listed(tmp_path) == {"checkpoint-1": "complete"}


def test_a_folder_that_holds_one_checkpoint_of_another_framework_is_that_frameworks_own_affair(tmp_path: Path) -> None:
    held = [f"checkpoint-1/trained/checkpoint_{number}/random_states_0.pkl" for number in (0, 1)]
    write(tmp_path, "checkpoint-1/trainer_state.json", "checkpoint-2/trainer_state.json", held[0])
    assert set(listed(tmp_path).values()) == {"complete"}
    write(tmp_path, held[1])
    assert listed(tmp_path) == {"checkpoint-1": "unknown: a run lies in it: trained", "checkpoint-2": "complete"}


def test_a_family_called_as_a_file_beside_it_goes_by_the_name_of_what_loads_first(tmp_path: Path) -> None:
    write(tmp_path, *(f"epoch=1.ckpt{it}" for it in ("", ".index", ".data-00000-of-00001")), data=torch_file())
    assert set(listed(tmp_path)) == {"epoch=1.ckpt", "epoch=1.ckpt.index"}


MEMBERS = {
    "what the row requires, whatever its name": [
        "model.ckpt-100.index",
        "model.ckpt-100.data-00000-of-00001",
        "model.ckpt-100.meta",
    ],
    "what leads, then the others by name": ["model_epoch_3.pt", "ema_epoch_3.pt", "optim_epoch_3.pt"],
}


@pytest.mark.parametrize("members", MEMBERS.values(), ids=MEMBERS)
def test_of_a_family_what_loads_first_comes_first(tmp_path: Path, members: list[str]) -> None:
    store = open_store(str(write(tmp_path, *members)))
    (run,) = scan(store, Options(now=store.clock()))
    assert [it.path for it in run.checkpoints[0].entries] == members


def test_an_empty_folder_with_a_number_is_a_save_only_beside_those_of_its_framework(tmp_path: Path) -> None:
    (tmp_path / "checkpoint-5").mkdir()
    assert call("ls", str(tmp_path)).code == 4
    write(tmp_path, "checkpoint-4/trainer_state.json")
    assert listed(tmp_path) == {
        "checkpoint-4": "complete",
        "checkpoint-5": "partial: trainer_state.json is missing",
    }


def test_names_of_no_framework_are_listed_beside_checkpoints_of_one(tmp_path: Path) -> None:
    write(tmp_path, "checkpoint-1/trainer_state.json")
    save(tmp_path, ["model_epoch_1.pt", "optim_epoch_1.pt", "step_2.pt"])
    assert listed(tmp_path) == dict.fromkeys(("checkpoint-1", "model_epoch_1.pt", "step_2.pt"), "complete")
    (run,) = call("ls", str(tmp_path), "--json").json["runs"]
    (pair,) = (it for it in run["checkpoints"] if it["path"] == "model_epoch_1.pt")
    assert pair["members"] == ["model_epoch_1.pt", "optim_epoch_1.pt"]


def test_a_layout_is_not_looked_for_inside_the_checkpoints_of_others(tmp_path: Path) -> None:
    write(tmp_path, "checkpoint-1/trainer_state.json", "checkpoint-1/weights.ckpt", data=torch_file())
    assert call("ls", str(tmp_path), "--layout", "lightning").code == 4
    write(tmp_path, "epoch=1.ckpt", data=torch_file())
    answer = call("ls", str(tmp_path), "--layout", "lightning", "--json")
    assert [it["path"] for run in answer.json["runs"] for it in run["checkpoints"]] == ["epoch=1.ckpt"]


def test_of_two_layouts_of_one_framework_the_more_particular_one_is_told(tmp_path: Path) -> None:
    write(tmp_path, "checkpoint-1/trainer_state.json", "checkpoint-1/global_step1/x", "checkpoint-2/trainer_state.json")
    (run,) = call("ls", str(tmp_path), "--json").json["runs"]
    assert {it["path"]: it["layout"] for it in run["checkpoints"]} == {
        "checkpoint-1": "transformers-deepspeed",
        "checkpoint-2": "transformers",
    }


def test_a_folder_that_may_be_of_two_frameworks_says_of_which(tmp_path: Path) -> None:
    write(tmp_path, "checkpoint-500/model.safetensors", "checkpoint-500/optimizer.bin")
    assert listed(tmp_path) == {
        "checkpoint-500": "unknown: it may be of transformers or accelerate: choose one with --layout"
    }


def test_two_series_of_a_framework_that_lets_people_name_them_are_chosen_from_apart(tmp_path: Path) -> None:
    write(tmp_path, "ppo_100_steps.zip", "dqn_200_steps.zip", "ppo_300_steps.zip", data=torch_file())
    assert set(listed(tmp_path).values()) == {"complete"}
    call("prune", str(tmp_path), "--keep-last", "1", "--yes")
    assert {it.name for it in tmp_path.iterdir()} == {"dqn_200_steps.zip", "ppo_300_steps.zip"}


def test_a_folder_may_be_a_member_of_a_family(tmp_path: Path) -> None:
    write(tmp_path, "checkpoint_5", "checkpoint_5_gda/0/x", "checkpoint_7", data=b"\x81\xa1a\x01")
    store = open_store(str(tmp_path))
    (run,) = scan(store, Options(now=store.clock()))
    assert {it.path: [entry.path for entry in it.entries] for it in run.checkpoints} == {
        "checkpoint_5": ["checkpoint_5", "checkpoint_5_gda", "checkpoint_5_gda/0", "checkpoint_5_gda/0/x"],
        "checkpoint_7": ["checkpoint_7"],
    }
