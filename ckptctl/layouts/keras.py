"""Keras 3 and tf.keras: whole models and weights in one file. Epochs in names count from 1 (since 2.0.9)."""

from __future__ import annotations

from ckptctl.core.layout import Layout

LAYOUTS = (
    Layout(
        name="keras",
        unit="file",
        extensions=(".weights.h5", ".keras", ".hdf5", ".h5"),
        beside=("*.csv", "*.log", "events.out.tfevents.*", "train", "validation"),
        epoch_base=1,
        is_proved=True,
        examples=("05-0.32.keras", "model.07-0.4215.weights.h5", "best.keras", "weights.05-0.32.hdf5"),
    ),
)
