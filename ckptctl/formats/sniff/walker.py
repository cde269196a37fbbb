"""The machine that walks a pickle: a stack of nodes and leaves, with marks between; nothing is imported or called."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from struct import unpack_from

from ckptctl.formats.sniff.nodes import OPAQUE, PickleNode, add_pairs, add_values

MOST_STEPS = 600
_MOST_LOOKUPS = 24
LONGEST_KEY = 255
_STOP, _PUT, _TEXT, _BYTE = b".qXK"
_MEMOIZE = 0x94


class PickleWalker:
    """The machine: a stack of nodes and leaves, with marks between."""

    __slots__ = ("at", "data", "is_whole", "lookups", "marks", "memo", "puts", "stack", "steps")

    def __init__(self, data: bytes, start: int, steps: int) -> None:
        self.data = data
        self.at = start
        self.stack: list[object] = []
        self.marks: list[int] = []
        self.memo: dict[int, object] = {}
        self.puts = 0
        """How many values were numbered without a number of their own."""
        self.is_whole = False
        self.lookups = _MOST_LOOKUPS
        self.steps = steps

    def run(self, opcodes: Mapping[int, Callable[[PickleWalker], None]]) -> None:
        """Walk until the end, or until enough was done."""
        data, stack, memo = self.data, self.stack, self.memo
        for _ in range(self.steps):
            opcode = data[self.at]
            if opcode == _PUT:
                memo[data[self.at + 1]] = stack[-1]
                self.at += 2
            elif opcode == _TEXT:
                start = self.at + 5
                self.at = start + unpack_from("<I", data, self.at + 1)[0]
                stack.append(str(data[start : min(self.at, start + LONGEST_KEY)], "utf-8", "replace"))
            elif opcode == _BYTE:
                stack.append(data[self.at + 1])
                self.at += 2
            elif opcode == _STOP:
                self.at += 1
                self.is_whole = True
                return
            else:
                opcodes[opcode](self)

    def go(self, place: int) -> None:
        """Go on at another place, behind what was passed over."""
        if self.puts:
            self.puts += self.data.count(_MEMOIZE, self.at, place)
        self.at = place

    def close(self) -> object:
        """The outermost value, with what is on the stack put where it was to go."""
        while self.marks:
            items = self.pop_mark()
            if self.stack and isinstance(owner := self.stack[-1], PickleNode):
                owner.has_more = True
                add_pairs(owner, items) if owner.shape in {"dict", "object"} else add_values(owner, items)
            else:
                node = PickleNode("tuple")
                add_values(node, items)
                self.stack.append(node)
        return self._nest() if self.stack else OPAQUE

    def _nest(self) -> object:
        """The first value on the stack, with the pair of a single item that was not yet set."""
        first, rest = self.stack[0], self.stack[1:]
        if not self.is_whole and isinstance(first, PickleNode):
            first.has_more = True
            add_pairs(first, rest) if first.shape == "dict" else None
        return first

    def pop_mark(self) -> list[object]:
        """Take what lies behind the last mark."""
        mark = self.marks.pop()
        items = self.stack[mark:]
        del self.stack[mark:]
        return items

    def push(self, value: object, length: int = 1) -> None:
        """Put a value on the stack, and go on behind its opcode."""
        self.stack.append(value)
        self.at += length

    def find_memo(self, number: int, put: bytes) -> object:
        """A value by its number; a text that was stepped over is looked up where it was written."""
        if number in self.memo:
            return self.memo[number]
        self.lookups -= 1
        found = _find_text(self.data, put, self.at) if self.lookups > 0 else OPAQUE
        self.memo[number] = found
        return found


def _find_text(data: bytes, put: bytes, before: int) -> object:
    """The text that is put under a number; OPAQUE for anything else."""
    at = data.rfind(put, 0, before)
    for length in range(1, min(64, at - 5)) if at > 0 else ():
        start = at - length
        if data[start - 5] == _TEXT and data[start - 4 : start] == length.to_bytes(4, "little"):
            return data[start:at].decode("utf-8", "replace")
    return OPAQUE
