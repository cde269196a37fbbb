"""R6: what is named, by its step or by its path."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import NamedTuple

from ckptctl.core.model import Checkpoint
from ckptctl.core.retention.rules.protocol import RuleContext, keep_all


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

    def keep(self, context: RuleContext) -> dict[str, str]:
        """Those whose path, or the end of it, matches."""
        return {it.path: f"matches {self.pattern}" for it in context.candidates if matches_path(self.pattern, it.path)}

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


def matches_path(pattern: str, path: str) -> bool:
    """Whether a path, or the end of it behind a ``/``, matches; ``*`` crosses ``/``."""
    return fnmatchcase(f"/{path}", f"*/{pattern}")
