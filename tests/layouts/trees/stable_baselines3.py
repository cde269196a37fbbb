"""What the callbacks of Stable-Baselines3 leave in a folder."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Sequence
from io import BytesIO

from tests.layouts.tree import Expected, Tree, torch_file

_PICKLE = b"\x80\x04}."


def _model(steps: int) -> bytes:
    """A model as ``save`` writes it."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("data", f'{{"num_timesteps": {steps}}}')
        for name in ("pytorch_variables", "policy", "policy.optimizer"):
            archive.writestr(f"{name}.pth", torch_file())
        archive.writestr("_stable_baselines3_version", "2.9.2")
    return buffer.getvalue()


def _array(kind: str, code: str, rows: Sequence[Sequence[float]]) -> bytes:
    """Numbers as ``numpy.save`` writes them; one a row is an array of one axis."""
    shape = f"({len(rows)},)" if len(rows[0]) == 1 else f"({len(rows)}, {len(rows[0])})"
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}"
    header = header.ljust(117) + "\n"
    numbers = [number for row in rows for number in row]
    return (
        b"\x93NUMPY\x01\x00"
        + struct.pack("<H", 118)
        + header.encode()
        + struct.pack(f"<{len(numbers)}{code}", *numbers)
    )


def _evaluations(results: dict[int, tuple[float, float]]) -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("timesteps.npy", _array("<i8", "q", [(step,) for step in results]))
        archive.writestr("results.npy", _array("<f8", "d", list(results.values())))
        archive.writestr("ep_lengths.npy", _array("<i8", "q", [(200, 180) for _ in results]))
    return buffer.getvalue()


def _family(steps: int, series: str = "rl_model", folder: str = "") -> dict[str, bytes]:
    front = f"{folder}{series}"
    return {
        f"{front}_{steps}_steps.zip": _model(steps),
        f"{front}_replay_buffer_{steps}_steps.pkl": _PICKLE,
        f"{front}_vecnormalize_{steps}_steps.pkl": _PICKLE,
    }


def _found(steps: int, reward: float | None = None, series: str = "rl_model", folder: str = "") -> Expected:
    metrics = {} if reward is None else {"mean_reward": reward}
    return Expected(
        f"{folder}{series}_{steps}_steps", tuple(_family(steps, series, folder)), step=steps, metrics=metrics
    )


_RESULTS = {500: (1.0, 2.0), 1000: (10.0, 20.0), 2000: (30.0, 50.0)}

TREES = (
    Tree(
        "an agent that learns off policy, with evaluations beside",
        "stable_baselines3",
        {
            **_family(1000),
            **_family(2000),
            **_family(3000),
            "best_model.zip": _model(2000),
            "evaluations.npz": _evaluations(_RESULTS),
            "0.monitor.csv": b"#{}\nr,l,t\n",
            "CartPole-v1.zip": _model(3000),
            "CartPole-v1/config.yml": b"x: 1\n",
        },
        (
            Expected("best_model.zip", roles=("best",)),
            _found(1000, 15.0),
            _found(2000, 40.0),
            _found(3000),
        ),
    ),
    Tree(
        "models alone, evaluations in the folder above, the newest cut short",
        "stable_baselines3",
        {
            "checkpoints/ppo_1000_steps.zip": _model(1000),
            "checkpoints/ppo_2000_steps.zip": _model(2000),
            "checkpoints/ppo_3000_steps.zip": _model(3000)[:60],
            "evaluations.npz": _evaluations(_RESULTS),
        },
        (
            Expected("checkpoints/ppo_1000_steps.zip", step=1000, metrics={"mean_reward": 15.0}),
            Expected("checkpoints/ppo_2000_steps.zip", step=2000, metrics={"mean_reward": 40.0}),
            Expected("checkpoints/ppo_3000_steps.zip", step=3000, state="damaged"),
        ),
    ),
    Tree(
        "two agents with the same steps in one folder",
        "stable_baselines3",
        {**_family(1000, "a2c"), **_family(1000, "ppo"), **_family(2000, "a2c")},
        (_found(1000, series="a2c"), _found(1000, series="ppo"), _found(2000, series="a2c")),
    ),
    Tree(
        "a replay buffer without its model is nobody's",
        "stable_baselines3",
        {**_family(1000), **_family(2000), "rl_model_replay_buffer_3000_steps.pkl": _PICKLE},
        (_found(1000), _found(2000)),
        strays=("rl_model_replay_buffer_3000_steps.pkl",),
    ),
)
