"""Files of weights by their format: each module here reads one into contents, and is imported when its first turns up.

    contents = read_file(files, "last.ckpt")
    held = read_files(files)                    of all files of a checkpoint: path to contents

A module has a function ``read(source, name, files, placed=)``, which raises Damaged and OSError: with ``placed`` each
stretch of storage is looked up where it takes a read of its own, and proved. What is no file of weights is passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module

from ckptctl.core.model import Note, Text
from ckptctl.errors import Damaged
from ckptctl.formats.contents import Contents, FileSet, Flaw, part_of_file
from ckptctl.formats.pickle.marks import UNMARKED
from ckptctl.formats.zip import ByteSource, find_end

_HEAD = 4200
"""Bytes from the start of a file, and of its end, that tell its format."""
_TAIL = 8
_SHORTEST = 32
"""Bytes: no file of weights has fewer, but for pickles of nothing."""
_WEIGHTS = (
    r"\.(?:pt|pth|bin|ckpt|tar|th|safetensors|distcp|h5|hdf5|keras|npz|pkl|pickle|pdparams|pdopt|pdstates|index)$"
    r"|\.data-[0-9]{5}-of-[0-9]{5}$|(?:^|/)\.metadata$"
)
_RARER = r"\.(?:t7|pyt|params|msgpack|gguf|joblib|checkpoint|weights|mdl|chkpt|snapshot|state|onnx)$"
"""Endings of files that are not looked into, or are often something else."""
_MAPS = (".metadata", ".index", "_METADATA", ".index.json", ".weights.json")
"""Endings of files that may speak for others."""
_TEXTS = (".txt", ".yaml", ".yml", ".csv", ".md", ".py", ".log")
_OWN_FLAWS = frozenset({"not-read", "trailing"})
"""Ids of errors that are flaws of their own."""
_USER_BLOCKS = (0, 512, 1024, 2048, 4096)
"""Where an HDF5 file may begin."""


def recognise_format(head: bytes, tail: bytes, name: str) -> str | None:
    """The module for a file that begins and ends with these bytes; None for what holds no weights, or is not known."""
    plain = name.rpartition("/")[2]
    if plain == ".metadata" and head[:1] == b"\x80":
        return "dcp"
    if plain.endswith((".index.json", ".weights.json")) and head.lstrip()[:1] == b"{":
        return "shard_index"
    if plain == "_METADATA" and head[:1] == b"{":
        return "orbax"
    if head[:4] == b"PK\x03\x04":
        return "any_zip"
    if any(head[at : at + 8] == b"\x89HDF\r\n\x1a\n" for at in _USER_BLOCKS):
        return "hdf5"
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 1 << 40:
        return "safetensors"
    if tail == b"\x57\xfb\x80\x8b\x24\x75\x47\xdb":
        return "tensorflow"
    if head[:1] == b"\x80" and head[1:2] <= b"\x05":
        return "torch"
    if _is_old_pickle(head, tail, plain):
        return "torch"
    return next((kind for at, mark, kind in _MARKS if head.startswith(mark, at)), None)


_MARKS = ((0, b"\x93NUMPY", "npz"), (257, b"ustar", "tar"))
"""Offset, bytes and module."""


def _is_old_pickle(head: bytes, tail: bytes, name: str) -> bool:
    """Whether it may be a pickle of protocol 0 or 1, which has no mark at its start."""
    is_named = name.endswith((".pkl", ".pickle", ".pt", ".pth"))
    begins = head[:1] in (b"(", b"c", b"}", b"]", b"i", b"S", b"V") and b"\n" in head[:4096]
    return begins and (is_named or (tail.endswith(b".") and UNMARKED.match(head) is not None))


def _recognise_unmarked(head: bytes) -> str | None:
    """The module for a pickle that has no mark, and names what loading would call, wherever it ends."""
    from ckptctl.formats.pickle.unmarked import calls_globals

    return "torch" if calls_globals(head) else None


def read_file(files: FileSet, name: str, *, placed: bool = True) -> Contents | None:
    """What is in one file, None for what holds no weights; of what is broken, an empty one that tells it."""
    contents = _read(files, name, placed=placed)
    return None if contents is None else contents._replace(size=files.sizes[name])


def _read(files: FileSet, name: str, *, placed: bool) -> Contents | None:
    try:
        with files.open(name) as source:
            head = source.read(0, _HEAD)
            tail = source.read(max(0, source.size - _TAIL), _TAIL)
            kind = recognise_format(head, tail, name) or _recognise_unmarked(head)
            found: Contents | None = (
                import_module(f"ckptctl.formats.{kind}").read(source, name, files, placed=placed)
                if kind
                else _describe_unknown(source, name)
            )
            return found
    except Damaged as error:
        return _broken(error, name)
    except OSError as error:
        return Contents("?", flaws=(Flaw("unreadable", Note("unreadable", why=str(error.strerror or error)), name),))


def read_files(files: FileSet, *, placed: bool = True, every: bool = False) -> dict[str, Contents]:
    """What is in each file of a checkpoint that holds weights, but those that another speaks for.

    With ``every`` also in those whose names say that they hold texts.
    """
    found: dict[str, Contents] = {}
    claimed: set[str] = set()
    for name in sorted(files.sizes, key=lambda it: (not it.endswith(_MAPS), it)):
        if name in claimed or (name.endswith(_TEXTS) and not every):
            continue
        contents = read_file(files, name, placed=placed)
        if contents is not None:
            found[name] = contents if len(files.sizes) == 1 else _assign(contents, name)
            claimed |= set(_claims(contents, name, files))
    return found


def _assign(contents: Contents, name: str) -> Contents:
    """The contents with all tensors of the part that their file's name says, where it says one."""
    part = part_of_file(name)
    if part is None:
        return contents
    return contents._replace(tensors=tuple(it._replace(part=part) for it in contents.tensors))


