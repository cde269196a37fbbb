"""fastai 2: ``SaveModelCallback`` under its own default name, beside a CSVLogger's ``history.csv``.

From fastai ``callback/tracker.py``, ``callback/progress.py`` and ``learner.py``. Nothing else shows whose
``model_3.pth`` is, and with a name of the user's choice not even that: such files are nobody's. Epochs count
from 0, in the table too. ``model.pth`` is what did best; ``every_epoch`` numbers it.
"""

from __future__ import annotations

from ckptctl.layouts.schema import FileLayout, Layout, MetricSource, Slimming

LAYOUTS: tuple[Layout, ...] = (
    FileLayout(
        name="fastai",
        extensions=(".pth",),
        names=(r"model_(?P<epoch>0|[1-9]\d{0,4})\.pth", r"(?P<best>model)\.pth"),
        neighbors=("../history.csv",),
        sources=(
            MetricSource(
                "history.csv",
                "above",
                "csv",
                column="epoch",
                by="epoch",
                take=("*loss*", "*acc*", "*err*", "*score*", "*dice*", "*auc*", "*perplexity*"),
            ),
        ),
        slimming=Slimming(drop=("opt",)),
        examples=("model_3.pth", "model.pth"),
    ),
)
