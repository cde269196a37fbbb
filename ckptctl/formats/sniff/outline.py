"""The outline of a pickle: its outermost keys and what lies right below, from its first bytes and without building it.

    outline = read_outline(data)
    outline.value               a PickleNode, TENSOR, ARRAY, a text, a number or None
    outline.is_whole            whether the pickle was walked to its end

What is deeper than two levels is stepped over; only whether tensors lie in there is kept. Nothing is imported or called.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from struct import error as struct_error
from struct import unpack_from
from typing import NamedTuple

from ckptctl.formats.sniff.fused import QUIET, TENSOR

MOST_STEPS = 600
_MOST_LOOKUPS = 24
_DEEPEST = 2
"""Marks: what lies deeper is stepped over."""
_MANY = 12
"""Items of a dictionary that tell what it is, where they are tensors."""
_LONGEST_KEY = 255
_STOP = ord(".")
_MEMOIZE = 0x94
_STATE_ENDS = re.compile(rb"R(?:q.|r.{4}|\x94)u", re.DOTALL)
"""The last tensor of a dictionary."""
_STATE_ENDS_FAR = b"\0\0u"
"""The same, where the last tensor has a number of four bytes: quicker to find."""
_STATE_ENDS_FRAMED = b"R\x94u"
_FRAMED = (b"\x80\x04", b"\x80\x05")
"""Protocols that number without saying the number."""
_NEAR = 2048
_METADATA_ENDS = b"sb"
_BEFORE_METADATA_ENDS = frozenset({b"su", b"uu", b"ss", b"us"})
_CALLBACKS = b"X\x09\0\0\0callbacks"
"""The key behind those of Lightning's loops, which are many and tell nothing."""
_INTEGERS = b"KMJ"
_MODULES = (b"X\x08\0\0\0training", b"X\x0b\0\0\0_parameters", b"X\x0c\0\0\0_is_hf_initi")
"""How the attributes of a module of torch begin."""
_GROUPS = b"X\x0c\0\0\0param_groups"
_TENSOR_CALLS = ("torch._utils._rebuild", "torch._tensor._rebuild")
_ARRAY_CALLS = ("numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct")
_DICTIONARIES = frozenset({"collections.OrderedDict", "collections.defaultdict", "collections.Counter"})


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


class Outline(NamedTuple):
    """What was understood of a pickle."""

    value: object
    is_whole: bool
    end: int
    """Offset behind what was walked."""


def read_outline(data: bytes, start: int = 0, steps: int = MOST_STEPS) -> Outline:
    """Walk the pickle that begins at ``start``, as far as it is there; whatever is odd ends the walk."""
    walker = _Walker(data, start, steps)
    try:
        walker.run()
    except _EnoughError:
        pass
    except (IndexError, KeyError, ValueError, TypeError, struct_error, OverflowError):
        walker.is_whole = False
    return Outline(walker.close(), walker.is_whole, walker.at)


class _Walker:
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

    def run(self) -> None:
        """Walk until the end, or until enough was done."""
        data, stack, memo = self.data, self.stack, self.memo
        for _ in range(self.steps):
            opcode = data[self.at]
            if opcode == 0x71:  # q
                memo[data[self.at + 1]] = stack[-1]
                self.at += 2
            elif opcode == 0x58:  # X
                start = self.at + 5
                self.at = start + unpack_from("<I", data, self.at + 1)[0]
                stack.append(str(data[start : min(self.at, start + _LONGEST_KEY)], "utf-8", "replace"))
            elif opcode == 0x4B:  # K
                stack.append(data[self.at + 1])
                self.at += 2
            elif opcode == _STOP:
                self.at += 1
                self.is_whole = True
                return
            else:
                _OPCODES[opcode](self)

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
                _add_pairs(owner, items) if owner.shape in {"dict", "object"} else _add_values(owner, items)
            else:
                node = PickleNode("tuple")
                _add_values(node, items)
                self.stack.append(node)
        return self._nest() if self.stack else OPAQUE

    def _nest(self) -> object:
        """The first value on the stack, with the pair of a single item that was not yet set."""
        first, rest = self.stack[0], self.stack[1:]
        if not self.is_whole and isinstance(first, PickleNode):
            first.has_more = True
            _add_pairs(first, rest) if first.shape == "dict" else None
        return first

    def pop_mark(self) -> list[object]:
        mark = self.marks.pop()
        items = self.stack[mark:]
        del self.stack[mark:]
        return items

    def push(self, value: object, length: int = 1) -> None:
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
        if data[start - 5] == 0x58 and data[start - 4 : start] == length.to_bytes(4, "little"):  # noqa: PLR2004 - X
            return data[start:at].decode("utf-8", "replace")
    return OPAQUE


