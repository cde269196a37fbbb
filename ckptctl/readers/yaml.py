"""``best_k_models.yaml``, as Lightning's ``ModelCheckpoint.to_yaml`` writes it, and metrics that others leave in YAML.

It is read event by event: nothing is built but plain mappings, lists and texts. Tags call nothing, and aliases, which
could make a small file huge, stand for nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import yaml
from yaml import events as ev

from ckptctl.errors import Damaged
from ckptctl.readers.json import MOST_DIGITS, Row, find, find_rows

MOST_BYTES = 16 << 20
"""A run with 100,000 checkpoints writes about 15 MB."""
MOST_DEPTH = 100
"""Of collections in collections: libyaml's time grows with the square of it."""
_WHOLE = re.compile(rf"[-+]?[0-9]{{1,{MOST_DIGITS}}}")
_DOTTED = re.compile(r"([-+]?)\.(inf|nan)", re.IGNORECASE)
_FRAME = (ev.StreamStartEvent, ev.StreamEndEvent, ev.DocumentStartEvent, ev.DocumentEndEvent)
_NOTHING = ("", "null", "~")
_SWITCHES = {"true": True, "false": False, "yes": True, "no": False, "on": True, "off": False}
_NUMBER_TAGS = ("tag:yaml.org,2002:float", "tag:yaml.org,2002:int")


def read_number(text: str) -> int | float | None:
    """The number that a text is, as Python (``1e-05``, ``nan``) or YAML (``.inf``) writes it; None where it is none.

    What no float can hold is infinite.
    """
    plain = text.strip()
    if _WHOLE.fullmatch(plain):
        return int(plain)
    dotted = _DOTTED.fullmatch(plain)
    try:
        return float(dotted[1] + dotted[2] if dotted else plain)
    except ValueError:
        return None


def read_scores(data: bytes) -> Mapping[str, float]:
    """Path, as the writing machine named it, to score; raises Damaged where the text is anything else.

    Numbers that YAML 1.1 reads as text (``1e-05``) are numbers here.
    """
    events = _parse(data)
    first = next(events, None)
    if first is None or (isinstance(first, ev.ScalarEvent) and first.value in _NOTHING):
        return {}
    if not isinstance(first, ev.MappingStartEvent):
        raise _unexpected()
    scores = {}
    for path, score in zip(events, events, strict=False):  # the last, alone, is the mapping's end
        number = read_number(score.value) if isinstance(score, ev.ScalarEvent) else None
        if not isinstance(path, ev.ScalarEvent) or number is None:
            raise _unexpected()
        scores[path.value] = float(number)
    return scores


def field(data: bytes, keys: str) -> object | None:
    """The value at ``keys``, joined by ``/``, of the first document; None where nothing is there. Raises Damaged."""
    return find(next(iter(_build(_parse(data))), None), keys)


def read_rows(data: bytes, at: str = "") -> list[Row]:
    """The rows at ``at`` of the one document; [] where nothing is there. Raises Damaged.

    Numbers that YAML 1.1 reads as text are numbers; what is quoted, or tagged otherwise, is text.
    """
    documents = _build(_parse(data))
    if len(documents) > 1:
        raise Damaged("several YAML documents in one file")
    return [row for document in documents for row in find_rows(document, at)]


def _parse(  # nested: errors come while it is read
    data: bytes,
) -> Iterator[ev.Event]:
    try:
        for event in yaml.parse(data.decode(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            if not isinstance(event, _FRAME):
                yield event
    except UnicodeDecodeError as error:
        raise Damaged(f"not text: byte {error.start} is not UTF-8") from error
    except yaml.YAMLError as error:
        raise Damaged(f"not YAML: {_first_line(error)}") from error


class _Open(NamedTuple):
    """A collection, or the whole stream, that has not ended yet."""

    is_mapping: bool
    nodes: list[object]
    """Of a mapping keys and values by turns; a key that is no text is any other value."""

    def close(self) -> object:
        if not self.is_mapping:
            return self.nodes
        pairs = zip(self.nodes[::2], self.nodes[1::2], strict=True)
        return {key: value for key, value in pairs if isinstance(key, str)}


def _build(events: Iterator[ev.Event]) -> list[object]:
    """The documents, as plain nested values."""
    pending = [_Open(is_mapping=False, nodes=[])]
    for event in events:
        inner = pending[-1]
        if isinstance(event, ev.CollectionStartEvent):
            pending.append(_Open(isinstance(event, ev.MappingStartEvent), []))
        elif isinstance(event, ev.CollectionEndEvent):
            pending.pop()
            pending[-1].nodes.append(inner.close())
        else:
            is_key = inner.is_mapping and len(inner.nodes) % 2 == 0
            inner.nodes.append(_read_scalar(event, is_key=is_key))
        if len(pending) > MOST_DEPTH:
            raise Damaged("not YAML that anyone wrote: nested too deep")
    return pending[0].nodes


def _read_scalar(event: ev.Event, *, is_key: bool) -> object:
    """A key's text; a value's text, number or switch; None for an alias."""
    if not isinstance(event, ev.ScalarEvent):
        return None
    is_plain = event.implicit[0] or event.tag in _NUMBER_TAGS
    if is_key or not is_plain:
        return event.value
    if event.value.lower() in _NOTHING:
        return None
    number = read_number(event.value)
    return _SWITCHES.get(event.value.lower(), event.value) if number is None else number


def _unexpected() -> Damaged:
    return Damaged("not a mapping of paths to numbers")


def _first_line(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or "cannot be read"
    return f"line {mark.line + 1}: {problem}" if mark else str(problem)
