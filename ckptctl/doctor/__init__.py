"""What is wrong with runs beyond what they tell themselves: for this the store is asked. Nothing is changed.

One walk looks for what was left behind. Then each run is examined, with what its links and files say, and its
checkpoints are compared. At last comes what lies in folders that hold no run.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ckptctl.core.findings import Finding, Known, Report, arrange
from ckptctl.doctor.duplicate_checks import find_twins
from ckptctl.doctor.leftovers import Leftovers, is_temporary
from ckptctl.doctor.run_checks import examine, unlisted
from ckptctl.doctor.tracker_checks import find_broken, list_lost, read_said
from ckptctl.doctor.trash_checks import find_trash

if TYPE_CHECKING:
    from ckptctl.core.model import Run
    from ckptctl.layouts.index import Catalogue
    from ckptctl.stores import Store

__all__ = ["Rounds"]


class Rounds:
    """A visit to every run of a store, one by one."""

    def __init__(self, store: Store, catalogue: Catalogue, known: Known) -> None:
        self.store = store
        self.known = known
        """When it is, and by what to rank."""
        self.leftovers = Leftovers(store, catalogue)
        self._searched: set[str] = set()
        """Folders in which trash was looked for."""
        self._above = {""}
        """Folders in which it must be looked for yet, but for those."""

    def visit(self, run: Run) -> Report:
        """Everything that is wrong with one run."""
        store, left = self.store, self.leftovers
        pointers = (it for it in run.pointers if not is_temporary(it.path))
        run = run._replace(pointers=(*pointers, *find_broken(store, run, left.links.get(run.path, ()))))
        known = self.known._replace(
            said=read_said(store, run, left.links),
            lost=list_lost(store, run),
            failures=left.take_failures(run.path),
        )
        findings = [*examine(run, known), *left.tell_of(run, known.now), *find_twins(store, run)]
        return Report(run.path, arrange([*findings, *self._search(run.path)]), len(run.checkpoints))

    def finish(self) -> Iterator[Report]:
        """What lies in folders that hold no run; to be asked when all runs were visited."""
        for path, why in self.leftovers.take_failures("").items():
            yield Report(path, (unlisted(path, why),), is_run=False)
        for folder, found in self.leftovers.tell_rest(self.known.now):
            yield Report(folder, arrange(found), is_run=False)
        for folder in sorted(self._above - self._searched):
            trash = list(find_trash(self.store, folder, self.known.now))
            if trash:
                yield Report(folder, arrange(trash), is_run=False)

    def _search(self, folder: str) -> list[Finding]:
        """The trash in a run's folder; those above it may have been pruned too, and are searched at the end."""
        self._searched.add(folder)
        above = folder
        while above:
            above = above.rpartition("/")[0]
            self._above.add(above)
        return list(find_trash(self.store, folder, self.known.now))
