"""What becomes of processes that others started."""

from __future__ import annotations

from pathlib import Path
from time import monotonic, sleep


def is_gone(pid: int, *, seconds: float = 60) -> bool:
    """Whether a process ends in time; one that nobody has asked for its end counts as gone."""
    until = monotonic() + seconds
    while _is_there(pid) and monotonic() < until:
        sleep(0.02)
    return not _is_there(pid)


def _is_there(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in ("Z", "X")
