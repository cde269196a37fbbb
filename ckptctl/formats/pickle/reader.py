"""The inert pickle reader: what a pickle says, with nothing imported and nothing called.

    pickled = read(data)
    pickled.value        plain data and the nodes of ckptctl.formats.pickle.vm
    pickled.globals      every class and function that loading it would have imported

A stream may come from anyone: whatever is wrong with it ends in Damaged, after work that its length bounds.
"""

from __future__ import annotations

import re
from codecs import escape_decode, raw_unicode_escape_decode
from collections.abc import Iterable, Mapping
from struct import Struct
from struct import error as MissingBytes  # noqa: N812 - what it means here
from typing import NamedTuple

from ckptctl.errors import Damaged
from ckptctl.formats.pickle.vm import (
    BARE,
    LIMITS,
    Decoders,
    GlobalName,
    Operation,
    PersistentId,
    PickledCall,
    PickledOrderedDict,
    PickledSet,
    PickleLimits,
    PickleVM,
    SkippedValue,
)

_OPERATIONS_BETWEEN_LOOKS = 4096
_NAMES_IN_HINT = 5

_NEWEST_PROTOCOL = 5
_LONGEST_NUMBER = 1024
"""Bytes of a whole number, digits of a written one."""
_LONGEST_LINE = 1024
"""Bytes of a name written as a line."""
_WHOLE_NUMBER = rb"[+-]?[0-9]+"
_NUMBER = rb"[+-]?(?:[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?|inf|nan)"
_INDEX = rb"[0-9]{1,10}"

_INT32 = Struct("<i").unpack_from
_UINT16 = Struct("<H").unpack_from
_UINT32 = Struct("<I").unpack_from
_UINT64 = Struct("<Q").unpack_from
_DOUBLE = Struct(">d").unpack_from


class ParsedPickle(NamedTuple):
    """One pickle, read."""

    value: object
    globals: tuple[GlobalName, ...]
    """Every name in it, used or not, in the order of mention."""
    oddities: tuple[str, ...]
    """What honest pickles do not do, in words; empty for an honest one."""
    end: int
    """The offset behind its STOP."""
    references: tuple[PersistentId, ...] = ()
    """What it says of things outside, storages of tensors above all, in the order of mention."""
    called: frozenset[GlobalName] = frozenset()
    """Of the names those that loading would call, or hand to what is called; not those of which it makes instances, nor
    what a decoder knows."""


def read_pickle(
    data: bytes, at: int = 0, limits: PickleLimits = LIMITS, decoders: Decoders | None = None
) -> ParsedPickle:
    """Read the pickle that begins at byte ``at``; raises Damaged for what is malformed or beyond the limits.

    A decoder is given the arguments of the calls by REDUCE of its Global, and what it returns stands in their place.
    """
    if len(data) > limits.data:
        raise Damaged(f"pickle: {len(data):,} bytes are more than the {limits.data:,} that are read")
    vm = PickleVM(data, limits, decoders or {})
    try:
        end = _run(vm, at)
        value = vm.stack.pop()
    except (IndexError, MissingBytes) as error:
        text = "pickle: takes a value that was never put" if "list" in str(error) else "pickle: cut short"
        raise Damaged(text, hint=_hint(vm.globals.values())) from None
    except Damaged as error:
        error.hint = error.hint or _hint(vm.globals.values())
        raise
    if vm.stack or vm.outer:
        vm.oddities["values left behind"] = None
    named = tuple(vm.globals.values())
    called = frozenset(it for it in named if id(it) in vm.called)
    return ParsedPickle(value, named, tuple(vm.oddities), end, tuple(vm.references), called)


def read_pickles(data: bytes, limits: PickleLimits = LIMITS, decoders: Decoders | None = None) -> list[ParsedPickle]:
    """Read pickle behind pickle to the end of the data; raises Damaged where anything else follows one."""
    found: list[ParsedPickle] = []
    at = 0
    while at < len(data) or not found:
        if len(found) == limits.pickles:
            raise Damaged(f"pickle: more than {limits.pickles:,} of them in one file")
        try:
            found.append(read_pickle(data, at, limits, decoders))
        except Damaged as error:
            error.hint = error.hint or _hint(it for pickled in found for it in pickled.globals)
            raise
        at = found[-1].end
    return found


