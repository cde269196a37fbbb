"""Catalyst 21.4 to 22.4: CheckpointCallback, for a model or for a whole runner.

From catalyst ``callbacks/checkpoint.py``. Epochs count from 1; ``last`` and ``best`` are saves of their own. The
``.storage.json`` lists the best with their scores, and says which way is better; without a metric, the score that it
notes is the epoch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from ckptctl.layouts.schema import Layout, MetricSource, PointerFile, RecordedMetric, Slimming

_MODES: Mapping[str, Literal["min", "max"]] = {"true": "min", "false": "max"}


def _layout(kind: str, slimming: Slimming | None) -> Layout:
    """The saves of one callback: those of a model and of a runner are listed apart."""
    storage = f"{kind}.storage.json"
    return Layout(
        name=f"catalyst-{kind}",
        unit="file",
        extensions=(".pth",),
        names=(rf"{kind}\.(?P<epoch>\d{{4,}})\.pth", rf"{kind}\.(?P<best>best)\.pth", rf"{kind}\.(?P<last>last)\.pth"),
        neighbors=(storage,),
        beside=(
            "*.storage.json",
            "*.csv",
            "*_log",
            "logs",
            "*_logger",
            "tensorboard",
            "code",
            "*.yml",
            "*.json",
            "trace",
        ),
        pointers=(PointerFile(storage, "json", listing="storage", listed="logpath"),),
        sources=(
            MetricSource(storage, "beside", "json", rows="storage", column="logpath", by="name", take=("metric",)),
        ),
        recorded=(RecordedMetric(storage, "beside", "json", mode="minimize", modes=_MODES),),
        epoch_base=1,
        slimming=slimming,
        is_proved=True,
        examples=(f"{kind}.0001.pth", f"{kind}.best.pth", f"{kind}.last.pth"),
    )


LAYOUTS: tuple[Layout, ...] = (
    _layout("model", None),
    _layout(
        "runner",
        Slimming(drop=("optimizer_state_dict", "scheduler_state_dict", "criterion_state_dict")),
    ),
)
