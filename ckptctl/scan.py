"""The door in: a store's listing becomes runs of checkpoints, one run at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from math import isfinite
from typing import TYPE_CHECKING, NamedTuple

from ckptctl.condition import judge
from ckptctl.core.checkpoint import Checkpoint, Entry, Pointer, Run, Score, Stray
from ckptctl.core.names import EXTENSIONS, Field, Name, parse_folder
from ckptctl.core.ranking import UNNAMED, in_order
from ckptctl.errors import UsageError
from ckptctl.gather import Wanted, gather
from ckptctl.grove import Grove, group
from ckptctl.layouts import LAYOUTS
from ckptctl.pointers import follow, read_text

if TYPE_CHECKING:
    from ckptctl.core.layout import Layout
    from ckptctl.core.template import Template  # noqa: TC004 - whoever asks for a template has loaded it
    from ckptctl.stores import Store

NUMBERS = ("epoch", "step", "global_step")
"""Fields that say when, not how good."""
UNFINISHED = "-unfinished"


class Options(NamedTuple):
    """How to look."""

    now: int = 0
    """Nanoseconds since 1970, by the clock that stamps the files."""
    stat: bool = True
    """Whether to ask for sizes, times and proofs of wholeness; without, states are "unknown"."""
    exact: bool = False
    """Whether to read every checkpoint's own state."""
    monitor: str | None = None
    """A metric to look for in tables, and what the unnamed numbers mean of a run that lies in the root itself.

    Further down it does not name them: a tree may hold runs in which they are something else.
    """
    template: Template | None = None
    layout: str | None = None
    """Take only this layout's checkpoints."""
    extensions: tuple[str, ...] = ()
    """Extensions beyond the known ones, taken for the chosen layout's or Lightning's."""
    equals: str = "="
    """What stands between a name and its value in file names."""
    resumable: bool = False
    """Whether to read states, newest first, until one can resume."""
    is_brief: bool = False
    """Whether names are enough where they number every checkpoint: no state and no side file is read then."""
    is_worth: Callable[[Sequence[str]], bool] | None = None
    """Asked of the paths of a run's checkpoints, relative to its folder; nothing is read of a run that is not worth it,
    and it is left out."""


def scan(store: Store, options: Options) -> Iterator[Run]:
    """The runs below a store's root, in a stable order: a folder's own run after those of the folders below it.

    A folder that could not be listed is a run with ``listed`` False.
    """
    layouts = choose_layouts(options)
    wanted = Wanted(options.exact, options.stat, options.monitor, options.resumable)
    for grove in group(store, layouts, stat=options.stat):
        run = _build(store, grove, layouts, options)
        if run is None:
            continue
        if options.is_brief and all(map(_has_place, run.checkpoints)):
            yield run._replace(checkpoints=tuple(in_order(run.checkpoints)))
        else:
            yield gather(store, run, grove.beside, wanted)


def _has_place(checkpoint: Checkpoint) -> bool:
    """Whether its name says when it was saved, as far as that can be asked of a ``last``."""
    return checkpoint.step is not None or checkpoint.epoch is not None or "last" in checkpoint.roles


def choose_layouts(options: Options) -> tuple[Layout, ...]:
    """The layouts to look for, with the extensions that were asked for; raises UsageError for an unknown name."""
    chosen = [it for it in LAYOUTS if options.layout is None or f"{it.name}-".startswith(f"{options.layout}-")]
    if not chosen:
        hint = f"layouts: {', '.join(it.name for it in LAYOUTS)}"
        raise UsageError(f"there is no layout '{options.layout}'", hint=hint)
    widened = options.layout or "lightning"
    return tuple(
        it._replace(extensions=it.extensions + options.extensions) if f"{it.name}-".startswith(f"{widened}-") else it
        for it in chosen
    )


def _build(store: Store, grove: Grove, layouts: Sequence[Layout], options: Options) -> Run | None:
    """The run of a grove, by names alone; None where there is neither checkpoint nor link to one, or no worth."""
    units = list(_units(grove, layouts))
    pointers = [follow(store, entry) for entry in grove.entries if _could_name_checkpoint(entry, layouts)]
    if not (units or pointers or grove.failures):
        return None
    start = len(grove.path) + 1 if grove.path else 0
    paths = [entries[0].path[start:] for _, entries in units]
    if units and options.is_worth is not None and not options.is_worth(paths):
        return None
    names = _read_names(paths, options)
    own = options._replace(monitor=None) if grove.path else options
    checkpoints = [
        _make(store, layout, entries, name, own) for (layout, entries), name in zip(units, names, strict=True)
    ]
    checkpoints, hard = _part_hard_links(checkpoints)
    targets = {it.path for it in checkpoints}
    texts = [it for entry in grove.entries if (it := read_text(store, entry, targets))] if options.stat else []
    pointers += [*hard, *texts]
    return Run(
        grove.path,
        tuple(_mark(checkpoints, pointers, grove, layouts)),
        tuple(pointers),
        tuple(_strays(grove, layouts, {it.path for it in texts})) if units and options.stat else (),
        epoch_base=max((layout.epoch_base for layout, _ in units), default=0),
        notices=tuple(grove.failures),
        listed=not grove.failures,
    )


