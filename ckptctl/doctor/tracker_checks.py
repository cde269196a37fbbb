"""What links, trackers and lists say, where what they say is not here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from ckptctl.core.model import Pointer
from ckptctl.errors import Damaged
from ckptctl.layouts import find_layout
from ckptctl.layouts.index import Match, glob_matches, match
from ckptctl.scan.pointers import LONGEST_NAME, MOST_BYTES, resolve_link
from ckptctl.stores import read_whole

if TYPE_CHECKING:
    from ckptctl.core.model import Entry, Roster, Run
    from ckptctl.layouts.schema import Layout, PointerFile
    from ckptctl.stores import ReadStore

NAMES = frozenset({"last", "latest", "best"})
"""What people call a name that stands for a checkpoint, whatever it is."""
_LONGEST = 200
"""Characters of what a file says that are worth telling."""


def find_broken(store: ReadStore, run: Run, links: Sequence[Entry]) -> Iterator[Pointer]:
    """Links and small texts of a run that the scan passes over, since they lead nowhere: names that are plain enough.

    A link counts if its text ends like the run's own checkpoints, or if it is called last, latest or best.
    """
    if not run.checkpoints:
        return
    known = {it.path for it in run.pointers}
    layouts = [find_layout(name) for name in run.layouts]
    meant = (it for it in links if _name(it.path) in NAMES or _is_one_of(layouts, it.target or ""))
    followed = (resolve_link(store, it) for it in meant if it.path not in known)
    yield from (it for it in followed if it.state in ("dangling", "loop"))
    for stray in run.strays:
        said = _read_line(store, stray.path) if _name(stray.path) in NAMES else None
        if said is not None and _is_one_of(layouts, said):
            yield Pointer(stray.path, "text", None, "dangling")


def read_broken_targets(store: ReadStore, run: Run, links: Mapping[str, Sequence[Entry]]) -> dict[str, str]:
    """By path of each of a run's names that leads to nothing here: what it says, as far as it can be read."""
    said: dict[str, str | None] = {}
    for pointer in run.pointers:
        if pointer.state == "ok":
            continue
        if pointer.kind == "symlink":
            beside = links.get(pointer.path.rpartition("/")[0], ())
            said[pointer.path] = next((entry.target for entry in beside if entry.path == pointer.path), None)
        else:
            said[pointer.path] = _read_pointer(store, pointer.path, run)
    return {path: text for path, text in said.items() if text}


def _read_pointer(store: ReadStore, path: str, run: Run) -> str | None:
    specs = [
        spec for name in run.layouts for spec in find_layout(name).pointers if glob_matches(spec.path, _name(path))
    ]
    told = (_read_by(store, path, spec) for spec in specs)
    return next(filter(None, told), None) or _read_line(store, path)


def list_missing_names(store: ReadStore, run: Run) -> dict[str, list[str]]:
    """By path of each of a run's rosters: the names in it that nothing here has."""
    lost = {}
    for roster in run.rosters:
        known = {written for written, _ in roster.names}
        lost[roster.path] = [name for name in _read_roster(store, roster) if name not in known]
    return lost


def _read_roster(store: ReadStore, roster: Roster) -> Iterable[str]:
    data = _read(store, roster.path, MOST_BYTES)
    try:
        if data is not None and roster.format == "textproto":
            from ckptctl.readers import textproto

            return textproto.read(data).all
        if data is not None:
            from ckptctl.readers import json

            return json.names(data, roster.listing, roster.listed)
    except Damaged:
        pass
    return ()


def trackers_by_name(layouts: Iterable[Layout], name: str) -> list[tuple[Layout, PointerFile]]:
    """The layouts that note the newest in a file of that very name, and how."""
    return [
        (layout, spec)
        for layout in layouts
        for spec in layout.pointers
        if spec.path == name and spec.place == "beside" and spec.value != "json"
    ]


def read_tracker(store: ReadStore, path: str, layouts: Iterable[Layout]) -> str | None:
    """The checkpoint that a tracker names; None where what it holds is none of any layout that has such a file."""
    for layout, spec in trackers_by_name(layouts, _name(path)):
        said = _read_by(store, path, spec)
        is_plain = spec.value == "textproto" or (spec.value == "step" and said is not None and said.isdecimal())
        if said is not None and (is_plain or _is_one_of([layout], said)):
            return said
    return None


def _is_one_of(layouts: Iterable[Layout], said: str) -> bool:
    """Whether a text ends in a name that a layout gives its checkpoints, number included."""
    name = _name(said.strip().replace("\\", "/").rstrip("/"))
    found = ((it, match(it, name)) for it in layouts)
    return any(groups is not None and (not it.names or Match(it, groups).is_numbered) for it, groups in found)


def _read_by(store: ReadStore, path: str, spec: PointerFile) -> str | None:
    """The name that a file holds, read as its layout says."""
    if spec.value in ("name", "step"):
        return _read_line(store, path)
    data = _read(store, path, MOST_BYTES)
    try:
        named = None if data is None else _named_in(data, spec)
    except Damaged:
        return None
    return named[:_LONGEST] if isinstance(named, str) else None


def _named_in(data: bytes, spec: PointerFile) -> object:
    if spec.value == "textproto":
        from ckptctl.readers import textproto

        return textproto.read(data).latest
    from ckptctl.readers import json

    return json.field(data, spec.field)


def _read_line(store: ReadStore, path: str) -> str | None:
    """The one line of a small text; None where it is none, or empty."""
    data = _read(store, path, LONGEST_NAME)
    try:
        text = (data or b"").decode().strip()
    except UnicodeDecodeError:
        return None
    return text[:_LONGEST] if text and "\n" not in text else None


def _read(store: ReadStore, path: str, most: int) -> bytes | None:
    """A whole file; None where it cannot be read, or is larger than it can be."""
    try:
        return read_whole(store, path, most)
    except (OSError, Damaged):
        return None


def _name(path: str) -> str:
    return path.rpartition("/")[2]
