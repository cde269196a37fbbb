"""What is wrong with runs beyond what they tell themselves: for this the store is asked. Nothing is changed.

One walk looks for what was left behind. Then each run is examined, with what its links and files say, and its
checkpoints are compared. At last comes what lies in folders that hold no run.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ckptctl.core.findings import DoctorContext, Finding, Report, sort_findings
from ckptctl.doctor.duplicate_checks import find_duplicates
from ckptctl.doctor.leftovers import LeftoverCollector, find_trash, is_temporary
from ckptctl.doctor.pointer_checks import find_broken, list_missing_names, read_broken_targets
from ckptctl.doctor.run_checks import examine_run, unlisted_finding

if TYPE_CHECKING:
    from ckptctl.core.model import Run
    from ckptctl.layouts.index import LayoutIndex
    from ckptctl.stores import ReadStore


class DoctorVisit:
    """A visit to every run of a store, one by one."""

    def __init__(self, store: ReadStore, index: LayoutIndex, context: DoctorContext) -> None:
        self.store = store
        self.known = context
        """When it is, and by what to rank."""
        self.leftovers = LeftoverCollector(store, index)
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
            said=read_broken_targets(store, run, left.links),
            lost=list_missing_names(store, run),
            failures=left.take_failures(run.path),
        )
        findings = [*examine_run(run, known), *left.warn_run(run, known.now), *find_duplicates(store, run)]
        return Report(run.path, sort_findings([*findings, *self._search(run.path)]), len(run.checkpoints))

    def finish(self) -> Iterator[Report]:
        """What lies in folders that hold no run; to be asked when all runs were visited."""
        for path, why in self.leftovers.take_failures("").items():
            yield Report(path, (unlisted_finding(path, why),), is_run=False)
        for folder, found in self.leftovers.warn_rest(self.known.now):
            yield Report(folder, sort_findings(found), is_run=False)
        for folder in sorted(self._above - self._searched):
            trash = list(find_trash(self.store, folder, self.known.now))
            if trash:
                yield Report(folder, sort_findings(trash), is_run=False)

    def _search(self, folder: str) -> list[Finding]:
        """The trash in a run's folder; those above it may have been pruned too, and are searched at the end."""
        self._searched.add(folder)
        above = folder
        while above:
            above = above.rpartition("/")[0]
            self._above.add(above)
        return list(find_trash(self.store, folder, self.known.now))
