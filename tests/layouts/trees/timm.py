"""Runs of timm, MAE and DETR."""

from __future__ import annotations

import json

from tests.layouts.tree import Expected, Tree, torch_file

_TOP1 = ("10.25", "20.5", "30.75", "30.75")
_LOSS = ("6.5", "5.25", "4.125", "4.5")
_ARGS = b"model: resnet50\neval_metric: top1\nepochs: 300\n"
_SUMMARY = "epoch,train_loss,eval_loss,eval_top1,eval_top5,lr\n"


def _summary(epochs: int) -> bytes:
    rows = (f"{it},6.75,{_LOSS[it]},{_TOP1[it]},50.0,0.001\n" for it in range(epochs))
    return (_SUMMARY + "".join(rows)).encode()


def _measured(epoch: int) -> dict[str, float]:
    return {"train_loss": 6.75, "eval_loss": float(_LOSS[epoch]), "eval_top1": float(_TOP1[epoch]), "eval_top5": 50.0}


def _timm(epoch: int, metric: float | None = None) -> bytes:
    state: dict[str, object] = {
        "epoch": epoch,
        "arch": "resnet50",
        "state_dict": {},
        "optimizer": {"state": {}, "param_groups": []},
        "version": 2,
        "args": {"model": "resnet50"},
        "amp_scaler": {"scale": 65536.0},
    }
    return torch_file(state if metric is None else state | {"metric": metric})


def _log(epoch: int) -> str:
    return json.dumps({"train_lr": 0.0001, "train_loss": 2.5 - epoch / 1000, "test_acc1": 50.0, "epoch": epoch}) + "\n"


def _log_metrics(epoch: int) -> dict[str, float]:
    return {"train_loss": 2.5 - epoch / 1000, "test_acc1": 50.0}


def _script(epoch: int) -> bytes:
    return torch_file({"model": {}, "optimizer": {}, "epoch": epoch, "scaler": {}, "args": {"lr": 0.0001}})


