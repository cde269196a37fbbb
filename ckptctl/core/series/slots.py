"""What each number of names of one shape means, and the lines that they make: one for each fold, seed or client."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby, pairwise
from typing import NamedTuple

from ckptctl.core.model import Note
from ckptctl.core.names.shapes import NamePiece, ShapedName, ShapeGroup
from ckptctl.core.names.vocabulary import SHORT, SPLITS, THOUSANDS, Meaning, is_metric_word, meaning_of
from ckptctl.core.ranking import UNNAMED
from ckptctl.core.series.model import NUMBER

COUNTED: frozenset[Meaning] = frozenset({"epoch", "step", "number"})


class NumberSlot(NamedTuple):
    """A place in the names of one shape where a number or a date stands."""

    place: int
    """Among the values of a name."""
    meaning: Meaning
    key: str
    """The name of what it counts or measures; "" where no word says it."""
    varies: bool
    is_date: bool
    is_whole: bool
    is_said: bool = True
    """Whether a word names it."""
    is_thousands: bool = False
    is_equated: bool = False
    """Whether ``=`` stands in front of it: then it is no setting that is part of the name."""


class ShapeLine(NamedTuple):
    """Names of one shape, and of one value of each word such as fold."""

    ending: str
    members: tuple[ShapedName, ...]
    slots: tuple[NumberSlot, ...]
    """Those that count or measure."""
    words: tuple[str, ...]
    """All words, with the numbers that are text, in lower case."""
    frame: str
    """The name with its counts and measures in braces."""
    others: bool = False
    """Whether there are siblings with another value of a word such as fold."""
    trouble: Note | None = None
    """Why it is no row of saves, where it is none."""

    @property
    def counters(self) -> list[NumberSlot]:
        """What counts."""
        return [it for it in self.slots if it.meaning in COUNTED]

    @property
    def varying(self) -> list[NumberSlot]:
        """What counts, and differs from name to name."""
        return [it for it in self.counters if it.varies]

    def key_of(self, member: ShapedName) -> tuple[float, ...]:
        """What says when a member was saved: two of one key are parts of one save."""
        return tuple(number_of(member.values[it.place]) for it in self.counters)


def read_lines(group: ShapeGroup) -> Iterator[ShapeLine]:
    """The lines of one shape: one for each value of a word such as fold, and of a number that cannot be a count."""
    slots = _name_slots(group)
    apart = [it for it in slots if it.meaning == "identity" and it.varies]
    slots, unknown = _settle(group, slots, apart)
    apart += unknown
    parts: dict[tuple[str, ...], list[ShapedName]] = {}
    for member in group.members:
        parts.setdefault(tuple(plain_number(member.values[it.place]) for it in apart), []).append(member)
    counted = [it for it in slots if it.meaning in COUNTED and it.varies]
    if apart and not counted:
        words = tuple(dict.fromkeys(it.key or "number" for it in apart))
        yield _make_line(group, group.members, slots, trouble=Note("set", words=words))
        return
    for members in parts.values():
        yield _make_line(group, members, slots, others=len(parts) > 1)


def _make_line(
    group: ShapeGroup,
    members: Sequence[ShapedName],
    slots: Sequence[NumberSlot],
    *,
    others: bool = False,
    trouble: Note | None = None,
) -> ShapeLine:
    """A line of members, its slots seen anew among these alone."""
    told = tuple(
        it._replace(varies=_varies(members, it.place))
        for it in slots
        if it.meaning in COUNTED or it.meaning == "metric"
    )
    first = members[0]
    if len(group.members) > 1:  # a measure that never varies is a setting, and text
        told = tuple(it for it in told if it.varies or it.meaning in COUNTED or it.is_equated)
    braces = {it.place: "{" + (it.key or NUMBER) + "}" for it in told}
    if trouble is not None:
        open_places = [place for place in range(len(first.values)) if place not in braces and _varies(members, place)]
        braces |= dict.fromkeys(open_places, "{}")
    frame, words = _frame_of(first, braces)
    return ShapeLine(group.ending, tuple(members), told, words, frame + group.ending, others, trouble)


def _frame_of(first: ShapedName, braces: Mapping[int, str]) -> tuple[str, tuple[str, ...]]:
    """A stem with braces in some of its numbers' places, and its words, among them the numbers that are text."""
    texts: list[str] = []
    words: list[str] = []
    places = iter(range(len(first.values)))
    for piece in first.pieces:
        text = first.stem[piece.start : piece.end]
        brace = braces.get(next(places)) if piece.kind in ("number", "date") else None
        texts.append(brace or text)
        words += [text.lower()] if brace is None and piece.kind != "gap" else []
    return "".join(texts), tuple(words)


