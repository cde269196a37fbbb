"""What names end in: extensions, versions and roles."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

EXTENSIONS = (".safetensors", ".weights.h5", ".keras", ".hdf5", ".ckpt", ".pth", ".bin", ".h5", ".pt")
"""The known ones, longest first. A name is never cut at just any dot: ``…samples=256000.0`` would lose digits."""

VERSION = re.compile(r"v([0-9]{1,18})")
_ROLES = {"last": "last", "best": "best", "EMA": "ema", "ema": "ema", "unfinished": "unfinished"}
"""What a separated last word says a checkpoint is for; unfinished is NeMo's marker of a save under way."""


class NameParts(NamedTuple):
    """A name, parted from what it ends in."""

    stem: str
    extension: str = ""
    version: int | None = None
    roles: tuple[str, ...] = ()


def longest_first(extensions: Sequence[str]) -> tuple[str, ...]:
    """Extensions in the order in which to try them, without empty ones."""
    if extensions is EXTENSIONS:
        return EXTENSIONS
    return tuple(sorted(filter(None, extensions), key=len, reverse=True))


def split_extension(path: str, extensions: tuple[str, ...]) -> tuple[str, str]:
    """The stem and the extension, "" where there is none; repeated ones all go (``x.ckpt.ckpt``), the last is told."""
    extension = ""
    end = len(path)
    while path.endswith(extensions, 0, end):
        found = next(it for it in extensions if path.endswith(it, 0, end))
        if end == len(found) or path[end - len(found) - 1] == "/":
            break
        extension = extension or found
        end -= len(found)
    return path[:end], extension


def split_endings(
    path: str, extensions: tuple[str, ...], join: str, is_version: Callable[[str, str, str], bool] | None = None
) -> NameParts:
    """Take extension, roles and at most one version off the end of a path.

    ``is_version`` decides by the text in front, the separator and the extension whether ``vN`` is one; else it is.
    Each role is taken once, so that there are few rounds however long the name is.
    """
    stem, extension = split_extension(path, extensions)
    version: int | None = None
    roles: tuple[str, ...] = ()
    while True:
        base, gap, word = split_last_word(stem, join)
        number = VERSION.fullmatch(word)
        role = _ROLES.get(word)
        if not base or base.endswith("/"):
            break
        if role and role not in roles:
            roles = (role, *roles)
        elif number and version is None and (is_version is None or is_version(base, gap, extension)):
            version = int(number[1])
        else:
            break
        stem, inner = split_extension(base, extensions)
        extension = extension or inner
    return NameParts(stem, extension, version, roles)


def split_last_word(stem: str, join: str) -> tuple[str, str, str]:
    """Text, separator and last word; the first two are "" where there is no separator."""
    parted: Iterable[tuple[str, str, str]] = [stem.rpartition(gap) for gap in {join or "-", "-", "_"}]
    return min(parted, key=lambda parts: len(parts[2]))


def ends_with_role(stem: str, join: str) -> bool:
    """Whether the last word is a role, or the stem is nothing else."""
    return split_last_word(stem, join)[2] in _ROLES


def begins_with_role(stem: str, role: str, join: str) -> bool:
    """Whether a stem is a role's name or has it as its first word.

    Lightning takes every stem that begins with "last" for a last when it resumes, ``lastfoo`` too. Here a word must end
    there: someone's ``lastlayer-tuned.ckpt`` stays an ordinary checkpoint without a score, which nothing drops unasked.
    """
    rest = stem[len(role) :]
    return stem.startswith(role) and (not rest or rest[0] in "-_., " or (bool(join) and rest.startswith(join)))
