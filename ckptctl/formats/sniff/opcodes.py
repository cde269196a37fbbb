"""What each opcode of a pickle does to an outline."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from struct import unpack_from

from ckptctl.formats.sniff.nodes import ARRAY_LEAF, OPAQUE, STORAGE_LEAF, TENSOR_LEAF, PickleNode, add_pairs, add_values
from ckptctl.formats.sniff.passing import open_dict, open_mark, take_tensor
from ckptctl.formats.sniff.walker import LONGEST_KEY, PickleWalker

_TENSOR_CALLS = ("torch._utils._rebuild", "torch._tensor._rebuild")
_ARRAY_CALLS = ("numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct")
_DICTIONARIES = frozenset({"collections.OrderedDict", "collections.defaultdict", "collections.Counter"})


def _extend(add: Callable[[PickleNode, list[object]], None]) -> Callable[[PickleWalker], None]:
    """SETITEMS, or APPENDS and ADDITEMS: all since the mark is added to the container before it."""

    def extend(walker: PickleWalker) -> None:
        items = walker.pop_mark()
        owner = walker.stack[-1]
        if isinstance(owner, PickleNode):
            add(owner, items)
        walker.at += 1

    return extend


def _set(*, has_key: bool) -> Callable[[PickleWalker], None]:
    """SETITEM, or APPEND."""

    def set_one(walker: PickleWalker) -> None:
        value = walker.stack.pop()
        key = walker.stack.pop() if has_key else None
        owner = walker.stack[-1]
        if isinstance(owner, PickleNode):
            owner.items.append((key, value))
        walker.at += 1

    return set_one


def _collect(shape: str) -> Callable[[PickleWalker], None]:
    """TUPLE, LIST, DICT and FROZENSET, of all since the mark."""

    def collect(walker: PickleWalker) -> None:
        items = walker.pop_mark()
        node = PickleNode(shape)
        add_pairs(node, items) if shape == "dict" else add_values(node, items)
        walker.push(node)

    return collect


def _tuple(count: int) -> Callable[[PickleWalker], None]:
    def make(walker: PickleWalker) -> None:
        items = walker.stack[-count:]
        del walker.stack[-count:]
        node = PickleNode("tuple")
        add_values(node, items)
        walker.push(node)

    return make


def _empty(shape: str) -> Callable[[PickleWalker], None]:
    return lambda walker: walker.push(PickleNode(shape))


def _constant(value: object, length: int = 1) -> Callable[[PickleWalker], None]:
    return lambda walker: walker.push(value, length)


def _number(form: str, length: int) -> Callable[[PickleWalker], None]:
    return lambda walker: walker.push(unpack_from(form, walker.data, walker.at + 1)[0], length)


def _long(walker: PickleWalker) -> None:
    length = walker.data[walker.at + 1]
    raw = walker.data[walker.at + 2 : walker.at + 2 + length]
    walker.push(int.from_bytes(raw, "little", signed=True), 2 + length)


def _text(width: int) -> Callable[[PickleWalker], None]:
    def read(walker: PickleWalker) -> None:
        start = walker.at + 1 + width
        end = start + int.from_bytes(walker.data[walker.at + 1 : start], "little")
        walker.stack.append(str(walker.data[start : min(end, start + LONGEST_KEY)], "utf-8", "replace"))
        walker.at = end

    return read


def _bytes(width: int) -> Callable[[PickleWalker], None]:
    def read(walker: PickleWalker) -> None:
        start = walker.at + 1 + width
        walker.stack.append(OPAQUE)
        walker.at = start + int.from_bytes(walker.data[walker.at + 1 : start], "little")

    return read


def _global(walker: PickleWalker) -> None:
    """GLOBAL: a tensor where one follows as torch writes it, else the name."""
    if walker.data.startswith(b"torch._utils\n_rebuild", walker.at + 1) and take_tensor(walker):
        return
    module_end = walker.data.index(b"\n", walker.at, walker.at + LONGEST_KEY)
    end = walker.data.index(b"\n", module_end + 1, module_end + LONGEST_KEY)
    name = walker.data[walker.at + 1 : end].decode("utf-8", "replace").replace("\n", ".")
    walker.stack.append(PickleNode("global", name))
    walker.at = end + 1


def _stack_global(walker: PickleWalker) -> None:
    name, module = walker.stack.pop(), walker.stack.pop()
    walker.push(PickleNode("global", f"{module}.{name}"))


def _get(width: int) -> Callable[[PickleWalker], None]:
    """BINGET and LONG_BINGET: a tensor where the call of one follows."""

    def get(walker: PickleWalker) -> None:
        start, data = walker.at + 1, walker.data
        if data[start + width] == 0x28 and take_tensor(walker):  # noqa: PLR2004 - (
            return
        number = int.from_bytes(data[start : start + width], "little")
        put = (b"q" if width == 1 else b"r") + data[start : start + width]
        walker.push(walker.find_memo(number, put), 1 + width)

    return get


def _put_long(walker: PickleWalker) -> None:
    walker.memo[unpack_from("<I", walker.data, walker.at + 1)[0]] = walker.stack[-1]
    walker.at += 5


def _memoize(walker: PickleWalker) -> None:
    walker.memo[walker.puts] = walker.stack[-1]
    walker.puts += 1
    walker.at += 1


def _reference(walker: PickleWalker) -> None:
    """BINPERSID: torch's storages."""
    walker.stack[-1] = STORAGE_LEAF
    walker.at += 1


def _reduce(walker: PickleWalker) -> None:
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


def _new_object(operands: int) -> Callable[[PickleWalker], None]:
    def make(walker: PickleWalker) -> None:
        call = walker.stack[-operands]
        del walker.stack[-operands:]
        walker.push(PickleNode("object", call.name if isinstance(call, PickleNode) else ""))

    return make


def _build(walker: PickleWalker) -> None:
    state, owner = walker.stack.pop(), walker.stack[-1]
    walker.at += 1
    if not isinstance(owner, PickleNode) or owner.shape != "object" or not isinstance(state, PickleNode):
        return
    states = [state] if state.shape == "dict" else [it for _, it in state.items if isinstance(it, PickleNode)]
    for it in states:
        owner.items += it.items
        owner.has_tensors |= it.has_tensors
        owner.has_more |= it.has_more


def _pop(walker: PickleWalker) -> None:
    walker.stack.pop()
    walker.at += 1


def _pop_mark(walker: PickleWalker) -> None:
    walker.pop_mark()
    walker.at += 1


def _again(walker: PickleWalker) -> None:
    walker.push(walker.stack[-1])


def _move(length: int) -> Callable[[PickleWalker], None]:
    def move(walker: PickleWalker) -> None:
        walker.at += length

    return move


OPCODES: Mapping[int, Callable[[PickleWalker], None]] = {
    ord("("): open_mark,
    ord(")"): _empty("tuple"),
    ord("]"): _empty("list"),
    ord("}"): open_dict,
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
    ord("u"): _extend(add_pairs),
    ord("e"): _extend(add_values),
    0x90: _extend(add_values),
    ord("s"): _set(has_key=True),
    ord("a"): _set(has_key=False),
    ord("0"): _pop,
    ord("1"): _pop_mark,
    ord("2"): _again,
    0x80: _move(2),
    0x95: _move(9),
}
