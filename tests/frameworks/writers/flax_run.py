"""Saves with flax: the msgpack files of its old way, and the folders that it leaves to orbax today."""

# mypy: disable-error-code="import-not-found, import-untyped, misc"

from __future__ import annotations

import os
from typing import Any

import flax
import jax.numpy as jnp
from flax.training import checkpoints

from tests.frameworks.writers.telling import Truth, main

SAVES = 7
STRIDE = 500


def make_state(step: int) -> dict[str, Any]:
    """Weights that tell the step."""
    return {"params": {"w": jnp.full((4,), float(step))}, "step": step}


def write(folder: str, *, orbax: bool = False, **options: Any) -> Truth:  # noqa: ANN401
    """So many saves; what lies there at the end."""
    flax.config.update("flax_use_orbax_checkpointing", orbax)
    for number in range(SAVES):
        step = number * STRIDE
        checkpoints.save_checkpoint(os.path.abspath(folder), make_state(step), step, **options)
    prefix = options.get("prefix", "checkpoint_")
    steps = sorted(int(name.removeprefix(prefix)) for name in os.listdir(folder))
    return {
        "checkpoints": [{"path": f"{prefix}{step}", "step": step} for step in steps],
        "last": os.path.basename(checkpoints.latest_checkpoint(folder, prefix)),
        "survivors": [f"{prefix}{step}" for step in steps],
    }


def break_off(folder: str) -> Truth:
    """A run, and the file that its next save had written but not yet named."""
    told = write(folder, keep=99)
    with open(os.path.join(folder, "checkpoint_tmp"), "wb") as half:
        half.write(flax.serialization.to_bytes(make_state(SAVES * STRIDE))[:40])
    return {**told, "broken": ["checkpoint_tmp"]}


def train(folder: str, seed: int) -> Truth:
    """All runs, each in a folder of its own."""
    os.makedirs(folder, exist_ok=True)
    os.chdir(folder)
    keep = 1 + seed % 3
    return {
        "everything": write("everything", keep=99),
        "kept": {**write("kept", keep=keep), "keep": keep},
        "prefix": write("prefix", keep=99, prefix="my_model_"),
        "orbax": write("orbax", keep=99, orbax=True),
        "broken_off": break_off("broken_off"),
    }


def resume(folder: str) -> Truth:
    """Restore the newest, under the prefix that most of the names have."""
    prefix = "my_model_" if any(name.startswith("my_model_") for name in os.listdir(folder)) else "checkpoint_"
    latest = checkpoints.latest_checkpoint(folder, prefix)
    restored = checkpoints.restore_checkpoint(os.path.abspath(folder), target=None, prefix=prefix)
    return {"latest": os.path.basename(latest), "weights": float(restored["params"]["w"][0])}


if __name__ == "__main__":
    main(train, resume)
