"""Orbax 0.5.11 to 0.12 (Flax, MaxText, ``keras.callbacks.OrbaxCheckpoint``), and the files of Flax before it.

From orbax ``checkpoint/_src/path/{step,atomicity,temporary_paths}.py``, ``_src/metadata/checkpoint.py`` and
``checkpoint_manager.py``, flax ``training/checkpoints.py``, maxtext ``common/checkpointing.py``. A save is made in a
folder whose name ends in ``.orbax-checkpoint-tmp``, and renamed when it is done; on gs://, where renaming is not one
step, ``commit_success.txt`` says it instead (elsewhere only since 0.12.3, so its absence means nothing there).
Steps of before 0.5.11 have no file of their own in their folder, and are not recognised.
"""

from __future__ import annotations

from ckptctl.layouts.schema import FolderLayout, Layout, MetricSource, Slimming

_STEP = r"(?:.+_)?(?P<step>\d+)"
_BESIDE = tuple(
    """_ROOT_METADATA metadata process_metadata descriptor todelete events.out.tfevents.* tensorboard
    metrics.json metrics.jsonl config.json *.yml *.yaml *.csv *.log""".split()
)
_SOURCES = (
    MetricSource("metrics/metrics", "inside", "json"),
    MetricSource("_CHECKPOINT_METADATA", "inside", "json", rows="metrics"),
)
_DONE = (r"commit_success\.txt",)
"""Not required, since many are without: the one that lacks it among others that have it is in doubt."""
_ITEMS = Slimming(
    files=("opt_state", "optimizer", "optimizer_state"), require=("params", "model", "weights", "ema_params")
)
"""Where the program saved them as items of their own; in one tree they cannot be parted."""

LAYOUTS: tuple[Layout, ...] = (
    FolderLayout(
        name="orbax-maxtext",
        names=(_STEP,),
        sentinels=(("_CHECKPOINT_METADATA", "items"), ("commit_success.txt", "items")),
        required=("items", "_CHECKPOINT_METADATA|commit_success.txt"),
        ranks=_DONE,
        written_last=True,
        beside=_BESIDE,
        sources=_SOURCES,
        slimming=Slimming(refuse="weights and optimizer state share one tree"),
        examples=("0", "1000"),
    ),
    # A lone "checkpoint" is no sentinel: TensorFlow leaves one in the folder of a whole run. Nor is "default", in which
    # loggers of Lightning keep runs.
    FolderLayout(
        name="orbax",
        names=(_STEP,),
        sentinels=(
            "_CHECKPOINT_METADATA",
            "commit_success.txt",
            ("_METADATA", "manifest.ocdbt"),
            ("_METADATA", "checkpoint"),
        ),
        required=("_CHECKPOINT_METADATA|commit_success.txt|_METADATA",),
        ranks=_DONE,
        written_last=True,
        beside=_BESIDE,
        in_progress=(r".+\.orbax-checkpoint-tmp.*",),
        sources=_SOURCES,
        slimming=_ITEMS,
        examples=("20", "00000030", "checkpoint_100", "step_1000"),
    ),
    # Saved by hand, under a name of the user's choice.
    FolderLayout(
        name="orbax-named",
        names=(r"(?P<free>(?!.*\.orbax-checkpoint-tmp).+)",),
        sentinels=("_CHECKPOINT_METADATA",),
        required=("_CHECKPOINT_METADATA",),
        written_last=True,
        beside=_BESIDE,
        sources=_SOURCES,
        slimming=_ITEMS,
        examples=("final_params", "best"),
    ),
    # What is shared between processes lies in the folder beside the file.
    Layout(
        name="orbax-flax",
        unit="family",
        names=(r"(?P<stem>checkpoint_(?P<step>\d+))(?:(?P<folder>_gda)|(?P<lead>))",),
        beside=_BESIDE,
        in_progress=(r"checkpoint_tmp", r"checkpoint_tmp_gda"),
        kinds=("flax",),
        slimming=Slimming(refuse="weights and optimizer state share one msgpack document"),
        examples=("checkpoint_100", "checkpoint_0"),
    ),
)
