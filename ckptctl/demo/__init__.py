"""A few small run folders, written as Lightning and Keras write them, to try the commands on.

The files are whole: torch, Lightning and Keras load them. Only the training is made up.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections import OrderedDict
from collections.abc import Iterator
from math import inf, isnan, nan, prod
from random import Random
from struct import pack, unpack
from time import gmtime, strftime, time
from typing import NamedTuple

from ckptctl.errors import Refused, StorageFailed
from ckptctl.formats.torch_writer import FloatTensor, make_tensor, write_torch

_HOUR = 3600


def write_demo(folder: str, *, now: float | None = None) -> list[str]:
    """Write three runs, under 2 MB, whose times end some hours before ``now`` (seconds since 1970); returns every path.

    The same moment gives the same bytes. Raises Refused where the folder holds anything, StorageFailed.
    """
    moment = time() if now is None else now
    try:
        _claim(folder)
        return [*write_stumbled(folder, moment), *write_steady(folder, moment), *write_keras(f"{folder}/keras", moment)]
    except OSError as error:
        text = f"the demo could not be written: {error.strerror}"
        raise StorageFailed(text, path=error.filename or folder) from error


def _claim(folder: str) -> None:
    """Make the folder; an empty one will do."""
    hint = "name a folder that does not exist yet"
    if os.path.lexists(folder) and not os.path.isdir(folder):
        raise Refused("not a folder: nothing was written", path=folder, hint=hint)
    os.makedirs(folder, exist_ok=True)
    if os.listdir(folder):
        raise Refused("the folder is not empty: nothing was written", path=folder, hint=hint)


# Lightning ------------------------------------------------------------------------------------------------------------

_ORIGIN = "/data/runs"
"""Where the runs say that they were trained: as of any folder that was moved, not where they lie now."""
_SHAPES = {
    "embed.weight": (64, 32),
    "hidden.weight": (32, 32),
    "hidden.bias": (32,),
    "head.weight": (10, 32),
    "head.bias": (10,),
}


class _Training(NamedTuple):
    """A training with Lightning, as it would be configured, and how it went."""

    name: str
    writer: str
    """Version of Lightning."""
    callback: str
    lr: float
    template: str
    steps: int
    """In an epoch."""
    every: int
    """Epochs from one ranked save to the next."""
    losses: tuple[float, ...]
    """val_loss of each epoch."""
    hours: int
    """That one epoch takes."""
    ended: int
    """Hours ago."""

    @property
    def saved(self) -> list[int]:
        """The epochs whose end was saved under a name of their own."""
        return [epoch for epoch in range(len(self.losses)) if (epoch + 1) % self.every == 0]

    @property
    def folder(self) -> str:
        """Of its checkpoints, below the demo's."""
        return f"{self.name}/version_0/checkpoints"

    def name_of(self, epoch: int) -> str:
        """The file that this epoch's end was saved under."""
        step = self.steps * (epoch + 1)
        return self.template.format(epoch=epoch, step=step, val_loss=self.losses[epoch]) + ".ckpt"


_STUMBLED = _Training(
    "lr1e-3", "2.5.5", "ModelCheckpoint", 1e-3, "epoch={epoch:02d}-step={step}-val_loss={val_loss:.2f}", 100, 2,
    (0.7391, 0.5012, 0.4417, 0.4000, 0.3844, nan, 0.3208, 0.3000, 0.3127), hours=1, ended=72,
)  # fmt: skip
"""Has a NaN, and a ``last.ckpt`` that is a save of its own, newer than every ranked one."""
_STEADY = _Training(
    "lr3e-4", "2.6.6", "ModelCheckpointWithLinkBest", 3e-4, "epoch={epoch:02d}-val_loss={val_loss:.2f}", 1000, 1,
    (0.4127, 0.3318, 0.2874, 0.2561, 0.2398, 0.2267, 0.2204, 0.2158, 0.2149, 0.2137, 0.2183, 0.2246), hours=2, ended=5,
)  # fmt: skip
"""Its best two and its next four look equal in their names; ``best.ckpt`` and ``last.ckpt`` are links."""


def write_stumbled(folder: str, now: float) -> Iterator[str]:
    """Write the run with a NaN and a late ``last.ckpt``; ``now`` in seconds since 1970."""
    yield from _write_ranked(folder, _STUMBLED, now)
    last = f"{folder}/{_STUMBLED.folder}/last.ckpt"
    _save(last, _STUMBLED, len(_STUMBLED.losses) - 1, now)
    yield last


