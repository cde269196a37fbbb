"""The kind of a file from its head and its tail: nothing is executed, no framework imported, 64 kB read at most.

    sniffed = sniff(source, "model_3.pt")
    sniffed.kind in NOT_CHECKPOINT

It says what a file holds, not that it is intact: that is for quick_check and the readers of whole formats.
"""

from __future__ import annotations

from ckptctl.formats.sniff.heads import sniff_source
from ckptctl.formats.sniff.kinds import IS_CHECKPOINT, NOT_CHECKPOINT, Kind, Sniffed
from ckptctl.formats.zip import ByteSource

__all__ = ["IS_CHECKPOINT", "NOT_CHECKPOINT", "Kind", "Sniffed", "sniff"]


def sniff(source: ByteSource, name: str = "") -> Sniffed:
    """The kind of a file; raises OSError alone. By ``name`` alone a text is told from a checkpoint that holds text."""
    return sniff_source(source, name)
