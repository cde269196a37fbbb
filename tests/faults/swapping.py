"""Swaps a folder for a link that leads elsewhere, again and again, and counts: somebody else's process.

    python swapping.py PATH LINK COUNTS        LINK lies beside; it and PATH trade places, each time in one system call

COUNTS is a file of two numbers: how often it did, and one that another process sets to end it.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from time import monotonic, sleep

EXCHANGE = 2
"""Of renameat2."""
HELD, LEFT = 0.0008, 0.002
"""Seconds that the link stands there at most, and that the folder does."""
_HERE = -100
_LIBRARY = ctypes.CDLL(None, use_errno=True)
_END = 8


class Swapper:
    """A swapper at work."""

    def __init__(self, counts: mmap.mmap) -> None:
        self._counts = counts

    @property
    def swaps(self) -> int:
        """How often the link stood there so far."""
        return int(struct.unpack_from("q", self._counts)[0])


@contextmanager
def swapping(path: Path, target: Path, beside: Path) -> Iterator[Swapper]:
    """Let a path be swapped meanwhile for a link to ``target``; ``beside`` is a folder for what is aside."""
    link, counts = beside / "aside", beside / "counts"
    link.symlink_to(target)
    counts.write_bytes(bytes(16))
    with (
        counts.open("r+b") as file,
        mmap.mmap(file.fileno(), 16) as memory,
        subprocess.Popen([sys.executable, "-I", "-S", __file__, path, link, counts]) as child,
    ):
        try:
            yield Swapper(memory)
        finally:
            memory[_END] = 1
            assert child.wait(30) == 0
            del memory


def main(path: str, link: str, counts: str) -> None:
    """Swap until it is told to end, or nobody is there to tell."""
    parent, random = os.getppid(), Random(path)  # noqa: S311 - nothing is kept secret by it
    with open(counts, "r+b") as file, mmap.mmap(file.fileno(), 16) as memory:
        while not memory[_END] and os.getppid() == parent:
            if exchange(path, link):
                struct.pack_into("q", memory, 0, struct.unpack_from("q", memory)[0] + 1)
                wait(random.random() * HELD)
                put_back(path, link)
            wait(random.random() * LEFT)


def exchange(path: str, link: str) -> bool:
    """Let two names trade places in one step; whether they did."""
    names = os.fsencode(path), os.fsencode(link)
    return bool(_LIBRARY.renameat2(_HERE, names[0], _HERE, names[1], ctypes.c_uint(EXCHANGE)) == 0)


def put_back(path: str, link: str) -> None:
    """Trade back; the link may be on its way to somewhere for a moment, and its place may be taken for good."""
    until = monotonic() + 10
    while not exchange(path, link):
        if monotonic() > until:
            target = os.readlink(link) if os.path.islink(link) else None
            raise SystemExit(f"{path} cannot be put back: {target or 'it lies aside'}")


def wait(seconds: float) -> None:
    """Wait so long, awake if it is short."""
    if seconds > 0.0005:
        sleep(seconds)
        return
    until = monotonic() + seconds
    while monotonic() < until:
        pass


if __name__ == "__main__":
    main(*sys.argv[1:])
