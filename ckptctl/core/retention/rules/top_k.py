"""R1: the best by a metric."""

from __future__ import annotations

from typing import NamedTuple

from ckptctl.core.model import Checkpoint
from ckptctl.core.ranking import score_of
from ckptctl.core.retention.rules.protocol import RuleContext, keep_all

GLOBAL_BEST = "global-best"
"""The id of a rule that ranks all runs together, whatever the others go by."""


class TopK(NamedTuple):
    """R1: the best ``count`` by a metric; -1 keeps all."""

    count: int  # type: ignore[assignment] # a tuple counts too; here it is how many to keep
    monitor: str | None = None
    """What to rank by; None takes each run's own."""
    mode: str = "auto"
    """min, max or auto."""
    id: str = "top-k"

    def keep(self, context: RuleContext) -> dict[str, str]:
        """The first places of the ranking."""
        if self.count < 0:
            return keep_all(context.candidates, "top-k -1 keeps all")
        total = len(context.ranked)
        by = f" by {context.metric.name}" if self.id == "keep-best" and context.metric else self._over
        return {it.checkpoint.path: f"best {it.place} of {total}{by}" for it in context.ranked[: self.count]}

    def pass_over(self, checkpoint: Checkpoint, context: RuleContext) -> str:
        """Its place, or why it has none."""
        name = context.metric.name if context.metric else "the metric"
        place = context.places.get(checkpoint.path)
        if place is not None:
            return f"rank {place} of {len(context.ranked)} by {name}{self._over}"
        score = score_of(checkpoint, name)
        if score is None:
            return f"no value of {name}"
        return f"{name} is {score.text or score.value}: it cannot win"

    def describe(self) -> str:
        """The best N."""
        mode = f" ({self.mode})" if self.mode != "auto" else ""
        by = f" by {self.monitor}{mode}" if self.monitor else ""
        return "all" if self.count < 0 else f"the best {self.count}{by}"

    @property
    def _over(self) -> str:
        return " over all runs" if self.id == GLOBAL_BEST else ""
