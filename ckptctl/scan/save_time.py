"""When a checkpoint that is a folder was saved: an evaluation may write into it later, and is no save."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from ckptctl.core.model import Entries
from ckptctl.layouts.index import glob_matches

if TYPE_CHECKING:
    from ckptctl.core.model import Entry
    from ckptctl.layouts.schema import Layout


def find_save_time(layout: Layout, entries: Sequence[Entry]) -> int | None:
    """Nanoseconds since 1970 of what the framework writes last into a folder; None where none of that is there.

    Of a layout that does not say what that is, of the newest of all files that the framework is known to write.
    """
    marks = tuple(filter(None, (layout.done, layout.manifest)))
    last = marks or (layout.required if layout.written_last else ())
    inside = Entries.of(entries).inside
    for globs in (last, _written(layout)):
        places = _find_places(globs, inside)
        if places:
            return max(entries[place + 1].modified or 0 for place in places)
    return None


def _written(layout: Layout) -> tuple[str, ...]:
    """Globs of what the framework is known to write."""
    sentinels = [part for it in layout.sentinels for part in ((it,) if isinstance(it, str) else it)]
    slimming = layout.slimming
    resuming = (*slimming.files, *slimming.require) if slimming is not None else ()
    return (*layout.required, *sentinels, *layout.hints, *resuming)


@lru_cache(512)  # the folders of one training hold the same names
def _find_places(globs: tuple[str, ...], inside: tuple[str, ...]) -> tuple[int, ...]:
    """Where in a folder's listing the files lie that globs name, or what lies in folders that they name."""
    parts = [part for it in globs for part in it.split("|")]
    return tuple(at for at, path in enumerate(inside) if any(_covers(part, path) for part in parts))


def _covers(glob: str, path: str) -> bool:
    own = path.split("/")[: glob.count("/") + 1]
    return glob_matches(glob, "/".join(own))
