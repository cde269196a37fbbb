"""open_clip 2 and 3: ``checkpoints/`` below a run's ``params.txt``; folders where FSDP saves in shards.

From open_clip ``open_clip_train/main.py``, ``open_clip_train/train.py`` and ``open_clip/task/checkpoint.py``. Epochs
are those done, so the first is 1, in ``results.jsonl`` too. The latest is written aside, then takes the old one's name.
"""

from __future__ import annotations

from ckptctl.layouts.schema import FileLayout, FolderLayout, Layout, MetricSource, OriginFile, Slimming

_RESULTS = MetricSource(
    "results.jsonl", "beside", "jsonl", column="epoch", by="epoch", take=("*-val-*", "*_to_*", "*loss*", "*-top[0-9]*")
)

LAYOUTS: tuple[Layout, ...] = (
    FolderLayout(
        name="open_clip-sharded",
        names=(r"epoch_(?P<epoch>\d+)", r"epoch_(?P<last>latest)"),
        sentinels=("_metadata_extra.pt",),
        hints=(".metadata", "__[0-9]*_[0-9]*.distcp"),
        required=(".metadata", "_metadata_extra.pt"),
        manifest=".metadata",
        beside=("results.jsonl",),
        in_progress=("_tmp_latest", "_trash_latest"),
        sources=(
            _RESULTS,
            MetricSource(
                "_metadata_extra.pt", "inside", "torch", take=(), numbers={"epoch": "epoch", "step": "global_step"}
            ),
        ),
        epoch_base=1,
        slimming=Slimming(refuse="weights and optimizer state lie in the same shards"),
        examples=("epoch_3", "epoch_latest"),
    ),
    FileLayout(
        name="open_clip",
        extensions=(".pt",),
        names=(r"epoch_(?P<epoch>\d+)\.pt", r"epoch_(?P<last>latest)\.pt"),
        neighbors=("results.jsonl", "epoch_latest.pt", "../params.txt"),
        beside=("results.jsonl",),
        origins=(OriginFile("params.txt", ("resume", "pretrained"), "resume: runs/a/x"),),
        in_progress=(r"tmp\.pt",),
        sources=(
            _RESULTS,
            MetricSource("", "inside", "torch", take=(), numbers={"epoch": "epoch", "step": "global_step"}),
        ),
        epoch_base=1,
        slimming=Slimming(drop=("optimizer", "scaler")),
        examples=("epoch_3.pt", "epoch_latest.pt"),
    ),
)
