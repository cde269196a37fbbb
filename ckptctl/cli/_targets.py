"""The stores that a command names, scanned as its options say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from os.path import isdir, lexists, realpath, sep
from time import time_ns
from typing import NamedTuple

from ckptctl.cli._console import Console
from ckptctl.core.filters import Filter, meets_all
from ckptctl.core.model import Checkpoint, Run
from ckptctl.errors import CkptctlError, NoCheckpoint, PartlyDone, UsageError
from ckptctl.render.columns import write_count
from ckptctl.render.text import locate
from ckptctl.scan.runs import Options, scan
from ckptctl.stores import ReadStore, open_store


class NameOptions(NamedTuple):
    """How file names are to be read."""

    template: str | None = None
    layout: str | None = None
    extensions: Sequence[str] | None = None
    equals: str = "="


class LocatedRun(NamedTuple):
    """A run, and the place where it was found."""

    store: ReadStore
    run: Run


def read_options(
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
        from ckptctl.core.names.template import Template

        template = Template(names.template, equals=names.equals)
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
    )


def expand_globs(paths: Sequence[str] | None) -> list[str]:
    """The places that the arguments mean, in order, each once; a glob that matches no folder is kept for its error."""
    found: list[str] = []
    for path in paths or ["."]:
        if not path:
            raise UsageError("an empty path: is a variable unset?", hint="write . for the current folder")
        is_glob = "://" not in path and not _MAGIC.isdisjoint(path) and not lexists(path)
        found += _match(path) or [path] if is_glob else [path]
    return list({path if "://" in path else realpath(path): path for path in reversed(found)}.values())[::-1]


_MAGIC = frozenset("*?[")
"""What a glob has and a path mostly has not."""


def _match(pattern: str) -> list[str]:
    """The folders that a glob matches, sorted."""
    from glob import glob

    return sorted(filter(isdir, glob(pattern)))


def open_stores(paths: Sequence[str] | None) -> list[ReadStore]:
    """The stores of the places, in the order given; raises what opening raises."""
    return [open_store(path) for path in expand_globs(paths)]


def open_separate_stores(paths: Sequence[str] | None) -> list[ReadStore]:
    """As `open_stores`; raises UsageError where one place lies in another: what is in both would be planned twice."""
    stores = open_stores(paths)
    places = sorted((realpath(it.url) + sep, it.url) for it in stores if "://" not in it.url)
    for (outer, name), (inner, other) in pairwise(places):
        if inner.startswith(outer):
            raise UsageError(f"'{other}' lies in '{name}', which is named too", hint="name one of them")
    return stores


def scan_stores(stores: Sequence[ReadStore], options: Options, console: Console) -> Iterator[LocatedRun]:
    """The runs of the stores, one by one; what could not be read is told as it is found, and counted."""
    for located in (LocatedRun(store, run) for store in stores for run in scan(store, options)):
        print_notices(console, *located)
        if located.run.checkpoints or located.run.pointers:
            yield located


def filter_runs(located_runs: Iterable[LocatedRun], filters: tuple[Filter, ...], now: int) -> Iterator[LocatedRun]:
    """The runs with only what meets every filter; those in which nothing does are left out."""
    for store, run in located_runs:
        met = filter_checkpoints(run, filters, now)
        if met or not filters:
            yield LocatedRun(store, run._replace(checkpoints=met) if filters else run)


def filter_checkpoints(run: Run, filters: tuple[Filter, ...], now: int) -> tuple[Checkpoint, ...]:
    """What of a run meets every filter."""
    return tuple(it for it in run.checkpoints if meets_all(filters, it, now)) if filters else run.checkpoints


@contextmanager
def locate_errors(store: ReadStore) -> Iterator[None]:
    """Let errors about a run name it as the user knows it: below the path that was typed."""
    try:
        yield
    except CkptctlError as error:
        error.path = None if error.path is None else locate(store.url, error.path)
        raise


def print_notices(console: Console, store: ReadStore, run: Run) -> None:
    """Warn of what a person should know of a run."""
    for notice in run.notices:
        console.warn(notice, locate(store.url, run.path))
    console.trouble += not run.listed


def print_restart_warning(console: Console, located: LocatedRun) -> None:
    """Warn where the newest is not the one with the highest number: times may have been changed by a copy."""
    if any(it.lineage for it in located.run.checkpoints):
        shown = locate(located.store.url, located.run.path)
        console.warn(f"{shown}: more than one training used this folder, going by the times: last is the newest one's")


def require_found(found: object, stores: Sequence[ReadStore], filters: Sequence[Filter] = ()) -> None:
    """Raise NoCheckpoint where nothing was found."""
    if not found and filters:
        text = f"no checkpoint meets {' and '.join(it.text for it in filters)}"
        raise NoCheckpoint(text, path=stores[0].url, hint="ckptctl ls shows what there is")
    if not found:
        raise NoCheckpoint("no checkpoint found", path=stores[0].url, hint="name the folder of a run, or one above it")


def require_all_listed(console: Console) -> None:
    """Raise PartlyDone where a folder could not be listed, after the answer was given."""
    if console.trouble:
        count = write_count(console.trouble, "folder")
        text = f"{count} could not be listed: the answer leaves out what lies there"
        raise PartlyDone(text, hint="see the warnings above")
