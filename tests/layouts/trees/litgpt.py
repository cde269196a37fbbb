"""Output folders of LitGPT."""

from __future__ import annotations

from tests.layouts.tree import Expected, Tree, torch_file


def save(folder: str, weights: str = "lit_model.pth") -> dict[str, bytes]:
    names = ("model_config.yaml", "hyperparameters.yaml", "tokenizer.json", "prompt_style.json")
    return {f"{folder}/{weights}": torch_file({"model": {}}), **{f"{folder}/{it}": b"x" for it in names}}


def sharded(folder: str) -> dict[str, bytes]:
    """A save whose weights are torch's distributed checkpoint."""
    parts = (".metadata", "__0_0.distcp", "meta.pt")
    return {f"{folder}/lit_model.pth/{it}": b"x" for it in parts} | {f"{folder}/model_config.yaml": b"x"}


LOGS = {"logs/csv/version_0/metrics.csv": b"loss,step\n2.5,99\n"}
TREES = (
    Tree(
        "pretraining with its final weights",
        "litgpt",
        {**save("step-00001000"), **save("step-00002000"), **save("step-00003000"), **save("final"), **LOGS},
        (
            Expected("final", roles=("final",)),
            Expected("step-00001000", step=1000),
            Expected("step-00002000", step=2000),
            Expected("step-00003000", step=3000),
        ),
    ),
    Tree(
        "adapters, the newest half written",
        "litgpt",
        {
            **save("step-000200", "lit_model.pth.lora"),
            **save("step-000400", "lit_model.pth.lora"),
            "step-000600/lit_model.pth.lora": b"PK\x03\x04",
            **LOGS,
        },
        (
            Expected("step-000200", step=200),
            Expected("step-000400", step=400),
            Expected("step-000600", step=600, state="partial"),
        ),
    ),
    Tree(
        "sharded weights inside are not checkpoints of their own",
        "litgpt",
        {**sharded("step-00001000"), **sharded("step-00002000")},
        (Expected("step-00001000", step=1000), Expected("step-00002000", step=2000)),
    ),
)
