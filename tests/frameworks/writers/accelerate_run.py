"""Saves states with Accelerate: under its own numbering, with and without its limit, and under names of scripts."""

# mypy: disable-error-code="import-not-found, import-untyped"

from __future__ import annotations

import os
import re

import torch
from accelerate import Accelerator
from accelerate.utils import ProjectConfiguration

from tests.frameworks.writers.telling import Truth, main

SAVES = 12
"""Enough that ``checkpoint_10`` comes before ``checkpoint_2`` where names are sorted as text."""


class Counter:
    """Something of the script's own that is saved along."""

    def __init__(self) -> None:
        self.steps = 0

    def state_dict(self) -> dict[str, int]:
        """What is saved."""
        return {"steps": self.steps}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """What was saved."""
        self.steps = state["steps"]


class Training:
    """A tiny model that Accelerate has prepared."""

    def __init__(self, folder: str, *, numbered: bool, limit: int | None = None) -> None:
        naming = ProjectConfiguration(project_dir=folder, automatic_checkpoint_naming=numbered, total_limit=limit)
        self.accelerator = Accelerator(cpu=True, project_config=naming)
        model = torch.nn.Linear(4, 2)
        optimizer = torch.optim.AdamW(model.parameters())
        scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 5)
        self.model, self.optimizer, self.scheduler = self.accelerator.prepare(model, optimizer, scheduler)
        self.counter = Counter()
        self.accelerator.register_for_checkpointing(self.counter)

    def step(self) -> None:
        """One step of training."""
        self.accelerator.backward(self.model(torch.randn(8, 4)).square().mean())
        self.optimizer.step()
        self.scheduler.step()
        self.optimizer.zero_grad()
        self.counter.steps += 1


def number(folder: str, limit: int | None = None) -> Truth:
    """Saves under the names that Accelerate gives."""
    training = Training(folder, numbered=True, limit=limit)
    for _ in range(SAVES):
        training.step()
        training.accelerator.save_state()
    home = os.path.join(folder, "checkpoints")
    return {
        "checkpoints": [{"path": f"checkpoints/checkpoint_{index}"} for index in range(SAVES)],
        "last": f"checkpoints/checkpoint_{SAVES - 1}",
        "resumes": SAVES,
        "survivors": sorted(f"checkpoints/{name}" for name in os.listdir(home)),
    }


def name(folder: str, template: str, count: str, every: int) -> Truth:
    """Saves under the names that Accelerate's and diffusers' example scripts give."""
    training = Training(folder, numbered=False)
    saved = []
    for nth in range(1, SAVES + 1):
        training.step()
        path = template.format(nth * every)
        training.accelerator.save_state(os.path.join(folder, path))
        saved.append({"path": path, count: nth * every})
    training.accelerator.save_model(training.model, folder)
    return {"checkpoints": saved, "last": saved[-1]["path"], "resumes": SAVES}


def train(folder: str, seed: int) -> Truth:
    """All trainings, each in a folder of its own."""
    torch.manual_seed(seed)
    return {
        "everything": number(os.path.join(folder, "everything")),
        "kept": number(os.path.join(folder, "kept"), limit=3),
        "steps": name(os.path.join(folder, "steps"), "step_{}", "step", 5),
        "epochs": name(os.path.join(folder, "epochs"), "epoch_{}", "epoch", 1),
        "diffusers": name(os.path.join(folder, "diffusers"), "checkpoint-{}", "step", 500),
    }


def resume(folder: str) -> Truth:
    """Goes on from the latest: Accelerate's own, or the one with the highest number, as the scripts choose it."""
    numbered = os.path.isdir(os.path.join(folder, "checkpoints"))
    training = Training(folder, numbered=numbered)
    names = [it for it in os.listdir(folder) if re.fullmatch(r"(?:step_|epoch_|checkpoint-)\d+", it)]
    latest = "" if numbered else max(names, key=lambda it: int(re.split("[-_]", it)[1]))
    training.accelerator.load_state(os.path.join(folder, latest) if latest else None)
    return {"latest": latest, "step": training.counter.steps}


if __name__ == "__main__":
    main(train, resume)
