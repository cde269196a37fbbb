"""Output folders of torchtune."""

from __future__ import annotations

from tests.layouts.tree import Expected, Tree, safetensors, torch_file


def save(folder: str, *, last: bool = False) -> dict[str, bytes]:
    """A save with the base model's files, of a full fine-tuning."""
    shards = {f"{folder}/model-{it:05d}-of-00002.safetensors": safetensors() for it in (1, 2)}
    names = ("model.safetensors.index.json", "config.json", "tokenizer.json", "original_repo_id.json")
    state = {} if last else {f"{folder}/recipe_state.pt": torch_file({"epochs_run": 1})}
    return {**shards, **{f"{folder}/{it}": b"{}" for it in names}, f"{folder}/original/tokenizer.model": b"x", **state}


def adapter(folder: str) -> dict[str, bytes]:
    return {
        f"{folder}/adapter_model.pt": torch_file(),
        f"{folder}/adapter_model.safetensors": safetensors(),
        f"{folder}/adapter_config.json": b"{}",
        f"{folder}/config.json": b"{}",
        f"{folder}/recipe_state.pt": torch_file(),
    }


LOGS = {"logs/log_1754049600.txt": b"Step 1 | loss:1.5 lr:2e-05", "torchtune_config.yaml": b"epochs: 3"}
TREES = (
    Tree(
        "a full fine-tuning, whose last epoch has no recipe state",
        "torchtune",
        {**save("epoch_0"), **save("epoch_1"), **save("epoch_2", last=True), **LOGS},
        tuple(Expected(f"epoch_{it}", epoch=it) for it in (0, 1, 2)),
    ),
    Tree(
        "adapters by step, the newest half written",
        "torchtune",
        {**adapter("step_100"), **adapter("step_200"), "step_300/adapter_model.pt": torch_file(), **LOGS},
        (
            Expected("step_100", step=100),
            Expected("step_200", step=200),
            Expected("step_300", step=300, state="partial"),
        ),
    ),
    Tree(
        "a shard is missing",
        "torchtune",
        {
            path: data
            for epoch in (0, 1)
            for path, data in save(f"epoch_{epoch}").items()
            if path != "epoch_1/model-00001-of-00002.safetensors"
        },
        (Expected("epoch_0", epoch=0), Expected("epoch_1", epoch=1, state="partial")),
    ),
    Tree(
        "the recipe state beside, as older releases put it",
        "torchtune",
        {
            **save("epoch_0", last=True),
            **save("epoch_1", last=True),
            "recipe_state/recipe_state.pt": torch_file(),
        },
        (Expected("epoch_0", epoch=0), Expected("epoch_1", epoch=1)),
    ),
)
