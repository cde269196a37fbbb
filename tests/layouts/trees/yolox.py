"""Runs of YOLOX."""

from __future__ import annotations

from tests.layouts.tree import Expected, Tree, torch_file


def _state(done: int, current: float | None, best: float) -> bytes:
    return torch_file(
        {"start_epoch": done, "model": {}, "optimizer": {"state": {}}, "best_ap": best, "curr_ap": current}
    )


_BESIDE = {"train_log.txt": b"x", "tensorboard/events.out.tfevents.1.host": b"x"}

TREES = (
    Tree(
        "yolox with its history",
        "yolox",
        {
            **_BESIDE,
            "epoch_1_ckpt.pth": _state(1, 0.25, 0.25),
            "epoch_2_ckpt.pth": _state(2, 0.5, 0.5),
            "epoch_3_ckpt.pth": _state(3, 0.375, 0.5),
            "latest_ckpt.pth": _state(3, None, 0.5),
            "last_epoch_ckpt.pth": _state(3, 0.375, 0.5),
            "last_mosaic_epoch_ckpt.pth": _state(2, None, 0.25),
            "best_ckpt.pth": _state(2, 0.5, 0.5),
        },
        (
            Expected("epoch_1_ckpt.pth", epoch=1, metrics={"curr_ap": 0.25}),
            Expected("best_ckpt.pth", epoch=2, metrics={"curr_ap": 0.5}, roles=("best",)),
            Expected("epoch_2_ckpt.pth", epoch=2, metrics={"curr_ap": 0.5}),
            Expected("last_mosaic_epoch_ckpt.pth", epoch=2, roles=("last",)),
            Expected("epoch_3_ckpt.pth", epoch=3, metrics={"curr_ap": 0.375}),
            Expected("last_epoch_ckpt.pth", epoch=3, metrics={"curr_ap": 0.375}, roles=("last",)),
            Expected("latest_ckpt.pth", epoch=3, roles=("last",)),
        ),
    ),
    Tree(
        "yolox, killed while it wrote the latest",
        "yolox",
        {
            **_BESIDE,
            "epoch_1_ckpt.pth": _state(1, 0.25, 0.25),
            "epoch_2_ckpt.pth": _state(2, 0.5, 0.5),
            "latest_ckpt.pth": _state(3, None, 0.5)[:-30],
            ".latest_ckpt.pth.swp": b"x",
        },
        (
            Expected("latest_ckpt.pth", roles=("last",), state="damaged"),
            Expected("epoch_1_ckpt.pth", epoch=1, metrics={"curr_ap": 0.25}),
            Expected("epoch_2_ckpt.pth", epoch=2, metrics={"curr_ap": 0.5}),
        ),
        strays=(".latest_ckpt.pth.swp",),
    ),
)
