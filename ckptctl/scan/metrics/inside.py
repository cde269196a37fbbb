"""The numbers and texts that training saved beside the weights, as rows; the weights are neither read nor built.

    read_row(source)                            {"epoch": 12, "metric": 0.81, "args/lr": 0.001, …}
    read_rows(source, "reporter/stats")         a row for each epoch
    read_attributes(source)                     of one saved object, its yes and no among them

The file's format is told by its content: torch's zip, the format before, a pickle, or the zip of Stable-Baselines3.
"""

from __future__ import annotations

from functools import partial

from ckptctl.errors import Damaged
from ckptctl.formats.pickle.vm import LIMITS, PickledCall
from ckptctl.formats.saved_values import Measure, Row, RowWalk, find_node, items_of
from ckptctl.formats.torch_zip import DECODERS, UNSUPPORTED, PickledTensor
from ckptctl.formats.zip import ByteSource, ZipArchive, open_archive

_DEEPEST = 6
_HEAD = 32
_PICKLE = b"\x80"
_JSON = b"data"
"""The member that holds what is no tensor, of an archive of files (Stable-Baselines3)."""


def read_row(source: ByteSource, deepest: int = _DEEPEST) -> Row:
    """The numbers and texts of the whole file, names of nested keys and attributes joined by ``/``.

    Tensors of one element and scalars of numpy are numbers. Left out: weights, booleans, None, lists, and mappings by
    number, which are rows of their own; but what the last item of a list of mappings holds comes under ``-1``
    (``optimizer_history/-1/num_updates``). Raises Damaged, with the id ``unsupported`` for a file of another kind, and
    OSError.
    """
    value, measure = open_saved(source)
    return RowWalk(measure).row(value, deepest)


def read_rows(source: ByteSource, at: str = "") -> list[Row]:
    """The rows behind keys and attributes joined by ``/``, none where nothing lies there; raises as ``read_row``.

    A mapping is one row, a list a row for each item; a mapping by whole numbers (epochs) is a row for each, with the
    number in the column ``key``.
    """
    value, measure = open_saved(source)
    return RowWalk(measure).rows(find_node(value, at), _DEEPEST)


def read_attributes(source: ByteSource) -> dict[str, object]:
    """The plain attributes, or items, of what was saved: None, bool, int, float, str; raises as ``read_row``.

    Of an enumeration's member its value, if that is a text.
    """
    value, _ = open_saved(source)
    found = {key: _plain(own) for key, own in items_of(value) if type(key) is str}
    return {key: own for key, own in found.items() if own is None or type(own) in (bool, int, float, str)}


def _plain(node: object) -> object:
    match node:
        case PickledCall(how="reduce", args=(str() as value,)):
            return value
        case _:
            return node


def open_saved(source: ByteSource) -> tuple[object, Measure]:
    """What was saved, and how the number in one of its tensors is read."""
    head = source.read(0, _HEAD)
    if not head:
        raise Damaged("empty file")
    if head[:4] == b"PK\x03\x04":
        return _open_zip(open_archive(source))
    if head[:1] != _PICKLE:
        raise Damaged("not a file of torch.save", id=UNSUPPORTED)
    from ckptctl.formats.torch_legacy import is_legacy, open_legacy, scalar

    if is_legacy(head):
        file = open_legacy(source)
        return file.value, partial(scalar, file)
    from ckptctl.formats.pickle.reader import read_pickle

    if source.size > LIMITS.data:
        raise Damaged(f"pickle: {source.size:,} bytes are more than the {LIMITS.data:,} that are read", id=UNSUPPORTED)
    return read_pickle(source.read(0, source.size), decoders=DECODERS).value, _measure_nothing


def _open_zip(archive: ZipArchive) -> tuple[object, Measure]:
    from ckptctl.formats.any_zip import VERSION_MEMBER
    from ckptctl.formats.torch_zip import read_pickled, scalar

    if _JSON in archive.members and VERSION_MEMBER in archive.members:
        from ckptctl.formats.strict_json import parse

        return parse(archive.read(_JSON, LIMITS.data), "its member 'data'"), _measure_nothing
    return read_pickled(archive).value, partial(scalar, archive)


def _measure_nothing(_tensor: PickledTensor) -> None:
    """There is no storage beside a bare pickle."""
