"""Trains with the Trainer of transformers: plainly, with its own retention, with a NaN for a loss, and with LoRA."""

# mypy: disable-error-code="import-not-found, import-untyped, misc"

from __future__ import annotations

import os
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_utils import EvalPrediction, get_last_checkpoint

from tests.frameworks.writers.telling import Truth, draw_scores, main

SAVES = 7
EVERY = 2
"""Steps between two saves; an epoch has eight."""


class Watcher(TrainerCallback):
    """Notes what the Trainer knows when it saves, and where it begins."""

    def __init__(self) -> None:
        self.saved: list[Truth] = []
        self.metrics: dict[str, float] = {}
        self.began: int | None = None

    def on_train_begin(self, *told: Any, **_: Any) -> None:  # noqa: ANN401
        self.began = told[1].global_step

    def on_evaluate(self, *_: Any, metrics: dict[str, float], **__: Any) -> None:  # noqa: ANN401
        self.metrics = {name: metrics[name] for name in ("eval_loss", "eval_accuracy")}

    def on_save(self, *told: Any, **_: Any) -> None:  # noqa: ANN401
        step, epoch = told[1].global_step, told[1].epoch
        self.saved.append({"path": f"checkpoint-{step}", "step": step, "epoch": epoch, "metrics": self.metrics})


class NaNTrainer(Trainer):
    """Its loss is not a number."""

    def compute_loss(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        answer = super().compute_loss(*args, **kwargs)
        return (answer[0] * float("nan"), *answer[1:]) if isinstance(answer, tuple) else answer * float("nan")


def make_model(*, lora: bool = False) -> Any:  # noqa: ANN401
    """A language model of a few hundred weights, with an adapter if asked."""
    sizes = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=16, max_position_embeddings=16, **sizes))
    return get_peft_model(model, LoraConfig(target_modules=["q_proj"], r=2)) if lora else model


def make_trainer(folder: str, scores: list[float], watcher: Watcher, **options: Any) -> Trainer:  # noqa: ANN401
    """A Trainer whose every evaluation gives the next of the scores as its accuracy."""
    kind = NaNTrainer if options.pop("nan", False) else Trainer
    model = make_model(lora=options.pop("lora", False))
    coming = iter(scores)

    def judge(_: EvalPrediction) -> dict[str, float]:
        return {"accuracy": next(coming)}

    arguments = {
        "output_dir": folder,
        "max_steps": SAVES * EVERY,
        "per_device_train_batch_size": 2,
        "eval_strategy": "steps",
        "eval_steps": EVERY,
        "save_steps": EVERY,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "metric_for_best_model": "accuracy",
        "greater_is_better": True,
        "report_to": [],
        "use_cpu": True,
        "disable_tqdm": True,
        **options,
    }
    texts = [{"input_ids": ids, "labels": ids} for ids in torch.randint(0, 16, (16, 8))]
    return kind(
        model=model,
        args=TrainingArguments(**arguments),
        train_dataset=texts,
        eval_dataset=texts[:2],
        compute_metrics=judge,
        callbacks=[watcher],
    )


def write(folder: str, scores: list[float], **options: Any) -> Truth:  # noqa: ANN401
    """One training; what the Trainer itself holds to be true at its end."""
    watcher = Watcher()
    trainer = make_trainer(folder, scores, watcher, **options)
    trainer.train()
    trainer.save_state()
    trainer.save_model()
    trainer.save_metrics("eval", watcher.metrics)
    return {
        "checkpoints": watcher.saved,
        "best": os.path.basename(trainer.state.best_model_checkpoint),
        "named": [os.path.basename(trainer.state.best_model_checkpoint)],
        "last": os.path.basename(get_last_checkpoint(folder)),
        "monitor": "eval_accuracy",
        "mode": "max" if trainer.args.greater_is_better else "min",
        "resumes": SAVES * EVERY,
        "survivors": sorted(name for name in os.listdir(folder) if name.startswith("checkpoint-")),
    }


def train(folder: str, seed: int) -> Truth:
    """All trainings, each in a folder of its own."""
    scores = draw_scores(seed, SAVES)
    limit = {"save_total_limit": 2, "load_best_model_at_end": True}
    torch.manual_seed(seed)
    return {
        "everything": write(os.path.join(folder, "everything"), scores),
        "kept": write(os.path.join(folder, "kept"), scores, **limit),
        "nan": write(os.path.join(folder, "nan"), scores, nan=True),
        "lora": write(os.path.join(folder, "lora"), scores, lora=True),
    }


def resume(folder: str) -> Truth:
    """Two steps more, from where the Trainer finds its latest."""
    watcher = Watcher()
    lora = os.path.exists(os.path.join(get_last_checkpoint(folder), "adapter_config.json"))
    more = {"max_steps": (SAVES + 1) * EVERY, "lora": lora, "load_best_model_at_end": True, "save_total_limit": 3}
    trainer = make_trainer(folder, [0.05, 0.05], watcher, **more)
    latest = os.path.basename(get_last_checkpoint(folder))
    trainer.train(resume_from_checkpoint=True)
    best = os.path.basename(trainer.state.best_model_checkpoint or "")
    return {"latest": latest, "step": watcher.began, "best": best, "ended": trainer.state.global_step}


if __name__ == "__main__":
    main(train, resume)
