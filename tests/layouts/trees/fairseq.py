"""What fairseq leaves in a folder."""

from __future__ import annotations

from tests.layouts.tree import Expected, Tree, torch_file

_WHOLE = torch_file({"model": {}, "last_optimizer_state": {}, "extra_state": {"val_loss": 2.5}})


def _shards(stem: str, shards: tuple[int, ...] = (0, 1, 2)) -> dict[str, bytes]:
    return {f"{stem}-shard{shard}.pt": _WHOLE for shard in shards}


_LAST = (
    Expected("checkpoint_best.pt", roles=("best",)),
    Expected("checkpoint_last.pt", roles=("last",)),
)

TREES = (
    Tree(
        "epochs, updates, the best and the last",
        "fairseq",
        {
            **{f"checkpoint{epoch}.pt": _WHOLE for epoch in (1, 2, 3)},
            "checkpoint_4_5000.pt": _WHOLE,
            "checkpoint_best.pt": _WHOLE,
            "checkpoint_last.pt": _WHOLE,
            "train.log": b"x",
        },
        (
            *_LAST,
            *(Expected(f"checkpoint{epoch}.pt", epoch=epoch) for epoch in (1, 2, 3)),
            Expected("checkpoint_4_5000.pt", epoch=4, step=5000),
        ),
    ),
    Tree(
        "the best few, whose last digits are drawn by lot",
        "fairseq",
        {
            "checkpoint.best_loss_2.3457.pt": _WHOLE,
            "checkpoint.best_loss_2.3451.pt": _WHOLE,
            "checkpoint.best_loss_2.0120.pt": _WHOLE,
            "checkpoint.best_loss_1.9875.pt": _WHOLE,
            "checkpoint_best.pt": _WHOLE,
            "checkpoint_last.pt": _WHOLE,
        },
        (
            Expected("checkpoint.best_loss_1.9875.pt", metrics={"loss": 1.987}),
            Expected("checkpoint.best_loss_2.0120.pt", metrics={"loss": 2.012}),
            Expected("checkpoint.best_loss_2.3451.pt", metrics={"loss": 2.345}),
            Expected("checkpoint.best_loss_2.3457.pt", metrics={"loss": 2.345}),
            *_LAST,
        ),
    ),
    Tree(
        "the newest cut short, and a save that was killed",
        "fairseq",
        {
            "checkpoint1.pt": _WHOLE,
            "checkpoint2.pt": _WHOLE,
            "checkpoint3.pt": _WHOLE[:-20],
            "checkpoint4.pt.tmp": _WHOLE[:100],
            "checkpoint_last.pt": _WHOLE,
            "checkpoint_best.pt": _WHOLE,
        },
        (
            Expected("checkpoint4.pt.tmp", state="partial"),
            *_LAST,
            Expected("checkpoint1.pt", epoch=1),
            Expected("checkpoint2.pt", epoch=2),
            Expected("checkpoint3.pt", epoch=3, state="damaged"),
        ),
    ),
    Tree(
        "shards, one of the newest missing",
        "fairseq",
        {
            **_shards("checkpoint1"),
            **_shards("checkpoint2"),
            **_shards("checkpoint3", (0, 2)),
            **_shards("checkpoint_last"),
        },
        (
            Expected("checkpoint_last", tuple(_shards("checkpoint_last")), roles=("last",)),
            Expected("checkpoint1", tuple(_shards("checkpoint1")), epoch=1),
            Expected("checkpoint2", tuple(_shards("checkpoint2")), epoch=2),
            Expected("checkpoint3", tuple(_shards("checkpoint3", (0, 2))), epoch=3, state="partial"),
        ),
    ),
)
