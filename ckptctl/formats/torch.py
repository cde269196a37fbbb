"""torch's files: its zip format (the default since 1.6), TorchScript, which is written in the same way, and pickles.

Bare pickles are torch's format from before 1.6, and what others write (PaddlePaddle, detectron2's zoo, RLlib).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from ckptctl.errors import Damaged
from ckptctl.formats.contents import (
    BITS,
    ChecksumRecord,
    Contents,
    FileSet,
    Flaw,
    Part,
    Piece,
    Plain,
    Storage,
    Tensor,
    name_type,
    part_of,
)
from ckptctl.formats.pickle.allowlist import list_globals
from ckptctl.formats.pickle.reader import ParsedPickle, read_pickles
from ckptctl.formats.pickle.vm import BARE, COMPUTED, LIMITS, UNSPEAKABLE
from ckptctl.formats.saved_values import Keys, Measure, PickledArray, RowWalk, find_leaves
from ckptctl.formats.torch_zip import (
    DECODERS,
    PickledTensor,
    read_byteorder,
    read_pickled,
    read_reference,
    root_of,
    scalar,
)
from ckptctl.formats.zip import STORED, ByteSource, ZipArchive, printable_name

CHECKS = "CRC-32 of each member"
_KNOWN = frozenset({b"data.pkl", b"version", b"byteorder", b".format_version", b".storage_alignment"})
_KNOWN_FOLDERS = (b"data/", b".data/", b"code/", b"extra/")
"""Members that torch writes and that hold no pickle, or the one that was read."""
_TEXTS = ((b"version", rb"\s*\+?0*[1-9](?s:.*)"), (b"byteorder", rb"little|big"))
"""Records to what torch takes them for, which refuses a file with anything else."""
_LONGEST_TEXT = 64
_LOOK = 2
"""Bytes that tell a pickle."""
_HEAD = 32
_JOBLIB = b"joblib.numpy_pickle"


def read_archive(archive: ZipArchive, name: str, files: FileSet, *, placed: bool) -> Contents:  # noqa: ARG001 - as all of them
    """The contents of an archive; raises Damaged, OSError."""
    root = root_of(archive)
    pickled = read_pickled(archive)
    if pickled.end != archive.members[root + b"data.pkl"].size:
        raise Damaged("broken: bytes follow the pickle in data.pkl")
    others = list(_read_others(archive, root))
    needed = measure_storages([pickled])
    storages, flaws = _place(archive, root, name, needed, placed=placed)
    kind = "torchscript" if root + b"constants.pkl" in archive.members else "torch"
    measure, is_big = partial(scalar, archive), read_byteorder(archive, root) == b"big"
    saved = PickledFile([pickled], pickled.value, storages, partial("{}:{}".format, name), measure, is_big)
    contents = read_contents(kind, saved)
    return contents._replace(
        globals=list_globals([pickled, *others]),
        records=tuple(list_records(archive, name)) if placed else (),
        checks=CHECKS if archive.has_checksums else "",
        flaws=(*_check_texts(archive, root, name), *flaws, *warn_oddities(others), *contents.flaws),
    )


def _check_texts(archive: ZipArchive, root: bytes, name: str) -> Iterator[Flaw]:
    """What is wrong with the two records that torch reads as texts before it loads anything."""
    for record, pattern in (it for it in _TEXTS if root + it[0] in archive.members):
        text = archive.read(root + record, _LONGEST_TEXT)
        if not re.fullmatch(pattern, text):
            yield Flaw("broken", f"its record {record.decode()} holds {text.decode('latin1')!a}", name)


def read(source: ByteSource, name: str, files: FileSet, *, placed: bool) -> Contents:  # noqa: ARG001 - as all of them
    """The contents of a bare pickle; raises Damaged, OSError."""
    from ckptctl.formats.torch_legacy import is_legacy

    if is_legacy(source.read(0, _HEAD)):
        return _read_legacy(source, name, placed=placed)
    if source.size > LIMITS.data:
        raise Damaged(f"{source.size:,} bytes of pickle are more than the {LIMITS.data:,} that are read", id="not-read")
    data = source.read(0, source.size)
    if _JOBLIB in data[: 1 << 20]:  # bare bytes of arrays lie in its midst
        raise Damaged("joblib's own mixture of pickles and bytes", id="not-read")
    pickles = read_pickles(data, decoders=DECODERS)
    return read_contents("pickle", PickledFile(pickles, pickles[-1].value, {}, str, _measure_nothing))


def _read_legacy(source: ByteSource, name: str, *, placed: bool) -> Contents:
    from ckptctl.formats.torch_legacy import open_legacy, verify_counts
    from ckptctl.formats.torch_legacy import scalar as measure_legacy

    file = open_legacy(source)
    storages = {f"{name}:{key}": Storage(name, it.start, it.end - it.start) for key, it in file.storages.items()}
    measure = partial(measure_legacy, file) if file.end <= source.size else _measure_nothing
    saved = PickledFile(file.pickles, file.value, storages, partial("{}:{}".format, name), measure)
    contents = read_contents("torch-legacy", saved)
    if source.size < file.end:
        flaw = Flaw("cut-short", f"cut short: {source.size:,} of {file.end:,} bytes", name)
    elif source.size > file.end:
        flaw = Flaw("trailing", f"{source.size - file.end:,} bytes follow its last storage", name)
    elif not verify_counts(file, every=placed):
        flaw = Flaw("broken", "its storages are not where its pickles say", name)
    else:
        return contents
    return contents._replace(flaws=(flaw, *contents.flaws))


def _measure_nothing(_tensor: PickledTensor) -> None:
    """There is no storage to read."""


def list_records(archive: ZipArchive, name: str, start: int = 0) -> Iterator[ChecksumRecord]:
    """The members with their checksums, none where the archive has none; ``start``: offset of the archive."""
    for member in archive.members.values() if archive.has_checksums else ():
        shown = str(member.name, "utf-8", "replace")
        at = start + archive.locate(member.name, packed=True)
        unpacked = None if member.method == STORED else member.size
        yield ChecksumRecord(name, shown, at, member.packed, member.crc, unpacked=unpacked)


def _place(
    archive: ZipArchive, root: bytes, name: str, needed: Mapping[str, int], *, placed: bool
) -> tuple[dict[str, Storage], list[Flaw]]:
    """Where each storage lies that the pickle names, and what is wrong with those that do not hold enough."""
    storages: dict[str, Storage] = {}
    flaws: list[Flaw] = []
    for key, least in needed.items():
        member_name = root + b"data/" + key.encode("utf-8", "surrogatepass")
        member = archive.members.get(member_name)
        if member is None:
            text = f"{printable_name(member_name)} is missing, which its pickle names"
            flaws.append(Flaw("missing-storage", text, name))
            continue
        if member.size < least:
            text = f"{printable_name(member_name)} has {member.size:,} bytes of {least:,} that it needs"
            flaws.append(Flaw("short-storage", text, name))
        storages[f"{name}:{key}"] = Storage(name, archive.locate(member_name) if placed else None, member.size)
    return storages, flaws


def _read_others(archive: ZipArchive, root: bytes) -> Iterator[ParsedPickle]:
    """Pickles in members where torch writes none, and the constants of TorchScript."""
    for member in archive.members.values():
        own = member.name.removeprefix(root)
        if own in _KNOWN or own.startswith(_KNOWN_FOLDERS) or member.size < _LOOK:
            continue
        if archive.source.read(archive.locate(member.name, packed=True), 1) == b"\x80":
            yield from read_pickles(archive.read(member.name, LIMITS.data))


# What pickles of torch say, in any of its formats ---------------------------------------------------------------------

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


def _make(keys: Keys, leaf: PickledTensor | PickledArray, saved: PickledFile, *, is_bare: bool) -> Tensor:
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
