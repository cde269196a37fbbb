"""What ESPnet2 leaves in an experiment's folder."""

from __future__ import annotations

from tests.layouts.tree import Expected, Tree, torch_file

_MODEL = torch_file({"weight": 1.0})


def _phase(loss: float, acc: float) -> dict[str, object]:
    return {"loss": loss, "acc": acc, "total_count": 1200}


def _resume(scores: dict[int, tuple[float, float]]) -> bytes:
    """The state to resume from, with all that was measured: loss and accuracy of the validation."""
    stats = {epoch: {"train": _phase(1.5, 0.5), "valid": _phase(loss, acc)} for epoch, (loss, acc) in scores.items()}
    return torch_file(
        {"model": {}, "reporter": {"stats": stats, "epoch": max(scores)}, "optimizers": [], "scaler": None}
    )


def _found(epoch: int, loss: float, acc: float) -> Expected:
    measured = {"train/loss": 1.5, "train/acc": 0.5, "valid/loss": loss, "valid/acc": acc}
    return Expected(f"{epoch}epoch.pth", epoch=epoch, metrics=measured)


TREES = (
    Tree(
        "epochs, links to the latest and the best, and an average of two",
        "espnet",
        {
            **{f"{epoch}epoch.pth": _MODEL for epoch in (8, 9, 10)},
            "checkpoint.pth": _resume({8: (0.5, 0.8), 9: (0.3, 0.9), 10: (0.4, 0.85)}),
            "valid.acc.ave_2best.pth": _MODEL,
            "config.yaml": b"max_epoch: 10\n",
            "train.log": b"x",
            "images/acc.png": b"x",
            "tensorboard/valid/events.out.tfevents.1700000000.host": b"x",
        },
        (
            Expected("checkpoint.pth", roles=("resume",)),
            Expected("valid.acc.ave_2best.pth", roles=("derived",)),
            _found(8, 0.5, 0.8),
            _found(9, 0.3, 0.9),
            _found(10, 0.4, 0.85),
        ),
        links={
            "latest.pth": "10epoch.pth",
            "valid.acc.best.pth": "9epoch.pth",
            "valid.loss.best.pth": "9epoch.pth",
            "valid.acc.ave.pth": "valid.acc.ave_2best.pth",
        },
        pointers={
            "latest.pth": "10epoch.pth",
            "valid.acc.best.pth": "9epoch.pth",
            "valid.loss.best.pth": "9epoch.pth",
            "valid.acc.ave.pth": "valid.acc.ave_2best.pth",
        },
    ),
    Tree(
        "an average of one, by links of links",
        "espnet",
        {"8epoch.pth": _MODEL, "9epoch.pth": _MODEL, "checkpoint.pth": _resume({8: (0.5, 0.8), 9: (0.3, 0.9)})},
        (Expected("checkpoint.pth", roles=("resume",)), _found(8, 0.5, 0.8), _found(9, 0.3, 0.9)),
        links={
            "latest.pth": "9epoch.pth",
            "valid.acc.ave.pth": "valid.acc.ave_1best.pth",
            "valid.acc.ave_1best.pth": "9epoch.pth",
        },
        pointers={
            "latest.pth": "9epoch.pth",
            "valid.acc.ave.pth": "9epoch.pth",
            "valid.acc.ave_1best.pth": "9epoch.pth",
        },
    ),
    Tree(
        "the newest cut short",
        "espnet",
        {
            "8epoch.pth": _MODEL,
            "9epoch.pth": _MODEL[:-20],
            "checkpoint.pth": _resume({8: (0.5, 0.8), 9: (0.3, 0.9)}),
        },
        (
            Expected("checkpoint.pth", roles=("resume",)),
            _found(8, 0.5, 0.8),
            _found(9, 0.3, 0.9)._replace(state="damaged"),
        ),
        links={"latest.pth": "8epoch.pth"},
        pointers={"latest.pth": "8epoch.pth"},
    ),
)
