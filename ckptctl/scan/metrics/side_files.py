"""Scores and numbers from the files that layouts name as sources, matched with the checkpoints that they are about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from importlib import import_module
from itertools import pairwise
from math import isfinite
from typing import TYPE_CHECKING, Literal, NamedTuple

from ckptctl.core.model import Checkpoint, Score
from ckptctl.core.model import ScoreSource as Origin
from ckptctl.core.ranking import COUNTERS, in_save_order, infer_mode
from ckptctl.layouts.index import glob_matches
from ckptctl.scan.metrics.scores import ScoreClaims, try_read
from ckptctl.stores import ReadStore, read_whole

if TYPE_CHECKING:
    from ckptctl.layouts.schema import Layout, MetricSource, RecordedMetric

Row = Mapping[str, "str | float"]
Mode = Literal["min", "max"]
MOST_BYTES = 256 << 20
"""Of a side file."""

_ORIGINS: Mapping[str, Origin] = {
    "json": "json",
    "jsonl": "json",
    "csv": "csv",
    "yaml": "yaml",
    "npz": "npz",
    "torch": "state",
}


class SideFiles(NamedTuple):
    """Where the side files of a run are, by name; those in folders below by path."""

    folder: str = ""
    beside: Mapping[str, str] = {}
    above: Mapping[str, str] = {}
    below: Sequence[str] = ()


class SourceReader(NamedTuple):
    """What is needed to read a run's sources."""

    store: ReadStore
    claims: ScoreClaims
    sides: SideFiles
    is_sure: bool
    """Whether every checkpoint must speak for itself, where the newest would tell of all."""
    is_exact: bool


def claim_source(reader: SourceReader, source: MetricSource, own: Sequence[str]) -> None:
    """Claim what a source says of a layout's own checkpoints; one that cannot be read is told of and left out."""
    if source.place != "inside":
        paths = _paths_of(source, reader.sides)[::-1]  # the first claim counts
        for path in paths:
            _claim_rows(reader, source, own, _read(reader, path, source))
        if paths and source.format in {"csv", "yaml", "npz"}:
            reader.claims.files.setdefault(source.format, paths[0].rpartition("/")[2])
        if "{" in source.path:
            _claim_each(reader, source, own)
    elif source.is_history and not reader.is_sure:
        _claim_history(reader, source, own)
    else:
        for path in own:
            _claim_own(reader, source, path)


def _paths_of(source: MetricSource, sides: SideFiles) -> list[str]:
    """Where a side file lies, of several the oldest name first: what is logged later counts more."""
    if "{" in source.path:
        return []
    if source.place == "below":
        start = len(sides.folder) + 1 if sides.folder else 0
        return sorted(path for path in sides.below if glob_matches(source.path, path[start:]))
    held = sides.beside if source.place == "beside" else sides.above
    if source.path in held:
        return [held[source.path]]
    return [held[name] for name in sorted(held) if glob_matches(source.path, name)] if "*" in source.path else []


def _claim_each(reader: SourceReader, source: MetricSource, own: Sequence[str]) -> None:
    """From a file of its own beside each checkpoint, named by its numbers or its name."""
    held = reader.sides.beside if source.place == "beside" else reader.sides.above
    for path in own:
        it = reader.claims.held[path]
        name = source.path.format(epoch=it.epoch, step=it.step, name=it.path.rpartition("/")[2])
        if name in held:
            _claim_rows(reader, source, [path], _read(reader, held[name], source))


def _claim_history(reader: SourceReader, source: MetricSource, own: Sequence[str]) -> None:
    """From the newest, which tells of all before it; from each that it is silent on, or where times do not rise."""
    holders = {path: inside for path in own if (inside := _inside(reader.claims.held[path], source)) is not None}
    ordered = in_save_order(reader.claims.held[path] for path in holders)
    paths = {it.path: path for path, it in reader.claims.held.items()}
    times = [_time_of(reader.store, it, source) for it in ordered]
    silent = list(holders)
    if ordered and all(one <= other for one, other in pairwise(times)):
        newest = paths[ordered[-1].path]
        told = _claim_rows(reader, source, silent, _read(reader, holders[newest], source))
        silent = [path for path in silent if path not in told and path != newest]
    for path in silent:
        _claim_own(reader, source, path)


