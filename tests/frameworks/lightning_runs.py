"""Real trainings with Lightning, each drawn from a seed, and the truth about every file that they left.

``python -m tests.frameworks.lightning_runs SEED FOLDER`` makes one again, to look at.
"""

from __future__ import annotations

import logging
import os
import random
import sys
import time
import warnings
from typing import Any, Literal, NamedTuple

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.plugins.io import TorchCheckpointIO

from tests.frameworks.truth import Mode, Save, can_rank, draw_values

for _name in ("lightning.pytorch", "lightning.fabric"):
    logging.getLogger(_name).setLevel(logging.ERROR)

Story = Literal["once", "rerun", "resumed", "forked"]
"""``rerun``: a second training in the used folder; ``resumed``: from the newest save; ``forked``: from the oldest."""

TEMPLATES: tuple[tuple[str | None, bool], ...] = (
    (None, True),
    ("{epoch}", True),
    ("{epoch:02d}-{M:.2f}", True),
    ("{epoch}-{step}-{M:.4f}", True),
    ("{epoch}-{M:.3f}", True),
    ("epoch{epoch:02d}-T{M:.2f}", False),
    ("epoch:{epoch}-T:{M:.4g}", False),
    ("best", True),
    ("model", True),
    ("{M:.1f}", True),
    ("{epoch}-{lr}", True),
    ("m--{M:.2f}-{step}", True),
    ("{epoch}-{M}", True),
    ("{epoch}_{M:.2e}", True),
)
"""File name templates and ``auto_insert_metric_name``; M is the monitor, T the monitor as it may stand in a name."""


class Recipe(NamedTuple):
    """Everything that one training depends on."""

    seed: int
    monitor: str
    mode: Mode
    template: str | None
    inserts_names: bool
    top_k: int
    save_last: Literal["link"] | bool | None
    every_n_epochs: int | None
    weights_only: bool
    wide: bool
    """Whether the metric is a float64 tensor; else float32."""
    logs_csv: bool
    links_best: bool
    yaml_beside: bool
    says_metric: bool
    """Whether ckptctl is told monitor and mode; else it must find them recorded."""
    story: Story
    values: tuple[tuple[float, ...], ...]
    """By fit, then by epoch."""

    @property
    def remembers(self) -> bool:
        """Whether each file holds the callback's state, the scores among it."""
        return not self.weights_only

    @property
    def spec(self) -> str | None:
        """How the name formats the monitored value; None where the name has no room for it."""
        field = "{" + self.monitor
        if field not in (self.template or ""):
            return None
        return (self.template or "").partition(field)[2].partition("}")[0].removeprefix(":")


class Training(NamedTuple):
    """What is left of a training: files, and the callback's own answers."""

    recipe: Recipe
    root: str
    """What ckptctl is given."""
    callback: ModelCheckpoint
    saves: tuple[Save, ...]
    """The regular files, in the order of saving."""
    resumed_at: int | None
    """The epoch that the second fit went on from."""
    straight: bool
    """Whether one line of epochs led to it, so that the callback answers for the whole folder."""


class Answers(NamedTuple):
    """The callback's own, as plain values."""

    best: str
    last: str
    scores: dict[str, float]
    """``best_k_models``, where NaN stands as an infinity."""
    yaml: bytes


def draw_recipe(seed: int) -> Recipe:
    """The training that belongs to the seed.

    Where a slash cuts the name before its first "=", the folder does not show that it belongs to the name: only
    the state inside can tell, so such names are not drawn together with weights alone.
    """
    rng = random.Random(seed)  # noqa: S311 - reproducible, not secret
    monitor = rng.choice(("val_loss", "val/loss", "val_acc"))
    template, inserts_names = rng.choice(TEMPLATES)
    story: Story = rng.choices(("once", "rerun", "resumed", "forked"), (6, 1, 1, 1))[0]
    unreadable = "/" in monitor and (template or "").startswith(("{M", "m--"))
    weights_only = story not in {"resumed", "forked"} and rng.random() < 0.2 and not unreadable
    logs_csv = story == "once" and rng.random() < 0.3
    linking = not (template or "").startswith("best")
    return Recipe(
        seed=seed,
        monitor=monitor,
        mode=rng.choice(("min", "max")),
        template=template and template.replace("M", monitor).replace("T", monitor.replace("/", "_")),
        inserts_names=inserts_names,
        top_k=rng.choice((1, 2, 3, 5, -1)),
        save_last=rng.choice((None, True, "link")),
        every_n_epochs=rng.choice((None, None, None, 2)),
        weights_only=weights_only,
        wide=rng.random() < 0.5,
        logs_csv=logs_csv,
        links_best=linking and rng.random() < 0.2,
        yaml_beside=story == "once" and rng.random() < 0.2,
        says_metric=weights_only or rng.random() < 0.5,
        story=story,
        values=tuple(tuple(draw_values(rng, 10)) for _ in range(1 if story == "once" else 2)),
    )


