"""Small texts that name a checkpoint: ``latest``, ``best.txt``, or any one line beside the checkpoints."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from posixpath import basename, dirname, join, normpath
from typing import TYPE_CHECKING

from ckptctl.errors import Damaged
from ckptctl.stores import read_followed, read_whole

if TYPE_CHECKING:
    from ckptctl.core.model import Entry
    from ckptctl.stores import ReadStore

LONGEST_NAME = 4096
"""Bytes of a text that may name a checkpoint."""
_ENDINGS = ("txt", "json", "path", "ptr", "link", "yaml", "yml")
"""Of a text that is called as a pointer is."""
_ROLES = frozenset({"last", "latest", "best", "newest", "current", "resume"})
_OTHERS = frozenset(
    {"checkpoint", "ckpt", "model", "save", "path", "name", "file", "step", "iteration", "epoch", "run"}
)
_WORDS = re.compile("[a-z]+")
_SPACES = re.compile(r"[\s,;\"'()\[\]{}]+")
_KEY = re.compile(r"\w+[=:]")
"""What may stand before a name: ``path=``."""


def is_text_pointer(entry: Entry) -> bool:
    """Whether a name and a size are those of a text that may name a checkpoint; of a link the name alone."""
    stem, dot, _ = entry.path.rpartition("/")[2].lstrip(".").partition(".")
    is_called_so = is_called_pointer(entry.path)
    if entry.kind == "link":
        return is_called_so
    is_short = entry.size is not None and 0 < entry.size <= LONGEST_NAME
    return entry.kind == "file" and bool(stem) and (is_called_so or (is_short and not dot))


def is_called_pointer(path: str) -> bool:
    """Whether a file's name says that it names the newest, or the best, and nothing else."""
    stem, dot, ending = path.rpartition("/")[2].lstrip(".").partition(".")
    words = set(_WORDS.findall(stem.lower()))
    is_text = not dot or ending.lower() in _ENDINGS
    return is_text and not words.isdisjoint(_ROLES) and words <= _ROLES | _OTHERS


def read_named(store: ReadStore, entry: Entry, *, is_called_so: bool) -> Sequence[str]:
    """The texts in a file that may be a checkpoint's name; raises OSError, and Damaged where it is not understood.

    Of a file that is called as a pointer is each word counts, of any other one the single line that it is. What holds
    zeros is no text, and no link leads to a text that is longer than one.
    """
    try:
        data = read_followed(store, entry, LONGEST_NAME)
    except Damaged:
        if entry.kind == "link":
            return ()
        raise
    if data is None or b"\0" in data:
        return ()
    if entry.path.endswith(".json"):
        from ckptctl.readers import json

        return list(_texts_in(json.read(data)))
    lines = [
        it.strip() for it in data.decode(errors="surrogateescape").removeprefix("\ufeff").split("\n") if it.strip()
    ]
    if is_called_so:
        words = [word for line in lines for word in _SPACES.split(line) if word]
        return [*lines, *words, *(_KEY.sub("", word, count=1) for word in words)]
    return lines if len(lines) == 1 else ()


def is_pointer_to(store: ReadStore, entry: Entry, target: str) -> bool:
    """Whether a small text without an extension holds the relative path of one checkpoint and nothing else."""
    if entry.kind != "file" or "." in basename(entry.path) or not 0 < (entry.size or 0) <= LONGEST_NAME:
        return False
    try:
        text = read_whole(store, entry.path, LONGEST_NAME).decode().removesuffix("\n")
    except (OSError, UnicodeDecodeError, Damaged):
        return False
    return bool(text) and normpath(join(dirname(entry.path), text)) == target


def _texts_in(value: object) -> Iterator[str]:
    """All texts and whole numbers in nested values."""
    if isinstance(value, str) or type(value) is int:
        yield str(value)
    elif isinstance(value, (dict, list)):
        for it in value.values() if isinstance(value, dict) else value:
            yield from _texts_in(it)


def describe_failure(error: Exception) -> str:
    """Why a file could not be read, as the end of a sentence."""
    if isinstance(error, OSError):
        return (error.strerror or str(error)).lower()
    return error.text if isinstance(error, Damaged) else "it is no text"
