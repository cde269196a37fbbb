"""Keras 3 and tf.keras: whole models and weights in one file, in shards, and the backup of a training under way.

From keras ``src/callbacks/model_checkpoint.py``, ``src/callbacks/backup_and_restore.py`` and
``src/saving/saving_lib.py`` (3.15). Epochs in names count from 1 (since 2.0.9), in the backup too.
"""

from __future__ import annotations

from ckptctl.layouts.schema import FamilyLayout, FileLayout, FolderLayout, Layout, MetricSource, Slimming

_BESIDE = ("*.csv", "*.log", "events.out.tfevents.*", "train", "validation")
_ENTANGLED = Slimming(refuse="HDF5 does not shrink: what is kept would have to be copied to a new file")
_STATE = MetricSource("training_metadata.json", "inside", "json", take=(), numbers={"epoch": "epoch", "batch": "batch"})

LAYOUTS: tuple[Layout, ...] = (
    # The callback forbids anything else in this folder, and removes it with all that it holds when training ends.
    FolderLayout(
        name="keras-backup",
        names=(r"(?P<last>.+)",),
        sentinels=(("training_metadata.json", "latest.weights.h5"),),
        required=("latest.weights.h5", "training_metadata.json"),
        beside=_BESIDE,
        sources=(_STATE,),
        epoch_base=1,
        slimming=Slimming(refuse="it only serves to resume training"),
        examples=("backup", "training_backup"),
    ),
    # The map names the shards; it is written anew after each of them.
    FamilyLayout(
        name="keras-sharded",
        names=(r"(?P<stem>(?P<free>.+?))(?:_(?P<shard>\d{5})\.weights\.h5|(?P<lead>\.weights)\.json)",),
        manifest="*.weights.json",
        neighbors=("*.weights.json", "*_00000.weights.h5"),
        required=("*.weights.json", "*.weights.h5"),
        beside=_BESIDE,
        epoch_base=1,
        slimming=_ENTANGLED,
        examples=("sh.weights.json", "sh_00000.weights.h5", "model.07-0.42_00001.weights.h5"),
    ),
    FileLayout(
        name="keras",
        program="keras",
        extensions=(".weights.h5", ".keras", ".hdf5", ".h5"),
        beside=_BESIDE,
        epoch_base=1,
        slimming=_ENTANGLED,
        examples=("05-0.32.keras", "model.07-0.4215.weights.h5", "best.keras", "weights.05-0.32.hdf5"),
    ),
)
