"""How programs begin a pickle: other bytes may begin with the mark of its protocol by chance, texts with an opcode."""

from __future__ import annotations

import re

MARKED = re.compile(
    rb"\x80(?:[\x04\x05]\x95.{6}\0\0|.(?:[\]}]q\0|[\]}()]|c[A-Za-z_][\w.]*\n|X..\0\0|\x8c[\x01-\xff][A-Za-z_]))",
    re.DOTALL,
)
"""Protocols 2 to 5."""
UNMARKED = re.compile(
    rb"\(?[ci][A-Za-z_][\w.]*\n[A-Za-z_][\w.]*\n|\([dlt](?:p\d+\n|[q.\n])|\([\]}()K(]|[\]}][q(.\n\0]", re.DOTALL
)
"""Protocols 0 and 1."""
