"""Files that no framework's row names: made into saves by their names together, and by what a few of them hold.

    found, left_out = read_loose_files(store, files, known)

Of each shape of names three files are sniffed, the first, the middle and the last, and believed for the rest. Listing
is generous: whatever holds a model's or a training's state is told. `LooseCheckpoint.why_not` says why no rule may
delete it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ckptctl.core.model import Entry, Evidence, Note
from ckptctl.core.names.parse import NameReader, SaidNames
from ckptctl.core.names.shapes import split_ending
from ckptctl.core.names.tokens import Field
from ckptctl.core.series import NUMBER, Save, Series, find_series
from ckptctl.layouts.index import glob_matches
from ckptctl.layouts.schema import Layout
from ckptctl.scan.completeness import is_shard

if TYPE_CHECKING:
    from ckptctl.core.names.fits import Fit
    from ckptctl.formats.sniff import Sniffed  # noqa: TC004 - importing it takes as long as a tenth of a start
    from ckptctl.layouts.index import LooseRows
    from ckptctl.stores import ReadStore

WEIGHTS = frozenset(
    """.pt .pth .th .ckpt .bin .safetensors .h5 .hdf5 .keras .weights.h5 .pth.tar .pt.tar .ckpt.tar .t7 .pyt
    .params .pdparams .npz .pkl .pickle .zip .tar .msgpack .gguf .joblib .checkpoint .weights .mdl .chkpt
    .snapshot .state""".split()
)
"""Endings that files of weights have: one of unknown content is taken for what its name says."""
OF_ANYTHING = frozenset(".pkl .pickle .npz .joblib .zip .tar .bin .params .state .snapshot .msgpack .model".split())
"""Of these endings, what programs of every kind write: they say nothing by themselves."""
_OPAQUE = frozenset({"pickle", "npz"})
"""Anything may lie in such a file."""
_PROGRESS = {"epoch": ("epoch",), "step": ("global_step", "step", "iteration", "iter", "it", "num_updates", "steps")}
"""Keys of numbers inside that are those of the name."""


class LooseFile(NamedTuple):
    """A file that no row of names takes."""

    entry: Entry
    name: str
    layout: Layout | None
    """Whose ending it has, of those that read any name by a grammar (Lightning, Keras)."""


class LooseCheckpoint(NamedTuple):
    """A save, as names and content show it."""

    layout: Layout
    entries: tuple[Entry, ...]
    """The one that loads first."""
    fields: Mapping[str, Field] | None
    """What its name says; None where the layout's own grammar reads it."""
    series: str
    """The pattern of names that it is one of."""
    why_not: Note | None
    """Why no rule may delete it."""
    evidence: tuple[Evidence, ...]
    roles: tuple[str, ...] = ()
    doubt: Note | None = None
    lacks: Note | None = None


class LooseFiles(NamedTuple):
    """All of them."""

    found: list[LooseCheckpoint]
    left_out: list[LooseCheckpoint]
    """What holds weights and is no save of a row: sets, and files of their own."""


def read_loose_files(
    store: ReadStore,
    files: Sequence[LooseFile],
    rows: LooseRows,
    said: SaidNames = SaidNames(),  # noqa: B008 - it is immutable
) -> LooseFiles:
    """What the files are; ``files`` of one folder."""
    held = {it.name: it for it in files}
    result = LooseFiles([], [])
    fits = _fit(store, said.template, held, rows) if said.template else {}
    result.found.extend(fits.values())
    versions = _find_versions(store, held, rows)
    result.found.extend(versions.values())
    taken = fits.keys() | versions.keys()
    found = _find_series([name for name in held if name not in taken and not is_shard(name)], said.include)
    twins = tuple(sorted(it.pattern for it in found if any(save.is_twin for save in it.saves)))
    for series in found:
        for part, kinds in _sniff_apart(store, series, held):
            _enter(result, _SniffedSeries(part, kinds, held, twins), rows)
    return result


_VERSIONED = re.compile(r"(.+)-v[0-9]{1,18}(\.[^.]*)")


def _find_versions(store: ReadStore, held: Mapping[str, LooseFile], rows: LooseRows) -> dict[str, LooseCheckpoint]:
    """Saves under one name, ``m.ckpt`` and ``m-v1.ckpt``, of a program that numbers them so and wrote both."""
    pairs = [(name, found[1] + found[2]) for name in held if (found := _VERSIONED.fullmatch(name))]
    names = sorted({name for pair in pairs for name in pair if pair[1] in held and held[pair[0]].layout is not None})
    made: dict[str, LooseCheckpoint] = {}
    for name in names:
        file = held[name]
        layout = _layout_of(file, [sniff_file(store, file.entry.path)], rows)
        if layout is not None and layout.records:
            evidence = (Evidence("name", "-vN"),)
            made[name] = LooseCheckpoint(layout, (file.entry,), None, "", None, evidence)
    return made


