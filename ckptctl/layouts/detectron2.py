"""Detectron2 0.1 to today, and what else saves by fvcore's ``PeriodicCheckpointer`` beside its ``metrics.json``.

From fvcore ``common/checkpoint.py``, detectron2 ``engine/hooks.py`` and ``utils/events.py``. The number in a name is
the iteration just done, from 0: ``model_0004999.pth`` is saved after 5,000. ``last_checkpoint`` names whatever was
saved last, ``model_best.pth`` too. An evaluation's row has the very iteration; losses are written every 20.
"""

from __future__ import annotations

from ckptctl.layouts.schema import FileLayout, Layout, MetricSource, PointerFile, Slimming

_LOG = MetricSource(
    "metrics.json", "beside", "jsonl", column="iteration", by="step", reach=19, take=("*/*", "*loss*", "*accuracy*")
)

LAYOUTS: tuple[Layout, ...] = (
    FileLayout(
        name="detectron2",
        extensions=(".pth",),
        names=(r"model_(?P<step>\d{7,})\.pth", r"model_(?P<final>final)\.pth", r"model_(?P<best>best)\.pth"),
        neighbors=("last_checkpoint", "metrics.json", "model_[0-9][0-9][0-9][0-9][0-9][0-9][0-9]*.pth"),
        beside=tuple(
            """metrics.json config.yaml config.yaml.pkl log.txt log.txt.* events.out.tfevents.* inference
            inference_* profiler-trace-iter*.json *_coco_format.json *_coco_format.json.lock""".split()
        ),
        pointers=(PointerFile("last_checkpoint", "name"),),
        sources=(_LOG, MetricSource("", "inside", "torch", take=(), numbers={"step": "iteration"})),
        step_base=1,
        slimming=Slimming(drop=("optimizer", "scheduler", "trainer")),
        examples=("model_0004999.pth", "model_final.pth", "model_best.pth"),
    ),
)
