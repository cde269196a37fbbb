"""What Catalyst leaves in a log folder."""

from __future__ import annotations

from tests.layouts.tree import Expected, Tree, json_file, torch_file

_WHOLE = torch_file({"model_state_dict": {}, "optimizer_state_dict": {}})


def _storage(kind: str, scores: dict[int, float], *, minimize: bool) -> dict[str, bytes]:
    """The list of the best, the best first; paths are of the writing machine."""
    listed = [{"logpath": f"./logs/run/{kind}.{epoch:04d}.pth", "metric": score} for epoch, score in scores.items()]
    said = {"logdir": "./logs/run", "topk": 3, "loader_key": "valid", "metric_key": "loss", "minimize": minimize}
    return {f"{kind}.storage.json": json_file({**said, "storage": listed})}


TREES = (
    Tree(
        "the three best models, the last and the best",
        "catalyst-model",
        {
            **{f"model.{epoch:04d}.pth": _WHOLE for epoch in (2, 4, 5)},
            "model.last.pth": _WHOLE,
            "model.best.pth": _WHOLE,
            **_storage("model", {5: 0.25, 4: 0.3, 2: 0.5}, minimize=True),
            "valid.csv": b"step,loss\n1,0.5\n",
        },
        (
            Expected("model.best.pth", roles=("best",)),
            Expected("model.last.pth", roles=("last",)),
            Expected("model.0002.pth", epoch=2, metrics={"metric": 0.5}),
            Expected("model.0004.pth", epoch=4, metrics={"metric": 0.3}),
            Expected("model.0005.pth", epoch=5, metrics={"metric": 0.25}),
        ),
        rosters={"model.storage.json": ("model.0005.pth", "model.0004.pth", "model.0002.pth")},
        mode="min",
    ),
    Tree(
        "states of a runner, the newest cut short and not yet listed",
        "catalyst-runner",
        {
            "runner.0001.pth": _WHOLE,
            "runner.0002.pth": _WHOLE,
            "runner.0003.pth": _WHOLE[:-20],
            "runner.last.pth": _WHOLE,
            **_storage("runner", {2: 0.9, 1: 0.8}, minimize=False),
        },
        (
            Expected("runner.last.pth", roles=("last",)),
            Expected("runner.0001.pth", epoch=1, metrics={"metric": 0.8}),
            Expected("runner.0002.pth", epoch=2, metrics={"metric": 0.9}),
            Expected("runner.0003.pth", epoch=3, state="damaged"),
        ),
        rosters={"runner.storage.json": ("runner.0002.pth", "runner.0001.pth")},
        mode="max",
    ),
)
