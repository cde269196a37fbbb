"""Whether a checkpoint file is provably whole, from a few small reads and without a look at its weights.

Pickles are the exception: of those, all is read but texts and buffers.

The format is told by content, never by name. What is shown is that the file was written to its end; bytes that went bad
inside it are for ``verify`` to find.
"""

from __future__ import annotations

from typing import NamedTuple

from ckptctl.core.model import Note
from ckptctl.errors import Damaged, Truncated
from ckptctl.formats.zip import ByteSource, find_end

_HDF5 = b"\x89HDF\r\n\x1a\n"
_PICKLE = b"\x80"
"""How every pickle since protocol 2 begins, and so torch's files before 1.6."""
_NEWEST_PROTOCOL = b"\x05"
_USER_BLOCKS = (0, 512, 1024, 2048, 4096)
"""Where an HDF5 file may begin; longer user blocks are allowed, and not looked for."""
_SUPERBLOCK = 64
_HEAD = _USER_BLOCKS[-1] + _SUPERBLOCK
_BASES = {0: 24, 1: 28, 2: 12, 3: 12}
"""Version of the superblock to the offset of its addresses; the end of file is the third of them."""
_OPEN_FOR_WRITING = 1

_TABLE = b"\x57\xfb\x80\x8b\x24\x75\x47\xdb"
"""How a table of key and value ends (LevelDB's format, in which TensorFlow writes the index of a checkpoint)."""
_INDEX = rb"\0\0[\x06-\x7f]\x08[\x80-\xff]{0,4}[\x01-\x7f](?:\x10\x01)?\x1a\x02\x08"
"""How an index begins: an empty key, and how many shards, byte order and version as a protocol buffer."""
_SILENT_HEADS = (
    b"tree\n",  # LightGBM
    b"{",  # JSON, and UBJSON as XGBoost writes it
    b"\x1f\x8b",  # gzip
    b"\x28\xb5\x2f\xfd",  # zstandard
    b"\xfd7zXZ\0",
    b"BZh",
    b"\x04\x22\x4d\x18",  # lz4
)
_JOBLIB = b"joblib.numpy_pickle"
_JOBLIB_WITHIN = 1 << 20

_LONGEST_HEADER = 32 << 20
"""Bytes of a safetensors header that are read; the format allows 100 MB."""


class WholeFileProof(NamedTuple):
    """What could be shown of a file."""

    whole: bool | None
    """True where it is shown to be complete, False where it is shown not to be; None where neither can be shown."""
    why: Note | None
    """None where it is whole."""


_WHOLE = WholeFileProof(whole=True, why=None)
_SILENT = WholeFileProof(whole=None, why=Note("silent-format"))


def prove_whole(source: ByteSource) -> WholeFileProof:
    """Tell whether a file was written to its end; raises OSError.

    Zip (torch, Keras, npz, Stable-Baselines3), torch before 1.6, pickles (Paddle), HDF5, safetensors and the index of
    TensorFlow say it. Models as text or JSON (LightGBM, XGBoost) and what is compressed do not: that is no doubt. But
    that a file is in no known format is one.
    """
    if source.size == 0:
        return WholeFileProof(whole=False, why=Note("empty-file"))
    head = source.read(0, _HEAD)
    if head[:4] == b"PK\x03\x04":
        return _prove_zip(source)
    for start in _USER_BLOCKS:
        if head[start : start + len(_HDF5)] == _HDF5:
            return _prove_hdf5(source, head[start : start + _SUPERBLOCK])
    if head[8:9] == b"{":
        return _prove_safetensors(source, int.from_bytes(head[:8], "little"))
    if not any(head):  # what a crash leaves of a file whose blocks had not been written yet
        return WholeFileProof(whole=False, why=Note("zeros"))
    if head[:1] == _PICKLE and head[1:2] <= _NEWEST_PROTOCOL:
        return _prove_pickles(source, head)
    return _prove_index(source, head)


def _prove_index(source: ByteSource, head: bytes) -> WholeFileProof:
    """Of a table as TensorFlow's index is one; of all else, that nothing can be proved."""
    import re

    if source.read(max(0, source.size - len(_TABLE)), len(_TABLE)) == _TABLE:
        return _WHOLE
    if re.match(_INDEX, head, re.DOTALL):
        return WholeFileProof(whole=False, why=Note("footer-missing"))
    return _SILENT if head.startswith(_SILENT_HEADS) else WholeFileProof(whole=None, why=Note("unknown-format"))


