"""fairseq 0.9 to 0.12 (not fairseq2).

From fairseq ``checkpoint_utils.py`` and ``trainer.py``. Epochs count from 1, updates are steps; a save is written to
``.tmp`` and renamed, and best and last are copies of it. Behind the three decimals of a score in a name stand random
digits that only part equal scores (since 0.10.1; before, two decimals and none).
"""

from __future__ import annotations

from ckptctl.layouts.schema import FamilyLayout, Layout, Slimming

_MEMBER = r"(?:-(?:shard|model_part-)(?P<shard>\d+))?\.pt"

LAYOUTS: tuple[Layout, ...] = (
    FamilyLayout(
        name="fairseq",
        names=(
            rf"(?P<stem>checkpoint(?P<epoch>\d+)){_MEMBER}",
            rf"(?P<stem>checkpoint_(?P<epoch>\d+)_(?P<step>\d+)){_MEMBER}",
            rf"(?P<stem>checkpoint_(?P<best>best)){_MEMBER}",
            rf"(?P<stem>checkpoint_(?P<last>last)){_MEMBER}",
            rf"(?P<stem>checkpoint\.best_(?P<metric>.+)_(?P<value>-?\d+\.\d+|nan|-?inf)\d*){_MEMBER}",
            rf"(?P<stem>(?P<exception>crash)){_MEMBER}",
        ),
        neighbors=("checkpoint_last*.pt", "checkpoint_best*.pt", "checkpoint.best_*.pt"),
        beside=tuple("*.log *.txt *.json tb tensorboard hydra_train.log .hydra train valid *.npz".split()),
        in_progress=(r"checkpoint.*\.pt\.tmp",),
        epoch_base=1,
        digits=3,
        slimming=Slimming(drop=("last_optimizer_state",)),
        examples=tuple(
            """checkpoint5.pt checkpoint_1_1000.pt checkpoint_best.pt checkpoint_last-shard0.pt
            checkpoint.best_loss_2.3457.pt checkpoint5-model_part-1.pt crash.pt""".split()
        ),
    ),
)
