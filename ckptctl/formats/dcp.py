"""Folders of ``torch.distributed.checkpoint``: ``.metadata`` tells which stretch of which file holds which tensor.

Each stretch is a file of ``torch.save`` by itself, so a ``.distcp`` file must never be read as one archive.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod
from typing import NamedTuple

from ckptctl.errors import Damaged
from ckptctl.formats.contents import (
    BITS,
    ChecksumRecord,
    Contents,
    FileSet,
    Flaw,
    Piece,
    Plain,
    Storage,
    Tensor,
    name_type,
    part_of,
)
from ckptctl.formats.pickle.allowlist import list_globals
from ckptctl.formats.pickle.reader import ParsedPickle, read_pickles
from ckptctl.formats.pickle.vm import LIMITS, GlobalName, OpaqueKey, PickledCall
from ckptctl.formats.saved_values import items_of
from ckptctl.formats.torch import CHECKS, is_dense, list_records, warn_oddities
from ckptctl.formats.torch_zip import DECODERS, PickledTensor, read_pickled, root_of
from ckptctl.formats.zip import ByteSource, FileWindow, open_archive

_SMALL = 8 << 10
"""Bytes of a stretch that is read for its plain value."""
_MOST_VALUES = 32


class DcpItem(NamedTuple):
    """What one rank wrote of one thing."""

    name: str
    at: tuple[int, ...]
    """Where in the tensor it begins; () for all of it, and for what is no tensor."""
    file: str
    offset: int
    length: int

    @property
    def key(self) -> str:
        """Of its storage."""
        return f"{self.file}:{self.offset}"


def read(source: ByteSource, name: str, files: FileSet, *, placed: bool) -> Contents:
    """The contents of the whole folder; raises Damaged, OSError."""
    if source.size > LIMITS.data:
        raise Damaged(f"{source.size:,} bytes of pickle are more than the {LIMITS.data:,} that are read", id="not-read")
    pickles = read_pickles(source.read(0, source.size), decoders=DECODERS)
    fields = dict(items_of(pickles[0].value))
    folder = name.rpartition("/")[0]
    stretches = list(_read_stretches(fields.get("storage_data"), folder))
    if not stretches:
        flaw = Flaw("broken", "its .metadata names no file", name)
        return Contents("dcp", globals=list_globals(pickles), flaws=(flaw,))
    shapes = _read_shapes(fields.get("state_dict_metadata"))
    opened = _Opened(files, shapes, placed=placed)
    opened.visit(stretches)
    found = (*pickles, *opened.pickles)
    return Contents(
        "dcp",
        tuple(_make_tensors(shapes, stretches, opened.pieces)),
        opened.storages,
        opened.values,
        list_globals(found),
        records=tuple(opened.records),
        checks=CHECKS,
        flaws=(*opened.flaws, *warn_oddities(found)),
    )


class DcpShape(NamedTuple):
    """What the metadata say of a tensor."""

    shape: tuple[int, ...]
    dtype: str
    chunks: Mapping[tuple[int, ...], tuple[int, ...]]
    """Where each chunk begins, to its shape."""


class _Opened:
    """What was found in the files, stretch by stretch."""

    def __init__(self, files: FileSet, shapes: Mapping[str, DcpShape], *, placed: bool) -> None:
        self.files = files
        self.shapes = shapes
        self.placed = placed
        self.storages: dict[str, Storage] = {}
        self.pieces: dict[str, Piece] = {}
        """By the keys of the stretches."""
        self.pickles: list[ParsedPickle] = []
        self.records: list[ChecksumRecord] = []
        self.values: dict[str, Plain] = {}
        self.flaws: list[Flaw] = []

    def visit(self, stretches: list[DcpItem]) -> None:
        """Look at every stretch, file by file."""
        by_file: dict[str, list[DcpItem]] = {}
        for stretch in stretches:
            by_file.setdefault(stretch.file, []).append(stretch)
        for file, own in sorted(by_file.items()):
            size = self.files.sizes.get(file)
            if size is None:
                self.flaws.append(Flaw("missing-file", f"{file} is missing, which .metadata names", file))
                continue
            last = max(own, key=lambda it: it.offset + it.length)
            if last.offset + last.length > size:
                expected = last.offset + last.length
                self.flaws.append(Flaw("cut-short", f"cut short: {size:,} of {expected:,} bytes", file))
            self._visit_file(file, own, size)

    def _is_value(self, item: DcpItem) -> bool:
        """Whether a stretch may be one of a few plain values."""
        return item.name not in self.shapes and item.length <= _SMALL and len(self.values) < _MOST_VALUES

    def _visit_file(  # nested: the file stays open for all that is in it
        self, file: str, own: list[DcpItem], size: int
    ) -> None:
        with self.files.open(file) as source:
            for item in own:
                self._note(item)
                if item.offset + item.length <= size and (self.placed or self._is_value(item)):
                    self._look(source, item)

    def _note(self, item: DcpItem) -> None:
        """What the metadata say of a stretch, without a look at it: the numbers, but not where in it they begin."""
        known = self.shapes.get(item.name)
        if known is None:
            self.storages[item.key] = Storage(item.file, None, item.length)
            return
        shape = known.chunks.get(item.at, known.shape)
        bits = BITS.get(known.dtype)
        size = item.length if bits is None else prod(shape) * bits // 8
        self.storages[item.key] = Storage(item.file, None, min(size, item.length))
        self.pieces[item.key] = Piece(item.key, 0, shape, at=item.at)

    def _look(self, source: ByteSource, item: DcpItem) -> None:
        """Read a stretch as the file of torch's that it is."""
        window = FileWindow(source, item.offset, item.length)
        try:
            archive = open_archive(window)
            pickled = read_pickled(archive)
            self.pickles.append(pickled)
            if self.placed:
                self.records += list_records(archive, item.file, item.offset) if archive.has_checksums else ()
            if type(pickled.value) is PickledTensor:
                member = root_of(archive) + b"data/" + pickled.value.key.encode()
                at = item.offset + archive.locate(member)
                self.storages[item.key] = Storage(item.file, at, archive.members[member].size)
                self.pieces[item.key] = _place(item, pickled.value)
            elif pickled.value is None or type(pickled.value) in (int, float, str, bool):
                self.values[item.name] = pickled.value  # type: ignore[assignment] # one of these kinds
        except (Damaged, KeyError) as error:
            text = error.text if isinstance(error, Damaged) else "its numbers are missing"
            self.flaws.append(Flaw("broken", f"{item.name!a} at byte {item.offset:,}: {text}", item.file))


