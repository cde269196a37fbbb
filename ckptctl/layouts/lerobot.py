"""Hugging Face LeRobot as of August 2026: ``checkpoints/NNNNNN`` and the link ``last``.

Read in lerobot's common/train_utils.py and scripts/lerobot_train.py. ``pretrained_model/`` comes first, then
``training_state/`` (one file up to 2024), then the relative link is made anew. Metrics go to a tracker alone.
"""

from __future__ import annotations

from ckptctl.layouts.schema import FolderLayout, Layout, Slimming

LAYOUTS: tuple[Layout, ...] = (
    FolderLayout(
        name="lerobot",
        names=(r"(?P<step>\d{6,})",),
        sentinels=("pretrained_model", "training_state"),
        required=("pretrained_model", "training_state*"),
        beside=("last",),
        slimming=Slimming(files=("training_state*",), require=("pretrained_model",)),
        examples=("005000", "100000", "1000000"),
    ),
)
