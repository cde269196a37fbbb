"""Lines of names made into series: files of several networks, of an optimizer, of a scheduler are parts of one save."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ckptctl.core.model import Note
from ckptctl.core.names.shapes import ShapedName
from ckptctl.core.names.tokens import Field, read_field
from ckptctl.core.names.vocabulary import BARE, LEADING, LETTERED, LETTERS, ROLES, SECONDARY, meaning_of
from ckptctl.core.series.model import NUMBER, Save, Series
from ckptctl.core.series.proof import describe_unproven, find_evidence
from ckptctl.core.series.slots import COUNTED, NumberSlot, ShapeLine, number_of


class LineWords(NamedTuple):
    """A line's words by what they are."""

    parts: tuple[str, ...]
    rest: tuple[str, ...]
    """What tells one model's saves from another's."""
    is_secondary: bool
    """Whether it only goes with weights of the same save."""


_PAIRS = {"textencoder": "part", "lrscheduler": "part", "statedict": "main"}
"""Words that are two."""


def _classify(words: Sequence[str]) -> LineWords:
    """A line's words, parted into those of parts and those that tell models apart."""
    lettered = any(it in LETTERED for it in words)
    parts, rest = [], []
    before = ""
    for at, word in enumerate(words):
        meaning: str = meaning_of(word)
        pair = _PAIRS.get(before + word) or _PAIRS.get(word + (words[at + 1] if at + 1 < len(words) else ""))
        if pair or meaning == "part" or word == "gen" or (word in LETTERS and lettered):
            parts += [word] if pair != "main" else []
        elif before != "ema" and meaning not in ("main", *COUNTED):  # behind ema stands its decay
            rest.append(word)
        before = word
    real = [it for it in parts if it not in ("state", "states", "nets", "net")]
    return LineWords(tuple(parts), tuple(rest), bool(real) and all(it in SECONDARY for it in real))


def find_twins(lines: Sequence[ShapeLine]) -> frozenset[str]:
    """Names of the same words and the same numbers, but for gaps, zeros in front and which word counts."""
    held: dict[tuple[object, ...], list[str]] = {}
    for line in (it for it in lines if it.counters and it.trouble is None):
        words = _classify(line.words)
        measured = [it.place for it in line.slots if it.meaning == "metric"]
        apart = line.words if line.others else ()
        for member in line.members:
            values = tuple(member.values[place] for place in measured)
            key = (words.parts, words.rest, line.ending, line.key_of(member), values, apart)
            held.setdefault(key, []).append(member.name)
    return frozenset(name for names in held.values() if len(names) > 1 for name in names)


def mark_twins(series: Series, twins: frozenset[str]) -> Series:
    """The series with its saves that are twins of others marked."""
    if twins.isdisjoint(series.names):
        return series
    return series._replace(saves=tuple(it._replace(is_twin=not twins.isdisjoint(it.names)) for it in series.saves))


class _Row(NamedTuple):
    """A line that may be a part of saves, with what it is compared by."""

    line: ShapeLine
    words: LineWords
    counts: frozenset[tuple[float, ...]]
    """What says when its files were saved."""

    @property
    def rank(self) -> tuple[bool, bool]:
        """What leads comes first."""
        return self.words.is_secondary, LEADING.isdisjoint(self.line.words)


def join_lines(lines: Sequence[ShapeLine]) -> Iterator[Series]:
    """The series that lines make: those that differ in words of parts alone are one."""
    rows: list[_Row] = []
    for line in lines:
        if line.trouble is None and (line.varying or _is_numbered(line)):
            rows.append(_Row(line, _classify(line.words), frozenset(map(line.key_of, line.members))))
        else:
            yield from _alone(line)
    groups: list[list[_Row]] = []
    for row in sorted(rows, key=lambda it: it.rank):
        home = next((it for it in groups if _belongs(row, it)), None)
        if home is None:
            groups.append([row])
        else:
            home.append(row)
    for group in groups:
        yield _series_of([it.line for it in group])


def _is_numbered(line: ShapeLine) -> bool:
    """Whether a single name says its number by a word, and no role."""
    is_said = len(line.members) == 1 and any(it.is_said for it in line.counters)
    return is_said and not any(it in ROLES for it in line.words)


def _belongs(row: _Row, group: Sequence[_Row]) -> bool:
    """Whether a line's files are parts of the saves of a group."""
    own, lead = row.words, group[0].words
    if not _shares(row, group[0]):
        return False
    if own.is_secondary and (not own.rest or own.rest == lead.rest):
        return True
    return own.rest == lead.rest and all(it.words.parts != own.parts for it in group)


