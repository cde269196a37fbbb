"""MMEngine 0.1 to 0.10 (mmdet, mmseg, mmpose, …) and mmcv 1.x: files, and folders of its sharding strategies.

From mmengine ``hooks/checkpoint_hook.py``, ``runner/log_processor.py``, ``hooks/logger_hook.py`` and ``_strategy/``.
Epochs and iterations in names count from 1. A training of epochs writes validation rows whose ``step`` is the epoch,
and training rows that have both: so those of epochs and of iterations are layouts of their own.
"""

from __future__ import annotations

from ckptctl.layouts.schema import FileLayout, FolderLayout, Layout, MetricSource, OriginFile, PointerFile, Slimming

_BEST = r"(?:(?P<best>best)_[^/]+_)?"
"""One for each metric, its slashes written ``_``; training itself removes the one before."""
_EPOCH = _BEST + r"epoch_(?P<epoch>\d+)"
_ITER = _BEST + r"iter_(?P<step>\d+)"
_PUBLISHED = r"(?:-(?P<derived>[0-9a-f]{8}))?\.pth"
"""Made at the end of training for others to use: the keys that are meant for them, under their hash."""
_LATEST = r"(?P<last>latest)\.pth"
_FOLDERS = (_EPOCH + r"\.pth", _ITER + r"\.pth")
_METRICS = ("*/*", "*loss*", "*[A-Z]*", "*acc*", "*top*", "*err*")
"""Not ``lr``, ``time``, ``data_time``, ``memory``, ``grad_norm``."""
_BESIDE = tuple("[0-9]*_[0-9]* *.py *.log *.log.json *.pkl *.json events.out.tfevents.* tf_logs vis_data".split())
_POINTERS = (PointerFile("last_checkpoint", "name"),)
_EPOCH_SOURCES = (
    MetricSource("*/vis_data/scalars.json", "below", "jsonl", column="epoch|step", by="epoch", take=_METRICS),
    MetricSource("*.log.json", "beside", "jsonl", column="epoch", by="epoch", take=_METRICS),
)
_ITER_SOURCES = (
    MetricSource("*/vis_data/scalars.json", "below", "jsonl", column="step", by="step", take=_METRICS),
    MetricSource("*.log.json", "beside", "jsonl", column="iter", by="step", take=_METRICS),
)
_EPOCH_NUMBERS = MetricSource("", "inside", "torch", take=(), numbers={"epoch": "meta/epoch", "step": "meta/iter"})
_SLIMMING = Slimming(drop=("optimizer", "param_schedulers", "message_hub", "optimizer_states"))
_WITNESSES = ("last_checkpoint", "*.log.json")

LAYOUTS: tuple[Layout, ...] = (
    FolderLayout(
        name="mmengine-fsdp",
        extensions=(".pth",),
        names=_FOLDERS,
        sentinels=("rank[0-9]*.pth",),
        required=("rank0.pth",),
        ranks=(r"rank(\d+)\.pth",),
        beside=_BESIDE,
        origins=(OriginFile("config.py", ("load_from",), "load_from = 'runs/a/x'"),),  # in vis_data
        pointers=_POINTERS,
        sources=_EPOCH_SOURCES,
        epoch_base=1,
        slimming=Slimming(refuse="each rank's file holds weights and optimizer state together"),
        examples=("epoch_12.pth", "iter_20000.pth", "best_coco_bbox_mAP_epoch_12.pth"),
    ),
    FolderLayout(
        name="mmengine-colossalai",
        extensions=(".pth",),
        names=_FOLDERS,
        sentinels=(("meta.pth", "model"),),
        hints=("model",),
        required=("meta.pth", "model"),
        beside=_BESIDE,
        pointers=_POINTERS,
        sources=_EPOCH_SOURCES,
        epoch_base=1,
        slimming=Slimming(files=("optimizer", "scheduler"), require=("model",)),
        examples=("epoch_3.pth", "iter_2000.pth"),
    ),
    FolderLayout(
        name="mmengine-deepspeed",
        extensions=(".pth",),
        names=_FOLDERS,
        sentinels=("*_model_states.pt",),
        hints=("*_optim_states.pt",),
        required=("*_model_states.pt",),
        ranks=(
            r"mp_rank_(\d+)_model_states\.pt",
            r"zero_pp_rank_(\d+)_mp_rank_(\d+)_model_states\.pt",
            r"(?:bf16_)?zero_pp_rank_(\d+)_mp_rank_(\d+)_optim_states\.pt",
        ),
        beside=_BESIDE,
        pointers=_POINTERS,
        sources=_EPOCH_SOURCES,
        epoch_base=1,
        slimming=Slimming(refuse="under ZeRO the optimizer's files hold the only full-precision weights"),
        examples=("epoch_12.pth", "iter_20000.pth"),
    ),
    FileLayout(
        name="mmengine",
        extensions=(".pth",),
        names=(_EPOCH + _PUBLISHED, _LATEST),
        neighbors=_WITNESSES,
        beside=_BESIDE,
        pointers=_POINTERS,
        sources=(*_EPOCH_SOURCES, _EPOCH_NUMBERS),
        epoch_base=1,
        slimming=_SLIMMING,
        examples=tuple(
            """epoch_12.pth best_coco_bbox_mAP_epoch_12.pth epoch_12-1a2b3c4d.pth
            best_accuracy_top1_epoch_9-0f1e2d3c.pth latest.pth""".split()
        ),
    ),
    FileLayout(
        name="mmengine-iter",
        extensions=(".pth",),
        names=(_ITER + _PUBLISHED,),
        neighbors=_WITNESSES,
        beside=_BESIDE,
        pointers=_POINTERS,
        sources=_ITER_SOURCES,
        epoch_base=1,
        slimming=_SLIMMING,
        examples=("iter_20000.pth", "best_mIoU_iter_16000.pth", "iter_20000-1a2b3c4d.pth"),
    ),
)