def _prove_pickles(source: ByteSource, head: bytes) -> WholeFileProof:
    """Of torch's format from before 1.6, and of any other pickle."""
    from ckptctl.formats.torch_legacy import is_legacy, open_legacy, verify_counts

    if not is_legacy(head):
        return _prove_pickle(source)
    try:
        file = open_legacy(source)
    except Damaged as error:
        whole = False if isinstance(error, Truncated) else None
        return WholeFileProof(whole, Note("malformed", why=error.text))
    proof = _compare(source.size, file.end)
    if proof.whole and not verify_counts(file):
        return WholeFileProof(whole=None, why=Note("storages-elsewhere"))
    return proof


def _prove_pickle(source: ByteSource) -> WholeFileProof:
    """Of a file that is one pickle; what is no such, or too long to walk, does not say where it ends."""
    from ckptctl.formats.pickle.scan import find_ends

    try:
        ends = find_ends(source)
    except Damaged:
        return _SILENT
    if ends:
        return _WHOLE if ends == [source.size] else _SILENT
    if _JOBLIB in source.read(0, _JOBLIB_WITHIN):  # it writes arrays into the midst of a pickle, as bare bytes
        return _SILENT
    return WholeFileProof(whole=False, why=Note("pickle-end-missing"))


def _prove_zip(source: ByteSource) -> WholeFileProof:
    try:
        end = find_end(source)
    except Damaged as error:
        return WholeFileProof(whole=None, why=Note("malformed", why=error.text))
    if end is None:
        return WholeFileProof(whole=False, why=Note("end-record-missing"))
    expected = end.directory + end.length + source.size - end.start
    if expected > source.size:
        return _cut_short(source.size, expected)
    if expected < source.size:
        return WholeFileProof(whole=None, why=Note("several-archives"))
    if end.members and source.read(end.directory, 4) != b"PK\x01\x02":
        return WholeFileProof(whole=None, why=Note("zip-directory"))
    return _WHOLE


def _prove_hdf5(source: ByteSource, superblock: bytes) -> WholeFileProof:
    if len(superblock) < _SUPERBLOCK:
        return WholeFileProof(whole=False, why=Note("superblock-cut"))
    version = superblock[8]
    if version not in _BASES:
        return WholeFileProof(whole=None, why=Note("superblock-version", version=version))
    width = superblock[9 if version > 1 else 13]
    at = _BASES[version] + 2 * width
    address = superblock[at : at + width]
    if width not in (2, 4, 8) or address == b"\xff" * width:
        return WholeFileProof(whole=None, why=Note("superblock-end"))
    if version == 3 and superblock[11] & _OPEN_FOR_WRITING:  # noqa: PLR2004 - the first version that has the flag
        return WholeFileProof(whole=None, why=Note("not-closed"))
    return _compare(source.size, int.from_bytes(address, "little"))


def _prove_safetensors(source: ByteSource, length: int) -> WholeFileProof:
    import re

    if not 2 <= length <= _LONGEST_HEADER:  # noqa: PLR2004 - a pair of braces
        return _SILENT
    header = source.read(8, length)
    if len(header) < length:
        return WholeFileProof(whole=False, why=Note("header-cut"))
    if not header.rstrip().endswith(b"}"):
        return WholeFileProof(whole=None, why=Note("safetensors-header"))
    # Where tensors end, behind the header: quotes inside JSON texts are escaped, so only real keys match.
    ends = re.findall(rb'"data_offsets"\s*:\s*\[\s*[0-9]{1,19}\s*,\s*([0-9]{1,19})\s*\]', header)
    return _compare(source.size, 8 + length + max(map(int, ends), default=0))


def _compare(size: int, expected: int) -> WholeFileProof:
    if size < expected:
        return _cut_short(size, expected)
    if size > expected:
        return WholeFileProof(whole=None, why=Note("too-long"))
    return _WHOLE


def _cut_short(size: int, expected: int) -> WholeFileProof:
    return WholeFileProof(whole=False, why=Note("cut-short", size=size, expected=expected))
