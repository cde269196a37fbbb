"""Whether a file of any name is in a format that holds weights or runs code when loaded, by its head and its tail.

Ordinary files are passed over: texts, pictures, tables, arrays without objects, other programs' archives and data.
"""

from __future__ import annotations

import re

from ckptctl.formats.pickle.unmarked import calls_globals
from ckptctl.formats.sniff.heads import begins_as_weights, sniff_source
from ckptctl.formats.tar import is_tar, list_members
from ckptctl.formats.zip import ByteSource

_HEAD = 4096
_BEGINNINGS = re.compile(rb"PK\x03\x04|\x80[\x02-\x05]|\x93NUMPY|\x89HDF\r\n\x1a\n|.{4}\0{4}\{", re.DOTALL)
"""How every format that is looked into begins, but for tar and for pickles without their mark."""
_NOT_READ = frozenset({"other-hdf5", "tensorflow", "flax", "gguf"})
"""Kinds that are not looked into, or are other programs' data under other endings."""


def holds_weights(source: ByteSource, name: str = "") -> bool:
    """Whether a file is worth a look whatever its ending says; raises OSError."""
    head = source.read(0, _HEAD)
    if is_tar(head):
        return any(holds_weights(window, own) for own, window in list_members(source).items())
    if not _BEGINNINGS.match(head):
        return calls_globals(head)
    if head.startswith(b"\x93NUMPY"):
        return b"O'" in head.partition(b"}")[0]
    kind = sniff_source(source, name).kind
    if kind in ("broken", "unknown"):
        return begins_as_weights(head)
    return kind not in _NOT_READ
