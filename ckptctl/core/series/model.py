"""What names make: series, sets, and files of their own; and the saves in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from ckptctl.core.model import Evidence, Note
from ckptctl.core.names.tokens import Field

SeriesKind = Literal["series", "set", "role", "single"]


NUMBER = "number"
"""The field of a count that is neither an epoch nor a step, or that no word names."""


class Save(NamedTuple):
    """The files that one save wrote, as their names tell it."""

    names: tuple[str, ...]
    """The one that loads first."""
    fields: Mapping[str, Field]
    """``epoch``, ``step``, ``number``, and metrics by their names."""
    lacks: str | None = None
    """A file that the other saves have and this one has not, by its pattern."""
    is_twin: bool = False
    """Whether another name has the same words and numbers, written otherwise: nobody can say which is newer."""


class Series(NamedTuple):
    """Saves that belong together; a set, a role's file and a single file are not a training's saves in a row."""

    kind: SeriesKind
    pattern: str
    """The name with its varying numbers in braces: ``model_epoch_{epoch}.pt``."""
    saves: tuple[Save, ...]
    evidence: tuple[Evidence, ...] = ()
    """What speaks for its being a series, by its names."""
    doubt: Note | None = None
    """Why no rule may delete of it, going by its names; None where they prove it."""
    roles: tuple[str, ...] = ()
    is_named: bool = False
    """Whether a word says what its numbers count."""

    @property
    def names(self) -> list[str]:
        """All files of it."""
        return [name for save in self.saves for name in save.names]
