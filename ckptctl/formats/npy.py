"""``.npy``: one array of numpy. Its header is read by pattern; nothing is evaluated."""

from __future__ import annotations

from math import prod

from ckptctl.errors import Damaged
from ckptctl.formats.contents import BITS, Contents, FileSet, Storage
from ckptctl.formats.flaws import Flaw
from ckptctl.formats.npz import MOST_HEADER, make_tensor, parse_header
from ckptctl.formats.pickle.allowlist import list_globals
from ckptctl.formats.pickle.reader import read_pickles
from ckptctl.formats.pickle.vm import LIMITS
from ckptctl.formats.torch_contents import warn_oddities
from ckptctl.formats.zip import ByteSource


def read(source: ByteSource, name: str, files: FileSet, *, placed: bool) -> Contents:  # noqa: ARG001 - as all of them
    """The contents; raises Damaged, OSError."""
    header = parse_header(source.read(0, MOST_HEADER), "the file")
    if header is None:
        raise Damaged("it has no plain header of numpy", id="not-read")
    length = source.size - header.end
    if header.is_pickled and length > LIMITS.data:
        raise Damaged(f"{length:,} bytes of pickle are more than the {LIMITS.data:,} that are read", id="not-read")
    pickles = read_pickles(source.read(header.end, length)) if header.is_pickled else []
    expected = prod(header.shape) * BITS.get(header.dtype, 0) // 8
    flaws = list(warn_oddities(pickles))
    if expected > length:
        flaws.append(Flaw("cut-short", f"cut short: {length:,} of {expected:,} bytes", name))
    tensor = make_tensor(name.removesuffix(".npy"), header, name)
    storages = {name: Storage(name, header.end, length)}
    return Contents("npy", (tensor,), storages, globals=list_globals(pickles), flaws=tuple(flaws))
