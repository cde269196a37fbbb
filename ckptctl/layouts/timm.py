"""timm 0.4 to 1.0, and the training scripts of MAE, ConvNeXt, BEiT, and of DETR, DeiT and DINO.

From timm ``utils/checkpoint_saver.py`` and ``utils/summary.py``, mae ``util/misc.py``, detr ``main.py``. Epochs count
from 0, in names, inside and in tables. timm saves ``tmp``, renames it to ``last``, and makes the others hard links of
that, so three names may be one file. The extension says tar, the content is torch's zip.
"""

from __future__ import annotations

from ckptctl.layouts.schema import FileLayout, Layout, MetricSource, OriginFile, RecordedMetric, Slimming

_BESIDE = ("summary.csv", "args.yaml", "train-batch-*.jpg", "log.txt", "events.out.tfevents.*")
_WITNESSES = ("summary.csv", "args.yaml", "checkpoint-[0-9]*.pth.tar", "recovery-[0-9]*.pth.tar", "last.pth.tar")
_SLIMMING = Slimming(drop=("optimizer", "amp_scaler", "amp"))
_LOG = MetricSource(
    "log.txt",
    "beside",
    "jsonl",
    column="epoch",
    by="epoch",
    take=("test_*", "train_loss*", "train_acc*", "train_class_*"),
)
_EPOCH_INSIDE = MetricSource("", "inside", "torch", take=(), numbers={"epoch": "epoch"})
_METRIC = MetricSource(
    "", "inside", "torch", take=("metric",), names={"metric": "eval_metric"}, numbers={"epoch": "epoch"}
)

LAYOUTS: tuple[Layout, ...] = (
    FileLayout(
        name="timm",
        extensions=(".pth.tar",),
        names=(r"checkpoint-(?P<epoch>\d+)\.pth\.tar", r"model_(?P<best>best)\.pth\.tar", r"(?P<last>last)\.pth\.tar"),
        neighbors=_WITNESSES,
        beside=_BESIDE,
        origins=(OriginFile("args.yaml", ("resume", "initial_checkpoint"), "resume: runs/a/x"),),
        in_progress=(r"tmp\.pth\.tar", r"recovery_tmp\.pth\.tar"),
        sources=(
            MetricSource("summary.csv", "beside", "csv", column="epoch", by="epoch", take=("train_*", "eval_*")),
            _METRIC,
        ),
        recorded=(
            RecordedMetric(
                "args.yaml",
                "beside",
                "yaml",
                monitor="eval_metric",
                prefix="eval_",
                mode="eval_metric",
                modes={"loss": "min", "top1": "max", "top5": "max"},
            ),
        ),
        slimming=_SLIMMING,
        examples=("checkpoint-12.pth.tar", "model_best.pth.tar", "last.pth.tar"),
    ),
    FileLayout(  # in the middle of an epoch, so that nothing which was measured at its end is about it
        name="timm-recovery",
        extensions=(".pth.tar",),
        names=(r"(?P<recovery>recovery)-(?P<epoch>\d+)-\d+\.pth\.tar",),
        neighbors=_WITNESSES,
        beside=_BESIDE,
        slimming=_SLIMMING,
        examples=("recovery-3-500.pth.tar",),
    ),
    FileLayout(  # a hard link of the moment, which timm never rotates; the number counts finished epochs
        name="timm-milestone",
        extensions=(".pth.tar",),
        names=(r"(?P<named>milestone)-\d+\.pth\.tar",),
        neighbors=_WITNESSES,
        beside=_BESIDE,
        slimming=_SLIMMING,
        examples=("milestone-50.pth.tar",),
    ),
    FileLayout(
        name="mae",
        extensions=(".pth",),
        names=(r"checkpoint-(?P<epoch>\d+)\.pth", r"checkpoint-(?P<best>best)(?:-ema)?\.pth"),
        neighbors=("log.txt",),
        beside=("log.txt", "events.out.tfevents.*", "*.yaml"),
        sources=(_LOG, _EPOCH_INSIDE),
        slimming=Slimming(drop=("optimizer", "scaler")),
        examples=("checkpoint-799.pth", "checkpoint-best.pth", "checkpoint-best-ema.pth"),
    ),
    FileLayout(
        name="detr",
        extensions=(".pth",),
        names=(r"checkpoint(?P<epoch>\d{4,})\.pth", r"(?P<last>checkpoint)\.pth", r"(?P<best>best)_checkpoint\.pth"),
        neighbors=("log.txt",),
        beside=("log.txt", "eval", "eval.pth", "events.out.tfevents.*"),
        sources=(_LOG, _EPOCH_INSIDE),
        slimming=Slimming(drop=("optimizer", "lr_scheduler", "scaler")),
        examples=("checkpoint0099.pth", "checkpoint.pth", "best_checkpoint.pth"),
    ),
)
