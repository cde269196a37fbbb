r"""PyTorch Ignite 0.3 to 0.5, and MONAI's ``CheckpointSaver`` on top of it.

From ignite ``handlers/checkpoint.py`` and monai ``handlers/checkpoint_saver.py``. Nothing lies beside, so the names
must be the handler's very own: a score is whole, or has four decimals. More is always better: who wants the least loss
negates it, so a loss that is not negative was not written by Ignite, and ranking it by Ignite's rule would drop the
best. The number before a score is the trainer's epoch (``global_step_from_engine``), the one behind ``checkpoint``
alone the iteration unless told otherwise.
"""

from __future__ import annotations

from ckptctl.layouts.schema import FileLayout, Layout, Slimming

_SCORE = r"(?P<value>-?\d+(?:\.\d{4})?|nan|-?inf)"
_LESS_IS_BETTER = (
    r"\w*loss(?:es)?|\w*errors?|err|[cwmt]er|eer|n?rmsle|r?mse|mae|[ms]?mape|ppl|\w*perplexity|fid|kid|lpips|nll|bp[bc]"
    r"|b?ce|\w*entropy|kld?|divergence|distance|hd(?:95)?|assd?|brier|hinge|regret|latency|epe"
)
_METRIC = rf"(?![^=]*(?<![A-Za-z])(?i:{_LESS_IS_BETTER})(?![A-Za-z])[^=]*=\d)(?P<metric>[A-Za-z][^=/]*?)"
_OBJECT = r"(?:[^=/]*?_)?(?:checkpoint|model|net|network)"
_EXTENSION = r"\.pth?"
"""``.pth`` up to 0.3."""
_SLIMMING = Slimming(drop=("optimizer", "lr_scheduler", "trainer", "checkpointer"))
_BESIDE = ("events.out.tfevents.*", "*.log", "*.json", "*.yaml")

LAYOUTS: tuple[Layout, ...] = (
    FileLayout(
        name="ignite",
        extensions=(".pt", ".pth"),
        names=(
            rf"(?:[^=/]*?_)?[A-Za-z]+_epoch=(?P<epoch>\d+){_EXTENSION}",
            rf"(?:[^=/]*?_)?[A-Za-z]+_(?P<final>final)_iteration=(?P<step>\d+){_EXTENSION}",
            rf"(?:[^=/]*?_)?[A-Za-z]+_iteration=(?P<step>\d+){_EXTENSION}",
            rf"(?:[^=/]*?_)?[A-Za-z]+_(?P<metric>key_metric)={_SCORE}{_EXTENSION}",
            rf"(?:[^=/]*?_)?[A-Za-z]+_(?P<epoch>\d+)_{_METRIC}={_SCORE}{_EXTENSION}",
            rf"{_OBJECT}_{_METRIC}={_SCORE}{_EXTENSION}",
            rf"training_checkpoint_(?P<step>\d+){_EXTENSION}",
        ),
        beside=_BESIDE,
        in_progress=(r"tmp[a-z0-9_]{8}",),
        always="max",
        slimming=_SLIMMING,
        examples=tuple(
            """best_model_3_val_acc=0.8100.pt best_model_12_neg_val_loss=-0.1234.pt
            best_model_12_val_loss=-0.1234.pt model_key_metric=0.8512.pt best_model_val_accuracy=0.7700.pt
            checkpoint_epoch=10.pt net_iteration=400.pt checkpoint_final_iteration=1000.pt
            training_checkpoint_5000.pt""".split()
        ),
    ),
    FileLayout(
        name="ignite-periodic",
        extensions=(".pt", ".pth"),
        names=(rf"(?:[A-Za-z][A-Za-z_]*_)?checkpoint_(?P<step>\d+){_EXTENSION}",),
        neighbors=("*[a-z]_[0-9]*_*=*.pt", "*_key_metric=*.pt"),
        beside=_BESIDE,
        slimming=_SLIMMING,
        examples=("checkpoint_5000.pt", "run_checkpoint_700.pt"),
    ),
)
