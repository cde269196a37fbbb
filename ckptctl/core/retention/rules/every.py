"""R3: one at every so many steps, epochs or saves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from ckptctl.core.model import Checkpoint
from ckptctl.core.retention.rules.protocol import RuleContext

Unit = Literal["steps", "epochs", "saves"]


class KeepEvery(NamedTuple):
    """R3: those on the grid of every ``count`` steps or epochs; where saves miss it, the closest to each multiple.

    One without the number is kept: it might be one of them.
    """

    count: int  # type: ignore[assignment] # a tuple counts too; here it is how many to keep
    unit: Literal["steps", "epochs"] | None = "steps"
    """None: steps where there are any, else the only other number that counts, which may be a save counter."""
    id: str = "keep-every"

    def keep(self, context: RuleContext) -> dict[str, str]:
        """All on the grid; else the closest to each multiple, within half a grid; of two as close the later.

        An epoch 0 stays where nothing else shows that epochs count from 0: without it the next prune would count
        from 1, and drop what this one keeps.
        """
        unit = self._unit_in(context.candidates)
        if unit is None:
            return dict.fromkeys((it.path for it in context.candidates), _UNCLEAR)
        numbered = [(it.path, done) for it in context.candidates if (done := _count(it, unit, context)) is not None]
        on_grid = {path: f"at {_write(done, unit)}" for path, done in numbered if done % self.count == 0}
        closest: dict[int, tuple[float, str]] = {}
        pairs = [(path, done, it) for path, done in numbered for it in self._multiples_near(done)]
        for path, done, multiple in pairs:
            if abs(done - multiple) <= closest.get(multiple, (self.count, ""))[0]:
                closest[multiple] = (abs(done - multiple), path)
        near = {path: f"closest to {_write(multiple, unit)}" for multiple, (_, path) in closest.items()}
        unknown = {it.path for it in context.candidates} - {path for path, _ in numbered}
        is_first = unit == "epochs" and context.has_epoch_zero
        first = {it.path: _FIRST for it in context.candidates if is_first and it.epoch == 0}
        return dict.fromkeys(unknown, f"its {_NAMES[unit]} is not known") | first | near | on_grid

    def _unit_in(self, candidates: Sequence[Checkpoint]) -> Unit | None:
        """What is counted; None where it was not said, and there are epochs and save counters."""
        if self.unit is not None or any(it.step is not None for it in candidates):
            return self.unit or "steps"
        has_epochs, has_counters = (
            any(getattr(it, name) is not None for it in candidates) for name in ("epoch", "counter")
        )
        if has_epochs and has_counters:
            return None
        return "epochs" if has_epochs else "saves" if has_counters else "steps"

    def _multiples_near(self, done: float) -> list[int]:
        """The multiples from 1 that are at most half a grid away."""
        below = int(done // self.count) * self.count
        return [it for it in (below, below + self.count) if it and 2 * abs(done - it) <= self.count]

    def pass_over(self, checkpoint: Checkpoint, context: RuleContext) -> str:  # noqa: ARG002 - the protocol's
        """That it is off the grid."""
        return f"not the closest to a multiple of {self.count} {self._unit_in(context.candidates) or 'steps'}"

    def describe(self) -> str:
        """One at every N."""
        return f"one every {self.count} {self.unit or 'steps (epochs or saves where no step is known)'}"


_NAMES = {"steps": "step", "epochs": "epoch", "saves": "number"}
_UNCLEAR = "counted by epochs and by saves: --keep-every needs a unit"
_FIRST = "epoch 0: shows that epochs count from 0"


def _count(checkpoint: Checkpoint, unit: Unit, context: RuleContext) -> float | None:
    """Steps or epochs done, the first being called 0 or 1; a save counter as named."""
    if unit == "saves":
        return checkpoint.counter
    if unit == "epochs":
        return None if checkpoint.epoch is None else checkpoint.epoch + 1 - context.epoch_base
    return None if checkpoint.step is None else checkpoint.step + context.step_base


def _write(number: float, unit: Unit) -> str:
    return f"number {int(number)}" if unit == "saves" else f"{int(number)} {unit}"
