"""What a call names, the places to look in and how to read file names; and what it gets, with absolute paths."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from os import PathLike, environ, fspath
from os.path import abspath, isdir, join, lexists, realpath, sep
from time import time_ns
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from ckptctl.core.filters import Filter, parse_filter
from ckptctl.core.model import Checkpoint, Entries, Entry, Run, relocate, relocate_path
from ckptctl.errors import CkptctlError, PathMissing, UsageError
from ckptctl.scan.runs import Options, scan
from ckptctl.stores import ReadStore, open_store

if TYPE_CHECKING:
    from ckptctl.core.retention.plan import Verdict
    from ckptctl.core.transaction import Failure, Outcome

Path: TypeAlias = str | PathLike[str] | Checkpoint
"""Of a file or folder; that of a checkpoint is its own."""
Paths: TypeAlias = Path | Iterable[Path]
Texts: TypeAlias = str | int | Iterable[str | int]
"""One value of an option that may be repeated, or several."""


class NameOptions(NamedTuple):
    """How file names are to be read."""

    template: str | None = None
    layout: str | None = None
    extensions: Sequence[str] | None = None
    equals: str = "="
    include: Sequence[str] | None = None
    """Globs of names that are checkpoints, as a person says."""


def read_paths(paths: Paths) -> list[str]:
    """The paths of one or several files, folders or checkpoints; raises UsageError for an empty list."""
    if isinstance(paths, (str, PathLike)):
        return [fspath(paths)]
    if isinstance(paths, Checkpoint):
        return [paths.path]
    found = [path for it in paths for path in read_paths(it)]
    if not found:  # what found nothing to prune must not prune the current folder
        raise UsageError(
            "an empty list of paths: did a glob match nothing?", hint="leave it out for the current folder"
        )
    return found


def parse_filters(texts: Texts) -> tuple[Filter, ...]:
    """Filters as they are typed; raises UsageError."""
    return tuple(map(parse_filter, read_texts(texts)))


def read_texts(texts: Texts) -> list[str]:
    """The values of an option that may be repeated: one, or several."""
    return [str(texts)] if isinstance(texts, (str, int)) else list(map(str, texts))


def read_names(  # noqa: PLR0913, PLR0917 - as the keywords stand
    template: str | None, layout: str | None, ext: Texts, equals: str, include: Texts, paths: Paths | None = None
) -> NameOptions:
    """How names are to be read, as the keywords of the API say it; with ``paths`` also as files found there say."""
    names = NameOptions(template, layout, read_texts(ext), equals, read_texts(include))
    return names if paths is None else fill_names(names, read_paths(paths))


def fill_names(names: NameOptions, paths: Sequence[str] | None) -> NameOptions:
    """How a listing reads names: as typed, else as configuration files beside or above the paths say; globs add up.

    Nothing may be changed or deleted by what was only found. Raises UsageError for a file that cannot be understood.
    """
    from ckptctl.config import find_names

    found = find_names(expand_globs(paths), environ)
    if not found:
        return names
    template = names.template or (found["template"].value if "template" in found else None)
    include = [*(names.include or ()), *(found["include"].value if "include" in found else ())]
    return names._replace(template=template, include=include or names.include)


def read_options(  # noqa: PLR0913 - one parameter, one option
    names: NameOptions,
    *,
    monitor: str | None = None,
    exact: bool = False,
    resumable: bool = False,
    sure: bool = False,
    stat: bool = True,
    now: int = 0,
) -> Options:
    """The options of a scan; raises UsageError for a template that cannot be read."""
    template = None
    if names.template is not None:
        from ckptctl.core.names.fields import KNOWN_FIELDS
        from ckptctl.core.names.template import Template

        template = Template(names.template, equals=names.equals)
        if not template.fields:
            raise UsageError(f"template {names.template!r} has no field: it says nothing", hint=KNOWN_FIELDS)
    extensions = tuple(it if it.startswith(".") else f".{it}" for it in names.extensions or ())
    return Options(
        now=now or time_ns(),
        stat=stat,
        exact=exact,
        resumable=resumable,
        sure=sure,
        monitor=monitor,
        template=template,
        layout=names.layout,
        extensions=extensions,
        equals=names.equals,
        include=tuple(names.include or ()),
    )


def expand_globs(paths: Sequence[str] | None) -> list[str]:
    """The places that the arguments mean, in order, each once; a glob that matches no folder is kept for its error."""
    found: list[str] = []
    for path in _require_named(paths):
        is_glob = "://" not in path and not _MAGIC.isdisjoint(path) and not lexists(path)
        if is_glob:
            from glob import glob

            found += sorted(filter(isdir, glob(path))) or [path]
        else:
            found.append(path)
    return _drop_repeated(found)


def name_places(paths: Sequence[str] | None) -> list[str]:
    """The places that the arguments are, in order, each once: what changes or deletes takes no argument for a glob."""
    return _drop_repeated(_require_named(paths))


def _require_named(paths: Sequence[str] | None) -> Sequence[str]:
    """The paths, the current folder where there are none; raises UsageError for an empty one."""
    if paths and not all(paths):
        raise UsageError("an empty path: is a variable unset?", hint="write . for the current folder")
    return paths or ["."]


def _drop_repeated(paths: Sequence[str]) -> list[str]:
    return list({path if "://" in path else realpath(path): path for path in reversed(paths)}.values())[::-1]


_MAGIC = frozenset("*?[")
"""What a glob has and a path mostly has not."""


def open_stores(paths: Sequence[str] | None) -> list[ReadStore]:
    """The stores of the places, in the order given; raises what opening raises."""
    return [open_store(path) for path in expand_globs(paths)]


def open_named_stores(paths: Sequence[str] | None) -> list[ReadStore]:
    """As `open_stores`, but no path is taken for a glob."""
    return [_open_named(path) for path in name_places(paths)]


def _open_named(path: str) -> ReadStore:
    try:
        return open_store(path)
    except PathMissing as error:
        if not _MAGIC.isdisjoint(path):
            error.hint = "what changes files expands no globs: leave the quotes out, so that the shell does"
        raise


def open_separate_stores(paths: Sequence[str] | None) -> list[ReadStore]:
    """As `open_named_stores`; raises UsageError where one place lies in another: both would be planned twice."""
    stores = open_named_stores(paths)
    places = sorted((realpath(it.url) + sep, it.url) for it in stores if "://" not in it.url)
    for (outer, name), (inner, other) in pairwise(places):
        if inner.startswith(outer):
            raise UsageError(f"'{other}' lies in '{name}', which is named too", hint="name one of them")
    return stores


def scan_paths(paths: Paths, options: Options) -> Iterator[tuple[ReadStore, Run]]:
    """The runs under some paths that have checkpoints, or that could not be listed."""
    for store in open_stores(read_paths(paths)):
        yield from ((store, run) for run in scan(store, options) if run.checkpoints or not run.listed)


@contextmanager
def locate_errors(store: ReadStore) -> Iterator[None]:
    """Let errors about a run name it as the user knows it: below the path that was typed."""
    try:
        yield
    except CkptctlError as error:
        if error.path is not None:
            error.path = relocate_path(error.path, store.url) if store.url not in ("", ".", "./") else error.path or "."
        raise


def make_absolute(root: str, path: str) -> str:
    """A path below a root, whole; in an object store its URL."""
    if "://" in path:
        return path
    return relocate_path(path, root) if "://" in root else abspath(join(root, path))


def absolute_entry(store: ReadStore, entry: Entry) -> Entry:
    """An entry, whose path is relative to its store's root."""
    return entry._replace(path=make_absolute(store.url, entry.path))


