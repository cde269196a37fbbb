"""A torch file without what only serves to resume training: its pickle is written anew, its storages are copied.

    cut = open_cut(source, drop=("optimizer_states", "callbacks"))
    cut.dropped, cut.size
    cut.write(draft)

Nothing is executed. What is not certain to come out as it was is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from fnmatch import fnmatchcase
from math import prod
from typing import NamedTuple

from ckptctl.errors import Damaged, Refused
from ckptctl.formats.contents import part_of
from ckptctl.formats.pickle.allowlist import list_globals, list_unknown
from ckptctl.formats.pickle.reader import ParsedPickle, read_pickle
from ckptctl.formats.pickle.vm import LIMITS, GlobalName
from ckptctl.formats.pickle.writer import write_pickle
from ckptctl.formats.saved_values import find_leaves
from ckptctl.formats.torch import measure_storages
from ckptctl.formats.torch_zip import DECODERS, PickledTensor, read_pickled, root_of
from ckptctl.formats.zip import ByteSource, ZipArchive, open_archive, printable_name
from ckptctl.formats.zip_writer import ArchiveDraft, ZipWriter
from ckptctl.tensors.copy_check import verify_members, verify_while_writing
from ckptctl.tensors.streams import Tick

_ORDERED = GlobalName("collections", "OrderedDict")
_LIMITS = LIMITS._replace(string=LIMITS.data)
"""Long texts too, for they are written again."""
_LEFT_OUT = frozenset({b".format_version", b".storage_alignment", b".data/serialization_id"})
"""What torch notes of the way in which it wrote, which is another then; without them it reads the directory."""
_COPIED = frozenset({b"byteorder", b"version"})
_MOST_SMALL = 1 << 16


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
        del offset, length
        return b""

    def write(self, data: bytes | memoryview) -> None:
        self.size += len(data)

    def write_at(self, offset: int, data: bytes | memoryview) -> None:
        """Count what reaches beyond the end."""
        self.size = max(self.size, offset + len(data))

    def skip(self, length: int) -> None:
        self.size += length

    def copy(self, source: ByteSource, offset: int, length: int) -> None:
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
    copied = {name: (it.size, it.crc) for name, it in cut.archive.members.items() if name in whole}
    if archive.read(root + b"data.pkl", LIMITS.data) != cut.pickled or whole != copied:
        raise Damaged("what was written is not what was to be written")
    for name in cut.storages:
        archive.locate(name)


# Which keys serve to resume training alone, and whether what is kept holds the weights --------------------------------

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
        if type(key) is str
        and key not in gone
        and isinstance(value, dict)
        and any(type(it) is PickledTensor for it in value.values())
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
