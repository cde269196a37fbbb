"""Hugging Face transformers' Trainer, 4 and 5 (to 5.23), and what is built on it: TRL, PEFT, axolotl, PaddleNLP.

Read in transformers' trainer.py and trainer_utils.py, accelerate's utils/fsdp_utils.py and DeepSpeed's engine. Weights
come first, ``trainer_state.json`` last (by rank 0). Around 4.37 saves were staged in ``tmp-checkpoint-N``, for some
weeks of 2025 in ``tmp-checkpoint-XXXXXXXX``. What lies in the output folder itself is the final model, no checkpoint.
"""

from __future__ import annotations

from ckptctl.layouts.schema import FolderLayout, Layout, MetricSource, OriginFile, PointerFile, RecordedMetric, Slimming

_BESIDE = tuple(
    """runs logs wandb completions events.out.tfevents.* *.log README.md config.json generation_config.json
    model*.safetensors model.safetensors.index.json pytorch_model*.bin pytorch_model.bin.index.json
    pytorch_model_fsdp_0 adapter_config.json adapter_model.* training_args.bin trainer_state.json
    *_results.json tokenizer* special_tokens_map.json added_tokens.json vocab.* merges.txt *.model
    chat_template* preprocessor_config.json processor_config.json generated_predictions.txt zero_to_fp32.py
    model_state.pdparams""".split()
)
_SIGNS = tuple(
    """config.json training_args.bin model*.safetensors pytorch_model*.bin adapter_model.* adapter_config.json
    pytorch_model_fsdp_0 global_step* optimizer.pt optimizer_0 scheduler.pt rng_state*.pth
    model_state.pdparams""".split()
)
_WEIGHTS = ("model*.safetensors", "pytorch_model.bin", "pytorch_model-*.bin", "adapter_model.*", "*.pdparams")
_RESUME = ("optimizer.*", "optimizer_0", "scheduler.*", "scaler.*", "rng_state*.pth", "rank*-of-*-optimizer.pt")

_PLAIN = FolderLayout(
    name="transformers",
    names=(r"checkpoint-(?P<step>\d+)",),
    sentinels=("trainer_state.json",),
    hints=_SIGNS,
    written_last=True,
    required=("trainer_state.json",),
    ranks=(r"rng_state_(\d+)\.pth", r"pytorch_model_fsdp_rank(\d+)\.bin", r"rank(\d+)-of-\d+-optimizer\.pt"),
    beside=_BESIDE,
    in_progress=(r"tmp-checkpoint-[0-9a-z_]+",),
    pointers=(PointerFile("trainer_state.json", "json", field="best_model_checkpoint", place="inside", is_best=True),),
    sources=(
        MetricSource(
            "trainer_state.json",
            "inside",
            "json",
            rows="log_history",
            column="step",
            take=("eval_*",),
            leave=("*_runtime", "*_per_second", "*_time"),
            numbers={"epoch": "epoch"},
            is_history=True,
        ),
    ),
    recorded=(
        RecordedMetric(
            "training_args.bin",
            "inside",
            "torch",
            monitor="metric_for_best_model",
            prefix="eval_",
            mode="greater_is_better",
            modes={"true": "max", "false": "min"},
        ),
    ),
    origins=(
        OriginFile("config.json", ("_name_or_path",), '  "_name_or_path": "runs/a/x",'),  # until 4.57
        OriginFile("adapter_config.json", ("base_model_name_or_path",), '  "base_model_name_or_path": "runs/a/x",'),
    ),
    slimming=Slimming(
        files=_RESUME,
        require=_WEIGHTS,
    ),
    examples=("checkpoint-500", "checkpoint-1000000"),
)

LAYOUTS: tuple[Layout, ...] = (
    _PLAIN._replace(
        name="transformers-deepspeed",
        sentinels=(("trainer_state.json", "global_step*"),),
        required=("trainer_state.json", "global_step*"),
        # with ZeRO-3 the weights beside the optimizer's folder may be missing, or tensors without numbers
        slimming=Slimming((*_RESUME, "global_step*", "latest", "zero_to_fp32.py"), _WEIGHTS, may_be_empty=True),
    ),
    _PLAIN,
)
