"""How one framework lays checkpoints out, as data."""

from __future__ import annotations

from typing import NamedTuple

from ckptctl.core.checkpoint import Unit


class Layout(NamedTuple):
    """One framework's habit."""

    name: str
    """As shown, in JSON too."""
    unit: Unit
    extensions: tuple[str, ...]
    """What the name of the unit ends in."""
    sentinels: tuple[str, ...] = ()
    """Of a folder: names of which one lies directly in it and proves the layout."""
    required: tuple[str, ...] = ()
    """Of a folder: names that are all there once the save is complete."""
    beside: tuple[str, ...] = ()
    """Patterns of files that training leaves beside checkpoints: neither checkpoints nor strays."""
    epoch_base: int = 0
    """What the first epoch is called in names."""
    records: bool = False
    """Whether the callbacks' memory lies inside (Lightning)."""
    is_proved: bool = False
    """Of a file: whether its format shows by itself that it is whole."""
    examples: tuple[str, ...] = ()
    """Real names; the tests read each."""