def _add_pairs(node: PickleNode, items: list[object]) -> None:
    if not _note_skipped(node, items):
        node.items += zip(items[::2], items[1::2], strict=False)


def _add_values(node: PickleNode, items: list[object]) -> None:
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


# Opcodes


class _EnoughError(Exception):
    """What follows would tell nothing more."""


def _mark(walker: _Walker) -> None:
    """MARK: what is too deep is stepped over, an optimizer's state too; a module says by its first attributes what it is."""
    stack, data = walker.stack, walker.data
    walker.at += 1
    walker.marks.append(len(stack))
    owner, key = (stack[-1], stack[-2]) if len(stack) > 1 else (None, None)
    if key == "state" and data[walker.at] in _INTEGERS and isinstance(owner, PickleNode):
        _pass_over_state(walker, owner)
    elif isinstance(key, PickleNode) and key.shape == "object" and data.startswith(_MODULES, walker.at):
        key.items.append(("_parameters", OPAQUE))
        raise _EnoughError
    elif key == "loops" and (callbacks := data.find(_CALLBACKS, walker.at)) > 0:
        walker.marks.pop()
        walker.go(callbacks)
    elif len(walker.marks) > _DEEPEST:
        _skip(walker)


def _pass_over_state(walker: _Walker, owner: PickleNode) -> None:
    """Go to an optimizer's groups, which follow its state."""
    owner.has_tensors = owner.has_more = True
    walker.marks.pop()
    groups = walker.data.find(_GROUPS, walker.at)
    if groups < 0:
        raise _EnoughError
    walker.go(groups)


def _skip(walker: _Walker) -> None:
    """Step over all up to what closes the mark."""
    node, depth, data = PickleNode("skipped"), 0, walker.data
    walker.stack.append(node)
    for _ in range(MOST_STEPS):
        if run := QUIET.match(data, walker.at):
            walker.go(run.end())
            node.has_tensors |= run.lastindex is not None
        opcode = data[walker.at]
        if opcode == 0x28:  # noqa: PLR2004 - (
            depth += 1
        elif opcode in b"tuedl\x8f\x90\x91":
            if not depth:
                return
            depth -= 1
        elif opcode == 0x51:  # noqa: PLR2004 - Q
            node.has_tensors = True
        else:
            walker.at += _length_of(data, walker.at) - 1
        walker.at += 1
    raise ValueError


def _length_of(data: bytes, at: int) -> int:
    """The bytes of an opcode with an argument that says its own length; raises KeyError for any other."""
    width = {0x58: 4, 0x8C: 1, 0x8D: 8, 0x42: 4, 0x43: 1, 0x8E: 8, 0x8A: 1, 0x55: 1, 0x54: 4, 0x96: 8}[data[at]]
    return 1 + width + int.from_bytes(data[at + 1 : at + 1 + width], "little")


def _pairs(walker: _Walker) -> None:
    """SETITEMS."""
    items = walker.pop_mark()
    owner = walker.stack[-1]
    if isinstance(owner, PickleNode):
        _add_pairs(owner, items)
    walker.at += 1


def _values(walker: _Walker) -> None:
    """APPENDS and ADDITEMS."""
    items = walker.pop_mark()
    owner = walker.stack[-1]
    if isinstance(owner, PickleNode):
        _add_values(owner, items)
    walker.at += 1


def _pair(walker: _Walker) -> None:
    """SETITEM."""
    value, key = walker.stack.pop(), walker.stack.pop()
    owner = walker.stack[-1]
    if isinstance(owner, PickleNode):
        owner.items.append((key, value))
    walker.at += 1


def _value(walker: _Walker) -> None:
    """APPEND."""
    value = walker.stack.pop()
    owner = walker.stack[-1]
    if isinstance(owner, PickleNode):
        owner.items.append((None, value))
    walker.at += 1


def _collect(shape: str) -> Callable[[_Walker], None]:
    """TUPLE, LIST, DICT and FROZENSET, of all since the mark."""

    def collect(walker: _Walker) -> None:
        items = walker.pop_mark()
        node = PickleNode(shape)
        _add_pairs(node, items) if shape == "dict" else _add_values(node, items)
        walker.push(node)

    return collect


def _tuple(count: int) -> Callable[[_Walker], None]:
    def make(walker: _Walker) -> None:
        items = walker.stack[-count:]
        del walker.stack[-count:]
        node = PickleNode("tuple")
        _add_values(node, items)
        walker.push(node)

    return make


