"""The shape of a name: its words, and the places of its numbers and dates; names of one shape are siblings.

    split_ending("model_epoch_3.pth.tar")        ("model_epoch_3", ".pth.tar")
    group_by_shape(["e_1.pt", "e_20.pt", "f.pt"])     two groups: e_N.pt twice, f.pt

Digits of one length lie at the same places, so a name is taken apart once for each pattern of lengths.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Literal, NamedTuple

PieceKind = Literal["word", "gap", "number", "date"]

_PLAIN = str.maketrans("123456789", "000000000")
_DIGIT = "[0-9]"
_DATE = (
    rf"(?:{_DIGIT}{{4}}-{_DIGIT}{{2}}-{_DIGIT}{{2}}"
    rf"(?:[-_T ]{_DIGIT}{{2}}[-_:.]?{_DIGIT}{{2}}(?:[-_:.]?{_DIGIT}{{2}})?)?"
    rf"|{_DIGIT}{{4}}_{_DIGIT}{{2}}_{_DIGIT}{{2}}(?:_{_DIGIT}{{2}}_{_DIGIT}{{2}}(?:_{_DIGIT}{{2}})?)?"
    rf"|{_DIGIT}{{8}}[-_T]{_DIGIT}{{6}}|{_DIGIT}{{8}}[-_T]{_DIGIT}{{4}}|{_DIGIT}{{8}}|{_DIGIT}{{10}}|{_DIGIT}{{13}})"
    rf"(?!{_DIGIT}|\.{_DIGIT})"
)
_PIECE = re.compile(
    rf"(?P<date>(?<!{_DIGIT}){_DATE})"
    rf"|(?P<text>{_DIGIT}+(?:\.{_DIGIT}+){{2,}})"  # 1.13.0 is a version: text
    rf"|(?P<number>{_DIGIT}+(?:[.,]{_DIGIT}+)?(?:[eE]-{_DIGIT}+)?)"
    r"|(?P<nan>(?<![^\W_])(?:nan|inf)(?![^\W_]))"
    rf"|(?P<word>[^\W\d_]+)|(?P<gap>[\W_]+)"
)
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_ENDING = re.compile(r"\.[A-Za-z][A-Za-z0-9]{0,15}\Z")
_OUTER = frozenset(".tar .h5 .gz .zst .xz .bz2 .zip".split())
"""Endings that may stand behind another one."""
_INNER = re.compile(r"\.(?:pth|pt|th|ckpt|weights|tar|pkl|t7|npz|safetensors)\Z")
_YEARS = ("19", "20")


class NamePiece(NamedTuple):
    """A stretch of a stem."""

    kind: PieceKind
    start: int
    end: int


class ShapedName(NamedTuple):
    """A name with the text of each of its numbers and dates."""

    name: str
    stem: str
    pieces: tuple[NamePiece, ...]
    values: tuple[str, ...]
    """In the order of its numbered pieces."""

    @property
    def numbered(self) -> list[int]:
        """Where among its pieces its numbers and dates stand."""
        return [at for at, piece in enumerate(self.pieces) if piece.kind in _COUNTED]


class ShapeGroup(NamedTuple):
    """Names that differ in their numbers and dates alone."""

    ending: str
    members: tuple[ShapedName, ...]


def split_ending(name: str) -> tuple[str, str]:
    """The stem and the ending of a file name; what begins with a digit behind its dot is no ending."""
    found = _ENDING.search(name)
    if found is None or found.start() == 0:
        return name, ""
    stem, ending = name[: found.start()], found[0]
    inner = _INNER.search(stem) if ending.lower() in _OUTER else None
    if inner is None or inner.start() == 0:
        return stem, ending
    return stem[: inner.start()], inner[0] + ending


def group_by_shape(names: Iterable[str]) -> list[ShapeGroup]:
    """The names by shape and ending, groups in the order of their first names."""
    groups: dict[tuple[object, ...], list[ShapedName]] = {}
    for name in names:
        stem, ending = split_ending(name)
        pieces = _take_apart(stem.translate(_PLAIN))
        if any(it.kind == "date" for it in pieces):
            pieces = _check_dates(stem, pieces)
        values = tuple([stem[it.start : it.end] for it in pieces if it.kind in _COUNTED])
        groups.setdefault((ending, *_shape_of(stem, pieces)), []).append(ShapedName(name, stem, pieces, values))
    return [ShapeGroup(key[0] if isinstance(key[0], str) else "", tuple(held)) for key, held in groups.items()]


_COUNTED = frozenset({"number", "date"})


@lru_cache(8192)
def _take_apart(plain: str) -> tuple[NamePiece, ...]:
    """The pieces of a stem whose digits are all 0; camel case parts words, a second ``-`` is a number's sign."""
    pieces: list[NamePiece] = []
    for found in _PIECE.finditer(plain):
        kind, (start, end) = found.lastgroup, found.span()
        kind = "number" if kind == "nan" else kind
        if kind == "word":
            cuts = [start, *(start + it.start() for it in _CAMEL.finditer(found[0])), end]
            pieces += [NamePiece("word", *cut) for cut in pairwise(cuts)]
        elif kind == "number" and pieces and _is_signed(plain, pieces[-1]):
            gap = pieces.pop()
            pieces += [gap._replace(end=gap.end - 1), NamePiece("number", start - 1, end)]
        else:
            pieces.append(NamePiece("word" if kind == "text" else kind, start, end))  # type: ignore[arg-type] # the groups are the kinds
    return tuple(pieces)


def _is_signed(plain: str, gap: NamePiece) -> bool:
    """Whether the ``-`` that a gap ends in may be a sign: something else parts the number from the word before."""
    return gap.kind == "gap" and gap.end - gap.start > 1 and plain[gap.end - 1] == "-"


def _check_dates(stem: str, pieces: Sequence[NamePiece]) -> tuple[NamePiece, ...]:
    """The pieces, with what cannot be a date as a number again."""
    checked: list[NamePiece] = []
    for it in pieces:
        text = stem[it.start : it.end]
        if it.kind != "date" or _is_date(text):
            checked.append(it)
        else:
            checked += _as_numbers(text, it.start)
    return tuple(checked)


def _as_numbers(text: str, start: int) -> list[NamePiece]:
    found = re.finditer(r"[0-9]+|[^0-9]+", text)
    return [NamePiece("number" if it[0].isdigit() else "gap", start + it.start(), start + it.end()) for it in found]


def _is_date(text: str) -> bool:
    """Whether it is a day of the years 1900 to 2099, with an hour or without, or a Unix time since 2001."""
    digits = re.sub("[^0-9]", "", text)
    if len(digits) in (10, 13) and text == digits:
        return digits.startswith("1")
    return digits.startswith(_YEARS) and "01" <= digits[4:6] <= "12" and "01" <= digits[6:8] <= "31"


def _shape_of(stem: str, pieces: Sequence[NamePiece]) -> tuple[str, ...]:
    """The texts of a stem, in lower case, with a sign of its own for each number and date."""
    return tuple([_SIGNS.get(it.kind) or stem[it.start : it.end].lower() for it in pieces])


_SIGNS = {"number": "\0", "date": "\1"}
