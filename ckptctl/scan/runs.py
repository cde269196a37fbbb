"""The door in: a store's listing becomes runs of checkpoints, one run at a time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from math import isfinite
from typing import TYPE_CHECKING, NamedTuple

from ckptctl import layouts as table
from ckptctl.core.model import Checkpoint, Entries, Evidence, Note, Pointer, Run, Score, State, Stray
from ckptctl.core.names.parse import EXTENSIONS, Field, Name, SaidNames, parse_folder
from ckptctl.core.ranking import UNNAMED, in_save_order
from ckptctl.core.units import QUIET
from ckptctl.errors import UsageError
from ckptctl.layouts.index import LayoutIndex, glob_matches
from ckptctl.scan.checkpoint_names import COUNTING, name_of_loose, part_by_settings, read_names
from ckptctl.scan.completeness import check_completeness, classify_unfinished
from ckptctl.scan.detect import Detected, DetectedAll, detect
from ckptctl.scan.grouping import HeldFolder, RunFolder, group_folders, join_saves
from ckptctl.scan.metrics.collect import MetricRequest, collect_metrics
from ckptctl.scan.peer_checks import check_against_peers
from ckptctl.scan.pins import PIN, attach_pins
from ckptctl.scan.pointers import (
    FrameworkPointers,
    owners_of,
    read_pointers,
    resolve_links,
)
from ckptctl.stores import CachedStore

if TYPE_CHECKING:
    from ckptctl.core.names.template import Template  # noqa: TC004 - whoever asks for a template has loaded it
    from ckptctl.layouts.schema import Layout
    from ckptctl.scan.loose_files import LooseCheckpoint
    from ckptctl.stores import Folder, ReadStore


_Parted = tuple[list[Checkpoint], list[Pointer], list[Checkpoint]]
"""The checkpoints of a run, the names that stand for some of them, and what was folded into these."""


class Options(NamedTuple):
    """How to look."""

    now: int = 0
    """Nanoseconds since 1970, by the clock that stamps the files."""
    stat: bool = True
    """Whether to ask for sizes, times and proofs of wholeness; without, states are "unchecked"."""
    exact: bool = False
    """Whether to read every checkpoint's own state."""
    monitor: str | None = None
    """A metric to look for in tables, and what the unnamed numbers mean of a run that lies in the root itself.

    Further down it does not name them: a tree may hold runs in which they are something else.
    """
    template: Template | None = None
    include: tuple[str, ...] = ()
    """Globs of names of files that are checkpoints, as a person says."""
    layout: str | None = None
    """Take only this layout's checkpoints."""
    extensions: tuple[str, ...] = ()
    """Extensions beyond the known ones: the chosen layout's, else those of files that record their scores inside."""
    equals: str = "="
    """What stands between a name and its value in file names."""
    resumable: bool = False
    """Whether to read states, newest first, until one can resume."""
    metrics: tuple[str, ...] = ()
    """More metrics to look for inside, as for the monitor."""
    tick: Callable[[], object] = bool
    """Is told of each file that was read for scores."""
    sure: bool = False
    """Whether every checkpoint's own side files are read, where the newest would tell of all."""
    is_brief: bool = False
    """Whether names are enough where they number every checkpoint: no state and no side file is read then."""
    every: bool = False
    """Whether every file is looked into, so that what is left out is all that holds weights."""
    is_worth: Callable[[Sequence[str]], bool] | None = None
    """Asked of the paths of a run's checkpoints, relative to its folder; nothing is read of a run that is not worth it,
    and it is left out."""


