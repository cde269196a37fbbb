"""A run folder that a real framework left, before and after a prune, compared to the byte."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from tests.frameworks.conftest import Answer, run

AGE = 7200
"""Seconds by which everything is made older, so that nothing passes for a save under way."""


class Pruned(NamedTuple):
    """What one prune made of a copy of a folder."""

    root: str
    before: Mapping[str, str]
    after: Mapping[str, str]
    answer: Answer
    again: Answer
    """Of the same command, given once more."""
    finally_: Mapping[str, str]
    """What lay there after that."""


def copy(source: str, target: str) -> str:
    """A copy of a folder, hours old."""
    shutil.copytree(source, target, symlinks=True)
    make_old(target)
    return target


def make_old(root: str) -> None:
    """Make all that lies in a folder hours older, each thing by as much."""
    for folder, _, names in os.walk(root):
        for path in [folder, *(os.path.join(folder, name) for name in names)]:
            when = os.lstat(path)
            times = (when.st_atime_ns - AGE * 10**9, when.st_mtime_ns - AGE * 10**9)
            os.utime(path, ns=times, follow_symlinks=False)


def snapshot(root: str) -> dict[str, str]:
    """Every file and link below a folder, by its path, with what it holds."""
    found = {}
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)
            found[os.path.relpath(path, root)] = content(path)
    return found


def content(path: str) -> str:
    """The digest of a file, or the text of a link."""
    if os.path.islink(path):
        return os.readlink(path)
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def list_checkpoints(root: str) -> list[Any]:
    """What ``ls`` tells of all checkpoints below a folder, in its order."""
    answer = run("ls", root, "--json")
    assert answer.code == 0, answer
    return [it for found in answer.json["runs"] for it in found["checkpoints"]]


def prune(root: str, *policy: str) -> Pruned:
    """Prune a folder for good, and then once more."""
    command = ("prune", root, *policy, "--yes", "--json")
    before = snapshot(root)
    answer = run(*command)
    after = snapshot(root)
    again = run(*command)
    return Pruned(root, before, after, answer, again, snapshot(root))


def check(pruned: Pruned, truth: Mapping[str, Any], kept: Iterable[str], rewritten: Iterable[str] = ()) -> None:
    """Exactly the other checkpoints are gone, whole; of the rest at most the files that name checkpoints changed."""
    assert pruned.answer.code == 0, pruned.answer
    gone = [it for it in truth["checkpoints"] if it["path"] not in set(kept)]
    assert sorted(pruned.answer.json["outcome"]["dropped"] if gone else []) == sorted(it["path"] for it in gone)
    expected = {path: held for path, held in pruned.before.items() if not any(owns(it, path) for it in gone)}
    named = set(rewritten)
    assert without(pruned.after, named) == without(expected, named)
    assert named <= set(pruned.after)
    assert not any(os.path.lexists(os.path.join(pruned.root, it["path"])) for it in gone)
    assert pruned.again.code == 0, pruned.again
    assert pruned.finally_ == pruned.after


def owns(checkpoint: Mapping[str, Any], path: str) -> bool:
    """Whether a file is part of a checkpoint, by what the framework says."""
    if "members" in checkpoint:
        return path in checkpoint["members"]
    return path == checkpoint["path"] or path.startswith(checkpoint["path"] + "/")


def without(files: Mapping[str, str], names: set[str]) -> dict[str, str]:
    """All but some."""
    return {path: held for path, held in files.items() if path not in names}