def _run(vm: PickleVM, at: int) -> int:  # nested: the hot loop, that looks at the limits now and then
    """Do every operation before STOP; returns the offset behind it."""
    data, table = vm.data, _TABLE
    for _ in range(0, vm.limits.operations, _OPERATIONS_BETWEEN_LOOKS):
        for _ in range(_OPERATIONS_BETWEEN_LOOKS):
            begun, opcode = at, data[at]
            if opcode == _STOP and at + 1 < vm.frame_end:
                raise Damaged("pickle: its last frame reaches beyond its end")
            if opcode == _STOP:
                return at + 1
            at = table[opcode](vm, at + 1)
            if begun < vm.frame_end < at:  # CPython may read on elsewhere, by its buffer, and run what is hidden
                raise Damaged("pickle: an operation reaches beyond its frame, and unpicklers disagree on what it says")
        vm.look_at_limits()
    raise Damaged(f"pickle: more than {vm.limits.operations:,} operations")


def _hint(named: Iterable[GlobalName]) -> str | None:
    """What it named until it broke: a real unpickler would have called that before it noticed."""
    names = [ascii(f"{known.module}.{known.name}") for known in named]
    return f"until there it names {', '.join(names[:_NAMES_IN_HINT])}" if names else None


# Opcodes -------------------------------------------------------------------------------------------------------------
#
# Each takes the machine and the offset behind its opcode, and returns the offset behind its argument. Lengths are
# proved before they are used. Missing bytes and stack underflow come out as IndexError or struct.error.


def _read_number(vm: PickleVM, at: int, pattern: bytes, kind: str) -> tuple[bytes, int]:
    """The line at ``at`` if all of it is a number of this pattern, and the offset behind it; raises Damaged."""
    line, end = vm.line(at, _LONGEST_NUMBER)
    if not re.fullmatch(pattern, line):
        raise Damaged(f"pickle: what should be {kind} is none")
    return line, end


def _int(vm: PickleVM, at: int) -> int:
    line, end = _read_number(vm, at, _WHOLE_NUMBER, "a whole number")
    return vm.push(line == b"01" if line in (b"00", b"01") else int(line), end)


def _long(vm: PickleVM, at: int) -> int:
    line, end = _read_number(vm, at, _WHOLE_NUMBER + b"L?", "a whole number")
    return vm.push(int(line.rstrip(b"L")), end)


def _float(vm: PickleVM, at: int) -> int:
    line, end = _read_number(vm, at, _NUMBER, "a number")
    return vm.push(float(line), end)


def _push_long(vm: PickleVM, at: int, length: int) -> int:
    if not 0 <= length <= _LONGEST_NUMBER:
        raise Damaged(f"pickle: a whole number of {length:,} bytes")
    if length > len(vm.data) - at:
        raise Damaged(f"pickle: {length:,} bytes announced, {len(vm.data) - at:,} are left")
    return vm.push(int.from_bytes(vm.data[at : at + length], "little", signed=True), at + length)


def _push_old_text(vm: PickleVM, raw: bytes | SkippedValue, at: int) -> int:
    """Push a string of Python 2: text where it can be, else bytes."""
    try:
        return vm.push(raw if isinstance(raw, SkippedValue) else str(raw, "utf-8"), at)
    except UnicodeDecodeError:
        return vm.push(raw, at)


def _string(vm: PickleVM, at: int) -> int:
    line, end = vm.line(at, vm.limits.string)
    body = line[1:-1]
    if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in (b"'", b'"'):  # noqa: PLR2004 - two quotes
        raise Damaged("pickle: a string without its quotes")
    if b"\\" in re.sub(rb"\\(?:x[0-9a-fA-F]{2}|[nrt\\'\"])", b"", body):
        raise Damaged("pickle: a string with an escape that Python does not write")
    return _push_old_text(vm, escape_decode(body)[0], end)


def _binstring(vm: PickleVM, at: int) -> int:
    length = _INT32(vm.data, at)[0]
    if length < 0:
        raise Damaged("pickle: a string of negative length")
    return _push_old_text(vm, vm.take(at + 4, length), at + 4 + length)


def _unicode(vm: PickleVM, at: int) -> int:
    line, end = vm.line(at, vm.limits.string)
    try:
        return vm.push(raw_unicode_escape_decode(line)[0], end)
    except UnicodeDecodeError:
        raise Damaged("pickle: a text with a broken escape") from None


def _bytearray8(vm: PickleVM, at: int) -> int:
    end = vm.push_bytes(at + 8, _UINT64(vm.data, at)[0])
    taken = vm.stack[-1]
    vm.stack[-1] = bytearray(taken) if type(taken) is bytes else taken
    return end


def _top_tuple(vm: PickleVM, at: int, length: int) -> int:
    """Put a tuple in place of the topmost values."""
    items = [vm.stack.pop() for _ in range(length)]
    return vm.push(tuple(reversed(items)), at)


def _dict(vm: PickleVM, at: int) -> int:
    items = vm.close_mark()
    vm.stack.append({})
    return vm.put(items, at)


