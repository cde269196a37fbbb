"""Names without an equals sign: ``epoch02-val_loss0.32``, ``epoch_4``, ``weights.05-0.32``.

Nothing in such a name says where a key ends and what is only text, so a word becomes a key on good grounds alone: it
counts (epoch, step), it is known or says that it measures (loss, acc, ``val_…``), or a number with decimals follows it
behind a field that was already found. ``resnet50`` stays text.
"""

from __future__ import annotations

import re
from collections.abc import Container
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from ckptctl.core.names.tokens import NOT_FINITE, UNSIGNED, Field, read_field
from ckptctl.core.ranking import infer_mode

SEPARATORS = "-_., "
_BREAKS = SEPARATORS + ":+"
_COUNTERS = ("global_step", "consumed_samples", "epoch", "step", "iteration", "iter", "batch", "samples")
"""Longest first: ``global_step`` is not a ``step``."""
_SPLITS = frozenset("train training val valid validation test dev eval".split())
_LARGEST_EPOCH = 6
"""Digits: more are a date, an hour or a hash."""
_LONGEST_KEY = 64
_MOST_JOINS = 8
"""In one key: ``top-5`` has one."""

_direction_of = lru_cache(1024)(infer_mode)

# The alternatives begin with different characters, so each character is looked at once.
_TOKEN = re.compile(rf"({UNSIGNED}|(?<![A-Za-z0-9])(?:{NOT_FINITE})(?![A-Za-z]))|[-_., :+]+|[^-_., :+0-9]+")
_GLUED_NAN = re.compile(r"(?<=[A-Za-z])(?:nan|inf)\Z")


class ParsedWords(NamedTuple):
    """What such a name says."""

    prefix: str
    fields: dict[str, Field]
    bare: tuple[Field, ...] = ()
    """Numbers without a key, without the epoch."""
    glued: frozenset[str] = frozenset()
    """Keys whose number follows at once, so that a ``-`` between them in another name is a sign."""


class _Number(NamedTuple):
    """A number and its place in the stem."""

    text: str
    start: int
    end: int
    is_closed: bool
    """Whether a separator or the end follows: the 50 of ``resnet50`` is closed, the 5 of ``5shot`` is not."""


def read_words(stem: str, known: Container[str] = (), signed: Container[str] = ()) -> ParsedWords:
    """The fields of a stem; ``signed``: keys behind which a single ``-`` is a sign, by the rest of the folder."""
    numbers = _find_numbers(stem, known)
    reader = _Reader(stem, known, signed)
    for number, following in zip(numbers, [*numbers, None][1:], strict=True):
        reader.take(number, following)
    if reader.fields:
        return ParsedWords(reader.prefix, reader.fields, tuple(reader.bare), frozenset(reader.glued))
    return _read_bare(stem, numbers)


def _find_numbers(stem: str, known: Container[str]) -> list[_Number]:
    found = []
    for token in _TOKEN.finditer(stem):
        start, end = token.span()
        start += _digits_of_key(stem, start, token[1], known) if token[1] else _nan_in(token)
        if start < end:
            is_closed = end == len(stem) or stem[end] in _BREAKS
            found.append(_Number(stem[start:end], start, end, is_closed))
    return found


def _nan_in(token: re.Match[str]) -> int:
    """Where a nan or inf begins in a word that measures (``lossnan``); the word's length where there is none."""
    match = _GLUED_NAN.search(token[0])
    return match.start() if match and _direction_of(token[0][: match.start()]) else len(token[0])


def _digits_of_key(stem: str, start: int, number: str, known: Container[str]) -> int:
    """How many of a number's digits end the key in front: the 1 of ``val_f10.32``."""
    word = stem[max(0, start - _LONGEST_KEY) : start].rpartition("-")[2]
    if not word or word[-1] in _BREAKS or number.isdigit() or _direction_of(word) or is_known_metric(word, known):
        return 0
    for size in range(1, min(len(number), 4)):
        if not number[: size + 1].isdigit():
            return 0
        if _direction_of(word + number[:size]) or is_known_metric(word + number[:size], known):
            return size
    return 0


