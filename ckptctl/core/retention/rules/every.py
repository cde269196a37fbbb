"""R3: one at every so many steps or epochs."""

from __future__ import annotations

from typing import Literal, NamedTuple

from ckptctl.core.model import Checkpoint
from ckptctl.core.retention.rules.protocol import RuleContext


class KeepEvery(NamedTuple):
    """R3: those on the grid of every ``count`` steps or epochs; where saves miss it, the closest to each multiple.

    One without the number is kept: it might be one of them.
    """

    count: int  # type: ignore[assignment] # a tuple counts too; here it is how many to keep
    unit: Literal["steps", "epochs"] = "steps"
    id: str = "keep-every"

    def keep(self, context: RuleContext) -> dict[str, str]:
        """All on the grid; else the closest to each multiple, within half a grid; of two as close the later."""
        numbered = [(it.path, done) for it in context.candidates if (done := self._done(it, context)) is not None]
        on_grid = {path: f"at {int(done)} {self.unit}" for path, done in numbered if done % self.count == 0}
        closest: dict[int, tuple[float, str]] = {}
        pairs = [(path, done, it) for path, done in numbered for it in self._multiples_near(done)]
        for path, done, multiple in pairs:
            if abs(done - multiple) <= closest.get(multiple, (self.count, ""))[0]:
                closest[multiple] = (abs(done - multiple), path)
        near = {path: f"closest to {multiple} {self.unit}" for multiple, (_, path) in closest.items()}
        unknown = {it.path for it in context.candidates} - {path for path, _ in numbered}
        return dict.fromkeys(unknown, self._unknown) | near | on_grid

    def _done(self, checkpoint: Checkpoint, context: RuleContext) -> float | None:
        """Steps done, or epochs done: where the first is called 0, ``epoch + 1``, as Lightning counts them."""
        if self.unit == "epochs":
            return None if checkpoint.epoch is None else checkpoint.epoch + 1 - context.epoch_base
        return None if checkpoint.step is None else checkpoint.step + context.step_base

    def _multiples_near(self, done: float) -> list[int]:
        """The multiples from 1 that are at most half a grid away."""
        below = int(done // self.count) * self.count
        return [it for it in (below, below + self.count) if it and 2 * abs(done - it) <= self.count]

    @property
    def _unknown(self) -> str:
        return f"its {self.unit[:-1]} is not known"

    def pass_over(self, checkpoint: Checkpoint, context: RuleContext) -> str:  # noqa: ARG002 - the protocol's
        """That it is off the grid."""
        return f"not the closest to a multiple of {self.count} {self.unit}"

    def describe(self) -> str:
        """One at every N."""
        return f"one every {self.count} {self.unit}"
