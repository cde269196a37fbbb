"""Inert nodes as a pickle again: what was read is written with the same names, shared parts and states.

Nothing is imported for it, and the text of a pickle is never cut: what is kept is written anew from its nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from struct import pack

from ckptctl.errors import Refused
from ckptctl.formats.pickle.vm import (
    GlobalName,
    OpaqueKey,
    PersistentId,
    PickledCall,
    PickledOrderedDict,
    PickledSet,
    SkippedValue,
)

_INT32 = range(-(1 << 31), 1 << 31)
_SHORT = 256
_OPCODES: Mapping[str, bytes] = {"reduce": b"R", "newobj": b"\x81"}


class _Code(bytes):
    """Opcodes to be written as they are."""


class _Remember:
    """Stands behind what the memo must know of the node that was just written."""

    def __init__(self, node: object) -> None:
        self.node = node


_Steps = Iterator[object]


def write_pickle(root: object, protocol: int = 2) -> bytes:
    """The pickle of a node and all below it; raises Refused for what is not certain to come out as it was."""
    made = bytearray(b"\x80" + bytes([protocol]))
    memo: dict[object, int] = {}
    begun: set[int] = set()
    pending: list[object] = [root]
    while pending:
        step = pending.pop()
        if type(step) is _Code:
            made += step
        elif type(step) is _Remember:
            made += _put(memo, _key_of(step.node))
        elif (place := memo.get(_key_of(step))) is not None:
            made += b"h" + bytes([place]) if place < _SHORT else b"j" + pack("<I", place)
        else:
            _begin(begun, step)
            pending += reversed(list(_MAKERS.get(type(step), _refuse)(step)))
    return bytes(made + b".")


def _put(memo: dict[object, int], key: object) -> bytes:
    place = memo[key] = len(memo)
    return b"q" + bytes([place]) if place < _SHORT else b"r" + pack("<I", place)


def _key_of(node: object) -> object:
    """Texts and names are one where they say the same, all else where it is the same."""
    return node if type(node) in (str, GlobalName) else id(node)


def _begin(begun: set[int], node: object) -> None:
    """Raise Refused for a node within itself that cannot be mentioned before it is complete."""
    if type(node) not in (tuple, PickledCall, PersistentId, OpaqueKey):
        return
    if node and id(node) in begun:
        raise Refused("a part of it contains itself")
    begun.add(id(node))


def _write_dict(node: dict[object, object]) -> _Steps:
    yield from (_Code(b"}"), _Remember(node))
    yield from _fill(node)


def _fill(node: Mapping[object, object]) -> _Steps:
    if node:
        yield _Code(b"(")
        yield from (part for pair in node.items() for part in pair)
        yield _Code(b"u")


def _write_ordered(node: PickledOrderedDict) -> _Steps:
    yield from (GlobalName("collections", "OrderedDict"), _Code(b")R"), _Remember(node))
    yield from _fill(node)
    if node.state is not None:
        yield from (node.state, _Code(b"b"))


def _write_list(node: list[object]) -> _Steps:
    yield from (_Code(b"]"), _Remember(node))
    if node:
        yield from (_Code(b"("), *node, _Code(b"e"))


def _write_tuple(node: tuple[object, ...]) -> _Steps:
    if node:
        yield from (_Code(b"("), *node, _Code(b"t"), _Remember(node))
    else:
        yield _Code(b")")


def _write_set(node: PickledSet) -> _Steps:
    if node.frozen:
        yield from (_Code(b"("), *node.items, _Code(b"\x91"), _Remember(node))
    else:
        yield from (_Code(b"\x8f"), _Remember(node), _Code(b"("), *node.items, _Code(b"\x90"))


def _write_call(node: PickledCall) -> _Steps:
    if type(node.target) is not GlobalName or node.how == "build":
        raise Refused("its pickle has a computed callable, or a state set on a bare name")
    yield from _make(node, node.target)
    yield _Remember(node)
    if node.items:
        yield from (_Code(b"("), *node.items, _Code(b"e"))
    if node.pairs:
        yield from (_Code(b"("), *(part for pair in node.pairs for part in pair), _Code(b"u"))
    if node.state is not None:
        yield from (node.state, _Code(b"b"))


def _make(node: PickledCall, target: GlobalName) -> _Steps:
    args: object = node.args
    if node.how in _OPCODES:
        yield from (target, args, _Code(_OPCODES[node.how]))
    elif node.how == "newobj_ex" and type(args) is tuple:
        yield from (target, *args, _Code(b"\x92"))
    elif type(args) is tuple:  # inst, obj
        yield from (_Code(b"("), target, *args, _Code(b"o"))
    else:
        raise Refused("it holds a part that is not understood")


def _write_text(node: str) -> _Steps:
    raw = node.encode("utf-8", "surrogatepass")
    yield from (_Code(b"X" + pack("<I", len(raw)) + raw), _Remember(node))


def _write_int(node: int) -> _Steps:
    if node in _INT32:
        yield _Code(b"J" + pack("<i", node))
        return
    length = node.bit_length() // 8 + 1
    front = b"\x8a" + bytes([length]) if length < _SHORT else b"\x8b" + pack("<i", length)
    yield _Code(front + node.to_bytes(length, "little", signed=True))


def _refuse(node: object) -> _Steps:
    if type(node) is not SkippedValue:
        raise Refused("it holds a part that is not understood")
    raise Refused("it holds a text that is too long to be read" if node.size else "it holds a buffer outside of it")


_MAKERS: dict[type, Callable[..., Iterable[object]]] = {
    dict: _write_dict,
    PickledOrderedDict: _write_ordered,
    list: _write_list,
    tuple: _write_tuple,
    PickledSet: _write_set,
    PickledCall: _write_call,
    GlobalName: lambda node: (_Code(f"c{node.module}\n{node.name}\n".encode()), _Remember(node)),
    PersistentId: lambda node: (node.value, _Code(b"Q"), _Remember(node)),
    OpaqueKey: lambda node: (node.node,),
    str: _write_text,
    bytes: lambda node: (_Code(b"B" + pack("<I", len(node)) + node), _Remember(node)),
    bytearray: lambda node: (_Code(b"\x96" + pack("<Q", len(node)) + node), _Remember(node)),
    int: _write_int,
    float: lambda node: (_Code(b"G" + pack(">d", node)),),
    bool: lambda node: (_Code(b"\x88" if node else b"\x89"),),
    type(None): lambda _node: (_Code(b"N"),),
}
"""Type of a node to what is written for it."""
