"""kohya-ss/sd-scripts as of February 2026: ``NAME-000010.safetensors``, ``NAME-step00001000.safetensors``.

A folder to resume from (accelerate's ``save_state``) ends in ``-state`` instead. Read in sd-scripts'
library/train_util.py and train_network.py. Epochs count from 1. Models and states have a retention of their own each.
The last model has no number: only beside numbered ones does it show what it is.
"""

from __future__ import annotations

from ckptctl.layouts.schema import FileLayout, FolderLayout, Layout, MetricSource, Slimming

_DIGIT = "[0-9]"
_BESIDE = ("sample", "logs", "wandb", "*.toml", "*.json", "*.txt", "*.log", "events.out.tfevents.*")
_STATE = MetricSource(
    "train_state.json", "inside", "json", take=(), numbers={"epoch": "current_epoch", "step": "current_step"}
)

LAYOUTS: tuple[Layout, ...] = (
    FolderLayout(
        name="kohya-state",
        names=(r".+-(?P<epoch>\d{6})-state", r".+-step(?P<step>\d{8})-state", r"(?P<last>.+-state)"),
        sentinels=("random_states_0.pkl", "train_state.json"),
        hints=("model*.safetensors", "pytorch_model*", "optimizer*.bin", "scheduler*.bin"),
        required=("random_states_0.pkl",),
        ranks=(r"random_states_(\d+)\.pkl",),
        beside=_BESIDE,
        sources=(_STATE,),
        epoch_base=1,
        slimming=Slimming(refuse="it is only there to resume from"),
        examples=("mychar-000010-state", "mychar-step00001000-state", "mychar-state"),
    ),
    FolderLayout(
        name="kohya-diffusers",
        names=(r".+-(?P<epoch>\d{6})", r".+-step(?P<step>\d{8})"),
        sentinels=("model_index.json",),
        hints=("unet", "vae", "text_encoder"),
        required=("model_index.json",),
        beside=_BESIDE,
        epoch_base=1,
        slimming=Slimming(refuse="it holds nothing but weights"),
        examples=("mymodel-000002", "mymodel-step00000500"),
    ),
    FileLayout(
        name="kohya",
        names=(
            r"(?P<series>.+)-(?P<epoch>\d{6})\.safetensors",
            r"(?P<series>.+)-step(?P<step>\d{8})\.safetensors",
            r"(?P<final>.+)\.safetensors",
        ),
        neighbors=(f"*-{_DIGIT * 6}.safetensors", f"*-step{_DIGIT * 8}.safetensors"),
        beside=_BESIDE,
        epoch_base=1,
        slimming=Slimming(refuse="it holds nothing but weights"),
        examples=("mychar-000010.safetensors", "mychar-step00001000.safetensors", "mychar.safetensors"),
    ),
)
