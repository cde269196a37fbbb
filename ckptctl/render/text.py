"""Text made safe to show and fitted to a width; paths as the user knows them; error and warning lines."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ckptctl.core.model import Text
    from ckptctl.errors import CkptctlError

ELLIPSIS = "…"

# Printable by their category, and yet not seen: joiners, fillers, variation selectors, the empty Braille cell.
_HIDDEN = "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
_UNDECODABLE = range(0xDC80, 0xDD00)
"""What stands for the bytes 0x80 to 0xff of a name that is not UTF-8."""

_VOWELS_AND_FINALS = (range(0x1160, 0x1200), range(0xD7B0, 0xD800))
"""Hangul parts that are drawn into the syllable before them."""


def escape(text: str) -> str:
    r"""Everything that is not seen, or moves what is seen, as ``\x1b``, ``\u202e``; undecodable bytes as ``\xff``.

    Escaping twice changes nothing more. A name that holds such letters itself looks the same: exact names are JSON's.
    """
    if text.isprintable() and (text.isascii() or not re.search(_HIDDEN, text)):
        return text
    return "".join(map(_escape_one, text))


def _escape_one(char: str) -> str:
    if char.isprintable() and not re.match(_HIDDEN, char):
        return char
    if ord(char) in _UNDECODABLE:
        return f"\\x{ord(char) - 0xDC00:02x}"
    return char.encode("unicode_escape").decode()


def encode(path: str) -> bytes:
    """A path as the disk has it; half characters, which no disk makes, as their code points."""
    try:
        return path.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return path.encode("utf-8", "surrogatepass")


def quote(text: str) -> str:
    """A name in quotes, escaped; double quotes where it has a single one in it."""
    mark = '"' if "'" in text and '"' not in text else "'"
    return f"{mark}{escape(text)}{mark}"


def measure(text: str) -> int:
    """Terminal cells that a text takes: East Asian wide letters two, combining marks none."""
    return len(text) if text.isascii() else sum(map(_measure_one, text))


@lru_cache(maxsize=4096)
def _measure_one(char: str) -> int:
    from unicodedata import category, east_asian_width  # 1 MB that plain names do not need

    if category(char) in ("Mn", "Me", "Cf") or any(ord(char) in part for part in _VOWELS_AND_FINALS):
        return 0
    return 2 if east_asian_width(char) in "WF" else 1


def shorten(text: str, width: int) -> str:
    """The text within so many cells, its middle left out where it is longer: both ends of a name tell it apart."""
    if measure(text) <= width:
        return text
    if width <= 1:
        return ELLIPSIS[: max(0, width)]
    start, end = width // 2, (width - 1) // 2
    if text.isascii():
        return text[:start] + ELLIPSIS + text[len(text) - end :]
    head = "".join(_take(text, start))
    tail = "".join(_take(reversed(text), end))[::-1]
    while tail and _measure_one(tail[0]) == 0:
        tail = tail[1:]
    return head + ELLIPSIS + tail


def clip(text: str, width: int) -> str:
    """The text within so many cells, its end left out where it is longer: for words, which are read from the left."""
    if measure(text) <= width:
        return text
    return "".join(_take(text, width - 1)).rstrip() + ELLIPSIS if width > 0 else ""


def _take(chars: Iterable[str], width: int) -> Iterator[str]:
    used = 0
    for char in chars:
        used += _measure_one(char)
        if used > width:
            return
        yield char


def pad(text: str, width: int) -> str:
    """The text at the left of so many cells."""
    return text + " " * (width - measure(text))


def pad_left(text: str, width: int) -> str:
    """The text at the right of so many cells."""
    return text.rjust(width) if text.isascii() else " " * (width - measure(text)) + text


def fold(text: str, width: int) -> str:
    """Prose in lines of at most so many cells, broken between words; a longer word has a line of its own."""
    lines: list[str] = []
    for word in text.split(" "):
        if lines and measure(lines[-1]) + 1 + measure(word) <= width:
            lines[-1] += " " + word
        else:
            lines.append(word)
    return "\n".join(lines)


def locate(root: str, path: str) -> str:
    """A path under the root as the user typed it, not escaped; "." is left out, and never leaves a leading dash."""
    if root in ("", ".", "./"):
        return f"./{path}" if path.startswith("-") else path or "."
    return f"{root.rstrip('/')}/{path}" if path else root.rstrip("/") or root


def name_within(path: str, folder: str) -> str:
    """A path as seen from a folder that holds it, not escaped; whole where the folder does not hold it."""
    return path[len(folder) + 1 :] if folder and path.startswith(folder + "/") else path


def error_lines(error: CkptctlError, done: str | None = None) -> str:
    """What and where, then what was (not) done if anything could have been changed, then what to do next."""
    from ckptctl.render.note_texts import describe_error  # a command that ends well needs no texts

    where = "" if error.path is None else f"{escape(error.path) or '.'}: "
    lines = [f"ckptctl: error[{error.id}]: {where}{escape(describe_error(error))}"]
    if done is not None:
        lines.append(escape(done))
    if error.hint is not None:
        lines.append(f"hint: {escape(error.hint)}")
    return "\n".join(lines) + "\n"


def warning(text: Text, where: str = "") -> str:
    """A line that warns, of what is at a path."""
    from ckptctl.render.note_texts import describe_note  # as above

    front = f"{escape(where)}: " if where else ""
    return f"warning: {front}{escape(describe_note(text))}\n"


def hint(text: str) -> str:
    """A line that says what to do next."""
    return f"hint: {escape(text)}\n"
