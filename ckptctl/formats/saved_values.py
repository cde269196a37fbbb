"""The plain numbers and texts among what was saved, and its tensors, by name: keys and attributes on the way to each.

What was read may share parts, contain itself and be made to explode: every walk is on a budget, level by level.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from ckptctl.errors import Damaged
from ckptctl.formats.pickle.vm import GlobalName, PickledCall, PickledOrderedDict
from ckptctl.formats.torch_zip import DTYPE, PickledTensor, is_number

Scalar = str | int | float
Row = Mapping[str, Scalar]
Measure = Callable[[PickledTensor], float | int | None]
"""Reads the number in a tensor of one element."""
Items = list[tuple[object, object]]
"""Keys and values, or attributes and values."""

_MOST_VALUES = 1_000_000
"""Looked at in one file; what an honest file holds stays below, for its pickle may not be larger."""
_MOST_CELLS = 100_000
_MOST_TENSORS = 64
"""Read in one file, since each costs some reads; those further up come first."""
_WIDEST = 1000
"""Items of a mapping; a wider one below the first level holds weights, or a vocabulary."""
_LONGEST_KEY = 200
_LONGEST_NAME = 600
_LONGEST_TEXT = 4096
"""Characters; what is longer is neither a number's name nor a setting."""
_NUMBERS = range(-(2**63), 2**64)
"""A whole number beyond has no column that could hold it."""
_LISTS = (list, tuple)
_CONTAINERS = frozenset({dict, PickledOrderedDict, PickledCall, *_LISTS})
_LAST = "-1"


class RowWalk:
    """One look through what a file holds."""

    __slots__ = ("cells", "kinds", "measure", "tensors", "values")

    def __init__(self, measure: Measure, *, with_flags: bool = False) -> None:
        self.measure = measure
        self.kinds = (float, bool) if with_flags else (float,)
        """Of values that are taken as they are."""
        self.values = _MOST_VALUES
        self.cells = _MOST_CELLS
        self.tensors = _MOST_TENSORS

    def row(self, node: object, deepest: int) -> dict[str, Scalar]:
        """The numbers and texts up to ``deepest`` keys down; of equal names the one with fewer keys counts.

        Left out are weights, what is very wide, tables, and lists but for the last item of a list of mappings (``-1``).
        """
        row: dict[str, Scalar] = {}
        level: list[tuple[str, object]] = [("", node)]
        for _ in range(deepest):
            level = [found for prefix, holder in level for found in self._descend(row, prefix, holder)]
        return row

    def rows(self, node: object, deepest: int) -> list[Row]:
        """A row for each item of a list, for each key of a table, in the column ``key``, or one for a mapping."""
        node = resolve(node)
        items = items_of(node)
        self._spend(len(items))
        if type(node) in _LISTS:
            return [self.row(item, deepest) for _, item in items if _is_mapping(item)]
        if _is_table(items):
            return [{**self.row(value, deepest), "key": int(key)} for key, value in items]  # type: ignore[call-overload] # a table's key
        return [self.row(node, deepest)] if _is_mapping(node) else []

    def _descend(self, row: dict[str, Scalar], prefix: str, holder: object) -> Iterator[tuple[str, object]]:
        """Put the numbers and texts of a container into the row; gives the containers in it with their names."""
        items = _parts(holder)
        if prefix and len(items) > _WIDEST:
            return
        self._spend(len(items))
        has_weights = are_mostly_weights(items)
        for key, node in items:
            name = _join(prefix, key)
            value = resolve(node) if type(node) is PickledCall else node
            if name is None:
                continue
            if type(value) in _CONTAINERS:
                yield name, value
            elif name not in row and not (has_weights and type(value) is PickledTensor):
                self._enter(row, name, value)

    def _enter(self, row: dict[str, Scalar], name: str, value: object) -> None:
        cell = self._read(value)
        if cell is None:
            return
        self.cells -= 1
        if self.cells < 0:
            raise Damaged(f"more than {_MOST_CELLS:,} numbers and texts beside its weights")
        row[name] = cell

    def _read(self, value: object) -> Scalar | None:
        if type(value) in self.kinds:
            return value  # type: ignore[return-value] # it is one of these kinds
        if type(value) is int:
            return value if value in _NUMBERS else None
        if type(value) is str:
            return value if len(value) <= _LONGEST_TEXT else None
        if not self.tensors or not is_number(value):
            return None
        self.tensors -= 1
        return self.measure(value)

    def _spend(self, values: int) -> None:
        self.values -= values
        if self.values < 0:
            raise Damaged(f"more than {_MOST_VALUES:,} values inside each other")


def find_node(node: object, at: str) -> object:
    """What lies behind keys joined by ``/``, attributes and positions in lists among them; None where nothing does."""
    for key in filter(None, at.split("/")):
        items = items_of(resolve(node))
        named = {_name(own): value for own, value in reversed(items)}
        if type(resolve(node)) in _LISTS and items:
            named[_LAST] = items[-1][1]
        node = named.get(key)
    return node


def items_of(node: object) -> Items:
    """The items of a mapping or list, the items and attributes of an object; nothing of all else."""
    if isinstance(node, dict):
        return list(node.items())
    if type(node) in _LISTS:
        return list(enumerate(node))  # type: ignore[arg-type] # it is one
    return [*node.pairs, *_attributes(node).items()] if type(node) is PickledCall else []


def resolve(node: object) -> object:
    """The value that a node of OmegaConf stands for; every other node is what it is."""
    for _ in range(2):  # a value may be held by one more node
        if (
            type(node) is not PickledCall
            or type(node.target) is not GlobalName
            or not node.target.module.startswith("omegaconf.")
        ):
            return node
        state = _attributes(node)
        node = state.get("_content", state.get("_val"))
    return node


