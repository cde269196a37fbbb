"""R2: the newest."""

from __future__ import annotations

from typing import NamedTuple

from ckptctl.core.model import Checkpoint
from ckptctl.core.ranking import came_later, in_time_order
from ckptctl.core.retention.rules.protocol import RuleContext, keep_all


class KeepLast(NamedTuple):
    """R2: the newest ``count`` by order, and by time too where training was restarted; -1 keeps all."""

    count: int  # type: ignore[assignment] # a tuple counts too; here it is how many to keep
    id: str = "keep-last"

    def keep(self, context: RuleContext) -> dict[str, str]:
        """The end of the order."""
        if self.count < 0:
            return keep_all(context.candidates, "keep-last -1 keeps all")
        newest = list(reversed(context.candidates))[: self.count]
        latest = list(reversed(in_time_order(context.candidates)))[: self.count]
        return {
            checkpoint.path: f"last {place} by time"
            for place, checkpoint in enumerate(latest, 1)
            if any(came_later(checkpoint, other) for other in newest)
        } | {it.path: f"last {place}" for place, it in enumerate(newest, 1)}

    def pass_over(self, checkpoint: Checkpoint, context: RuleContext) -> str:
        """How far from the end it is."""
        return f"{context.newer[checkpoint.path]} newer than it"

    def describe(self) -> str:
        """The last N."""
        return "all" if self.count < 0 else f"the last {self.count}"
