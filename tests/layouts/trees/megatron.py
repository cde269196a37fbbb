"""Folders that Megatron-LM saves into."""

from __future__ import annotations

from tests.layouts.tree import Expected, Tree

TRACKER = "latest_checkpointed_iteration.txt"
DONE = b'{"sharded_backend": "torch_dist", "sharded_backend_version": 1}'


def shards(folder: str) -> dict[str, bytes]:
    return {f"{folder}/__{rank}_{it}.distcp": b"PK\x03\x04" for rank in (0, 1) for it in (0, 1)}


def save(folder: str) -> dict[str, bytes]:
    rest = {f"{folder}/.metadata": b"\x80\x02}.", f"{folder}/metadata.json": DONE, f"{folder}/common.pt": b"x"}
    return {**shards(folder), **rest}


def legacy(folder: str, *, tensor: int = 2, pipeline: int = 2) -> dict[str, bytes]:
    ranks = [f"mp_rank_{tp:02d}_{pp:03d}" for tp in range(tensor) for pp in range(pipeline)]
    return {f"{folder}/{it}/{name}": b"x" for it in ranks for name in ("model_optim_rng.pt", "distrib_optim.pt")}


BESIDE = {"progress.txt": b"x", "tensorboard/events.out.tfevents.1": b"x"}
STEPS = (500, 1000, 1500)


def name(step: int) -> str:
    return f"iter_{step:07d}"


TREES = (
    Tree(
        "a run in the distributed format",
        "megatron",
        {**{path: data for it in (*STEPS, 2000) for path, data in save(name(it)).items()}, **BESIDE, TRACKER: b"2000"},
        tuple(Expected(name(it), step=it) for it in (*STEPS, 2000)),
        pointers={TRACKER: name(2000)},
    ),
    Tree(
        "the newest is half written, and one is not known to be done",
        "megatron",
        {
            **{path: data for it in STEPS for path, data in save(name(it)).items()},
            **shards(name(2000)),
            TRACKER: b"1000\n",
        },
        (
            Expected(name(500), step=500),
            Expected(name(1000), step=1000),
            Expected(name(1500), step=1500, state="doubtful"),
            Expected(name(2000), step=2000, state="partial"),
        ),
        pointers={TRACKER: name(1000)},
    ),
    Tree(
        "a rank's folder is missing",
        "megatron-legacy",
        {
            path: data
            for step in STEPS
            for path, data in legacy(name(step)).items()
            if not path.startswith("iter_0001000/mp_rank_01_000/")
        }
        | {TRACKER: b"1500"},
        (
            Expected(name(500), step=500),
            Expected(name(1000), step=1000, state="partial"),
            Expected(name(1500), step=1500),
        ),
        pointers={TRACKER: name(1500)},
    ),
    Tree(
        "the tracker names a release",
        "megatron-legacy",
        {**legacy("release", pipeline=1), TRACKER: b"release"},
        (Expected("release", roles=("final",)),),
        pointers={TRACKER: "release"},
    ),
    Tree(
        "a folder that is a link belongs to someone else",
        "megatron",
        {
            **{f"archive/{path}": data for path, data in save(name(500)).items()},
            **{f"run/{path}": data for it in (1000, 1500) for path, data in save(name(it)).items()},
            f"run/{TRACKER}": b"1500",
        },
        (
            Expected("archive/iter_0000500", step=500),
            Expected("run/iter_0001000", step=1000),
            Expected("run/iter_0001500", step=1500),
        ),
        links={"run/iter_0000500": "../archive/iter_0000500"},
        pointers={f"run/{TRACKER}": "run/iter_0001500"},
    ),
)
