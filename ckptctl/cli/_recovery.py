"""What lies in the trash, for the commands that show it or put it back: found below, in `prune.recovery`."""

from __future__ import annotations

from ckptctl.prune.recovery import TrashedPrune, find_trashed

__all__ = ["TrashedPrune", "find_trashed"]
