"""PaddlePaddle 2: PaddleDetection, PaddleClas, PaddleOCR (families of files), PaddleSeg (folders).

From PaddleDetection ``ppdet/utils/checkpoint.py`` and ``ppdet/engine/callbacks.py``, PaddleSeg
``paddleseg/core/train.py``; PaddleOCR and PaddleClas ``utils/save_load.py``. Weights are ``.pdparams`` (the average
where ``.pdema`` holds the raw ones), the optimizer ``.pdopt``, what an evaluation measured ``.pdstates`` or
``.states``: all plain pickles, whose end cannot be proved. PaddleDetection counts epochs from 0, the others from 1.
"""

from __future__ import annotations

from ckptctl.layouts.schema import FolderLayout, Layout, MetricSource, Slimming

_MEMBER = r"\.(?:(?P<lead>pdparams)|pdopt|pdema|pdstates|states)"
"""An evaluation leaves a ``.pdstates`` for epochs too that are not saved: weights lead."""
_BESIDE = tuple(
    """vdl_log_dir vdl vdlrecords.* *.log log workerlog.* config.yaml config.yml *.json bbox.json inference
    output_inference *.pdstates""".split()
)
_SLIMMING = Slimming(files=("*.pdopt", "*.pdstates"), require=("*.pdparams",))
_WHOLE = ("*.pdparams", "*.pdopt")
_INFO = MetricSource("{name}.info.json", "inside", "json", take=("metric",))

LAYOUTS: tuple[Layout, ...] = (
    # A number may be the name of a run's folder as well: not weights in it, the description written first proves it.
    FolderLayout(
        name="paddle-uniform",
        names=(r"(?P<epoch>\d+)",),
        sentinels=(("*.info.json", "*.pdparams"),),
        hints=("*.info.json",),
        required=_WHOLE,
        beside=("train_result.json", "train_results.json", *_BESIDE),
        sources=(_INFO,),
        slimming=_SLIMMING,
        examples=("0", "12"),
    ),
    FolderLayout(
        name="paddle-seg",
        names=(r"iter_(?P<step>\d+)",),
        sentinels=("model.pdparams", "model.pdopt"),
        required=("model.pdparams", "model.pdopt"),
        beside=_BESIDE,
        slimming=_SLIMMING,
        examples=("iter_1000",),
    ),
    # In Detection beside the family of the same name: the weights once more, for inference.
    FolderLayout(
        name="paddle-best",
        names=(r"(?P<best>best_model|best_accuracy)", r"(?P<final>model_final)"),
        sentinels=("model.pdparams", "best_model.pdparams", "best_accuracy.pdparams", "model_final.pdparams"),
        required=("*.pdparams",),
        beside=_BESIDE,
        sources=(_INFO,),
        slimming=_SLIMMING,
        examples=("best_model", "model_final"),
    ),
    Layout(
        name="paddle",
        unit="family",
        names=(rf"(?P<stem>(?P<epoch>\d+)){_MEMBER}",),
        required=_WHOLE,
        beside=_BESIDE,
        slimming=_SLIMMING,
        examples=("0.pdparams", "12.pdopt", "12.pdema", "12.pdstates"),
    ),
    Layout(
        name="paddle-named",
        unit="family",
        names=(rf"(?P<stem>(?:.+_)?epoch_(?P<epoch>\d+)){_MEMBER}", rf"(?P<stem>iter_(?P<step>\d+)){_MEMBER}"),
        required=_WHOLE,
        beside=_BESIDE,
        epoch_base=1,
        slimming=_SLIMMING,
        examples=("iter_epoch_100.pdparams", "iter_epoch_100.states", "epoch_5.pdopt", "epoch_5.pdstates"),
    ),
    # Of these, people keep the weights alone.
    Layout(
        name="paddle-role",
        unit="family",
        names=(
            rf"(?P<stem>(?P<best>best_model|best_accuracy)){_MEMBER}",
            rf"(?P<stem>(?P<final>model_final)){_MEMBER}",
            rf"(?P<stem>(?P<last>latest)){_MEMBER}",
        ),
        beside=_BESIDE,
        slimming=_SLIMMING,
        examples=tuple(
            """best_model.pdparams best_model.pdopt model_final.pdema best_model.pdstates latest.pdparams
            best_accuracy.states""".split()
        ),
    ),
)
