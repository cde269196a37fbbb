"""Megatron-LM and Megatron-Core as of August 2026, and Megatron-Bridge: ``iter_NNNNNNN`` and ``release``.

Read in Megatron-LM's training/checkpointing.py and core/dist_checkpointing. The newer formats are torch's distributed
one, ``torch_dist`` with ``metadata.json`` written after it; the old one has a folder for each tensor, pipeline and
expert rank. The tracker is written once all is done. Where a save's folder is a link, Megatron itself does
not delete it.
"""

from __future__ import annotations

from ckptctl.layouts.schema import FolderLayout, Layout, PointerFile, Slimming

_NAMES = (r"iter_(?P<step>\d{7,})", r"(?P<final>release)")
_POINTERS = (PointerFile("latest_checkpointed_iteration.txt", "step", commits=True),)
_BESIDE = tuple(
    """latest_checkpointed_iteration.txt latest_wandb_artifact_path.txt latest_train_state.pt progress.txt
    non_persistent grads dataloader* tensorboard tb_logs wandb events.out.tfevents.* *.log""".split()
)

LAYOUTS: tuple[Layout, ...] = (
    FolderLayout(
        name="megatron",
        names=_NAMES,
        sentinels=("__*_*.distcp", ".metadata", ("common.pt", "metadata.json")),
        hints=("common.pt", "metadata.json"),
        written_last=True,
        required=("metadata.json|.metadata",),
        manifest=".metadata",
        beside=_BESIDE,
        pointers=_POINTERS,
        slimming=Slimming(refuse="weights and optimizer state share its files"),
        examples=("iter_0000500", "iter_0125000", "release"),
    ),
    FolderLayout(
        name="megatron-legacy",
        names=_NAMES,
        sentinels=("mp_rank_*",),
        required=("mp_rank_*",),
        ranks=(r"mp_rank_(\d{2})", r"mp_rank_(\d{2})_(\d{3})", r"mp_rank_(\d{2})_(\d{3})_(\d{3})"),
        beside=_BESIDE,
        pointers=_POINTERS,
        slimming=Slimming(files=("mp_rank_*/distrib_optim.pt",), require=("mp_rank_*/model_optim_rng.pt",)),
        examples=("iter_0000500", "release"),
    ),
)
"""``metadata.json`` is not asked for where ``.metadata`` is: ``torch_dcp`` and ``fsdp_dtensor`` write none."""
