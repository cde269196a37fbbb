"""JSON from anybody, read within bounds: UTF-8 alone, numbers of few digits, and Damaged for all that goes wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from ckptctl.errors import Damaged

_LONGEST_NUMBER = 20
"""Digits of a whole number; a longer one would take long to read."""


def parse(data: bytes, what: str, pairs: Callable[[list[tuple[str, Any]]], object] | None = None) -> Any:  # noqa: ANN401 - whatever it says
    """The document; ``what`` names it where it cannot be read, ``pairs`` makes each object of its pairs."""
    try:
        return json.loads(
            str(data, "utf-8"),
            object_pairs_hook=pairs,
            parse_int=lambda it: int(it) if len(it) <= _LONGEST_NUMBER else None,
        )
    except (ValueError, RecursionError):
        raise Damaged(f"{what} cannot be read as JSON") from None
