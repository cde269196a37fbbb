"""Saves with TensorFlow: CheckpointManager, the Saver of version 1, bare saves, an export beside, and saves broken off.

The numbers of a manager count saves, not steps, unless it is told otherwise.
"""

# mypy: disable-error-code="import-not-found, import-untyped, misc"

from __future__ import annotations

import os
import shutil
import time
from typing import Any

import numpy as np
import tensorflow as tf

from tests.frameworks.writers.telling import Truth, main

SAVES = 7
KEEP = 3


def make_state() -> Any:  # noqa: ANN401
    """Weights that tell the step, and the step."""
    return tf.train.Checkpoint(w=tf.Variable(np.zeros(4, "f")), step=tf.Variable(0, dtype=tf.int64))


def advance(state: Any, steps: int = 100) -> None:  # noqa: ANN401
    """Train, so to say."""
    state.step.assign_add(steps)
    state.w.assign(tf.fill([4], tf.cast(state.step, tf.float32)))


def write(folder: str, saves: int = SAVES, *, pause: float = 0, **options: Any) -> Truth:  # noqa: ANN401
    """So many saves by a manager; what it holds to be true at its end."""
    state = make_state()
    manager = tf.train.CheckpointManager(state, folder, **options)
    for _ in range(saves):
        advance(state)
        manager.save()
        time.sleep(pause)
    return tell_of(folder, manager.checkpoints, manager.latest_checkpoint)


def tell_of(folder: str, listed: list[str], latest: str | None) -> Truth:
    """What lies in a folder, oldest first, what the framework lists of it, and what it would restore."""
    stems = {name.removesuffix(".index") for name in os.listdir(folder) if name.endswith(".index")}
    names = sorted(os.listdir(folder))
    told: list[Truth] = [
        {
            "path": stem,
            "index": int(stem.rpartition("-")[2]),
            "members": [name for name in names if name.rpartition(".")[0] == stem],
        }
        for stem in sorted(stems, key=lambda stem: int(stem.rpartition("-")[2]))
    ]
    return {
        "checkpoints": told,
        "listed": [os.path.basename(path) for path in listed],
        "last": os.path.basename(latest or ""),
        "survivors": [it["path"] for it in told],
    }


def write_without_manager(folder: str) -> Truth:
    """Each save of a bare Checkpoint lists itself alone."""
    state = make_state()
    for _ in range(SAVES):
        advance(state)
        state.save(os.path.join(folder, "ckpt"))
    return ask_state_file(folder)


def write_by_saver(folder: str, prefix: str, **options: Any) -> Truth:  # noqa: ANN401
    """Saves by the Saver of version 1: with a graph beside each, and listed by the prefix that it was given."""
    v1 = tf.compat.v1
    os.makedirs(folder)
    with v1.Graph().as_default(), v1.Session() as session:
        step = v1.train.get_or_create_global_step()
        weights = v1.get_variable("w", initializer=np.zeros(4, "f"), use_resource=False)
        go = v1.assign_add(step, 500)
        saver = v1.train.Saver(**options)
        session.run(v1.global_variables_initializer())
        for _ in range(SAVES):
            session.run(v1.assign(weights, tf.fill([4], tf.cast(session.run(go), tf.float32))))
            saver.save(session, prefix, global_step=step)
    return ask_state_file(folder)


def ask_state_file(folder: str) -> Truth:
    """As ``tell_of``, by what the state file says to TensorFlow."""
    state = tf.train.get_checkpoint_state(folder)
    return tell_of(folder, list(state.all_model_checkpoint_paths), tf.train.latest_checkpoint(folder))


def write_sharded(folder: str) -> Truth:
    """Saves that are too large for one file of data."""
    state = make_state()
    manager = tf.train.CheckpointManager(state, folder, max_to_keep=None)
    split = tf.train.CheckpointOptions(experimental_sharding_callback=tf.train.experimental.MaxShardSizePolicy(16))
    for _ in range(SAVES):
        advance(state)
        manager.save(options=split)
    return tell_of(folder, manager.checkpoints, manager.latest_checkpoint)


def write_by_step(folder: str) -> Truth:
    """Saves that are numbered by their step."""
    state = make_state()
    manager = tf.train.CheckpointManager(state, folder, max_to_keep=None, checkpoint_name="model.ckpt")
    for _ in range(SAVES):
        advance(state, steps=300)
        manager.save(checkpoint_number=state.step)
    return tell_of(folder, manager.checkpoints, manager.latest_checkpoint)


