"""``ckptctl last``: the newest complete checkpoint's path."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Annotated

from typer import Option

from ckptctl.cli import _options as opt
from ckptctl.cli._console import Console
from ckptctl.cli._targets import LocatedRun, print_restart_warning, require_all_listed, require_found, scan_stores
from ckptctl.core.filters import meets_all, parse_filter
from ckptctl.core.model import Checkpoint, Note
from ckptctl.core.ranking import find_newest, in_save_order
from ckptctl.errors import NoCheckpoint
from ckptctl.render.text import locate
from ckptctl.scan.targets import NameOptions, fill_names, open_stores, read_options

EXAMPLES = """
  ckptctl last runs/a
  ckptctl last runs/a --resumable
  python train.py --resume "$(ckptctl last runs/a)"
"""


def command(
    path: opt.Path = ".",
    resumable: Annotated[bool, Option("--resumable", help="Skip what holds no optimizer state.")] = False,
    group_by: opt.Grouping = opt.GroupName.all,
    filters: opt.Filters = None,
    template: opt.TemplateText = None,
    layout: opt.LayoutName = None,
    ext: opt.Extensions = None,
    equals: opt.Equals = "=",
    include: opt.Includes = None,
    null: opt.Null = False,
    json: opt.Json = False,
) -> None:
    """Print the newest complete checkpoint under PATH.

    In a run the newest has the highest step, else epoch, else save counter, else the latest time. Times decide between
    runs, and where a record proves that training was restarted in a folder.
    """
    opt.refuse_together(json=json, null=null)
    console, stores = Console(), open_stores([path])
    scanning = read_options(
        fill_names(NameOptions(template, layout, ext, equals, include), [path]), resumable=resumable
    )
    wanted = tuple(map(parse_filter, filters or ()))
    is_wanted = partial(meets_all, wanted, now=scanning.now)
    unknown: list[Checkpoint] = []
    listed: list[LocatedRun] = []
    found = [
        (located, newest)
        for located in _note_unknown(_note_listed(scan_stores(stores, scanning, console), listed), unknown, is_wanted)
        if (newest := find_newest(located.run.checkpoints, is_wanted, resumable=resumable)) is not None
    ]
    if resumable and not found and unknown:
        likely = locate(stores[0].url, max(unknown, key=lambda it: it.modified).path)
        text = "nothing shows of any checkpoint that training can go on from it"
        raise NoCheckpoint(text, path=path, hint=f"the newest of which it is not known: {likely}")
    if not found and listed and not wanted:
        lacking = "none is complete and can resume" if resumable else "none is complete"
        raise NoCheckpoint("no checkpoint found", path=path, hint=f"{lacking}: ckptctl ls shows what there is")
    require_found(found, stores, wanted, template=scanning.template)
    latest: dict[str, tuple[LocatedRun, Checkpoint]] = {}
    for located, newest in found:
        group = opt.group_of(located.store.url, located.run.path, group_by)
        latest[group] = max(latest.get(group, (located, newest)), (located, newest), key=lambda pair: pair[1].saved)
    for located, newest in latest.values():
        print_restart_warning(console, located)
        _warn_of_newer(console, located, newest)
    if json:
        from ckptctl.render.json import last

        console.answer(last(newest for _, newest in latest.values()))
    else:
        console.hand_over([(locate(it.store.url, newest.path), "") for it, newest in latest.values()], null=null)
    require_all_listed(console)


def _note_listed(runs: Iterable[LocatedRun], listed: list[LocatedRun]) -> Iterator[LocatedRun]:
    """The runs; the first one with checkpoints is noted."""
    for located in runs:
        if located.run.checkpoints and not listed:
            listed.append(located)
        yield located


def _note_unknown(
    runs: Iterable[LocatedRun], unknown: list[Checkpoint], is_wanted: Callable[[Checkpoint], bool]
) -> Iterator[LocatedRun]:
    """The runs; of each the newest of which nobody knows whether training can go on from it is noted."""
    for located in runs:
        newest = find_newest(located.run.checkpoints, is_wanted)
        if newest is not None and newest.resumable is None:
            unknown.append(newest)
        yield located


def _warn_of_newer(console: Console, located: LocatedRun, newest: Checkpoint) -> None:
    """Tell of what was saved later and is not whole, or not known to be."""
    order = [it for it in in_save_order(located.run.checkpoints) if not it.is_made]
    for newer in order[order.index(newest) + 1 :]:
        if newer.state != "complete":
            where = locate(located.store.url, newer.path)
            console.warn(Note("newer", path=where, state=newer.public_state, why=newer.note))