class _Reader:
    """Goes through the numbers of a stem from left to right, with the text that was not used yet."""

    def __init__(self, stem: str, known: Container[str], signed: Container[str]) -> None:
        self.stem = stem
        self.known = known
        self.signed = signed
        self.done = 0
        """Everything in front was taken."""
        self.prefix = ""
        self.fields: dict[str, Field] = {}
        self.bare: list[Field] = []
        self.glued: set[str] = set()

    def take(self, number: _Number, following: _Number | None) -> None:
        """Take a number with its key, or leave it to be part of the text."""
        front = self.stem[self.done : number.start]
        word = front.rstrip(_BREAKS)
        gap = front[len(word) :]
        word = word.lstrip(_BREAKS)
        if not word:
            self._take_bare(number, gap)
            return
        is_followed = following is not None and not self.stem[number.end : following.start].strip(_BREAKS)
        key = self._choose_key(word, number, is_followed=is_followed)
        if key is None:
            return
        if not self.fields:
            self.prefix = word[: len(word) - len(key)].strip(SEPARATORS)
        if gap in ("", "+"):
            self.glued.add(key)
        self.fields.setdefault(key, _signed(number.text, gap, is_sign=key in self.signed))
        self.done = number.end

    def _take_bare(self, number: _Number, gap: str) -> None:
        if self.fields and number.is_closed:
            self.bare.append(_signed(number.text, gap, is_sign=False))
            self.done = number.end

    def _choose_key(self, word: str, number: _Number, *, is_followed: bool) -> str | None:
        """The end of the word that is the number's key; None where the number is text."""
        if not number.is_closed:
            return None
        counter = _counter_in(word) if number.text.isdigit() else None
        key = word if self.fields else longest_known_metric(word, "-", self.known) or word.rpartition("-")[2]
        if counter or is_known_metric(key, self.known):
            return counter or key
        if len(key) > _LONGEST_KEY:
            return None
        if number.text.isdigit() and (is_followed or not is_metric_key(key)):
            return None
        if is_metric_key(key) or (self.fields and key != "v"):
            return key
        return None


def _counter_in(word: str) -> str | None:
    """The counter that a word ends with, after a separator or alone."""
    for counter in _COUNTERS:
        if word.endswith(counter) and (len(word) == len(counter) or word[-len(counter) - 1] in SEPARATORS):
            return counter
    return None


@lru_cache(1024)
def is_metric_key(key: str) -> bool:
    """Whether a key says that it is a metric: by a word that has a direction, or by the split it was measured on."""
    first, *rest = re.split(r"[-_/. ]", key.lower(), maxsplit=1)
    return (first in _SPLITS and bool(rest)) or _direction_of(key) is not None


def longest_known_metric(text: str, join: str, known: Container[str]) -> str | None:
    """The longest known metric that ends a text, from one ``join`` on; None where there is none."""
    if known == ():
        return None
    tokens = text.rsplit(join, _MOST_JOINS)
    tails = (join.join(tokens[first:]) for first in range(len(tokens)))
    return next((tail for tail in tails if is_known_metric(tail, known)), None)


def is_known_metric(key: str, known: Container[str]) -> bool:
    """Whether a key is a known metric; names may write ``/`` as ``_``."""
    return known != () and any(form in known for form in (key, key.replace("_", "/", 1), key.replace("/", "_")))


def _signed(text: str, gap: str, *, is_sign: bool) -> Field:
    """The number with its sign: a ``-`` behind another separator always is one, a single one only where said so."""
    if gap.endswith(("-", "+")) and (is_sign or len(gap) > 1 or gap == "+"):
        return read_field(gap[-1] + text)
    return read_field(text)


def _read_bare(stem: str, numbers: list[_Number]) -> ParsedWords:
    """Numbers that end a name without keys; the first is the epoch where it looks like one."""
    start = len(numbers)
    end = len(stem)
    while start and numbers[start - 1].end == end:
        start -= 1
        end = len(stem[: numbers[start].start].rstrip(_BREAKS))
    if start < len(numbers) and end and end == numbers[start].start:
        start += 1  # it is the end of a word: the 50 of resnet50
        end = numbers[start - 1].end
    tail = numbers[start:]
    if not tail:
        return ParsedWords(stem, {})
    gaps = [stem[end : tail[0].start], *(stem[one.end : two.start] for one, two in pairwise(tail))]
    values = [
        _signed(number.text, gap, is_sign=number.start == len(gap) == 1) for number, gap in zip(tail, gaps, strict=True)
    ]
    prefix = stem[:end].strip(SEPARATORS)
    if _begins_with_epoch(values):
        return ParsedWords(prefix, {"epoch": values[0]}, tuple(values[1:]))
    return ParsedWords(prefix, {}, tuple(values))


def _begins_with_epoch(values: list[Field]) -> bool:
    """Whether the first is a small whole number, and the values are not a date (2024-05-01)."""
    whole = [value.text.isdigit() for value in values]
    return whole[0] and len(values[0].text) <= _LARGEST_EPOCH and not (len(values) >= 3 and all(whole))  # noqa: PLR2004 - year, month, day
