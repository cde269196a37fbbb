"""The opcodes of pickle protocols 0 to 5: stack, memo and frames, and the table of all.

Each takes the machine and the offset behind its opcode, and returns the offset behind its argument.
"""

from __future__ import annotations

from collections.abc import Mapping

from ckptctl.errors import Damaged
from ckptctl.formats.pickle.container_opcodes import CONSTRUCTIONS
from ckptctl.formats.pickle.nodes import SkippedValue
from ckptctl.formats.pickle.value_opcodes import LITERALS, UINT32, UINT64, number
from ckptctl.formats.pickle.vm import Operation, PickleVM

_NEWEST_PROTOCOL = 5


def _next_buffer(machine: PickleVM, at: int) -> int:
    machine.oddities["a buffer outside the pickle"] = None
    machine.stack.append(SkippedValue(None))
    return at


def _readonly_buffer(machine: PickleVM, at: int) -> int:
    machine.stack.append(machine.stack.pop())  # a top there must be
    return at


def _mark(machine: PickleVM, at: int) -> int:
    if len(machine.outer) >= machine.limits.marks:
        raise Damaged(f"pickle: more than {machine.limits.marks:,} marks inside each other")
    machine.outer.append(machine.stack)
    machine.stack = []
    return at


def _pop(machine: PickleVM, at: int) -> int:
    if machine.stack:
        machine.stack.pop()
    else:
        machine.close_mark()
    return at


def _pop_mark(machine: PickleVM, at: int) -> int:
    machine.close_mark()
    return at


def _dup(machine: PickleVM, at: int) -> int:
    machine.stack.append(machine.stack[-1])
    return at


def _get(machine: PickleVM, at: int) -> int:
    line, end = number(machine, at, rb"[0-9]{1,10}", "a memo index")
    machine.recall(int(line))
    return end


def _binget(machine: PickleVM, at: int) -> int:
    machine.recall(machine.data[at])
    return at + 1


def _long_binget(machine: PickleVM, at: int) -> int:
    machine.recall(UINT32(machine.data, at)[0])
    return at + 4


def _put(machine: PickleVM, at: int) -> int:
    line, end = number(machine, at, rb"[0-9]{1,10}", "a memo index")
    machine.remember(int(line), at)
    return end


def _binput(machine: PickleVM, at: int) -> int:
    index = machine.data[at]
    if index == len(machine.memo):
        machine.memo.append(machine.stack[-1])
    else:
        machine.remember(index, at)
    return at + 1


def _long_binput(machine: PickleVM, at: int) -> int:
    index, memo = UINT32(machine.data, at)[0], machine.memo
    if index == len(memo) < machine.limits.memo:  # as remember, without the call: it is the commonest of all
        memo.append(machine.stack[-1])
    else:
        machine.remember(index, at)
    return at + 4


def _memoize(machine: PickleVM, at: int) -> int:
    machine.remember(len(machine.memo), at)
    return at


def _proto(machine: PickleVM, at: int) -> int:
    if machine.data[at] > _NEWEST_PROTOCOL:
        raise Damaged(f"pickle: protocol {machine.data[at]} is unknown")
    return at + 1


def _frame(machine: PickleVM, at: int) -> int:
    length = UINT64(machine.data, at)[0]
    if at <= machine.frame_end:
        raise Damaged("pickle: a frame begins inside another")
    if length > len(machine.data) - at - 8:
        raise Damaged(f"pickle: a frame of {length:,} bytes announced, {len(machine.data) - at - 8:,} are left")
    machine.frame_end = at + 8 + length
    return at + 8


def _refuse_extension(_machine: PickleVM, _at: int) -> int:
    raise Damaged("pickle: an extension code, whose meaning only the writing machine knows")


def _refuse_unknown(machine: PickleVM, at: int) -> int:
    raise Damaged(f"pickle: unknown opcode 0x{machine.data[at - 1]:02x} at byte {at - 1}")


STOP = ord(".")

_OPERATIONS: Mapping[bytes, Operation] = {
    **LITERALS,
    **CONSTRUCTIONS,
    b"\x97": _next_buffer,
    b"\x98": _readonly_buffer,
    b"(": _mark,
    b"0": _pop,
    b"1": _pop_mark,
    b"2": _dup,
    b"g": _get,
    b"h": _binget,
    b"j": _long_binget,
    b"p": _put,
    b"q": _binput,
    b"r": _long_binput,
    b"\x94": _memoize,
    b"\x80": _proto,
    b"\x95": _frame,
    b"\x82": _refuse_extension,
    b"\x83": _refuse_extension,
    b"\x84": _refuse_extension,
}

TABLE: list[Operation] = [_OPERATIONS.get(bytes([code]), _refuse_unknown) for code in range(256)]
"""What each opcode does, by its byte. STOP is the reader's own affair."""
