"""Everything under a path that holds weights, or says so by its ending: what a look for damage must not leave out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import partial
from os.path import dirname, isdir

from ckptctl.core.model import Checkpoint, Entry, Run
from ckptctl.core.names.endings import may_hold_weights
from ckptctl.core.names.shapes import split_ending
from ckptctl.errors import Damaged, NoCheckpoint
from ckptctl.formats.zip import find_end
from ckptctl.layouts.index import find_layout
from ckptctl.scan.completeness import check_completeness, classify_unfinished, find_missing_shard
from ckptctl.scan.loose_files import OF_ANYTHING, has_weights_ending
from ckptctl.scan.resolve import ResolvedCheckpoint, follow_links, make_unknown, resolve_checkpoint
from ckptctl.scan.runs import Options, scan
from ckptctl.stores import Folder, ReadableFile, ReadStore, StoreView, open_store


def find_weight_files(
    path: str, options: Options, watch: Callable[[ReadStore, Run], object] = lambda *_: None
) -> Iterator[ResolvedCheckpoint]:
    """The checkpoints in a folder, and each file of it that is nobody's; else the checkpoint that a path means.

    ``watch`` is shown each run as it is found. Raises NoCheckpoint, PathMissing, and what opening raises.
    """
    place = follow_links(path)
    found = _find_in(place, options, watch) if "://" in place or isdir(place) else iter(())
    first = next(found, None)
    if first is None:
        yield _resolve(path, options)
        return
    yield first
    yield from found


def _resolve(path: str, options: Options) -> ResolvedCheckpoint:
    """The checkpoint that a path means; raises NoCheckpoint for a file that neither is one nor says so."""
    resolved = resolve_checkpoint(path, options)
    entry = resolved.checkpoint.entries[0]
    if resolved.is_listed or entry.kind != "file":
        return resolved
    if _is_meant(resolved.store, entry):
        shards = _find_shards(resolved.store, entry) if _key_of(entry) else []
        made = _make_file(resolved.store, shards, options.now) if shards else resolved.checkpoint
        return resolved._replace(checkpoint=made)
    hint = f"see what there is: ckptctl ls {dirname(path) or '.'}"
    raise NoCheckpoint("not recognised as a checkpoint", path=path, hint=hint)


def _find_in(path: str, options: Options, watch: Callable[[ReadStore, Run], object]) -> Iterator[ResolvedCheckpoint]:
    """What a folder holds; nothing where it is a checkpoint itself."""
    store = open_store(path)
    others: dict[str, Entry] = {}
    for run in scan(store, options, observe=partial(_note_files, others)):
        if any(it.id == "inside-a-checkpoint" for it in run.notices):
            return
        watch(store, run)
        held = [*run.checkpoints, *run.left_out, *run.copies]
        for entry in [entry for it in held for entry in it.entries]:
            others.pop(entry.path, None)
        yield from (ResolvedCheckpoint(store, run, it) for it in held)
    with closing(_LastOpened(store)) as last:
        for entries in _group_strays(last, others.values()):
            yield ResolvedCheckpoint(last, Run("", ()), _make_file(last, entries, options.now))


def _group_strays(store: ReadStore, others: Iterable[Entry]) -> Iterator[list[Entry]]:
    """The files that are worth a look, each as soon as it is found to be; the shards of one file together."""
    shards: dict[tuple[str, ...], list[Entry]] = {}
    for entry in (it for it in others if _is_meant(store, it)):
        if key := _key_of(entry):
            shards.setdefault(key, []).append(entry)
        else:
            yield [entry]
    yield from shards.values()


_SHARD = re.compile(r"(.*)-[0-9]{5}-of-([0-9]{5})(.*)", re.DOTALL)


def _key_of(entry: Entry) -> tuple[str, ...] | None:
    """What all shards of one file have in common; None for a file that is no shard."""
    found = _SHARD.fullmatch(entry.path)
    return found.groups() if found else None


def _find_shards(store: ReadStore, entry: Entry) -> list[Entry]:
    """A shard and those that lie beside it."""
    folder = next(iter(store.walk(stat=True, enter=lambda path: not path)))
    return [it for it in folder.entries if it.kind == "file" and _key_of(it) == _key_of(entry)]


def _make_file(store: ReadStore, entries: Sequence[Entry], now: int) -> Checkpoint:
    """A file, or one in several shards, as a checkpoint of its own."""
    first = make_unknown(store, entries[0], now)
    if not _key_of(entries[0]):
        return first
    state, note = first.state, first.note
    if len(entries) > 1:
        state, note = check_completeness(store, find_layout("generic"), entries, now, "family")
    lacks = find_missing_shard(it.path for it in entries)
    if lacks is not None and state == "complete":
        state, note = classify_unfinished(entries, now, lacks)
    return first._replace(entries=tuple(entries), state=state, note=note, unit="family")


_HEAD = 4096


def _note_files(others: dict[str, Entry], folder: Folder) -> None:
    others.update((it.path, it) for it in folder.entries if it.kind == "file")


def _is_meant(store: ReadStore, entry: Entry) -> bool:
    """Whether a file is in a format that holds weights, or its ending says so and its content says nothing else."""
    name = entry.path.rpartition("/")[2]
    ending = split_ending(name)[1].lower()
    if has_weights_ending(name) and (ending not in OF_ANYTHING or not entry.size):
        return True
    if "://" in store.url and not may_hold_weights(name):  # each look takes a request there
        return False
    with suppress(OSError), store.open(entry.path) as source:
        from ckptctl.formats.sniff.strays import holds_weights

        return holds_weights(source, name) or (ending in OF_ANYTHING and _says_more(source, name))
    return has_weights_ending(name)


def _says_more(source: ReadableFile, name: str) -> bool:
    """Whether a file whose ending programs of every kind use is damaged, or an archive."""
    from ckptctl.formats import is_page
    from ckptctl.formats.sniff import sniff

    if sniff(source, name).kind != "unknown" or is_page(source.read(0, _HEAD)):
        return True
    try:
        return find_end(source) is not None
    except Damaged:
        return True


class _LastOpened(StoreView):
    """A store that keeps the file open that was opened last: it is sniffed, proved and read by one opening."""

    def __init__(self, store: ReadStore) -> None:
        super().__init__(store)
        self._path: str | None = None
        self._held = ExitStack()
        self._source: ReadableFile | None = None
        self._is_used = False

    @contextmanager
    def open(self, path: str) -> Iterator[ReadableFile]:
        """Open a file of the store, unless it is the one; of several that are read side by side each by itself."""
        if self._is_used:
            with super().open(path) as source:
                yield source
            return
        if path != self._path or self._source is None:
            self.close()
            self._source = self._held.enter_context(super().open(path))
            self._path = path
        self._is_used = True
        try:
            yield self._source
        finally:
            self._is_used = False

    def close(self) -> None:
        """Close the file that is open."""
        self._path = self._source = None
        self._held.close()
