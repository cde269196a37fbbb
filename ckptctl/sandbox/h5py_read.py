"""Numbers of an HDF5 dataset that lie in packed chunks, or in chunks of a newer form, unpacked by h5py.

    with closing(Unpacker(source)) as unpacker:
        for chunk in unpacker.stream("layers/dense/kernel", width=4, length=4096):
            …                               bytes as they are in the file, the last axis fastest

HDF5's library reads untrusted bytes in C, so it does that in a process of its own: ``h5py_child.py``, which opens
nothing, and is handed the file piece by piece. What ends that process, or what it says nothing about for long, is a
fault of the file, and the next dataset gets a new process.
"""

from __future__ import annotations

import os
import select
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from importlib.machinery import PathFinder
from typing import IO, cast

from ckptctl.errors import Damaged
from ckptctl.formats.zip import ByteSource
from ckptctl.sandbox.h5py_worker import number
from ckptctl.sandbox.process import find_code, spawn

_SECONDS = 120
"""That the process may say nothing."""
_LARGEST = 8 << 20
"""Bytes of one message."""
_MOST_STARTS = 5
"""Processes for one file: where so many broke down, the next will, too."""
MOST_TIMES = 1100
"""How often as long numbers may be as the file that holds them: deflate packs no closer."""
_MOST_READS = 4
_SPARE = 64 << 20
"""How often all of the file, and so many bytes beside, may be asked for before the next numbers come."""
_SETTINGS = {"OPENBLAS_NUM_THREADS": "1", "HDF5_PLUGIN_PRELOAD": "::"}
"""No threads that are not needed, and no plug-ins of HDF5."""

_MISSING = "its chunks are packed: pip install 'ckptctl[hdf5]' brings what unpacks them"
_OTHER = "h5py finds other numbers than the header tells of"
_BROKEN = "what unpacks its chunks broke down"


class Unpacker:
    """A process that unpacks datasets of one file, started when the first is asked for."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._child: _Child | None = None
        self._starts = 0

    def stream(self, dataset: str, width: int, length: int) -> Iterator[bytes]:
        """All numbers of a dataset; ``width``: bytes of one, ``length``: bytes of all.

        Raises Damaged, with the id ``not-read`` where it cannot be unpacked here at all; OSError.
        """
        if length > MOST_TIMES * self._source.size:
            raise Damaged("its numbers would be a thousand times as long as the file", id="not-read")
        is_done = False
        try:
            child = self._child or self._start()
            name = dataset.encode()
            child.send(number(width) + number(len(name)) + name)
            left = length
            for part in self._answer(child):
                left -= len(part)
                _require(is_right=left >= 0, text=_OTHER)
                yield part
            _require(is_right=left == 0, text=_OTHER)
            is_done = True
        finally:
            if not is_done:  # it may be about to say something: the next one asks another
                self.close()

    def _start(self) -> _Child:
        if PathFinder.find_spec("h5py", find_code()) is None or self._starts == _MOST_STARTS:
            raise Damaged(_MISSING if not self._starts else _BROKEN, id="not-read")
        self._starts += 1
        child = self._child = _Child()
        if child.receive(1) != b".":
            raise Damaged("its chunks are packed, and h5py, which would unpack them, cannot be imported", id="not-read")
        child.send(number(self._source.size))
        for _ in self._answer(child):
            raise Damaged(_BROKEN)
        return child

    def close(self) -> None:
        """End the process, whatever it does."""
        child, self._child = self._child, None
        if child is not None:
            child.end()

    def _answer(self, child: _Child) -> Iterator[bytes]:
        """What the process says of a dataset, while it is handed what it asks for of the file."""
        left = _MOST_READS * self._source.size + _SPARE
        while (word := child.receive(1)) != b".":
            first = child.receive_number()
            if word == b"r":
                left -= self._hand_over(child, first, child.receive_number())
                _require(is_right=left >= 0, text=_BROKEN)
            elif word == b"d":
                left = _MOST_READS * self._source.size + _SPARE
                yield child.receive(first)
            else:
                raise Damaged(f"h5py cannot read it: {child.receive(first).decode('utf-8', 'replace')!a}")

    def _hand_over(self, child: _Child, offset: int, length: int) -> int:
        """Give the process what it asked for; how many bytes that were."""
        data = self._source.read(offset, min(length, _LARGEST)) if offset < self._source.size else b""
        child.send(number(len(data)) + data)
        return len(data)


class _Child:
    """The process, and what is said to it and heard from it."""

    def __init__(self) -> None:
        self._process = spawn(
            "ckptctl.sandbox.h5py_worker", stdin=subprocess.PIPE, stdout=subprocess.PIPE, variables=_SETTINGS
        )
        self._to = cast("IO[bytes]", self._process.stdin)
        self._from = cast("IO[bytes]", self._process.stdout)
        self._waiting = select.poll()
        self._waiting.register(self._from, select.POLLIN)

    def end(self) -> None:
        """Kill it, and wait until it is gone."""
        self._process.kill()
        with suppress(BrokenPipeError):
            self._process.communicate()

    def send(self, data: bytes) -> None:
        """Say something; to one that has ended it is said in vain."""
        with suppress(BrokenPipeError):  # what it said, or that it says nothing, tells why
            self._to.write(data)
            self._to.flush()

    def receive_number(self) -> int:
        """A length or an offset; raises Damaged as ``receive`` does."""
        return int.from_bytes(self.receive(8), "little")

    def receive(self, length: int) -> bytes:
        """So many bytes; raises Damaged where it ended, said nothing for long, or talks nonsense."""
        _require(is_right=length <= _LARGEST, text=_BROKEN)
        held = b""
        while len(held) < length:
            is_there = self._waiting.poll(1000 * _SECONDS)
            _require(is_right=bool(is_there), text=f"what unpacks its chunks said nothing for {_SECONDS} seconds")
            part = os.read(self._from.fileno(), length - len(held))
            _require(is_right=bool(part), text=_BROKEN)
            held += part
        return held


def _require(*, is_right: bool, text: str) -> None:
    if not is_right:
        raise Damaged(text)
