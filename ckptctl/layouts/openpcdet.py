"""OpenPCDet 0.3 to 0.6, which still writes torch's format from before 1.6, on purpose.

From OpenPCDet ``tools/train_utils/train_utils.py``. The number is that of epochs done; ``latest_model.pth`` is saved
every few minutes in between. Metrics go to the log and TensorBoard alone.
"""

from __future__ import annotations

from ckptctl.layouts.schema import FileLayout, Layout, MetricSource, Slimming

LAYOUTS: tuple[Layout, ...] = (
    FileLayout(
        name="openpcdet",
        extensions=(".pth",),
        names=(r"checkpoint_epoch_(?P<epoch>\d+)\.pth", r"(?P<last>latest)_model\.pth"),
        neighbors=("checkpoint_epoch_[0-9]*.pth", "../train_*.log", "../log_train_*.txt"),
        sources=(MetricSource("", "inside", "torch", take=(), numbers={"epoch": "epoch", "step": "it"}),),
        epoch_base=1,
        slimming=Slimming(drop=("optimizer_state",)),
        examples=("checkpoint_epoch_80.pth", "latest_model.pth"),
    ),
)
