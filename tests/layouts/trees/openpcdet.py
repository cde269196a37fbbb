"""Runs of OpenPCDet, in torch's format from before 1.6."""

from __future__ import annotations

import pickle
from collections.abc import Mapping

from tests.layouts.tree import Expected, Tree

_MAGIC = 0x1950A86A20F9469CFC6C
_VERSION = 1001
_SYSTEM = {"protocol_version": _VERSION, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}


def _legacy(values: Mapping[str, object]) -> bytes:
    """A file without tensors: five pickles behind each other, the last the list of no storages."""
    parts: tuple[object, ...] = (_MAGIC, _VERSION, _SYSTEM, dict(values), [])
    return b"".join(pickle.dumps(part, protocol=2) for part in parts)


def _state(epoch: int, iteration: int) -> bytes:
    return _legacy(
        {
            "epoch": epoch,
            "it": iteration,
            "model_state": {},
            "optimizer_state": {"state": {}, "param_groups": []},
            "version": "pcdet+0.6.0",
        }
    )


TREES = (
    Tree(
        "openpcdet, the latest from within an epoch",
        "openpcdet",
        {
            "train_20260101-120000.log": b"x",
            "tensorboard/events.out.tfevents.1.host": b"x",
            **{f"ckpt/checkpoint_epoch_{it}.pth": _state(it, 100 * it) for it in (78, 79, 80)},
            "ckpt/latest_model.pth": _state(80, 8050),
        },
        (
            *(Expected(f"ckpt/checkpoint_epoch_{it}.pth", epoch=it, step=100 * it) for it in (78, 79, 80)),
            Expected("ckpt/latest_model.pth", epoch=80, step=8050, roles=("last",)),
        ),
    ),
    Tree(
        "openpcdet, the newest cut short",
        "openpcdet",
        {
            "train_20260101-120000.log": b"x",
            "ckpt/checkpoint_epoch_1.pth": _state(1, 100),
            "ckpt/checkpoint_epoch_2.pth": _state(2, 200),
            "ckpt/checkpoint_epoch_3.pth": _state(3, 300)[:-40],
            "ckpt/.checkpoint_epoch_3.pth.tmp": b"x",
        },
        (
            Expected("ckpt/checkpoint_epoch_1.pth", epoch=1, step=100),
            Expected("ckpt/checkpoint_epoch_2.pth", epoch=2, step=200),
            Expected("ckpt/checkpoint_epoch_3.pth", epoch=3, state="damaged"),
        ),
        strays=("ckpt/.checkpoint_epoch_3.pth.tmp",),
    ),
)
