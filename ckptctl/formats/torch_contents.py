"""What a pickle of torch's saved, as contents: its tensors with their pieces, its plain values, and what it names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from ckptctl.errors import Damaged
from ckptctl.formats.contents import BITS, Contents, Part, Piece, Plain, Storage, Tensor, name_type
from ckptctl.formats.flatten import Keys, PickledArray, find_leaves
from ckptctl.formats.flaws import Flaw
from ckptctl.formats.parts import part_of
from ckptctl.formats.pickle.allowlist import list_globals
from ckptctl.formats.pickle.reader import ParsedPickle
from ckptctl.formats.pickle.vm import BARE, COMPUTED, UNSPEAKABLE
from ckptctl.formats.saved_values import Measure, RowWalk
from ckptctl.formats.torch_tensors import PickledTensor as Described
from ckptctl.formats.torch_tensors import read_reference

_DEEPEST = 4
"""Keys down to which plain values are told."""
_ATTACKS = frozenset({COMPUTED, UNSPEAKABLE, BARE})
KeyOf = Callable[[str], str]
"""The key of a storage in the contents, from that in the pickle."""


class PickledFile(NamedTuple):
    """A file whose pickles were read."""

    pickles: Sequence[ParsedPickle]
    root: object
    """What was saved."""
    storages: Mapping[str, Storage]
    key_of: KeyOf
    measure: Measure
    big_endian: bool = False


def read_contents(format_name: str, saved: PickledFile) -> Contents:
    """The contents of such a file."""
    flaws = list(warn_oddities(saved.pickles))
    leaves = list(find_leaves(saved.root))
    is_bare = any(leaf.shape and len(keys) == 1 and part_of(keys) == "weights" for keys, leaf in leaves)
    tensors = tuple(_make(keys, leaf, saved, is_bare=is_bare) for keys, leaf in leaves)
    try:
        found: Mapping[str, Plain] = RowWalk(saved.measure, with_flags=True).row(saved.root, _DEEPEST)
    except Damaged as error:
        found = {}
        flaws.append(Flaw("not-read", f"its plain values: {error.text}"))
    numbers = {it.name for it in tensors if it.part != "other"}  # weights of one element are no settings
    metadata = {key: value for key, value in found.items() if key.replace("/", ".") not in numbers}
    return Contents(format_name, tensors, saved.storages, metadata, list_globals(saved.pickles), flaws=tuple(flaws))


def warn_oddities(pickles: Sequence[ParsedPickle]) -> Iterator[Flaw]:
    """What honest pickles do not do, each once."""
    for oddity in dict.fromkeys(odd for pickled in pickles for odd in pickled.oddities):
        kind = "odd-pickle" if oddity in _ATTACKS else "unusual-pickle"
        yield Flaw(kind, f"its pickle has {oddity}")


def measure_storages(pickles: Sequence[ParsedPickle]) -> dict[str, int]:
    """Key of each storage that the pickles name to the bytes that it must have; 0 where its class is unknown."""
    needed: dict[str, int] = {}
    for reference in filter(None, (read_reference(it) for pickled in pickles for it in pickled.references)):
        length = (reference.elements + reference.offset) * (reference.width or 0)
        needed[reference.key] = max(length, needed.get(reference.key, 0))
    return needed


def _make(keys: Keys, leaf: Described | PickledArray, saved: PickledFile, *, is_bare: bool) -> Tensor:
    """A tensor; ``is_bare``: the weights lie at the top, so that what lies beside them is one too (CLIP's scale)."""
    name, shape, dtype = ".".join(keys), leaf.shape, name_type(leaf.dtype)
    part: Part = part_of(keys, is_number=not shape)
    if is_bare and len(keys) == 1 and part == "other":
        part = "weights"
    if isinstance(leaf, PickledArray):
        return Tensor(name, shape, dtype, part)
    width = BITS.get(dtype, 0) // 8
    stride = None if is_dense(shape, leaf.stride) else leaf.stride
    piece = Piece(saved.key_of(leaf.key), leaf.offset * width, shape, stride)
    held = (piece,) if piece.storage in saved.storages else ()  # what is missing is told by whoever placed the others
    return Tensor(name, shape, dtype, part, held, saved.big_endian)


def is_dense(shape: Sequence[int], stride: Sequence[int]) -> bool:
    """Whether elements lie one behind the other, the last axis fastest; axes of one element have any stride."""
    expected = 1
    for size, step in zip(reversed(shape), reversed(stride), strict=True):
        if size == 0:
            return True
        if size != 1 and step != expected:
            return False
        expected *= size
    return True