def epochs_of(recipe: Recipe) -> tuple[int, ...]:
    """How many epochs each fit goes to: 3 to 10."""
    rng = random.Random(f"epochs {recipe.seed}")  # noqa: S311 - reproducible, not secret
    first = rng.randint(3, 10 if recipe.story == "once" else 6)
    return (first,) if recipe.story == "once" else (first, rng.randint(first, 8) + 2 if recipe.story != "rerun" else 4)


class ModelCheckpointWithBestLink(ModelCheckpoint):
    """Keeps ``best.ckpt`` a relative link to the best file, as LinkBest does."""

    def _save_topk_checkpoint(self, trainer: Trainer, monitor_candidates: dict[str, torch.Tensor]) -> None:
        before = self.best_model_path
        super()._save_topk_checkpoint(trainer, monitor_candidates)
        if self.best_model_path in ("", before):
            return
        link = os.path.join(str(self.dirpath), "best.ckpt")
        if os.path.lexists(link):
            os.unlink(link)
        os.symlink(os.path.relpath(self.best_model_path, str(self.dirpath)), link)


class Witness(TorchCheckpointIO):
    """Writes and removes as always, and remembers; stamps the files minutes apart, in the past."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.recipe = recipe
        self.observed: dict[int, float] = {}
        """The monitored value, by epoch of the running fit."""
        self.saves: dict[str, Save] = {}
        self._clock = time.time_ns() - 86_400_000_000_000

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: object = None
    ) -> None:
        super().save_checkpoint(checkpoint, path, storage_options)
        self._clock += 90_000_000_000
        os.utime(path, ns=(self._clock, self._clock))
        self.saves.pop(str(path), None)
        epoch = checkpoint["epoch"]
        value = self.observed[min(epoch, max(self.observed))]  # at its very end, a training counts one epoch more
        is_last = os.path.basename(path).startswith("last")
        self.saves[str(path)] = Save(
            str(path), epoch, checkpoint["global_step"], value, seen(self.recipe, value), is_last
        )

    def remove_checkpoint(self, path: str | os.PathLike[str]) -> None:
        super().remove_checkpoint(path)
        self.saves.pop(str(path), None)


def seen(recipe: Recipe, value: float) -> float | None:
    """What the files tell of a value: the fullest source that the recipe leaves behind."""
    if recipe.remembers or recipe.logs_csv or recipe.yaml_beside:
        return value
    return printed(recipe, value)


def printed(recipe: Recipe, value: float) -> float | None:
    """The value as the name shows it; None where it has no room for it."""
    return None if recipe.spec is None else float(format(value, recipe.spec))


class Observer(Callback):
    """Notes the monitored metric as the trainer holds it, before any checkpoint is written."""

    def __init__(self, witness: Witness) -> None:
        self.witness = witness

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002 - Lightning's signature
        self.witness.observed[trainer.current_epoch] = trainer.callback_metrics[self.witness.recipe.monitor].item()


class TwoNumbers(LightningModule):
    """A linear layer of two parameters, that logs what it is told to."""

    def __init__(self, recipe: Recipe, fit: int) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        self._monitor = recipe.monitor
        self._values = torch.tensor(recipe.values[fit], dtype=torch.float64 if recipe.wide else torch.float32)

    def training_step(self, batch: torch.Tensor, batch_idx: int) -> torch.Tensor:  # noqa: ARG002 - Lightning's signature
        return self.layer(batch).sum()

    def validation_step(self, batch: torch.Tensor, batch_idx: int) -> None:  # noqa: ARG002 - Lightning's signature
        self.log(self._monitor, self._values[self.current_epoch])
        self.log("lr", 10.0 ** -(self.current_epoch + 1))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.01, momentum=0.9)


def train(recipe: Recipe, root: str, top_k: int, *, resume_at: int | None = None) -> Training:
    """Train by the recipe with ``save_top_k=top_k``; ``resume_at``: the epoch to go on from, where the story does."""
    root = os.path.realpath(root)
    witness, straight = Witness(recipe), recipe.story == "once"
    goals = epochs_of(recipe)
    callback = _fit(recipe, root, top_k, witness, 0, goals[0], None)
    start = None
    if len(goals) > 1:
        newest = max(save.epoch for save in witness.saves.values())
        start = _start(recipe, witness, resume_at)
        straight = start is not None and start.epoch == newest == _last_trigger(recipe, goals[0])
        callback = _fit(recipe, root, top_k, witness, 1, goals[1], start and start.path)
    if recipe.yaml_beside:
        callback.to_yaml()
    saves = tuple(witness.saves.values())
    return Training(recipe, root, callback, saves, None if start is None else start.epoch, straight)


def _start(recipe: Recipe, witness: Witness, epoch: int | None) -> Save | None:
    saves = [save for save in witness.saves.values() if not save.is_last and epoch in (None, save.epoch)]
    if recipe.story == "rerun":
        return None
    return saves[0 if recipe.story == "forked" else -1]


def _last_trigger(recipe: Recipe, epochs: int) -> int:
    every = recipe.every_n_epochs or 1
    return epochs // every * every - 1


def _fit(
    recipe: Recipe, root: str, top_k: int, witness: Witness, fit: int, epochs: int, start: str | None
) -> ModelCheckpoint:
    callback = _callback(recipe, root, top_k)
    batches = torch.utils.data.DataLoader(torch.ones(2, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = Trainer(
            accelerator="cpu",
            devices=1,
            max_epochs=epochs,
            default_root_dir=root,
            logger=CSVLogger(root) if recipe.logs_csv else False,
            callbacks=[callback, Observer(witness)],
            plugins=[witness],
            num_sanity_val_steps=0,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(TwoNumbers(recipe, fit), batches, batches, ckpt_path=start, weights_only=False)
    return callback


def _callback(recipe: Recipe, root: str, top_k: int) -> ModelCheckpoint:
    kind = ModelCheckpointWithBestLink if recipe.links_best else ModelCheckpoint
    return kind(
        dirpath=None if recipe.logs_csv else root,
        filename=recipe.template,
        monitor=recipe.monitor,
        mode=recipe.mode,
        save_top_k=top_k,
        save_last=recipe.save_last,
        every_n_epochs=recipe.every_n_epochs,
        save_weights_only=recipe.weights_only,
        auto_insert_metric_name=recipe.inserts_names,
    )


def ask(callback: ModelCheckpoint, scratch: str) -> Answers:
    """What the callback itself says; ``scratch``: a free path for its yaml."""
    callback.to_yaml(scratch)
    with open(scratch, "rb") as file:
        text = file.read()
    os.unlink(scratch)
    scores = {path: score.item() for path, score in callback.best_k_models.items()}
    return Answers(callback.best_model_path, callback.last_model_path, scores, text)


def placed_scores(answers: Answers, mode: Mode) -> list[float]:
    """The scores of the callback's best that are no stand-ins, best first."""
    return sorted((score for score in answers.scores.values() if can_rank(score, mode)), reverse=mode == "max")


if __name__ == "__main__":
    chosen = draw_recipe(int(sys.argv[1]))
    first = train(chosen, os.path.join(sys.argv[2], "kept"), chosen.top_k)
    second = train(chosen, os.path.join(sys.argv[2], "everything"), -1, resume_at=first.resumed_at)
    for training in (first, second):
        print(*training, training.callback.state_dict(), sep="\n  ")  # noqa: T201 - a script
