"""Saves with the CheckpointManager of orbax: each of its ways to name and to lay out a step, and saves broken off."""

# mypy: disable-error-code="import-not-found, import-untyped, misc"

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any

import jax.numpy as jnp
import orbax.checkpoint as ocp

from tests.frameworks.writers.telling import Truth, draw_scores, main

SAVES = 7
COMMIT_FILE = ocp.options.AtomicityOptions(mode=ocp.options.AtomicityMode.COMMIT_FILE)
"""As where nothing can be renamed: a folder has its name at once, and a file in it says when it is done."""


def make_state(step: int) -> dict[str, Any]:
    """Weights that tell the step, and Adam's memory of them."""
    return {"params": {"w": jnp.full((4,), float(step))}, "opt_state": {"mu": jnp.zeros(4)}, "step": step}


def in_one(step: int) -> Any:  # noqa: ANN401
    """The state as the manager's only item, which it calls ``default``."""
    return ocp.args.StandardSave(make_state(step))


def in_items(step: int) -> Any:  # noqa: ANN401
    """The state as MaxText saves it."""
    return ocp.args.Composite(items=ocp.args.StandardSave(make_state(step)))


def in_parts(step: int) -> Any:  # noqa: ANN401
    """Weights, optimizer and the position in the data apart."""
    state = make_state(step)
    return ocp.args.Composite(
        params=ocp.args.StandardSave(state["params"]),
        opt_state=ocp.args.StandardSave(state["opt_state"]),
        data_iter=ocp.args.JsonSave({"position": step}),
    )


def in_half(step: int) -> Any:  # noqa: ANN401
    """The state, and something that cannot be written."""
    return ocp.args.Composite(
        default=ocp.args.StandardSave(make_state(step)), data_iter=ocp.args.JsonSave({"position": object()})
    )


def open_manager(folder: str, *, settings: Truth | None = None, **options: Any) -> ocp.CheckpointManager:  # noqa: ANN401
    """A manager that has saved when ``save`` returns."""
    chosen = ocp.CheckpointManagerOptions(enable_async_checkpointing=False, **options)
    return ocp.CheckpointManager(os.path.abspath(folder), options=chosen, metadata=settings)


def best_of(metric: str, mode: str) -> Truth:
    """The options that make a manager keep, and tell, the best."""
    return {"best_fn": lambda metrics: metrics[metric], "best_mode": mode}


def write(folder: str, rows: list[Truth | None], save: Any = in_one, *, first: int = 8, **options: Any) -> Truth:  # noqa: ANN401
    """Save a step for each row of metrics, from one digit on to two; what the manager holds to be true at its end."""
    with open_manager(folder, **options) as manager:
        for number, row in enumerate(rows):
            manager.save(first + number, args=save(first + number), metrics=row)
        return tell_of(folder, manager)


def tell_of(folder: str, manager: ocp.CheckpointManager) -> Truth:
    """What a manager knows of its folder, after it read it anew."""
    manager.reload()
    named = {int("".join(filter(str.isdigit, name))): name for name in os.listdir(folder) if name[-1].isdigit()}
    told: list[Truth] = [
        {"path": named[step], "step": step, "metrics": manager.metrics(step) or {}} for step in manager.all_steps()
    ]
    return {
        "checkpoints": told,
        "best": named.get(manager.best_step()),
        "last": named[manager.latest_step()],
        "survivors": sorted(it["path"] for it in told),
    }


def break_off(folder: str, rows: list[Truth | None], **options: Any) -> Truth:  # noqa: ANN401
    """Save the rows, and then a step that ends halfway."""
    write(folder, rows, in_default, **options)
    broken = 8 + len(rows)
    with suppress(TypeError):  # an object is not JSON
        open_manager(folder, **options).save(broken, args=in_half(broken), metrics=rows[0])
    with open_manager(folder, **options) as manager:
        return {**tell_of(folder, manager), "broken": next(name for name in os.listdir(folder) if str(broken) in name)}


def in_default(step: int) -> Any:  # noqa: ANN401
    """The state as an item that is called ``default``, beside which others may be."""
    return ocp.args.Composite(default=ocp.args.StandardSave(make_state(step)))


def save_alone(folder: str) -> Truth:
    """One checkpoint without a manager."""
    with ocp.StandardCheckpointer() as saver:
        saver.save(os.path.abspath(folder), make_state(3))
        saver.wait_until_finished()
    return {}


def train(folder: str, seed: int) -> Truth:
    """All runs, each in a folder of its own."""
    metric, mode = (("loss", "min"), ("accuracy", "max"), ("eval/loss", "min"))[seed % 3]
    rows: list[Truth | None] = [{metric: score, "lr": 0.1} for score in draw_scores(seed, SAVES)]
    holes = [row if number % 2 else None for number, row in enumerate(rows)]
    with_nan = [*rows[:2], {metric: float("nan"), "lr": 0.1}, *rows[3:]]
    best, some = best_of(metric, mode), {"max_to_keep": 1 + seed % 3}
    os.makedirs(folder, exist_ok=True)
    os.chdir(folder)
    told = {
        "everything": write("everything", rows, **best),
        "kept": write("kept", rows, **best, **some),
        "prefix": write("prefix", rows, step_prefix="ckpt", **best),
        "padded": write("padded", rows, step_format_fixed_length=8, **best),
        "prefix_padded": write("prefix_padded", rows, step_prefix="my_run", step_format_fixed_length=6, **best),
        "parts": write("parts", rows, in_parts, settings={"lr": 0.1}, **best),
        "holes": write("holes", holes, **best),
        "nan": write("nan", with_nan, **best),
        "broken_off": break_off("broken_off", rows[:2], **best),
        "not_committed": break_off("not_committed", rows[:2], atomicity_options=COMMIT_FILE, **best),
        "unscored": write("unscored", [None] * SAVES),
        "unscored_kept": write("unscored_kept", [None] * SAVES, **some),
        "maxtext": write("maxtext/my_run/checkpoints", [None] * SAVES, in_items, first=0),
        "alone": save_alone("alone/final_weights"),
    }
    return {name: {"monitor": metric, "mode": mode, **some, **of} for name, of in told.items()}


def resume(folder: str) -> Truth:
    """Restore the newest step, with a manager that is told how the folders are called, as its training tells it."""
    name = max(name for name in os.listdir(folder) if name[-1].isdigit())
    prefix, _, digits = name.rpartition("_")
    item = next(item for item in ("default", "items", "params") if item in os.listdir(os.path.join(folder, name)))
    length = len(digits) if digits.startswith("0") else None
    with open_manager(folder, step_prefix=prefix or None, step_format_fixed_length=length) as manager:
        latest = manager.latest_step()
        whole = ocp.args.StandardRestore()
        named = item != "default"
        restored = manager.restore(latest, args=ocp.args.Composite(**{item: whole}) if named else whole)
        state = restored[item] if named else restored
        return {"latest": latest, "weights": float(state.get("params", state)["w"][0])}


if __name__ == "__main__":
    main(train, resume)
