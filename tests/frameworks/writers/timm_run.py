"""Saves with timm's CheckpointSaver and its summary: by loss, by accuracy, with milestones and recoveries."""

# mypy: disable-error-code="import-not-found, import-untyped"

from __future__ import annotations

import os
import sys
from argparse import Namespace
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import torch


class Anything(type):
    """A class that has every attribute, each another such class."""

    def __getattr__(cls, name: str) -> Any:  # noqa: ANN401
        if name.startswith("__"):
            raise AttributeError(name)
        return Anything(name, (), {})


class Absent(ModuleType):
    """Stands for torchvision: timm imports names of it, of which its saver uses none."""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        if name.startswith("__"):
            raise AttributeError(name)
        return Anything(name, (), {})


class Absence:
    """Finds ``torchvision`` and what is below it, and makes it of nothing."""

    def find_spec(self, name: str, *_: object) -> ModuleSpec | None:
        """Answer for one name."""
        return ModuleSpec(name, self, is_package=True) if name.partition(".")[0] == "torchvision" else None  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Give a module without content."""
        return Absent(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing is in it."""


sys.meta_path.insert(0, Absence())

from timm.utils import CheckpointSaver, update_summary  # noqa: E402

from tests.frameworks.writers.telling import Truth, draw_scores, main  # noqa: E402

EPOCHS = 8


def make_saver(folder: str, *, metric: str, kept: int) -> CheckpointSaver:
    """A saver for a model of one layer."""
    os.makedirs(folder, exist_ok=True)
    model = torch.nn.Linear(4, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    model(torch.randn(2, 4)).sum().backward()
    optimizer.step()
    return CheckpointSaver(
        model,
        optimizer,
        args=Namespace(model="linear", eval_metric=metric),
        checkpoint_dir=folder,
        recovery_dir=folder,
        decreasing=metric == "loss",
        max_history=kept,
    )


def write(folder: str, scores: list[float], *, metric: str = "loss", kept: int = EPOCHS, extras: bool = False) -> Truth:
    """One training as timm's train.py does it; what the saver itself holds to be true at its end."""
    saver = make_saver(folder, metric=metric, kept=kept)
    with open(os.path.join(folder, "args.yaml"), "w", encoding="utf-8") as args:
        args.write(f"model: linear\neval_metric: {metric}\n")
    for epoch, score in enumerate(scores):
        measured = {"loss": score, "top1": 100 * score, "top5": 100.0}
        update_summary(
            epoch, {"loss": 1 + score}, measured, os.path.join(folder, "summary.csv"), lr=0.1, write_header=epoch == 0
        )
        if extras:
            saver.save_recovery(epoch, batch_idx=50)
        saver.save_checkpoint(epoch, metric=measured[metric])
        if extras and epoch % 3 == 2:
            saver.save_milestone(epoch + 1)
    last = EPOCHS - 1
    return {
        "checkpoints": [
            {
                "path": f"checkpoint-{epoch}.pth.tar",
                "epoch": epoch,
                "metrics": {f"eval_{metric}": score * (100 if metric == "top1" else 1)},
            }
            for epoch, score in enumerate(scores)
            if os.path.exists(os.path.join(folder, f"checkpoint-{epoch}.pth.tar"))
        ],
        "best": f"checkpoint-{saver.best_epoch}.pth.tar",
        "last": f"checkpoint-{last}.pth.tar",
        "others": sorted(name for name in os.listdir(folder) if name.startswith("recovery")),
        "monitor": f"eval_{metric}",
        "mode": "min" if metric == "loss" else "max",
        "twins": {
            f"checkpoint-{epoch}.pth.tar": name
            for epoch in range(EPOCHS)
            if os.path.exists(os.path.join(folder, name := f"milestone-{epoch + 1}.pth.tar"))
        },
        "resumes": last,
        "survivors": sorted(name for name in os.listdir(folder) if name.endswith(".tar")),
    }


def train(folder: str, seed: int) -> Truth:
    """All trainings, each in a folder of its own."""
    torch.manual_seed(seed)
    scores = draw_scores(seed, EPOCHS)
    return {
        "loss": write(os.path.join(folder, "loss"), scores),
        "loss_kept": write(os.path.join(folder, "loss_kept"), scores, kept=3),
        "accuracy": write(os.path.join(folder, "accuracy"), scores, metric="top1"),
        "accuracy_kept": write(os.path.join(folder, "accuracy_kept"), scores, metric="top1", kept=2),
        "extras": write(os.path.join(folder, "extras"), scores, extras=True),
    }


def resume(folder: str) -> Truth:
    """One epoch more, from ``last``, with the history that the saver finds in it."""
    saver = make_saver(folder, metric="loss", kept=3)
    latest = os.path.join(folder, "last.pth.tar")
    state = torch.load(latest, map_location="cpu", weights_only=False)
    saver.model.load_state_dict(state["state_dict"])
    saver.optimizer.load_state_dict(state["optimizer"])
    saver.load_state_dict_from_checkpoint(latest)
    known = [os.path.basename(path) for path, _ in saver.checkpoint_files]
    saver.save_checkpoint(state["epoch"] + 1, metric=0.05)
    return {"latest": "last.pth.tar", "step": state["epoch"], "known": sorted(known), "best": saver.best_epoch}


if __name__ == "__main__":
    main(train, resume)
