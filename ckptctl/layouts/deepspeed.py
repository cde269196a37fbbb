"""DeepSpeed as of August 2026 on its own, GPT-NeoX and Megatron-DeepSpeed on top of it: a folder for each tag.

Read in DeepSpeed's runtime/engine.py, runtime/pipe/module.py and checkpoint/ds_to_universal.py, and in GPT-NeoX'
megatron/checkpointing.py. ``latest`` is written after all ranks are done, by rank 0, over the old one. Layers of a
pipeline are numbered with gaps, so that nobody can tell that a layer's file is missing.
"""

from __future__ import annotations

from ckptctl.layouts.schema import FolderLayout, Layout, PointerFile, Slimming

_BESIDE = tuple(
    """latest latest_universal zero_to_fp32.py events.out.tfevents.* tensorboard logs wandb configs *.log
    ds_config*.json pytorch_model*.bin pytorch_model.bin.index.json""".split()
)

LAYOUTS: tuple[Layout, ...] = (
    FolderLayout(
        name="deepspeed-universal",
        names=(r"(?P<derived>(?:global_step(?P<step>\d+)|.+)_universal)",),
        sentinels=(("zero", "*_model_states.pt"),),
        hints=("zero", "tmp"),
        required=("zero", "*_model_states.pt"),
        beside=_BESIDE,
        pointers=(PointerFile("latest_universal", "name"),),
        slimming=Slimming(refuse="each parameter's weights lie beside its optimizer state"),
        examples=("global_step1000_universal", "after-warmup_universal"),
    ),
    FolderLayout(
        name="deepspeed",
        names=(
            r"global_step_?(?P<step>\d+)",
            r"(?:step|iter|iteration)[-_]?(?P<step>\d+)",
            r"epoch[-_]?(?P<epoch>\d+)",
            r"(?P<index>\d+)",
            r"(?P<free>.+)",
        ),
        sentinels=("*_model_states.pt", "*_optim_states.pt"),
        required=("*_model_states.pt",),
        ranks=(
            r"mp_rank_(\d+)_model_states\.pt",
            r"zero_pp_rank_(\d+)_mp_rank_(\d+)_model_states\.pt",
            r"(?:bf16_)?zero_pp_rank_(\d+)_mp_rank_(\d+)_optim_states\.pt",
            r"expp_rank_(\d+)_mp_rank_(\d+)_optim_states\.pt",
            r"layer_\d+_expert_(\d+)_mp_rank_(\d+)_model_states\.pt",
            r"layer_\d+-model_(\d+)-model_states\.pt",
        ),
        beside=_BESIDE,
        pointers=(PointerFile("latest", "name", commits=True),),
        slimming=Slimming(files=("*_optim_states.pt", "offloaded_tensors"), require=("mp_rank_*_model_states.pt",)),
        examples=("global_step1000", "epoch_3", "step-2000", "17", "after-warmup"),
    ),
)
"""Without ``mp_rank_*`` it is ZeRO-3, whose optimizer files hold the only weights: then it must not be slimmed."""
