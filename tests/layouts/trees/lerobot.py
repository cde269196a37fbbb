"""Output folders of LeRobot."""

from __future__ import annotations

from tests.layouts.tree import Expected, Tree, json_file, safetensors


def save(step: int) -> dict[str, bytes]:
    top = f"checkpoints/{step:06d}"
    return {
        f"{top}/pretrained_model/model.safetensors": safetensors(),
        f"{top}/pretrained_model/config.json": b"{}",
        f"{top}/pretrained_model/train_config.json": b"{}",
        f"{top}/training_state/training_step.json": json_file({"step": step}),
        f"{top}/training_state/optimizer_state.safetensors": safetensors(),
        f"{top}/training_state/optimizer_param_groups.json": b"[]",
        f"{top}/training_state/rng_state.safetensors": safetensors(),
    }


def sharded(step: int) -> dict[str, bytes]:
    """A save whose parts are torch's distributed checkpoints."""
    top = f"checkpoints/{step:06d}"
    parts = (f"{top}/pretrained_model/pytorch_model_fsdp_0", f"{top}/training_state/optimizer_0")
    files = {f"{it}/{name}": b"x" for it in parts for name in (".metadata", "__0_0.distcp")}
    return {**files, f"{top}/training_state/training_step.json": json_file({"step": step})}


def expect(step: int, state: str = "complete") -> Expected:
    return Expected(f"checkpoints/{step:06d}", step=step, state=state)


TREES = (
    Tree(
        "a run with its link",
        "lerobot",
        {**save(1000), **save(2000), **save(3000), **save(4000), "eval/videos_step_004000/pusht_0.mp4": b"x"},
        (expect(1000), expect(2000), expect(3000), expect(4000)),
        links={"checkpoints/last": "004000"},
        pointers={"checkpoints/last": "checkpoints/004000"},
    ),
    Tree(
        "the newest is half written",
        "lerobot",
        {
            **sharded(1000),
            **sharded(2000),
            "checkpoints/003000/pretrained_model/pytorch_model_fsdp_0/__0_0.distcp": b"PK",
        },
        (expect(1000), expect(2000), expect(3000, "partial")),
        links={"checkpoints/last": "002000"},
        pointers={"checkpoints/last": "checkpoints/002000"},
    ),
)
