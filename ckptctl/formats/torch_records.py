"""Which records a zip archive of torch must have: without one of them torch refuses the file.

Tried with torch 2.13: it needs ``data.pkl`` and ``version``, whatever the case of their letters, and each ``data/N``
that the pickle names. It loads a file without ``byteorder`` and ``.data/serialization_id``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

_VERSIONS = (b"version", b".data/version")
_MARKS = (*_VERSIONS, b"data/0", b"byteorder", b".data/serialization_id", b".format_version", b"constants.pkl")
_OWN = re.compile(
    rb"[^/]+/(?:data\.pkl|\.?data/(?:[0-9]+|version|serialization_id)|version|byteorder|\.format_version"
    rb"|\.storage_alignment|constants\.pkl|(?:code|extra)/.*)",
    re.DOTALL | re.IGNORECASE,
)
"""Names of members that torch.save and TorchScript write."""
_LEAST_MARKS = 2


def find_missing_record(names: Iterable[bytes], has: Callable[[bytes], bool]) -> str | None:
    """The record that torch would miss, "" for none; None for an archive that torch did not write.

    ``names`` of the members, as many as are known; ``has`` tells whether a record is among all of them.
    """
    has_pickle = has(b"data.pkl")
    if has_pickle and any(map(has, _VERSIONS)):
        return ""
    is_own, has_marks = all(map(is_own_record, names)), sum(map(has, _MARKS)) >= _LEAST_MARKS
    if has_pickle and (is_own or has_marks):
        return "version"
    return "data.pkl" if is_own and has_marks else None


def is_own_record(name: bytes) -> bool:
    """Whether a member's name is one that torch writes."""
    return _OWN.fullmatch(name) is not None
