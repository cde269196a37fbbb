"""Folders of trials and runs of Ray."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from tests.layouts.tree import Expected, Tree, json_file, safetensors, torch_file

LOSSES = {0: 1.5, 1: 0.75, 2: 0.5, 3: 0.625}
STAMPS = (
    "2026-08-01_12-00-00.111111",
    "2026-08-01_12-10-00.222222",
    "2026-08-01_12-20-00.333333",
    "2026-08-01_12-30-00.444444",
)
SNAPSHOT = "checkpoint_manager_snapshot.json"


def result(losses: Mapping[int, float]) -> bytes:
    """A trial's ``result.json``: a line for each report, not each with a checkpoint."""
    rows = [
        {
            "loss": loss,
            "training_iteration": 2 * iteration + between,
            "checkpoint_dir_name": f"checkpoint_{iteration:06d}" if between else None,
            "should_checkpoint": True,
            "done": False,
            "trial_id": "a1b2c_00000",
            "date": "2026-08-01_12-00-00",
            "timestamp": 1785585600 + iteration,
            "time_this_iter_s": 1.5,
            "time_total_s": 3.0 + iteration,
            "time_since_restore": 3.0 + iteration,
            "iterations_since_restore": 2 * iteration + between,
            "pid": 4242,
            "hostname": "node-1",
            "node_ip": "10.0.0.1",
            "config": {"lr": 0.001},
        }
        for iteration, loss in losses.items()
        for between in (0, 1)
    ]
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def snapshot(stamps: Iterable[str], losses: Iterable[float]) -> bytes:
    items = [
        {"version": 0, "checkpoint_dir_name": f"checkpoint_{stamp}", "metrics": {"loss": loss, "epoch": epoch}}
        for epoch, (stamp, loss) in enumerate(zip(stamps, losses, strict=True))
    ]
    return json_file({"version": 0, "checkpoint_results": items, "latest_checkpoint_result": items[-1]})


def trial(folder: str, files: Mapping[str, bytes]) -> dict[str, bytes]:
    """A trial whose checkpoints all hold the same files."""
    own = {f"{folder}/checkpoint_{it:06d}/{path}": data for it in LOSSES for path, data in files.items()}
    names = ("params.json", "params.pkl", "events.out.tfevents.1.node-1", "progress.csv")
    return {**own, f"{folder}/result.json": result(LOSSES), **{f"{folder}/{it}": b"x" for it in names}}


def expect(folder: str, layout: str = "") -> tuple[Expected, ...]:
    return tuple(
        Expected(f"{folder}/checkpoint_{iteration:06d}", counter=iteration, metrics={"loss": loss}, layout=layout)
        for iteration, loss in LOSSES.items()
    )


TRIAL = "exp/train_fn_a1b2c_00000_0_lr=0.0010_2026-08-01_12-00-00"
EXPERIMENT = {"exp/tuner.pkl": b"x", "exp/experiment_state-2026-08-01_12-00-00.json": b"{}"}
LIGHTNING = {"checkpoint.ckpt": torch_file()}
HUGGING_FACE = {
    "checkpoint/model.safetensors": safetensors(),
    "checkpoint/trainer_state.json": b'{"log_history": []}',
    "checkpoint/optimizer.pt": b"x",
}
RLLIB = {
    "rllib_checkpoint.json": b'{"type": "Algorithm"}',
    "algorithm_state.pkl": b"x",
    "learner_group/state.pkl": b"x",
    "policies/default_policy/policy_state.pkl": b"x",
}
LISTED = {f"run/checkpoint_{stamp}/model.pt": torch_file() for stamp in STAMPS}

TREES = (
    Tree(
        "a trial, with Lightning's file in each checkpoint",
        "ray",
        {**trial(TRIAL, LIGHTNING), **EXPERIMENT},
        expect(TRIAL),
    ),
    Tree(
        "a trial, with a folder of transformers in each checkpoint",
        "ray",
        {**trial(TRIAL, HUGGING_FACE), **EXPERIMENT},
        expect(TRIAL),
    ),
    Tree(
        "a trial of RLlib, and a policy saved by hand",
        "ray-rllib",
        {**trial(TRIAL, RLLIB), **{f"kept/my-policy/{path}": data for path, data in RLLIB.items()}},
        (*expect(TRIAL), Expected("kept/my-policy", roles=("named",))),
    ),
    Tree(
        "a run of Train v2 with its snapshot",
        "ray",
        {
            **LISTED,
            f"run/{SNAPSHOT}": snapshot(STAMPS, LOSSES.values()),
            "run/.validate_storage_marker": b"",
            f"run/checkpoint_{STAMPS[0]}/.metadata.json": b"{}",
        },
        tuple(
            Expected(f"run/checkpoint_{stamp}", metrics={"loss": loss})
            for stamp, loss in zip(STAMPS, LOSSES.values(), strict=True)
        ),
        pointers={f"run/{SNAPSHOT}": f"run/checkpoint_{STAMPS[3]}"},
        rosters={f"run/{SNAPSHOT}": tuple(f"run/checkpoint_{stamp}" for stamp in STAMPS)},
    ),
    Tree(
        "a download was left half way",
        "ray",
        {**trial(TRIAL, LIGHTNING), f"{TRIAL}/checkpoint_tmp_0123456789abcdef/checkpoint.ckpt": b"PK\x03\x04"},
        (Expected(f"{TRIAL}/checkpoint_tmp_0123456789abcdef", state="partial"), *expect(TRIAL)),
    ),
)
