"""PyTorch Lightning 1.4 to today, and LinkBest: files, and folders for sharded and DeepSpeed strategies."""

from __future__ import annotations

from ckptctl.layouts.schema import FileLayout, FolderLayout, OriginFile, RunLog, Slimming

_RESERVED = (
    r"(?P<exception>on_exception)(?:-v(?P<version>\d{1,18}))?\.\w+",
    r"(?P<hpc>hpc)_ckpt_(?P<version>\d{1,18})\.\w+",
)
"""What OnExceptionCheckpoint saves, and what is saved when a cluster ends the job: the highest number is the newest."""
_LOGS = (RunLog("best_k_models.yaml", "scores", masks_nan=True), RunLog("metrics.csv", "table", above=True))
"""What ``ModelCheckpoint.to_yaml`` and CSVLogger write; Fabric's loggers do, beside files that its user names."""
_BESIDE = ("best_k_models.yaml", "metrics.csv", "hparams.yaml", "events.out.tfevents.*", "config.yaml")

_MARKER = "-unfinished"
"""NeMo's, whose checkpoints look like any of Lightning's."""
_RESUMING = Slimming(
    drop=tuple(
        """optimizer_states lr_schedulers callbacks *MixedPrecision* native_amp_scaling_state
        amp_scaling_state current_model_state averaging_state""".split()
    ),
    scores=("callbacks",),
)
"""What ``save_weights_only`` leaves out; and the weights that ``WeightAveraging`` keeps beside the averaged ones."""

LAYOUTS = (
    FolderLayout(
        name="lightning-deepspeed",
        extensions=(".ckpt",),
        sentinels=("zero_to_fp32.py", "latest"),
        written_last=True,
        required=("zero_to_fp32.py", "latest", "checkpoint"),
        beside=_BESIDE,
        reserved=_RESERVED,
        marker=_MARKER,
        examples=("epoch=1-step=2.ckpt", "last.ckpt"),
    ),
    FolderLayout(
        name="lightning-sharded",
        extensions=(".ckpt",),
        sentinels=("meta.pt", ".metadata", "__0_0.distcp"),
        written_last=True,
        required=("meta.pt", ".metadata"),
        beside=_BESIDE,
        reserved=_RESERVED,
        marker=_MARKER,
        examples=("epoch=1-step=2.ckpt", "last.ckpt"),
    ),
    FileLayout(
        name="lightning",
        extensions=(".ckpt",),
        beside=_BESIDE,
        reserved=_RESERVED,
        marker=_MARKER,
        slimming=_RESUMING,
        origins=(OriginFile("config.yaml", ("ckpt_path",), "ckpt_path: runs/a/x"),),  # of LightningCLI, and of Hydra
        logs=_LOGS,
        records="lightning",
        program="lightning",
        examples=tuple(
            """epoch=3-step=1000.ckpt epoch=2-val_loss=0.12-v1.ckpt last.ckpt hpc_ckpt_2.ckpt
            on_exception.ckpt epoch=1-val/loss=0.40.ckpt""".split()
        ),
    ),
)
"""Folders first: DeepSpeed (the tag is always ``checkpoint``), then sharded (FSDP, ModelParallel).

Of a sharded one ``meta.pt`` is written last.
"""