def _empty(shape: str) -> Callable[[_Walker], None]:
    return lambda walker: walker.push(PickleNode(shape))


def _constant(value: object, length: int = 1) -> Callable[[_Walker], None]:
    return lambda walker: walker.push(value, length)


def _number(form: str, length: int) -> Callable[[_Walker], None]:
    return lambda walker: walker.push(unpack_from(form, walker.data, walker.at + 1)[0], length)


def _long(walker: _Walker) -> None:
    length = walker.data[walker.at + 1]
    raw = walker.data[walker.at + 2 : walker.at + 2 + length]
    walker.push(int.from_bytes(raw, "little", signed=True), 2 + length)


def _text(width: int) -> Callable[[_Walker], None]:
    def read(walker: _Walker) -> None:
        start = walker.at + 1 + width
        end = start + int.from_bytes(walker.data[walker.at + 1 : start], "little")
        walker.stack.append(str(walker.data[start : min(end, start + _LONGEST_KEY)], "utf-8", "replace"))
        walker.at = end

    return read


def _bytes(width: int) -> Callable[[_Walker], None]:
    def read(walker: _Walker) -> None:
        start = walker.at + 1 + width
        walker.stack.append(OPAQUE)
        walker.at = start + int.from_bytes(walker.data[walker.at + 1 : start], "little")

    return read


def _global(walker: _Walker) -> None:
    """GLOBAL: a tensor where one follows as torch writes it, else the name."""
    if walker.data.startswith(b"torch._utils\n_rebuild", walker.at + 1) and _take_tensor(walker):
        return
    module_end = walker.data.index(b"\n", walker.at, walker.at + _LONGEST_KEY)
    end = walker.data.index(b"\n", module_end + 1, module_end + _LONGEST_KEY)
    name = walker.data[walker.at + 1 : end].decode("utf-8", "replace").replace("\n", ".")
    walker.stack.append(PickleNode("global", name))
    walker.at = end + 1


def _stack_global(walker: _Walker) -> None:
    name, module = walker.stack.pop(), walker.stack.pop()
    walker.push(PickleNode("global", f"{module}.{name}"))


def _get(width: int) -> Callable[[_Walker], None]:
    """BINGET and LONG_BINGET: a tensor where the call of one follows."""

    def get(walker: _Walker) -> None:
        start, data = walker.at + 1, walker.data
        if data[start + width] == 0x28 and _take_tensor(walker):  # noqa: PLR2004 - (
            return
        number = int.from_bytes(data[start : start + width], "little")
        put = (b"q" if width == 1 else b"r") + data[start : start + width]
        walker.push(walker.find_memo(number, put), 1 + width)

    return get


def _take_tensor(walker: _Walker) -> bool:
    """Take a whole tensor at once; after some in a dictionary the rest of it is passed over."""
    found = TENSOR.match(walker.data, walker.at)
    if found is None:
        return False
    walker.push(TENSOR_LEAF, 0)
    walker.go(found.end())
    is_many = walker.marks and len(walker.stack) - walker.marks[-1] >= 2 * _MANY
    if is_many and walker.data[walker.at] != 0x75:  # noqa: PLR2004 - u
        _pass_over_tensors(walker)
    return True


def _pass_over_tensors(walker: _Walker) -> None:
    """Go to the end of the dictionary, where all of its last items were tensors."""
    last = walker.stack[walker.marks[-1] :]
    if len(last) % 2 or any(value is not TENSOR_LEAF for value in last[1::2]):
        return
    data, start = walker.data, walker.at
    near = _STATE_ENDS.search(data, start, start + _NEAR)
    end = near.end() - 1 if near else _find_state_end(data, start)
    if end < start:
        raise _EnoughError
    walker.go(end)


def _find_state_end(data: bytes, start: int) -> int:
    """Where a dictionary ends, of which the last tensor has a number of four bytes, or none; -1 where it does not."""
    if data.startswith(_FRAMED):
        return data.find(_STATE_ENDS_FRAMED, start) + len(_STATE_ENDS_FRAMED) - 1
    end = data.find(_STATE_ENDS_FAR, start) + 2
    while end > 1 and data[end - 6 : end - 4] != b"Rr":
        end = data.find(_STATE_ENDS_FAR, end) + 2
    return end if end > 1 else -1


def _put_long(walker: _Walker) -> None:
    walker.memo[unpack_from("<I", walker.data, walker.at + 1)[0]] = walker.stack[-1]
    walker.at += 5


def _memoize(walker: _Walker) -> None:
    walker.memo[walker.puts] = walker.stack[-1]
    walker.puts += 1
    walker.at += 1


