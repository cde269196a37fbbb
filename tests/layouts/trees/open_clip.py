"""Runs of open_clip."""

from __future__ import annotations

import json
import pickle

from tests.layouts.tree import Expected, Tree, torch_file

_TOP1 = (20.5, 31.25, 42.5)


def _state(epoch: int) -> bytes:
    return torch_file(
        {
            "epoch": epoch,
            "name": "vit",
            "state_dict": {},
            "optimizer": {"state": {}},
            "scaler": {},
            "global_step": 100 * epoch,
            "samples_seen": 3200 * epoch,
        }
    )


def _results(epochs: int) -> bytes:
    rows = (
        {
            "imagenet-zeroshot-val-top1": _TOP1[epoch],
            "clip_val_loss": 3.5 - epoch,
            "image_to_text_R@1": 0.5,
            "epoch": epoch + 1,
            "num_samples": 5000,
        }
        for epoch in range(epochs)
    )
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def _measured(epoch: int) -> dict[str, float]:
    return {
        "imagenet-zeroshot-val-top1": _TOP1[epoch - 1],
        "clip_val_loss": 4.5 - epoch,
        "image_to_text_R@1": 0.5,
    }


_ABOVE = {"params.txt": b"model: ViT-B-32\n", "out.log": b"x", "tensorboard/events.out.tfevents.1.host": b"x"}


def _sharded(folder: str, epoch: int) -> dict[str, bytes]:
    return {
        f"{folder}/.metadata": pickle.dumps(["__0_0.distcp", "__1_0.distcp"], protocol=2),
        f"{folder}/__0_0.distcp": _state(epoch),
        f"{folder}/__1_0.distcp": _state(epoch),
        f"{folder}/_metadata_extra.pt": torch_file({"epoch": epoch, "name": "vit", "global_step": 100 * epoch}),
    }


TREES = (
    Tree(
        "open_clip, the latest a save of its own",
        "open_clip",
        {
            **_ABOVE,
            "checkpoints/results.jsonl": _results(3),
            **{f"checkpoints/epoch_{it}.pt": _state(it) for it in (1, 2, 3)},
            "checkpoints/epoch_latest.pt": _state(3),
        },
        (
            *(Expected(f"checkpoints/epoch_{it}.pt", epoch=it, metrics=_measured(it)) for it in (1, 2, 3)),
            Expected("checkpoints/epoch_latest.pt", epoch=3, step=300, roles=("last",)),
        ),
    ),
    Tree(
        "open_clip, killed while it saved",
        "open_clip",
        {
            **_ABOVE,
            "checkpoints/results.jsonl": _results(2),
            "checkpoints/epoch_1.pt": _state(1),
            "checkpoints/epoch_2.pt": _state(2),
            "checkpoints/epoch_3.pt": _state(3)[:-30],
            "checkpoints/tmp.pt": _state(3)[:50],
        },
        (
            Expected("checkpoints/tmp.pt", state="partial"),
            Expected("checkpoints/epoch_1.pt", epoch=1, metrics=_measured(1)),
            Expected("checkpoints/epoch_2.pt", epoch=2, metrics=_measured(2)),
            Expected("checkpoints/epoch_3.pt", epoch=3, state="damaged"),
        ),
    ),
    Tree(
        "open_clip in shards, killed between two saves of the latest",
        "open_clip-sharded",
        {
            **_ABOVE,
            "checkpoints/results.jsonl": _results(2),
            **_sharded("checkpoints/epoch_1", 1),
            **_sharded("checkpoints/epoch_2", 2),
            "checkpoints/epoch_3/__0_0.distcp": _state(3),
            **_sharded("checkpoints/epoch_latest", 2),
            "checkpoints/_tmp_latest/__1_0.distcp": _state(3),
        },
        (
            Expected("checkpoints/_tmp_latest", state="partial"),
            Expected("checkpoints/epoch_1", epoch=1, metrics=_measured(1)),
            Expected("checkpoints/epoch_2", epoch=2, metrics=_measured(2)),
            Expected("checkpoints/epoch_latest", epoch=2, step=200, roles=("last",)),
            Expected("checkpoints/epoch_3", epoch=3, state="partial"),
        ),
    ),
)
