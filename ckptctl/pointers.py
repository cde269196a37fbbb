"""Where the links of a tree lead: what a link names stays."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from errno import ELOOP
from posixpath import dirname, join, normpath
from typing import TYPE_CHECKING

from ckptctl.core.checkpoint import Entry, Pointer, Run, Unit

if TYPE_CHECKING:
    from ckptctl.stores import Store


LONGEST_NAME = 4096
"""Bytes of a text that may name a checkpoint."""


def follow(store: Store, entry: Entry) -> Pointer:
    """Where a link leads; loops, dangling links and links out of the root are states, not errors."""
    try:
        target = store.resolve(entry.path)
    except FileNotFoundError:
        return Pointer(entry.path, "symlink", None, "dangling")
    except OSError as error:
        return Pointer(entry.path, "symlink", None, "loop" if error.errno == ELOOP else "dangling")
    return Pointer(entry.path, "symlink", target, "outside" if target is None else "ok")


def read_text(store: Store, entry: Entry, paths: Container[str]) -> Pointer | None:
    """The pointer that a small text file without an extension is, if it names one of ``paths`` and nothing else."""
    name = entry.path.rpartition("/")[2]
    if entry.kind != "file" or "." in name or entry.size is None or not 0 < entry.size <= LONGEST_NAME:
        return None
    try:
        with store.open(entry.path) as source:
            text = source.read(0, LONGEST_NAME).decode().removesuffix("\n")
    except (OSError, UnicodeDecodeError):
        return None
    target = normpath(join(dirname(entry.path), text))
    return Pointer(entry.path, "text", target, "ok") if text and target in paths else None


def find_pointers(store: Store) -> list[Pointer]:
    """Every link below the root, wherever it lies: any of them may hold a checkpoint in place."""
    return [
        follow(store, entry) for folder in store.walk(stat=False) for entry in folder.entries if entry.kind == "link"
    ]


def attach(run: Run, pointers: Sequence[Pointer]) -> Run:
    """The run with all the tree's links that lead to its checkpoints, or into them."""
    own = {(pointer.path, pointer.target) for pointer in run.pointers}
    units = {checkpoint.path: checkpoint.unit for checkpoint in run.checkpoints}
    led = [
        pointer._replace(target=holder)
        for pointer in pointers
        if (holder := _holder(units, pointer.target)) is not None and (pointer.path, holder) not in own
    ]
    return run._replace(pointers=(*run.pointers, *led)) if led else run


def _holder(units: Mapping[str, Unit], target: str | None) -> str | None:
    """The checkpoint that a path is, or lies in."""
    path = target or ""
    while path and path not in units:
        path = path.rpartition("/")[0]
    return path if path and (path == target or units[path] == "dir") else None
