"""Lists, ranks, prunes, links and exports the checkpoints of training runs."""

# Nothing is imported here, not even annotations: every start pays for it, and `--version` pays for nothing else.
from __future__ import annotations

import sys as _sys

__version__ = "0.1.0"

TYPE_CHECKING = False  # as typing's, which is not imported either
if TYPE_CHECKING:
    from typing import Any

    from ckptctl.api import CheckpointDetails as CheckpointDetails
    from ckptctl.api import PrunePlan as PrunePlan
    from ckptctl.api import Runs as Runs
    from ckptctl.api import apply as apply
    from ckptctl.api import best as best
    from ckptctl.api import last as last
    from ckptctl.api import plan_prune as plan_prune
    from ckptctl.api import scan as scan
    from ckptctl.api import show as show
    from ckptctl.api import undo as undo
    from ckptctl.api import verify as verify
    from ckptctl.core.model import Checkpoint as Checkpoint
    from ckptctl.core.model import Entry as Entry
    from ckptctl.core.model import Pointer as Pointer
    from ckptctl.core.model import Run as Run
    from ckptctl.core.model import Score as Score
    from ckptctl.core.model import Stray as Stray
    from ckptctl.core.retention.objections import Objection as Objection
    from ckptctl.core.retention.plan import Verdict as Verdict
    from ckptctl.core.retention.rules.protocol import Reason as Reason
    from ckptctl.core.transaction import Failure as Failure
    from ckptctl.core.transaction import Outcome as Outcome
    from ckptctl.core.transaction import TrashChange as TrashChange
    from ckptctl.errors import CkptctlError as CkptctlError
    from ckptctl.errors import NoCheckpoint as NoCheckpoint
    from ckptctl.errors import NoScore as NoScore
    from ckptctl.errors import NotFound as NotFound
    from ckptctl.errors import PartlyDone as PartlyDone
    from ckptctl.errors import Refused as Refused
    from ckptctl.errors import UsageError as UsageError
    from ckptctl.formats.contents import Contents as Contents
    from ckptctl.formats.contents import Flaw as Flaw
    from ckptctl.formats.contents import Tensor as Tensor
    from ckptctl.formats.contents import VerifyResult as VerifyResult
del TYPE_CHECKING

_NAMES = {
    "ckptctl.api": "CheckpointDetails PrunePlan Runs apply best last plan_prune scan show undo verify",
    "ckptctl.core.model": "Checkpoint Entry Pointer Run Score Stray",
    "ckptctl.core.retention.objections": "Objection",
    "ckptctl.core.retention.plan": "Verdict",
    "ckptctl.core.retention.rules.protocol": "Reason",
    "ckptctl.core.transaction": "Failure Outcome TrashChange",
    "ckptctl.errors": "CkptctlError NoCheckpoint NoScore NotFound PartlyDone Refused UsageError",
    "ckptctl.formats.contents": "Contents Flaw Tensor VerifyResult",
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names.split()}
"""Public name to its module, which is imported when the name is first asked for: start-up is paid at every TAB."""

__all__ = sorted([*_HOMES, "__version__"])  # noqa: PLE0605 - a list it is


class _FrontDoor(type(_sys)):  # type: ignore[misc] # the class of modules, for which types would be imported
    """The package: a module below it that is called as a function is (`scan`, `best`) never hides the function."""

    def __setattr__(self, name: str, value: Any) -> None:  # noqa: ANN401 - whatever is set
        if name not in _HOMES or not isinstance(value, type(_sys)):  # an import sets each module on its package
            super().__setattr__(name, value)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the name stands for
        if name not in _HOMES:
            raise AttributeError(f"module 'ckptctl' has no attribute '{name}'")
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)

    def __dir__(self) -> list[str]:
        return __all__


_sys.modules[__name__].__class__ = _FrontDoor
