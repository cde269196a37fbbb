"""YOLOX 0.1 to 0.3. The best is a copy; with ``save_history_ckpt`` each evaluated epoch is kept, from 1.

From YOLOX ``yolox/core/trainer.py`` and ``yolox/utils/checkpoint.py``. ``start_epoch`` inside is the number of epochs
done; ``curr_ap`` the average precision of this save (``best_ap`` that of the best so far).
"""

from __future__ import annotations

from ckptctl.layouts.schema import FileLayout, Layout, MetricSource, Slimming

LAYOUTS: tuple[Layout, ...] = (
    FileLayout(
        name="yolox",
        extensions=(".pth",),
        names=(
            r"epoch_(?P<epoch>\d+)_ckpt\.pth",
            r"(?P<last>latest|last_epoch|last_mosaic_epoch)_ckpt\.pth",
            r"(?P<best>best)_ckpt\.pth",
        ),
        neighbors=("train_log.txt", "latest_ckpt.pth", "last_epoch_ckpt.pth", "epoch_[0-9]*_ckpt.pth"),
        beside=("train_log.txt", "val_log.txt", "tensorboard", "events.out.tfevents.*", "vis_res", "wandb"),
        sources=(MetricSource("", "inside", "torch", take=("curr_ap",), numbers={"epoch": "start_epoch"}),),
        epoch_base=1,
        slimming=Slimming(drop=("optimizer",)),
        examples=tuple(
            "epoch_3_ckpt.pth latest_ckpt.pth last_epoch_ckpt.pth last_mosaic_epoch_ckpt.pth best_ckpt.pth".split()
        ),
    ),
)
