"""Settings as text: each value and where it came from."""

from __future__ import annotations

from collections.abc import Iterator

from ckptctl.config import PROTECTIONS, Setting, Settings
from ckptctl.render.text import escape, pad

_DEFAULTS = {"min-age": "auto", "strict": False, "trash": False, "keep": []}
_HEADS = ("key", "value", "origin")


def screen(found: Settings) -> Iterator[str]:
    """For a terminal: every setting with its origin, then the policies, and the files that say anything."""
    rows = [(it.key, write_value(it.value), it.origin) for it in settings_of(found)]
    widths = [max(len(row[place]) for row in rows) for place in (0, 1)]
    for key, value, origin in rows:
        yield f"{pad(key, widths[0])}  {pad(escape(value), widths[1])}  {escape(origin)}\n"
    for named in found.policies.values():
        yield f"\npolicy {escape(named.name)}   {escape(named.origin)}\n"
        width = max(map(len, named.values), default=0)
        yield from (f"  {pad(key, width)}  {escape(write_value(value))}\n" for key, value in named.values.items())


def rows(found: Settings) -> Iterator[str]:
    """For a pipe: a line for each value, those of policies under ``policy.NAME.KEY``."""
    yield "\t".join(_HEADS) + "\n"
    for it in settings_of(found):
        yield _row(it.key, it.value, it.origin)
    for named in found.policies.values():
        yield from (_row(f"policy.{named.name}.{key}", it, named.origin) for key, it in named.values.items())


def _row(key: str, value: object, origin: str) -> str:
    return "\t".join((escape(key), escape(write_value(value)), escape(origin))) + "\n"


def settings_of(found: Settings) -> list[Setting]:
    """Every setting that a file may have, by its default where nothing says it; and what is said of file names."""
    held = [found.values.get(key) or Setting(key, _DEFAULTS.get(key), "default") for key in sorted(PROTECTIONS)]
    return [*held, *(found.names[key] for key in sorted(found.names))]


def write_value(value: object) -> str:
    """As it would stand on the command line; a dash for none."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ", ".join(value) or "–"
    return "–" if value is None else str(value)
