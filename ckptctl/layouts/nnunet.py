"""nnU-Net v2: at most three files in a ``fold_k``, none of them numbered.

From nnUNet ``nnunetv2/training/nnUNetTrainer/nnUNetTrainer.py``. ``current_epoch`` inside is the number of epochs done.
``_best_ema`` is the best so far, not this save's, and what was logged is lists. The latest goes when training ends.
"""

from __future__ import annotations

from ckptctl.layouts.schema import FileLayout, Layout, MetricSource, Slimming

LAYOUTS: tuple[Layout, ...] = (
    FileLayout(
        name="nnunet",
        extensions=(".pth",),
        names=(
            r"checkpoint_(?P<last>latest)\.pth",
            r"checkpoint_(?P<best>best)\.pth",
            r"checkpoint_(?P<final>final)\.pth",
        ),
        neighbors=("training_log_*.txt", "progress.png", "debug.json", "../plans.json"),
        beside=tuple(
            "training_log_*.txt progress.png debug.json network_architecture* validation validation_*".split()
        ),
        sources=(MetricSource("", "inside", "torch", take=(), numbers={"epoch": "current_epoch"}),),
        epoch_base=1,
        slimming=Slimming(drop=("optimizer_state", "grad_scaler_state")),
        examples=("checkpoint_latest.pth", "checkpoint_best.pth", "checkpoint_final.pth"),
    ),
)
