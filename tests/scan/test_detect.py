"""What in a folder is a checkpoint, seen where names look alike."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from ckptctl.formats.torch_writer import write_torch
from tests.cli.calls import call


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
