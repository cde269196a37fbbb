"""Patterns for what torch's pickles are full of, so that a whole tensor takes one step.

They are loose, because compiling exact ones would take longer than sniffing ten files. What they miss is walked opcode
by opcode; a file made to fool them is taken for something else, and nothing worse.
"""

from __future__ import annotations

import re

_LONGEST_TEXT = 20
"""Bytes of a text that is stepped over within a run."""

_PUT = rb"(?:q.|r.{4}|\x94)?"
_PLAIN = rb"(?:h.|j.{4}|ctorch\._utils\n_rebuild_tensor_v\d\n)%b\(\(.{6,120}?t%bQ.{6,90}?\)R%bt%bR%b" % ((_PUT,) * 5)
"""``torch._utils._rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks)``."""

TENSOR = re.compile(_PLAIN, re.DOTALL)

_SHORT_TEXTS = b"|".join(b"\\x%02x\\0\\0\\0.{%d}" % (length, length) for length in range(_LONGEST_TEXT))
QUIET = re.compile(
    rb"(?:(" + _PLAIN + rb")|[)N\]}02\x88\x89\x85-\x87Rsab\x81\x8f\x93\x94]|[Khq].|M..|[Jjr].{4}|G.{8}"
    rb"|X(?:" + _SHORT_TEXTS + rb")|c[^\n]{1,80}\n[^\n]{1,80}\n){1,300}",
    re.DOTALL,
)
"""Opcodes that open and close nothing; its group took part where a tensor was among them."""
