"""Which folders belong to which run, seen in the listing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.cli.calls import HOUR, Answer, call
from tests.layouts.tree import torch_file

WHOLE = torch_file()


def write(root: Path, *paths: str, data: bytes = b"{}") -> Path:
    """Write files of one content, an hour old; folders are made."""
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    for path in map(str, root.rglob("*")):
        os.utime(path, (root.stat().st_ctime - HOUR,) * 2)
    return root


def listed(root: Path, *flags: str) -> tuple[dict[str, Any], Answer]:
    """All checkpoints by path, and all that was said."""
    answer = call("ls", root, "--json", *flags)
    return {it["path"]: it for run in answer.json["runs"] for it in run["checkpoints"]}, answer


@pytest.mark.parametrize(
    ("root", "layout"),
    [
        pytest.param("checkpoint-500", "transformers", id="a folder that is a checkpoint"),
        pytest.param("mp_rank_00", "nemo", id="the folder of one rank"),
    ],
)
def test_a_root_that_is_a_checkpoint_or_a_part_of_some_is_not_chosen_from(
    tmp_path: Path, root: str, layout: str
) -> None:
    write(tmp_path, f"{root}/trainer_state.json" if root[0] == "c" else f"{root}/a--val_loss=1.0-step=1-last.ckpt")
    write(tmp_path, f"{root}/epoch=1.ckpt", f"{root}/inner/epoch=2.ckpt", data=WHOLE)
    answer = call("ls", tmp_path / root, "--json")
    assert (answer.code, answer.raw) == (4, b"")
    assert f"it is a checkpoint itself, or a part of some ({layout}): name the folder above it" in answer.err
    before = sorted(os.listdir(tmp_path / root))
    call("prune", tmp_path / root, "--keep-last", "1", "--yes")
    assert sorted(os.listdir(tmp_path / root)) == before


def test_a_run_may_be_called_as_a_checkpoint_is(tmp_path: Path) -> None:
    write(tmp_path, "checkpoint-500/epoch=1.ckpt", "checkpoint-500/inner/epoch=2.ckpt", data=WHOLE)
    assert set(listed(tmp_path / "checkpoint-500")[0]) == {"epoch=1.ckpt", "inner/epoch=2.ckpt"}


@pytest.mark.parametrize(
    ("beside", "evidence"),
    [("last_checkpoint", "last_checkpoint lies beside it"), ("20260101.log.json", "20260101.log.json lies beside it")],
)
def test_what_shows_a_layout_is_named(tmp_path: Path, beside: str, evidence: str) -> None:
    write(tmp_path, "r/epoch_1.pth", f"r/{beside}", data=WHOLE)
    found, _ = listed(tmp_path)
    assert (found["r/epoch_1.pth"]["layout"], found["r/epoch_1.pth"]["evidence"]) == (
        "mmengine",
        [{"kind": "layout", "detail": evidence}],
    )


def test_what_lies_in_the_folder_above_may_show_a_layout(tmp_path: Path) -> None:
    write(tmp_path, "r/checkpoints/gpt--val_loss=0.5-step=1.ckpt", data=WHOLE)
    assert [it["layout"] for it in listed(tmp_path)[0].values()] == ["lightning"]
    write(tmp_path, "r/nemo_log_globalrank-0_localrank-0.txt")
    assert [it["layout"] for it in listed(tmp_path)[0].values()] == ["nemo"]


def test_a_table_counts_in_the_folder_right_above_a_run_and_no_further_up(tmp_path: Path) -> None:
    table = b"epoch,metrics/mAP\n1,0.5\n2,0.25\n"
    write(tmp_path, "r/weights/epoch1.pt", "s/deep/weights/epoch1.pt", data=WHOLE)
    write(tmp_path, "r/args.yaml", "s/args.yaml", "s/deep/args.yaml")
    write(tmp_path, "r/results.csv", "s/results.csv", data=table)
    metrics = {path: dict(it["metrics"]) for path, it in listed(tmp_path)[0].items()}
    assert metrics["r/weights/epoch1.pt"]["metrics/mAP"]["value"] == 0.25
    assert metrics["s/deep/weights/epoch1.pt"] == {}


def test_a_folder_called_as_a_table_is_none(tmp_path: Path) -> None:
    write(tmp_path, "epoch=1-val_loss=0.5.ckpt", "metrics.csv/x", data=WHOLE)
    found, answer = listed(tmp_path)
    assert list(found) == ["epoch=1-val_loss=0.5.ckpt"]
    assert "could not be read" not in answer.err


def test_a_folder_under_way_is_listed_with_why_though_nothing_in_it_speaks_for_it(tmp_path: Path) -> None:
    write(tmp_path, "checkpoint-1/trainer_state.json", "tmp-checkpoint-2/notes")
    marks = {os.path.basename(it["path"]): it["marks"] for it in call("ls", tmp_path).rows}
    assert marks["tmp-checkpoint-2"] == "partial: its name is that of a save under way"


def test_each_runs_folder_above_is_its_own(tmp_path: Path) -> None:
    """Of folders side by side the one that was left says nothing of the next."""
    table = b"epoch,metrics/mAP\n2,0.25\n"
    write(tmp_path, "a/weights/epoch1.pt", "b/weights/epoch1.pt", data=WHOLE)
    write(tmp_path, "a/args.yaml", "b/args.yaml")
    write(tmp_path, "a/results.csv", data=table)
    metrics = {path: list(it["metrics"]) for path, it in listed(tmp_path)[0].items()}
    assert metrics == {"a/weights/epoch1.pt": ["metrics/mAP"], "b/weights/epoch1.pt": []}
