"""Boosts trees with XGBoost and LightGBM, saving every few rounds."""

# mypy: disable-error-code="import-not-found, import-untyped, misc"

from __future__ import annotations

import os
from typing import Any

import lightgbm
import numpy as np
import xgboost

from tests.frameworks.writers.telling import Truth, main

ROUNDS = 22


def draw_data(seed: int) -> tuple[Any, Any]:
    """A few rows and what they should give."""
    rows = np.random.default_rng(seed).random((60, 3))
    return rows, rows[:, 0] + rows[:, 1]


def write_xgboost(folder: str, seed: int, **options: Any) -> Truth:  # noqa: ANN401
    """A booster that its own callback saves; the number in a name is the last round's, from 0."""
    os.makedirs(folder)
    keeper = xgboost.callback.TrainingCheckPoint(folder, **options)
    xgboost.train({"max_depth": 2}, xgboost.DMatrix(*draw_data(seed)), ROUNDS, callbacks=[keeper])
    return tell_of(folder, lambda name: int(name.rpartition("_")[2].partition(".")[0]))


def write_lightgbm(folder: str, seed: int, every: int) -> Truth:
    """A booster saved as the program, not the library, does by ``snapshot_freq``: after so many rounds, from 1."""
    os.makedirs(folder)
    booster = lightgbm.Booster({"verbosity": -1}, lightgbm.Dataset(*draw_data(seed)))
    for done in range(1, ROUNDS + 1):
        booster.update()
        if done % every == 0:
            booster.save_model(os.path.join(folder, f"model.txt.snapshot_iter_{done}"))
    told = tell_of(folder, lambda name: int(name.rpartition("_")[2]))
    booster.save_model(os.path.join(folder, "model.txt"))
    return told


def tell_of(folder: str, number_of: Any) -> Truth:  # noqa: ANN401
    """What lies in a folder, oldest first."""
    names = sorted(os.listdir(folder), key=number_of)
    return {"checkpoints": [{"path": name, "step": number_of(name)} for name in names], "last": names[-1]}


def train(folder: str, seed: int) -> Truth:
    """All runs, each in a folder of its own."""
    os.makedirs(folder, exist_ok=True)
    os.chdir(folder)
    return {
        "xgboost": write_xgboost("xgboost", seed, name="checkpoint", interval=3),
        "xgboost_by_default": write_xgboost("xgboost_by_default", seed, interval=3),
        "xgboost_pickled": write_xgboost("xgboost_pickled", seed, name="checkpoint", as_pickle=True, interval=5),
        "lightgbm": write_lightgbm("lightgbm", seed, 3 + seed % 2),
    }


def resume(folder: str) -> Truth:
    """Load the newest of what a folder holds of XGBoost's own format, and count the rounds that it has."""
    names = [name for name in os.listdir(folder) if name.endswith(".ubj")]
    latest = max(names, key=lambda name: int(name.rpartition("_")[2].partition(".")[0]))
    booster = xgboost.Booster(model_file=os.path.join(folder, latest))
    return {"latest": latest, "rounds": booster.num_boosted_rounds()}


if __name__ == "__main__":
    main(train, resume)
