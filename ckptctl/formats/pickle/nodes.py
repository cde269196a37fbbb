"""What a pickle says, as inert values.

Plain data comes as None, bool, int, float, str, bytes, bytearray, tuple, list and dict; all else as the nodes below.
Only a Global, two short names, is compared by what it says; as keys, the others are wrapped and told apart by identity,
and so are whole numbers beyond 61 bits, that could be chosen to collide.
Values may share parts, contain themselves and nest deeper than Python can recurse: walk them by identity, on a budget.
"""

from __future__ import annotations


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

    __slots__ = ("state",)

    def __init__(self) -> None:
        self.state: object = None


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
