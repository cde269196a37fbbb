"""What is inside a checkpoint, as values: its tensors and where their bytes lie, its settings, and what it names.

    contents.tensors                     each with the pieces of storage that hold its numbers
    contents.storages[piece.storage]     a stretch of a file; tensors that share memory share it
    contents.records                     stretches of files that carry a checksum

Nothing of it is the numbers themselves: those stay in the file, to be read by place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import lru_cache
from math import prod
from typing import Literal, NamedTuple, Protocol

from ckptctl.core.model import Text
from ckptctl.errors import Damaged
from ckptctl.formats.zip import ByteSource

Severity = Literal["error", "warning"]

_ERRORS = {
    "empty": "A file, or a folder, with nothing in it.",
    "text": "A text under a checkpoint's name: a page of a server, an error, a pointer of Git LFS.",
    "cut-short": "A file that ends before it says it does.",
    "broken": "A file whose structure contradicts itself, or cannot be read to its end.",
    "ambiguous": "A zip archive in which two readers could see different things: never by accident.",
    "trailing": "Bytes behind the end that a file tells of itself.",
    "unreadable": "A file that the disk does not give, or not as a file.",
    "missing-file": "A shard or a rank's file that the checkpoint names, and that is not there.",
    "missing-tensor": "A tensor that an index names, and that its file does not have.",
    "missing-storage": "Numbers of a tensor that the pickle names, and that are not in the file.",
    "short-storage": "Fewer numbers than a tensor needs, or a tensor that reaches beyond them.",
    "checksum": "Content that does not fit its checksum: bytes went bad, or were changed.",
    "not-finite": "A tensor that holds NaN or infinity; looked for with --finite.",
    "load-failed": "torch does not load it, or crashes, or takes too long; looked for with --load.",
    "suspect-name": "A pickle names what no checkpoint needs, and that loading it would call, or that is of Python's"
    " own modules.",
    "odd-pickle": "A pickle does what only an attack has a use for: a computed callable, an impossible name.",
    "damaged": "What a listing shows as damaged.",
    "partial": "What a listing shows as partial: something is missing.",
}
_WARNINGS = {
    "unlisted-name": "A pickle names a class that is not known to be harmless; loading imports it, and makes instances"
    " of it.",
    "unusual-pickle": "A pickle does what honest ones do not, but that does no harm by itself.",
    "live": "It may still be in the writing.",
    "in-doubt": "What a listing shows as unknown: something speaks against its being whole.",
    "no-weights": "A folder with the optimizer's state, and without the weights that belong to it.",
    "not-read": "Content that could not be looked into, and why.",
    "not-loaded": "Asked for with --load, and not loaded by torch, and why.",
}
FLAWS: Mapping[str, tuple[Severity, str]] = {
    **{kind: ("error", text) for kind, text in _ERRORS.items()},
    **{kind: ("warning", text) for kind, text in _WARNINGS.items()},
}
"""Id to its severity, and what it means. An error makes exit code 5; a warning does not."""


class Flaw(NamedTuple):
    """One thing that is wrong, or in doubt."""

    id: str
    """A key of FLAWS."""
    text: Text
    file: str = ""
    """Path in the checkpoint; "" where it is about all of it."""

    @property
    def severity(self) -> Severity:
        """Whether it is a loss or a danger, or only worth knowing."""
        return FLAWS[self.id][0]

    def as_error(self, path: str | None = None) -> Damaged:
        """The error to raise where nothing can be done with what has it."""
        if isinstance(self.text, str):
            return Damaged(self.text, path=path)
        return Damaged("its content is broken", path=path, note=self.text)


class VerifyResult(NamedTuple):
    """A checkpoint that was examined."""

    path: str
    size: int
    """Bytes of all its files."""
    state: str
    """As a listing has it."""
    flaws: tuple[Flaw, ...] = ()
    loaded: int | None = None
    """Files that torch loaded; None where nobody asked for it."""

    @property
    def ok(self) -> bool:
        """Whether nothing is lost and nothing is a danger, as far as was looked."""
        return not any(flaw.severity == "error" for flaw in self.flaws)


Part = Literal["weights", "optimizer", "other"]
Packing = Literal["", "deflate", "hdf5", "hdf5-unproved"]
Check = Literal["crc32", "crc32c", "crc32c-text"]
Plain = str | int | float | bool | None

_LONGEST_TYPE = 32
PARTS: tuple[Part, ...] = ("weights", "optimizer", "other")


class FileSet(Protocol):
    """The files of one checkpoint, by their paths in it."""

    @property
    def sizes(self) -> Mapping[str, int]:
        """Bytes of each."""

    def open(self, name: str) -> AbstractContextManager[ByteSource]:
        """Open one of them; raises OSError."""


class Storage(NamedTuple):
    """A stretch of a file that holds numbers of tensors."""

    file: str
    offset: int | None
    """None until it was asked for, where a header in the file tells it. Of what h5py unpacks: where its file begins."""
    length: int
    """Bytes in the file; of ``hdf5-unproved`` those that it takes once unpacked."""
    packing: Packing = ""
    """"" where the numbers lie there as they are; else they must be unpacked first.

    ``hdf5-unproved``: by h5py, and nobody looked whether they lie in the file.
    """
    dataset: str = ""
    """Its name in its file, where h5py unpacks it."""


class Piece(NamedTuple):
    """Numbers of a tensor that lie in one storage."""

    storage: str
    """Key in ``Contents.storages``."""
    start: int
    """Of its first element, in bytes from the start of the storage."""
    shape: tuple[int, ...]
    stride: tuple[int, ...] | None = None
    """In elements, for each axis; None where they lie one behind the other, the last axis fastest."""
    at: tuple[int, ...] = ()
    """Where in the tensor its first element is, for each axis; () where it is all of the tensor."""


class Tensor(NamedTuple):
    """An array of numbers."""

    name: str
    """Keys and attributes on the way to it, joined by dots."""
    shape: tuple[int, ...]
    """() is a single number."""
    dtype: str
    """As torch calls it, without the module: ``bfloat16``; ``string`` and ``?`` where it is no number."""
    part: Part
    pieces: tuple[Piece, ...] = ()
    """Empty where its numbers lie inside something else that was read: a pickle, an archive of another kind."""
    big_endian: bool = False

    @property
    def elements(self) -> int:
        """How many numbers it has."""
        return prod(self.shape)

    @property
    def bytes(self) -> int:
        """What its numbers take, once unpacked; 0 for a type of unknown width."""
        return (self.elements * BITS.get(self.dtype, 0) + 7) // 8


class PickledGlobal(NamedTuple):
    """A class or function that a pickle names, and that loading it would import."""

    name: str
    """Module and name, joined by a dot."""
    allowed: bool
    """Whether it is one that checkpoints have and that does no harm."""
    is_called: bool = False
    """Whether loading would call it, or hand it to what is called; an instance made without a call does not count."""


class ChecksumRecord(NamedTuple):
    """A stretch of a file with its checksum."""

    file: str
    name: str
    """As people know it: a tensor's or a member's."""
    offset: int
    length: int
    checksum: int
    check: Check = "crc32"
    unpacked: int | None = None
    """Bytes that deflate makes of it, of which the checksum is; None where they lie there as they are."""


class Contents(NamedTuple):
    """What is inside one file, or one checkpoint."""

    format: str
    tensors: tuple[Tensor, ...] = ()
    storages: Mapping[str, Storage] = {}
    metadata: Mapping[str, Plain] = {}
    """Plain values beside the tensors; names of nested ones joined by ``/``."""
    globals: tuple[PickledGlobal, ...] = ()
    oddities: tuple[str, ...] = ()
    """What honest pickles do not do."""
    records: tuple[ChecksumRecord, ...] = ()
    checks: str = ""
    """The checksums that cover it, in words (``CRC-32 of each member``); "" where it has none."""
    size: int = 0
    """Bytes of its files."""
    flaws: tuple[Flaw, ...] = ()
    """What is wrong with it, as far as reading its structure shows."""

    @property
    def parts(self) -> Mapping[Part, int]:
        """Bytes in the files of each part, shared storages once; all that is no tensor is other."""
        owners: dict[str, Part] = {}
        for key, part in ((piece.storage, tensor.part) for tensor in self.tensors for piece in tensor.pieces):
            owners[key] = min(part, owners.get(key, "other"), key=PARTS.index)
        sizes: dict[Part, int] = dict.fromkeys(PARTS, 0)
        for key, part in owners.items():
            sizes[part] += self.storages[key].length
        for tensor in self.tensors:
            if not tensor.pieces:
                sizes[tensor.part] += tensor.bytes
        sizes["other"] = max(0, self.size - sizes["weights"] - sizes["optimizer"])
        return sizes


BITS: Mapping[str, int] = {
    **dict.fromkeys("float64 int64 uint64 complex64".split(), 64),
    **dict.fromkeys("float32 int32 uint32 qint32 complex32".split(), 32),
    **dict.fromkeys("float16 bfloat16 int16 uint16".split(), 16),
    **dict.fromkeys("int8 uint8 bool quint8 qint8".split(), 8),
    **dict.fromkeys("float8_e4m3fn float8_e5m2 float8_e4m3fnuz float8_e5m2fnuz float8_e8m0fnu".split(), 8),
    **dict.fromkeys("quint4x2 quint2x4 bits8 float4_e2m1fn_x2".split(), 8),
    **dict.fromkeys("float6_e2m3 float6_e3m2".split(), 6),
    **dict.fromkeys("float4 int4 uint4".split(), 4),
    "complex128": 128,
}
"""Data type to the bits of an element."""


def name_type(said: str) -> str:
    """The name of a data type as a file says it, ``?`` for what cannot be one."""
    return said if said in BITS or (said.isascii() and said.isidentifier() and len(said) <= _LONGEST_TYPE) else "?"


def merge_contents(held: Mapping[str, Contents]) -> Contents:
    """The contents of several files as one; of tensors with one name, each gets its file's before it."""
    found = list(held.values())
    if len(found) == 1:
        return found[0]
    shared = _shared(tensor.name for it in found for tensor in it.tensors)
    tensors = [
        tensor._replace(name=f"{file}/{tensor.name}") if tensor.name in shared else tensor
        for file, contents in held.items()
        for tensor in contents.tensors
    ]
    known = _shared(name for it in found for name in it.metadata)
    return Contents(
        " + ".join(sorted({it.format for it in found if it.tensors} or {it.format for it in found})),
        tuple(tensors),
        {key: storage for it in found for key, storage in it.storages.items()},
        {
            f"{file}/{key}" if key in known else key: own
            for file, contents in held.items()
            for key, own in contents.metadata.items()
        },
        tuple(dict.fromkeys(named for it in found for named in it.globals)),
        tuple(dict.fromkeys(odd for it in found for odd in it.oddities)),
        tuple(record for it in found for record in it.records),
        ", ".join(sorted({it.checks for it in found if it.checks})),
        sum(it.size for it in found),
        tuple(flaw for it in found for flaw in it.flaws),
    )