def _time_of(store: ReadStore, checkpoint: Checkpoint, source: MetricSource) -> int:
    """When a checkpoint's own file was written; 0 where nobody can tell."""
    entry = checkpoint.find(source.path)
    try:
        known = entry if entry is None or entry.modified is not None else store.stat(entry.path)
    except OSError:
        return 0
    return (known.modified if known else None) or 0


def _inside(checkpoint: Checkpoint, source: MetricSource) -> str | None:
    """The path of a source in a checkpoint; None where it has none."""
    if not source.path:
        return checkpoint.entries[0].path if checkpoint.entries[0].kind == "file" else None
    name = source.path.format(name=checkpoint.path.rpartition("/")[2]) if "{" in source.path else source.path
    return f"{checkpoint.path}/{name}" if checkpoint.has(name) else None


def _claim_own(reader: SourceReader, source: MetricSource, path: str) -> None:
    """From the checkpoint itself; from inside weights only what nothing cheaper told."""
    checkpoint = reader.claims.held[path]
    inside = _inside(checkpoint, source)
    if inside is None or checkpoint.state in {"partial", "damaged"}:
        return
    if source.format == "torch" and not reader.is_exact and not _is_wanting(reader.claims, path):
        return
    _claim_rows(reader, source, [path], _read(reader, inside, source))


def _is_wanting(claims: ScoreClaims, path: str) -> bool:
    """Whether a checkpoint has no metric yet, or no number to be ordered by."""
    it = claims.held[path]
    has_metric = any(name not in COUNTERS for name in (*it.metrics, *claims.by_path.get(path, ())))
    return not has_metric or not it.is_numbered


def _claim_rows(reader: SourceReader, source: MetricSource, own: Sequence[str], rows: Sequence[Row]) -> set[str]:
    """Claim what rows say of checkpoints; returns the paths of those that they tell of."""
    if not rows:
        return set()
    table = _tabulate(rows, source) if source.column else None
    merged = {} if source.column else {column: said for row in rows for column, said in row.items()}
    if source.offset > 0 and table is not None and 0 in table:  # some releases counted from 0
        source = source._replace(offset=source.offset - 1)
    told = set()
    names: dict[str, str | None] = {}
    for path in own:
        row = merged if table is None else _find_row(reader.claims.held[path], table, source)
        if row is not None:
            _enter(reader.claims, path, row, source, names)
            told.add(path)
    return told


def _tabulate(rows: Sequence[Row], source: MetricSource) -> dict[object, dict[str, str | float]]:
    """Rows by what their column says; of several about one the later counts, cell by cell."""
    table: dict[object, dict[str, str | float]] = {}
    columns = source.column.split("|")
    for row in rows:
        said = next((row[column] for column in columns if column in row), None)
        key: str | float | None = number_of(said)
        if source.by == "name":
            key = said.rstrip("/").rpartition("/")[2] if isinstance(said, str) else None
        if isinstance(key, str) or (key is not None and isfinite(key)):
            table.setdefault(key, {}).update(row)
    return table


def _find_row(
    checkpoint: Checkpoint, table: Mapping[object, Mapping[str, str | float]], source: MetricSource
) -> Mapping[str, str | float] | None:
    """The row about a checkpoint: the exact one, else the nearest before it within reach."""
    if source.by == "name":
        name = checkpoint.path.rpartition("/")[2]
        names = [name, *(it.path.rpartition("/")[2] for it in checkpoint.tops)]
        return next((table[it] for it in names if it in table), None)
    own = {"step": checkpoint.step, "epoch": checkpoint.epoch, "index": checkpoint.counter}[source.by]
    if own is None:
        return None
    wanted = own + source.offset
    if wanted in table or not source.reach:
        return table.get(wanted)
    near = [it for it in table if isinstance(it, (int, float)) and 0 <= wanted - it <= source.reach]
    return table[max(near)] if near else None


def _enter(claims: ScoreClaims, path: str, row: Row, source: MetricSource, names: dict[str, str | None]) -> None:
    """Claim a row's metrics, and give the checkpoint its numbers where its name has none.

    ``names`` remembers what the columns are called, None for those that are no metrics: rows repeat their columns.
    """
    origin = _ORIGINS[source.format]
    for column, said in row.items():
        name = names[column] if column in names else names.setdefault(column, _name_of(column, source))
        value = number_of(said) if name is not None else None
        if name is not None and value is not None and name not in claims.by_path.get(path, ()):
            claims.claim(path, name, Score(value, said if isinstance(said, str) else None, origin))
    numbers = {key: number_of(row.get(column)) for key, column in source.numbers.items()}
    claims.number(path, epoch=numbers.get("epoch"), step=numbers.get("step"))


