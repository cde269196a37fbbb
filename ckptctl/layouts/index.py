"""Which layouts a name, or what lies in a folder, may be of: the rows of data, arranged for quick looking up.

Patterns are compiled when a name first needs them: most runs are of one framework, and a start should not pay for all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cache, partial
from itertools import takewhile
from typing import NamedTuple, cast

from ckptctl import layouts as table
from ckptctl.layouts.schema import Layout, Slimming

Groups = Mapping[str, "str | None"]
NeighborLookup = Callable[[Layout], "str | None"]
NUMBERS = ("epoch", "step", "index")
"""Groups of a pattern that say which save it is."""
_MAGIC = frozenset("*?[")
"""Signs of a glob that is no plain name."""
_MEMORY = 512
_FEW = 64
"""Contents of folders that are remembered, and how many names they may have: runs hold more, and never the same."""


def find_layout(name: str) -> Layout:
    """The layout of a name that a checkpoint has; raises KeyError."""
    if not _by_name or _by_name[0] is not table.LAYOUTS:  # the table may have got a row since
        _by_name[:] = table.LAYOUTS, {layout.name: layout for layout in table.LAYOUTS}
    return cast("dict[str, Layout]", _by_name[1])[name]


def find_slimming(name: str) -> Slimming | None:
    """What the layout of a checkpoint says of slimming it; None where it says nothing, or is not known."""
    return None if name == "unknown" else find_layout(name).slimming


_by_name: list[object] = []
"""The table that the index is of, and the index."""


class Match(NamedTuple):
    """A layout that something may be of."""

    layout: Layout
    groups: Groups
    """Of the pattern that its name matches; {} where any name does."""
    is_proved: bool = True
    """Whether a sentinel was found; a sign alone proves nothing."""
    evidence: str | None = None
    """By what it was recognised, as a sentence's end; None: by its name."""

    @property
    def is_seen(self) -> bool:
        """Whether something in it speaks for the layout, not its name alone."""
        return self.evidence is not None

    @property
    def is_numbered(self) -> bool:
        """Whether its name is one that the framework gives, not just any."""
        return any([value is not None for key, value in self.groups.items() if key != "free"])  # noqa: C419 - faster


class Marker(NamedTuple):
    """What in a folder speaks for a layout."""

    layout: Layout
    needed: tuple[str, ...]
    """All of these globs must match something."""
    is_proof: bool


class LooseRows(NamedTuple):
    """The layouts that files without a row of names may be of."""

    generic: Layout | None
    """None where another layout was asked for."""
    by_program: Mapping[str, Layout]
    """By what sniffing calls the program that wrote a file."""
    beside: frozenset[str] = frozenset()
    """Layouts of which names have told checkpoints in the same folder."""
    folder: Layout | None = None
    """Of folders that are saves by those beside them; None where another layout was asked for."""


