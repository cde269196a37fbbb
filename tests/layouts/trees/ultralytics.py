"""Runs of Ultralytics YOLO and of YOLOv5."""

from __future__ import annotations

from tests.layouts.tree import Expected, Tree, torch_file

_KEYS = ("train/box_loss", "metrics/precision(B)", "metrics/mAP50(B)", "metrics/mAP50-95(B)", "val/box_loss")
_MAP = (0.125, 0.25, 0.5, 0.375, 0.4375)
"""Of each epoch."""


def _measured(epoch: int) -> dict[str, float]:
    return dict(zip(_KEYS, (2.5 - epoch / 4, 0.5, _MAP[epoch], _MAP[epoch] / 2, 3.5 - epoch / 4), strict=True))


def _table(epochs: int, first: int, width: int) -> bytes:
    """The table as it was written: padded to a width, with the learning rate behind."""
    head = ",".join(it.rjust(width) for it in ("epoch", *_KEYS, "lr/pg0"))
    rows = (
        ",".join(f"{it:.6g}".rjust(width) for it in (epoch + first, *_measured(epoch).values(), 0.01))
        for epoch in range(epochs)
    )
    return "\n".join((head, *rows, "")).encode()


def _old(epoch: int, *, is_finished: bool = False) -> bytes:
    return torch_file(
        {
            "epoch": -1 if is_finished else epoch,
            "best_fitness": None if is_finished else 0.25,
            "model": {},
            "ema": None,
            "updates": None,
            "optimizer": None if is_finished else {"state": {}},
            "train_args": {"task": "detect", "epochs": 5, "lr0": 0.01},
            "date": "2026-01-01T10:00:00",
            "version": "8.0.20",
        }
    )


def _new(epoch: int, *, is_finished: bool = False) -> bytes:
    measured = {key: value for key, value in _measured(epoch).items() if not key.startswith("train/")}
    return torch_file(
        {
            "epoch": -1 if is_finished else epoch,
            "best_fitness": None if is_finished else 0.25,
            "model": None,
            "ema": {},
            "updates": 100,
            "optimizer": None if is_finished else {"state": {}},
            "scaler": {},
            "train_args": {"task": "detect", "epochs": 5, "lr0": 0.01},
            "train_metrics": {**measured, "fitness": _MAP[epoch] / 2},
            "train_results": {"epoch": [1, 2], "metrics/mAP50(B)": [0.125, 0.25]},
            "version": "8.4.100",
        }
    )


def _inside(epoch: int) -> dict[str, float]:
    told = {key: value for key, value in _measured(epoch).items() if not key.startswith("train/")}
    return told | {"fitness": _MAP[epoch] / 2}


_BESIDE = {"args.yaml": b"task: detect\nepochs: 5\n", "results.png": b"x", "labels.jpg": b"x"}

TREES = (
    Tree(
        "ultralytics, finished; the table is padded and counts from 1, the names from 0",
        "ultralytics",
        {
            **_BESIDE,
            "results.csv": _table(5, 1, 23),
            **{f"weights/epoch{it}.pt": _old(it) for it in (0, 2, 4)},
            "weights/last.pt": _old(4, is_finished=True),
            "weights/best.pt": _old(2, is_finished=True),
        },
        (
            Expected("weights/best.pt", roles=("best",)),
            Expected("weights/last.pt", roles=("last",)),
            *(Expected(f"weights/epoch{it}.pt", epoch=it, metrics=_measured(it)) for it in (0, 2, 4)),
        ),
    ),
    Tree(
        "ultralytics of today, killed while it wrote an epoch; best and last tell their own metrics",
        "ultralytics",
        {
            **_BESIDE,
            "results.csv": _table(5, 1, 0),
            "weights/epoch0.pt": _new(0),
            "weights/epoch2.pt": _new(2),
            "weights/epoch4.pt": _new(4)[:-30],
            "weights/last.pt": _new(3),
            "weights/best.pt": _new(2),
            "weights/best.onnx": b"onnx",
            "weights/.epoch2.pt.9kGh2a": b"PK",
        },
        (
            Expected("weights/best.pt", metrics=_inside(2), roles=("best",)),
            Expected("weights/last.pt", metrics=_inside(3), roles=("last",)),
            Expected("weights/epoch0.pt", epoch=0, metrics=_measured(0) | _inside(0)),
            Expected("weights/epoch2.pt", epoch=2, metrics=_measured(2) | _inside(2)),
            Expected("weights/epoch4.pt", epoch=4, metrics=_measured(4), state="damaged"),
        ),
        strays=("weights/.epoch2.pt.9kGh2a",),
    ),
    Tree(
        "YOLOv5, whose padded table counts from 0",
        "yolov5",
        {
            "opt.yaml": b"weights: yolov5s.pt\n",
            "hyp.yaml": b"lr0: 0.01\n",
            "results.csv": _table(3, 0, 20),
            "weights/epoch0.pt": torch_file({"epoch": 0, "best_fitness": 0.1, "model": {}, "optimizer": {}}),
            "weights/epoch1.pt": torch_file({"epoch": 1, "best_fitness": 0.1, "model": {}, "optimizer": {}}),
            "weights/last.pt": torch_file({"epoch": -1, "best_fitness": None, "model": {}, "optimizer": None}),
            "weights/best.pt": torch_file({"epoch": -1, "best_fitness": 0.2, "model": {}, "optimizer": None}),
        },
        (
            Expected("weights/best.pt", roles=("best",)),
            Expected("weights/last.pt", roles=("last",)),
            Expected("weights/epoch0.pt", epoch=0, metrics=_measured(0)),
            Expected("weights/epoch1.pt", epoch=1, metrics=_measured(1)),
        ),
    ),
    Tree(
        "YOLOv5, killed while it wrote the last",
        "yolov5",
        {
            "opt.yaml": b"weights: yolov5s.pt\n",
            "results.csv": _table(2, 0, 20),
            "weights/epoch0.pt": torch_file({"epoch": 0, "model": {}, "optimizer": {}}),
            "weights/last.pt": torch_file({"epoch": 1, "model": {}, "optimizer": {}})[:-30],
        },
        (
            Expected("weights/last.pt", roles=("last",), state="damaged"),
            Expected("weights/epoch0.pt", epoch=0, metrics=_measured(0)),
        ),
    ),
)