def _name_of(column: str, source: MetricSource) -> str | None:
    """What a column is called as a metric; None where it is none."""
    if column in source.names:
        return source.names[column]
    name = column.removeprefix(source.front)
    is_other = not column.startswith(source.front) or column in {*source.column.split("|"), *source.numbers.values()}
    if is_other or column in COUNTERS or name in COUNTERS or (source.take == ("*",) and source.names):
        return None
    return name if _is_taken(name, source.take, source.leave) else None


@lru_cache(512)  # every run of a training names its columns alike
def _is_taken(name: str, take: tuple[str, ...], leave: tuple[str, ...]) -> bool:
    return any(glob_matches(glob, name) for glob in take) and not any(glob_matches(glob, name) for glob in leave)


def number_of(said: str | float | None) -> float | None:
    """A cell's number, whole where it is whole; None where it is none."""
    if said is None:
        return None
    try:
        number = float(said)
    except (ValueError, OverflowError):
        return None
    return int(number) if isfinite(number) and number == int(number) else number


# What training recorded to rank by -----------------------------------------------------------------------------------


def read_recorded(reader: SourceReader, layouts: Iterable[Layout]) -> tuple[str | None, Mode | None]:
    """The monitor and the mode that training noted; None for what it did not, or where nobody needs to ask."""
    if not reader.is_sure and _is_plain(reader.claims):
        return None, None
    for layout, spec in ((it, spec) for it in layouts for spec in it.recorded):
        own = in_save_order(it for it in reader.claims.held.values() if it.layout == layout.name)
        path = _place_of(spec, own, reader.sides)
        said = _read_noted(reader, path, spec) if path is not None else None
        if said is not None:
            return said
    return None, None


def _is_plain(claims: ScoreClaims) -> bool:
    """Whether there is one metric, whose name says which way is better."""
    named = [*(it.metrics for it in claims.held.values()), *claims.by_path.values()]
    metrics = {name for names in named for name in names} - COUNTERS
    return len(metrics) == 1 and infer_mode(next(iter(metrics))) is not None


def _place_of(spec: RecordedMetric, own: Sequence[Checkpoint], sides: SideFiles) -> str | None:
    if spec.place == "inside":
        inside = (f"{it.path}/{spec.path}" for it in reversed(own) if it.has(spec.path))
        return next(inside, None)
    held = sides.beside if spec.place == "beside" else sides.above
    return next((held[name] for name in sorted(held) if glob_matches(spec.path, name)), None)


def _read_noted(reader: SourceReader, path: str, spec: RecordedMetric) -> tuple[str | None, Mode | None] | None:
    said = try_read(reader.claims, path, lambda: _read_keys(reader.store, path, spec))
    if said is None:
        return None
    monitor, mode = said
    if monitor is not None and not monitor.startswith(spec.prefix):
        monitor = spec.prefix + monitor
    return monitor, spec.modes.get(mode or "")


def _read_keys(store: ReadStore, path: str, spec: RecordedMetric) -> tuple[str | None, str | None]:
    if spec.format == "torch":
        from ckptctl.scan.metrics.inside import read_attributes

        with store.open(path) as source:
            held: Mapping[str, object] = read_attributes(source)
    else:
        reader, data = import_module(f"ckptctl.readers.{spec.format}"), read_whole(store, path, MOST_BYTES)
        held = {keys: reader.field(data, keys) for keys in (spec.monitor, spec.mode) if keys}
    monitor, mode = held.get(spec.monitor), held.get(spec.mode)
    return (monitor if isinstance(monitor, str) and monitor else None), (None if mode is None else str(mode).lower())


# Reading -------------------------------------------------------------------------------------------------------------


def _read(reader: SourceReader, path: str, source: MetricSource) -> list[Row]:
    def read() -> list[Row]:
        if source.format == "torch":
            from ckptctl.scan.metrics.inside import read_rows

            with reader.store.open(path) as opened:
                return list(read_rows(opened, source.rows))
        module = import_module(f"ckptctl.readers.{source.format}")
        return list(module.read_rows(read_whole(reader.store, path, MOST_BYTES), source.rows))

    return try_read(reader.claims, path, read) or []
