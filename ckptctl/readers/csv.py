"""``metrics.csv``: what Lightning's CSVLogger wrote. One row a logging call, most cells empty."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from ckptctl.errors import Damaged

MOST_BYTES = 256 << 20


class Cell(NamedTuple):
    """One logged value."""

    step: int | None
    """Counted from 0, as the logger does: one less than the step in a checkpoint's name (Lightning since 1.6)."""
    text: str
    value: float


Table = Mapping[str, Mapping[int, list[Cell]]]
"""Metric, then epoch, to the values logged in that epoch, in the order of logging."""


def read_metrics(data: bytes) -> Table:
    """The table by metric and epoch, without rows that have no epoch and cells that are no number; raises Damaged."""
    try:
        lines = data.decode().splitlines()
        rows = csv.DictReader(lines, strict=True)
        if "epoch" not in (rows.fieldnames or ()):
            raise Damaged("it has no column 'epoch'")
        return _collect(rows)
    except UnicodeDecodeError as error:
        raise Damaged(f"not text: byte {error.start} is not UTF-8") from error
    except csv.Error as error:
        raise Damaged(f"not CSV: {error}") from error


def _collect(rows: csv.DictReader[str]) -> Table:
    table: dict[str, dict[int, list[Cell]]] = {}
    for row in rows:
        epoch, step = _count(row.get("epoch")), _count(row.get("step"))
        if epoch is None:
            continue
        for name, text, value in _values(row):
            table.setdefault(name, {}).setdefault(epoch, []).append(Cell(step, text, value))
    return table


def _values(row: Mapping[str | None, object]) -> Iterator[tuple[str, str, float]]:
    """The logged values of a row: not its counters, not what is empty or no number, not what has no head."""
    for name, text in row.items():
        value = None if name in ("epoch", "step") else _number(text)
        if name is not None and isinstance(text, str) and value is not None:
            yield name, text, value


def _count(text: object) -> int | None:
    number = _number(text)
    return int(number) if number is not None and number.is_integer() else None


def _number(text: object) -> float | None:
    """A cell's number; None where it is empty, text, or one cell too many (a list)."""
    if not isinstance(text, str) or not text:
        return None
    try:
        return float(text)
    except ValueError:
        return None