def scan(
    store: ReadStore,
    options: Options,
    *,
    observe: Callable[[Folder], object] = bool,
    skip: Callable[[str], bool] | None = None,
) -> Iterator[Run]:
    """The runs below a store's root, in a stable order: a folder's own run after those of the folders below it.

    A folder that could not be listed is a run with ``listed`` False. ``observe`` is shown each folder as it is listed;
    ``skip`` is asked of each folder with a run: of one that is skipped only what could not be listed is told.
    """
    store = CachedStore(store)
    layouts = choose_layouts(options)
    names = {it.name for it in layouts}
    index = LayoutIndex(layouts, [it for it in table.LAYOUTS if it.unit == "dir" and it.name not in names])
    wanted = MetricRequest(
        options.exact, options.stat, options.monitor, options.resumable, options.metrics, options.tick, options.sure
    )
    said = SaidNames(options.template, options.include)
    find, join = partial(_find_saves, said), partial(_join_folders, store, index.loose_rows.folder, said)
    for run_folder in join_saves(group_folders(store, index, stat=options.stat, observe=observe), find, join):
        if skip is not None and skip(run_folder.path):
            failures = tuple(run_folder.failures)
            yield from [Run(run_folder.path, (), notices=failures, listed=False)] if failures else []
            continue
        run = _build(store, run_folder, index, options)
        if run is None:
            continue
        if options.is_brief and all(it.is_numbered or it.is_set_aside for it in run.checkpoints):
            yield run._replace(checkpoints=tuple(in_save_order(run.checkpoints)))
            continue
        run = _trust_records(collect_metrics(store, run, run_folder.sides, wanted))
        if options.resumable and run.checkpoints:
            from ckptctl.scan.resumable import find_resumable

            run = find_resumable(store, run)
        if options.stat and run.checkpoints:  # their order is known now
            run = run._replace(checkpoints=tuple(check_against_peers(store, run.checkpoints, options.now)))
        yield run


def _find_saves(said: SaidNames, names: Sequence[str]) -> Collection[str]:
    """Of the names of folders those that may be saves'."""
    from ckptctl.scan.save_folders import find_saves  # few programs write a folder for each save

    return find_saves(names, said.template)


def _join_folders(
    store: ReadStore, layout: Layout | None, said: SaidNames, run_folder: RunFolder, held: list[HeldFolder]
) -> list[RunFolder]:
    """Join the folders that are one save each to the run folder above; returns the run folders of what is none."""
    unclaimed = [] if run_folder.is_proved else [it for it in run_folder.units.values() if not it.is_claimed]
    if layout is not None and len(held) + len(unclaimed) > 1:
        from ckptctl.scan.save_folders import join_folders  # as above

        return join_folders(store, layout, said, run_folder, held)
    return [it for each in held for it in (*each.below, each.top)]


def _trust_records(run: Run) -> Run:
    """The run, with what a framework's own record inside names by its path proven, whatever it is called."""
    if not any(it.why_not is not None for it in run.checkpoints):
        return run
    return run._replace(
        checkpoints=tuple(
            it._replace(
                why_not=None,
                roles=tuple(role for role in it.roles if role != "named"),
                proofs=(*it.proofs, Evidence("record", "its callbacks' record names it")),
            )
            if it.why_not == Note("no-number") and any(score.source in _RECORDS for score in it.metrics.values())
            else it
            for it in run.checkpoints
        )
    )


_RECORDS = frozenset({"state", "sibling"})


def choose_layouts(options: Options) -> tuple[Layout, ...]:
    """The layouts to look for, with the extensions that were asked for; raises UsageError for an unknown name."""
    if options.layout is None and not options.extensions:
        return table.LAYOUTS
    chosen = [it for it in table.LAYOUTS if options.layout is None or f"{it.name}-".startswith(f"{options.layout}-")]
    if not chosen:
        raise UsageError(f"there is no layout '{options.layout}'", hint=_suggest(options.layout or ""))
    if options.layout is not None:
        chosen = [it._replace(neighbors=()) for it in chosen]  # whoever names a layout needs no other evidence
    families = {it.family for it in chosen if options.layout is not None or (it.records and it.extensions)}
    return tuple(
        it._replace(extensions=it.extensions + options.extensions) if it.extensions and it.family in families else it
        for it in chosen
    )


