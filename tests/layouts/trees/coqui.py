"""Runs of Coqui TTS."""

from __future__ import annotations

from tests.layouts.tree import Expected, Tree, json_file, torch_file


def _state(step: int, epoch: int, loss: object) -> bytes:
    return torch_file(
        {
            "config": {"model": "vits", "lr": 0.0002},
            "model": {},
            "optimizer": [{"state": {}}],
            "scheduler": [{}],
            "scaler": None,
            "step": step,
            "epoch": epoch,
            "date": "January 01, 2026",
            "model_loss": loss,
        }
    )


def _losses(train: float, evaluated: float) -> dict[str, float]:
    return {"train_loss": train, "eval_loss": evaluated}


_BESIDE = {
    "config.json": json_file({"model": "vits", "save_step": 1000}),
    "trainer_0_log.txt": b"EPOCH: 0/1000\n",
    "events.out.tfevents.1.host.1.0": b"x",
    "train_vits.py": b"pass\n",
}
_BEST = _state(1931, 3, _losses(2.25, 2.125))

TREES = (
    Tree(
        "coqui, the best a copy of the numbered best",
        "coqui",
        {
            **_BESIDE,
            "checkpoint_1000.pth": _state(1000, 1, _losses(3.5, 3.25)),
            "best_model_1931.pth": _BEST,
            "best_model.pth": _BEST,
            "checkpoint_2000.pth": _state(2000, 3, _losses(2.5, 2.25)),
        },
        (
            Expected("checkpoint_1000.pth", epoch=1, step=1000, metrics=_losses(3.5, 3.25)),
            Expected("best_model.pth", epoch=3, step=1931, metrics=_losses(2.25, 2.125), roles=("best",)),
            Expected("best_model_1931.pth", epoch=3, step=1931, metrics=_losses(2.25, 2.125), roles=("best",)),
            Expected("checkpoint_2000.pth", epoch=3, step=2000, metrics=_losses(2.5, 2.25)),
        ),
    ),
    Tree(
        "coqui of old, whose loss is one number, killed while it saved",
        "coqui",
        {
            **_BESIDE,
            "checkpoint_1000.pth": _state(1000, 1, 3.5),
            "checkpoint_2000.pth": _state(2000, 2, 2.5),
            "checkpoint_3000.pth": _state(3000, 3, 2.25)[:-30],
            ".checkpoint_3000.pth.Qw2e": b"PK",
        },
        (
            Expected("checkpoint_1000.pth", epoch=1, step=1000, metrics={"model_loss": 3.5}),
            Expected("checkpoint_2000.pth", epoch=2, step=2000, metrics={"model_loss": 2.5}),
            Expected("checkpoint_3000.pth", step=3000, state="damaged"),
        ),
        strays=(".checkpoint_3000.pth.Qw2e",),
    ),
)
