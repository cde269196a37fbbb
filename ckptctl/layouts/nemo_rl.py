"""NVIDIA NeMo-RL (NVIDIA-NeMo/RL) as of August 2026: ``step_N``.

Read in nemo_rl/utils/checkpoint.py and nemo_rl/algorithms. A save is made in ``tmp_step_N`` and then renamed, the old
one of that step being ``old_step_N`` meanwhile. ``training_info.json`` holds the metric that training itself ranks by,
called ``val:NAME`` or ``train:NAME``; steps count from 1.
"""

from __future__ import annotations

from ckptctl.layouts.schema import FolderLayout, Layout, MetricSource, RecordedMetric, Slimming

LAYOUTS: tuple[Layout, ...] = (
    FolderLayout(
        name="nemo_rl",
        names=(r"step_(?P<step>\d+)",),
        sentinels=("training_info.json",),
        hints=("policy", "value"),
        written_last=True,
        required=("training_info.json", "policy"),
        beside=("latest_checkpoint_status.json", "logs", "wandb", "*.log"),
        in_progress=(r"tmp_step_(?P<step>\d+)", r"old_step_(?P<step>\d+)"),
        sources=(MetricSource("training_info.json", "inside", "json", take=("val:*", "train:*", "val_*")),),
        recorded=(
            RecordedMetric(
                "config.yaml",
                "inside",
                "yaml",
                monitor="checkpointing/metric_name",
                mode="checkpointing/higher_is_better",
                modes={"true": "max", "false": "min"},
            ),
        ),
        slimming=Slimming(
            files=("policy/optimizer", "value/optimizer", "train_dataloader*.pt", "replay_buffer.pt", "rollouts.pt"),
            require=("policy/weights",),
        ),
        examples=("step_10", "step_1000"),
    ),
)
