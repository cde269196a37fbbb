"""What TensorFlow's managers, savers and callbacks leave in a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.layouts.tree import Expected, Tree

_REAL = Path(__file__).parents[2] / "fixtures" / "layouts" / "tf" / "mgr"


def _family(stem: str, shards: int = 1, *, graph: bool = False) -> dict[str, bytes]:
    """The files of one checkpoint, in the order in which they are written."""
    files = {f"{stem}.data-{shard:05d}-of-{shards:05d}": b"weights" for shard in range(shards)}
    return {**files, f"{stem}.index": b"index", **({f"{stem}.meta": b"graph"} if graph else {})}


def _found(
    stem: str,
    *,
    shards: int = 1,
    graph: bool = False,
    step: int | None = None,
    counter: int | None = None,
    epoch: float | None = None,
) -> Expected:
    return Expected(stem, tuple(_family(stem, shards, graph=graph)), epoch=epoch, step=step, counter=counter)


def _state(*names: str) -> bytes:
    """The state file; the last name is the newest."""
    listed = [f'all_model_checkpoint_paths: "{name}"' for name in names]
    times = [f"all_model_checkpoint_timestamps: {1700000000 + place}.5" for place in range(len(names))]
    lines = [f'model_checkpoint_path: "{names[-1]}"', *listed, *times, "last_preserved_timestamp: 1699999999.5"]
    return ("\n".join(lines) + "\n").encode()


def _merge(parts: Sequence[dict[str, bytes]]) -> dict[str, bytes]:
    return {path: data for part in parts for path, data in part.items()}


def _saver() -> Tree:
    """An Estimator's folder; the state file names absolute paths of the writing machine, and not what an hour kept."""
    numbers = (0, 1000, 2000, 3000)
    stems = [f"model.ckpt-{number}" for number in numbers]
    return Tree(
        "an estimator that kept one for its hour",
        "tensorflow",
        {
            **_merge([_family(stem, 2, graph=True) for stem in stems]),
            "checkpoint": _state(*(f"/data/alice/run/{stem}" for stem in stems[1:])),
            "graph.pbtxt": b"node {}",
            "events.out.tfevents.1700000000.host": b"x",
            "eval/events.out.tfevents.1700000001.host": b"x",
        },
        tuple(_found(f"model.ckpt-{number}", shards=2, graph=True, step=number) for number in numbers),
        pointers={"checkpoint": "model.ckpt-3000"},
        rosters={"checkpoint": tuple(stems[1:])},
    )


TREES = (
    Tree(
        "a manager's folder, as TensorFlow 2.21 wrote it",
        "tensorflow",
        {path.name: path.read_bytes() for path in sorted(_REAL.iterdir())},
        (_found("ckpt-200", counter=200), _found("ckpt-300", counter=300)),
        pointers={"checkpoint": "ckpt-300"},
        rosters={"checkpoint": ("ckpt-200", "ckpt-300")},
    ),
    _saver(),
    Tree(
        "weights of tf.keras, an epoch each",
        "tensorflow",
        {
            **_merge([_family(f"cp-{epoch:04d}.ckpt") for epoch in (1, 2, 3)]),
            "checkpoint": _state("cp-0003.ckpt"),
            "train/events.out.tfevents.1700000000.host": b"x",
        },
        tuple(_found(f"cp-{epoch:04d}.ckpt", epoch=epoch) for epoch in (1, 2, 3)),
        pointers={"checkpoint": "cp-0003.ckpt"},
        rosters={"checkpoint": ("cp-0003.ckpt",)},
    ),
    Tree(
        "weights of tf.keras with an unnamed score",
        "tensorflow",
        _merge([_family("weights.01-0.90"), _family("weights.02-0.32")]),
        (
            _found("weights.01-0.90", epoch=1)._replace(metrics={"value": 0.90}),
            _found("weights.02-0.32", epoch=2)._replace(metrics={"value": 0.32}),
        ),
    ),
    Tree(
        "killed before the index",
        "tensorflow",
        {
            **_family("ckpt-1"),
            **_family("ckpt-2"),
            "ckpt-3.data-00000-of-00001": b"weights",
            "checkpoint": _state("ckpt-1", "ckpt-2"),
        },
        (
            _found("ckpt-1", counter=1),
            _found("ckpt-2", counter=2),
            Expected("ckpt-3", ("ckpt-3.data-00000-of-00001",), counter=3, state="partial"),
        ),
        pointers={"checkpoint": "ckpt-2"},
        rosters={"checkpoint": ("ckpt-1", "ckpt-2")},
    ),
    Tree(
        "a shard is missing",
        "tensorflow",
        {
            **_family("ckpt-1", 2),
            **_family("ckpt-2", 2),
            "ckpt-3.data-00000-of-00002": b"weights",
            "ckpt-3.index": b"index",
        },
        (
            _found("ckpt-1", shards=2, counter=1),
            _found("ckpt-2", shards=2, counter=2),
            Expected("ckpt-3", ("ckpt-3.data-00000-of-00002", "ckpt-3.index"), counter=3, state="partial"),
        ),
    ),
    Tree(
        "leftovers of killed saves, and an index of vectors",
        "tensorflow",
        {
            **_family("ckpt-1"),
            **_family("ckpt-2"),
            "ckpt-3_temp/part-00000-of-00001.data-00000-of-00001": b"weights",
            "ckpt-3_temp/part-00000-of-00001.index": b"index",
            "model.ckpt-4000_temp_0123456789abcdef0123456789abcdef/part-00000-of-00001.index": b"index",
            "ckpt-4.index.tempstate1234567890": b"inde",
            "checkpoint": _state("ckpt-1", "ckpt-2"),
            "vectors.index": b"IxFI",
            "data_temp/train.csv": b"x\n",
        },
        (
            Expected("ckpt-3_temp", state="partial"),
            Expected("ckpt-4.index.tempstate1234567890", state="partial"),
            Expected("model.ckpt-4000_temp_0123456789abcdef0123456789abcdef", state="partial"),
            _found("ckpt-1", counter=1),
            _found("ckpt-2", counter=2),
        ),
        pointers={"checkpoint": "ckpt-2"},
        rosters={"checkpoint": ("ckpt-1", "ckpt-2")},
        strays=("vectors.index",),
    ),
    Tree(
        "exports beside checkpoints, one of them half written",
        "tensorflow",
        {
            **_family("ckpt-1"),
            **_family("ckpt-2"),
            "saved_model/saved_model.pb": b"graph",
            "saved_model/fingerprint.pb": b"x",
            **{f"saved_model/variables/{path}": data for path, data in _family("variables").items()},
            **{f"model_02/variables/{path}": data for path, data in _family("variables").items()},
        },
        (
            Expected("saved_model", roles=("export",), layout="savedmodel"),
            _found("ckpt-1", counter=1),
            _found("ckpt-2", counter=2),
        ),
    ),
    Tree(
        "whole models of tf.keras, an epoch each",
        "savedmodel",
        _merge(
            [
                {f"model_{epoch:02d}/saved_model.pb": b"graph", f"model_{epoch:02d}/keras_metadata.pb": b"x"}
                | {f"model_{epoch:02d}/variables/{path}": data for path, data in _family("variables").items()}
                for epoch in (1, 2, 3)
            ]
        ),
        tuple(Expected(f"model_{epoch:02d}", roles=("export",)) for epoch in (1, 2, 3)),
    ),
)
