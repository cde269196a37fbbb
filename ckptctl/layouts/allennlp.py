"""AllenNLP 1 and 2: Checkpointer, in the serialization folder.

From allennlp ``training/checkpointer.py`` and ``training/gradient_descent_trainer.py``. A checkpoint is two files of
torch's format, the training state written last. In 2 a name counts what is done, ``e1_b0`` is after the first epoch, so
that ``metrics_epoch_0.json`` is about it; in 1 both count from 0. In the middle of an epoch nothing was measured.
``best.th`` is the model state alone: a hard link or a copy.
"""

from __future__ import annotations

from ckptctl.layouts.schema import FamilyLayout, Layout, MetricSource, Slimming

_KIND = r"(?:(?P<lead>model)|training)_state_"
_RANK = r"(?:_w(?P<rank>\d+))?\.th"
_BESIDE = tuple(
    """metrics*.json best*.th config.json meta.json vocabulary log *.log weights.th model.tar.gz
    .allennlp_lock predictions*.json* wandb""".split()
)
_WHOLE = ("model_state_*", "training_state_*")
_SLIMMING = Slimming(files=("training_state_*",), require=("model_state_*",))
_AFTER = MetricSource(
    "metrics_epoch_*.json",
    "beside",
    "json",
    column="epoch",
    by="epoch",
    offset=-1,
    take=("validation_*", "training_loss", "training_acc*"),
)
"""What was measured at the end of an epoch, of which the name counts one more; ``best_`` values are of another one."""
_AT = _AFTER._replace(offset=0)

LAYOUTS: tuple[Layout, ...] = (
    FamilyLayout(
        name="allennlp",
        names=(rf"{_KIND}(?P<stem>e(?P<epoch>\d+)_b(?P<index>0)){_RANK}",),
        required=_WHOLE,
        beside=_BESIDE,
        sources=(_AFTER,),
        epoch_base=1,
        slimming=_SLIMMING,
        examples=("model_state_e1_b0.th", "training_state_e1_b0.th", "model_state_e12_b0_w1.th"),
    ),
    FamilyLayout(
        name="allennlp-batches",
        names=(rf"{_KIND}(?P<stem>e(?P<epoch>\d+)_b(?P<index>[1-9]\d*)){_RANK}",),
        required=_WHOLE,
        beside=_BESIDE,
        epoch_base=1,
        slimming=_SLIMMING,
        examples=("model_state_e1_b500.th", "training_state_e0_b20.th"),
    ),
    FamilyLayout(
        name="allennlp-epochs",
        names=(rf"{_KIND}(?P<stem>epoch_(?P<epoch>\d+))\.th",),
        required=_WHOLE,
        beside=_BESIDE,
        sources=(_AT,),
        slimming=_SLIMMING,
        examples=("model_state_epoch_0.th", "training_state_epoch_12.th"),
    ),
    FamilyLayout(
        name="allennlp-best",
        names=(rf"(?P<stem>(?P<best>best)){_RANK}",),
        neighbors=("metrics_epoch_*.json", "model_state_e*.th"),
        beside=_BESIDE,
        examples=("best.th", "best_w0.th"),
    ),
)
