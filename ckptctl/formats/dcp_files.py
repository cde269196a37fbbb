"""Folders that ``torch.distributed.checkpoint`` writes: which files their ``.metadata`` says belong to them."""

from __future__ import annotations

from ckptctl.errors import Truncated
from ckptctl.formats.pickle.scan import STOP, walk

_SUFFIX = b".distcp"
_LONGEST_NAME = 4096
_TEXTS = frozenset(b"X\x8c\x8d")
"""The opcodes of text, UTF-8 written plainly. A text that comes up again is only referred to; the first is written."""


class _Bytes:
    """Bytes in memory, to be read by position."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.size = len(content)

    def read(self, offset: int, length: int) -> bytes:
        return self.content[offset : offset + length]


def names_in(metadata: bytes) -> frozenset[str]:
    """The ``.distcp`` files that a ``.metadata`` names, relative to its folder, parts joined by ``/``.

    Every text of the pickle is looked at, so none is missed. A rank that had nothing to write has no file and is not
    named. Raises Damaged for what is no whole pickle.
    """
    found: set[bytes] = set()
    is_whole = False
    for item in walk(_Bytes(metadata), most=len(metadata) + 1):
        is_whole = item.opcode == STOP and item.start == len(metadata)
        end = item.start + item.length
        if item.opcode in _TEXTS and item.length <= _LONGEST_NAME and metadata.endswith(_SUFFIX, item.start, end):
            found.add(metadata[item.start : end])
    if not is_whole:
        raise Truncated("cut short: a pickle without its end, or with more behind it")
    return frozenset(str(text, "utf-8", "surrogatepass") for text in found)