class LayoutIndex:
    """The rows, for looking up."""

    def __init__(self, layouts: Sequence[Layout], others: Sequence[Layout] = ()) -> None:
        self.layouts = tuple(layouts)
        self.others = LayoutIndex(others) if others else None
        """Of folders that are checkpoints of layouts which were not asked for: what lies in one is part of it."""
        self._files: dict[str, list[Layout]] = {}
        """Rows of files and families, by the kind of ending that their names have."""
        self._literal: dict[str, list[Marker]] = {}
        self._ended: dict[str, list[Marker]] = {}
        self._begun: dict[str, list[Marker]] = {}
        """Clues by a whole name, by the kind of ending of a glob, and by the front of one that ends in anything."""
        self._rows: dict[str, Sequence[Layout]] = {}
        """By extension, as met so far."""
        self._contents: dict[frozenset[str], list[tuple[Marker, str]]] = {}
        self._beside: dict[tuple[str, ...], tuple[frozenset[str], tuple[str, ...]]] = {}
        for layout in self.layouts:
            if layout.names or not layout.is_generic:
                self._enter(layout)
        self._fronts = tuple(filter(None, self._begun))
        self.markers = tuple({it.marker for it in self.layouts if it.marker})
        self._progress = [(it, required_text(pattern), pattern) for it in self.layouts for pattern in it.in_progress]
        self.sides_below = frozenset(
            it.path.rpartition("/")[2] for layout in self.layouts for it in layout.sources if it.place == "below"
        )
        """Names of side files that are looked for in the folders below a run's."""
        self.free_endings = tuple(
            {it for layout in self.layouts if not layout.names for it in layout.extensions if layout.unit != "family"}
        )
        """Endings of names that are read by the grammar alone."""
        plain = {it.unit: it for it in self.layouts if it.is_generic and not it.names}
        programs = {it.program: it for it in self.layouts if it.program}
        self.loose_rows = LooseRows(plain.get("file"), programs, folder=plain.get("dir"))
        self._rank_folders = [(it, required_text(rank), rank) for it in self.layouts for rank in it.rank_folders]

    def _enter(self, layout: Layout) -> None:
        if layout.unit != "dir":
            for ending in {ending_kind(it) for it in (*layout.extensions, *layout.examples)}:
                self._files.setdefault(ending, []).append(layout)
            return
        needed = [
            (it,) if isinstance(it, str) else tuple(sorted(it, key=_MAGIC.isdisjoint, reverse=True))
            for it in layout.sentinels
        ]
        markers = [Marker(layout, it, is_proof=True) for it in needed]
        markers += [Marker(layout, (it,), is_proof=False) for it in layout.hints]
        for marker in markers:
            glob = marker.needed[0]
            front, back = glob.partition("*")[0], glob.rpartition("*")[2]
            if _MAGIC.isdisjoint(glob):
                self._literal.setdefault(glob, []).append(marker)
            elif "." in back and _MAGIC.isdisjoint(back):
                self._ended.setdefault(ending_kind(back), []).append(marker)
            else:
                self._begun.setdefault(front.partition("[")[0].partition("?")[0], []).append(marker)

    def match_name(self, name: str) -> Iterator[Match]:
        """The layouts of files and families that a name may be of, in their order."""
        for layout in self.rows_for(name):
            groups = match(layout, name)
            if groups is not None:
                yield Match(layout, groups)

    def rows_for(self, name: str) -> Sequence[Layout]:
        """The rows of files and families for names with such an ending."""
        _, dot, extension = name.rpartition(".")
        key = dot + extension if dot else ""
        rows = self._rows.get(key)
        if rows is None:
            rows = self._files.get(ending_kind(name), ())
            if not extension.isdigit():
                self._rows[key] = rows
        return rows

    def recognise(self, name: str, held: Collection[str], lookup: NeighborLookup = lambda _: None) -> list[Match]:
        """The layouts that a folder may be of, by its name and the names in it; in order, proved ones first.

        Whose name is proved to be its framework's own is nothing else. A folder without anything in it may be any whose
        name it has: someone is about to write. ``lookup`` says what lies beside the folder and shows a layout, as a
        sentence's end.
        """
        found: dict[str, Match] = {}
        is_sure = False
        for marker, what in self._clues(frozenset(held)):
            if is_sure and not marker.is_proof:
                break
            groups = match(marker.layout, name)
            seen = lookup(marker.layout) if groups is not None and marker.layout.neighbors else None
            if groups is not None and (seen or not marker.layout.neighbors):
                evidence = seen or f"{what} lies in it"
                found[marker.layout.name] = it = Match(marker.layout, groups, marker.is_proof, evidence)
                is_sure = is_sure or (it.is_proved and it.is_numbered)
        if is_sure and len(found) == 1:
            return list(found.values())
        if not held:
            found = {it.layout.name: it for it in self._named(name)}
        if not found:
            return []
        proved = _most_particular([it for it in found.values() if it.is_proved and not _is_above(it, held)])
        if any(it.is_numbered for it in proved):
            return proved
        return [*proved, *(it for it in found.values() if it.is_numbered)]

    def _named(self, name: str) -> Iterator[Match]:
        for layout in self.layouts:
            groups = match(layout, name) if layout.unit == "dir" and layout.names else None
            if groups is not None and any(groups.get(key) is not None for key in NUMBERS):
                yield Match(layout, groups, is_proved=False)

    def _clues(self, held: frozenset[str]) -> list[tuple[Marker, str]]:
        """What speaks most for each layout in a folder, and by which name, proofs first.

        The folders of one training hold the same names.
        """
        known = self._contents.get(held)
        if known is None:
            order = {layout.name: place for place, layout in enumerate(self.layouts)}
            clues = self._find_clues(held)
            markers = sorted(clues, key=lambda it: (order[it[0].layout.name], not it[0].is_proof, it[1]))
            strongest = list({marker.layout.name: (marker, what) for marker, what in reversed(markers)}.values())[::-1]
            known = sorted(strongest, key=lambda it: not it[0].is_proof)
            if len(self._contents) > _MEMORY:
                self._contents.clear()
            if len(held) <= _FEW:
                self._contents[held] = known
        return known

    def _find_clues(self, held: frozenset[str]) -> Iterator[tuple[Marker, str]]:
        possible = [marker for name in held & self._literal.keys() for marker in self._literal[name]]
        extensions = {name.rpartition(".")[1:] for name in held} if self._ended else set()
        endings = {ending_kind("".join(extension)) for extension in extensions if extension[0]}
        possible += [marker for ending in endings & self._ended.keys() for marker in self._ended[ending]]
        begun = [name for name in held if name.startswith(self._fronts)] if self._fronts else []
        fronts = [front for front in self._fronts if any(name.startswith(front) for name in begun)]
        possible += [marker for front in ("", *fronts) for marker in self._begun.get(front, ())]
        for marker in possible:
            found = list(takewhile(bool, (first_match(glob, held) for glob in marker.needed)))
            if len(found) == len(marker.needed):
                yield marker, " and ".join(map(str, found))

    def known_beside(self, names: tuple[str, ...]) -> tuple[frozenset[str], tuple[str, ...]]:
        """What training with these layouts leaves beside checkpoints: whole names, and globs."""
        if names in self._beside:
            return self._beside[names]
        rows = [it for it in self.layouts if it.name in names]
        known = {glob for it in rows for glob in (*it.beside, *(p.path for p in it.pointers if p.place == "beside"))}
        sources = (source for it in rows for source in it.sources if source.place == "beside")
        known |= {re.sub(r"\{\w+\}", "*", source.path) for source in sources}
        known |= {glob for it in rows for glob in it.neighbors if not glob.startswith("../")}
        known |= {re.sub(r"\{\w+\}", "*", it.done) for it in rows if "{" in it.done}
        plain = frozenset(it for it in known if _MAGIC.isdisjoint(it))
        self._beside[names] = plain, tuple(sorted(known - plain))
        return self._beside[names]

    def in_progress(self, name: str) -> list[Match]:
        """The layouts whose saves have such a name while they are written."""
        found: dict[str, Match] = {}
        for layout, anchor, pattern in self._progress:
            matched = _compile(pattern).fullmatch(name) if anchor in name else None
            if matched:
                found.setdefault(layout.name, Match(layout, matched.groupdict(), is_proved=False))
        return list(found.values())

    def rank_folder_of(self, name: str) -> Match | None:
        """The layout of which a folder holds one rank's share of the checkpoints of the folder above."""
        rows = (it for it, text, pattern in self._rank_folders if text in name and _compile(pattern).fullmatch(name))
        return next((Match(it, {}) for it in rows), None)


