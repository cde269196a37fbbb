"""Catalyst 21.4 to 22.4: CheckpointCallback, for a model or for a whole runner.

From catalyst ``callbacks/checkpoint.py``. Epochs count from 1; ``last`` and ``best`` are saves of their own. The
``.storage.json`` lists the best with their scores, and says which way is better; without a metric, the score that it
notes is the epoch.
"""

from __future__ import annotations

from ckptctl.layouts.schema import FileLayout, Layout, MetricSource, PointerFile, RecordedMetric, Slimming

_BESIDE = ("*.storage.json", "*.csv", "*_log", "logs", "*_logger", "tensorboard", "code", "*.yml", "*.json", "trace")
_MODEL = MetricSource(
    "model.storage.json", "beside", "json", rows="storage", column="logpath", by="name", take=("metric",)
)
_WATCHED = RecordedMetric(
    "model.storage.json", "beside", "json", mode="minimize", modes={"true": "min", "false": "max"}
)

LAYOUTS: tuple[Layout, ...] = (
    # The saves of a model and of a runner are listed apart.
    FileLayout(
        name="catalyst-model",
        extensions=(".pth",),
        names=(r"model\.(?P<epoch>\d{4,})\.pth", r"model\.(?P<best>best)\.pth", r"model\.(?P<last>last)\.pth"),
        neighbors=("model.storage.json",),
        beside=_BESIDE,
        pointers=(PointerFile("model.storage.json", "json", listing="storage", listed="logpath"),),
        sources=(_MODEL,),
        recorded=(_WATCHED,),
        epoch_base=1,
        examples=("model.0001.pth", "model.best.pth", "model.last.pth"),
    ),
    FileLayout(
        name="catalyst-runner",
        extensions=(".pth",),
        names=(r"runner\.(?P<epoch>\d{4,})\.pth", r"runner\.(?P<best>best)\.pth", r"runner\.(?P<last>last)\.pth"),
        neighbors=("runner.storage.json",),
        beside=_BESIDE,
        pointers=(PointerFile("runner.storage.json", "json", listing="storage", listed="logpath"),),
        sources=(_MODEL._replace(path="runner.storage.json"),),
        recorded=(_WATCHED._replace(path="runner.storage.json"),),
        epoch_base=1,
        slimming=Slimming(drop=("optimizer_state_dict", "scheduler_state_dict", "criterion_state_dict")),
        examples=("runner.0001.pth", "runner.best.pth", "runner.last.pth"),
    ),
)
