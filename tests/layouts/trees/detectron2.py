"""Runs of Detectron2."""

from __future__ import annotations

import json

from tests.layouts.tree import Expected, Tree, json_file, torch_file


def _state(iteration: int) -> bytes:
    return torch_file({"model": {}, "optimizer": {"state": {}}, "scheduler": {}, "trainer": {}, "iteration": iteration})


def _rows(*rows: dict[str, float]) -> bytes:
    return "".join(json.dumps(row, sort_keys=True) + "\n" for row in rows).encode()


def _loss(iteration: int, loss: float) -> dict[str, float]:
    return {
        "iteration": iteration,
        "total_loss": loss,
        "loss_cls": loss / 2,
        "lr": 0.02,
        "time": 0.25,
        "data_time": 0.01,
        "eta_seconds": 900.0,
    }


def _measured(loss: float, average: float) -> dict[str, float]:
    return {"total_loss": loss, "loss_cls": loss / 2, "bbox/AP": average, "bbox/AP50": average + 20}


_BESIDE = {"config.yaml": b"VERSION: 2\n", "log.txt": b"[12/01 10:00:00 d2]\n", "events.out.tfevents.1.host.1.0": b"x"}

TREES = (
    Tree(
        "detectron2, trained to its end",
        "detectron2",
        {
            **_BESIDE,
            "metrics.json": _rows(
                _loss(979, 2.5),
                _loss(999, 2.0) | {"bbox/AP": 30.5, "bbox/AP50": 50.5},
                _loss(1999, 1.5) | {"bbox/AP": 41.25, "bbox/AP50": 61.25},
                _loss(2999, 1.25) | {"bbox/AP": 40.5, "bbox/AP50": 60.5},
            ),
            "model_0000999.pth": _state(999),
            "model_0001999.pth": _state(1999),
            "model_0002999.pth": _state(2999),
            "model_final.pth": _state(2999),
            "model_best.pth": _state(1999),
            "last_checkpoint": b"model_final.pth",
            "inference/coco_instances_results.json": json_file([]),
            "inference/instances_predictions.pth": torch_file({"predictions": []}),
        },
        (
            Expected("model_0000999.pth", step=999, metrics=_measured(2.0, 30.5)),
            Expected("model_0001999.pth", step=1999, metrics=_measured(1.5, 41.25)),
            Expected("model_best.pth", step=1999, roles=("best",)),
            Expected("model_0002999.pth", step=2999, metrics=_measured(1.25, 40.5)),
            Expected("model_final.pth", step=2999, roles=("final",)),
        ),
        pointers={"last_checkpoint": "model_final.pth"},
    ),
    Tree(
        "detectron2, killed after a best: that is what last_checkpoint names",
        "detectron2",
        {
            **_BESIDE,
            "metrics.json": _rows(
                _loss(999, 2.0),
                {"iteration": 1009, "bbox/AP": 29.0},
                _loss(999, 2.25),
                _loss(2019, 1.5) | {"bbox/AP": 41.25, "bbox/AP50": 61.25},
            )
            + b'{"iteration": 20',
            "model_0000019.pth": _state(19),
            "model_0001009.pth": _state(1009),
            "model_0001509.pth": _state(1509),
            "model_0002019.pth": _state(2019),
            "model_0003029.pth": _state(3029)[:-30],
            "model_best.pth": _state(2019),
            "last_checkpoint": b"model_best.pth",
            ".model_0003029.pth.partial": b"PK\x03\x04",
        },
        (
            Expected("model_0000019.pth", step=19),
            Expected("model_0001009.pth", step=1009, metrics={"bbox/AP": 29.0}),
            Expected("model_0001509.pth", step=1509),
            Expected("model_0002019.pth", step=2019, metrics=_measured(1.5, 41.25)),
            Expected("model_best.pth", step=2019, roles=("best",)),
            Expected("model_0003029.pth", step=3029, state="damaged"),
        ),
        pointers={"last_checkpoint": "model_best.pth"},
        strays=(".model_0003029.pth.partial",),
    ),
    Tree(
        "detectron2 without evaluation, saved between two rows of losses",
        "detectron2",
        {
            "metrics.json": _rows(_loss(999, 2.0), _loss(1999, 1.5), _loss(2999, 1.25)),
            "model_0001009.pth": _state(1009),
            "model_0002018.pth": _state(2018),
            "last_checkpoint": b"model_0002018.pth",
        },
        (
            Expected("model_0001009.pth", step=1009, metrics={"total_loss": 2.0, "loss_cls": 1.0}),
            Expected("model_0002018.pth", step=2018, metrics={"total_loss": 1.5, "loss_cls": 0.75}),
        ),
        pointers={"last_checkpoint": "model_0002018.pth"},
    ),
)