def _is_above(candidate: Match, held: Collection[str]) -> bool:
    """Whether a folder that any name would do for holds checkpoints of its layout: then it is a run's.

    Some programs leave a last state in the folder of the run itself, beside those that have folders of their own.
    """
    if candidate.is_numbered:
        return False
    inside = (match(candidate.layout, name) for name in held)
    return any(Match(candidate.layout, groups).is_numbered for groups in inside if groups)


def _most_particular(proved: Sequence[Match]) -> list[Match]:
    """Those that a witness shows, else those whose name is their framework's own: layouts of any name give way."""
    shown = {it.layout.family for it in proved if it.layout.neighbors}
    return [it for it in proved if it.layout.family in shown] or [it for it in proved if it.is_numbered] or list(proved)


def match(layout: Layout, name: str) -> Groups | None:
    """The groups of the first pattern that matches a whole name; {} where a row asks for an extension alone."""
    if layout.extensions and not name.endswith(layout.extensions):
        return None
    for pattern in layout.names or layout.reserved:
        found = _compile(pattern).fullmatch(name) if required_text(pattern) in name else None
        if found:
            return found.groupdict()
    return None if layout.names else {}


def ending_kind(name: str) -> str:
    """The kind of ending that a name has: what stands behind its last dot, without the numbers of shards and saves.

    >>> ending_of("ckpt-7.data-00000-of-00001"), ending_of("model.snapshot_iter_100"), ending_of("last.pth.tar")
    ('.data', '.snapshot_iter_', '.tar')
    """
    _, dot, extension = name.rpartition(".")
    return dot + extension.partition("-")[0].rstrip("0123456789") if dot else ""


