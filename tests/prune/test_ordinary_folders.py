"""Numbered folders that are no saves of one training: a prune of everything but the last leaves each as it is."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.cli.calls import HOUR
from tests.scan.test_loose_files import STATE, full, left, put

WEIGHTS = "model.pt"
TREES = {
    "seeds": [f"seed_{it}/{WEIGHTS}" for it in range(1, 7)],
    "folds": [f"fold_{it}/{WEIGHTS}" for it in range(1, 7)],
    "runs": [f"run_{it}/{WEIGHTS}" for it in range(1, 7)],
    "experiments": [f"exp_{it}/{WEIGHTS}" for it in range(1, 7)],
    "versions": [f"v{it}/{WEIGHTS}" for it in range(1, 7)],
    "Lightning's versions": [f"version_{it}/checkpoints/{WEIGHTS}" for it in range(6)],
    "architectures": [f"resnet_{it}/{WEIGHTS}" for it in (18, 34, 50, 101, 152)],
    "days": [f"2024-01-0{it}/{WEIGHTS}" for it in range(1, 7)],
    "clients": [f"client_{it}/{WEIGHTS}" for it in range(1, 7)],
    "classes of a data set": [f"class_{it}/sample.pt" for it in range(1, 7)],
    "splits of a data set": [f"train_{it}/data.pt" for it in range(1, 7)],
    "bare small numbers": [f"{it}/{WEIGHTS}" for it in range(1, 7)],
    "trials": [f"trial_{it}/{WEIGHTS}" for it in range(1, 7)],
    "sizes of layers": [f"hidden_{it}/{WEIGHTS}" for it in (64, 128, 256, 512)],
    "Weights & Biases": [f"wandb/run-20240101_00000{it}-abc/files/{WEIGHTS}" for it in range(1, 7)],
    "stages that hold a run each": [f"stage_{it}/final.pt" for it in range(1, 7)],
}
OTHERS = {
    "frames": [f"{it:06d}/frame.png" for it in range(1, 7)],
    "git objects": [f"{it}/{it:038d}" for it in range(10, 16)],
    "logs": [f"epoch_{it}/events.out.tfevents.1" for it in range(1, 7)],
}


def files_in(folder: Path) -> set[str]:
    return {str(it.relative_to(folder)) for it in folder.rglob("*") if it.is_file()}


def write(folder: Path, names: list[str], data: bytes) -> set[str]:
    for name in names:
        put((folder / name).parent, {Path(name).name: data})
    for path in folder.rglob("*"):
        os.utime(path, (time.time() - HOUR,) * 2)
    return files_in(folder)


@pytest.mark.parametrize("names", TREES.values(), ids=TREES)
@pytest.mark.parametrize("data", [STATE, full(3)], ids=["weights", "training state"])
def test_folders_that_tell_models_apart_are_left_alone(tmp_path: Path, names: list[str], data: bytes) -> None:
    before = write(tmp_path, names, data)
    left(tmp_path, "--keep-last", "1")
    assert files_in(tmp_path) == before


@pytest.mark.parametrize("names", OTHERS.values(), ids=OTHERS)
def test_numbered_folders_without_weights_are_left_alone(tmp_path: Path, names: list[str]) -> None:
    before = write(tmp_path, names, b"no weights")
    left(tmp_path, "--keep-last", "1")
    assert files_in(tmp_path) == before
