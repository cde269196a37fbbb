"""NVIDIA NeMo 1.x (files, later folders) and 2.x (folders): Lightning's names with ``NAME--`` in front.

Read in NeMo's utils/exp_manager.py, utils/callbacks/nemo_model_checkpoint.py, utils/model_utils.py and
lightning/pytorch/callbacks/model_checkpoint.py. With model parallelism one checkpoint of 1.x is a file of one name in
each rank's folder, and its EMA twin (``-EMA``) goes with it. While a checkpoint is written or deleted, an empty
``…-unfinished`` stands beside it; NeMo deletes what is marked when it starts. 2.x may leave ``context/`` to the last.
"""

from __future__ import annotations

from ckptctl.layouts.schema import FamilyLayout, FolderLayout, Layout, Slimming

_BESIDE = tuple(
    """*.nemo hparams.yaml cmd-args.log git-info.log lightning_logs.txt nemo_error_log.txt nemo_log_*
    events.out.tfevents.* run_*""".split()
)
_FOLDERS = (r"(?P<stem>.+?)--(?P<free>[A-Za-z][^/]*?=[^/]*?)(?P<last>-last)?(?P<ema>-EMA)?",)
_MARKER = "-unfinished"
_SLIMMING = Slimming(refuse="weights and optimizer state share its files")

LAYOUTS: tuple[Layout, ...] = (
    FolderLayout(
        name="nemo-dir",
        names=_FOLDERS,
        sentinels=("weights",),
        hints=("context",),
        required=("weights",),
        beside=_BESIDE,
        marker=_MARKER,
        slimming=_SLIMMING,
        examples=(
            "llama3_8b--val_loss=1.92-step=499-consumed_samples=128000.0",
            "llama3_8b--val_loss=1.92-step=499-consumed_samples=128000.0-last",
            "default--reduced_train_loss=1.9012-epoch=0-step=99",
        ),
    ),
    FolderLayout(
        name="nemo-dist",
        names=_FOLDERS,
        sentinels=("__*_*.distcp", ".metadata", "metadata.json"),
        hints=("common.pt",),
        required=("metadata.json",),
        manifest=".metadata",
        beside=_BESIDE,
        marker=_MARKER,
        slimming=_SLIMMING,
        examples=("megatron_gpt--val_loss=2.34-step=1000-consumed_samples=256000.0-last",),
    ),
    FamilyLayout(
        name="nemo",
        names=(r"(?P<stem>(?P<free>.+?--[A-Za-z][^/]*?=[^/]*?))(?:-EMA|(?P<lead>))\.ckpt",),
        neighbors=tuple(
            """*--*-last.ckpt *.nemo *-unfinished mp_rank_* tp_rank_* fsdp_shard_* ../nemo_log_*
            ../cmd-args.log""".split()
        ),
        rank_folders=(
            r"mp_rank_(?P<rank>\d{2})",
            r"mp_rank_(?P<rank>\d{2})_fsdp_shard_(?P<shard>\d{5})",
            r"tp_rank_(?P<rank>\d{2})_pp_rank_(?P<stage>\d{3})",
            r"fsdp_shard_(?P<shard>\d{5})",
        ),
        beside=_BESIDE,
        marker=_MARKER,
        slimming=Slimming(drop=("optimizer_states", "lr_schedulers", "callbacks", "loops"), scores=("callbacks",)),
        records="lightning",
        examples=(
            "megatron_gpt--val_loss=2.3456-epoch=1.ckpt",
            "Conformer--val_wer=0.1234-epoch=9-last.ckpt",
            "Conformer--val_wer=0.1234-epoch=9-EMA.ckpt",
        ),
    ),
)
