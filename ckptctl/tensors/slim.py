"""A torch file without what only serves to resume training: its pickle is written anew, its storages are copied.

    cut = open_cut(source, drop=("optimizer_states", "callbacks"))
    cut.dropped, cut.size
    cut.write(draft)

Nothing is executed. What is not certain to come out as it was is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import NamedTuple

from ckptctl.errors import Damaged, Refused
from ckptctl.formats.pickle.allowlist import list_globals, list_unknown
from ckptctl.formats.pickle.nodes import GlobalName
from ckptctl.formats.pickle.reader import ParsedPickle, read_pickle
from ckptctl.formats.pickle.vm import LIMITS
from ckptctl.formats.pickle.writer import write_pickle
from ckptctl.formats.torch_archive import read_pickled, root_of
from ckptctl.formats.torch_contents import measure_storages
from ckptctl.formats.torch_tensors import DECODERS
from ckptctl.formats.zip import ByteSource, ZipArchive, open_archive, printable_name
from ckptctl.formats.zip_writer import ArchiveDraft, ZipWriter
from ckptctl.tensors.copy_check import verify_members, verify_while_writing
from ckptctl.tensors.slim_keys import KeptState, choose_kept, find_state

_ORDERED = GlobalName("collections", "OrderedDict")
_LIMITS = LIMITS._replace(string=LIMITS.data)
"""Long texts too, for they are written again."""
_LEFT_OUT = frozenset({b".format_version", b".storage_alignment", b".data/serialization_id"})
"""What torch notes of the way in which it wrote, which is another then; without them it reads the directory."""
_COPIED = frozenset({b"byteorder", b"version"})
_MOST_SMALL = 1 << 16

Tick = Callable[[int], None]


class SlimmedFile(NamedTuple):
    """What is written of a file."""

    archive: ZipArchive
    pickled: bytes
    storages: tuple[bytes, ...]
    """Names of the members that are kept."""
    dropped: tuple[str, ...]
    """Keys that are left out, nested ones joined by ``/``."""
    unknown: tuple[str, ...] = ()
    """Names that stay, and that ``torch.load(weights_only=True)`` does not know."""

    @property
    def size(self) -> int:
        """Bytes of the file that it would be."""
        ruler = _Ruler()
        writer = ZipWriter(ruler)
        self.write_front(writer)
        writer.copy(self.archive, self.storages, lambda _: None)
        self.write_back(writer)
        return ruler.size

    def write(
        self, draft: ArchiveDraft, tick: Tick = lambda _: None, *, later: Callable[[], None] | None = None
    ) -> None:
        """Write it, every checksum proved by what was written; raises Damaged, OSError.

        With ``later`` it is called once all is written, and the proof comes behind it: to bring it to the disk.
        """
        archive, writer = self.archive, ZipWriter(draft)
        self.write_front(writer)
        written = writer.plan(archive, self.storages)
        source = None if archive.has_checksums else archive.source
        with ExitStack() as stack:
            ticks = [tick] if later else [tick, stack.enter_context(verify_while_writing(draft, written, source))]
            writer.copy(archive, self.storages, lambda end: [tell(end) for tell in ticks])
        self.write_back(writer)
        if later:
            later()
            verify_members(draft, written, source)
        _read_again(draft, self)

    def write_front(self, writer: ZipWriter) -> None:
        """Write what stands before the storages."""
        root = root_of(self.archive)
        writer.add(root + b"data.pkl", self.pickled)
        self._copy_small(writer, root + b"byteorder")

    def write_back(self, writer: ZipWriter) -> None:
        """Write what stands behind them."""
        self._copy_small(writer, root_of(self.archive) + b"version")
        writer.close()

    def _copy_small(self, writer: ZipWriter, name: bytes) -> None:
        if name in self.archive.members:
            writer.add(name, self.archive.read(name, _MOST_SMALL))


class _Ruler:
    """A draft of which only the length is kept."""

    def __init__(self) -> None:
        self.size = 0

    def read(self, offset: int, length: int) -> bytes:
        """Nothing."""
        del offset, length
        return b""

    def write(self, data: bytes | memoryview) -> None:
        """Count it."""
        self.size += len(data)

    def write_at(self, offset: int, data: bytes | memoryview) -> None:
        """Count what reaches beyond the end."""
        self.size = max(self.size, offset + len(data))

    def skip(self, length: int) -> None:
        """Count it."""
        self.size += length

    def copy(self, source: ByteSource, offset: int, length: int) -> None:
        """Count it."""
        del source, offset
        self.size += length


def open_whole_or_slimmed(source: ByteSource, drop: Sequence[str] | None) -> SlimmedFile:
    """As ``open_slimmed``, but where nothing serves only to resume, all of it is kept."""
    try:
        return open_slimmed(source, drop)
    except Refused as error:
        if error.id != "nothing-to-slim":
            raise
    return _cut(source, KeptState(()))


def open_slimmed(source: ByteSource, drop: Sequence[str] | None, *, bare: bool = False) -> SlimmedFile:
    """Decide what of a file is kept; raises Refused with the reason, Damaged, OSError.

    ``drop``: globs of keys that are left out, of nested ones joined by ``/``; None where the layout does not say, then
    the keys that say it of themselves. ``bare``: only the mapping that holds the weights is kept.
    """
    return _cut(source, choose_kept(_describe(source).value, drop, bare=bare), bare=bare)


def _describe(source: ByteSource) -> ParsedPickle:
    """What a file holds; raises Refused for what is not torch's alone."""
    if source.read(0, 4) != b"PK\x03\x04":
        raise Refused("it is not in torch's zip format, which is written since 1.6")
    archive = open_archive(source)
    _refuse_others(archive, root_of(archive))
    described = read_pickled(archive)
    if described.oddities:
        raise Refused(f"its pickle has {described.oddities[0]}")
    return described


