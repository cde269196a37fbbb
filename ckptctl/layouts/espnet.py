"""ESPnet2, 2020 to 2025.

From espnet2 ``train/trainer.py``, ``train/reporter.py`` and ``main_funcs/average_nbest_models.py``. Epochs count
from 1; ``Nepoch.pth`` is the model alone. ``checkpoint.pth`` is the one state to resume from, and all that was ever
measured is in it. ``latest.pth`` and ``PHASE.METRIC.best.pth`` are links; averages are made of several epochs, and may
be links to each other (``ave`` to ``ave_1best`` to an epoch).
"""

from __future__ import annotations

from ckptctl.layouts.schema import FileLayout, Layout, MetricSource, Slimming

LAYOUTS: tuple[Layout, ...] = (
    FileLayout(
        name="espnet",
        extensions=(".pth",),
        names=(
            r"(?P<epoch>\d+)epoch\.pth",
            r"(?P<resume>checkpoint)\.pth",
            r"(?P<derived>\w+\.[\w.]+?\.ave(?:_\d+best)?(?:\.till\d+epoch)?)\.pth",
        ),
        neighbors=("[0-9]*epoch.pth",),
        beside=tuple(
            """config.yaml *.log images tensorboard att_ws wandb run.sh packed.zip RESULTS.md *_stats
            perturb_*""".split()
        ),
        sources=(
            MetricSource(
                "checkpoint.pth",
                "beside",
                "torch",
                rows="reporter/stats",
                column="key",
                by="epoch",
                # Not the count and the time of all batches, which are kept among the metrics.
                take=("valid/[!t]*", "valid/t[!io]*", "train/loss*", "train/acc*"),
            ),
        ),
        epoch_base=1,
        slimming=Slimming(drop=("optimizers", "schedulers", "scaler", "reporter")),
        examples=(
            "1epoch.pth",
            "checkpoint.pth",
            "valid.acc.ave_10best.pth",
            "valid.cer_ctc.ave_3best.till20epoch.pth",
        ),
    ),
)
