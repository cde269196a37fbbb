"""Datasets that h5py must unpack, read to their end: whether they can be, and whether their numbers are finite."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ckptctl.errors import Damaged
from ckptctl.formats.contents import BITS, Contents, FileSet, Storage, Tensor
from ckptctl.formats.flaws import Flaw
from ckptctl.sandbox.h5py_read import MOST_TIMES
from ckptctl.tensors.finite import find_non_finite
from ckptctl.tensors.full_check import make_non_finite_flaw, should_be_finite
from ckptctl.tensors.streams import NumberReader, open_numbers, rechunk

_BLOCK = 1 << 20


def read_packed(
    contents: Contents, files: FileSet, *, finite: bool, tick: Callable[[int], None] = lambda _: None
) -> Iterator[Flaw]:
    """Unpack all that h5py must; what is wrong with it, and, once, why some was not read."""
    packed = [(tensor, storage) for tensor in contents.tensors if (storage := _find_packed(contents, tensor))]
    if sum(tensor.bytes for tensor, _ in packed) > MOST_TIMES * sum(files.sizes.values()):
        yield Flaw("broken", "its datasets lie over each other, so that unpacking them would never end")
        return
    with open_numbers(files, contents) as numbers:
        found = [_examine(numbers, tensor, storage.file, tick, finite=finite) for tensor, storage in packed]
    unread = [it for it in found if it is not None and it.id == "not-read"]
    yield from (it for it in found if it is not None and it.id != "not-read")
    if unread:
        what = "a dataset was" if len(unread) == 1 else f"{len(unread)} datasets were"
        yield Flaw("not-read", f"{what} not read: {unread[0].text}", unread[0].file)


def _find_packed(contents: Contents, tensor: Tensor) -> Storage | None:
    """Where the numbers of a tensor are that h5py must unpack; None for all others."""
    storage = contents.storages.get(tensor.pieces[0].storage) if len(tensor.pieces) == 1 else None
    return storage if storage is not None and storage.dataset and tensor.dtype in BITS else None


def _examine(
    numbers: NumberReader, tensor: Tensor, file: str, tick: Callable[[int], None], *, finite: bool
) -> Flaw | None:
    """Read a dataset to its end; what is wrong with it."""
    try:
        odd = _read(numbers, tensor, tick, finite=finite and should_be_finite(tensor))
    except Damaged as error:
        if error.id == "not-read":
            return Flaw("not-read", error.text, file)
        return Flaw("broken", f"dataset {tensor.name!a}: {error.text}", file)
    except OSError as error:
        return Flaw("unreadable", f"cannot be read: {error.strerror or error}", file)
    return make_non_finite_flaw(tensor, *odd, file) if any(odd) else None


def _read(numbers: NumberReader, tensor: Tensor, tick: Callable[[int], None], *, finite: bool) -> tuple[int, int]:
    """Read a dataset to its end; how many of its numbers are NaN, and how many infinite, where that was asked for."""
    nan, all_odd = 0, 0
    for chunk in rechunk(numbers.stream(tensor), _BLOCK):
        tick(len(chunk))
        odd = list(find_non_finite(bytes(chunk), tensor.dtype)) if finite else []
        nan, all_odd = nan + sum(it.is_nan for it in odd), all_odd + len(odd)
    return nan, all_odd - nan
