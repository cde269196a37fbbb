"""The machine that reads one pickle: its stack, marks and memo, and every limit.

What a pickle says comes as inert values: plain data as None, bool, int, float, str, bytes, bytearray, tuple, list and
dict; all else, what a real unpickler would import, call or set, as the nodes below. Only a GlobalName, two short names,
is compared by what it says; as keys, the others are wrapped and told apart by identity, and so are whole numbers beyond
61 bits, that could be chosen to collide. Values may share parts, contain themselves and nest deeper than Python can
recurse: walk them by identity, on a budget.

Stack underflow comes out as IndexError, which the reader turns into Damaged.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from time import thread_time
from typing import NamedTuple

from ckptctl.errors import Damaged


class GlobalName:
    """The name of a class or function. It is never imported."""

    __slots__ = ("module", "name")

    def __init__(self, module: str, name: str) -> None:
        self.module = module
        self.name = name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GlobalName) and self.module == other.module and self.name == other.name

    def __hash__(self) -> int:
        return hash((self.module, self.name))

    def __repr__(self) -> str:
        return f"Global({self.module!r}, {self.name!r})"


class PickledCall:
    """What loading would have called, or made an instance of; it is not called."""

    __slots__ = ("args", "how", "items", "pairs", "state", "target")

    def __init__(self, target: object, args: object, how: str, state: object = None) -> None:
        self.target = target
        """A Global; anything else is a computed callable, which no honest pickle has."""
        self.args = args
        """The tuple of arguments; for ``newobj_ex`` the pair (arguments, keywords)."""
        self.how = how
        """The opcode, in lower case: reduce, newobj, newobj_ex, inst, obj; build for a state set on a bare name."""
        self.state = state
        """What BUILD would have set; None where nothing was."""
        self.items: list[object] | tuple[()] = ()
        """What would have been appended or added to the result."""
        self.pairs: list[tuple[object, object]] | tuple[()] = ()
        """Key and value of what would have been set in the result."""


class PersistentId:
    """A reference to something outside the pickle: in torch's files the storage of a tensor."""

    __slots__ = ("value",)

    def __init__(self, value: object) -> None:
        self.value = value


class PickledSet:
    """The items of a set or a frozen set, as listed; they are not hashed."""

    __slots__ = ("frozen", "items")

    def __init__(self, items: list[object], *, frozen: bool) -> None:
        self.items = items
        self.frozen = frozen


class PickledOrderedDict(dict[object, object]):
    """An OrderedDict, which may carry a state (torch keeps the versions of modules there)."""

    state: object = None


class OpaqueKey:
    """Stands in a dict for a key that is not plain data, or too long to compare cheaply."""

    __slots__ = ("node",)

    def __init__(self, node: object) -> None:
        self.node = node


class SkippedValue:
    """A text or bytes over the limit for one string, or a buffer that lies outside the pickle."""

    __slots__ = ("size",)

    def __init__(self, size: int | None) -> None:
        self.size = size
        """Bytes; None for a buffer outside."""


Decoder = Callable[[tuple[object, ...]], object]
"""Reads the arguments of a call that it knows; None leaves the call as it is."""
Decoders = Mapping[GlobalName, Decoder]
"""Name of what is called to its decoder."""


class PickleLimits(NamedTuple):
    """What a pickle may cost; beyond, it is refused."""

    data: int = 64 << 20
    """Bytes of all pickles together."""
    operations: int = 5_000_000
    stack: int = 1_000_000
    memo: int = 1_000_000
    marks: int = 1_000
    """Marks open at once, which is how deep honest data nests."""
    string: int = 1 << 20
    """Bytes of one text or byte string; longer ones come as Skipped."""
    pickles: int = 1_000
    """Pickles behind each other in one file."""
    seconds: float = 1
    """Of processor time, for one pickle of up to two MiB, and in proportion for longer ones, up to four times as long.

    Honest ones take a fifth of it, whatever their length: what takes longer costs more than it says.
    """

    def allow(self, size: int) -> float:
        """Seconds for a pickle of so many bytes."""
        return self.seconds * min(4.0, max(1.0, size / (2 << 20)))


LIMITS = PickleLimits()

COMPUTED = "a computed callable"
UNSPEAKABLE = "a name that no Python code has"
BARE = "a state set on a bare name"
"""Oddities that only an attack has a use for."""

_PLAIN = frozenset({int, float, bool, type(None), bytes, str})
_LONGEST_NAME = 256
_LONGEST_KEY = 4096
"""Characters; a longer key would make comparing expensive."""
_WIDEST_INT = 2**61 - 1
"""From here on, whole numbers that are far apart have one hash."""
_WIDEST_KEY = 64
"""Items of a tuple; as for the length."""
_WIDEST_CALL = 64
_KEYS_BETWEEN_LOOKS = 64
_MAKERS = frozenset({GlobalName("copy_reg", "_reconstructor"), GlobalName("copyreg", "_reconstructor")})
GETATTR = frozenset({GlobalName("builtins", "getattr"), GlobalName("__builtin__", "getattr")})
"""By which older protocols name what belongs to a class; the newer write the name with a dot."""
_MISSING = object()


