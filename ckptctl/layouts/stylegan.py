"""StyleGAN2-ADA for PyTorch and StyleGAN3 (NVlabs), and their many children: ``network-snapshot-NNNNNN.pkl``.

Read in stylegan3's training/training_loop.py, metrics/metric_main.py and train.py. The number counts thousands of
images shown. A save is one pickle of generator, discriminator and averaged generator as objects, written under its own
name; each metric has a file to which a line is added once a snapshot was measured, which names it.
"""

from __future__ import annotations

from ckptctl.layouts.schema import FileLayout, Layout, MetricSource, OriginFile, Slimming

LAYOUTS: tuple[Layout, ...] = (
    FileLayout(
        name="stylegan",
        extensions=(".pkl",),
        names=(r"network-snapshot-(?P<step>\d{6,})\.pkl",),
        beside=tuple(
            """training_options.json metric-*.jsonl stats.jsonl log.txt events.out.tfevents.* reals.png fakes*.png
            metric-*.txt""".split()
        ),
        origins=(OriginFile("training_options.json", ("resume_pkl",), '  "resume_pkl": "runs/a/x",'),),
        sources=(
            MetricSource("metric-*.jsonl", "beside", "jsonl", column="snapshot_pkl", by="name", front="results/"),
        ),
        slimming=Slimming(refuse="its networks are objects in one pickle"),
        examples=("network-snapshot-000000.pkl", "network-snapshot-025000.pkl"),
    ),
)