def _setitem(vm: PickleVM, at: int) -> int:
    value, key = vm.stack.pop(), vm.stack.pop()
    return vm.put([key, value], at)


def _global(vm: PickleVM, at: int) -> int:
    module, middle = vm.line(at, _LONGEST_LINE)
    name, end = vm.line(middle, _LONGEST_LINE)
    try:
        return vm.push(vm.name(str(module, "utf-8", "surrogatepass"), str(name, "utf-8", "surrogatepass")), end)
    except UnicodeDecodeError:
        raise Damaged("pickle: a text is not UTF-8") from None


def _stack_global(vm: PickleVM, at: int) -> int:
    name, module = vm.stack.pop(), vm.stack.pop()
    if type(name) is not str or type(module) is not str:
        raise Damaged("pickle: a name that is no text")
    return vm.push(vm.name(module, name), at)


def _newobj(vm: PickleVM, at: int) -> int:
    args = vm.stack.pop()
    vm.stack[-1] = vm.call(vm.stack[-1], args, "newobj")
    return at


def _newobj_ex(vm: PickleVM, at: int) -> int:
    keywords, args = vm.stack.pop(), vm.stack.pop()
    vm.stack[-1] = vm.call(vm.stack[-1], (args, keywords), "newobj_ex")
    return at


def _inst(vm: PickleVM, at: int) -> int:
    end = _global(vm, at)
    target = vm.stack.pop()
    return vm.push(vm.call(target, tuple(vm.close_mark()), "inst"), end)


def _obj(vm: PickleVM, at: int) -> int:
    items = vm.close_mark()
    return vm.push(vm.call(items[0], tuple(items[1:]), "obj"), at)


def _build(vm: PickleVM, at: int) -> int:
    state = vm.stack.pop()
    target = vm.stack[-1]
    if type(target) is PickledCall or type(target) is PickledOrderedDict:
        if target.state is not None:
            raise Damaged("pickle: sets the state of one object twice")
        target.state = state
    elif type(target) is GlobalName:
        vm.oddities[BARE] = None
        vm.stack[-1] = PickledCall(target, (), "build", state)
    else:
        raise Damaged("pickle: sets a state on what has none")
    return at


def _persid(vm: PickleVM, at: int) -> int:
    vm.oddities["a reference written as text"] = None
    line, end = vm.line(at, vm.limits.string)
    vm.push_text(at, len(line))
    vm.stack[-1] = PersistentId(vm.stack[-1])
    return end


def _binpersid(vm: PickleVM, at: int) -> int:
    reference = vm.stack[-1] = PersistentId(vm.stack[-1])
    vm.references.append(reference)
    return at


def _next_buffer(vm: PickleVM, at: int) -> int:
    vm.oddities["a buffer outside the pickle"] = None
    return vm.push(SkippedValue(None), at)


def _mark(vm: PickleVM, at: int) -> int:
    if len(vm.outer) >= vm.limits.marks:
        raise Damaged(f"pickle: more than {vm.limits.marks:,} marks inside each other")
    vm.outer.append(vm.stack)
    vm.stack = []
    return at


def _pop(vm: PickleVM, at: int) -> int:
    if vm.stack:
        vm.stack.pop()
    else:
        vm.close_mark()
    return at


def _pop_mark(vm: PickleVM, at: int) -> int:
    vm.close_mark()
    return at


def _get(vm: PickleVM, at: int) -> int:
    line, end = _read_number(vm, at, _INDEX, "a memo index")
    return vm.recall(int(line), end)


def _put(vm: PickleVM, at: int) -> int:
    line, end = _read_number(vm, at, _INDEX, "a memo index")
    vm.remember(int(line), at)
    return end


def _long_binput(vm: PickleVM, at: int) -> int:
    index, memo = _UINT32(vm.data, at)[0], vm.memo
    if index == len(memo) < vm.limits.memo:  # as remember, without the call: it is the commonest of all
        memo.append(vm.stack[-1])
    else:
        vm.remember(index, at)
    return at + 4


def _proto(vm: PickleVM, at: int) -> int:
    if vm.data[at] > _NEWEST_PROTOCOL:
        raise Damaged(f"pickle: protocol {vm.data[at]} is unknown")
    return at + 1


def _frame(vm: PickleVM, at: int) -> int:
    length = _UINT64(vm.data, at)[0]
    if at <= vm.frame_end:
        raise Damaged("pickle: a frame begins inside another")
    if length > len(vm.data) - at - 8:
        raise Damaged(f"pickle: a frame of {length:,} bytes announced, {len(vm.data) - at - 8:,} are left")
    vm.frame_end = at + 8 + length
    return at + 8


def _refuse_extension(_vm: PickleVM, _at: int) -> int:
    raise Damaged("pickle: an extension code, whose meaning only the writing machine knows")