class PickleVM:
    """Stack, marks and memo of one pickle while it is read."""

    __slots__ = (
        "called", "data", "deadline", "decoders", "frame_end", "globals", "keys", "known", "limits", "memo", "oddities",
        "outer", "references", "stack",
    )  # fmt: skip

    def __init__(self, data: bytes, limits: PickleLimits, decoders: Decoders) -> None:
        self.data = data
        self.limits = limits
        self.decoders = decoders
        self.stack: list[object] = []
        self.outer: list[list[object]] = []
        """The stacks below each mark that is still open."""
        self.memo: list[object] = []
        self.globals: dict[tuple[str, str], GlobalName] = {}
        """Module and name to the one Global that stands for them."""
        self.known: dict[int, Decoder] = {}
        """Identity of a Global, which is quicker to look up than its names, to its decoder."""
        self.called: set[int] = set()
        """Identities of the Globals that loading would call, or hand to what is called."""
        self.references: list[PersistentId] = []
        """Every reference to something outside, in the order of mention."""
        self.oddities: dict[str, None] = {}
        self.frame_end = 0
        self.keys = 0
        """How many keys were put that a file could choose so that they collide."""
        self.deadline = thread_time() + limits.allow(len(data))

    def push(self, value: object, at: int) -> int:
        """Put a value on the stack; gives the offset where reading goes on, as all do that an opcode ends in."""
        self.stack.append(value)
        return at

    def close_mark(self) -> list[object]:
        """The items above the last mark, which goes; raises IndexError where there is none."""
        items = self.stack
        self.stack = self.outer.pop()
        return items

    def look_at_limits(self) -> None:
        """Raise Damaged where the stack has become too large or the time is over."""
        if len(self.stack) + sum(map(len, self.outer)) > self.limits.stack:
            raise Damaged(f"pickle: more than {self.limits.stack:,} values on the stack")
        if thread_time() > self.deadline:
            raise Damaged(f"pickle: takes more than {self.limits.allow(len(self.data)):g} seconds to read")

    def name(self, module: str, name: str) -> GlobalName:
        """The Global of this name, the same object each time; odd names are noted."""
        known = self.globals.get((module, name))
        if known is None:
            if max(len(module), len(name)) > _LONGEST_NAME:
                raise Damaged(f"pickle: a name of {max(len(module), len(name)):,} characters")
            known = self.globals[module, name] = GlobalName(module, name)
            if not re.fullmatch(r"[A-Za-z0-9_.]+", module) or not re.fullmatch(r"[A-Za-z0-9_.<>]+", name):
                self.oddities[UNSPEAKABLE] = None
            if known in self.decoders:
                self.known[id(known)] = self.decoders[known]
            elif known in GETATTR:
                self.known[id(known)] = self._read_attribute
        return known

    def call(self, target: object, args: object, how: str) -> object:
        """The node of a call, or of an instance that is made without one (``newobj``)."""
        target = _class_of(target)
        if type(target) is not GlobalName:
            self.oddities[COMPUTED] = None
        elif not how.startswith("newobj"):
            self._note_call(target, args)
        return PickledCall(target, args, how)

    def _note_call(self, target: GlobalName, args: object) -> None:
        """Note what would be called, and each name that it would be given: it may call that."""
        if target in _MAKERS:  # makes an instance of its first argument, without calling it
            return
        self.called.add(id(target))
        if type(args) is tuple:
            self.called.update([id(it) for it in args[:_WIDEST_CALL] if type(it) is GlobalName])
            if len(args) > _WIDEST_CALL:
                self.oddities["a call with more arguments than any honest one"] = None

    def _read_attribute(self, args: tuple[object, ...]) -> GlobalName | None:
        """The Global of what belongs to a class; None for all else that getattr could be given."""
        match args:
            case (GlobalName() as owner, str(name)) if "." not in owner.name and re.fullmatch(r"[A-Za-z]\w*", name):
                return self.name(owner.module, f"{owner.name}.{name}")
            case _:
                return None

    def reduce(self, at: int) -> int:
        """Put what a decoder reads in a call, or its node, in place of the call's target and arguments."""
        args = self.stack.pop()
        if type(args) is not tuple:
            raise Damaged("pickle: arguments that are no tuple")
        target = self.stack[-1]
        decoder = self.known.get(id(target))
        made = None if decoder is None else decoder(args)
        self.stack[-1] = self.call(target, args, "reduce") if made is None else made
        return at

    def key(self, node: object) -> object:
        """What stands for ``node`` as a key: plain data itself, else a Key.

        Numbers can be chosen so that they collide, and each look-up takes long: so this looks at the clock.
        """
        self.keys += 1
        if not self.keys % _KEYS_BETWEEN_LOOKS:
            self.look_at_limits()
        kind = type(node)
        if kind is tuple and len(node) <= _WIDEST_KEY:  # type: ignore[arg-type] # it is a tuple
            return node if all(_is_plain(part) for part in node) else OpaqueKey(node)  # type: ignore[attr-defined]
        return node if kind is GlobalName or _is_plain(node) else OpaqueKey(node)

    def put(self, items: list[object], at: int) -> int:
        """Set the keys and values that alternate in ``items``; raises Damaged for what is neither dict nor call."""
        target = self.stack[-1]
        if len(items) % 2:
            raise Damaged("pickle: a key without its value")
        if isinstance(target, dict):
            for node, value in zip(items[::2], items[1::2], strict=True):
                target[node if type(node) is str and len(node) <= _LONGEST_KEY else self.key(node)] = value
        elif type(target) is PickledCall:
            target.pairs = target.pairs or []
            target.pairs.extend(zip(items[::2], items[1::2], strict=True))
        else:
            raise Damaged("pickle: sets a key in what is no dictionary")
        return at

    def add(self, items: list[object], at: int) -> int:
        """Append ``items``; raises Damaged for what is neither list, set nor call."""
        target = self.stack[-1]
        if type(target) is list:
            target.extend(items)
        elif type(target) is PickledCall:
            target.items = target.items or []
            target.items.extend(items)
        elif type(target) is PickledSet and not target.frozen:
            target.items.extend(items)
        else:
            raise Damaged("pickle: appends to what is no list")
        return at

    def remember(self, index: int, at: int) -> int:
        """Put the top of the stack in the memo at ``index``, which may not run ahead of the bytes read."""
        memo = self.memo
        if index == len(memo) < self.limits.memo:
            memo.append(self.stack[-1])
            return at
        if index > at or index >= self.limits.memo:
            raise Damaged(f"pickle: memo index {index} is too large")
        memo.extend([_MISSING] * (index + 1 - len(memo)))
        memo[index] = self.stack[-1]
        return at

    def recall(self, index: int, at: int) -> int:
        """Push what the memo holds at ``index``."""
        value = self.memo[index] if index < len(self.memo) else _MISSING
        if value is _MISSING:
            raise Damaged(f"pickle: nothing was remembered as {index}")
        self.stack.append(value)
        return at

    def take(self, at: int, length: int) -> bytes | SkippedValue:
        """``length`` bytes from ``at``, Skipped where they are over the limit; raises Damaged where fewer are left."""
        if length > len(self.data) - at:
            raise Damaged(f"pickle: {length:,} bytes announced, {len(self.data) - at:,} are left")
        return SkippedValue(length) if length > self.limits.string else self.data[at : at + length]

    def push_bytes(self, at: int, length: int) -> int:
        """Push so many bytes."""
        self.stack.append(self.take(at, length))
        return at + length

    def push_text(self, at: int, length: int) -> int:
        """Push the text that so many bytes are as UTF-8, surrogates allowed, as Python writes them."""
        if length > len(self.data) - at or length > self.limits.string:
            return self.push(self.take(at, length), at + length)
        try:
            self.stack.append(str(self.data[at : at + length], "utf-8", "surrogatepass"))
        except UnicodeDecodeError:
            raise Damaged("pickle: a text is not UTF-8") from None
        return at + length

    def line(self, at: int, longest: int) -> tuple[bytes, int]:
        """The text from ``at`` to the end of its line, without it, and where the next one begins."""
        end = self.data.find(b"\n", at, at + longest + 1)
        if end < 0:
            raise Damaged(f"pickle: no end of line within {longest:,} bytes")
        return self.data[at:end], end + 1


Operation = Callable[[PickleVM, int], int]
"""Takes the machine and the offset behind the opcode; returns the offset behind its argument."""


def _class_of(target: object) -> object:
    """The class that torch before 1.6 refers to with its source beside it; any other target as it is."""
    match target:
        case PersistentId(value=("module", GlobalName() as known, *_)):
            return known
        case _:
            return target


def _is_plain(node: object) -> bool:
    """Whether a key may be compared by what it says: quickly, and without a choice of numbers that collide."""
    if type(node) is int:
        return -_WIDEST_INT < node < _WIDEST_INT
    return type(node) in _PLAIN and (type(node) not in (str, bytes) or len(node) <= _LONGEST_KEY)  # type: ignore[arg-type] # it has a length
