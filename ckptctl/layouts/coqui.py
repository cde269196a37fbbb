"""Coqui TTS: its Trainer 0.0.1 to 0.4. ``best_model.pth`` is a full copy of the newest ``best_model_N.pth``.

From coqui-ai/Trainer and idiap/coqui-ai-Trainer, ``trainer/io.py`` and ``trainer/trainer.py``. N is the number of steps
done. The loss inside is ``{"train_loss", "eval_loss"}``, in old releases a plain number.
"""

from __future__ import annotations

from ckptctl.layouts.schema import FileLayout, Layout, MetricSource, Slimming

LAYOUTS: tuple[Layout, ...] = (
    FileLayout(
        name="coqui",
        extensions=(".pth",),
        names=(r"checkpoint_(?P<step>\d+)\.pth", r"(?P<best>best)_model(?:_(?P<step>\d+))?\.pth"),
        neighbors=("trainer_[0-9]*_log.txt", "best_model_[0-9]*.pth", "config.json"),
        beside=tuple(
            """config.json trainer_*_log.txt events.out.tfevents.* *.py speakers.pth speakers.json
            language_ids.json""".split()
        ),
        sources=(
            MetricSource(
                "",
                "inside",
                "torch",
                take=("model_loss", "model_loss/*"),
                names={"model_loss/train_loss": "train_loss", "model_loss/eval_loss": "eval_loss"},
                numbers={"epoch": "epoch", "step": "step"},
            ),
        ),
        slimming=Slimming(drop=("optimizer", "scheduler", "scaler")),
        examples=("checkpoint_10000.pth", "best_model_9731.pth", "best_model.pth"),
    ),
)
