"""Which keys of a torch file serve to resume training alone, and whether what is kept holds the weights."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from math import prod
from typing import NamedTuple

from ckptctl.errors import Refused
from ckptctl.formats.flatten import find_leaves
from ckptctl.formats.parts import part_of
from ckptctl.formats.torch_tensors import PickledTensor

_KNOWN = re.compile(
    r"(?:[a-z0-9]+_)*(?:(?P<optimizer>optimi[sz]ers?|optims?)|(?P<scheduler>(?:lr_?)?sched(?:uler)?s?)|(?P<scaler>scalers?))"
    r"(?:_?(?:state|states|state_dict|state_dicts))?",
    re.IGNORECASE,
)
"""Top-level keys that say of themselves that they serve to resume."""
_PROOFS: Mapping[str, frozenset[str]] = {
    "optimizer": frozenset({"param_groups"}),
    "scheduler": frozenset({"last_epoch", "_step_count"}),
    "scaler": frozenset({"growth_factor", "growth_interval", "cur_scale"}),
}
"""Of which keys one must be in it: an optimizer's name, a schedule of noise, a scaler of data are no such thing."""
_STATES = ("state_dict", "model_state_dict", "model_state", "model", "module", "net", "network", "weights", "params")
"""Under which keys the weights lie, the likeliest first."""
_FLAT = "flat_param"
"""In the names of FSDP's shards, which are no tensors of the model."""

KeyPath = tuple[str, ...]


class KeptState(NamedTuple):
    """What is left out, and what is kept."""

    paths: tuple[KeyPath, ...]
    """Keys to what is left out."""
    bare: KeyPath | None = None
    """Keys to the mapping that alone is kept; None where it all is."""

    @property
    def dropped(self) -> tuple[str, ...]:
        """The keys as text."""
        if self.bare:
            return ("all but the weights",)
        return tuple("/".join(path) for path in self.paths)


def choose_kept(root: object, drop: Sequence[str] | None, *, bare: bool = False) -> KeptState:
    """Decide by the keys of what was saved; raises Refused where nothing can go, or where no weights would be left."""
    if not isinstance(root, dict):
        raise Refused("what it holds is no dictionary, so that nobody knows what of it are the weights")
    if bare:
        state = find_bare(root, drop)
        _require_weights(find_state(root, state))
        return KeptState((), state)
    paths = tuple(_find(root, drop) if drop else _find_known(root))
    if not paths:
        raise Refused("nothing in it is known to serve only to resume training", id="nothing-to-slim")
    gone = {path[0] for path in paths if len(path) == 1}
    _require_weights({key: value for key, value in root.items() if key not in gone})
    return KeptState(paths)


def _find(root: dict[object, object], drop: Sequence[str]) -> Iterator[KeyPath]:
    """What the globs name, each of them a key or keys joined by ``/``."""
    named = ((key, value, glob) for key, value in root.items() if type(key) is str for glob in drop)
    for key, value, glob in named:
        head, mark, rest = glob.partition("/")
        if not mark and fnmatchcase(key, head):
            yield (key,)
        elif mark and fnmatchcase(key, head) and isinstance(value, dict):
            yield from ((key, *path) for path in _find(value, (rest,)))


def _find_known(root: dict[object, object]) -> Iterator[KeyPath]:
    """What says by its key and by what is in it that it serves to resume."""
    for key, value in root.items():
        found = _KNOWN.fullmatch(key) if type(key) is str else None
        if found and found.lastgroup and _proves(value, _PROOFS[found.lastgroup]):
            yield (str(key),)


def _proves(value: object, keys: frozenset[str]) -> bool:
    """Whether a mapping, or the first of a list or a mapping of them, has one of these keys."""
    if isinstance(value, dict) and not keys.isdisjoint(value):
        return True
    inner = list(value.values()) if isinstance(value, dict) else value
    return type(inner) is list and bool(inner) and isinstance(inner[0], dict) and not keys.isdisjoint(inner[0])


def find_bare(root: dict[object, object], drop: Sequence[str] | None) -> KeyPath:
    """Keys to the mapping that holds the weights; () where the root itself does. Raises Refused where several may."""
    if any(type(value) is PickledTensor and value.shape for value in root.values()):
        return ()
    gone = {path[0] for path in (_find(root, drop) if drop else _find_known(root)) if len(path) == 1}
    holding = [
        key
        for key, value in root.items()
        if type(key) is str and key not in gone and isinstance(value, dict) and _has_weights(value)
    ]
    named = [key for key in _STATES if key in holding]
    if named or len(holding) == 1:
        return ((named or holding)[0],)
    if holding:
        raise Refused(f"several of its keys hold weights: {', '.join(holding[:5])}")
    raise Refused("none of its keys holds weights alone")


def find_state(root: object, path: KeyPath) -> dict[object, object]:
    """What lies behind keys."""
    for key in path:
        root = root[key]  # type: ignore[index] # chosen in this tree
    return root  # type: ignore[return-value] # a mapping was chosen


def _has_weights(value: dict[object, object]) -> bool:
    return any(type(it) is PickledTensor for it in value.values())


def _require_weights(root: dict[object, object]) -> None:
    """Raise Refused unless tensors of the model are in it, whole."""
    weights = [(keys, leaf) for keys, leaf in find_leaves(root) if part_of(keys, is_number=not leaf.shape) == "weights"]
    refuse_shards(key for keys, _ in weights for key in keys)
    if not any(prod(leaf.shape) for _, leaf in weights):
        raise Refused("no weights would be left in it")


def refuse_shards(names: Iterable[str]) -> None:
    """Raise Refused where a name is that of FSDP's flat shards."""
    if any(_FLAT in name for name in names):
        raise Refused("its weights are flat shards of FSDP, of which one rank has only a part")
