"""What is passed over in a pickle: deep values, tensors by the hundred, an optimizer's state."""

from __future__ import annotations

import re

from ckptctl.formats.sniff.fused import QUIET, TENSOR
from ckptctl.formats.sniff.nodes import OPAQUE, TENSOR_LEAF, PickleNode
from ckptctl.formats.sniff.walker import MOST_STEPS, PickleWalker

_DEEPEST = 2
"""Marks: what lies deeper is stepped over."""
_MANY = 12
"""Items of a dictionary that tell what it is, where they are tensors."""
_STATE_ENDS = re.compile(rb"R(?:q.|r.{4}|\x94)u", re.DOTALL)
"""The last tensor of a dictionary."""
_STATE_ENDS_FAR = b"\0\0u"
"""The same, where the last tensor has a number of four bytes: quicker to find."""
_STATE_ENDS_FRAMED = b"R\x94u"
_FRAMED = (b"\x80\x04", b"\x80\x05")
"""Protocols that number without saying the number."""
_NEAR = 2048
_METADATA = (b"X\x09\0\0\0_metadata", b"\x8c\x09_metadata")
_PUT_LENGTHS = {ord("q"): 2, ord("r"): 5, 0x94: 1}
_METADATA_ENDS = b"sb"
_BEFORE_METADATA_ENDS = frozenset({b"su", b"uu", b"ss", b"us"})
_CLOSING = b"tuedl\x90\x91"
_DEPTHS = {ord("("): 1, **dict.fromkeys(_CLOSING, -1)}
"""Opcode to how it changes the number of open marks."""
_REFERENCE = ord("Q")
_CALLBACKS = b"X\x09\0\0\0callbacks"
"""The key behind those of Lightning's loops, which are many and tell nothing."""
_INTEGERS = b"KMJ"
_MODULES = (
    *(b"X\x08\0\0\0training", b"X\x0b\0\0\0_parameters", b"X\x0c\0\0\0_is_hf_initi"),
    *(b"\x8c\x08training", b"\x8c\x0b_parameters", b"\x8c\x0c_is_hf_initi"),
)
"""How the attributes of a module of torch begin."""
_GROUPS = b"X\x0c\0\0\0param_groups"
_GROUPS_FRAMED = b"\x8c\x0cparam_groups"


class EnoughError(Exception):
    """What follows would tell nothing more."""


def open_mark(walker: PickleWalker) -> None:
    """MARK: deep values and an optimizer's state are stepped over; a module ends the walk, as its kind is known."""
    stack, data = walker.stack, walker.data
    walker.at += 1
    walker.marks.append(len(stack))
    owner, key = (stack[-1], stack[-2]) if len(stack) > 1 else (None, None)
    if key == "state" and data[walker.at] in _INTEGERS and isinstance(owner, PickleNode):
        _pass_over_state(walker, owner)
    elif isinstance(key, PickleNode) and key.shape == "object" and data.startswith(_MODULES, walker.at):
        key.items.append(("_parameters", OPAQUE))
        raise EnoughError
    elif key == "loops" and (callbacks := data.find(_CALLBACKS, walker.at)) > 0:
        walker.marks.pop()
        walker.go(callbacks)
    elif len(walker.marks) > _DEEPEST:
        _skip(walker)


def _pass_over_state(walker: PickleWalker, owner: PickleNode) -> None:
    """Go to an optimizer's groups, which follow its state."""
    owner.has_tensors = owner.has_more = True
    walker.marks.pop()
    groups = walker.data.find(_GROUPS_FRAMED if walker.data.startswith(_FRAMED) else _GROUPS, walker.at)
    if groups < 0:
        raise EnoughError
    walker.go(groups)


def _skip(walker: PickleWalker) -> None:
    """Step over all up to what closes the mark; raises ValueError where that is too far."""
    node, depth, data = PickleNode("skipped"), 0, walker.data
    walker.stack.append(node)
    for _ in range(MOST_STEPS):
        if run := QUIET.match(data, walker.at):
            walker.go(run.end())
            node.has_tensors |= run.lastindex is not None
        opcode = data[walker.at]
        if not depth and opcode in _CLOSING:
            return
        depth += _DEPTHS.get(opcode, 0)
        node.has_tensors |= opcode == _REFERENCE
        walker.at += 1 if opcode in _DEPTHS or opcode == _REFERENCE else _length_of(data, walker.at)
    raise ValueError


def _length_of(data: bytes, at: int) -> int:
    """The bytes of an opcode with an argument that says its own length; raises KeyError for any other."""
    width = {0x58: 4, 0x8C: 1, 0x8D: 8, 0x42: 4, 0x43: 1, 0x8E: 8, 0x8A: 1, 0x55: 1, 0x54: 4, 0x96: 8}[data[at]]
    return 1 + width + int.from_bytes(data[at + 1 : at + 1 + width], "little")


def take_tensor(walker: PickleWalker) -> bool:
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


def _pass_over_tensors(walker: PickleWalker) -> None:
    """Go to the end of the dictionary, where all of its last items were tensors."""
    last = walker.stack[walker.marks[-1] :]
    if len(last) % 2 or any(value is not TENSOR_LEAF for value in last[1::2]):
        return
    data, start = walker.data, walker.at
    near = _STATE_ENDS.search(data, start, start + _NEAR)
    end = near.end() - 1 if near else _find_state_end(data, start)
    if end < start:
        raise EnoughError
    walker.go(end)


def _find_state_end(data: bytes, start: int) -> int:
    """Where a dictionary ends, of which the last tensor has a number of four bytes, or none; -1 where it does not."""
    if data.startswith(_FRAMED):
        return data.find(_STATE_ENDS_FRAMED, start) + len(_STATE_ENDS_FRAMED) - 1
    end = data.find(_STATE_ENDS_FAR, start) + 2
    while end > 1 and data[end - 6 : end - 4] != b"Rr":
        end = data.find(_STATE_ENDS_FAR, end) + 2
    return end if end > 1 else -1


def open_dict(walker: PickleWalker) -> None:
    """EMPTY_DICT: the metadata of a state dict are passed over."""
    at = walker.at + 1 + _PUT_LENGTHS.get(walker.data[walker.at + 1], 0)
    if not walker.data.startswith(_METADATA, at):
        walker.push(PickleNode("dict"))
        return
    end = walker.data.find(_METADATA_ENDS, at)
    while end > 0 and walker.data[end - 2 : end] not in _BEFORE_METADATA_ENDS:
        end = walker.data.find(_METADATA_ENDS, end + 1)
    if end < 0:
        raise EnoughError
    walker.go(end + len(_METADATA_ENDS))