def write_steady(folder: str, now: float) -> Iterator[str]:
    """Write the run with equal names, links and a list of scores; ``now`` in seconds since 1970."""
    yield from _write_ranked(folder, _STEADY, now)
    scores = _score(_STEADY, _STEADY.saved[-1])
    listing = f"{folder}/{_STEADY.folder}/best_k_models.yaml"
    _write_text(listing, "".join(f"{path}: {score}\n" for path, score in sorted(scores.items())))
    yield listing
    best = os.path.basename(min(scores, key=scores.__getitem__))
    for name, target in (("best.ckpt", best), ("last.ckpt", _STEADY.name_of(_STEADY.saved[-1]))):
        link = f"{folder}/{_STEADY.folder}/{name}"
        os.symlink(target, link)
        yield link


def _write_ranked(folder: str, training: _Training, now: float) -> Iterator[str]:
    """The files that every Lightning run has: the logger's two and the ranked checkpoints."""
    place = f"{folder}/{training.folder}"
    os.makedirs(place)
    hparams, metrics = (f"{os.path.dirname(place)}/{name}" for name in ("hparams.yaml", "metrics.csv"))
    _write_text(hparams, f"batch_size: 32\nlr: {training.lr}\nmodel: mlp\n")
    _write_text(metrics, "".join(_log(training)))
    yield from (hparams, metrics)
    for epoch in training.saved:
        path = f"{place}/{training.name_of(epoch)}"
        _save(path, training, epoch, now)
        yield path


def _log(training: _Training) -> Iterator[str]:
    """Lines of metrics.csv: its step counts from 0, and validation has a line of its own."""
    yield "epoch,step,train_loss,val_loss\n"
    for epoch, loss in enumerate(training.losses):
        step = training.steps * (epoch + 1) - 1
        yield f"{epoch},{step},,{_round(loss)}\n"
        yield f"{epoch},{step},{_round(0.9 * loss)},\n"


def _save(path: str, training: _Training, epoch: int, now: float) -> None:
    """One full save at the end of an epoch."""
    random = Random(f"{training.name} {epoch}")  # noqa: S311 - weights, not secrets
    steps = training.steps * (epoch + 1)
    write_torch(path, {
        "epoch": epoch,
        "global_step": steps,
        "pytorch-lightning_version": training.writer,
        "state_dict": OrderedDict((name, _draw(random, shape)) for name, shape in _SHAPES.items()),
        "loops": {"fit_loop": _count_loops(epoch, training.steps)},
        "callbacks": {_name_state(training): _remember(training, epoch)},
        "optimizer_states": [_remember_adam(random, training.lr, steps)],
        "lr_schedulers": [],
        "hparams_name": "kwargs",
        "hyper_parameters": {"batch_size": 32, "lr": training.lr, "model": "mlp"},
    })  # fmt: skip
    moment = now - _HOUR * (training.ended + training.hours * (len(training.losses) - 1 - epoch))
    os.utime(path, (moment, moment))


def _name_state(training: _Training) -> str:
    config = {
        "monitor": "val_loss",
        "mode": "min",
        "every_n_train_steps": 0,
        "every_n_epochs": training.every,
        "train_time_interval": None,
    }
    return f"{training.callback}{config!r}"


def _score(training: _Training, epoch: int) -> dict[str, float]:
    """What the callback had ranked at the end of an epoch: NaN stands as the worst there is, as Lightning has it."""
    return {
        f"{_ORIGIN}/{training.folder}/{training.name_of(saved)}": inf if isnan(loss) else _round(loss)
        for saved in training.saved
        if saved <= epoch
        for loss in (training.losses[saved],)
    }


def _remember(training: _Training, epoch: int) -> dict[str, object]:
    """The callback's state, itself saved with every checkpoint."""
    scores = _score(training, epoch)
    best, worst = min(scores, key=scores.__getitem__), max(scores, key=scores.__getitem__)
    return {
        "monitor": "val_loss",
        "best_model_score": make_tensor([scores[best]]),
        "best_model_path": best,
        "current_score": make_tensor([list(scores.values())[-1]]),
        "dirpath": f"{_ORIGIN}/{training.folder}",
        "best_k_models": {path: make_tensor([score]) for path, score in scores.items()},
        "kth_best_model_path": worst,
        "kth_value": make_tensor([scores[worst]]),
        "last_model_path": f"{_ORIGIN}/{training.folder}/last.ckpt",
    }


def _remember_adam(random: Random, lr: float, steps: int) -> dict[str, object]:
    moments = {
        index: {
            "step": make_tensor([steps]),
            "exp_avg": _draw(random, shape),
            "exp_avg_sq": _draw(random, shape, low=0.0),
        }
        for index, shape in enumerate(_SHAPES.values())
    }
    group = {
        "lr": lr, "betas": (0.9, 0.999), "eps": 1e-08, "weight_decay": 0, "amsgrad": False, "maximize": False,
        "foreach": None, "capturable": False, "differentiable": False, "fused": None, "decoupled_weight_decay": False,
        "params": list(moments),
    }  # fmt: skip
    return {"state": moments, "param_groups": [group]}


