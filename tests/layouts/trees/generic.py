"""Runs of nobody's framework."""

from __future__ import annotations

from tests.layouts.tree import Expected, Tree, safetensors, torch_file

_STATE = torch_file({"model": {}, "optimizer": {"state": {}}})

TREES = (
    Tree(
        "a folder for each save",
        "generic",
        {
            "train.log": b"x",
            **{f"step_{it}/{name}": _STATE for it in (100, 200, 300) for name in ("model.pt", "optimizer.pt")},
            **{f"step_{it}/config.json": b"{}" for it in (100, 200, 300)},
        },
        tuple(Expected(f"step_{it}", step=it, layout="generic-folder") for it in (100, 200, 300)),
    ),
    Tree(
        "steps, beside all that is called alike",
        "generic",
        {
            "config.json": b"{}",
            "train.log": b"x",
            **{f"myrun-step-{it}.pt": _STATE for it in (50, 100, 150)},
            "step-100-bak": _STATE,
            "myrun-step-100-bak.pt": _STATE,
            "myrun-step-150_rank_0.pt": _STATE,
            "optimizer-step-150.bin": _STATE,
            "resnet50.pth": _STATE,
            "llama-7b.pt": _STATE,
            "vgg_16.pth": _STATE,
            "features_3.pt": _STATE,
            "logits-step-150.pt": _STATE,
            "averaged-step-150.pt": _STATE,
            "pytorch_model.bin": _STATE,
            "model-00001-of-00004.safetensors": safetensors(),
            "best_model.pt": _STATE,
            "model_final.pt": _STATE,
        },
        (
            Expected("best_model.pt", roles=("best",)),
            Expected("model_final.pt", roles=("final",)),
            Expected("pytorch_model.bin", roles=("named",)),
            Expected("myrun-step-50.pt", step=50),
            Expected("myrun-step-100.pt", step=100),
            Expected("myrun-step-150.pt", step=150),
            Expected("myrun-step-150_rank_0.pt", step=150),
        ),
        strays=("model-00001-of-00004.safetensors",),
    ),
    Tree(
        "epochs with what they were worth, the newest cut short",
        "generic",
        {
            "model_epoch_1_val_loss=0.5000.pth": _STATE,
            "model_epoch_2_val_loss=0.2500.pth": _STATE,
            "model_epoch_3_val_loss=0.2500.pth": _STATE[:-30],
            "model_epoch_3_val_loss=0.2500.pth.tmp": b"PK",
            "last.pth": _STATE,
        },
        (
            Expected("last.pth", roles=("last",)),
            Expected("model_epoch_1_val_loss=0.5000.pth", epoch=1, metrics={"val_loss": 0.5}),
            Expected("model_epoch_2_val_loss=0.2500.pth", epoch=2, metrics={"val_loss": 0.25}),
            Expected("model_epoch_3_val_loss=0.2500.pth", epoch=3, metrics={"val_loss": 0.25}, state="damaged"),
        ),
        strays=("model_epoch_3_val_loss=0.2500.pth.tmp",),
    ),
    Tree(
        "PyTorch's ImageNet example, and MoCo's numbers",
        "generic",
        {
            **{f"checkpoint_{it:04d}.pth.tar": _STATE for it in (0, 100, 199)},
            "checkpoint.pth.tar": _STATE,
            "model_best.pth.tar": _STATE,
        },
        (
            Expected("checkpoint.pth.tar", roles=("last",)),
            Expected("model_best.pth.tar", roles=("best",)),
            *(Expected(f"checkpoint_{it:04d}.pth.tar", counter=it) for it in (0, 100, 199)),
        ),
    ),
    Tree(
        "two networks, which are one checkpoint together",
        "generic",
        {
            **{f"netG_epoch_{it}.pth": _STATE for it in (0, 1, 2)},
            **{f"netD_epoch_{it}.pth": _STATE for it in (0, 1)},
            "netD_epoch_2.pth": _STATE[:-30],
            "real_samples.png": b"x",
        },
        (
            Expected("netG_epoch_0.pth", ("netG_epoch_0.pth", "netD_epoch_0.pth"), epoch=0),
            Expected("netG_epoch_1.pth", ("netG_epoch_1.pth", "netD_epoch_1.pth"), epoch=1),
            Expected("netG_epoch_2.pth", ("netG_epoch_2.pth", "netD_epoch_2.pth"), epoch=2, state="partial"),
        ),
    ),
)
