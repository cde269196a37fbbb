"""The outline of a pickle: its outermost keys and what lies right below, from its first bytes and without building it.

    outline = read_outline(data)
    outline.value               a PickleNode, TENSOR, ARRAY, a text, a number or None
    outline.is_whole            whether the pickle was walked to its end

What is deeper than two levels is stepped over; only whether tensors lie in there is kept. Nothing is imported or run.
"""

from __future__ import annotations

from struct import error
from typing import NamedTuple

from ckptctl.formats.sniff.opcodes import OPCODES
from ckptctl.formats.sniff.passing import EnoughError
from ckptctl.formats.sniff.walker import MOST_STEPS, PickleWalker


class Outline(NamedTuple):
    """What was understood of a pickle."""

    value: object
    is_whole: bool
    end: int
    """Offset behind what was walked."""


def read_outline(data: bytes, start: int = 0, steps: int = MOST_STEPS) -> Outline:
    """Walk the pickle that begins at ``start``, as far as it is there; whatever is odd ends the walk."""
    walker = PickleWalker(data, start, steps)
    try:
        walker.run(OPCODES)
    except EnoughError:
        pass
    except (IndexError, KeyError, ValueError, TypeError, error, OverflowError):
        walker.is_whole = False
    return Outline(walker.close(), walker.is_whole, walker.at)