def _reference(walker: _Walker) -> None:
    """BINPERSID: torch's storages."""
    walker.stack[-1] = STORAGE_LEAF
    walker.at += 1


def _reduce(walker: _Walker) -> None:
    args, call = walker.stack.pop(), walker.stack.pop()
    name = call.name if isinstance(call, PickleNode) else ""
    walker.push(_result_of(name, args))


def _result_of(name: str, args: object) -> object:
    if name.startswith(_TENSOR_CALLS):
        return TENSOR_LEAF
    if name in _ARRAY_CALLS:
        return ARRAY_LEAF
    if name not in _DICTIONARIES:
        return PickleNode("object", name)
    node = PickleNode("dict", name)
    lists = (value for _, value in args.items if isinstance(value, PickleNode)) if isinstance(args, PickleNode) else ()
    for pair in (value for listed in lists for _, value in listed.items if isinstance(value, PickleNode)):
        node.items += [(pair.items[0][1], pair.items[1][1])] if len(pair.items) == 2 else []  # noqa: PLR2004 - a pair
    return node


def _new_object(operands: int) -> Callable[[_Walker], None]:
    def make(walker: _Walker) -> None:
        call = walker.stack[-operands]
        del walker.stack[-operands:]
        walker.push(PickleNode("object", call.name if isinstance(call, PickleNode) else ""))

    return make


def _build(walker: _Walker) -> None:
    state, owner = walker.stack.pop(), walker.stack[-1]
    walker.at += 1
    if not isinstance(owner, PickleNode) or owner.shape != "object" or not isinstance(state, PickleNode):
        return
    states = [state] if state.shape == "dict" else [it for _, it in state.items if isinstance(it, PickleNode)]
    for it in states:
        owner.items += it.items
        owner.has_tensors |= it.has_tensors
        owner.has_more |= it.has_more


def _dict(walker: _Walker) -> None:
    """EMPTY_DICT: the metadata of a state dict are passed over."""
    at = walker.at + 3 if walker.data[walker.at + 1] == 0x71 else walker.at + 6  # noqa: PLR2004 - q
    if not walker.data.startswith(b"X\x09\0\0\0_metadata", at):
        walker.push(PickleNode("dict"))
        return
    end = walker.data.find(_METADATA_ENDS, at)
    while end > 0 and walker.data[end - 2 : end] not in _BEFORE_METADATA_ENDS:
        end = walker.data.find(_METADATA_ENDS, end + 1)
    if end < 0:
        raise _EnoughError
    walker.go(end + len(_METADATA_ENDS))


def _pop(walker: _Walker) -> None:
    walker.stack.pop()
    walker.at += 1


def _pop_mark(walker: _Walker) -> None:
    walker.pop_mark()
    walker.at += 1


def _again(walker: _Walker) -> None:
    walker.push(walker.stack[-1])


def _move(length: int) -> Callable[[_Walker], None]:
    def move(walker: _Walker) -> None:
        walker.at += length

    return move


_OPCODES: Mapping[int, Callable[[_Walker], None]] = {
    ord("("): _mark,
    ord(")"): _empty("tuple"),
    ord("]"): _empty("list"),
    ord("}"): _dict,
    0x8F: _empty("list"),
    ord("N"): _constant(None),
    0x88: _constant(value=True),
    0x89: _constant(value=False),
    ord("K"): _number("<B", 2),
    ord("M"): _number("<H", 3),
    ord("J"): _number("<i", 5),
    ord("G"): _number(">d", 9),
    0x8A: _long,
    0x8C: _text(1),
    0x8D: _text(8),
    ord("C"): _bytes(1),
    ord("B"): _bytes(4),
    0x8E: _bytes(8),
    0x96: _bytes(8),
    ord("U"): _text(1),
    ord("T"): _text(4),
    ord("c"): _global,
    0x93: _stack_global,
    ord("h"): _get(1),
    ord("j"): _get(4),
    ord("r"): _put_long,
    0x94: _memoize,
    ord("Q"): _reference,
    ord("R"): _reduce,
    0x81: _new_object(2),
    0x92: _new_object(3),
    ord("b"): _build,
    0x85: _tuple(1),
    0x86: _tuple(2),
    0x87: _tuple(3),
    ord("t"): _collect("tuple"),
    ord("l"): _collect("list"),
    ord("d"): _collect("dict"),
    0x91: _collect("list"),
    ord("u"): _pairs,
    ord("e"): _values,
    0x90: _values,
    ord("s"): _pair,
    ord("a"): _value,
    ord("0"): _pop,
    ord("1"): _pop_mark,
    ord("2"): _again,
    0x80: _move(2),
    0x95: _move(9),
}
