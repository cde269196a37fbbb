"""Numbers that are written as text: a cell of a table, a plain scalar of YAML."""

from __future__ import annotations

import re

MOST_DIGITS = 300
"""Of a whole number: what is longer is no count, and beyond what floats can hold."""
_WHOLE = re.compile(rf"[-+]?[0-9]{{1,{MOST_DIGITS}}}")
_DOTTED = re.compile(r"([-+]?)\.(inf|nan)", re.IGNORECASE)


def read_number(text: str) -> int | float | None:
    """The number that a text is, as Python (``1e-05``, ``nan``) or YAML (``.inf``) writes it; None where it is none.

    What no float can hold is infinite.
    """
    plain = text.strip()
    if _WHOLE.fullmatch(plain):
        return int(plain)
    dotted = _DOTTED.fullmatch(plain)
    try:
        return float(dotted[1] + dotted[2] if dotted else plain)
    except ValueError:
        return None
