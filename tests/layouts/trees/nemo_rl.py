"""Checkpoint folders of NeMo-RL."""

from __future__ import annotations

from tests.layouts.tree import Expected, Tree, json_file

CONFIG = b"checkpointing:\n  metric_name: val:accuracy\n  higher_is_better: true\n  keep_top_k: 3\n"
SCORES = {10: 0.25, 20: 0.5, 30: 0.75}


def info(step: int, score: float | None) -> bytes:
    scores = {} if score is None else {"val_reward": score, "val:accuracy": score}
    counts = {"consumed_samples": step * 32, "current_step": step, "current_epoch": 0, "total_steps": step}
    return json_file({**counts, "total_valid_tokens": step * 1000, **scores})


def save(folder: str, step: int, score: float | None) -> dict[str, bytes]:
    """A save of the Megatron backend, whose optimizer is among the weights."""
    weights = f"{folder}/policy/weights/iter_0000000"
    files = (f"{weights}/.metadata", f"{weights}/metadata.json", f"{weights}/__0_0.distcp")
    rest = (f"{folder}/policy/tokenizer/tokenizer.json", f"{folder}/train_dataloader.pt")
    return {
        f"{folder}/training_info.json": info(step, score),
        **dict.fromkeys((*files, *rest), b"x"),
        f"{folder}/config.yaml": CONFIG,
    }


def expect(step: int, score: float) -> Expected:
    return Expected(f"step_{step}", step=step, metrics={"val_reward": score, "val:accuracy": score})


STATUS = {"latest_checkpoint_status.json": json_file({"last_checkpoint_step": 30})}
TREES = (
    Tree(
        "a run with its metrics",
        "nemo_rl",
        {path: data for step, score in SCORES.items() for path, data in save(f"step_{step}", step, score).items()}
        | STATUS,
        tuple(expect(step, score) for step, score in SCORES.items()),
        monitor="val:accuracy",
        mode="max",
    ),
    Tree(
        "saves under way, and a step without validation",
        "nemo_rl",
        {
            **save("step_10", 10, 0.25),
            **save("step_20", 20, None),
            **save("old_step_20", 20, 0.5),
            "tmp_step_30/training_info.json": info(30, 0.75),
            "tmp_step_30/policy/weights/model/__0_0.distcp": b"PK",
        },
        (
            Expected("old_step_20", step=20, state="partial"),
            Expected("tmp_step_30", step=30, state="partial"),
            expect(10, 0.25),
            Expected("step_20", step=20),
        ),
        monitor="val:accuracy",
        mode="max",
    ),
    Tree(
        "one that was being deleted",
        "nemo_rl",
        {
            **save("step_10", 10, 0.25),
            **save("step_20", 20, 0.5),
            "step_5/policy/weights/iter_0000000/__0_0.distcp": b"PK",
        },
        (Expected("step_5", step=5, state="partial"), expect(10, 0.25), expect(20, 0.5)),
        monitor="val:accuracy",
        mode="max",
    ),
)
