"""What XGBoost and LightGBM leave in a folder."""

from __future__ import annotations

from tests.layouts.tree import Expected, Tree

_UBJ = b"{L\x00\x00\x00\x00\x00\x00\x00\x07version"

TREES = (
    Tree(
        "snapshots of the command line of LightGBM",
        "lightgbm",
        {
            **{f"LightGBM_model.txt.snapshot_iter_{step}": b"tree\nversion=v4\n" for step in (50, 100, 150)},
            "LightGBM_model.txt": b"tree\nversion=v4\n",
            "train.conf": b"snapshot_freq = 50\n",
            "binary.train": b"1 0\n",
        },
        tuple(Expected(f"LightGBM_model.txt.snapshot_iter_{step}", step=step) for step in (50, 100, 150)),
    ),
    Tree(
        "checkpoints of XGBoost, and models of folds and years beside them",
        "xgboost",
        {
            **{f"checkpoint_{step}.ubj": _UBJ for step in (100, 200, 300)},
            **{f"model_{fold}.ubj": _UBJ for fold in range(5)},
            **{f"model_{year}.ubj": _UBJ for year in (2023, 2024)},
            "checkpoint_100.json": b"{}",
            "params.json": b"{}",
        },
        tuple(Expected(f"checkpoint_{step}.ubj", step=step) for step in (100, 200, 300)),
    ),
    Tree(
        "models of folds are no checkpoints",
        "xgboost",
        {f"model_{fold}.{ending}": _UBJ for fold in range(5) for ending in ("ubj", "json", "pkl")},
        (),
    ),
)
