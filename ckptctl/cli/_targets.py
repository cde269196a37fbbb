"""The runs that a command is about: scanned, filtered, and what is wrong with the answer told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from ckptctl.cli._console import Console
from ckptctl.core.filters import Filter, meets_all
from ckptctl.core.model import Checkpoint, Run
from ckptctl.core.ranking import was_restarted
from ckptctl.errors import NoCheckpoint, PartlyDone
from ckptctl.render.columns import write_count
from ckptctl.render.text import escape, locate
from ckptctl.scan.runs import Options, scan
from ckptctl.stores import ReadStore


class LocatedRun(NamedTuple):
    """A run, and the place where it was found."""

    store: ReadStore
    run: Run


def scan_stores(
    stores: Sequence[ReadStore], options: Options, console: Console, *, every: bool = False
) -> Iterator[LocatedRun]:
    """The runs of the stores, one by one; what could not be read is told as it is found, and counted.

    With ``every`` their checkpoints are also what belongs to no series; else that is noted to be told.
    """
    progress = None
    options = options._replace(every=every)
    if options.monitor or options.metrics or options.exact:  # nothing long is read else
        from ckptctl.cli._progress import Progress

        progress = Progress("read")
        options = options._replace(tick=progress.count)
    for located in (LocatedRun(store, run) for store in stores for run in scan(store, options)):
        if progress is not None:
            progress.clear()
        console.warn_of_run(located.store.url, located.run)
        if every and located.run.left_out:
            located = _with_left_out(located)  # noqa: PLW2901 - the usual run stays as it is
        console.left_out += [it.path.rpartition("/")[2] for it in located.run.left_out]
        if located.run.checkpoints or located.run.pointers:
            yield located


def _with_left_out(located: LocatedRun) -> LocatedRun:
    """A run with what belongs to no series among its checkpoints."""
    run = located.run
    return located._replace(run=run._replace(checkpoints=(*run.checkpoints, *run.left_out), left_out=()))


_SHOWN = 3


def describe_left_out(names: Sequence[str]) -> str:
    """What a listing says of the files that it left out."""
    shown = ", ".join(escape(it) for it in sorted(names)[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
    one = (
        "1 more file holds weights but belongs"
        if len(names) == 1
        else f"{len(names)} more files hold weights but belong"
    )
    return f"{one} to no series: {shown}; ckptctl ls --all lists them\n"


def filter_runs(located_runs: Iterable[LocatedRun], filters: tuple[Filter, ...], now: int) -> Iterator[LocatedRun]:
    """The runs with only what meets every filter; those in which nothing does are left out."""
    for store, run in located_runs:
        met = filter_checkpoints(run, filters, now)
        if met or not filters:
            yield LocatedRun(store, run._replace(checkpoints=met) if filters else run)


def filter_checkpoints(run: Run, filters: tuple[Filter, ...], now: int) -> tuple[Checkpoint, ...]:
    """What of a run meets every filter."""
    return tuple(it for it in run.checkpoints if meets_all(filters, it, now)) if filters else run.checkpoints


def print_restart_warning(console: Console, located: LocatedRun) -> None:
    """Warn where the newest is not the one with the highest number: times may have been changed by a copy."""
    shown = locate(located.store.url, located.run.path)
    if was_restarted(located.run.checkpoints) and not any(it.lineage for it in located.run.checkpoints):
        console.warn(f"{shown}: times and numbers disagree, as after a copy: last is the highest number")
    if any(it.lineage for it in located.run.checkpoints):
        console.warn(f"{shown}: more than one training used this folder, going by the times: last is the newest one's")


def require_found(
    found: object, stores: Sequence[ReadStore], filters: Sequence[Filter] = (), left_out: Sequence[str] = ()
) -> None:
    """Raise NoCheckpoint where nothing was found."""
    if not found and filters:
        text = f"no checkpoint meets {' and '.join(it.text for it in filters)}"
        raise NoCheckpoint(text, path=stores[0].url, hint="ckptctl ls shows what there is")
    if not found and left_out:
        text = describe_left_out(left_out).strip()
        raise NoCheckpoint("no checkpoint found", path=stores[0].url, hint=text)
    if not found:
        raise NoCheckpoint("no checkpoint found", path=stores[0].url, hint="name the folder of a run, or one above it")


def require_all_listed(console: Console) -> None:
    """Raise PartlyDone where a folder could not be listed, after the answer was given."""
    if console.trouble:
        count = write_count(console.trouble, "folder")
        text = f"{count} could not be listed: the answer leaves out what lies there"
        raise PartlyDone(text, hint="see the warnings above")