def _claims(contents: Contents, name: str, files: FileSet) -> Iterator[str]:
    """The files that a map of others has told of."""
    if contents.format == "orbax":
        folder = name.rpartition("/")[0]
        yield from (it for it in files.sizes if it.startswith(f"{folder}/" if folder else ""))
    elif contents.format in ("dcp", "tensorflow"):
        yield from {storage.file for storage in contents.storages.values()}


def _describe_unknown(source: ByteSource, name: str) -> Contents | None:
    """Of a file in no format that is read: what is wrong with it, where its name says that it holds weights."""
    if not says_weights(name):
        return _describe_page(source, name)
    from ckptctl.formats.quick_check import prove_whole

    text: Text
    if what := _recognise_text(source.read(0, _HEAD)):
        kind, text = "text", f"it holds {what}, and no weights"
    elif _ends_as_zip(source):
        kind, text = "broken", "it ends as a zip archive, and does not begin as one: its first bytes went bad"
    elif 0 < source.size < _SHORTEST:
        kind, text = "cut-short", f"{source.size} bytes are no file of any format"
    elif (proof := prove_whole(source)).whole is False:
        kind, text = "cut-short" if source.size else "empty", proof.why or ""
    else:
        kind, text = "not-read", proof.why or "its format is not looked into"
    return Contents("?", flaws=(Flaw(kind, text, name),))


def says_weights(name: str) -> bool:
    """Whether a name's ending says that the file holds weights."""
    return re.search(_WEIGHTS, name) is not None


def _describe_page(source: ByteSource, name: str) -> Contents | None:
    """Of a file under another ending of weights: that it holds what was sent in their place, as far as it does."""
    head = source.read(0, _HEAD) if re.search(_RARER, name) else b""
    if not is_page(head):
        return None
    return Contents("?", flaws=(Flaw("text", f"it holds {_recognise_text(head) or 'text'}, and no weights", name),))


def is_page(head: bytes) -> bool:
    """Whether a file begins as a pointer of Git LFS or as a page does."""
    return head.lstrip().lower().startswith((b"version https://git-lfs", b"<!doctype html", b"<html", b"<?xml"))


_BEGINNINGS = (
    (b"version https://git-lfs", "a pointer of Git LFS: git lfs pull fetches the file"),
    (b"<", "a page or another marked-up text"),
    (b"{", "a JSON text"),
)


def _recognise_text(head: bytes) -> str | None:
    """What text a file begins with; None where it begins with none."""
    if len(head) < _LEAST_TEXT or not head.isascii() or any(it < _SPACE and it not in b"\t\n\r" for it in head):
        return None
    return next((what for mark, what in _BEGINNINGS if head.lstrip().lower().startswith(mark)), "text")


_LEAST_TEXT = 8
_SPACE = 32


def _ends_as_zip(source: ByteSource) -> bool:
    try:
        return find_end(source) is not None
    except Damaged:
        return False


def _broken(error: Damaged, name: str) -> Contents:
    """Empty contents that tell why; what a pickle named until it broke is in the hint."""
    kind = error.id if error.id in _OWN_FLAWS else error.flaw
    text = error.text if error.hint is None else f"{error.text}; {error.hint}"
    if kind == "ambiguous" and name.endswith(".distcp"):
        kind, text = "not-read", "no .metadata names it, and nothing else says what lies where in it"
    return Contents("?", flaws=(Flaw(kind, text, name),))