def _suggest(name: str) -> str:
    """What somebody may have meant, and all that there is."""
    from difflib import get_close_matches

    families = sorted({it.family for it in table.LAYOUTS})
    near = get_close_matches(name, [*families, *(it.name for it in table.LAYOUTS)], 1)
    return f"{f'did you mean {near[0]}? ' if near else ''}layouts: {', '.join(families)}"


def _build(store: ReadStore, run_folder: RunFolder, index: LayoutIndex, options: Options) -> Run | None:
    """A run from the names in its folder alone; None where there is neither checkpoint nor link to one, or no worth."""
    detected = detect(store, run_folder, index, options.equals, SaidNames(options.template, options.include))
    if run_folder.is_checkpoint is not None:
        return _refuse_inside(run_folder)
    if options.every and options.layout is None:
        from ckptctl.scan.unlisted import add_unlisted

        detected = add_unlisted(store, run_folder, detected)
    links = [entry for entry in run_folder.entries if entry.kind == "link"]
    if not (detected.checkpoints or detected.left_out or links or run_folder.failures):
        return None
    start = len(run_folder.path) + 1 if run_folder.path else 0
    paths = [it.path[start:] for it in detected.checkpoints]
    if paths and options.is_worth is not None and not options.is_worth(paths):
        return None
    own = options._replace(monitor=None) if run_folder.path else options
    parse = partial(
        parse_folder,
        known=(options.monitor,) if options.monitor else (),
        equals=options.equals,
        extensions=(*options.extensions, *EXTENSIONS),
        template=options.template,
    )
    names = read_names(detected.checkpoints, start, parse)
    checkpoints = [_make(store, it, name, own) for it, name in zip(detected.checkpoints, names, strict=True)]
    texts = options.template.texts if options.template else ()
    checkpoints = part_by_settings(checkpoints, names, texts)
    others = [_make(store, it, name_of_loose(it), own) for it in detected.left_out]
    pointers = resolve_links(store, links, owners_of(checkpoints), index)
    if not (checkpoints or others or pointers or run_folder.failures):
        return None
    checkpoints, more, copies = _part_names(store, checkpoints, run_folder) if options.stat else (checkpoints, [], [])
    run = _make_run(store, (run_folder, detected), (checkpoints, [*pointers, *more]), index, options)
    return run._replace(left_out=tuple(others), copies=tuple(copies)) if others or copies else run


def _make_run(
    store: ReadStore,
    found: tuple[RunFolder, DetectedAll],
    made: tuple[list[Checkpoint], list[Pointer]],
    index: LayoutIndex,
    options: Options,
) -> Run:
    """The run of what was made of a folder, with what the files beside its checkpoints say of them."""
    (run_folder, detected), (checkpoints, pointers) = found, made
    layouts = {it.layout.name: it.layout for it in detected.checkpoints}
    held = list(layouts.values())
    files = [entry for entry in run_folder.entries if entry.kind in ("file", "link")]
    known = [it for it in index.layouts if it.name in layouts]
    named = read_pointers(store, files, checkpoints, known) if options.stat else FrameworkPointers()
    pins = {entry.path: entry for entry in run_folder.entries if entry.path.endswith(PIN)}
    checkpoints, broken = attach_pins(store, pins, checkpoints, options.now) if pins else (checkpoints, [])
    pointers = [*pointers, *named.pointers]
    marked = _mark(checkpoints, pointers, run_folder, index)
    noted = {it.path for it in named.pointers}
    return Run(
        run_folder.path,
        tuple(_commit(marked, named, options.now) if named.committed or named.closed else marked),
        tuple(pointers),
        tuple(_strays(run_folder, detected, index, noted)) if held and options.stat else (),
        mode=next((it.always for it in held if it.always), None),
        step_base=max((it.step_base for it in held), default=0),
        epoch_base=max((it.epoch_base for it in held if not it.is_generic), default=None if held else 0),
        notices=(*run_folder.failures, *broken),
        listed=not run_folder.failures,
        rosters=named.rosters,
        unread=named.unread,
    )


