"""A template that fits names of one shape, to propose where nothing says what their numbers count."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ckptctl.core.names.shapes import ShapedName, group_by_shape
from ckptctl.core.names.vocabulary import meaning_of
from ckptctl.core.series.model import NUMBER
from ckptctl.core.series.slots import ShapeLine, plain_number, read_lines
from ckptctl.errors import UsageError

_BRACES = re.compile("[{}]")
_LAST_WORD = re.compile(r"([^\W\d_]+)[\W_]*\Z")


def propose_template(names: Sequence[str]) -> str | None:
    """A template that counts what varies in these names of one shape, tried on each; None where it would not fit."""
    groups = group_by_shape(names)
    lines = list(read_lines(groups[0])) if len(groups) == 1 else []
    counted = [it for it in lines if it.trouble is None and it.varying]
    if not counted:
        return None
    text = _write(groups[0].members, counted[0])
    is_plain = text is not None and text.isprintable() and not _BRACES.search(names[0])  # it is to be typed
    return text if text is not None and is_plain and _fits_all(text, names) else None


def _write(members: Sequence[ShapedName], line: ShapeLine) -> str | None:
    """The names as a template; None where a number varies of which nothing says what it is."""
    first = line.members[0]
    slots = {it.place: it for it in line.slots}
    texts, end = [], 0
    for place, at in enumerate(first.numbered):
        piece = first.pieces[at]
        before = first.stem[end : piece.start]
        slot = slots.get(place)
        if slot is not None and (slot.varies or slot.meaning == "metric"):
            field = slot.key if slot.is_said or slot.key != NUMBER else "epoch"
        elif len({plain_number(it.values[place]) for it in members}) > 1:
            word = _LAST_WORD.search(before)
            field = word[1].lower() if word and meaning_of(word[1]) == "identity" else ""
        else:
            continue
        brace = "{" + field + "}"
        if not field or brace in texts:
            return None
        texts += [before, brace]
        end = piece.end
    return "".join([*texts, first.stem[end:]])


def _fits_all(text: str, names: Sequence[str]) -> bool:
    """Whether a template can be read, and each of the names by it."""
    from ckptctl.core.names.template import Template  # a listing seldom proposes any

    try:
        template = Template(text)
    except UsageError:
        return False
    return all(template.match(name) is not None for name in names)
