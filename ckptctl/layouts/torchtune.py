"""torchtune, to 0.7: ``epoch_N`` (from 0) and ``step_N``.

Read in torchtune's training/checkpointing. Weights come first, then the configuration files of the base model are
copied, then, save for the last epoch, ``recipe_state.pt``. It cannot be asked for: in older releases, and with the
Meta checkpointer to this day, it is a single file in ``recipe_state/`` beside. Logs are free text, no metrics.
"""

from __future__ import annotations

from ckptctl.layouts.schema import FolderLayout, Layout, Slimming

LAYOUTS: tuple[Layout, ...] = (
    FolderLayout(
        name="torchtune",
        names=(r"epoch_(?P<epoch>\d+)", r"step_(?P<step>\d+)"),
        sentinels=("recipe_state.pt", "original_repo_id.json", "adapter_model.pt"),
        hints=("model-*-of-*", "model.safetensors", "adapter_model.*", "adapter_config.json"),
        required=("model-*|model.safetensors|adapter_model*|.metadata", "*.json|.metadata"),
        newest_lacks=("recipe_state.pt",),
        beside=("logs", "recipe_state", "profiling_outputs", "torchtune_config.yaml", "*.log", "log_*.txt", "wandb"),
        slimming=Slimming(files=("recipe_state.pt",), require=("model-*-of-*", "model.safetensors", "adapter_model.*")),
        examples=("epoch_0", "epoch_12", "step_500"),
    ),
)
