"""R6: what is named, by its step or by its path."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from posixpath import normpath
from typing import NamedTuple

from ckptctl.core.model import Checkpoint
from ckptctl.core.retention.rules.protocol import RuleContext, keep_all


class PathView(NamedTuple):
    """From where paths are seen: a pattern means the same whatever folder is pruned, and however that is written."""

    roots: tuple[str, ...] = ()
    """Absolute paths of what a plan's paths are relative to: as it was typed, and with links resolved."""
    folders: tuple[str, ...] = ()
    """Absolute paths of folders that a pattern may be relative to: the current one, those of configuration files."""


ANYWHERE = PathView()
"""Nothing is known but the path itself."""


class KeepSteps(NamedTuple):
    """R6: the named steps."""

    steps: frozenset[int]
    id: str = "keep-step"

    def keep(self, context: RuleContext) -> dict[str, str]:
        """Those whose step is named, and those whose step is not known: one might be it."""
        return {
            candidate.path: "its step is not known" if candidate.step is None else f"step {candidate.step} is named"
            for candidate in context.candidates
            if candidate.step is None or candidate.step in self.steps
        }

    def pass_over(self, checkpoint: Checkpoint, context: RuleContext) -> str:  # noqa: ARG002 - the protocol's
        """That it is not named."""
        return "its step is not named"

    def describe(self) -> str:
        """The steps."""
        return "step " + ", ".join(map(str, sorted(self.steps)))


class KeepGlob(NamedTuple):
    """R6: paths that match a pattern, or end in what matches it behind a ``/``; ``*`` crosses ``/``."""

    pattern: str
    id: str = "keep"
    view: PathView = ANYWHERE

    def keep(self, context: RuleContext) -> dict[str, str]:
        """Those whose path, or the end of it, matches."""
        met = (it for it in context.candidates if matches_path(self.pattern, it.path, self.view))
        return {it.path: f"matches {self.pattern}" for it in met}

    def pass_over(self, checkpoint: Checkpoint, context: RuleContext) -> str:  # noqa: ARG002 - the protocol's
        """That it does not match."""
        return f"does not match {self.pattern}"

    def describe(self) -> str:
        """The pattern."""
        return f"what matches {self.pattern}"


class KeepOthers(NamedTuple):
    """All but those that a person named to go."""

    named: frozenset[str]
    """Paths."""
    id: str = "not-named"

    def keep(self, context: RuleContext) -> dict[str, str]:
        """Those that are not named."""
        return {it.path: "not named" for it in context.candidates if it.path not in self.named}

    def pass_over(self, checkpoint: Checkpoint, context: RuleContext) -> str:  # noqa: ARG002 - the protocol's
        """That it is named."""
        return "named"

    def describe(self) -> str:
        """All others."""
        return "all that is not named"


class KeepAll(NamedTuple):
    """All of them: where only is said what is to be slimmed."""

    id: str = "all"

    def keep(self, context: RuleContext) -> dict[str, str]:
        """Every one."""
        return keep_all(context.candidates, "nothing is to go")

    def pass_over(self, checkpoint: Checkpoint, context: RuleContext) -> str:  # noqa: ARG002 - the protocol's
        """That it takes no part: all others are kept."""
        return "it takes no part"

    def describe(self) -> str:
        """All."""
        return "all"


def matches_path(pattern: str, path: str, view: PathView = ANYWHERE) -> bool:
    """Whether a path, or the end of it behind a ``/``, is a pattern or matches it; ``*`` crosses ``/``.

    A name with brackets in it is itself first. Of a whole path each part must match, ``**`` any number of parts; a
    pattern in full, or seen from one of the folders, may match across ``/`` again.
    """
    plain = normpath(pattern.removeprefix("file://")) if pattern else pattern
    wholes = [f"{root.rstrip('/')}/{path}" for root in view.roots] or [f"/{path}"]
    if fnmatchcase(f"/{path}", f"*/{pattern}") or any(f"/{it}".endswith(f"/{plain.lstrip('/')}") for it in wholes):
        return True
    if plain.startswith("/"):
        return any(it == plain or fnmatchcase(it, plain) for it in wholes)
    if any(_matches_end(plain.split("/"), it.split("/")) for it in wholes):
        return True
    ends = [
        (it, it[len(start) :])
        for folder in view.folders
        for it in wholes
        if it.startswith(start := f"{folder.rstrip('/')}/")
    ]
    return any(fnmatchcase(end, plain) for _, end in ends) or _climbs(plain, wholes, view.folders)


def _matches_end(pattern: Sequence[str], parts: Sequence[str]) -> bool:
    """Whether the last parts of a path match those of a pattern, one by one; ``**`` is any number of them."""
    while pattern and pattern[0] == "**":
        pattern = pattern[1:]
    if "**" in pattern:
        at = len(pattern) - 1 - list(reversed(pattern)).index("**")
        count = len(pattern) - at - 1
        if not _matches_end(pattern[at + 1 :], parts):
            return False
        rest = parts[: len(parts) - count]
        return any(_matches_end(pattern[:at], rest[:end]) for end in range(len(rest) + 1))
    ends = parts[len(parts) - len(pattern) :]
    return bool(pattern) and len(pattern) <= len(parts) and all(map(fnmatchcase, ends, pattern))


def _climbs(pattern: str, wholes: Sequence[str], folders: Sequence[str]) -> bool:
    """Whether a pattern that begins with ``..`` matches as it is seen from one of the folders."""
    if not pattern.startswith("../"):
        return False
    seen = [normpath(f"{folder}/{pattern}") for folder in folders]
    return any(it == whole or fnmatchcase(whole, it) for it in seen for whole in wholes)
