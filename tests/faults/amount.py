"""How much is tried: some in the test command, all of it with ``FAULTS=all``, for hours."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")
ALL = os.environ.get("FAULTS") == "all"


def some(values: Sequence[T], *, one_in: int = 10) -> Sequence[T]:
    """Each so many-th, or all."""
    return values if ALL else values[::one_in]


def times(few: int, many: int) -> int:
    """How often to try what is tried at random."""
    return many if ALL else few
