"""Runs of rsl_rl."""

from __future__ import annotations

from tests.layouts.tree import Expected, Tree, torch_file


def _state(iteration: int) -> bytes:
    return torch_file({"model_state_dict": {}, "optimizer_state_dict": {"state": {}}, "iter": iteration, "infos": None})


_BESIDE = {
    "events.out.tfevents.1.host": b"x",
    "git/IsaacLab.diff": b"x",
    "params/agent.yaml": b"seed: 42\n",
    "params/env.yaml": b"sim: {}\n",
}

TREES = (
    Tree(
        "rsl_rl as Isaac Lab runs it",
        "rsl_rl",
        {**_BESIDE, "exported/policy.pt": torch_file({}), **{f"model_{it}.pt": _state(it) for it in (0, 50, 100, 149)}},
        tuple(Expected(f"model_{it}.pt", step=it) for it in (0, 50, 100, 149)),
    ),
    Tree(
        "rsl_rl, killed while it saved",
        "rsl_rl",
        {
            **_BESIDE,
            "model_0.pt": _state(0),
            "model_50.pt": _state(50),
            "model_100.pt": _state(100)[:-30],
            "model_50": b"",
        },
        (
            Expected("model_0.pt", step=0),
            Expected("model_50.pt", step=50),
            Expected("model_100.pt", step=100, state="damaged"),
        ),
        strays=("model_50",),
    ),
)