def _units(grove: Grove, layouts: Sequence[Layout]) -> Iterator[tuple[Layout, tuple[Entry, ...]]]:
    """Each checkpoint of a grove: its layout, and its entries, the one that loads first."""
    files = {ending: layout for layout in layouts if layout.unit == "file" for ending in layout.extensions}
    endings = tuple(files)
    for entry in grove.entries:
        if entry.kind == "file" and entry.path.endswith(endings):
            yield next(layout for ending, layout in files.items() if entry.path.endswith(ending)), (entry,)
        elif entry.kind == "dir" and entry.path in grove.units:
            layout, inside = grove.units[entry.path]
            yield layout, (entry, *inside)


def _read_names(paths: Sequence[str], options: Options) -> list[Name]:
    known = (options.monitor,) if options.monitor else ()
    return parse_folder(
        paths,
        known=known,
        equals=options.equals,
        extensions=(*options.extensions, *EXTENSIONS),
        template=options.template,
    )


def _make(store: Store, layout: Layout, entries: tuple[Entry, ...], name: Name, options: Options) -> Checkpoint:
    fields = name.fields
    metrics = {
        key: Score(field.number, field.text, "name")
        for key, field in fields.items()
        if field.number is not None and key not in NUMBERS
    }
    if len(name.bare) == 1 and name.bare[0].number is not None:
        metrics[options.monitor or UNNAMED] = Score(name.bare[0].number, name.bare[0].text, "name")
    state, note = judge(store, layout, entries, options.now) if options.stat else ("unknown", None)
    return Checkpoint(
        entries[0].path,
        layout.name,
        layout.unit,
        entries,
        _count(fields, "epoch"),
        _whole(_count(fields, "step") if "step" in fields else _count(fields, "global_step")),
        name.version,
        metrics,
        state,
        note,
        name.roles,
    )


def _count(fields: Mapping[str, Field], key: str) -> int | float | None:
    """A number that counts, whole where it is whole."""
    field = fields.get(key)
    number = None if field is None else field.number
    if number is None or not isfinite(number):
        return None
    return int(number) if number == int(number) else float(number)


def _whole(number: float | None) -> int | None:
    return None if number is None else int(number)


def _could_name_checkpoint(entry: Entry, layouts: Sequence[Layout]) -> bool:
    if entry.kind != "link":
        return False
    endings = tuple(ending for layout in layouts for ending in layout.extensions)
    return entry.path.endswith(endings) or (entry.target or "").endswith(endings)


def _part_hard_links(checkpoints: Sequence[Checkpoint]) -> tuple[list[Checkpoint], list[Pointer]]:
    """A name without numbers, or of a last or best, that is another name of a checkpoint's very file stands for it."""
    linked = [it for it in checkpoints if it.unit == "file" and it.entries[0].links > 1]
    plain = {it.entries[0].identity: it for it in linked if _is_plain(it)}
    names = {it.path for it in linked if not _is_plain(it)}
    kept, pointers = [], []
    for it in checkpoints:
        other = plain.get(it.entries[0].identity) if it.path in names else None
        if other is None:
            kept.append(it)
        else:
            pointers.append(Pointer(it.path, "hardlink", other.path, "ok"))
    return kept, pointers


def _is_plain(checkpoint: Checkpoint) -> bool:
    """Whether a name says which save it is."""
    return not checkpoint.roles and bool(checkpoint.metrics or (checkpoint.epoch, checkpoint.step) != (None, None))


def _mark(
    checkpoints: Sequence[Checkpoint], pointers: Sequence[Pointer], grove: Grove, layouts: Sequence[Layout]
) -> Iterator[Checkpoint]:
    """The checkpoints with the names that stand for them, and the pins and markers beside them."""
    pins = {entry.path for entry in grove.entries if entry.path.endswith(".keep")}
    unfinished = set(_unfinished(grove, layouts))
    aliases: dict[str, list[str]] = {}
    for pointer in pointers:
        if pointer.target is not None:
            aliases.setdefault(pointer.target, []).append(pointer.path)
    for it in checkpoints:
        if it.path in aliases or pins:
            it = it._replace(aliases=tuple(aliases.get(it.path, ())), pinned=f"{it.path}.keep" in pins)  # noqa: PLW2901 - the usual case stays as made
        if it.path in unfinished or "unfinished" in it.roles:
            it = it._replace(state="partial", note="its writer's marker says unfinished")  # noqa: PLW2901 - as above
        yield it


def _unfinished(grove: Grove, layouts: Sequence[Layout]) -> Iterator[str]:
    """What NeMo's markers call unfinished: ``X-unfinished`` stands beside ``X.ckpt`` until that is whole."""
    stems = [it.path[: -len(UNFINISHED)] for it in grove.entries if it.path.endswith(UNFINISHED)]
    endings = {ending for layout in layouts for ending in layout.extensions}
    return (stem + ending for stem in stems for ending in endings)


def _strays(grove: Grove, layouts: Sequence[Layout], texts: set[str]) -> Iterator[Stray]:
    """Entries that are neither checkpoints nor what training is known to leave beside them."""
    endings = tuple(ending for layout in layouts for ending in layout.extensions)
    patterns = {pattern for layout in layouts for pattern in layout.beside}
    for entry in grove.entries:
        name = entry.path.rpartition("/")[2]
        is_known = entry.path in texts or any(fnmatchcase(name, pattern) for pattern in patterns)
        if entry.kind == "other":
            yield Stray(entry.path, "neither a file nor a folder")
        elif entry.kind == "file" and not name.endswith((*endings, ".keep")) and not is_known:
            yield Stray(entry.path, "not understood")
        elif entry.kind == "dir" and name.endswith(endings) and entry.path not in grove.units:
            yield Stray(entry.path, "a folder that no layout knows")
