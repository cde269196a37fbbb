"""MosaicML Composer 0.10 to 0.32, and LLM-Foundry: CheckpointSaver with its own template.

From composer ``callbacks/checkpoint_saver.py``, ``utils/checkpoint.py`` and ``utils/file_helpers.py``. One file of rank
0, or one for each rank (DeepSpeed, older releases); sharded, a folder of torch's distributed format, of which
``.metadata`` is written last. Both numbers count what is done. A store without links has text files instead, which end
in ``.symlink``.
"""

from __future__ import annotations

from ckptctl.layouts.schema import FamilyLayout, FolderLayout, Layout, PointerFile, Slimming

_STEM = r"(?P<stem>ep(?P<epoch>\d+)-ba(?P<step>\d+))-rank(?P<rank>\d+)"
_BESIDE = ("latest-rank*", "*.symlink", "huggingface", "*.yaml", "*.log", "*.txt", "metadata.json")
_POINTERS = (PointerFile("*.symlink", "name"),)
_RESUMING = tuple(
    "rng state/optimizers state/schedulers state/algorithms state/callbacks state/scaler state/dataset_state".split()
)

LAYOUTS: tuple[Layout, ...] = (
    FolderLayout(
        name="composer-sharded",
        names=(r"ep(?P<epoch>\d+)-ba(?P<step>\d+)",),
        sentinels=(".metadata", "__*_*.distcp"),
        written_last=True,
        required=(".metadata", "__*_*.distcp"),
        manifest=".metadata",
        beside=_BESIDE,
        pointers=_POINTERS,
        epoch_base=1,
        slimming=Slimming(refuse="weights and optimizer state share its shards"),
        examples=("ep1-ba2", "ep0-ba1000"),
    ),
    FamilyLayout(
        name="composer",
        names=(rf"{_STEM}\.pt",),
        beside=_BESIDE,
        pointers=_POINTERS,
        epoch_base=1,
        slimming=Slimming(drop=_RESUMING),
        examples=("ep1-ba2-rank0.pt", "ep0-ba1000-rank11.pt"),
    ),
    # Compressed, or DeepSpeed's tar: neither format tells cheaply where it ends.
    Layout(
        name="composer-packed",
        unit="family",
        names=(rf"{_STEM}\.pt\.(?:bz2|gz|lz4|lzma|lzo|xz|zst)", rf"{_STEM}\.(?:tar(?:\.gz|\.bz2|\.lzma)?|tgz)"),
        beside=_BESIDE,
        pointers=_POINTERS,
        epoch_base=1,
        slimming=Slimming(refuse="it is compressed as a whole"),
        examples=tuple(
            """ep1-ba2-rank0.pt.zst ep1-ba2-rank0.pt.bz2 ep1-ba2-rank0.pt.gz ep1-ba2-rank0.pt.lz4
            ep1-ba2-rank0.pt.lzma ep1-ba2-rank0.pt.lzo ep1-ba2-rank0.pt.xz ep1-ba2-rank1.tar
            ep1-ba2-rank1.tgz""".split()
        ),
    ),
)
