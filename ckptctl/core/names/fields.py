"""What the fields of a template mean, by their names: a count, a measure, or which of several trainings it was.

kind_of_field("epoch"), kind_of_field("val_loss")    "count", "measure"
kind_of_field("fold"), kind_of_field("arch")         "setting", "text"
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal

from ckptctl.core.names.vocabulary import IDENTITIES, TUNED, is_metric_word, meaning_of

FieldKind = Literal["count", "measure", "setting", "text", "time", "unknown"]
"""``setting``: a number that tells trainings apart (``fold``); ``text``: a word or more that does (``arch``); ``time``:
a date or a time of day; ``unknown``: what a number is only the names themselves tell."""

KNOWN_FIELDS = "fields: {epoch}, {step}, a metric such as {val_loss:.3f}, {fold}, {seed}, {name}, {date}, {time}"
"""What to tell of a field that cannot be understood."""

_SETTINGS = TUNED - frozenset("size scale width depth res resolution level".split()) | frozenset(
    """fold folds kfold cv seed seeds client clients member members layer layers trial trials worker workers
        level levels shot shots bit bits repeat rep block blocks head heads v ver""".split()
)
"""Words of numbers."""
_TEXTS = IDENTITIES - _SETTINGS | frozenset(
    """name names model arch architecture backbone network net encoder decoder dataset data tag tags id uid uuid hash
    sha commit host hostname project prefix suffix method optimizer optim scheduler mode lang language env environment
    game algo algorithm agent policy domain category title desc description note notes comment criterion variant type
    kind basename stem filename lossname""".split()
)
_TIMES = frozenset("date day month year time timestamp datetime ts now stamp hour minute second clock".split())
_NUMBERS = frozenset("i n nr no num number idx index count counter nth".split())
"""Names of counts that say nothing of what is counted."""
_WORD = re.compile(r"[^\W\d_]+")
_CALL = re.compile(r"\.\w+\(\)\Z")
"""What a program writes behind a value: ``loss.item()``."""
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")


@lru_cache(256)
def kind_of_field(name: str) -> FieldKind:
    """What a field's values are, by the last word of its name."""
    word = _last_word(name)
    if word in _TIMES:
        return "time"
    if word in _SETTINGS:
        return "setting"
    if word in _NUMBERS or meaning_of(word) in ("epoch", "step", "number"):
        return "count"
    if word in _TEXTS:
        return "text"
    return "measure" if is_metric_word(word) or is_metric_word(name.lower()) else "unknown"


def count_key(name: str) -> str:
    """What a name's reader calls the count of a field: ``epoch``, ``step``, else ``index``."""
    meaning = meaning_of(_last_word(name))
    return meaning if meaning in ("epoch", "step") else "index"


def _last_word(name: str) -> str:
    words = _WORD.findall(_CAMEL.sub("_", _CALL.sub("", name)))
    return words[-1].lower() if words else ""
