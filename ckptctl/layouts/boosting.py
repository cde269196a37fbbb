"""XGBoost 1.3 to 3 (``TrainingCheckPoint``), and the command line of LightGBM 2.1 to 4 (``snapshot_freq``).

From xgboost ``python-package/xgboost/callback.py``, LightGBM ``src/boosting/gbdt.cpp``. XGBoost's own default,
``model_100.ubj``, is left alone on purpose: models of folds, of years and of targets are called so just as often, and
nothing beside them tells which; nor are ``.json`` and ``.pkl`` its own. A name has to say that it is a checkpoint.
XGBoost writes the round counted from 0, LightGBM from 1.
"""

from __future__ import annotations

from ckptctl.layouts.schema import Layout, Slimming

_BESIDE = ("*.txt", "*.conf", "*.csv", "*.tsv", "*.log", "*.svm", "*.libsvm", "*.train", "*.test", "*.bin", "*.json")
_ALL_TREES = Slimming(refuse="trees are all that it holds")

LAYOUTS: tuple[Layout, ...] = (
    Layout(
        name="lightgbm",
        unit="file",
        names=(r".+\.snapshot_iter_(?P<step>\d+)",),
        beside=_BESIDE,
        slimming=_ALL_TREES,
        examples=("LightGBM_model.txt.snapshot_iter_100", "model.snapshot_iter_5"),
    ),
    Layout(
        name="xgboost",
        unit="file",
        extensions=(".ubj",),
        names=(r"(?:.*[._-])?(?:checkpoint|ckpt|snapshot)s?_(?P<step>\d+)\.ubj",),
        beside=("*.ubj", *_BESIDE),
        step_base=1,
        slimming=_ALL_TREES,
        examples=("checkpoint_100.ubj", "xgb-ckpt_5.ubj"),
    ),
)