def _attributes(call: PickledCall) -> dict[object, object]:
    """What BUILD would set: the state, or the pair of it and of what is kept in slots."""
    parts = call.state if type(call.state) is tuple else (call.state,)
    return {key: value for part in parts if isinstance(part, dict) for key, value in part.items()}


def _parts(holder: object) -> Items:
    """What of a container may be in a row: of a list its last item, nothing of modules and tables."""
    if type(holder) in _LISTS:
        last = holder[-1:]  # type: ignore[index] # it is one
        return [(_LAST, last[0])] if last and _is_mapping(resolve(last[0])) else []
    items = items_of(holder)
    if type(holder) is PickledCall:
        return [] if {"_parameters", "_modules"} <= {key for key, _ in items if type(key) is str} else items
    return [] if _is_table(items, only_numbers=True) else items


def _is_mapping(node: object) -> bool:
    return isinstance(node, (dict, PickledCall))


def _is_table(items: Items, *, only_numbers: bool = False) -> bool:
    """Whether every key is a whole number, or with ``only_numbers`` not also the text of one, that holds a mapping."""
    return bool(items) and all(_is_mapping(resolve(value)) and _is_index(key, only_numbers) for key, value in items)


def _is_index(key: object, only_numbers: bool) -> bool:  # noqa: FBT001 - passed on
    if type(key) is str:
        return not only_numbers and key.isascii() and key.isdecimal() and len(key) < 19  # noqa: PLR2004 - 64 bits
    return type(key) is int and key in _NUMBERS


def are_mostly_weights(items: Items) -> bool:
    """Whether most values are tensors of several elements; then those of one are weights too, or statistics."""
    several = sum(type(value) is PickledTensor and not set(value.shape) <= {1} for _, value in items)
    return 2 * several > len(items)


def _join(prefix: str, key: object) -> str | None:
    name = _name(key)
    if name is None:
        return None
    joined = f"{prefix}/{name}" if prefix else name
    return joined if len(joined) <= _LONGEST_NAME else None


def _name(key: object) -> str | None:
    if type(key) is str and len(key) <= _LONGEST_KEY:
        return key
    return str(key) if type(key) is int and key in _NUMBERS else None


# Tensors -------------------------------------------------------------------------------------------------------------

_MOST_LETTERS = 32 << 20
"""Of all names together."""
_DEEPEST = 64
"""Keys; honest data nests less than half as deep."""
_LOOKED_INTO = _CONTAINERS | {PickledTensor}
_SILENT = frozenset({"_modules", "_parameters", "_buffers"})
"""What every module of torch keeps its parts under."""
_RECONSTRUCT = frozenset(
    {GlobalName("numpy.core.multiarray", "_reconstruct"), GlobalName("numpy._core.multiarray", "_reconstruct")}
)
_KINDS = {"f": "float", "i": "int", "u": "uint", "c": "complex"}

Keys = tuple[str, ...]


class PickledArray(NamedTuple):
    """An array of numpy, whose numbers lie in the pickle itself."""

    dtype: str
    shape: tuple[int, ...]


def find_leaves(root: object) -> Iterator[tuple[Keys, PickledTensor | PickledArray]]:
    """Every tensor under what was saved, in its order; what several names share is looked into once.

    Raises Damaged beyond the budget.
    """
    values, letters = _MOST_VALUES, _MOST_LETTERS
    seen: set[int] = set()
    pending: list[tuple[Keys, object]] = [((), root)]
    while pending:
        keys, node = pending.pop()
        leaf = node if type(node) is PickledTensor else _read_array(node)
        if leaf is not None:
            letters -= sum(map(len, keys))
            yield keys, leaf
        elif type(node) in _CONTAINERS and id(node) not in seen and len(keys) <= _DEEPEST:
            seen.add(id(node))
            found = [(_extend(keys, key), value) for key, value in _inside(node) if type(value) in _LOOKED_INTO]
            values -= len(found)
            pending += reversed(found)
        if values < 0 or letters < 0:
            raise Damaged(f"more than {_MOST_VALUES:,} values inside each other")


def _inside(node: object) -> list[tuple[object, object]]:
    """What a container holds; of a call also its arguments, and what would be appended."""
    items = items_of(node)
    if type(node) is not PickledCall:
        return items
    args = node.args if type(node.args) is tuple else ()
    return [*enumerate(args), *items, *enumerate(node.items)]


def _extend(keys: Keys, key: object) -> Keys:
    if type(key) is str:
        return keys if key in _SILENT else (*keys, key[:_LONGEST_KEY])
    if type(key) is GlobalName:
        return (*keys, key.name)
    return (*keys, str(key) if type(key) in (int, float, bool) and abs(key) < 2**64 else "?")  # type: ignore[arg-type] # a number


def _read_array(node: object) -> PickledArray | None:
    """The array that numpy would put together, None where the node is another."""
    match node:
        case PickledCall(target=GlobalName() as target, state=(_, tuple() as shape, PickledCall() as dtype, *_)) if (
            target in _RECONSTRUCT
        ):
            name = _read_dtype(dtype)
            return PickledArray(name, shape) if name and all(type(it) is int and it >= 0 for it in shape) else None
        case _:
            return None


def _read_dtype(call: PickledCall) -> str | None:
    match (call.target, call.args):
        case (target, (str() as said, *_)) if target == DTYPE:
            code = said.lstrip("<>|=")
            kind, width = _KINDS.get(code[:1]), code[1:]
            if code == "b1":
                return "bool"
            return f"{kind}{8 * int(width)}" if kind and width in {"1", "2", "4", "8", "16"} else None
        case _:
            return None
