"""What an outline is made of: containers, and leaves of which only the sort is known."""

from __future__ import annotations

from typing import NamedTuple


class Leaf(NamedTuple):
    """A value of which only the sort is known."""

    sort: str


TENSOR_LEAF = Leaf("tensor")
ARRAY_LEAF = Leaf("array")
STORAGE_LEAF = Leaf("storage")
OPAQUE = Leaf("?")
_MARK = Leaf("mark")


class PickleNode:
    """A container, or an instance of a class, as far as it was read."""

    __slots__ = ("has_more", "has_tensors", "items", "name", "shape")

    def __init__(self, shape: str, name: str = "") -> None:
        self.shape = shape
        """``dict``, ``list``, ``tuple``, ``object`` or ``global``."""
        self.name = name
        """Of its class or, of a global, its own."""
        self.items: list[tuple[object, object]] = []
        """Keys and values; of lists and tuples the keys are None."""
        self.has_tensors = False
        """Whether tensors lie in what was stepped over."""
        self.has_more = False
        """Whether it holds more than its items."""


def add_pairs(node: PickleNode, items: list[object]) -> None:
    """Add keys and values by turns."""
    if not _note_skipped(node, items):
        node.items += zip(items[::2], items[1::2], strict=False)


def add_values(node: PickleNode, items: list[object]) -> None:
    """Add values without keys."""
    if not _note_skipped(node, items):
        node.items += [(None, value) for value in items]


def _note_skipped(node: PickleNode, items: list[object]) -> bool:
    """Whether what was to be added was stepped over: it is all that lies behind its mark."""
    first = items[0] if items else None
    if not isinstance(first, PickleNode) or first.shape != "skipped":
        return False
    node.has_more = True
    node.has_tensors |= first.has_tensors
    return True
