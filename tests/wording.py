"""Notes in tests: their texts, and notes of any text."""

from __future__ import annotations

from typing import Any

from ckptctl.core.model import Note
from ckptctl.render.note_texts import describe_note


def worded(value: Any) -> Any:  # noqa: ANN401 - what comes out is as what goes in
    """A value with the text of each note in its place."""
    if isinstance(value, Note):
        return describe_note(value)
    if hasattr(value, "_replace"):
        return value._replace(**{name: worded(getattr(value, name)) for name in value._fields})
    if type(value) in (tuple, list):
        return type(value)(map(worded, value))
    return value


def said(text: str) -> Note:
    """A note of these words."""
    return Note("malformed", why=text)
