"""Output folders of kohya's sd-scripts."""

from __future__ import annotations

from tests.layouts.tree import Expected, Tree, json_file, safetensors


def state(name: str, epoch: int, step: int, ranks: int = 1) -> dict[str, bytes]:
    names = ("optimizer.bin", "scheduler.bin", *(f"random_states_{it}.pkl" for it in range(ranks)))
    counts = json_file({"current_epoch": epoch, "current_step": step})
    files = {f"{name}-state/{it}": b"x" for it in names}
    return {f"{name}-state/model.safetensors": safetensors(), **files, f"{name}-state/train_state.json": counts}


def of_state(name: str, epoch: int, step: int, **more: object) -> Expected:
    return Expected(f"{name}-state", epoch=epoch, step=step, layout="kohya-state", **more)  # type: ignore[arg-type]


MODELS = {f"mychar-{epoch:06d}.safetensors": safetensors({"ss_epoch": str(epoch)}) for epoch in (2, 4, 6)}
STEPS = {f"mychar-step{step:08d}.safetensors": safetensors() for step in (250, 500, 1000)}
BESIDE = {"mychar_20260801-120000.toml": b"x", "sample/mychar_000002_00.png": b"x", "logs/network_train/events": b"x"}
TREES = (
    Tree(
        "models and states by epoch, with the last of both",
        "kohya",
        {
            **MODELS,
            "mychar.safetensors": safetensors(),
            **{path: data for it in (4, 6) for path, data in state(f"mychar-{it:06d}", it, it * 100).items()},
            **state("mychar", 8, 800),
            **BESIDE,
        },
        (
            Expected("mychar.safetensors", roles=("final",)),
            Expected("mychar-000002.safetensors", epoch=2),
            Expected("mychar-000004.safetensors", epoch=4),
            of_state("mychar-000004", 4, 400),
            Expected("mychar-000006.safetensors", epoch=6),
            of_state("mychar-000006", 6, 600),
            of_state("mychar", 8, 800, roles=("last",)),
        ),
    ),
    Tree(
        "by step, the newest model cut short and its state half written",
        "kohya",
        {
            **STEPS,
            "mychar-step00001500.safetensors": safetensors()[:-2],
            **state("mychar-step00001000", 2, 1000),
            "mychar-step00001500-state/model.safetensors": safetensors(),
        },
        (
            Expected("mychar-step00000250.safetensors", step=250),
            Expected("mychar-step00000500.safetensors", step=500),
            Expected("mychar-step00001000.safetensors", step=1000),
            of_state("mychar-step00001000", 2, 1000),
            Expected("mychar-step00001500.safetensors", step=1500, state="damaged"),
            Expected("mychar-step00001500-state", step=1500, state="partial", layout="kohya-state"),
        ),
    ),
    Tree(
        "a rank is missing in a state",
        "kohya-state",
        {
            path: data
            for epoch in (2, 4)
            for path, data in state(f"mychar-{epoch:06d}", epoch, epoch * 100, ranks=2).items()
            if path != "mychar-000004-state/random_states_0.pkl"
        },
        (of_state("mychar-000002", 2, 200), Expected("mychar-000004-state", epoch=4, state="partial")),
    ),
    Tree(
        "whole models in diffusers' format",
        "kohya-diffusers",
        {
            **{f"mymodel-{it:06d}/model_index.json": b"{}" for it in (1, 2)},
            **{f"mymodel-{it:06d}/unet/diffusion_pytorch_model.safetensors": safetensors() for it in (1, 2, 3)},
        },
        (
            Expected("mymodel-000001", epoch=1),
            Expected("mymodel-000002", epoch=2),
            Expected("mymodel-000003", epoch=3, state="partial"),
        ),
    ),
)