def _shared(names: Iterable[str]) -> set[str]:
    """The names that come up twice."""
    seen: set[str] = set()
    return {name for name in names if name in seen or seen.add(name)}  # type: ignore[func-returns-value] # it adds


# What a tensor is for -------------------------------------------------------------------------------------------------

_OPTIMIZER = r"optimi[sz]er|(?:^|[^a-z])optims?(?:$|[^a-z])|^opts?$|opt_state|optimizer_slot"
_OTHER = (
    r"(?:^|_)(?:rngs?|random|callbacks?|loops|schedulers?|scaler|sampler|logger|dataloaders?|criterion|history)(?:$|_)"
    r"|lr_sched|^save_counter$|^_checkpointable_object_graph$|^global_step$"
)
_WEIGHTS = r"state_dict|(?:^|_)(?:model|module|net|network|params|weights|layers|ema|teacher|student)(?:$|_|\d)"
_FILE_OPTIMIZER = r"optimi[sz]er|(?:^|[^a-z])optims?(?:$|[^a-z])|\.pdopt$"
_FILE_OTHER = r"(?:^|[^a-z])rng|random_states|scheduler|scaler|sampler|training_args|trainer_state"
_FILE_ALL = r"(?:^|[^a-z])model_optim(?:$|[^a-z])"
"""Of Megatron, which keeps the weights and the optimizer's state of a rank in ``model_optim_rng.pt``."""
_USUAL: Mapping[str, Part] = {
    "state_dict": "weights",
    "model": "weights",
    "optimizer": "optimizer",
    "optimizer_states": "optimizer",
    "callbacks": "other",
    "loops": "other",
    "lr_schedulers": "other",
}
"""What most keys are: a pattern takes longer to compile than all of a listing."""


def part_of(keys: Sequence[str], *, is_number: bool = False) -> Part:
    """The part that a tensor is of; ``is_number``: it holds a single one.

    The first key that says it counts. What nothing tells is a weight, but for a single number beside the weights.
    """
    for key in keys:
        part = _say(key)
        if part is not None:
            return part
    return "other" if is_number and len(keys) == 1 else "weights"


def part_of_file(name: str) -> Part | None:
    """The part that all of a file is of, where its name says it and it is not the weights."""
    plain = name.rpartition("/")[2].lower()
    if re.search(_FILE_ALL, plain):
        return None
    if re.search(_FILE_OPTIMIZER, plain):
        return "optimizer"
    return "other" if re.search(_FILE_OTHER, plain) else None


@lru_cache(maxsize=4096)
def _say(key: str) -> Part | None:
    plain = key.lower()
    if plain in _USUAL:
        return _USUAL[plain]
    if re.search(_OPTIMIZER, plain):
        return "optimizer"
    if "." not in plain and re.search(_OTHER, plain):  # dots part the names of modules, which may be called anything
        return "other"
    return "weights" if re.search(_WEIGHTS, plain) else None
