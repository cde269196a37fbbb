"""Folders that torch.distributed.checkpoint and torchtitan write."""

from __future__ import annotations

from tests.layouts.tree import Expected, Tree, safetensors

METADATA = b"\x80\x02]X\x0c\x00\x00\x00__0_0.distcpaX\x0c\x00\x00\x00__1_0.distcpa."
"""A pickled list with the names of two files."""


def shards(folder: str, ranks: int = 2) -> dict[str, bytes]:
    return {f"{folder}/__{rank}_0.distcp": b"PK\x03\x04" for rank in range(ranks)}


def save(folder: str, ranks: int = 2) -> dict[str, bytes]:
    return {f"{folder}/.metadata": METADATA, **shards(folder, ranks)}


def hugging_face(folder: str) -> dict[str, bytes]:
    names = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
    return {f"{folder}/model.safetensors.index.json": b"{}", **{f"{folder}/{it}": safetensors() for it in names}}


TREES = (
    Tree(
        "torchtitan, the last save in the safetensors format",
        "torchtitan",
        {
            **{f"checkpoint/{path}": data for it in (500, 1000, 1500) for path, data in save(f"step-{it}").items()},
            **{f"checkpoint/{path}": data for path, data in hugging_face("step-2000").items()},
            "tb/20260801-1200/events.out.tfevents.1": b"x",
            "profile_traces/iteration_10/rank0_trace.json": b"{}",
        },
        tuple(Expected(f"checkpoint/step-{it}", step=it) for it in (500, 1000, 1500, 2000)),
    ),
    Tree(
        "the newest has no metadata, and one is called a backup",
        "torchtitan",
        {
            **save("step-100"),
            **save("step-200"),
            **shards("step-300"),
            "step-300/.metadata.tmp": b"x",
            "step-400/sharded/shard-00001-model-00001-of-00002.safetensors": b"x",
            **save("step-100-bak"),
        },
        (
            Expected("step-100-bak", step=100, roles=("named",), layout="dcp"),
            Expected("step-100", step=100),
            Expected("step-200", step=200),
            Expected("step-300", step=300, state="partial"),
            Expected("step-400", step=400, state="partial"),
        ),
    ),
    Tree(
        "a file that the metadata names is missing, and a rank that had nothing to write has none",
        "torchtitan",
        {
            **save("step-100"),
            **{path: data for path, data in save("step-200").items() if path != "step-200/__1_0.distcp"},
            **save("step-300", 2),
            "step-300/__3_0.distcp": b"PK\x03\x04",
            **save("step-400"),
        },
        (
            Expected("step-100", step=100),
            Expected("step-200", step=200, state="partial"),
            Expected("step-300", step=300),
            Expected("step-400", step=400),
        ),
    ),
    Tree(
        "any names",
        "dcp",
        {**save("epoch_0"), **save("epoch_1"), **save("epoch_2"), **shards("epoch_3"), **save("pretrained")},
        (
            Expected("pretrained", roles=("named",)),
            Expected("epoch_0", epoch=0),
            Expected("epoch_1", epoch=1),
            Expected("epoch_2", epoch=2),
            Expected("epoch_3", epoch=3, state="partial"),
        ),
    ),
)
