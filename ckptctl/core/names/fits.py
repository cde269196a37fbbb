"""The names of a folder that a template fits: what each says, and the series that the template's fields make of them.

A setting or a text (``{fold}``, ``{arch}``) makes a series for each of its values. A date, and a whole number of which
nobody says what it is, do so only where the counts begin anew with each.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ckptctl.core.model import Note
from ckptctl.core.names.fields import count_key, kind_of_field
from ckptctl.core.names.parse import Name, NameReader
from ckptctl.core.names.shapes import split_ending
from ckptctl.core.names.tokens import Field
from ckptctl.core.names.vocabulary import meaning_of

_WORD = re.compile(r"[^\W\d_]+")


class Fit(NamedTuple):
    """A name that a template fits."""

    name: Name
    """Its counts and measures alone."""
    series: str
    """What it shares with the other saves of its training; of one ending."""
    why_not: Note | None = None
    """Why the template proves no row of saves."""
    doubt: Note | None = None
    """That another name says the very same, written otherwise: nobody can say which is newer."""
    is_parted: bool = False
    """Whether a field says which of several trainings it is of."""
    is_worded: bool = False
    """Whether such a field is words: then many a name fits that nobody thought of."""


def match_name(template: NameReader, name: str, folder: str = "") -> Name | None:
    """What a template says of a whole name; one that is written with an ending or a folder means no file of another.

    ``folder``: the path of the name's own; "" where it is not known.
    """
    is_meant = template.ending in ("", split_ending(name)[1])
    is_there = not folder or not template.folder or f"/{folder}".endswith(f"/{template.folder.strip('/')}")
    return template.match(name) if is_meant and is_there else None


def fit_names(template: NameReader, names: Sequence[str], folder: str = "") -> dict[str, Fit]:
    """The names of one folder that a template fits."""
    found = {name: it for name in names if (it := match_name(template, name, folder)) is not None}
    keys = list(dict.fromkeys(key for it in found.values() for key in it.fields))
    kinds = {key: _kind_of(key, [it.fields[key] for it in found.values()]) for key in keys}
    groups: dict[tuple[str, ...], list[str]] = {}
    for name, it in found.items():
        parting = [_text_of(it.fields[key]) for key in keys if kinds[key] == "parting"]
        groups.setdefault((it.prefix, split_ending(name)[1], *parting), []).append(name)
    fits = {
        name: _fit_of(found[name], name, kinds, parting)
        for held in groups.values()
        for parting in [_find_parting(held, found, kinds)]
        for name in held
    }
    return _mark_twins(fits)


def _mark_twins(fits: dict[str, Fit]) -> dict[str, Fit]:
    """The fits, those in doubt that say what another one of their series does: ``m_02`` and ``m_2``."""
    alike: dict[tuple[object, ...], list[str]] = {}
    for name, fit in fits.items():
        said = tuple((key, _text_of(field)) for key, field in fit.name.fields.items())
        alike.setdefault((fit.series, said, fit.name.version, fit.name.roles), []).append(name)
    for names in alike.values():
        if len(names) > 1:
            doubt = Note("several-series", series=tuple(sorted(names)))
            fits |= {name: fits[name]._replace(doubt=doubt) for name in names}
    return fits


def _kind_of(key: str, fields: Sequence[Field]) -> str:
    """What a field is in these names: count, measure, parting, or maybe parting."""
    kind = kind_of_field(key)
    if kind in ("setting", "text"):
        return "parting"
    if kind == "unknown":
        if any(it.number is None for it in fields):
            return "parting"
        return "maybe" if all(it.text.isdigit() for it in fields) else "measure"
    return "maybe" if kind == "time" else kind


def _find_parting(names: Sequence[str], found: Mapping[str, Name], kinds: Mapping[str, str]) -> list[str]:
    """The keys that part a group: all that must, and of those that may as many as make its counts distinct."""
    parting = [key for key, kind in kinds.items() if kind == "parting"]
    counts = [key for key, kind in kinds.items() if kind == "count"]
    for key in (key for key, kind in kinds.items() if kind == "maybe"):
        rows = {tuple(_text_of(found[name].fields[it]) for it in (*counts, *parting)) for name in names}
        if counts and len(rows) == len(names):
            break
        parting.append(key)
    return parting


def _fit_of(name: Name, text: str, kinds: Mapping[str, str], parting: Sequence[str]) -> Fit:
    """A name's counts and measures, and its series."""
    fields: dict[str, Field] = {}
    for key, field in name.fields.items():
        if kinds[key] == "count":
            fields.setdefault(key if key in ("epoch", "step", "global_step") else count_key(key), field)
        elif key not in parting and kinds[key] != "maybe":
            fields[key] = field
    said = "".join(f" {key}={_text_of(name.fields[key])}" for key in parting)
    series = f"{name.prefix}*{split_ending(text)[1]}{said}"
    values = [_text_of(name.fields[key]) for key in parting]
    doubts = [it for value in values if (it := _doubt(value)) is not None]
    why_not = doubts[0] if doubts else None
    if not fields:
        why_not = Note("no-counter")
    is_worded = any(name.fields[key].number is None and kind_of_field(key) != "time" for key in parting)
    return Fit(name._replace(fields=fields), series, why_not, is_parted=bool(parting), is_worded=is_worded)


def _doubt(value: str) -> Note | None:
    """Why names with such words are no row of saves, whatever number stands beside."""
    words = _WORD.findall(value)
    veto = next((it for it in words if meaning_of(it) == "veto"), None)
    if veto is not None:
        return Note("veto-word", word=veto.lower())
    if words and value.endswith(words[-1]) and meaning_of(words[-1]) == "identity":
        return Note("set", words=(words[-1].lower(),))
    return None


def _text_of(field: Field) -> str:
    """A value, however many zeros stand in front."""
    return field.text if field.number is None else f"{field.number:g}"
