"""The rules, one kind a module: each names what it keeps, and says why."""

from __future__ import annotations

from ckptctl.core.rules.every import KeepEvery
from ckptctl.core.rules.last import KeepLast
from ckptctl.core.rules.named import KeepAll, KeepGlob, KeepOthers, KeepSteps
from ckptctl.core.rules.periods import KeepPeriods
from ckptctl.core.rules.top_k import TopK
from ckptctl.core.rules.within import KeepNewerThan, KeepWithin

__all__ = [
    "KeepAll",
    "KeepEvery",
    "KeepGlob",
    "KeepLast",
    "KeepNewerThan",
    "KeepOthers",
    "KeepPeriods",
    "KeepSteps",
    "KeepWithin",
    "TopK",
]