def _find_series(names: Sequence[str], include: Sequence[str]) -> list[Series]:
    """The series of the names; those that a person included are apart, and are series by that."""
    meant = {name for name in names if any(glob_matches(glob, name) for glob in include)}
    found = find_series(name for name in names if name not in meant)
    said = (Evidence("said", "--include"),)
    found += [
        it._replace(
            kind="series",
            evidence=(*said, *it.evidence),
            doubt=it.doubt if it.kind == "set" else None,  # no fold is an older save of another
            roles=(),
            is_named=True,
        )
        for it in (find_series(sorted(meant)) if meant else ())
    ]
    return found


def _fit(
    store: ReadStore, template: NameReader, held: Mapping[str, LooseFile], rows: LooseRows
) -> dict[str, LooseCheckpoint]:
    """The files whose names a template fits; what the first, middle and last of a series hold, they all should."""
    from ckptctl.core.names.fits import fit_names

    folder = next((it.entry.path.rpartition("/")[0] for it in held.values()), "")
    fits = fit_names(template, list(held), folder)
    series: dict[str, list[str]] = {}
    for name, fit in fits.items():
        series.setdefault(fit.series, []).append(name)
    kinds = {key: _kinds_of(store, names, held) for key, names in series.items()}
    return {
        name: made
        for name, fit in fits.items()
        if (made := _make_fit(held[name], fit, kinds[fit.series], rows)) is not None
    }


def _make_fit(file: LooseFile, fit: Fit, kinds: Collection[str], rows: LooseRows) -> LooseCheckpoint | None:
    """A file whose name a template fits; None where a template of words took what holds no weights."""
    from ckptctl.formats.sniff import NOT_CHECKPOINT

    layout = file.layout or rows.generic
    if layout is None or (fit.is_worded and kinds and NOT_CHECKPOINT.issuperset(kinds)):
        return None
    series = fit.series if fit.is_parted or not layout.records else ""
    evidence = (Evidence("said", "--template"), *(Evidence("content", it) for it in sorted(kinds)))
    said = fit.name
    return LooseCheckpoint(layout, (file.entry,), said.fields, series, fit.why_not, evidence, said.roles, fit.doubt)


