"""Hugging Face accelerate as of July 2026 (1.15), ``save_state``, and the training scripts of diffusers that call it.

Read in accelerate's accelerator.py, checkpointing.py, utils/constants.py and utils/fsdp_utils.py, and in diffusers'
examples. ``checkpoint_N`` counts saves, not steps; scripts choose any name (``step_1000``, ``epoch_3``; diffusers
``checkpoint-500``). Weights come first, each rank's ``random_states_R.pkl`` last. Nothing keeps metrics.
"""

from __future__ import annotations

from ckptctl.layouts.schema import FolderLayout, Layout, Slimming

LAYOUTS: tuple[Layout, ...] = (
    FolderLayout(
        name="accelerate",
        names=(
            r"checkpoint_(?P<index>0|[1-9]\d*)",
            r"checkpoint-(?P<step>\d+)",
            r"(?:global_)?step[-_]?(?P<step>\d+)",
            r"epoch[-_]?(?P<epoch>\d+)",
            r"(?P<free>.+)",
        ),
        sentinels=("random_states_0.pkl",),
        hints=tuple(
            """model*.safetensors pytorch_model* optimizer*.bin optimizer_0 scheduler*.bin sampler*.bin
            dl_state_dict*.bin custom_checkpoint_*.pkl random_states_*.pkl unet* transformer* controlnet*
            pytorch_lora_weights.safetensors""".split()
        ),
        required=("random_states_0.pkl",),
        no_links="with a limit of saves, accelerate stops at a name without a number among its checkpoints",
        ranks=(r"random_states_(\d+)\.pkl", r"pytorch_model_fsdp_0_rank(\d+)\.bin", r"optimizer_0_rank(\d+)\.bin"),
        beside=tuple(
            """logs runs wandb samples validation* events.out.tfevents.* *.log *.png *.yaml README.md
            all_results.json config.json model_index.json model*.safetensors pytorch_model*.bin
            diffusion_pytorch_model*.safetensors pytorch_lora_weights.safetensors unet* vae transformer*
            controlnet* text_encoder* tokenizer* scheduler feature_extractor image_encoder safety_checker""".split()
        ),
        slimming=Slimming(
            files=tuple(
                """optimizer*.bin optimizer_0 scheduler*.bin sampler*.bin dl_state_dict*.bin scaler.pt
                random_states_*.pkl""".split()
            ),
            require=tuple(
                """model*.safetensors pytorch_model*.bin pytorch_model_fsdp_0 pytorch_lora_weights.safetensors
                unet* transformer* controlnet*""".split()
            ),
        ),
        examples=("checkpoint_0", "checkpoint_12", "step_1000", "epoch_3", "checkpoint-500", "before-tuning"),
    ),
)
