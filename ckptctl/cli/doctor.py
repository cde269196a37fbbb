"""``ckptctl doctor``: what is wrong with runs, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from typer import Exit

from ckptctl.cli import _options as opt
from ckptctl.cli._console import Console
from ckptctl.cli._targets import LocatedRun, require_found, tell_misfits
from ckptctl.core.findings import DoctorContext, FindingCount, Report, relocate_report
from ckptctl.doctor import DoctorVisit
from ckptctl.errors import Damaged
from ckptctl.layouts.index import LayoutIndex
from ckptctl.render import findings as screens
from ckptctl.scan.runs import Options, choose_layouts, scan
from ckptctl.scan.targets import NameOptions, fill_names, open_stores, read_options
from ckptctl.stores import ReadStore

EXAMPLES = """
  ckptctl doctor runs/
  ckptctl doctor runs/a --monitor val_loss --mode min
  ckptctl doctor runs/ --json | jq '.findings[] | select(.severity == "error")'
"""


def command(
    paths: opt.Paths = None,
    monitor: opt.Monitor = None,
    mode: opt.ModeOption = opt.ModeName.auto,
    template: opt.TemplateText = None,
    layout: opt.LayoutName = None,
    ext: opt.Extensions = None,
    equals: opt.Equals = "=",
    include: opt.Includes = None,
    json: opt.Json = False,
) -> None:
    """Find what is wrong with runs, and say what to do.

    Nothing is changed. Exit code 5 where there is an error, 0 where there is advice alone, or nothing.
    """
    console, stores = Console(), open_stores(paths)
    scanning = read_options(fill_names(NameOptions(template, layout, ext, equals, include), paths), monitor=monitor)
    visits = _visit(stores, scanning, DoctorContext(scanning.now, monitor, mode.value), console)
    first = next(visits, None)
    require_found(first, stores, template=scanning.template)
    reports = CountedReports(chain([first] if first else [], visits))
    root = "." if len(stores) > 1 else stores[0].url
    console.answer(_write(reports, root, console, json=json))
    if not json:
        console.say(screens.closing(reports.count))
    if reports.count.errors:
        raise Exit(Damaged.exit_code)


class CountedReports:
    """Reports, counted as they pass."""

    def __init__(self, reports: Iterable[Report]) -> None:
        self.count = FindingCount()
        self._reports = reports

    def __iter__(self) -> Iterator[Report]:
        for report in self._reports:
            self.count = self.count.add(report)
            yield report


def _visit(
    stores: Sequence[ReadStore], scanning: Options, context: DoctorContext, console: Console
) -> Iterator[Report]:
    """The reports on every run of the stores, and on what lies outside of runs; paths as seen from a common root."""
    for store in stores:
        reports = _visit_one(store, scanning, context, console)
        yield from (relocate_report(it, store.url) for it in reports) if len(stores) > 1 else reports


def _visit_one(store: ReadStore, scanning: Options, context: DoctorContext, console: Console) -> Iterator[Report]:
    rounds = DoctorVisit(store, LayoutIndex(choose_layouts(scanning)), context)
    located_runs = (LocatedRun(store, run) for run in scan(store, scanning))
    for _, run in tell_misfits(located_runs, scanning.template, console):
        if run.checkpoints or run.pointers or not run.listed:
            yield rounds.visit(run)
        else:  # what was named is a checkpoint itself
            console.warn_of_run(store.url, run)
    yield from rounds.finish()


def _write(reports: Iterable[Report], root: str, console: Console, *, json: bool) -> Iterator[str]:
    if json:
        from ckptctl.render.json import doctor

        return doctor(reports, root=root)
    if console.is_terminal:
        return screens.screen(reports, root=root, width=console.width)
    return screens.rows(reports, root=root)
