"""nanoGPT and its many children: one file, written over at each evaluation.

From nanoGPT ``train.py``. ``best_val_loss`` is this save's: it is set to what was just measured before each save.
"""

from __future__ import annotations

from ckptctl.layouts.schema import FileLayout, Layout, MetricSource, Slimming

_BEST = MetricSource(
    "", "inside", "torch", take=("best_val_loss",), names={"best_val_loss": "val_loss"}, numbers={"step": "iter_num"}
)

LAYOUTS: tuple[Layout, ...] = (
    FileLayout(
        name="nanogpt",
        extensions=(".pt",),
        names=(r"(?P<last>ckpt)\.pt",),
        sources=(_BEST,),
        slimming=Slimming(drop=("optimizer",)),
        is_generic=True,  # its children number theirs, by names that are nobody's own
        examples=("ckpt.pt",),
    ),
)
