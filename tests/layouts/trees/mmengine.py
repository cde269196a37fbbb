"""Runs of MMEngine and of mmcv 1."""

from __future__ import annotations

import json

from tests.layouts.tree import Expected, Tree, torch_file

_STAMP = "20260101_120000"
_LATER = "20260102_090000"


def _state(epoch: int, step: int, *, is_best: bool = False) -> bytes:
    state: dict[str, object] = {
        "meta": {
            "epoch": epoch,
            "iter": step,
            "seed": 0,
            "experiment_name": f"run_{_STAMP}",
            "mmengine_version": "0.10",
        },
        "state_dict": {},
        "message_hub": {"runtime_info": {"best_score": 0.5, "best_ckpt": "work_dirs/run/best.pth"}},
    }
    return torch_file(state if is_best else state | {"optimizer": {"state": {}}, "param_schedulers": [{}]})


def _rows(*rows: dict[str, float]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def _trained(epoch: int, loss: float, step: int) -> dict[str, float]:
    times = {"lr": 0.02, "data_time": 0.01, "time": 0.25, "memory": 3000}
    return times | {"loss": loss, "loss_cls": loss / 2, "epoch": epoch, "iter": step, "step": step}


def _tested(step: int, average: float) -> dict[str, float]:
    return {"coco/bbox_mAP": average, "coco/bbox_mAP_50": average + 0.25, "data_time": 0.01, "time": 0.2, "step": step}


def _losses(loss: float) -> dict[str, float]:
    return {"loss": loss, "loss_cls": loss / 2}


def _averages(average: float) -> dict[str, float]:
    return {"coco/bbox_mAP": average, "coco/bbox_mAP_50": average + 0.25}


_SCALARS = _rows(
    _trained(1, 2.0, 2),
    _trained(1, 1.75, 4),
    _trained(2, 1.5, 8),
    _tested(2, 0.25),
    _trained(3, 1.25, 12),
)
_RESUMED = _rows(_trained(4, 1.0, 16), _tested(4, 0.5))


def _logs(stamp: str, scalars: bytes) -> dict[str, bytes]:
    return {
        f"{stamp}/{stamp}.log": b"2026/01/01 12:00:00 - mmengine - INFO\n",
        f"{stamp}/vis_data/{stamp}.json": scalars,
        f"{stamp}/vis_data/scalars.json": scalars,
        f"{stamp}/vis_data/config.py": b"max_epochs = 4\n",
    }


TREES = (
    Tree(
        "mmengine, resumed once, tested every second epoch; steps of rows are iterations or epochs",
        "mmengine",
        {
            "faster-rcnn.py": b"max_epochs = 4\n",
            **_logs(_STAMP, _SCALARS),
            **_logs(_LATER, _RESUMED),
            **{f"epoch_{it}.pth": _state(it, 4 * it) for it in range(1, 5)},
            "best_coco_bbox_mAP_epoch_4.pth": _state(4, 16, is_best=True),
            "epoch_4-1a2b3c4d.pth": torch_file({"meta": {"epoch": 4, "iter": 16}, "state_dict": {}}),
            "last_checkpoint": b"/mnt/old/work_dirs/faster-rcnn/epoch_4.pth",
        },
        (
            Expected("epoch_1.pth", epoch=1, metrics=_losses(1.75)),
            Expected("epoch_2.pth", epoch=2, metrics=_losses(1.5) | _averages(0.25)),
            Expected("epoch_3.pth", epoch=3, metrics=_losses(1.25)),
            Expected("best_coco_bbox_mAP_epoch_4.pth", epoch=4, metrics=_losses(1.0) | _averages(0.5), roles=("best",)),
            Expected("epoch_4-1a2b3c4d.pth", epoch=4, metrics=_losses(1.0) | _averages(0.5), roles=("derived",)),
            Expected("epoch_4.pth", epoch=4, metrics=_losses(1.0) | _averages(0.5)),
        ),
        pointers={"last_checkpoint": "epoch_4.pth"},
    ),
    Tree(
        "mmengine by iterations, killed while it saved",
        "mmengine-iter",
        {
            **_logs(
                _STAMP,
                _rows(
                    {"loss": 2.0, "lr": 0.01, "iter": 1000, "step": 1000},
                    {"mIoU": 30.5, "aAcc": 80.25, "step": 1000},
                    {"loss": 1.5, "lr": 0.01, "iter": 2000, "step": 2000},
                    {"mIoU": 40.5, "aAcc": 85.5, "step": 2000},
                ),
            ),
            "iter_1000.pth": _state(0, 1000),
            "iter_2000.pth": _state(0, 2000),
            "iter_3000.pth": _state(0, 3000)[:-30],
            "best_mIoU_iter_2000.pth": _state(0, 2000, is_best=True),
            "last_checkpoint": b"work_dirs/seg/iter_2000.pth",
            ".iter_3000.pth.k2Hs9d": b"PK",
        },
        (
            Expected("iter_1000.pth", step=1000, metrics={"loss": 2.0, "mIoU": 30.5, "aAcc": 80.25}),
            Expected(
                "best_mIoU_iter_2000.pth",
                step=2000,
                metrics={"loss": 1.5, "mIoU": 40.5, "aAcc": 85.5},
                roles=("best",),
            ),
            Expected("iter_2000.pth", step=2000, metrics={"loss": 1.5, "mIoU": 40.5, "aAcc": 85.5}),
            Expected("iter_3000.pth", step=3000, state="damaged"),
        ),
        pointers={"last_checkpoint": "iter_2000.pth"},
        strays=(".iter_3000.pth.k2Hs9d",),
    ),
    Tree(
        "mmcv 1, with a link to the latest, which is cut short",
        "mmengine",
        {
            f"{_STAMP}.log": b"2020-01-01 - mmdet - INFO\n",
            f"{_STAMP}.log.json": _rows(
                {"seed": 0},
                {"epoch": 1, "iter": 50, "lr": 0.02, "memory": 3000, "loss": 1.5, "time": 0.25},
                {"epoch": 1, "iter": 625, "lr": 0.02, "bbox_mAP": 0.25},
                {"epoch": 2, "iter": 50, "lr": 0.02, "memory": 3000, "loss": 1.25, "time": 0.25},
                {"epoch": 2, "iter": 625, "lr": 0.02, "bbox_mAP": 0.5},
            ),
            "faster_rcnn.py": b"total_epochs = 2\n",
            "epoch_1.pth": torch_file({"meta": {"epoch": 1, "iter": 100}, "state_dict": {}, "optimizer": {}}),
            "epoch_2.pth": torch_file({"meta": {"epoch": 2, "iter": 200}, "state_dict": {}, "optimizer": {}}),
            "epoch_3.pth": torch_file({"meta": {"epoch": 3, "iter": 300}, "state_dict": {}, "optimizer": {}})[:-30],
        },
        (
            Expected("epoch_1.pth", epoch=1, metrics={"loss": 1.5, "bbox_mAP": 0.25}),
            Expected("epoch_2.pth", epoch=2, metrics={"loss": 1.25, "bbox_mAP": 0.5}),
            Expected("epoch_3.pth", epoch=3, state="damaged"),
        ),
        links={"latest.pth": "epoch_3.pth"},
        pointers={"latest.pth": "epoch_3.pth"},
    ),
    Tree(
        "mmengine with FSDP, the newest without its second rank",
        "mmengine-fsdp",
        {
            **_logs(_STAMP, _SCALARS),
            **{f"epoch_{it}.pth/rank{rank}.pth": _state(it, 4 * it) for it in (1, 2) for rank in (0, 1)},
            "epoch_3.pth/rank0.pth": _state(3, 12),
            "last_checkpoint": b"work_dirs/run/epoch_2.pth",
        },
        (
            Expected("epoch_1.pth", epoch=1, metrics=_losses(1.75)),
            Expected("epoch_2.pth", epoch=2, metrics=_losses(1.5) | _averages(0.25)),
            Expected("epoch_3.pth", epoch=3, metrics=_losses(1.25), state="doubtful"),
        ),
        pointers={"last_checkpoint": "epoch_2.pth"},
    ),
    Tree(
        "mmengine with DeepSpeed, the newest without one rank's optimizer",
        "mmengine-deepspeed",
        {
            **_logs(_STAMP, _SCALARS),
            **{
                f"epoch_{epoch}.pth/{name}": torch_file({"module": {}})
                for epoch in (1, 2)
                for name in (
                    "mp_rank_00_model_states.pt",
                    "zero_pp_rank_0_mp_rank_00_optim_states.pt",
                    "zero_pp_rank_1_mp_rank_00_optim_states.pt",
                )
            },
            "epoch_3.pth/mp_rank_00_model_states.pt": torch_file({"module": {}}),
            "epoch_3.pth/zero_pp_rank_1_mp_rank_00_optim_states.pt": torch_file({}),
            "last_checkpoint": b"work_dirs/run/epoch_2.pth",
        },
        (
            Expected("epoch_1.pth", epoch=1, metrics=_losses(1.75)),
            Expected("epoch_2.pth", epoch=2, metrics=_losses(1.5) | _averages(0.25)),
            Expected("epoch_3.pth", epoch=3, metrics=_losses(1.25), state="partial"),
        ),
        pointers={"last_checkpoint": "epoch_2.pth"},
    ),
    Tree(
        "mmengine with ColossalAI, killed before the newest was done",
        "mmengine-colossalai",
        {
            "last_checkpoint": b"work_dirs/run/epoch_1.pth",
            "epoch_1.pth/meta.pth": torch_file({"meta": {"epoch": 1}}),
            "epoch_1.pth/model/pytorch_model.bin": torch_file({}),
            "epoch_1.pth/optimizer/pytorch_optim.bin": torch_file({}),
            "epoch_1.pth/scheduler/scheduler_0.pth": torch_file({}),
            "epoch_2.pth/model/pytorch_model.bin": torch_file({}),
        },
        (Expected("epoch_1.pth", epoch=1), Expected("epoch_2.pth", epoch=2, state="partial")),
        pointers={"last_checkpoint": "epoch_1.pth"},
    ),
)