TREES = (
    Tree(
        "timm, a tie for the best, which stays the earlier",
        "timm",
        {
            "args.yaml": _ARGS,
            "summary.csv": _summary(4),
            "train-batch-0.jpg": b"\xff\xd8",
            **{f"checkpoint-{it}.pth.tar": _timm(it, float(_TOP1[it])) for it in range(4)},
        },
        tuple(Expected(f"checkpoint-{it}.pth.tar", epoch=it, metrics=_measured(it)) for it in range(4)),
        hard_links={"last.pth.tar": "checkpoint-3.pth.tar", "model_best.pth.tar": "checkpoint-2.pth.tar"},
        pointers={"last.pth.tar": "checkpoint-3.pth.tar", "model_best.pth.tar": "checkpoint-2.pth.tar"},
        monitor="eval_top1",
        mode="max",
    ),
    Tree(
        "timm, one file with three names, killed in the middle of a save",
        "timm",
        {
            "args.yaml": _ARGS,
            "summary.csv": _summary(3),
            **{f"checkpoint-{it}.pth.tar": _timm(it, float(_TOP1[it])) for it in range(3)},
            "checkpoint-3.pth.tar": _timm(3, 30.75)[:-30],
            "recovery-3-500.pth.tar": _timm(3),
            "tmp.pth.tar": _timm(4, 31.0)[:100],
            "recovery_tmp.pth.tar": b"",
        },
        (
            Expected("recovery_tmp.pth.tar", state="partial"),
            Expected("tmp.pth.tar", state="partial"),
            *(Expected(f"checkpoint-{it}.pth.tar", epoch=it, metrics=_measured(it)) for it in range(3)),
            Expected("checkpoint-3.pth.tar", epoch=3, state="damaged"),
            Expected("recovery-3-500.pth.tar", epoch=3, roles=("recovery",), layout="timm-recovery"),
        ),
        hard_links={"last.pth.tar": "checkpoint-2.pth.tar", "model_best.pth.tar": "checkpoint-2.pth.tar"},
        pointers={"last.pth.tar": "checkpoint-2.pth.tar", "model_best.pth.tar": "checkpoint-2.pth.tar"},
        monitor="eval_top1",
        mode="max",
    ),
    Tree(
        "timm where nothing can be linked, so that best and last are copies",
        "timm",
        {
            "args.yaml": _ARGS.replace(b"top1", b"loss"),
            "summary.csv": _summary(3),
            "checkpoint-1.pth.tar": _timm(1, 5.25),
            "checkpoint-2.pth.tar": _timm(2, 4.125),
            "model_best.pth.tar": _timm(2, 4.125),
            "last.pth.tar": _timm(2, 4.125),
        },
        (
            Expected("checkpoint-1.pth.tar", epoch=1, metrics=_measured(1)),
            Expected("checkpoint-2.pth.tar", epoch=2, metrics=_measured(2)),
            Expected("last.pth.tar", epoch=2, metrics={"eval_metric": 4.125}, roles=("last",)),
            Expected("model_best.pth.tar", epoch=2, metrics={"eval_metric": 4.125}, roles=("best",)),
        ),
        monitor="eval_loss",
        mode="min",
    ),
    Tree(
        "MAE, every 20 epochs",
        "mae",
        {
            "log.txt": "".join(map(_log, range(60))).encode(),
            "events.out.tfevents.1.host": b"x",
            **{f"checkpoint-{it}.pth": _script(it) for it in (0, 20, 40, 59)},
        },
        tuple(Expected(f"checkpoint-{it}.pth", epoch=it, metrics=_log_metrics(it)) for it in (0, 20, 40, 59)),
    ),
    Tree(
        "MAE, the newest cut short",
        "mae",
        {
            "log.txt": "".join(map(_log, range(41))).encode() + b'{"train_lr": 0.0',
            "checkpoint-20.pth": _script(20),
            "checkpoint-40.pth": _script(40),
            "checkpoint-59.pth": _script(59)[:-30],
            ".checkpoint-40.pth.Xa81kQ": _script(40)[:50],
        },
        (
            Expected("checkpoint-20.pth", epoch=20, metrics=_log_metrics(20)),
            Expected("checkpoint-40.pth", epoch=40, metrics=_log_metrics(40)),
            Expected("checkpoint-59.pth", epoch=59, state="damaged"),
        ),
        strays=(".checkpoint-40.pth.Xa81kQ",),
    ),
    Tree(
        "DETR, whose evaluations are torch files too",
        "detr",
        {
            "log.txt": "".join(map(_log, range(251))).encode(),
            "checkpoint0099.pth": _script(99),
            "checkpoint0199.pth": _script(199),
            "checkpoint.pth": _script(250),
            "eval/latest.pth": torch_file({"precision": []}),
            "eval/050.pth": torch_file({"precision": []}),
        },
        (
            Expected("checkpoint0099.pth", epoch=99, metrics=_log_metrics(99)),
            Expected("checkpoint0199.pth", epoch=199, metrics=_log_metrics(199)),
            Expected("checkpoint.pth", epoch=250, roles=("last",)),
        ),
    ),
    Tree(
        "DETR, killed while it wrote the one that is written over",
        "detr",
        {
            "log.txt": "".join(map(_log, range(103))).encode(),
            "checkpoint0099.pth": _script(99),
            "checkpoint.pth": _script(102)[:-30],
        },
        (
            Expected("checkpoint.pth", state="damaged", roles=("last",)),
            Expected("checkpoint0099.pth", epoch=99, metrics=_log_metrics(99)),
        ),
    ),
    Tree(
        "a milestone, which timm never rotates",
        "timm",
        {"summary.csv": b"epoch,eval_loss\n", **{f"checkpoint-{it}.pth.tar": torch_file() for it in (7, 8, 9)}}
        | {"milestone-5.pth.tar": torch_file({"epoch": 4})},
        (
            Expected("milestone-5.pth.tar", roles=("named",), layout="timm-milestone"),
            *(Expected(f"checkpoint-{it}.pth.tar", epoch=it) for it in (7, 8, 9)),
        ),
    ),
)
