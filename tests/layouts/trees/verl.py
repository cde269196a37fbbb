"""Checkpoint folders of verl."""

from __future__ import annotations

from tests.layouts.tree import Expected, Tree

TRACKER = "latest_checkpointed_iteration.txt"


def model(folder: str, ranks: int = 2) -> dict[str, bytes]:
    """What one worker group of the FSDP backend writes."""
    kinds = ("model", "optim", "extra_state")
    parts = {f"{folder}/{kind}_world_size_{ranks}_rank_{it}.pt": b"x" for kind in kinds for it in range(ranks)}
    return {**parts, f"{folder}/huggingface/config.json": b"{}", f"{folder}/fsdp_config.json": b"{}"}


def save(step: int) -> dict[str, bytes]:
    top = f"global_step_{step}"
    return {**model(f"{top}/actor"), **model(f"{top}/critic"), f"{top}/data.pt": b"x"}


def supervised(step: int) -> dict[str, bytes]:
    top = f"global_step_{step}"
    return {**model(top), f"{top}/data_0.pt": b"x", f"{top}/data_1.pt": b"x"}


def steps(*numbers: int, state: str = "complete") -> tuple[Expected, ...]:
    return tuple(Expected(f"global_step_{it}", step=it, state=state) for it in numbers)


TREES = (
    Tree(
        "actor and critic",
        "verl",
        {**save(20), **save(40), **save(60), **save(80), TRACKER: b"80", "rollout_data/80.jsonl": b"{}"},
        steps(20, 40, 60, 80),
        pointers={TRACKER: "global_step_80"},
    ),
    Tree(
        "the newest has no critic's and no loader's state yet",
        "verl",
        {**save(20), **save(40), **model("global_step_60/actor"), TRACKER: b"40"},
        (*steps(20, 40), *steps(60, state="partial")),
        pointers={TRACKER: "global_step_40"},
    ),
    Tree(
        "a rank of the actor is missing",
        "verl",
        {
            path: data
            for step in (20, 40, 60)
            for path, data in save(step).items()
            if path != "global_step_40/actor/model_world_size_2_rank_0.pt"
        }
        | {TRACKER: b"60"},
        (*steps(20), *steps(40, state="partial"), *steps(60)),
        pointers={TRACKER: "global_step_60"},
    ),
    Tree(
        "its own retention took the models of one and left the rest",
        "verl",
        {"global_step_20/data.pt": b"x", **save(40), **save(60), TRACKER: b"60"},
        (*steps(20, state="partial"), *steps(40, 60)),
        pointers={TRACKER: "global_step_60"},
    ),
    Tree(
        "supervised training, and one that is not known to be done",
        "verl",
        {**supervised(100), **supervised(200), **supervised(300), TRACKER: b"200"},
        (*steps(100, 200), *steps(300, state="doubtful")),
        pointers={TRACKER: "global_step_200"},
    ),
)
