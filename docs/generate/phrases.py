"""Names, globs and patterns as a reader would write them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ckptctl.render.note_texts import describe_pattern


def code(text: str) -> str:
    """As code; bars would part the cells of a table.

    >>> code("checkpoint-500")
    '`checkpoint-500`'
    """
    return f"`{text}`"


def either(words: Iterable[str], last: str = "or") -> str:
    """Several as alternatives.

    >>> either(["a", "b", "c"]), either(["a"])
    ('a, b or c', 'a')
    """
    *front, back = words
    return f"{', '.join(front)} {last} {back}" if front else back


def together(words: Sequence[str]) -> str:
    """Several that are all needed, each of which may be alternatives.

    >>> together(["a", "b"]), together(["a or b", "c", "d"])
    ('a and b', 'a or b; c; and d')
    """
    if len(words) == 1 or not any(" or " in it for it in words):
        return either(words, "and")
    return "; ".join([*words[:-1], f"and {words[-1]}"])


def some(words: Sequence[str], most: int = 4) -> str:
    """The first few of many, as alternatives.

    >>> some(["a", "b", "c"], 2)
    'a, b and the like'
    """
    return either(words) if len(words) <= most else f"{', '.join(words[:most])} and the like"


def spell_glob(glob: str) -> str:
    """A glob, of alternatives each, with N for a number.

    >>> spell_glob("model_[0-9][0-9]*.pth|final.pth")
    '`model_N.pth` or `final.pth`'
    """
    return either(code(re.sub(r"(\[0-9\])+\*?", "N", part)) for part in glob.split("|"))


def spell_pattern(pattern: str) -> str:
    r"""A pattern: N for a number, … for anything.

    >>> spell_pattern(r"(?:bf16_)?zero_rank_(?P<rank>\d{2})\.pt"), spell_pattern(r"tmp-[a-z0-9_]{8}")
    ('`zero_rank_N.pt`', '`tmp-…`')
    """
    return code(describe_pattern(pattern))


def slug(title: str) -> str:
    """What a heading's link is called.

    >>> slug("Hugging Face transformers' Trainer")
    'hugging-face-transformers-trainer'
    """
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")
