"""Ultralytics YOLO 8.0 to 8.4 (v8 to 26), and YOLOv5: ``weights/`` below a run's ``results.csv``.

From ultralytics ``engine/trainer.py`` and yolov5 ``train.py`` and ``utils/loggers/__init__.py``. Epochs in names count
from 0. Rows of ``results.csv`` count from 1 in Ultralytics (from 0 in its first releases), and from 0 in YOLOv5, whose
run has ``opt.yaml`` where Ultralytics writes ``args.yaml``; heads and cells were padded for long. ``train_metrics``
inside, in later releases, tells the same of the file's very epoch. A finished run's last and best say epoch -1 inside:
they are no epoch's.
"""

from __future__ import annotations

from ckptctl.layouts.schema import FileLayout, Layout, MetricSource, OriginFile, Slimming

_NAMES = (r"epoch(?P<epoch>\d+)\.pt", r"(?P<last>last)\.pt", r"(?P<best>best)\.pt")
_METRICS = ("train/*", "metrics/*", "val/*")
_BESIDE = tuple(
    "*.onnx *.engine *.torchscript *.mlpackage *.tflite *.pb *_openvino_model *_saved_model *_ncnn_model".split()
)
"""What ``export`` writes beside the file that it was asked to export."""
_EXAMPLES = ("last.pt", "best.pt", "epoch3.pt", "epoch100.pt")

LAYOUTS: tuple[Layout, ...] = (
    FileLayout(
        name="yolov5",
        extensions=(".pt",),
        names=_NAMES,
        neighbors=("../opt.yaml",),
        beside=_BESIDE,
        origins=(OriginFile("opt.yaml", ("weights", "resume"), "weights: runs/a/x"),),
        sources=(MetricSource("results.csv", "above", "csv", column="epoch", by="epoch", take=_METRICS),),
        slimming=Slimming(drop=("optimizer",)),
        examples=_EXAMPLES,
    ),
    FileLayout(
        name="ultralytics",
        extensions=(".pt",),
        names=_NAMES,
        neighbors=("../args.yaml", "../results.csv"),
        beside=_BESIDE,
        origins=(OriginFile("args.yaml", ("model", "resume", "pretrained"), "model: runs/a/x"),),
        sources=(
            MetricSource("", "inside", "torch", rows="train_metrics", take=(*_METRICS, "fitness")),
            MetricSource("results.csv", "above", "csv", column="epoch", by="epoch", offset=1, take=_METRICS),
        ),
        slimming=Slimming(drop=("optimizer", "scaler")),
        examples=_EXAMPLES,
    ),
)
