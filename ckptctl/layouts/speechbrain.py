"""SpeechBrain 0.5 to 1.0: Checkpointer.

From speechbrain ``utils/checkpoints.py`` and ``core.py``. A folder for each save, one ``.ckpt`` for each thing that can
be recovered; ``CKPT.yaml``, with what was measured, is written first and so proves nothing. Names tell when, to the
second, and the last number parts saves of one second; ``epoch`` is known where the recipe noted it.
"""

from __future__ import annotations

from ckptctl.layouts.schema import FolderLayout, Layout, MetricSource, Slimming

LAYOUTS: tuple[Layout, ...] = (
    FolderLayout(
        name="speechbrain",
        names=(r"CKPT\+\d{4}-\d\d-\d\d\+\d\d-\d\d-\d\d\+(?P<version>\d+)", r"CKPT\+(?P<free>.+)"),
        sentinels=("CKPT.yaml",),
        hints=("brain.ckpt", "counter.ckpt", "model.ckpt", "optimizer.ckpt", "scheduler.ckpt", "normalizer.ckpt"),
        required=("CKPT.yaml", "*.ckpt"),
        beside=tuple(
            """*.csv *.json *.txt *.log *.pkl *.model *.vocab *.yaml events.out.tfevents.* lm tokenizer
            *_checkpoint*""".split()
        ),
        sources=(MetricSource("CKPT.yaml", "inside", "yaml", numbers={"epoch": "epoch", "time": "unixtime"}),),
        slimming=Slimming(
            files=("optimizer*.ckpt", "*opt*.ckpt", "scheduler*.ckpt", "lr_annealing*.ckpt", "dataloader-*.ckpt"),
            require=("*model*.ckpt",),
        ),
        examples=("CKPT+2021-04-15+10-11-12+00", "CKPT+best", "CKPT+epoch_5"),
    ),
)
