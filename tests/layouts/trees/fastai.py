"""Runs of fastai."""

from __future__ import annotations

from tests.layouts.tree import Expected, Tree, torch_file

_MODEL = torch_file({"model": {}, "opt": {"state": [], "hypers": []}})
_HISTORY = (
    b"epoch,train_loss,valid_loss,accuracy,time\n0,2.5,2.25,0.25,00:12\n1,1.5,1.25,0.5,00:12\n2,1.25,1.5,0.75,00:11\n"
)


def _measured(trained: float, valid: float, accuracy: float) -> dict[str, float]:
    return {"train_loss": trained, "valid_loss": valid, "accuracy": accuracy}


TREES = (
    Tree(
        "fastai, every epoch",
        "fastai",
        {"history.csv": _HISTORY, "export.pkl": b"\x80", **{f"models/model_{it}.pth": _MODEL for it in range(3)}},
        (
            Expected("models/model_0.pth", epoch=0, metrics=_measured(2.5, 2.25, 0.25)),
            Expected("models/model_1.pth", epoch=1, metrics=_measured(1.5, 1.25, 0.5)),
            Expected("models/model_2.pth", epoch=2, metrics=_measured(1.25, 1.5, 0.75)),
        ),
    ),
    Tree(
        "fastai, killed while it wrote the best; a stage that the user saved is nobody's",
        "fastai",
        {
            "history.csv": _HISTORY,
            "models/model_1.pth": _MODEL,
            "models/model.pth": _MODEL[:-20],
            "models/stage-1.pth": _MODEL,
        },
        (
            Expected("models/model.pth", roles=("best",), state="damaged"),
            Expected("models/model_1.pth", epoch=1, metrics=_measured(1.5, 1.25, 0.5)),
        ),
        left_out=("models/stage-1.pth",),
    ),
)
