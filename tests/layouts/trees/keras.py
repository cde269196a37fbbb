"""What Keras' callbacks leave in a folder."""

from __future__ import annotations

import json
from pathlib import Path

from tests.layouts.tree import Expected, Tree, json_file

_REAL = Path(__file__).parents[2] / "fixtures" / "layouts" / "keras"
_MODEL = (_REAL / "m.keras").read_bytes()
_SHARDS = ((_REAL / "sh_00000.weights.h5").read_bytes(), (_REAL / "sh_00001.weights.h5").read_bytes())
_LOG = b"epoch,loss,val_loss\n0,0.9,0.90\n1,0.5,0.42\n"


def _sharded(stem: str) -> dict[str, bytes]:
    """The files of one save in two shards, as Keras 3.15 wrote them, under another name."""
    shards = [f"{stem}_{place:05d}.weights.h5" for place in (0, 1)]
    layers = {"/layers/dense/vars": [shards[0]], "/layers/dense_1/vars": [shards[1]]}
    whole = {"metadata": {"total_size": 33280.0}, "weight_map": layers}
    return {**dict(zip(shards, _SHARDS, strict=True)), f"{stem}.weights.json": json.dumps(whole, indent=4).encode()}


def _found(stem: str, epoch: int | None, state: str = "complete") -> Expected:
    return Expected(stem, tuple(_sharded(stem)), epoch=epoch, state=state)


TREES = (
    Tree(
        "whole models, the newest cut short",
        "keras",
        {
            "05-0.90.keras": _MODEL,
            "06-0.42.keras": _MODEL,
            "07-0.40.keras": _MODEL[:-100],
            "training.log": _LOG,
            "train/events.out.tfevents.1700000000.host": b"x",
        },
        (
            Expected("05-0.90.keras", epoch=5, metrics={"value": 0.90}),
            Expected("06-0.42.keras", epoch=6, metrics={"value": 0.42}),
            Expected("07-0.40.keras", epoch=7, metrics={"value": 0.40}, state="damaged"),
        ),
    ),
    Tree(
        "weights in shards, as Keras 3.15 wrote them",
        "keras-sharded",
        {
            name: (_REAL / name).read_bytes()
            for name in ("sh.weights.json", "sh_00000.weights.h5", "sh_00001.weights.h5")
        },
        (_found("sh", None),),
    ),
    Tree(
        "weights in shards, an epoch each",
        "keras-sharded",
        {**_sharded("model.01"), **_sharded("model.02"), **_sharded("model.03"), "training.csv": _LOG},
        (_found("model.01", 1), _found("model.02", 2), _found("model.03", 3)),
    ),
    Tree(
        "a shard is missing",
        "keras-sharded",
        {
            **_sharded("model.01"),
            **{path: data for path, data in _sharded("model.02").items() if "_00000" not in path},
        },
        (
            _found("model.01", 1),
            Expected("model.02", ("model.02_00001.weights.h5", "model.02.weights.json"), epoch=2, state="partial"),
        ),
    ),
    Tree(
        "a shard is cut short",
        "keras-sharded",
        {**_sharded("model.01"), **_sharded("model.02"), "model.02_00001.weights.h5": _SHARDS[1][:-100]},
        (_found("model.01", 1), _found("model.02", 2, "partial")),
    ),
    Tree(
        "weights with five digits that are no shards",
        "keras",
        {f"model_{epoch:05d}.weights.h5": _SHARDS[0] for epoch in (1, 2, 3)},
        tuple(Expected(f"model_{epoch:05d}.weights.h5", epoch=epoch) for epoch in (1, 2, 3)),
    ),
    Tree(
        "a backup beside whole models",
        "keras",
        {
            "model.01.keras": _MODEL,
            "model.02.keras": _MODEL,
            "backup/latest.weights.h5": _SHARDS[0],
            "backup/training_metadata.json": json_file({"epoch": 2, "batch": 0}),
            "backup/latest.weights.h5.bkp": _SHARDS[0],
            "backup/training_metadata.json.bkp": json_file({"epoch": 1, "batch": 0}),
        },
        (
            Expected("model.01.keras", epoch=1),
            Expected("backup", epoch=2, roles=("last",), layout="keras-backup"),
            Expected("model.02.keras", epoch=2),
        ),
    ),
)