def _refuse_inside(run_folder: RunFolder) -> Run:
    """An empty run where the root is a checkpoint itself, or part of one: what lies in it is not to be chosen from."""
    layout = run_folder.is_checkpoint.layout.name if run_folder.is_checkpoint else ""
    why = Note("inside-a-checkpoint", layout=layout)
    return Run(run_folder.path, (), strays=(Stray(run_folder.path or ".", why),), notices=(why,))


def _make(store: ReadStore, found: Detected, name: Name, options: Options) -> Checkpoint:
    fields = name.fields
    metrics = {
        options.monitor or UNNAMED if key == UNNAMED else key: Score(field.number, field.text, "name")
        for key, field in fields.items()
        if field.number is not None and key not in COUNTING
    }
    if len(name.bare) == 1 and name.bare[0].number is not None:
        metrics[options.monitor or UNNAMED] = Score(name.bare[0].number, name.bare[0].text, "name")
    entries = Entries(found.entries)
    state, note = _judge(store, found, entries, options)
    index = found.groups.get("index") if found.groups else None
    if index is None and "index" in fields and fields["index"].text.isdecimal():
        index = fields["index"].text
    step = _count(fields, "step" if "step" in fields else "global_step")
    made = Checkpoint(
        found.path,
        found.layout.name,
        found.unit,
        entries,
        _count(fields, "epoch"),
        None if step is None else int(step),
        name.version,
        metrics,
        state,
        note,
        name.roles,
        counter=None if index is None else int(index),
        evidence=found.evidence,
        saved_at=_find_save_time(found, entries) if found.unit == "dir" and options.stat else None,
    )
    if found.loose is not None:
        return _add_proofs(made, found.loose, found.layout)
    series = found.groups.get("series")
    return made._replace(series=series) if series else made


def _find_save_time(found: Detected, entries: Entries) -> int | None:
    from ckptctl.scan.save_time import find_save_time  # only folders have it

    return find_save_time(found.layout, entries)


def _add_proofs(checkpoint: Checkpoint, loose: LooseCheckpoint, layout: Layout) -> Checkpoint:
    """A checkpoint of loose files with the series that it is one of, and what speaks for its being deleted by rules."""
    is_said = any(it.kind == "said" for it in loose.evidence)
    series = loose.series if is_said or not layout.records else ""
    return checkpoint._replace(series=series, why_not=loose.why_not, proofs=loose.evidence)


def _judge(store: ReadStore, found: Detected, entries: Entries, options: Options) -> tuple[State, Note | None]:
    if not options.stat:
        unlooked: State = "doubtful" if found.doubt else "unchecked"
        return ("partial", found.lacks) if found.in_progress or found.lacks else (unlooked, found.doubt)
    if found.doubt:
        return "doubtful", found.doubt
    if found.in_progress or found.lacks:
        return classify_unfinished(entries, options.now, found.lacks)
    return check_completeness(store, found.layout, entries, options.now, found.unit)


def _count(fields: Mapping[str, Field], key: str) -> int | float | None:
    """A number that counts, whole where it is whole."""
    field = fields.get(key)
    if field is None or field.number is None or not isfinite(field.number):
        return None
    whole = int(field.number)
    return whole if whole == field.number else float(field.number)


def _part_names(store: ReadStore, checkpoints: Sequence[Checkpoint], run_folder: RunFolder) -> _Parted:
    """The checkpoints without those that are others under a second name, pointers for those names, and the copies."""
    kept, pointers = _part_hard_links(checkpoints)
    if not any(it.roles for it in kept):
        return kept, pointers, []
    from ckptctl.scan.copies import part_copies  # many runs have no name of this kind

    pinned = {it.path.removesuffix(PIN) for it in run_folder.entries if it.path.endswith(PIN)}
    kept, more, folded = part_copies(store, kept, pinned)
    return kept, [*pointers, *more], folded


