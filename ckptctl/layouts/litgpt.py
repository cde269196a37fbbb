"""LitGPT (Lightning-AI/litgpt) as of June 2026: ``step-NNNNNN`` (eight digits in pretraining) and ``final``.

Read in litgpt's pretrain.py, finetune/*.py and utils.py. The weights come first, then the configuration files. The
logged tables count micro-batches, the folders optimizer steps, so that no row can be matched with a checkpoint.
"""

from __future__ import annotations

from ckptctl.layouts.schema import FolderLayout, Layout, OriginFile, Slimming

LAYOUTS: tuple[Layout, ...] = (
    FolderLayout(
        name="litgpt",
        names=(r"step-(?P<step>\d{6,8})", r"(?P<final>final)"),
        sentinels=("lit_model.pth*",),
        required=("lit_model.pth*", "model_config.yaml|hyperparameters.yaml|lit_config.json"),
        beside=("logs", "metrics.csv", "events.out.tfevents.*", "wandb", "*.log"),
        origins=(
            OriginFile(
                "hyperparameters.yaml", ("resume", "checkpoint_dir", "initial_checkpoint_dir"), "resume: runs/a/x"
            ),
        ),
        slimming=Slimming(require=("lit_model.pth",), drop=("optimizer", "train_dataloader")),
        examples=("step-000200", "step-00001000", "final"),
    ),
)
