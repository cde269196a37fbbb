"""The trainings that used one folder one after the other, as far as records prove that there are several."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ckptctl.core.model import Checkpoint, Run
from ckptctl.core.restarts import number_restarts
from ckptctl.core.score_sources import match_paths
from ckptctl.layouts.index import find_layout, glob_matches
from ckptctl.scan.metrics.scores import ScoreClaims, read_state

if TYPE_CHECKING:
    from ckptctl.stores import ReadStore


def part_trainings(store: ReadStore, claims: ScoreClaims) -> None:
    """Number the trainings that used the folder one after the other, as far as records prove that there are several."""
    run = claims.run

    def list_kept(checkpoint: Checkpoint) -> Mapping[str, set[str]]:
        """By metric, the root-relative paths of what its state says was kept when it was saved."""
        path, found = claims.inside(checkpoint.path), dict[str, set[str]]()
        if path not in claims.records and not read_state(store, claims, path):
            return found
        for watch in (it for it in claims.records[path].watches if it.monitor is not None):
            kept = match_paths(watch.scores, claims.held, watch.folder, run.path).values()
            found.setdefault(watch.monitor or "", set()).update(claims.held[own].path for own in kept)
        return found

    for path, lineage in number_restarts(claims.held, list_kept, _find_named_last(run)).items():
        if lineage:
            claims.held[path] = claims.held[path]._replace(lineage=lineage)


def _find_named_last(run: Run) -> set[str]:
    """The paths of the checkpoints that trackers of training name as the last save; links may be anybody's."""
    named = [it for it in run.pointers if it.kind in {"text", "json"} and it.state == "ok" and it.target is not None]
    specs = [spec for it in map(find_layout, run.layouts) for spec in it.pointers] if named else []
    best = [it.path for it in specs if it.is_best]
    return {
        pointer.target or ""
        for pointer in named
        for name in [pointer.path.rpartition("/")[2]]
        if any(glob_matches(it.path, name) for it in specs) and not any(glob_matches(it, name) for it in best)
    }
