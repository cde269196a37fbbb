"""The one checkpoint that a path of the command line means: decided below, in `scan.resolve`."""

from __future__ import annotations

from ckptctl.scan.resolve import FilteredStore, Target, find_target

__all__ = ["FilteredStore", "Target", "find_target"]
