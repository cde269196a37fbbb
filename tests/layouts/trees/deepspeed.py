"""Folders that DeepSpeed, GPT-NeoX and Megatron-DeepSpeed save into."""

from __future__ import annotations

from collections.abc import Iterable

from tests.layouts.tree import Expected, Tree


def zero2(tag: str, data: int, model: int = 1) -> dict[str, bytes]:
    """A save with ZeRO-1 or 2 of so many data-parallel and model-parallel ranks."""
    files = {f"{tag}/mp_rank_{mp:02d}_model_states.pt": b"x" for mp in range(model)}
    ranks = ((dp, mp) for dp in range(data) for mp in range(model))
    return files | {f"{tag}/bf16_zero_pp_rank_{dp}_mp_rank_{mp:02d}_optim_states.pt": b"x" for dp, mp in ranks}


def zero3(tag: str, data: int) -> dict[str, bytes]:
    names = (
        f"{tag}/zero_pp_rank_{dp}_mp_rank_00_{kind}_states.pt" for dp in range(data) for kind in ("model", "optim")
    )
    return dict.fromkeys(names, b"x")


def pipeline(tag: str) -> dict[str, bytes]:
    """A save of GPT-NeoX: layers are numbered with gaps."""
    files = {f"{tag}/layer_{layer:02d}-model_{mp:02d}-model_states.pt": b"x" for layer in (0, 2, 3, 5) for mp in (0, 1)}
    return zero2(tag, 2, 2) | files | {f"{tag}/configs/6-7B.yml": b"x"}


def steps(numbers: Iterable[int]) -> tuple[Expected, ...]:
    return tuple(Expected(f"global_step{step}", step=step) for step in numbers)


ROOT = {"zero_to_fp32.py": b"#!/usr/bin/env python", "ds_config.json": b"{}", "train.log": b"x"}
TREES = (
    Tree(
        "a run with ZeRO-2 on two ranks",
        "deepspeed",
        {
            **{path: data for step in (100, 200, 300, 400) for path, data in zero2(f"global_step{step}", 2).items()},
            **ROOT,
            "latest": b"global_step400",
        },
        steps((100, 200, 300, 400)),
        pointers={"latest": "global_step400"},
    ),
    Tree(
        "the newest is not known to be done",
        "deepspeed",
        {
            **{path: data for step in (100, 200, 300) for path, data in zero3(f"global_step{step}", 2).items()},
            **ROOT,
            "latest": b"global_step200",
        },
        (*steps((100, 200)), Expected("global_step300", step=300, state="doubtful")),
        pointers={"latest": "global_step200"},
    ),
    Tree(
        "the newest has optimizer files alone",
        "deepspeed",
        {
            **zero2("global_step100", 2),
            **zero2("global_step200", 2),
            "global_step300/bf16_zero_pp_rank_1_mp_rank_00_optim_states.pt": b"x",
            "latest": b"global_step200",
        },
        (*steps((100, 200)), Expected("global_step300", step=300, state="partial")),
        pointers={"latest": "global_step200"},
    ),
    Tree(
        "a cell of the rectangle of ranks is missing",
        "deepspeed",
        {
            path: data
            for step in (100, 200, 300)
            for path, data in zero2(f"global_step{step}", 2, 2).items()
            if path != "global_step200/bf16_zero_pp_rank_1_mp_rank_00_optim_states.pt"
        }
        | {"latest": b"global_step300"},
        (steps((100,))[0], Expected("global_step200", step=200, state="partial"), steps((300,))[0]),
        pointers={"latest": "global_step300"},
    ),
    Tree(
        "GPT-NeoX, converted once",
        "deepspeed",
        {
            **{path: data for step in (500, 1000, 1500, 2000) for path, data in pipeline(f"global_step{step}").items()},
            "global_step2000_universal/mp_rank_00_model_states.pt": b"x",
            "global_step2000_universal/mp_rank_01_model_states.pt": b"x",
            "global_step2000_universal/zero/embed.weight/fp32.pt": b"x",
            "latest": b"global_step2000",
            "latest_universal": b"global_step2000_universal",
        },
        (
            *steps((500, 1000, 1500, 2000)),
            Expected("global_step2000_universal", step=2000, roles=("derived",), layout="deepspeed-universal"),
        ),
        pointers={"latest": "global_step2000", "latest_universal": "global_step2000_universal"},
    ),
    Tree(
        "tags of a person's choice",
        "deepspeed",
        {
            **zero2("epoch_1", 1),
            **zero2("epoch_2", 1),
            **zero2("after-warmup", 1),
            "latest": b"epoch_2",
        },
        (
            Expected("after-warmup", roles=("named",)),
            Expected("epoch_1", epoch=1),
            Expected("epoch_2", epoch=2),
        ),
        pointers={"latest": "epoch_2"},
    ),
)