def _kinds_of(store: ReadStore, names: Sequence[str], held: Mapping[str, LooseFile]) -> set[str]:
    """What is known of the content of three of a series' files."""
    chosen = sorted({0, len(names) // 2, len(names) - 1})
    found = _sniff_all(store, [names[at] for at in chosen], held).values()
    return {str(it.kind) for it in found} - {"unknown", "broken"}


def has_weights_ending(name: str) -> bool:
    """Whether a name's ending says that it holds weights."""
    return split_ending(name)[1].lower() in WEIGHTS


def is_called_as_weights(path: str) -> bool:
    """Whether a file's ending says that it holds weights, or nothing at all."""
    name = path.rpartition("/")[2]
    return "." not in name or has_weights_ending(name)


def _sniff_apart(
    store: ReadStore, series: Series, held: Mapping[str, LooseFile]
) -> Iterator[tuple[Series, dict[str, Sniffed]]]:
    """The series with what its first, middle and last saves hold; without what turns out to be no checkpoint."""
    saves = series.saves
    chosen = {0, len(saves) // 2, len(saves) - 1}
    kinds = _sniff_all(store, [name for at in sorted(chosen) for name in saves[at].names], held)
    if not _is_mixed(kinds.values()):
        yield series, kinds
        return
    kinds = _sniff_all(store, series.names, held)
    own = [it for it in saves if any(not _is_other(kinds[name]) for name in it.names)]
    yield series._replace(saves=tuple(own)), {name: kinds[name] for it in own for name in it.names}


def _sniff_all(store: ReadStore, names: Iterable[str], held: Mapping[str, LooseFile]) -> dict[str, Sniffed]:
    return {name: sniff_file(store, held[name].entry.path) for name in names}


def sniff_file(store: ReadStore, path: str) -> Sniffed:
    """What a file holds; "unknown" for what cannot be read."""
    from ckptctl.formats.sniff import Sniffed, sniff

    try:
        with store.open(path) as source:
            return sniff(source, path.rpartition("/")[2])
    except OSError:
        return Sniffed("unknown")


def _is_other(sniffed: Sniffed) -> bool:
    from ckptctl.formats.sniff import NOT_CHECKPOINT

    return sniffed.kind in NOT_CHECKPOINT and not sniffed.program


def _is_mixed(kinds: Iterable[Sniffed]) -> bool:
    return len({_is_other(it) for it in kinds}) > 1


class _SniffedSeries(NamedTuple):
    """A series with what was found in some of its files."""

    series: Series
    kinds: Mapping[str, Sniffed]
    files: Mapping[str, LooseFile]
    twins: tuple[str, ...]
    """Patterns of the folder's series that have the same words and numbers as others."""


def _enter(result: LooseFiles, looked: _SniffedSeries, rows: LooseRows) -> None:
    """Enter a series, set or single file as what it is, if it is anything."""
    series, kinds, held, _ = looked
    known = {it.kind for it in kinds.values()} - {"unknown", "broken"}
    first = held[series.saves[0].names[0]]
    if not _is_told(series, kinds, first, rows):
        return
    layout = _layout_of(first, kinds.values(), rows)
    if first.layout is not None and first.layout.name in rows.beside and series.kind in ("role", "single"):
        layout = first.layout  # beside files that its grammar wrote, it is theirs
    if layout is None:
        return
    doubt = _judge(series, kinds, layout)
    proofs = (*series.evidence, *(Evidence("content", it) for it in sorted(known)))
    is_opaque = bool(known) and known <= _OPAQUE
    is_left_out = series.kind == "set" or (is_opaque and not (series.is_named or series.evidence or series.roles))
    is_left_out = is_left_out or (series.kind == "single" and layout is rows.generic)
    roles = series.roles or (("named",) if series.kind == "single" and not is_left_out else ())
    target = result.left_out if is_left_out else result.found
    twins = Note("several-series", series=looked.twins)
    is_read_by_grammar = bool(layout.records) or (bool(layout.program) and series.kind in ("single", "role"))
    for save in series.saves:
        target.append(
            LooseCheckpoint(
                layout,
                tuple(held[name].entry for name in save.names),
                None if is_read_by_grammar else _columns(save, "epoch" if layout.program else "index"),
                series.pattern if series.kind in ("series", "set") else "",
                doubt,
                proofs,
                roles,
                twins if save.is_twin else None,
                None if save.lacks is None else Note("missing-file", name=save.lacks),
            )
        )


def _is_told(series: Series, kinds: Mapping[str, Sniffed], first: LooseFile, rows: LooseRows) -> bool:
    """Whether a listing tells of it: by what its files hold, else by its names where nothing speaks against them."""
    from ckptctl.formats.sniff import IS_CHECKPOINT

    told = {it.kind for it in kinds.values()}
    known = told - {"unknown", "broken"}
    if any(it.program in rows.by_program for it in kinds.values()):
        return True
    if all(map(_is_other, kinds.values())) or known == {"optimizer"}:
        return False
    if told == {"unknown"} and series.kind in ("role", "single") and first.layout is None:
        return False  # what it holds is no state, and no series speaks for it
    has_weights_ending = first.layout is not None or split_ending(first.name)[1].lower() in WEIGHTS - OF_ANYTHING
    return bool(known & (IS_CHECKPOINT - {"optimizer"})) or series.is_named or has_weights_ending


def _columns(save: Save, unnamed: str) -> dict[str, Field]:
    """The fields by the names that a name's reader gives them, and the count that no word names by its own."""
    return {(unnamed if key == NUMBER else key): it for key, it in save.fields.items()}


def _layout_of(first: LooseFile, kinds: Iterable[Sniffed], rows: LooseRows) -> Layout | None:
    """The framework's whose content it is; of unknown content that of the ending."""
    kinds = list(kinds)
    for sniffed in kinds:
        if sniffed.program in rows.by_program:
            return rows.by_program[sniffed.program]
    if first.layout is not None and all(it.kind in ("unknown", "broken") for it in kinds):
        return first.layout
    return rows.generic


def _judge(series: Series, kinds: Mapping[str, Sniffed], layout: Layout) -> Note | None:
    """Why no rule may delete of a series, names and content together; None where they prove it."""
    told = {it.kind for it in kinds.values()} - {"unknown", "broken"}
    if series.kind != "series":
        return series.doubt
    if Evidence("said", "--include") in series.evidence:
        return series.doubt
    if told and told <= _OPAQUE:
        return Note("opaque-content", kind=min(told))
    if (layout.records and told) or _counts_inside(series, kinds):
        return None
    return series.doubt


def _counts_inside(series: Series, kinds: Mapping[str, Sniffed]) -> bool:
    """Whether each of several saves holds the very number that its name says."""
    looked = [it for it in series.saves if it.names[0] in kinds]
    return len(looked) > 1 and all(
        any(_says(kinds[name], save.fields) for name in save.names if name in kinds) for save in looked
    )


def _says(sniffed: Sniffed, fields: Mapping[str, Field]) -> bool:
    """Whether a file's own number is its name's."""
    for column, keys in _PROGRESS.items():
        named = fields.get(column) or fields.get(NUMBER)
        if named is not None and any(sniffed.numbers.get(key) == named.number for key in keys):
            return True
    return False
