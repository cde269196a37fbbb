"""Saves with fvcore's Checkpointer and PeriodicCheckpointer, as Detectron2 does, with Detectron2's log of metrics."""

# mypy: disable-error-code="import-not-found, import-untyped"

from __future__ import annotations

import json
import os

import torch
from fvcore.common.checkpoint import Checkpointer, PeriodicCheckpointer

from tests.frameworks.writers.telling import Truth, draw_scores, main

SAVES = 7
PERIOD = 10


def make_checkpointer(folder: str) -> Checkpointer:
    """A checkpointer for a model of one layer."""
    os.makedirs(folder, exist_ok=True)
    model = torch.nn.Linear(4, 2)
    return Checkpointer(model, folder, optimizer=torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9))


def write(folder: str, scores: list[float], *, kept: int | None = None, best: bool = False, ends: bool = True) -> Truth:
    """One training; ``best`` saves the best as Detectron2's BestCheckpointer does, ``ends`` comes to the final one."""
    checkpointer = make_checkpointer(folder)
    total = SAVES * PERIOD
    periodic = PeriodicCheckpointer(checkpointer, PERIOD, max_iter=total if ends else None, max_to_keep=kept)
    highest = -1.0
    with open(os.path.join(folder, "metrics.json"), "w", encoding="utf-8") as log:
        for iteration in range(total):
            row: dict[str, float] = {"iteration": iteration, "total_loss": 1 / (1 + iteration), "lr": 0.1}
            if (iteration + 1) % PERIOD == 0:
                row["bbox/AP"] = scores[iteration // PERIOD]
            if (iteration + 1) % (PERIOD // 2) == 0:
                log.write(json.dumps(row, sort_keys=True) + "\n")
            periodic.step(iteration)
            if best and row.get("bbox/AP", -1.0) > highest:
                highest = row["bbox/AP"]
                checkpointer.save("model_best", iteration=iteration, best_metric=highest)
    steps = [PERIOD * nth - 1 for nth in range(1, SAVES + 1)]
    names = {step: f"model_{step:07d}.pth" for step in steps}
    return {
        "checkpoints": [
            {"path": names[step], "step": step, "metrics": {"bbox/AP": score}}
            for step, score in zip(steps, scores, strict=True)
            if os.path.exists(os.path.join(folder, names[step]))
        ],
        "best": names[steps[scores.index(max(scores))]],
        "last": os.path.basename(checkpointer.get_checkpoint_file()),
        "others": sorted(set(os.listdir(folder)) & {"model_best.pth", "model_final.pth"}),
        "monitor": "bbox/AP",
        "mode": "max",
        "resumes": steps[-1],
        "survivors": sorted(name for name in os.listdir(folder) if name.endswith(".pth")),
    }


def train(folder: str, seed: int) -> Truth:
    """All trainings, each in a folder of its own."""
    torch.manual_seed(seed)
    scores = draw_scores(seed, SAVES)
    rising = sorted(scores)
    return {
        "everything": write(os.path.join(folder, "everything"), scores),
        "kept": write(os.path.join(folder, "kept"), scores, kept=3),
        "running": write(os.path.join(folder, "running"), scores, best=True, ends=False),
        "pointing": write(os.path.join(folder, "pointing"), rising, best=True, ends=False),
    }


def resume(folder: str) -> Truth:
    """From where ``last_checkpoint`` points."""
    checkpointer = make_checkpointer(folder)
    latest = checkpointer.get_checkpoint_file()
    rest = checkpointer.resume_or_load("", resume=True)
    checkpointer.save(f"model_{rest['iteration'] + PERIOD:07d}", iteration=rest["iteration"] + PERIOD)
    return {"latest": os.path.basename(latest), "step": rest["iteration"]}


if __name__ == "__main__":
    main(train, resume)
