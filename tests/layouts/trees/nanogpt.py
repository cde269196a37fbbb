"""Runs of nanoGPT."""

from __future__ import annotations

from ckptctl.formats.torch_writer import make_tensor
from tests.layouts.tree import Expected, Tree, torch_file

_STATE = torch_file(
    {
        "model": {},
        "optimizer": {"state": {}},
        "model_args": {"n_layer": 12, "block_size": 1024},
        "iter_num": 2000,
        "best_val_loss": make_tensor([3.125]),
        "config": {"dataset": "openwebtext"},
    }
)

TREES = (
    Tree(
        "nanogpt, the one file that it writes",
        "nanogpt",
        {"out/ckpt.pt": _STATE},
        (Expected("out/ckpt.pt", step=2000, metrics={"val_loss": 3.125}, roles=("last",)),),
    ),
    Tree(
        "nanogpt, killed while it saved",
        "nanogpt",
        {"out/ckpt.pt": _STATE[:-30], "out/.ckpt.pt.swp": b"x"},
        (Expected("out/ckpt.pt", roles=("last",), state="damaged"),),
        strays=("out/.ckpt.pt.swp",),
    ),
)
