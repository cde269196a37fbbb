"""Trains with the Runner of MMEngine: by epoch and by iteration, with the best of a metric, and with its retention."""

# mypy: disable-error-code="import-not-found, import-untyped, misc"

from __future__ import annotations

import os
from typing import Any

os.environ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] = "1"  # MMEngine 0.10.7 cannot read what it wrote without

import torch
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.hooks import CheckpointHook
from mmengine.model import BaseModel
from mmengine.runner import Runner, find_latest_checkpoint
from torch.utils.data import DataLoader

from tests.frameworks.writers.telling import Truth, draw_scores, main

EPOCHS = 8
BATCHES = 4
"""Of an epoch; where iterations count, there is no end of the data, at which the Runner would wait for two seconds."""
METRIC = "coco/bbox_mAP"


class Model(BaseModel):
    """One layer."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(4, 1)

    def forward(self, batch: torch.Tensor, mode: str = "tensor") -> Any:  # noqa: ANN401
        answer = self.layer(batch)
        return {"loss": answer.square().mean()} if mode == "loss" else [answer]


class Judge(BaseMetric):
    """Gives each evaluation the next of the scores."""

    default_prefix = "coco"

    def __init__(self, scores: list[float]) -> None:
        super().__init__()
        self.coming = iter(scores)

    def process(self, *told: Any) -> None:  # noqa: ANN401
        self.results.append(len(told[1]))

    def compute_metrics(self, results: list[int]) -> dict[str, float]:
        return {"bbox_mAP": next(self.coming), "seen": float(len(results))}


def make_runner(folder: str, scores: list[float], loop: Truth, hook: Truth, *, resumes: bool = False) -> Runner:
    """A Runner with everything that a config file of OpenMMLab sets."""
    size = BATCHES if loop["by_epoch"] else BATCHES * (EPOCHS + 2)
    samples = DataLoader([(sample,) for sample in torch.randn(size, 4)], batch_size=1)
    return Runner(
        model=Model(),
        work_dir=folder,
        train_dataloader=samples,
        val_dataloader=samples,
        train_cfg=loop,
        val_cfg={},
        val_evaluator=Evaluator(Judge(scores)),
        optim_wrapper={"optimizer": {"type": "SGD", "lr": 0.01, "momentum": 0.9}},
        default_hooks={
            "checkpoint": {"type": "CheckpointHook", **hook},
            "logger": {"type": "LoggerHook", "interval": 2, "log_metric_by_epoch": loop["by_epoch"]},
        },
        log_processor={"by_epoch": loop["by_epoch"]},
        resume=resumes,
        log_level="ERROR",
        experiment_name=folder.replace("/", "_"),  # what is noted under one name is shared by all Runners of a process
    )


def write(folder: str, scores: list[float], *, by: str = "epoch", kept: int = -1, **hook: Any) -> Truth:  # noqa: ANN401
    """One training; what the hook itself holds to be true at its end."""
    by_epoch = by == "epoch"
    size = 1 if by_epoch else BATCHES
    loop: Truth = {"by_epoch": by_epoch, "val_interval": size, "max_epochs" if by_epoch else "max_iters": EPOCHS * size}
    hook |= {"interval": size, "by_epoch": by_epoch, "save_best": METRIC, "rule": "greater", "max_keep_ckpts": kept}
    runner = make_runner(folder, scores, loop, hook)
    runner.train()
    saver = next(it for it in runner.hooks if isinstance(it, CheckpointHook))
    counts = [nth * size for nth in range(1, EPOCHS + 1)]
    return {
        "checkpoints": [
            {"path": f"{by}_{count}.pth", ("epoch" if by_epoch else "step"): count, "metrics": {METRIC: score}}
            for count, score in zip(counts, scores, strict=True)
        ],
        "others": sorted(name for name in os.listdir(folder) if name.startswith("best_") or "-" in name),
        "best": os.path.basename(saver.best_ckpt_path),
        "twins": {f"{by}_{counts[scores.index(max(scores))]}.pth": os.path.basename(saver.best_ckpt_path)},
        "last": os.path.basename(find_latest_checkpoint(folder)),
        "monitor": METRIC,
        "mode": "max",
        "resumes": EPOCHS * BATCHES,
        "survivors": sorted(name for name in os.listdir(folder) if name.endswith(".pth")),
    }


def train(folder: str, seed: int) -> Truth:
    """All trainings, each in a folder of its own."""
    scores = draw_scores(seed, EPOCHS)
    published: Truth = {"published_keys": ["meta", "state_dict"]}
    return {
        "everything": write(os.path.join(folder, "everything"), scores),
        "kept": write(os.path.join(folder, "kept"), scores, kept=2),
        "iterations": write(os.path.join(folder, "iterations"), scores, by="iter"),
        "published": write(os.path.join(folder, "published"), scores, **published),
    }


def resume(folder: str) -> Truth:
    """A bit more, from where the Runner finds its latest."""
    latest = os.path.basename(find_latest_checkpoint(folder))
    by_epoch = latest.startswith("epoch")
    size = 1 if by_epoch else BATCHES
    end = (EPOCHS + 1) * size
    loop: Truth = {"by_epoch": by_epoch, "val_interval": size, "max_epochs" if by_epoch else "max_iters": end}
    hook = {"interval": size, "by_epoch": by_epoch, "save_best": METRIC, "rule": "greater", "max_keep_ckpts": 3}
    runner = make_runner(folder, [0.05] * 2, loop, hook, resumes=True)
    began: list[int] = []
    load = runner.load_or_resume

    def watch() -> None:
        load()
        began.append(runner.iter)

    runner.load_or_resume = watch
    runner.train()
    return {
        "latest": latest,
        "step": began[0],
        "ended": runner.iter,
        "best": os.path.basename(runner.message_hub.get_info("best_ckpt")),
    }


if __name__ == "__main__":
    main(train, resume)
