"""Names as they are stored, where capitals and small letters are the same, or two ways to write an accent."""

from __future__ import annotations

import os
from os.path import join, samestat, split


def is_case_insensitive(path: str) -> bool:
    """Whether what is at a path is there too in letters of the other case; in doubt (no letters) it is."""
    folder, name = split(path)
    try:
        return samestat(os.lstat(path), os.lstat(join(folder, name.swapcase())))
    except FileNotFoundError:
        return False


def spell_as_listed(path: str) -> str:
    """An absolute path to what is there, as the folders on its way list it."""
    spelled = "/"
    for part in filter(None, path.split("/")):
        spelled = join(spelled, _listed(spelled, part))
    return spelled


def _listed(folder: str, name: str) -> str:
    """The name in a folder's listing that stands for the same; as it is, where that cannot be listed."""
    try:
        names = os.listdir(folder)
    except OSError:
        return name
    if name in names:
        return name
    alike = sorted(names, key=lambda it: it.casefold() != name.casefold())  # a hard link is the same, and is another
    return next((it for it in alike if _is_same(join(folder, it), join(folder, name))), name)


def _is_same(one: str, other: str) -> bool:
    try:
        return samestat(os.lstat(one), os.lstat(other))
    except FileNotFoundError:
        return False
