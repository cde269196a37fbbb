"""Real trainings with Keras, each drawn from a seed, and the truth about every file that they left.

``python -m tests.frameworks.keras_runs SEED FOLDER`` makes one again, to look at.
"""

from __future__ import annotations

import os
import random
import sys
import time
import warnings
from math import isnan
from typing import Any, Literal, NamedTuple

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import numpy as np

from tests.frameworks.truth import Mode, Save, draw_values

TEMPLATES = (
    "{epoch:02d}-{M:.2f}.keras",
    "{epoch:02d}-{M:.4f}.weights.h5",
    "weights.{epoch:02d}-{M:.2f}.weights.h5",
    "model_{epoch:03d}_{M:.3f}.h5",
    "{epoch:03d}-{M:.1e}.weights.h5",
    "{epoch:03d}--{M:.1e}.weights.h5",
    "ckpt-epoch={epoch:02d}-M={M:.4f}.keras",
    "m.{epoch}.keras",
)
"""M is the monitor. ``m.{epoch}`` leaves no score behind."""


class Recipe(NamedTuple):
    """Everything that one training depends on."""

    seed: int
    monitor: str
    mode: Mode
    """The way that is really better."""
    told: Literal["min", "max", "auto"]
    """The callback's ``mode``."""
    template: str
    threshold: float | None
    values: tuple[float, ...]
    """By epoch; epochs count from 1 in names."""

    @property
    def weights_only(self) -> bool:
        """As the extension asks of Keras."""
        return self.template.endswith(".weights.h5")

    @property
    def stem(self) -> str:
        """The template without its extension, as ckptctl takes it."""
        return self.template.removesuffix(".weights.h5").removesuffix(".keras").removesuffix(".h5")

    def name(self, epoch: int) -> str:
        """The file name of an epoch, from 1."""
        return self.template.format(epoch=epoch, **{self.monitor: self.values[epoch - 1]})

    def seen(self, value: float) -> float | None:
        """What the name tells of a value: as many digits as the template gives it."""
        field = "{" + self.monitor + ":"
        if field not in self.template:
            return None
        return float(format(value, self.template.partition(field)[2].partition("}")[0]))


class Training(NamedTuple):
    """What is left of a training: files, and the callback's own answer."""

    recipe: Recipe
    root: str
    best: float | None
    """The callback's ``best``: the newest record, the threshold before the first one, None where it keeps no record."""
    saves: tuple[Save, ...]
    """In the order of saving."""

    @property
    def is_poisoned(self) -> bool:
        """Whether the first value was NaN and became the record, which nothing ever beats (Keras since 3.11)."""
        return self.best is not None and isnan(self.best)


def draw_recipe(seed: int) -> Recipe:
    """The training that belongs to the seed."""
    rng = random.Random(f"keras {seed}")  # noqa: S311 - reproducible, not secret
    monitor = rng.choice(("val_loss", "val_loss", "val_accuracy"))
    mode: Mode = "max" if monitor == "val_accuracy" else rng.choice(("min", "min", "max"))
    values = tuple(draw_values(rng, rng.randint(3, 10)))
    recipe = Recipe(
        seed=seed,
        monitor=monitor,
        mode=mode,
        told="auto" if (monitor, mode) == ("val_loss", "min") and rng.random() < 0.5 else mode,
        template=rng.choice(TEMPLATES).replace("M", monitor),
        threshold=None,
        values=values,
    )
    told = [value for value in values if not isnan(value)] or [0.5]
    best = min(told) if mode == "min" else max(told)
    return recipe._replace(threshold=rng.choice((None, rng.uniform(0, 1), rng.choice(told), recipe.seen(best))))


class Injector(keras.callbacks.Callback):
    """Puts the recipe's values into the logs that later callbacks see."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.recipe = recipe

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if logs is not None:
            logs[self.recipe.monitor] = self.recipe.values[epoch]


class Witness(keras.callbacks.Callback):
    """Sees after each epoch whether its file was written; stamps the files a second apart, in the past."""

    def __init__(self, recipe: Recipe, root: str) -> None:
        super().__init__()
        self.recipe, self.root = recipe, root
        self.saves: list[Save] = []
        self._clock = time.time_ns() - 3_600_000_000_000

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002 - Keras' signature
        path, value = os.path.join(self.root, self.recipe.name(epoch + 1)), self.recipe.values[epoch]
        if not os.path.exists(path):
            return
        self._clock += 1_000_000_000
        os.utime(path, ns=(self._clock, self._clock))
        self.saves.append(Save(path, epoch + 1, None, value, self.recipe.seen(value)))


def train(recipe: Recipe, root: str, *, best_only: bool, threshold: float | None = None) -> Training:
    """Train by the recipe, saving every epoch or only records (those better than the threshold, where one is given)."""
    root = os.path.realpath(root)
    model, data = _model(recipe), np.ones((2, 1))
    checkpoints = keras.callbacks.ModelCheckpoint(
        os.path.join(root, recipe.template),
        monitor=recipe.monitor,
        mode=recipe.told,
        save_best_only=best_only,
        save_weights_only=recipe.weights_only,
        initial_value_threshold=threshold,
    )
    witness = Witness(recipe, root)
    callbacks: list[Any] = [Injector(recipe), checkpoints, witness]
    os.makedirs(root)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(data, data, epochs=len(recipe.values), verbose=0, callbacks=callbacks)
    return Training(recipe, root, checkpoints.best if best_only else None, tuple(witness.saves))


def _model(recipe: Recipe) -> keras.Model:
    keras.utils.set_random_seed(recipe.seed)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


if __name__ == "__main__":
    chosen = draw_recipe(int(sys.argv[1]))
    print(chosen)  # noqa: T201 - a script
    for name, best_only in (("records", True), ("everything", False)):
        training = train(chosen, os.path.join(sys.argv[2], name), best_only=best_only)
        print(name, training.best, *training.saves, sep="\n  ")  # noqa: T201 - a script
