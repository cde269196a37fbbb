"""The tensors in what was saved, with the keys on the way to each; on a budget, for it may be made to explode."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ckptctl.errors import Damaged
from ckptctl.formats.pickle.nodes import GlobalName, PickledCall, PickledOrderedDict
from ckptctl.formats.saved_values import items_of
from ckptctl.formats.torch_tensors import PickledTensor

_MOST_VALUES = 1_000_000
_MOST_LETTERS = 32 << 20
"""Of all names together."""
_DEEPEST = 64
"""Keys; honest data nests less than half as deep."""
_LONGEST_KEY = 200
_CONTAINERS = frozenset({dict, PickledOrderedDict, PickledCall, list, tuple})
_SILENT = frozenset({"_modules", "_parameters", "_buffers"})
"""What every module of torch keeps its parts under."""
_RECONSTRUCT = frozenset(
    {GlobalName("numpy.core.multiarray", "_reconstruct"), GlobalName("numpy._core.multiarray", "_reconstruct")}
)
_DTYPE = GlobalName("numpy", "dtype")
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
            found = [(_extend(keys, key), value) for key, value in _inside(node) if _may_hold(value)]
            values -= len(found)
            pending += reversed(found)
        if values < 0 or letters < 0:
            raise Damaged(f"more than {_MOST_VALUES:,} values inside each other")


def _may_hold(value: object) -> bool:
    return type(value) is PickledTensor or type(value) in _CONTAINERS


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
        case (target, (str() as code, *_)) if target == _DTYPE:
            kind, width = _KINDS.get(code.lstrip("<>|=")[:1]), code.lstrip("<>|=")[1:]
            if code.lstrip("<>|=") == "b1":
                return "bool"
            return f"{kind}{8 * int(width)}" if kind and width in {"1", "2", "4", "8", "16"} else None
        case _:
            return None