def first_match(glob: str, names: Collection[str]) -> str | None:
    """The first name, in order, that a glob matches, of alternatives parted by ``|`` any."""
    for part in glob.split("|"):
        if part in names:
            return part
        if part == "*" and names:
            return min(names)
        matcher = _matcher(part)
        found = [name for name in names if matcher(name)] if not _MAGIC.isdisjoint(part) else []
        if found:
            return min(found)
    return None


def glob_matches(glob: str, name: str) -> bool:
    """Whether a glob matches a name, as fnmatch would say."""
    return _matcher(glob)(name)


@cache
def _matcher(glob: str) -> Callable[[str], bool]:
    """Says whether a name matches; without a regular expression where stars are all there is: those take a while."""
    if "?" in glob or "[" in glob:
        from fnmatch import translate

        pattern = re.compile(translate(glob))
        return lambda name: pattern.match(name) is not None
    front, *middle = glob.split("*")
    if not middle:
        return glob.__eq__
    back = middle.pop()
    if not any(middle):
        least = len(front) + len(back)
        return lambda name: len(name) >= least and name.startswith(front) and name.endswith(back)
    return lambda name: name.startswith(front) and name.endswith(back) and _holds(name, front, middle, back)


def _holds(name: str, front: str, middle: Sequence[str], back: str) -> bool:
    """Whether the texts between stars follow each other between the first and the last."""
    at, end = len(front), len(name) - len(back)
    for text in middle:
        found = name.find(text, at, end)
        if found < 0:
            return False
        at = found + len(text)
    return at <= end


_compile: Callable[[str], re.Pattern[str]] = cache(partial(re.compile, flags=re.ASCII))


_OPTIONAL = re.compile(r"(?:\\.|[^\\()\[\]])(?:[*?]|\{[^}]*\})|\\[a-zA-Z]|\[[^\]]*\](?:[*?]|\{[^}]*\})?|[.+^$]")
"""What need not be in a name, or is none of its texts."""
_INNERMOST = re.compile(r"(?<!\\)\((\?P<\w+>|\?:|)([^()]*)\)([*?{]?)")


@cache
def required_text(pattern: str) -> str:
    """A text that each name which a pattern matches must hold; "" where none is plain."""
    if re.search(r"\(\?[^:P]|\\[()]|\[[^\]]*[()]", pattern):  # looks around, or holds a literal parenthesis
        return ""
    plain, count = pattern, 1
    while count:  # of a group nothing need be there where it may be left out, or has a choice
        plain, count = _INNERMOST.subn(lambda it: "\0" if it[3] or "|" in it[2] else it[2], plain)
    if "|" in plain:
        return ""
    texts = _OPTIONAL.sub("\0", plain).replace("\\", "").split("\0")
    return max(texts, key=lambda text: (bool(text) and not text.isalnum(), len(text)))
