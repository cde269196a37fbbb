"""``best_k_models.yaml``: what Lightning's ``ModelCheckpoint.to_yaml`` wrote. The only reader that needs yaml."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import yaml
from yaml import events as ev

from ckptctl.errors import Damaged

MOST_BYTES = 16 << 20
"""A run with 100,000 checkpoints writes about 15 MB."""
_FRAME = (ev.StreamStartEvent, ev.StreamEndEvent, ev.DocumentStartEvent, ev.DocumentEndEvent)
_NOTHING = ("", "null", "~")


def read_scores(data: bytes) -> Mapping[str, float]:
    """Path, as the writing machine named it, to score; raises Damaged where the text is anything else.

    Numbers that YAML 1.1 reads as text (``1e-05``) are numbers here. It is read event by event: nothing is built of
    what is not expected, so neither aliases can make a small file huge, nor depth exhaust the C stack.
    """
    try:
        events = yaml.parse(data.decode(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        return _read(event for event in events if not isinstance(event, _FRAME))
    except UnicodeDecodeError as error:
        raise Damaged(f"not text: byte {error.start} is not UTF-8") from error
    except yaml.YAMLError as error:
        raise Damaged(f"not YAML: {_first_line(error)}") from error
    except ValueError as error:
        raise _unexpected() from error


def _read(events: Iterator[ev.Event]) -> dict[str, float]:
    first = next(events, None)
    if first is None or (isinstance(first, ev.ScalarEvent) and first.value in _NOTHING):
        return {}
    if not isinstance(first, ev.MappingStartEvent):
        raise _unexpected()
    scores = {}
    for path, score in zip(events, events, strict=False):  # the last, alone, is the mapping's end
        if not (isinstance(path, ev.ScalarEvent) and isinstance(score, ev.ScalarEvent)):
            raise _unexpected()
        scores[path.value] = _read_number(score.value)
    return scores


def _read_number(text: str) -> float:
    return float(text.replace(".", "", 1) if text.lower().lstrip("+-") in (".inf", ".nan") else text)


def _unexpected() -> Damaged:
    return Damaged("not a mapping of paths to numbers")


def _first_line(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or "cannot be read"
    return f"line {mark.line + 1}: {problem}" if mark else str(problem)
