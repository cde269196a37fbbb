"""``--keep-every`` on names that no framework counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from ckptctl.formats.torch_writer import encode_torch
from tests.cli.calls import call


def lay(folder: Path, names: list[str]) -> None:
    for name in names:
        (folder / name).write_bytes(encode_torch({"state_dict": {}}))


def left(folder: Path, every: str) -> list[str]:
    """What a prune leaves; a second one must leave the same."""
    kept = []
    for _ in range(2):
        answer = call("prune", folder, "--keep-every", every, "--no-protect-last", "--yes")
        assert answer.code == 0, answer.err
        kept.append(sorted(it.name for it in folder.glob("*.pt")))
    assert kept[0] == kept[1]
    return kept[0]


@pytest.mark.parametrize("every", ["5epochs", "5"])
def test_a_series_from_1_is_thinned_out_by_the_number_as_named(tmp_path: Path, every: str) -> None:
    lay(tmp_path, [f"model_epoch_{n:02}.pt" for n in range(1, 13)])
    assert left(tmp_path, every) == ["model_epoch_05.pt", "model_epoch_10.pt"]


@pytest.mark.parametrize(("every", "kept"), [("5epochs", [0, 4, 9]), ("2epochs", [0, 1, 3, 5, 7, 9, 11])])
def test_a_series_from_0_is_counted_by_epochs_done_and_the_next_prune_counts_the_same_way(
    tmp_path: Path, every: str, kept: list[int]
) -> None:
    lay(tmp_path, [f"model_epoch_{n:02}.pt" for n in range(12)])
    assert left(tmp_path, every) == [f"model_epoch_{n:02}.pt" for n in kept]


def test_a_bare_number_takes_the_only_counter_and_the_reason_says_so(tmp_path: Path) -> None:
    lay(tmp_path, [f"checkpoint_{n}.pt" for n in (7, 8, 10)])
    answer = call("prune", tmp_path, "--keep-every", "5", "-n")
    reasons = {Path(row["path"]).name: (row["action"], row["reasons"]) for row in answer.rows}
    assert reasons["checkpoint_8.pt"] == ("drop", "not the closest to a multiple of 5 saves")
    assert reasons["checkpoint_10.pt"][1].startswith("at number 10")