def _cut(source: ByteSource, kept: KeptState, *, bare: bool = False) -> SlimmedFile:
    archive = open_archive(source)
    root = root_of(archive)
    data = archive.read(root + b"data.pkl", LIMITS.data)
    raw = read_pickle(data, limits=_LIMITS, decoders={_ORDERED: DECODERS[_ORDERED]})
    pickled = write_pickle(_take_out(raw.value, kept), data[1])
    again = read_pickle(pickled, limits=_LIMITS, decoders=DECODERS)
    _refuse_names(again, bare=bare)
    return SlimmedFile(archive, pickled, _find_storages(archive, root, again), kept.dropped, list_unknown(again))


def _refuse_others(archive: ZipArchive, root: bytes) -> None:
    """Raise Refused where it holds more than torch.save writes."""
    if root + b"constants.pkl" in archive.members:
        raise Refused("it is TorchScript, which is a program")
    for name in archive.members:
        own = name.removeprefix(root)
        if own not in {b"data.pkl", *_COPIED, *_LEFT_OUT} and not own.startswith(b"data/"):
            raise Refused(f"it holds {printable_name(name)}, which torch.save does not write")


def _take_out(root: object, kept: KeptState) -> object:
    """The root as it is to be saved."""
    for path in kept.paths:
        holder = root
        for key in path[:-1]:
            holder = holder[key]  # type: ignore[index] # chosen in the same tree
        del holder[path[-1]]  # type: ignore[attr-defined] # as above
    return find_state(root, kept.bare) if kept.bare is not None else root


def _refuse_names(pickled: ParsedPickle, *, bare: bool) -> None:
    """Raise Refused where what is kept would have loading import what is not known to be harmless."""
    unknown = [it.name for it in list_globals([pickled]) if not it.allowed]
    if unknown:
        names = ", ".join(unknown[:3]) + (f" and {len(unknown) - 3} more" if len(unknown) > 3 else "")  # noqa: PLR2004 - named
        hint = None if bare else "--bare keeps the weights alone"
        raise Refused(f"what would be kept names {names}, which is not known to be harmless", hint=hint)


def _find_storages(archive: ZipArchive, root: bytes, pickled: ParsedPickle) -> tuple[bytes, ...]:
    """The members that the pickle needs, in the order of the file; raises Damaged where one is missing or short."""
    needed = {
        root + b"data/" + key.encode("utf-8", "surrogatepass"): size
        for key, size in measure_storages([pickled]).items()
    }
    for name, least in needed.items():
        if name not in archive.members:
            raise Damaged(f"{printable_name(name)} is missing, which its pickle names")
        if archive.members[name].size < least:
            raise Damaged(f"{printable_name(name)} has {archive.members[name].size:,} bytes of {least:,} that it needs")
    return tuple(sorted(needed, key=lambda name: archive.members[name].header))


def _read_again(draft: ByteSource, cut: SlimmedFile) -> None:
    """Raise Damaged unless what was written reads as it was meant."""
    archive = open_archive(draft)
    root = root_of(archive)
    whole = {name: (archive.members[name].size, archive.members[name].crc) for name in cut.storages}
    told = {name: (it.size, it.crc) for name, it in cut.archive.members.items() if name in whole}
    if archive.read(root + b"data.pkl", LIMITS.data) != cut.pickled or whole != told:
        raise Damaged("what was written is not what was to be written")
    for name in cut.storages:
        archive.locate(name)
