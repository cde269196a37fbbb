"""Files that a command writes its answer to: one that ckptctl did not write is not overwritten unless a person says so.

What training needs, checkpoints and the files that name or number them, is never overwritten.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from ckptctl.errors import CkptctlError, Refused

MOST_HEAD = 4096
"""Bytes at the start of a file that tell who wrote it."""


class OutputFile(NamedTuple):
    """A file to write to."""

    path: str
    is_own: Callable[[bytes], bool]
    """Whether a file that begins so was written by the same command."""
    is_forced: bool = False
    """Whether a file of another kind may be overwritten."""

    def require_free(self) -> None:
        """Raise Refused where writing would take away what another program wrote."""
        if not os.path.lexists(self.path):
            return
        if os.path.islink(self.path) or not os.path.isfile(self.path):
            raise self._refuse("is there already, and is not a regular file", "name another file")
        head = _read_head(self.path)
        if head and self.is_own(head):
            return
        if kind := _kind_of(self.path):
            raise self._refuse(f"is {kind}", "name another file")
        if head != b"" and not self.is_forced:
            raise self._refuse("is there already, and ckptctl did not write it", "name another file, or pass --force")

    def _refuse(self, text: str, hint: str) -> Refused:
        return Refused(text, id="exists", path=self.path, done="nothing was written", hint=hint)


def _read_head(path: str) -> bytes | None:
    """The start of a file; None where it cannot be read, so that nobody knows what it is."""
    try:
        with open(path, "rb") as file:
            return file.read(MOST_HEAD)
    except OSError:
        return None


def _kind_of(path: str) -> str:
    """What training needs a file for; "" where nothing is known of it."""
    from ckptctl.formats.sniff import IS_CHECKPOINT, sniff
    from ckptctl.layouts.index import glob_matches
    from ckptctl.stores import open_store

    folder, name = os.path.split(path)
    if any(glob_matches(glob, name) for glob in _files_of_training()):
        return "a file that training keeps beside its checkpoints"
    try:
        with open_store(folder or ".").open(name) as source:
            return "a checkpoint" if sniff(source, name).kind in IS_CHECKPOINT else ""
    except (OSError, CkptctlError):
        return ""


def _files_of_training() -> Iterator[str]:
    """Globs of the files in which training names its checkpoints, notes their scores, or says that a save is done."""
    from ckptctl.layouts import LAYOUTS

    for row in LAYOUTS:
        paths = [
            *(it.path for it in row.pointers),
            *(it.path for it in row.sources),
            *(it.path for it in row.recorded),
            *(it.path for it in row.logs),
            *(it.file for it in row.origins),
            *(row.done, row.manifest),
        ]
        yield from (re.sub(r"\{\w+\}", "*", it.rpartition("/")[2]) for it in paths if it)
