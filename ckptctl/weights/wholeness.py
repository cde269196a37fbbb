"""Whether a checkpoint file is provably whole, from two to four small reads and without a look at its weights.

The format is told by content, never by name. What is shown is that the file was written to its end; bytes that went bad
inside it are for ``verify`` to find.
"""

from __future__ import annotations

from typing import NamedTuple

from ckptctl.errors import Damaged
from ckptctl.weights.zip_archive import Source, find_end

_HDF5 = b"\x89HDF\r\n\x1a\n"
_PICKLE = b"\x80"
"""How every pickle since protocol 2 begins, and so torch's files before 1.6."""
_USER_BLOCKS = (0, 512, 1024, 2048, 4096)
"""Where an HDF5 file may begin; longer user blocks are allowed, and not looked for."""
_SUPERBLOCK = 64
_HEAD = _USER_BLOCKS[-1] + _SUPERBLOCK
_BASES = {0: 24, 1: 28, 2: 12, 3: 12}
"""Version of the superblock to the offset of its addresses; the end of file is the third of them."""
_OPEN_FOR_WRITING = 1

_LONGEST_HEADER = 32 << 20
"""Bytes of a safetensors header that are read; the format allows 100 MB."""


class Proof(NamedTuple):
    """What could be shown of a file."""

    whole: bool | None
    """True where it is shown to be complete, False where it is shown not to be; None where neither can be shown."""
    why: str | None
    """A few words; None where it is whole."""


_WHOLE = Proof(whole=True, why=None)


def prove(source: Source) -> Proof:
    """Tell whether the file was written to its end: zip (torch, Keras, npz), HDF5 and safetensors; raises OSError.

    That a file is in none of these formats, nor a pickle, is a doubt with a reason.
    """
    if source.size == 0:
        return Proof(whole=False, why="empty file")
    head = source.read(0, _HEAD)
    if head[:4] == b"PK\x03\x04":
        return _prove_zip(source)
    for start in _USER_BLOCKS:
        if head[start : start + len(_HDF5)] == _HDF5:
            return _prove_hdf5(source, head[start : start + _SUPERBLOCK])
    if head[8:9] == b"{":
        return _prove_safetensors(source, int.from_bytes(head[:8], "little"))
    if not any(head):  # what a crash leaves of a file whose blocks had not been written yet
        return Proof(whole=False, why="it begins with nothing but zeros")
    if head[:1] != _PICKLE:
        return Proof(whole=None, why="in no format that is known")
    return Proof(whole=None, why="its format does not say where it ends")


def _prove_zip(source: Source) -> Proof:
    try:
        end = find_end(source)
    except Damaged as error:
        return Proof(whole=None, why=error.text)
    if end is None:
        return Proof(whole=False, why="cut short: end record missing")
    expected = end.directory + end.length + source.size - end.start
    if expected > source.size:
        return _cut_short(source.size, expected)
    if expected < source.size:
        return Proof(whole=None, why="several archives behind each other, or bytes before the first")
    if end.members and source.read(end.directory, 4) != b"PK\x01\x02":
        return Proof(whole=None, why="zip: its directory is broken")
    return _WHOLE


def _prove_hdf5(source: Source, superblock: bytes) -> Proof:
    if len(superblock) < _SUPERBLOCK:
        return Proof(whole=False, why="cut short inside its superblock")
    version = superblock[8]
    if version not in _BASES:
        return Proof(whole=None, why=f"HDF5: superblock version {version} is unknown")
    width = superblock[9 if version > 1 else 13]
    at = _BASES[version] + 2 * width
    address = superblock[at : at + width]
    if width not in (2, 4, 8) or address == b"\xff" * width:
        return Proof(whole=None, why="HDF5: its superblock does not say where it ends")
    if version == 3 and superblock[11] & _OPEN_FOR_WRITING:  # noqa: PLR2004 - the first version that has the flag
        return Proof(whole=None, why="HDF5: it was not closed by its writer")
    return _compare(source.size, int.from_bytes(address, "little"))


def _prove_safetensors(source: Source, length: int) -> Proof:
    if not 2 <= length <= _LONGEST_HEADER:  # noqa: PLR2004 - a pair of braces
        return Proof(whole=None, why="its format does not say where it ends")
    header = source.read(8, length)
    if len(header) < length:
        return Proof(whole=False, why="cut short inside its header")
    if not header.rstrip().endswith(b"}"):
        return Proof(whole=None, why="safetensors: its header is broken")
    return _compare(source.size, 8 + length + _find_last_offset(header))


def _find_last_offset(header: bytes) -> int:
    """Where the last tensor ends, behind the header. Quotes inside JSON texts are escaped, so only real keys match."""
    import re

    ends = re.findall(rb'"data_offsets"\s*:\s*\[\s*[0-9]{1,19}\s*,\s*([0-9]{1,19})\s*\]', header)
    return max(map(int, ends), default=0)


def _compare(size: int, expected: int) -> Proof:
    if size < expected:
        return _cut_short(size, expected)
    if size > expected:
        return Proof(whole=None, why="longer than it says itself")
    return _WHOLE


def _cut_short(size: int, expected: int) -> Proof:
    from ckptctl.core.units import write_size

    return Proof(whole=False, why=f"cut short: {write_size(size)} of {write_size(expected)}")