def _name_slots(group: ShapeGroup) -> list[NumberSlot]:
    """What each number of a shape means."""
    first = group.members[0]
    places = first.numbered
    varies = [_varies(group.members, place) for place in range(len(places))]
    slots = []
    for place, at in enumerate(places):
        before = _text_before(first, places, varies, place)
        after = _words_after(first.pieces, at, first.stem, varies[place + 1] if place + 1 < len(places) else False)
        slots.append(_name_slot(group, place, first.pieces[at], (before, after), varies[place]))
    return slots


def _varies(members: Sequence[ShapedName], place: int) -> bool:
    return len({plain_number(it.values[place]) for it in members}) > 1


def _text_before(first: ShapedName, places: Sequence[int], varies: Sequence[bool], place: int) -> str:
    """The text in front of a number, from the last number on that varies."""
    start = max((first.pieces[places[it]].end for it in range(place) if varies[it]), default=0)
    return first.stem[start : first.pieces[places[place]].start]


def _words_after(pieces: Sequence[NamePiece], at: int, stem: str, next_varies: bool) -> list[str]:  # noqa: FBT001 - as found
    """The words behind a number up to the next number, without the one that names that number."""
    words: list[str] = []
    for piece in pieces[at + 1 :]:
        if piece.kind in ("number", "date"):
            return words[:-1] if next_varies else words
        if piece.kind == "word":
            words.append(stem[piece.start : piece.end])
    return words


_LAST_TOKEN = re.compile(r"([^\W\d_]+)([0-9]*)[\W_]*\Z")


_WORDS = re.compile(r"[^\W\d_]+[0-9]*")


def _name_slot(
    group: ShapeGroup,
    place: int,
    piece: NamePiece,
    around: tuple[str, list[str]],
    varies: bool,  # noqa: FBT001 - as found
) -> NumberSlot:
    """What one number means: by the word in front, else by the one behind, else nothing says it."""
    before, after = around
    values = [it.values[place] for it in group.members]
    is_whole = all(it.lstrip("-").isdigit() for it in values)
    token = _LAST_TOKEN.search(before)
    word, digits = (token[1], token[2]) if token else ("", "")
    glued = before[-1:].isalpha()
    meaning = _meaning_before(word, digits, glued=glued, varies=varies)
    is_date = piece.kind == "date" and not (meaning in COUNTED and all(map(str.isdigit, values)))
    slot = NumberSlot(place, "", "", varies, is_date, is_whole)
    if is_date:
        return slot
    behind = _meaning_behind(after, varies=varies) if is_whole else ""
    if meaning == "number" and behind in ("epoch", "step"):  # checkpoint_10k_steps
        meaning = behind
    if meaning in COUNTED and (is_whole or meaning == "epoch"):
        thousands = is_whole and bool(after) and after[0].lower() in THOUSANDS
        return slot._replace(meaning=meaning, key=meaning, is_thousands=thousands)
    if meaning == "metric":
        return slot._replace(meaning="metric", key=_metric_key(before), is_equated=before.endswith("="))
    if meaning == "identity":
        return slot._replace(meaning="identity", key=word.lower())
    if behind:
        thousands = after[0].lower() in THOUSANDS
        return slot._replace(meaning=behind, key=behind, is_thousands=thousands)
    if not varies:
        return slot
    if not is_whole:
        named = next((it for it in after[:1] if is_metric_word(it.lower())), "") or _metric_key(before, is_sure=False)
        return slot._replace(meaning="metric", key=named or UNNAMED, is_said=bool(named))
    return slot._replace(meaning="number", key=NUMBER, is_said=False)


def _meaning_before(word: str, digits: str, *, glued: bool, varies: bool) -> Meaning:
    """What the word in front says; one with digits of its own (``f1``, ``seed42``) names nothing but a metric."""
    low = word.lower()
    if digits:
        return "metric" if is_metric_word(low + digits) else ""
    meaning = meaning_of(word)
    if low in SHORT and not varies:
        return ""
    if meaning == "" and (parts := _CAMEL.findall(word)) and len(parts) > 1:
        meaning = meaning_of(parts[-1])
    if low == "v" and not glued:
        return ""
    return meaning if meaning in _NAMING else ""


_CAMEL = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


_NAMING: frozenset[Meaning] = frozenset({"epoch", "step", "number", "metric", "identity"})


def _meaning_behind(after: Sequence[str], *, varies: bool) -> Meaning:
    """What the word behind a number says: ``10k_steps``, ``25_epochs``."""
    words = [it.lower() for it in after]
    is_thousands = bool(words) and words[0] in THOUSANDS
    words = words[1:] if is_thousands else words
    meaning = meaning_of(words[0]) if words else ""
    if meaning in COUNTED and words[0] not in SHORT:
        return meaning
    return "step" if is_thousands and varies else ""


