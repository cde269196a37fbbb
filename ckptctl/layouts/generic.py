"""What no framework's row names: home-made loops, and what any program saved.

The row only says how such files are shown and proved whole. Which files they are, and which are one training's saves,
is told by all names of a folder together and by what the files hold: see ``scan/loose_files.py``.
"""

from __future__ import annotations

from ckptctl.layouts.schema import FileLayout, FolderLayout, Layout

_BESIDE = tuple(
    """*.json *.jsonl *.yaml *.yml *.toml *.txt *.log *.csv *.tsv *.md *.py *.png *.jpg
    events.out.tfevents.*""".split()
)

LAYOUTS: tuple[Layout, ...] = (
    # No name and no file shows such a folder: those beside it do, see ``scan/save_folders.py``.
    FolderLayout(name="generic-folder", beside=_BESIDE, is_generic=True, examples=("epoch_3", "step_500")),
    FileLayout(
        name="generic",
        beside=_BESIDE,
        is_generic=True,
        examples=("epoch_10.pt", "model_epoch_3_val_loss=0.42.pth", "step-1000.safetensors"),
    ),
)
