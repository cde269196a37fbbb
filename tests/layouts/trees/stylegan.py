"""Runs of StyleGAN3."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping

from tests.layouts.tree import Expected, Tree


def snapshot(number: int) -> bytes:
    """A pickle with the names of what training keeps in it."""
    return pickle.dumps({"G": number, "D": None, "G_ema": None, "training_set_kwargs": {}}, protocol=4)


def measured(name: str, values: Mapping[str, float], *, metric: str) -> str:
    line = {"results": values, "metric": metric, "total_time": 9.5, "total_time_str": "10s", "num_gpus": 8}
    return json.dumps({**line, "snapshot_pkl": name, "timestamp": 1600000000.5}) + "\n"


NAMES = tuple(f"network-snapshot-{number:06}.pkl" for number in (0, 200, 400))
FIDS = (189.5, 41.25, 60.5)
_BESIDE = {
    "training_options.json": b"{}",
    "log.txt": b"x",
    "stats.jsonl": b"{}\n",
    "reals.png": b"x",
    "fakes000200.png": b"x",
}

TREES = (
    Tree(
        "two metrics, the newest snapshot measured by one of them",
        "stylegan",
        {
            **_BESIDE,
            **{name: snapshot(place) for place, name in enumerate(NAMES)},
            "metric-fid50k_full.jsonl": "".join(
                measured(name, {"fid50k_full": fid}, metric="fid50k_full")
                for name, fid in zip(NAMES, FIDS, strict=True)
            ).encode(),
            "metric-pr50k3_full.jsonl": "".join(
                measured(name, {"pr50k3_full_precision": 0.5, "pr50k3_full_recall": 0.25}, metric="pr50k3_full")
                for name in NAMES[:1]
            ).encode(),
        },
        (
            Expected(
                NAMES[0],
                step=0,
                metrics={"fid50k_full": 189.5, "pr50k3_full_precision": 0.5, "pr50k3_full_recall": 0.25},
            ),
            Expected(NAMES[1], step=200, metrics={"fid50k_full": 41.25}),
            Expected(NAMES[2], step=400, metrics={"fid50k_full": 60.5}),
        ),
    ),
    Tree(
        "a killed run, measured again later from the folder above",
        "stylegan",
        {
            **_BESIDE,
            NAMES[0]: snapshot(0),
            NAMES[1]: snapshot(1)[:-5],
            "metric-fid50k_full.jsonl": (
                measured(f"./{NAMES[0]}", {"fid50k_full": 9.5}, metric="fid50k_full") + '{"res'
            ).encode(),
        },
        (
            Expected(NAMES[0], step=0, metrics={"fid50k_full": 9.5}),
            Expected(NAMES[1], step=200, state="damaged"),
        ),
    ),
)