def absolute_checkpoint(store: ReadStore, root: str, checkpoint: Checkpoint) -> Checkpoint:
    """A checkpoint whose path is relative to ``root``; its entries' are relative to the store's."""
    return checkpoint._replace(
        path=make_absolute(root, checkpoint.path),
        entries=Entries(absolute_entry(store, it) for it in checkpoint.entries),
        aliases=tuple(make_absolute(root, it) for it in checkpoint.aliases),
    )


def absolute_run(store: ReadStore, run: Run) -> Run:
    """A run of a store; what it refers to has absolute paths too."""
    root = make_absolute(store.url, "")
    moved = relocate(run, root)
    return moved._replace(
        folder=None,
        checkpoints=tuple(absolute_checkpoint(store, root, it) for it in run.checkpoints),
        rosters=tuple(it._replace(path=make_absolute(root, it.path)) for it in moved.rosters),
        origins=tuple(
            it._replace(file=make_absolute(root, it.file), target=make_absolute(root, it.target)) for it in run.origins
        ),
    )


def absolute_verdict(store: ReadStore, root: str, verdict: Verdict) -> Verdict:
    """A verdict of a plan whose paths are relative to ``root``."""
    checkpoint = verdict.checkpoint and absolute_checkpoint(store, root, verdict.checkpoint)
    slim = verdict.slim
    if slim is not None and checkpoint is not None:
        steps = tuple(it._replace(entry=absolute_entry(store, it.entry)) for it in slim.steps)
        weights = tuple(absolute_entry(store, it) for it in slim.weights)
        slim = slim._replace(checkpoint=checkpoint, steps=steps, weights=weights)
    return verdict._replace(path=make_absolute(root, verdict.path), checkpoint=checkpoint, slim=slim)


def absolute_outcome(root: str, outcome: Outcome) -> Outcome:
    """What became of a plan whose paths are relative to ``root``."""

    def move(failures: Iterable[Failure]) -> tuple[Failure, ...]:
        return tuple(it._replace(path=make_absolute(root, it.path)) for it in failures)

    return outcome._replace(
        dropped=tuple(make_absolute(root, it) for it in outcome.dropped),
        slimmed=tuple(make_absolute(root, it) for it in outcome.slimmed),
        skipped=move(outcome.skipped),
        failed=move(outcome.failed),
    )
