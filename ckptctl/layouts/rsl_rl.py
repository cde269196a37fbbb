"""rsl_rl 2 and 3 as Isaac Lab runs it: ``model_N.pt`` beside ``git/`` and ``params/``.

From rsl_rl ``runners/on_policy_runner.py``. N is the learning iteration, from 0; nothing else in the name says that it
counts, and members of an ensemble may be called so: without what the runner leaves beside, they are nobody's. Rewards
go to TensorBoard alone.
"""

from __future__ import annotations

from ckptctl.layouts.schema import FileLayout, Layout, MetricSource, Slimming

LAYOUTS: tuple[Layout, ...] = (
    FileLayout(
        name="rsl_rl",
        extensions=(".pt",),
        names=(r"model_(?P<step>0|[1-9]\d{0,8})\.pt",),
        neighbors=("git", "params", "exported"),
        beside=("git", "params", "exported", "videos", "events.out.tfevents.*", "wandb", "*.diff"),
        sources=(MetricSource("", "inside", "torch", take=(), numbers={"step": "iter"}),),
        slimming=Slimming(drop=("optimizer_state_dict", "rnd_optimizer_state_dict")),
        examples=("model_0.pt", "model_1500.pt"),
    ),
)
