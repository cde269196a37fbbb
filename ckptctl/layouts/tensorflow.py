"""TensorFlow 1.12 to 2.21: ``tf.train.Checkpoint`` and CheckpointManager, the Saver of v1, tf.keras without ``.h5``.

From tensorflow ``python/checkpoint/checkpoint_management.py``, ``python/checkpoint/functional_saver.py`` and
``core/util/tensor_bundle``. A checkpoint is a family: shards of data, written first, and the index that names them,
written last. The number behind ``X.ckpt-`` is the global step (Saver, Estimator), the one behind any other name counts
saves. What ``keep_checkpoint_every_n_hours`` keeps is left out of the state file on purpose.
"""

from __future__ import annotations

from ckptctl.layouts.schema import FolderLayout, Layout, PointerFile, Slimming

_MEMBER = r"\.(?:index|meta|(?P<lead>data)-(?P<shard>\d{5})-of-(?P<of>\d{5}))"
"""Data leads: an ``.index`` alone is as likely of a vector search (faiss) as of a checkpoint."""
_LOGS = ("events.out.tfevents.*", "*.csv", "*.log", "train", "validation", "eval", "eval_*", "logs")

LAYOUTS: tuple[Layout, ...] = (
    FolderLayout(
        name="savedmodel",
        names=(r"(?P<export>.+)",),
        sentinels=(("saved_model.pb", "variables"),),
        required=("saved_model.pb", "variables"),
        slimming=Slimming(refuse="it is an export, not a state of training"),
        examples=("saved_model", "1583934987", "model_05"),
    ),
    Layout(
        name="tensorflow",
        unit="family",
        names=(
            rf"(?P<stem>.+\.ckpt-(?P<step>\d+)){_MEMBER}",
            rf"(?P<stem>[A-Za-z].*-(?P<index>\d+)){_MEMBER}",
            rf"(?P<stem>(?!variables\.)(?P<free>.+?)(?:\.ckpt)?){_MEMBER}",
        ),
        written_last=True,
        required=("*.index",),
        beside=(
            *_LOGS,
            *"checkpoint graph.pbtxt *.pbtxt *.config *.gin export workertemp_* params.yaml best_ckpt".split(),
        ),
        in_progress=(
            r".*ckpt_temp",
            r".*ckpt-\d+_temp",
            r".*_temp_[0-9a-f]{32}",
            r".+\.index\.tempstate\d+",
            r".+\.data-\d{5}-of-\d{5}\.tempstate\d+",
        ),
        pointers=(PointerFile("checkpoint", "textproto"),),
        epoch_base=1,
        slimming=Slimming(refuse="weights and the optimizer's slots share its data files"),
        examples=tuple(
            """ckpt-7.index ckpt-7.data-00000-of-00001 model.ckpt-25000.meta
            model.ckpt-25000.data-00001-of-00002 cp-0001.ckpt.index weights.05-0.32.data-00000-of-00001
            bert_model.ckpt.meta""".split()
        ),
    ),
)