def write_weights(folder: str) -> Truth:
    """What the callback of Keras 2 left of each epoch: a prefix that ends in the epoch, and no state file's list."""
    state = make_state()
    for epoch in range(1, KEEP + 1):
        advance(state)
        state.write(os.path.join(folder, f"cp-{epoch:04d}.ckpt"))
    stems = [f"cp-{epoch:04d}.ckpt" for epoch in range(1, KEEP + 1)]
    names = os.listdir(folder)
    members = [sorted(name for name in names if name.startswith(stem + ".")) for stem in stems]
    return {
        "checkpoints": [
            {"path": stem, "epoch": number, "members": of}
            for number, (stem, of) in enumerate(zip(stems, members, strict=True), start=1)
        ],
        "last": stems[-1],
    }


def write_beside_export(folder: str) -> Truth:
    """A run with a model exported for serving in a folder of the same training."""
    told = write(folder, max_to_keep=None)
    tf.saved_model.save(tf.train.Checkpoint(w=tf.Variable(1.0)), os.path.join(folder, "export", "1"))
    return told


def break_off(folder: str) -> Truth:
    """A run, the parts that its next save wrote, and of the one after that the data that had been merged already."""
    told = write(folder, max_to_keep=None)
    parts, merged = (os.path.join(folder, f"ckpt-{SAVES + more}") for more in (1, 2))
    for prefix in (parts, merged):
        os.makedirs(f"{prefix}_temp")
        part = f"{prefix}_temp/part-00000-of-00001"
        tf.raw_ops.SaveV2(prefix=part, tensor_names=["w"], shape_and_slices=[""], tensors=[tf.ones(4)])
    data = "data-00000-of-00001"
    shutil.move(f"{part}.{data}", f"{merged}.{data}")
    return {**told, "broken": [f"ckpt-{SAVES + 1}_temp", f"ckpt-{SAVES + 2}.{data}", f"ckpt-{SAVES + 2}_temp"]}


def train(folder: str, seed: int) -> Truth:
    """All runs, each in a folder of its own."""
    os.makedirs(folder, exist_ok=True)
    os.chdir(folder)
    absolute = os.path.abspath("saver_absolute")
    return {
        "everything": write("everything", 11, max_to_keep=None),
        "kept": write("kept", 11, max_to_keep=KEEP + seed % 2),
        "by_step": write_by_step("by_step"),
        "every_n_hours": write("every_n_hours", pause=0.15, max_to_keep=2, keep_checkpoint_every_n_hours=0.25 / 3600),
        "without_manager": write_without_manager("without_manager"),
        "saver": write_by_saver("saver", "saver/model.ckpt", max_to_keep=99),
        "saver_kept": write_by_saver("saver_kept", "saver_kept/model.ckpt", max_to_keep=KEEP),
        "saver_absolute": write_by_saver("saver_absolute", os.path.join(absolute, "model.ckpt"), max_to_keep=99),
        "sharded": write_sharded("sharded"),
        "weights": write_weights("weights"),
        "beside_export": write_beside_export("beside_export"),
        "broken_off": break_off("broken_off"),
    }


def resume(folder: str) -> Truth:
    """Restore what the state file calls the latest; what it lists, and what a manager makes of that."""
    state = tf.train.get_checkpoint_state(folder)
    latest = tf.train.latest_checkpoint(folder)
    reader = tf.train.load_checkpoint(latest)
    names = sorted(reader.get_variable_to_shape_map())
    weights = next(name for name in names if name in {"w", "w/.ATTRIBUTES/VARIABLE_VALUE"})
    return {
        "path": latest,
        "latest": os.path.basename(latest),
        "weights": float(reader.get_tensor(weights)[0]),
        "listed": [os.path.basename(path) for path in state.all_model_checkpoint_paths],
        "recovered": recover(folder) if "meta" not in "".join(os.listdir(folder)) else None,
    }


def recover(folder: str) -> list[str]:
    """What a new manager knows after it restored."""
    manager = tf.train.CheckpointManager(make_state(), folder, max_to_keep=None)
    manager.restore_or_initialize()
    return [os.path.basename(path) for path in manager.checkpoints]


if __name__ == "__main__":
    main(train, resume)
