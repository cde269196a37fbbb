"""Runs of Ignite and of MONAI."""

from __future__ import annotations

from tests.layouts.tree import Expected, Tree, torch_file

_MODEL = torch_file({"weight": [], "bias": []})
_ALL = torch_file({"model": {}, "optimizer": {"state": {}}, "lr_scheduler": {}, "trainer": {"iteration": 500}})

TREES = (
    Tree(
        "ignite by a loss that it negates, two of them the same",
        "ignite",
        {
            "best_model_1_neg_val_loss=-0.8125.pt": _MODEL,
            "best_model_4_neg_val_loss=-0.2500.pt": _MODEL,
            "best_model_7_neg_val_loss=-0.1250.pt": _MODEL,
            "best_model_9_neg_val_loss=-0.1250.pt": _MODEL,
            "log.txt.log": b"x",
        },
        (
            Expected("best_model_1_neg_val_loss=-0.8125.pt", epoch=1, metrics={"neg_val_loss": -0.8125}),
            Expected("best_model_4_neg_val_loss=-0.2500.pt", epoch=4, metrics={"neg_val_loss": -0.25}),
            Expected("best_model_7_neg_val_loss=-0.1250.pt", epoch=7, metrics={"neg_val_loss": -0.125}),
            Expected("best_model_9_neg_val_loss=-0.1250.pt", epoch=9, metrics={"neg_val_loss": -0.125}),
        ),
        mode="max",
    ),
    Tree(
        "ignite by a negated loss whose name does not say it, the newest cut short, a save left over",
        "ignite",
        {
            "model_2_val_loss=-0.5000.pt": _MODEL,
            "model_3_val_loss=-0.2500.pt": _MODEL,
            "model_5_val_loss=-0.1875.pt": _MODEL[:-30],
            "tmpk3f_9x2q": _MODEL[:60],
        },
        (
            Expected("tmpk3f_9x2q", state="partial"),
            Expected("model_2_val_loss=-0.5000.pt", epoch=2, metrics={"val_loss": -0.5}),
            Expected("model_3_val_loss=-0.2500.pt", epoch=3, metrics={"val_loss": -0.25}),
            Expected("model_5_val_loss=-0.1875.pt", epoch=5, metrics={"val_loss": -0.1875}, state="damaged"),
        ),
        mode="max",
    ),
    Tree(
        "ignite by a score and by iterations",
        "ignite",
        {
            "best_model_3_val_acc=0.7500.pt": _MODEL,
            "best_model_5_val_acc=0.8125.pt": _MODEL,
            "checkpoint_500.pt": _ALL,
            "checkpoint_1000.pt": _ALL,
        },
        (
            Expected("best_model_3_val_acc=0.7500.pt", epoch=3, metrics={"val_acc": 0.75}),
            Expected("best_model_5_val_acc=0.8125.pt", epoch=5, metrics={"val_acc": 0.8125}),
            Expected("checkpoint_1000.pt", step=1000, layout="ignite-periodic"),
            Expected("checkpoint_500.pt", step=500, layout="ignite-periodic"),
        ),
        mode="max",
    ),
    Tree(
        "MONAI: every epoch, the best and the final one",
        "ignite",
        {
            "net_epoch=5.pt": _MODEL,
            "net_epoch=10.pt": _MODEL,
            "net_key_metric=0.8512.pt": _MODEL,
            "net_final_iteration=400.pt": _MODEL,
        },
        (
            Expected("net_key_metric=0.8512.pt", metrics={"key_metric": 0.8512}),
            Expected("net_epoch=5.pt", epoch=5),
            Expected("net_epoch=10.pt", epoch=10),
            Expected("net_final_iteration=400.pt", step=400, roles=("final",)),
        ),
        mode="max",
    ),
)
