"""Stable-Baselines3 1.8 to 2.9, with rl-zoo: CheckpointCallback and EvalCallback.

From stable_baselines3 ``common/callbacks.py`` and ``common/save_util.py``. The model is a zip, written in place; the
replay buffer, often far larger, and the normalisation of observations are pickles beside it. An evaluation is about the
checkpoint of the same number of environment steps: the two callbacks count calls, so others were never evaluated.
"""

from __future__ import annotations

from ckptctl.layouts.schema import FamilyLayout, Layout, MetricSource, Slimming

_EVALUATIONS = MetricSource(
    "evaluations.npz",
    "beside",
    "npz",
    column="timesteps",
    take=("results", "successes"),
    names={"results": "mean_reward", "successes": "success_rate"},
)
"""What EvalCallback measured: mean over the episodes, called as in its logger."""

LAYOUTS: tuple[Layout, ...] = (
    FamilyLayout(
        name="stable_baselines3",
        names=(
            r"(?P<series>.+?)_(?:replay_buffer_|vecnormalize_)?(?P<step>\d+)_steps\.(?:(?P<lead>zip)|pkl)",
            r"(?P<best>best_model)\.(?P<lead>zip)",
        ),
        beside=tuple(
            """evaluations.npz *.monitor.csv monitor.csv progress.csv progress.json log.txt
            events.out.tfevents.* vecnormalize.pkl replay_buffer.pkl *.zip *.yml *.yaml command.txt videos""".split()
        ),
        sources=(_EVALUATIONS, _EVALUATIONS._replace(place="above")),
        slimming=Slimming(files=("*_replay_buffer_*.pkl",), require=("*.zip",)),
        examples=(
            "rl_model_1000_steps.zip",
            "rl_model_replay_buffer_1000_steps.pkl",
            "rl_model_vecnormalize_1000_steps.pkl",
            "best_model.zip",
        ),
    ),
)