def _part_hard_links(checkpoints: Sequence[Checkpoint]) -> tuple[list[Checkpoint], list[Pointer]]:
    """A name without numbers, or of a last or best, that is another name of a checkpoint's very file stands for it."""
    linked = [it for it in checkpoints if it.unit != "dir" and any(top.links > 1 for top in it.tops)]
    plain = {top.identity: it for it in linked if _is_plain(it) for top in it.tops if top.links > 1}
    names = {it.path for it in linked if not _is_plain(it)}
    kept, pointers = [], []
    for checkpoint in checkpoints:
        is_single = checkpoint.path in names and len(checkpoint.tops) == 1
        other = plain.get(checkpoint.entries[0].identity) if is_single else None
        if other is None:
            kept.append(checkpoint)
        else:
            pointers.append(Pointer(checkpoint.path, "hardlink", other.path, "ok"))
    return kept, pointers


def _is_plain(checkpoint: Checkpoint) -> bool:
    """Whether a name says which save it is."""
    return not checkpoint.roles and (bool(checkpoint.metrics) or checkpoint.is_numbered)


def _mark(
    checkpoints: Sequence[Checkpoint], pointers: Sequence[Pointer], run_folder: RunFolder, index: LayoutIndex
) -> Iterator[Checkpoint]:
    """The checkpoints with the names that stand for them, and the markers beside them."""
    marked = {entry.path for entry in run_folder.entries if entry.path.endswith(index.markers)}
    aliases: dict[str, list[str]] = {}
    for pointer in pointers:
        if pointer.target is not None:
            aliases.setdefault(pointer.target, []).append(pointer.path)
    for it in checkpoints:
        if it.path in aliases:
            it = it._replace(aliases=tuple(aliases[it.path]))  # noqa: PLW2901 - the usual case stays as made
        stems = {it.path, *(it.path.removesuffix(ending) for ending in index.free_endings)} if marked else ()
        is_marked = any(stem + marker in marked for stem in stems for marker in index.markers)
        if is_marked or "unfinished" in it.roles:
            it = it._replace(state="partial", note=Note("unfinished-marker"))  # noqa: PLW2901 - as above
        yield it


def _commit(checkpoints: Iterator[Checkpoint], named: FrameworkPointers, now: int) -> Iterator[Checkpoint]:
    """The checkpoints, in doubt those newer than what their framework says is done, and what a closed file may name."""
    for checkpoint in checkpoints:
        layout, step = checkpoint.layout, checkpoint.step
        done = named.committed.get(layout)
        if checkpoint.state != "complete":
            yield checkpoint
        elif layout in named.closed:
            yield checkpoint._replace(state="doubtful", note=Note("unread-pointer", file=named.closed[layout]))
        elif done is not None and step is not None and step > done.step:
            state: State = "live" if now - checkpoint.modified < QUIET else "doubtful"
            yield checkpoint._replace(state=state, note=Note("uncommitted", file=done.file, step=done.step))
        else:
            yield checkpoint


def _strays(run_folder: RunFolder, detected: DetectedAll, index: LayoutIndex, texts: set[str]) -> Iterator[Stray]:
    """Entries that are neither checkpoints nor what training is known to leave beside them."""
    tops = (it.entries[:1] if it.unit == "dir" else it.entries for it in detected.checkpoints)
    taken = {entry.path for held in tops for entry in held} | run_folder.rank_folders | texts
    taken |= {entry.path for it in detected.left_out for entry in it.entries}
    rows = {it.layout.name: it.layout for it in detected.checkpoints}
    literal, globs = index.known_beside(tuple(sorted(rows)))
    for entry in run_folder.entries:
        name = entry.path.rpartition("/")[2]
        if entry.path in taken or entry.kind == "link":
            continue
        if entry.kind == "other":
            yield Stray(entry.path, Note("odd-kind"))
        elif name in literal or name.endswith((PIN, *index.markers)) or any(glob_matches(it, name) for it in globs):
            continue
        elif entry.kind == "file":
            yield Stray(entry.path, Note("not-understood"))
        elif name.endswith(index.free_endings):
            yield Stray(entry.path, Note("unknown-folder"))