def _metric_key(before: str, *, is_sure: bool = True) -> str:
    """The name of a metric as it is written in front of its value: with the split that it was measured on."""
    words = list(_WORDS.finditer(before))
    if not words:
        return ""
    start = len(words) - 1
    while start > 0 and words[start - 1][0].lower() in SPLITS:
        start -= 1
    named = before[words[start].start() : words[-1].end()]
    return named if is_sure or meaning_of(words[-1][0]) in ("", "metric") else ""


def _settle(
    group: ShapeGroup, slots: list[NumberSlot], apart: Sequence[NumberSlot]
) -> tuple[list[NumberSlot], list[NumberSlot]]:
    """The slots with numbers that no word names told apart, and those of them that part the names instead."""
    said = [it for it in slots if it.meaning in COUNTED and it.is_said]
    free = [it for it in slots if it.meaning == "number" and not it.is_said]
    dates = [it for it in slots if it.is_date and it.varies]
    if not free:
        return _with_dates(slots, dates, said), [*_repeating(group, said, dates, apart)]
    parting = free
    if said:
        parting = free if _repeats(group, said, apart) else []
    elif len(free) == 1:  # two numbers behind a word are vgg16 and vgg19
        parting = free if len(group.members) == 2 and _is_of_a_word(group, free[0]) else []  # noqa: PLR2004 - as it says
    elif len(free) == 2:  # noqa: PLR2004 - an epoch and a step, or a model's number and a count
        if _is_in_epochs(group, free):
            return _as_epoch_and_step(slots, free), []
        parting = free if apart else free[:1]
    return [it for it in slots if it not in parting], [it._replace(meaning="identity", key="") for it in parting]


def _as_epoch_and_step(slots: Sequence[NumberSlot], free: Sequence[NumberSlot]) -> list[NumberSlot]:
    named: dict[int, Meaning] = {free[0].place: "epoch", free[1].place: "step"}
    return [it._replace(meaning=named[it.place], key=named[it.place]) if it.place in named else it for it in slots]


def _is_of_a_word(group: ShapeGroup, slot: NumberSlot) -> bool:
    """Whether a number is the end of a word that says more than that it is a model."""
    first = group.members[0]
    at = first.numbered[slot.place]
    word = first.pieces[at - 1] if at else None
    return word is not None and word.kind == "word" and meaning_of(first.stem[word.start : word.end]) == ""


def _with_dates(slots: list[NumberSlot], dates: Sequence[NumberSlot], said: Sequence[NumberSlot]) -> list[NumberSlot]:
    """Where dates alone tell the names apart, they count."""
    if said or not dates or any(it.meaning in COUNTED for it in slots):
        return slots
    first = dates[0]
    return [it._replace(meaning="number", key=NUMBER, is_said=False) if it == first else it for it in slots]


def _repeating(
    group: ShapeGroup, said: Sequence[NumberSlot], dates: Sequence[NumberSlot], apart: Sequence[NumberSlot]
) -> Iterator[NumberSlot]:
    """Dates that part the names, for the counts begin anew with each."""
    if said and dates and _repeats(group, said, apart):
        yield from (it._replace(meaning="identity", key="date") for it in dates)


def _repeats(group: ShapeGroup, slots: Sequence[NumberSlot], apart: Sequence[NumberSlot]) -> bool:
    """Whether two names have the very same counts."""
    wanted = [it.place for it in (*slots, *apart)]
    keys = {tuple(plain_number(it.values[place]) for place in wanted) for it in group.members}
    return len(keys) < len(group.members)


def _is_in_epochs(group: ShapeGroup, free: Sequence[NumberSlot]) -> bool:
    """Whether the first of two numbers counts epochs and the second steps: these begin anew in each, or go on."""
    rows = sorted((number_of(it.values[free[0].place]), number_of(it.values[free[1].place])) for it in group.members)
    if len(set(rows)) < len(rows):
        return False
    by_first = [[second for _, second in held] for _, held in groupby(rows, key=lambda it: it[0])]
    is_rising = all(one[1] <= other[1] for one, other in pairwise(rows))
    steps = {second for _, second in rows}
    return is_rising or (len(by_first) > 1 and len(steps) < len(rows) and min(steps) >= len(by_first))


def plain_number(text: str) -> str:
    """A number as it counts: 02 is 2."""
    return text.lstrip("0") or "0" if text.isdigit() else text


def number_of(text: str) -> float:
    """The value of a number or, in its digits, of a date."""
    number = float(int(digits)) if (digits := re.sub("[^0-9]", "", text)) == text else None
    if number is not None:
        return number
    try:
        return float(text)
    except ValueError:  # a date
        return float(digits or 0)
