"""torch.distributed.checkpoint (torch 2, to 2.15) under any name, and torchtitan (as of August 2026) on top of it.

Read in torch's distributed/checkpoint/filesystem.py and torchtitan's components/checkpointer. Shards come first, then
``.metadata`` by a rename; it names every file, and ranks without anything to write leave none. Torchtitan's last save
may be in the safetensors format instead, merged out of ``sharded/``.
"""

from __future__ import annotations

from ckptctl.layouts.schema import FolderLayout, Layout, Slimming

_SLIMMING = Slimming(refuse="weights and optimizer state share its files")

LAYOUTS: tuple[Layout, ...] = (
    FolderLayout(
        name="torchtitan",
        names=(r"step-(?P<step>\d+)",),
        sentinels=("__*_*.distcp", ".metadata", "model.safetensors.index.json"),
        hints=("sharded",),
        written_last=True,
        required=(".metadata|model.safetensors.index.json",),
        manifest=".metadata",
        beside=("tb", "profile_traces", "profiling", "comm_traces", "events.out.tfevents.*", "*.log"),
        slimming=_SLIMMING,
        examples=("step-0", "step-500", "step-100000"),
    ),
    FolderLayout(
        name="dcp",
        names=(r"(?P<free>(?!(?:pytorch_model_fsdp|optimizer)_\d+$)(?!.*\.ckpt$).+)",),
        sentinels=("__*_*.distcp",),
        written_last=True,
        required=(".metadata",),
        manifest=".metadata",
        beside=("events.out.tfevents.*", "*.log", "logs", "wandb", "tb"),
        slimming=_SLIMMING,
        examples=("step_500", "epoch_3", "sharded_weights"),
    ),
)
"""``dcp`` leaves Lightning's folders and the parts of transformers' and accelerate's checkpoints to their layouts."""
