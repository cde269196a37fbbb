"""The opcodes that make containers, names, calls and references. Nothing is imported and nothing is called.

Stack underflow comes out as IndexError, which the reader turns into Damaged.
"""

from __future__ import annotations

from collections.abc import Mapping

from ckptctl.errors import Damaged
from ckptctl.formats.pickle.nodes import GlobalName, PersistentId, PickledCall, PickledOrderedDict, PickledSet
from ckptctl.formats.pickle.value_opcodes import decoded
from ckptctl.formats.pickle.vm import BARE, Operation, PickleVM

_LONGEST_LINE = 1024
"""Bytes of a name written as a line."""


def _empty_list(machine: PickleVM, at: int) -> int:
    machine.stack.append([])
    return at


def _empty_dict(machine: PickleVM, at: int) -> int:
    machine.stack.append({})
    return at


def _empty_set(machine: PickleVM, at: int) -> int:
    machine.stack.append(PickledSet([], frozen=False))
    return at


def _tuple(machine: PickleVM, at: int) -> int:
    items = machine.close_mark()
    machine.stack.append(tuple(items))
    return at


def _tuple1(machine: PickleVM, at: int) -> int:
    machine.stack[-1] = (machine.stack[-1],)
    return at


def _tuple2(machine: PickleVM, at: int) -> int:
    last = machine.stack.pop()
    machine.stack[-1] = (machine.stack[-1], last)
    return at


def _tuple3(machine: PickleVM, at: int) -> int:
    last, middle = machine.stack.pop(), machine.stack.pop()
    machine.stack[-1] = (machine.stack[-1], middle, last)
    return at


def _list(machine: PickleVM, at: int) -> int:
    items = machine.close_mark()
    machine.stack.append(items)
    return at


def _dict(machine: PickleVM, at: int) -> int:
    items = machine.close_mark()
    made: dict[object, object] = {}
    machine.put(made, items)
    machine.stack.append(made)
    return at


def _frozenset(machine: PickleVM, at: int) -> int:
    items = machine.close_mark()
    machine.stack.append(PickledSet(items, frozen=True))
    return at


def _append(machine: PickleVM, at: int) -> int:
    item = machine.stack.pop()
    machine.add(machine.stack[-1], [item])
    return at


def _appends(machine: PickleVM, at: int) -> int:
    items = machine.close_mark()
    machine.add(machine.stack[-1], items)
    return at


def _setitem(machine: PickleVM, at: int) -> int:
    value, node = machine.stack.pop(), machine.stack.pop()
    machine.put(machine.stack[-1], [node, value])
    return at


def _setitems(machine: PickleVM, at: int) -> int:
    items = machine.close_mark()
    machine.put(machine.stack[-1], items)
    return at


def _text_line(machine: PickleVM, at: int) -> tuple[str, int]:
    line = machine.line(at, _LONGEST_LINE)
    return str(decoded(line)), at + len(line) + 1


def _global(machine: PickleVM, at: int) -> int:
    module, middle = _text_line(machine, at)
    name, end = _text_line(machine, middle)
    machine.stack.append(machine.name(module, name))
    return end


def _stack_global(machine: PickleVM, at: int) -> int:
    name, module = machine.stack.pop(), machine.stack.pop()
    if type(name) is not str or type(module) is not str:
        raise Damaged("pickle: a name that is no text")
    machine.stack.append(machine.name(module, name))
    return at


def _reduce(machine: PickleVM, at: int) -> int:
    args = machine.stack.pop()
    if type(args) is not tuple:
        raise Damaged("pickle: arguments that are no tuple")
    machine.stack[-1] = machine.reduce(machine.stack[-1], args)
    return at


def _newobj(machine: PickleVM, at: int) -> int:
    args = machine.stack.pop()
    machine.stack[-1] = machine.call(machine.stack[-1], args, "newobj")
    return at


def _newobj_ex(machine: PickleVM, at: int) -> int:
    keywords, args = machine.stack.pop(), machine.stack.pop()
    machine.stack[-1] = machine.call(machine.stack[-1], (args, keywords), "newobj_ex")
    return at


def _inst(machine: PickleVM, at: int) -> int:
    end = _global(machine, at)
    target = machine.stack.pop()
    args = tuple(machine.close_mark())
    machine.stack.append(machine.call(target, args, "inst"))
    return end


def _obj(machine: PickleVM, at: int) -> int:
    items = machine.close_mark()
    machine.stack.append(machine.call(items[0], tuple(items[1:]), "obj"))
    return at


def _build(machine: PickleVM, at: int) -> int:
    state = machine.stack.pop()
    target = machine.stack[-1]
    if type(target) is PickledCall or type(target) is PickledOrderedDict:
        if target.state is not None:
            raise Damaged("pickle: sets the state of one object twice")
        target.state = state
    elif type(target) is GlobalName:
        machine.oddities[BARE] = None
        machine.stack[-1] = PickledCall(target, (), "build", state)
    else:
        raise Damaged("pickle: sets a state on what has none")
    return at


def _persid(machine: PickleVM, at: int) -> int:
    line = machine.line(at, machine.limits.string)
    machine.oddities["a reference written as text"] = None
    machine.stack.append(PersistentId(decoded(line)))
    return at + len(line) + 1


def _binpersid(machine: PickleVM, at: int) -> int:
    reference = PersistentId(machine.stack[-1])
    machine.references.append(reference)
    machine.stack[-1] = reference
    return at


CONSTRUCTIONS: Mapping[bytes, Operation] = {
    b"]": _empty_list,
    b"}": _empty_dict,
    b"\x8f": _empty_set,
    b"t": _tuple,
    b"\x85": _tuple1,
    b"\x86": _tuple2,
    b"\x87": _tuple3,
    b"l": _list,
    b"d": _dict,
    b"\x91": _frozenset,
    b"a": _append,
    b"e": _appends,
    b"\x90": _appends,
    b"s": _setitem,
    b"u": _setitems,
    b"c": _global,
    b"\x93": _stack_global,
    b"R": _reduce,
    b"\x81": _newobj,
    b"\x92": _newobj_ex,
    b"i": _inst,
    b"o": _obj,
    b"b": _build,
    b"P": _persid,
    b"Q": _binpersid,
}
"""Opcode to what it does."""
