"""R2: the newest."""

from __future__ import annotations

from typing import NamedTuple

from ckptctl.core.model import Checkpoint
from ckptctl.core.ranking import came_later, in_time
from ckptctl.core.retention.evaluate import Standing, keep_all


class KeepLast(NamedTuple):
    """R2: the newest ``count`` by order, and by time too where training was restarted; -1 keeps all."""

    count: int  # type: ignore[assignment] # a tuple counts too; here it is how many to keep
    id: str = "keep-last"

    def keep(self, standing: Standing) -> dict[str, str]:
        """The end of the order."""
        if self.count < 0:
            return keep_all(standing.candidates, "keep-last -1 keeps all")
        newest = list(reversed(standing.candidates))[: self.count]
        latest = list(reversed(in_time(standing.candidates)))[: self.count]
        return {
            it.path: f"last {place} by time"
            for place, it in enumerate(latest, 1)
            if any(came_later(it, other) for other in newest)
        } | {it.path: f"last {place}" for place, it in enumerate(newest, 1)}

    def pass_over(self, checkpoint: Checkpoint, standing: Standing) -> str:
        """How far from the end it is."""
        return f"{standing.newer[checkpoint.path]} newer than it"

    def describe(self) -> str:
        """The last N."""
        return "all" if self.count < 0 else f"the last {self.count}"
