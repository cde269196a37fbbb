"""Stopping a process, or failing it, at one system call: strace counts them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from tests.faults.acting import BEGUN
from tests.faults.scenes import Scene, make, started

CHANGES = (
    *("mkdir", "mkdirat", "write", "pwrite64", "fdatasync", "fsync", "fallocate", "rename", "renameat", "renameat2"),
    *("unlink", "unlinkat", "rmdir", "link", "linkat", "symlinkat", "utimensat", "fcntl", "flock"),
)
"""What changes a disk, or keeps others from it: between two of these, every moment is alike."""
LOOKS = ("openat", "close", "newfstatat", "fstat", "getdents64", "lseek", "readlinkat")


class Point(NamedTuple):
    """One system call of an act: the Nth of its name since the process began."""

    call: str
    number: int


def points_of(root: Path, scene: Scene, trace: Path, calls: Iterable[str] = CHANGES) -> list[Point]:
    """The system calls of a clean run from where the act begins; those that make a file always."""
    make(root, scene)
    names = ",".join(f"?{call}" for call in {*calls, "openat", "newfstatat"})
    child = started(root, scene.act, "strace", "-qq", "-o", str(trace), "-e", f"trace={names}")
    said, failed = child.communicate()
    assert child.returncode == 0, failed
    assert len(said.splitlines()) <= 1, said
    return list(_read(trace, set(calls)))


def _read(trace: Path, calls: set[str]) -> Iterator[Point]:
    counts: Counter[str] = Counter()
    has_begun = False
    for line in trace.read_text(errors="replace").splitlines():
        found = re.match(r"(\w+)\(", line)
        if found is None:
            continue
        counts[found[1]] += 1
        if has_begun and (found[1] in calls or "O_CREAT" in line):
            yield Point(found[1], counts[found[1]])
        has_begun |= BEGUN in line


def ran_until(root: Path, scene: Scene, point: Point, fault: str) -> tuple[int, str, str]:
    """Run the act with a fault at one point, ``signal=SIGKILL`` or ``error=EIO``: its code, answer and complaints."""
    inject = f"inject={point.call}:{fault}:when={point.number}"
    words = ("-qq", "-o", "/dev/null", "-f", "-e", f"trace={point.call}", "-e", inject)
    child = started(root, scene.act, "strace", *words)
    said, failed = child.communicate()
    return child.returncode, said, failed
