"""Ray 2.7 to 2.60: Train v1 and Tune (``checkpoint_NNNNNN``), Train v2 (``checkpoint_TIME``), RLlib.

Read in ray's train/v2/_internal/execution/checkpoint/checkpoint_manager.py and storage.py, train/_checkpoint.py,
tune/result.py and rllib/utils/checkpoints.py. What lies in a checkpoint is the user's own, often another framework's:
so its name and the files beside it speak, not its contents. The number counts reports, not steps. Train v2 lists what
it committed in a snapshot, and refuses to go on where one that it lists is gone.
"""

from __future__ import annotations

from ckptctl.layouts.schema import FolderLayout, Layout, MetricSource, PointerFile, Slimming

_SNAPSHOT = "checkpoint_manager_snapshot.json"
_NAMES = (r"checkpoint_(?P<index>0\d{5})", r"checkpoint_(?P<stamp>\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d\.\d+)")
_BESIDE = (
    _SNAPSHOT,
    *""".validate_storage_marker result.json progress.csv params.json params.pkl error.txt error.pkl stdout stderr
    tuner.pkl trainer.pkl trainable.pkl experiment_state-*.json basic-variant-state-*.json search*state-*
    scheduler-state-* events.out.tfevents.* rank_* .tune_metadata .is_checkpoint""".split(),
)
_POINTERS = (
    PointerFile(
        _SNAPSHOT,
        "json",
        field="latest_checkpoint_result/checkpoint_dir_name",
        listing="checkpoint_results",
        listed="checkpoint_dir_name",
    ),
)
_BOOKKEEPING = tuple(
    """training_iteration iterations_since_restore timestamp time_* pid config/* timesteps_* episodes_total
    num_* timers/* perf/* info/*""".split()
)
_SOURCES = (
    MetricSource(
        _SNAPSHOT,
        "beside",
        "json",
        rows="checkpoint_results",
        column="checkpoint_dir_name",
        by="name",
        front="metrics/",
    ),
    MetricSource("result.json", "beside", "jsonl", column="checkpoint_dir_name", by="name", leave=_BOOKKEEPING),
)
_IN_PROGRESS = (r"checkpoint_tmp_[0-9a-f]+",)

LAYOUTS: tuple[Layout, ...] = (
    FolderLayout(
        name="ray-rllib",
        names=(*_NAMES, r"(?P<free>.+)"),
        sentinels=("rllib_checkpoint.json", "algorithm_state.pkl", "algorithm_state.msgpck"),
        beside=_BESIDE,
        in_progress=_IN_PROGRESS,
        pointers=_POINTERS,
        sources=_SOURCES,
        slimming=Slimming(refuse="what resuming needs and what policies need lie in the same pickles"),
        examples=("checkpoint_000010", "my-policy"),
    ),
    FolderLayout(
        name="ray",
        names=_NAMES,
        sentinels=("*",),
        neighbors=(_SNAPSHOT, "result.json", "params.json", "../experiment_state-*.json", ".metadata.json"),
        beside=_BESIDE,
        in_progress=_IN_PROGRESS,
        pointers=_POINTERS,
        sources=_SOURCES,
        slimming=Slimming(refuse="what lies in it is not Ray's"),
        examples=("checkpoint_000000", "checkpoint_000012", "checkpoint_2026-08-01_12-30-00.123456"),
    ),
)
