"""Folders that accelerate's ``save_state`` and diffusers' scripts write."""

from __future__ import annotations

from tests.layouts.tree import Expected, Tree, safetensors


def save(folder: str, ranks: int = 1) -> dict[str, bytes]:
    names = ("optimizer.bin", "scheduler.bin", "sampler.bin", "custom_checkpoint_0.pkl")
    states = {f"{folder}/random_states_{rank}.pkl": b"x" for rank in range(ranks)}
    return {f"{folder}/model.safetensors": safetensors(), **{f"{folder}/{it}": b"x" for it in names}, **states}


def diffusers(folder: str) -> dict[str, bytes]:
    names = ("optimizer.bin", "scheduler.bin", "scaler.pt", "random_states_0.pkl")
    parts = {f"{folder}/{part}/diffusion_pytorch_model.safetensors": safetensors() for part in ("unet", "unet_ema")}
    configs = {f"{folder}/{part}/config.json": b"{}" for part in ("unet", "unet_ema")}
    return {**parts, **configs, **{f"{folder}/{it}": b"x" for it in names}}


def deepspeed(folder: str) -> dict[str, bytes]:
    model = {f"{folder}/pytorch_model/mp_rank_00_model_states.pt": b"x"}
    optim = {f"{folder}/pytorch_model/zero_pp_rank_{it}_mp_rank_00_optim_states.pt": b"x" for it in (0, 1)}
    rest = {f"{folder}/latest": b"pytorch_model", f"{folder}/zero_to_fp32.py": b"#"}
    return {**model, **optim, **rest, **{f"{folder}/random_states_{it}.pkl": b"x" for it in (0, 1)}}


def without(files: dict[str, bytes], *paths: str) -> dict[str, bytes]:
    return {path: data for path, data in files.items() if path not in paths}


TREES = (
    Tree(
        "automatic names count saves",
        "accelerate",
        {f"checkpoints/{path}": data for it in (8, 9, 10, 11) for path, data in save(f"checkpoint_{it}", 2).items()},
        tuple(Expected(f"checkpoints/checkpoint_{it}", counter=it) for it in (8, 9, 10, 11)),
    ),
    Tree(
        "the newest has no random states yet",
        "accelerate",
        {**save("step_100"), **save("step_200"), **without(save("step_300"), "step_300/random_states_0.pkl")},
        (
            Expected("step_100", step=100),
            Expected("step_200", step=200),
            Expected("step_300", step=300, state="partial"),
        ),
    ),
    Tree(
        "a rank is missing, between and at the end",
        "accelerate",
        {
            **save("epoch_0", 3),
            **without(save("epoch_1", 3), "epoch_1/random_states_1.pkl"),
            **save("epoch_2", 3),
            **save("epoch_3", 2),
        },
        (
            Expected("epoch_0", epoch=0),
            Expected("epoch_1", epoch=1, state="partial"),
            Expected("epoch_2", epoch=2),
            Expected("epoch_3", epoch=3, state="doubtful"),
        ),
    ),
    Tree(
        "diffusers with its final pipeline beside",
        "accelerate",
        {
            **diffusers("checkpoint-500"),
            **diffusers("checkpoint-1000"),
            **diffusers("checkpoint-1250"),
            "checkpoint-1500/unet/config.json": b"{}",
            "model_index.json": b"{}",
            "unet/diffusion_pytorch_model.safetensors": safetensors(),
            "vae/config.json": b"{}",
            "logs/text2image/events.out.tfevents.1": b"x",
            "README.md": b"# model",
        },
        (
            Expected("checkpoint-500", step=500),
            Expected("checkpoint-1000", step=1000),
            Expected("checkpoint-1250", step=1250),
            Expected("checkpoint-1500", step=1500, state="partial"),
        ),
    ),
    Tree(
        "DeepSpeed inside, and a name of a person's choice",
        "accelerate",
        {**deepspeed("step_100"), **deepspeed("step_200"), **deepspeed("step_300"), **deepspeed("before-tuning")},
        (
            Expected("before-tuning", roles=("named",)),
            Expected("step_100", step=100),
            Expected("step_200", step=200),
            Expected("step_300", step=300),
        ),
    ),
)