def _place(item: DcpItem, saved: PickledTensor) -> Piece:
    stride = None if is_dense(saved.shape, saved.stride) else saved.stride
    return Piece(item.key, saved.offset * BITS.get(saved.dtype, 0) // 8, saved.shape, stride, item.at)


def _make_tensors(
    shapes: Mapping[str, DcpShape], stretches: list[DcpItem], pieces: Mapping[str, Piece]
) -> Iterator[Tensor]:
    by_name: dict[str, list[Piece]] = {}
    for stretch in stretches:
        if stretch.key in pieces:
            by_name.setdefault(stretch.name, []).append(pieces[stretch.key])
    for name, known in shapes.items():
        own = tuple(by_name.get(name, ()))
        yield Tensor(name, known.shape, known.dtype, part_of(name.split("."), is_number=not known.shape), own)


def _read_stretches(node: object, folder: str) -> Iterator[DcpItem]:
    for key, value in node.items() if isinstance(node, dict) else ():
        index = dict(items_of(key.node if type(key) is OpaqueKey else key))
        info = dict(items_of(value))
        match (index.get("fqn"), info.get("relative_path"), info.get("offset"), info.get("length")):
            case (str() as name, str() as path, int() as offset, int() as length) if offset >= 0 and length >= 0:
                file = f"{folder}/{path}" if folder else path
                yield DcpItem(name, _read_size(index.get("offset")) or (), file, offset, length)
            case _:
                raise Damaged("its .metadata has an entry that is malformed")


def _read_shapes(node: object) -> dict[str, DcpShape]:
    found: dict[str, DcpShape] = {}
    for name, value in node.items() if isinstance(node, dict) else ():
        fields = dict(items_of(value))
        shape, chunks = _read_size(fields.get("size")), fields.get("chunks")
        if type(name) is str and shape is not None:
            held = [dict(items_of(it)) for it in chunks] if type(chunks) is list else []
            pairs = [(_read_size(it.get("offsets")), _read_size(it.get("sizes"))) for it in held]
            found[name] = DcpShape(shape, _read_type(fields.get("properties")), {a: b for a, b in pairs if a and b})
    return found


def _read_type(node: object) -> str:
    match node:
        case PickledCall(state=(GlobalName(module="torch") as dtype, *_)):
            return name_type(dtype.name)
        case _:
            named = dict(items_of(node)).get("dtype")
            return name_type(named.name) if type(named) is GlobalName else "?"


def _read_size(node: object) -> tuple[int, ...] | None:
    """A ``torch.Size``."""
    match node:
        case PickledCall(target=GlobalName(module="torch", name="Size"), args=(tuple() as shape,)):
            return shape if all(type(it) is int and it >= 0 for it in shape) else None
        case _:
            return None
