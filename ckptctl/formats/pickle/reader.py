"""The inert pickle reader: what a pickle says, with nothing imported and nothing called.

    pickled = read(data)
    pickled.value        plain data and the nodes of ckptctl.formats.pickle.nodes
    pickled.globals      every class and function that loading it would have imported

A stream may come from anyone: whatever is wrong with it ends in Damaged, after work that its length bounds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from struct import error as MissingBytes  # noqa: N812 - what it means here
from typing import NamedTuple

from ckptctl.errors import Damaged
from ckptctl.formats.pickle.nodes import GlobalName, PersistentId
from ckptctl.formats.pickle.opcodes import STOP, TABLE
from ckptctl.formats.pickle.vm import LIMITS, Decoder, PickleLimits, PickleVM

_OPERATIONS_BETWEEN_LOOKS = 4096
_NAMES_IN_HINT = 5


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
    data: bytes, at: int = 0, limits: PickleLimits = LIMITS, decoders: Mapping[GlobalName, Decoder] | None = None
) -> ParsedPickle:
    """Read the pickle that begins at byte ``at``; raises Damaged for what is malformed or beyond the limits.

    A decoder is given the arguments of the calls by REDUCE of its Global, and what it returns stands in their place.
    """
    if len(data) > limits.data:
        raise Damaged(f"pickle: {len(data):,} bytes are more than the {limits.data:,} that are read")
    machine = PickleVM(data, limits, decoders or {})
    try:
        return _finish(machine, _run(machine, at))
    except (IndexError, MissingBytes) as error:
        raise Damaged(_why(error), hint=_names(machine)) from None
    except Damaged as error:
        error.hint = error.hint or _names(machine)
        raise


def read_pickles(
    data: bytes, limits: PickleLimits = LIMITS, decoders: Mapping[GlobalName, Decoder] | None = None
) -> list[ParsedPickle]:
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


def _run(machine: PickleVM, at: int) -> int:  # nested: the hot loop, that looks at the limits now and then
    """Do every operation before STOP; returns the offset behind it."""
    data, table = machine.data, TABLE
    for _ in range(0, machine.limits.operations, _OPERATIONS_BETWEEN_LOOKS):
        for _ in range(_OPERATIONS_BETWEEN_LOOKS):
            begun, opcode = at, data[at]
            if opcode == STOP:
                return at + 1
            at = table[opcode](machine, at + 1)
            if begun < machine.frame_end < at:  # CPython may read on elsewhere, by its buffer, and run what is hidden
                raise Damaged("pickle: an operation reaches beyond its frame, and unpicklers disagree on what it says")
        machine.look_at_limits()
    raise Damaged(f"pickle: more than {machine.limits.operations:,} operations")


def _finish(machine: PickleVM, end: int) -> ParsedPickle:
    value = machine.stack.pop()
    if machine.stack or machine.outer:
        machine.oddities["values left behind"] = None
    if end < machine.frame_end:
        raise Damaged("pickle: its last frame reaches beyond its end")
    named = tuple(machine.globals.values())
    called = frozenset(it for it in named if id(it) in machine.called)
    return ParsedPickle(value, named, tuple(machine.oddities), end, tuple(machine.references), called)


def _why(error: Exception) -> str:
    if "list" in str(error):
        return "pickle: takes a value that was never put"
    return "pickle: cut short"


def _names(machine: PickleVM) -> str | None:
    """What it named until it broke: a real unpickler would have called that before it noticed."""
    return _hint(machine.globals.values())


def _hint(named: Iterable[GlobalName]) -> str | None:
    names = [ascii(f"{known.module}.{known.name}") for known in named]
    return f"until there it names {', '.join(names[:_NAMES_IN_HINT])}" if names else None
