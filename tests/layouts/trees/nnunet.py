"""Runs of nnU-Net."""

from __future__ import annotations

from tests.layouts.tree import Expected, Tree, json_file, torch_file


def _state(done: int) -> bytes:
    return torch_file(
        {
            "network_weights": {},
            "optimizer_state": {"state": {}},
            "grad_scaler_state": {"scale": 65536.0},
            "logging": {"mean_fg_dice": [0.5, 0.75], "ema_fg_dice": [0.5, 0.525], "train_losses": [0.5, 0.25]},
            "_best_ema": 0.75,
            "current_epoch": done,
            "init_args": {"configuration": "3d_fullres", "fold": 0},
            "trainer_name": "nnUNetTrainer",
            "inference_allowed_mirroring_axes": [0, 1, 2],
        }
    )


_ABOVE = {"plans.json": json_file({}), "dataset.json": json_file({})}
_BESIDE = {
    "fold_0/training_log_2026_1_1_12_00_00.txt": b"x",
    "fold_0/progress.png": b"x",
    "fold_0/debug.json": json_file({}),
}

TREES = (
    Tree(
        "nnunet, a fold that is done",
        "nnunet",
        {
            **_ABOVE,
            **_BESIDE,
            "fold_0/validation/summary.json": json_file({"foreground_mean": {"Dice": 0.875}}),
            "fold_0/checkpoint_best.pth": _state(873),
            "fold_0/checkpoint_final.pth": _state(1000),
        },
        (
            Expected("fold_0/checkpoint_best.pth", epoch=873, roles=("best",)),
            Expected("fold_0/checkpoint_final.pth", epoch=1000, roles=("final",)),
        ),
    ),
    Tree(
        "nnunet, killed while it wrote the latest",
        "nnunet",
        {
            **_ABOVE,
            **_BESIDE,
            "fold_0/checkpoint_best.pth": _state(73),
            "fold_0/checkpoint_latest.pth": _state(100)[:-30],
            "fold_0/.checkpoint_best.pth.x9": b"PK",
        },
        (
            Expected("fold_0/checkpoint_latest.pth", roles=("last",), state="damaged"),
            Expected("fold_0/checkpoint_best.pth", epoch=73, roles=("best",)),
        ),
        strays=("fold_0/.checkpoint_best.pth.x9",),
    ),
)
