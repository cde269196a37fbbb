"""Pickles without the mark of their protocol, which any unpickler takes and which may begin as a text does."""

from __future__ import annotations

from ckptctl.errors import Damaged
from ckptctl.formats.pickle.reader import read_pickle


def calls_globals(head: bytes) -> bool:
    """Whether a file begins with a pickle that calls what it names; one without its end runs all the same."""
    return _calls(head) or _calls(head.rstrip() + b".")


def _calls(data: bytes) -> bool:
    try:
        called = read_pickle(data).called
    except Damaged:
        return False
    return any(part.isidentifier() for it in called for part in str(it.name).split("."))
