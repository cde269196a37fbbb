"""Where the links of a tree lead: what a link names stays."""

from __future__ import annotations

from collections.abc import Sequence
from errno import ELOOP
from typing import TYPE_CHECKING

from ckptctl.core.checkpoint import Entry, Pointer, Run

if TYPE_CHECKING:
    from ckptctl.stores import Store


def follow(store: Store, entry: Entry) -> Pointer:
    """Where a link leads; loops, dangling links and links out of the root are states, not errors."""
    try:
        target = store.resolve(entry.path)
    except FileNotFoundError:
        return Pointer(entry.path, "symlink", None, "dangling")
    except OSError as error:
        return Pointer(entry.path, "symlink", None, "loop" if error.errno == ELOOP else "dangling")
    return Pointer(entry.path, "symlink", target, "outside" if target is None else "ok")


def find_pointers(store: Store) -> list[Pointer]:
    """Every link below the root, wherever it lies: any of them may hold a checkpoint in place."""
    return [
        follow(store, entry) for folder in store.walk(stat=False) for entry in folder.entries if entry.kind == "link"
    ]


def attach(run: Run, pointers: Sequence[Pointer]) -> Run:
    """The run with all the tree's links that lead to its checkpoints, or into them."""
    own = {pointer.path for pointer in run.pointers}
    led = [
        pointer._replace(target=holder)
        for pointer in pointers
        if pointer.path not in own and (holder := _holder(run, pointer.target)) is not None
    ]
    return run._replace(pointers=(*run.pointers, *led)) if led else run


def _holder(run: Run, target: str | None) -> str | None:
    """The checkpoint that a path is, or lies in, or that lies in it."""
    if target is None:
        return None
    for checkpoint in run.checkpoints:
        path = checkpoint.path
        if target == path or (checkpoint.unit == "dir" and target.startswith(path + "/")):
            return path
    return None