def _refuse_unknown(vm: PickleVM, at: int) -> int:
    raise Damaged(f"pickle: unknown opcode 0x{vm.data[at - 1]:02x} at byte {at - 1}")


_STOP = ord(".")
_OPCODES: Mapping[bytes, Operation] = {
    b"N": lambda vm, at: vm.push(None, at),
    b"\x88": lambda vm, at: vm.push(True, at),  # noqa: FBT003 - the value
    b"\x89": lambda vm, at: vm.push(False, at),  # noqa: FBT003 - the value
    b"I": _int,
    b"L": _long,
    b"F": _float,
    b"J": lambda vm, at: vm.push(_INT32(vm.data, at)[0], at + 4),
    b"K": lambda vm, at: vm.push(vm.data[at], at + 1),
    b"M": lambda vm, at: vm.push(_UINT16(vm.data, at)[0], at + 2),
    b"\x8a": lambda vm, at: _push_long(vm, at + 1, vm.data[at]),
    b"\x8b": lambda vm, at: _push_long(vm, at + 4, _INT32(vm.data, at)[0]),
    b"G": lambda vm, at: vm.push(_DOUBLE(vm.data, at)[0], at + 8),
    b"S": _string,
    b"T": _binstring,
    b"U": lambda vm, at: _push_old_text(vm, vm.take(at + 1, vm.data[at]), at + 1 + vm.data[at]),
    b"V": _unicode,
    b"\x8c": lambda vm, at: vm.push_text(at + 1, vm.data[at]),
    b"X": lambda vm, at: vm.push_text(at + 4, _UINT32(vm.data, at)[0]),
    b"\x8d": lambda vm, at: vm.push_text(at + 8, _UINT64(vm.data, at)[0]),
    b"C": lambda vm, at: vm.push_bytes(at + 1, vm.data[at]),
    b"B": lambda vm, at: vm.push_bytes(at + 4, _UINT32(vm.data, at)[0]),
    b"\x8e": lambda vm, at: vm.push_bytes(at + 8, _UINT64(vm.data, at)[0]),
    b"\x96": _bytearray8,
    b"]": lambda vm, at: vm.push([], at),
    b"}": lambda vm, at: vm.push({}, at),
    b")": lambda vm, at: vm.push((), at),
    b"\x8f": lambda vm, at: vm.push(PickledSet([], frozen=False), at),
    b"\x91": lambda vm, at: vm.push(PickledSet(vm.close_mark(), frozen=True), at),
    b"l": lambda vm, at: vm.push(vm.close_mark(), at),
    b"t": lambda vm, at: vm.push(tuple(vm.close_mark()), at),
    b"\x85": lambda vm, at: vm.push((vm.stack.pop(),), at),
    b"\x86": lambda vm, at: _top_tuple(vm, at, 2),
    b"\x87": lambda vm, at: _top_tuple(vm, at, 3),
    b"d": _dict,
    b"a": lambda vm, at: vm.add([vm.stack.pop()], at),
    b"e": lambda vm, at: vm.add(vm.close_mark(), at),
    b"\x90": lambda vm, at: vm.add(vm.close_mark(), at),
    b"s": _setitem,
    b"u": lambda vm, at: vm.put(vm.close_mark(), at),
    b"c": _global,
    b"\x93": _stack_global,
    b"R": PickleVM.reduce,
    b"\x81": _newobj,
    b"\x92": _newobj_ex,
    b"i": _inst,
    b"o": _obj,
    b"b": _build,
    b"P": _persid,
    b"Q": _binpersid,
    b"\x97": _next_buffer,
    b"\x98": lambda vm, at: vm.push(vm.stack.pop(), at),  # a top there must be
    b"(": _mark,
    b"0": _pop,
    b"1": _pop_mark,
    b"2": lambda vm, at: vm.push(vm.stack[-1], at),
    b"g": _get,
    b"h": lambda vm, at: vm.recall(vm.data[at], at + 1),
    b"j": lambda vm, at: vm.recall(_UINT32(vm.data, at)[0], at + 4),
    b"p": _put,
    b"q": lambda vm, at: vm.remember(vm.data[at], at) + 1,
    b"r": _long_binput,
    b"\x94": lambda vm, at: vm.remember(len(vm.memo), at),
    b"\x80": _proto,
    b"\x95": _frame,
    b"\x82": _refuse_extension,
    b"\x83": _refuse_extension,
    b"\x84": _refuse_extension,
}
"""Opcode of the protocols 0 to 5 to what it does; STOP is the loop's own affair."""
_TABLE = [_OPCODES.get(bytes([code]), _refuse_unknown) for code in range(256)]
