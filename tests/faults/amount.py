"""How much is tried: little in the test command, twenty times that by ``FAULTS=20``, all of it by ``FAULTS=all``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from random import Random
from typing import TypeVar

T = TypeVar("T")
WANTED = os.environ.get("FAULTS", "1")
ALL = WANTED == "all"
TIMES = 1 if ALL else int(WANTED)


def some(values: Sequence[T], *, one_in: int = 10) -> Sequence[T]:
    """Each so many-th, back from the last, or all."""
    return values[:: -1 if ALL else -max(1, one_in // TIMES)]


def drawn(values: Sequence[T], few: int) -> Sequence[T]:
    """So many of them, drawn the same way each time, or all."""
    return values if ALL else chance().sample(values, min(len(values), few * TIMES))


def times(few: int, many: int) -> int:
    """How often to try what is tried at random."""
    return many if ALL else min(many, few * TIMES)


def chance() -> Random:
    """The same moments and choices each time."""
    return Random(20)  # noqa: S311 - nothing is kept secret by it
