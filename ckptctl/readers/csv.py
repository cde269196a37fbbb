"""Tables: ``metrics.csv`` of Lightning's CSVLogger (one row a logging call, most cells empty), and those of others."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from ckptctl.errors import Damaged

if TYPE_CHECKING:
    from ckptctl.readers.json import Row

MOST_BYTES = 256 << 20


class LoggedValue(NamedTuple):
    """One logged value."""

    step: int | None
    """Counted from 0, as the logger does: one less than the step in a checkpoint's name (Lightning since 1.6)."""
    text: str
    value: float


Table = Mapping[str, Mapping[int, list[LoggedValue]]]
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


def read_rows(data: bytes, at: str = "") -> list[Row]:
    """The rows, each the cells that are not empty, as text, for the digits are the precision; raises Damaged.

    Cells and heads lose their padding (Ultralytics pads). There is nothing below a table: at any ``at`` are no rows.
    """
    try:
        text = _without_half_cell(data.replace(b"\0", b"")).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Damaged(f"not text: byte {error.start} is not UTF-8") from error
    head, *records = list(_records(list(io.StringIO(text, newline="")))) or [[]]
    # A resumed training may have written the head again.
    tables = (zip(head, cells, strict=False) for cells in records if cells != head and not at)
    rows: list[Row] = [{name: cell for name, cell in table if name and cell} for table in tables]
    return [row for row in rows if row]


def _without_half_cell(data: bytes) -> bytes:
    """The bytes without a cell that the file ends in: its line never ended, so the training did while writing it."""
    ended = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
    return data[:ended] + data[ended:].rpartition(b",")[0]


def _records(  # nested: lines, of a file that may be broken
    lines: list[str],
) -> Iterator[list[str]]:
    """The stripped cells of each line that has any; not of a last one that was cut short inside quotes."""
    reader = csv.reader(lines, strict=True, skipinitialspace=True)
    while (begun := reader.line_num) < len(lines):
        try:
            cells = [cell.strip() for cell in next(reader)]
        except csv.Error as error:
            if begun == len(lines) - 1 and not lines[begun].endswith(("\n", "\r")):
                return
            raise Damaged(f"not CSV: line {begun + 1}: {error}") from error
        if any(cells):
            yield cells


def _collect(rows: csv.DictReader[str]) -> Table:
    table: dict[str, dict[int, list[LoggedValue]]] = {}
    for row in rows:
        counts = [_number(row.get("epoch")), _number(row.get("step"))]
        epoch, step = (int(it) if it is not None and it.is_integer() else None for it in counts)
        if epoch is None:
            continue
        # Not its counters, not what is empty or no number, not what has no head (DictReader keeps that under None).
        cells = ((name, text, _number(text)) for name, text in row.items() if name not in ("epoch", "step", None))
        for name, logged in [(name, LoggedValue(step, text, it)) for name, text, it in cells if it is not None]:
            table.setdefault(name, {}).setdefault(epoch, []).append(logged)
    return table


def _number(text: object) -> float | None:
    """A cell's number; None where it is empty, text, or one cell too many (a list)."""
    if not isinstance(text, str) or not text:
        return None
    try:
        return float(text)
    except ValueError:
        return None
