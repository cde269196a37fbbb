"""The rules: each names what it keeps, and says why."""

from __future__ import annotations

from ckptctl.core.retention.rules.every import KeepEvery
from ckptctl.core.retention.rules.last import KeepLast, KeepNewerThan, KeepWithin
from ckptctl.core.retention.rules.named import KeepAll, KeepGlob, KeepOthers, KeepSteps
from ckptctl.core.retention.rules.periods import KeepPeriods
from ckptctl.core.retention.rules.top_k import TopK

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