def _count_loops(epoch: int, steps: int) -> dict[str, object]:
    """Where Lightning stood when it saved: at the end of an epoch, of ``steps`` batches."""
    done, batches = epoch + 1, steps * (epoch + 1)
    progress = {
        when: {"ready": count, "completed": count, "started": count, "processed": count}
        for when, count in (("total", batches), ("current", steps))
    }
    stepped = {when: {"ready": it["ready"], "completed": it["completed"]} for when, it in progress.items()}
    zeroed = {when: {**it, "started": it["ready"]} for when, it in stepped.items()}
    epochs = {"ready": done, "completed": epoch, "started": done, "processed": done}
    idle = {when: {"ready": 0, "completed": 0} for when in ("total", "current")}
    validated = {when: dict.fromkeys(epochs, 0) for when in ("total", "current")}
    return {
        "state_dict": {},
        "epoch_loop.state_dict": {"_batches_that_stepped": batches},
        "epoch_loop.batch_progress": {**progress, "is_last_batch": True},
        "epoch_loop.scheduler_progress": idle,
        "epoch_loop.automatic_optimization.state_dict": {},
        "epoch_loop.automatic_optimization.optim_progress": {"optimizer": {"step": stepped, "zero_grad": zeroed}},
        "epoch_loop.manual_optimization.state_dict": {},
        "epoch_loop.manual_optimization.optim_step_progress": idle,
        "epoch_loop.val_loop.state_dict": {},
        "epoch_loop.val_loop.batch_progress": {**validated, "is_last_batch": True},
        "epoch_progress": {"total": epochs, "current": epochs},
    }


def _draw(random: Random, shape: tuple[int, ...], low: float = -0.1) -> FloatTensor:
    return make_tensor((random.uniform(low, 0.1) for _ in range(prod(shape))), shape)


def _round(value: float) -> float:
    """To float32, whose noise is in every score that a framework writes down."""
    return float(unpack("<f", pack("<f", value))[0])


def _write_text(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        file.write(text)


# Keras ----------------------------------------------------------------------------------------------------------------

_KERAS_VERSION = "3.15.1"
_KERAS_LOSSES = (0.69, 0.52, 0.44, 0.41, 0.43, 0.40)
"""val_loss of each epoch; Keras counts them from 1."""
_KERAS_MODEL = {
    "module": "keras",
    "class_name": "Sequential",
    "config": {
        "name": "sequential",
        "trainable": True,
        "layers": [
            {
                "module": "keras.layers",
                "class_name": "InputLayer",
                "config": {"batch_shape": [None, 4], "dtype": "float32", "name": "input_layer"},
                "registered_name": None,
            },
            {"module": "keras.layers", "class_name": "ReLU", "config": {"name": "re_lu"}, "registered_name": None},
        ],
        "build_input_shape": [None, 4],
    },
    "registered_name": None,
    "build_config": {"input_shape": [None, 4]},
    "compile_config": {},
}


def write_keras(folder: str, now: float) -> Iterator[str]:
    """Write six whole files named ``{epoch:02d}-{val_loss:.2f}.keras``; ``now`` in seconds since 1970."""
    os.makedirs(folder)
    for epoch, loss in enumerate(_KERAS_LOSSES, 1):
        moment = now - _HOUR * (24 + len(_KERAS_LOSSES) - epoch)
        path = f"{folder}/{epoch:02d}-{loss:.2f}.keras"
        _save_keras(path, strftime("%Y-%m-%d@%H:%M:%S", gmtime(moment)))
        os.utime(path, (moment, moment))
        yield path


def _save_keras(path: str, date: str) -> None:
    members = {
        "metadata.json": json.dumps({"keras_version": _KERAS_VERSION, "date_saved": date}).encode(),
        "config.json": json.dumps(_KERAS_MODEL).encode(),
        "model.weights.h5": _encode_empty_hdf5(),
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)


def _encode_empty_hdf5() -> bytes:
    """A file that holds an empty root group (HDF5 file format 1.x: superblock, object header, B-tree, heap)."""
    undefined, root, tree, heap, names, end = 2**64 - 1, 96, 136, 680, 712, 800
    superblock = b"\x89HDF\r\n\x1a\n" + pack("<8B2HI", 0, 0, 0, 0, 0, 8, 8, 0, 4, 16, 0)
    superblock += pack("<4Q", 0, undefined, end, undefined)
    superblock += pack("<2Q2I2Q", 0, root, 1, 0, tree, heap)
    header = pack("<BxHII4x", 1, 1, 1, 24) + pack("<HHB3x2Q", 0x0011, 16, 0, tree, heap)
    nodes = b"TREE" + pack("<BBH2Q", 0, 0, 0, undefined, undefined)
    text = b"HEAP" + pack("<B3x3Q", 0, end - names, 8, names)
    free = pack("<3Q", 0, 1, end - names - 8)
    return superblock + header + nodes.ljust(heap - tree, b"\0") + text + free.ljust(end - names, b"\0")
