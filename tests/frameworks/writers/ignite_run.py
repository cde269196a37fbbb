"""Trains with Ignite: the best by a negated loss, by an accuracy, and the latest of everything that resumes."""

# mypy: disable-error-code="import-not-found, import-untyped"

from __future__ import annotations

import os
import re

import torch
from ignite.engine import Engine, Events
from ignite.handlers import Checkpoint, DiskSaver, global_step_from_engine

from tests.frameworks.writers.telling import Truth, draw_scores, main

EPOCHS = 8
BATCHES = 3


class Training:
    """A trainer and an evaluator whose every result is given."""

    def __init__(self, scores: list[float]) -> None:
        self.model = torch.nn.Linear(4, 1)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.01, momentum=0.9)
        self.trainer = Engine(self.update)
        self.evaluator = Engine(lambda _, batch: batch)
        self.objects = {"model": self.model, "optimizer": self.optimizer, "trainer": self.trainer}
        coming = iter(scores)

        @self.trainer.on(Events.EPOCH_COMPLETED)
        def evaluate() -> None:
            score = next(coming)
            self.evaluator.state.metrics = {"loss": score, "accuracy": 1 - score}
            self.evaluator.run([torch.zeros(1)])

        @self.evaluator.on(Events.EPOCH_COMPLETED)
        def measure() -> None:
            self.evaluator.state.metrics = dict(self.evaluator.state.metrics)

    def update(self, _: Engine, batch: torch.Tensor) -> float:
        """One step of training."""
        self.optimizer.zero_grad()
        loss = self.model(batch).square().mean()
        loss.backward()
        self.optimizer.step()
        return float(loss.detach())

    def best(self, folder: str, metric: str, sign: float, kept: int | None) -> Checkpoint:
        """A handler that saves by score."""
        handler = Checkpoint(
            {"model": self.model},
            DiskSaver(folder, create_dir=True, require_empty=False),
            filename_prefix="best",
            score_function=Checkpoint.get_default_score_fn(metric, sign),
            score_name=f"neg_val_{metric}" if sign < 0 else f"val_{metric}",
            n_saved=kept,
            global_step_transform=global_step_from_engine(self.trainer),
        )
        self.evaluator.add_event_handler(Events.COMPLETED, handler)
        return handler

    def latest(self, folder: str, kept: int | None) -> Checkpoint:
        """A handler that saves everything, each epoch."""
        saver = DiskSaver(folder, create_dir=True, require_empty=False)
        handler = Checkpoint(self.objects, saver, filename_prefix="training", n_saved=kept)
        self.trainer.add_event_handler(Events.EPOCH_COMPLETED, handler)
        return handler

    def run(self, epochs: int = EPOCHS) -> None:
        """Train to so many epochs."""
        torch.manual_seed(0)
        self.trainer.run(torch.randn(BATCHES, 2, 4), max_epochs=epochs)


def ranked(handler: Checkpoint) -> list[Truth]:
    """What a handler that saves by score has on its own list, in the order of the epochs."""
    epochs = {item.filename: int(re.findall(r"_model_(\d+)_", item.filename)[0]) for item in handler._saved}  # noqa: SLF001
    return [
        {
            "path": item.filename,
            "epoch": epochs[item.filename],
            "metrics": {str(handler.score_name): float(f"{item.priority:.4f}")},
        }
        for item in sorted(handler._saved, key=lambda item: epochs[item.filename])  # noqa: SLF001
    ]


def numbered() -> list[Truth]:
    """What a handler without a score saves, one for each epoch, under the number of iterations."""
    steps = [epoch * BATCHES for epoch in range(1, EPOCHS + 1)]
    return [{"path": f"training_checkpoint_{step}.pt", "step": step} for step in steps]


def rank(folder: str, scores: list[float], metric: str, sign: float, kept: int | None) -> Truth:
    """A training that saves by score; the handler's own list is the truth."""
    training = Training(scores)
    handler = training.best(folder, metric, sign, kept)
    training.run()
    saved = ranked(handler)
    return {
        "checkpoints": saved,
        "best": os.path.basename(handler.last_checkpoint),
        "last": saved[-1]["path"],
        "monitor": str(handler.score_name),
        "mode": "max",
        "survivors": sorted(os.listdir(folder)),
    }


def follow(folder: str, scores: list[float], kept: int | None) -> Truth:
    """A training that saves everything that it needs to go on."""
    training = Training(scores)
    handler = training.latest(folder, kept)
    training.run()
    return {
        "checkpoints": numbered(),
        "last": os.path.basename(handler.last_checkpoint),
        "resumes": EPOCHS,
        "survivors": sorted(os.listdir(folder)),
    }


def mix(folder: str, scores: list[float]) -> Truth:
    """Both handlers in one folder, as in Ignite's examples."""
    training = Training(scores)
    best, latest = training.best(folder, "loss", -1.0, None), training.latest(folder, None)
    training.run()
    return {
        "checkpoints": [it for pair in zip(ranked(best), numbered(), strict=True) for it in pair],
        "best": os.path.basename(best.last_checkpoint),
        "last": os.path.basename(latest.last_checkpoint),
        "monitor": "neg_val_loss",
        "mode": "max",
        "resumes": EPOCHS,
    }


def train(folder: str, seed: int) -> Truth:
    """All trainings, each in a folder of its own."""
    scores = draw_scores(seed, EPOCHS)
    return {
        "loss": rank(os.path.join(folder, "loss"), scores, "loss", -1.0, None),
        "loss_kept": rank(os.path.join(folder, "loss_kept"), scores, "loss", -1.0, 3),
        "accuracy": rank(os.path.join(folder, "accuracy"), scores, "accuracy", 1.0, None),
        "accuracy_kept": rank(os.path.join(folder, "accuracy_kept"), scores, "accuracy", 1.0, 2),
        "latest": follow(os.path.join(folder, "latest"), scores, None),
        "latest_kept": follow(os.path.join(folder, "latest_kept"), scores, 3),
        "mixed": mix(os.path.join(folder, "mixed"), scores),
    }


def resume(folder: str) -> Truth:
    """One epoch more, from the highest number of iterations."""
    names = [name for name in os.listdir(folder) if name.startswith("training_checkpoint_")]
    latest = max(names, key=lambda name: int(re.findall(r"\d+", name)[0]))
    training = Training([0.5])
    Checkpoint.load_objects(training.objects, os.path.join(folder, latest))
    epoch = training.trainer.state.epoch
    training.run(epoch + 1)
    return {"latest": latest, "step": epoch, "ended": training.trainer.state.epoch}


if __name__ == "__main__":
    main(train, resume)