def _shares(row: _Row, other: _Row) -> bool:
    """Whether at least half of the counts of one are the other's too."""
    if len(row.line.counters) != len(other.line.counters):
        return False
    return 2 * len(row.counts & other.counts) >= min(len(row.counts), len(other.counts))


def _series_of(group: Sequence[ShapeLine]) -> Series:
    """One series, with what its names prove."""
    lead = group[0]
    saves = tuple(_saves_of(group))
    veto = next((Note("veto-word", word=it) for line in group for it in line.words if meaning_of(it) == "veto"), None)
    if not lead.varying and veto is not None:
        return Series("single", lead.frame, saves, (), veto)
    evidence = tuple(find_evidence(lead))
    doubt = veto if lead.varying else Note("single-save")
    if doubt is None and not evidence:
        doubt = describe_unproven(lead)
    pattern = " + ".join(it.frame for it in group)
    return Series("series", pattern, saves, evidence, doubt, (), any(it.is_said for it in lead.counters))


def _saves_of(group: Sequence[ShapeLine]) -> Iterator[Save]:
    """The saves of a series, each with its files."""
    if len(group) == 1:
        yield from (Save((it.name,), _fields(group[0], it)) for it in group[0].members)
        return
    held: dict[tuple[float, ...], dict[int, list[ShapedName]]] = {}
    for number, line in enumerate(group):
        for member in line.members:
            held.setdefault(line.key_of(member), {}).setdefault(number, []).append(member)
    usual = {number for number in range(len(group)) if 2 * sum(number in it for it in held.values()) > len(held)}
    for files in held.values():
        lacking = min(usual - files.keys(), default=None)
        lacks = None if lacking is None else group[lacking].frame
        first = min(files)
        members = [it for number in sorted(files) for it in files[number]]
        yield Save(tuple(it.name for it in members), _fields(group[first], files[first][0]), lacks)


def _fields(line: ShapeLine, member: ShapedName) -> dict[str, Field]:
    """What a name says, by the names of its slots; a thousand steps are steps."""
    fields: dict[str, Field] = {}
    for slot in line.slots:
        text = member.values[slot.place]
        if slot.is_date:
            field = Field(text, number_of(text))
        elif "," in text:  # 1,95 may be a number or two: nobody can tell
            field = Field(text, None)
        else:
            field = read_field(_unsigned(line, slot, text))
        if slot.is_thousands and field.number is not None:
            fields.setdefault(NUMBER, field)
            field = Field(f"{field.number * 1000:.0f}", field.number * 1000)
        fields.setdefault(slot.key or NUMBER, field)
    return fields


def _unsigned(line: ShapeLine, slot: NumberSlot, text: str) -> str:
    """A value without the ``-`` that parts it from what stands before, as in all of its siblings."""
    if not text.startswith("-"):
        return text
    all_alike = all(it.values[slot.place].startswith("-") for it in line.members)
    first = line.members[0]
    piece = first.pieces[first.numbered[slot.place]]
    doubled = first.stem[piece.start - 1 : piece.start] == "-"
    # one doubled gap alone is a gap and a sign: {epoch:02d}-{value:.2f} of a value below 0
    return text[1:] if doubled and all_alike and first.stem.count("--") > 1 else text


def _alone(line: ShapeLine) -> Iterator[Series]:
    """Sets, and names that no sibling explains."""
    if len(line.members) > 1:
        saves = tuple(Save((it.name,), _fields(line, it)) for it in line.members)
        if line.trouble is not None and not _is_role_in_versions(line):
            yield Series("set", line.frame, saves, (), line.trouble)
            return
        if not line.varying and any(it.meaning == "metric" for it in line.slots):
            yield Series("series", line.frame, saves, (), Note("no-counter"), is_named=True)
            return
    for member in line.members:
        roles = tuple(dict.fromkeys(ROLES[it] for it in line.words if it in ROLES))
        roles = roles or _role_of_bare(line.words)
        fields = _fields(line, member)
        save = Save((member.name,), fields)
        if roles:
            yield Series("role", line.frame, (save,), roles=roles, doubt=Note("role", role=roles[0]))
        else:
            yield Series("single", line.frame, (save,), doubt=Note("no-number"))


def _is_role_in_versions(line: ShapeLine) -> bool:
    """Whether its names are those of a role with versions: ``best-v1.pt``, ``best-v2.pt``."""
    is_versioned = line.trouble is not None and line.trouble.facts.get("words") == ("v",)
    return is_versioned and any(it in ROLES for it in line.words)


def _role_of_bare(words: Sequence[str]) -> tuple[str, ...]:
    """What a name is for that says only what it is: ``checkpoint.pth.tar`` is written over at each save."""
    if words and all(it in BARE for it in words):
        return ("last",)
    return ("named",) if words and all(meaning_of(it) in ("main", "number") for it in words) else ()
