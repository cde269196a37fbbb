"""Bare pickles: torch's format from before 1.6, and what others write (PaddlePaddle, detectron2's zoo, RLlib)."""

from __future__ import annotations

from functools import partial

from ckptctl.errors import Damaged
from ckptctl.formats.contents import Contents, FileSet, Flaw, Storage
from ckptctl.formats.pickle.reader import read_pickles
from ckptctl.formats.pickle.vm import LIMITS
from ckptctl.formats.torch import PickledFile, read_contents
from ckptctl.formats.torch_archive import DECODERS, PickledTensor
from ckptctl.formats.torch_legacy import is_legacy, open_legacy, scalar, verify_counts
from ckptctl.formats.zip import ByteSource

_HEAD = 32
_JOBLIB = b"joblib.numpy_pickle"


def read(source: ByteSource, name: str, files: FileSet, *, placed: bool) -> Contents:  # noqa: ARG001 - as all of them
    """The contents; raises Damaged, OSError."""
    if is_legacy(source.read(0, _HEAD)):
        return _read_legacy(source, name, placed=placed)
    if source.size > LIMITS.data:
        raise Damaged(f"{source.size:,} bytes of pickle are more than the {LIMITS.data:,} that are read", id="not-read")
    data = source.read(0, source.size)
    if _JOBLIB in data[: 1 << 20]:  # bare bytes of arrays lie in its midst
        raise Damaged("joblib's own mixture of pickles and bytes", id="not-read")
    pickles = read_pickles(data, decoders=DECODERS)
    return read_contents("pickle", PickledFile(pickles, pickles[-1].value, {}, str, _measure_nothing))


def _read_legacy(source: ByteSource, name: str, *, placed: bool) -> Contents:
    file = open_legacy(source)
    storages = {f"{name}:{key}": Storage(name, it.start, it.end - it.start) for key, it in file.storages.items()}
    measure = partial(scalar, file) if file.end <= source.size else _measure_nothing
    saved = PickledFile(file.pickles, file.value, storages, partial("{}:{}".format, name), measure)
    contents = read_contents("torch-legacy", saved)
    if source.size < file.end:
        flaw = Flaw("cut-short", f"cut short: {source.size:,} of {file.end:,} bytes", name)
    elif source.size > file.end:
        flaw = Flaw("trailing", f"{source.size - file.end:,} bytes follow its last storage", name)
    elif not verify_counts(file, every=placed):
        flaw = Flaw("broken", "its storages are not where its pickles say", name)
    else:
        return contents
    return contents._replace(flaws=(flaw, *contents.flaws))


def _measure_nothing(_tensor: PickledTensor) -> None:
    """There is no storage to read."""
