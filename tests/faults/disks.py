"""Small disks of our own, to fill, to fail and to cut the power of."""

from __future__ import annotations

import os
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

NOBODY = 65534
_SHUTDOWN, _WITHOUT_FLUSH = 0x8004587D, 2
"""FS_IOC_SHUTDOWN of ext4 and others, and its argument that throws away what is not on the disk yet."""


@contextmanager
def mounted(place: Path, *words: str) -> Iterator[Path]:
    """Mount something at a new folder meanwhile."""
    place.mkdir(exist_ok=True)
    subprocess.run(["mount", *words, place], check=True, capture_output=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True, capture_output=True)


def make_image(path: Path, megabytes: int = 8) -> Path:
    """A file with an empty ext4 in it."""
    with path.open("wb") as file:
        file.truncate(megabytes << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", path], check=True, capture_output=True)
    return path


def cut_power(folder: str) -> None:
    """Stop a file system at once: nothing more gets to the disk."""
    from fcntl import ioctl

    opened = os.open(folder, os.O_RDONLY)
    try:
        ioctl(opened, _SHUTDOWN, struct.pack("I", _WITHOUT_FLUSH))
    finally:
        os.close(opened)


def fill(folder: Path) -> None:
    """Fill a disk to its last byte, and to its last file, as the user who runs this."""
    with suppress(OSError), (folder / "filler").open("wb", buffering=0) as file:
        for size in (1 << 20, 4096, 512, 1):
            _write_until_full(file.fileno(), size)
    with suppress(OSError):
        for number in range(100_000):
            (folder / f"empty-{number}").touch()


def _write_until_full(writer: int, size: int) -> None:
    with suppress(OSError):
        while os.write(writer, bytes(size)):
            pass
