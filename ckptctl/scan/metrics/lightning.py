"""What Lightning's callbacks wrote of themselves into each checkpoint, in every generation since 0.7.

A ModelCheckpoint remembers the files that it keeps with their scores, so one file tells the scores of its siblings.
Where the memory lies and what it holds, by version:

    up to 0.9    top-level ``checkpoint_callback_best_model_path`` and ``…_score``
    0.10 - 1.4   ``callbacks``, under the class itself; no ``best_k_models``
    1.5 - 1.8    ``callbacks``, under a text: the class, then its settings as Python writes a dict, the mode among them
    since 1.9    the same with fewer settings
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Literal

from ckptctl.core.training_record import CallbackState, TrainingRecord

Scalar = Callable[[object], float | int | None]
"""Reads the number in a tensor of one element; None for anything else."""

_KEY = re.compile(r"([\w.<>]+)(?:\{(.*)\})?", re.DOTALL)
_NAME = re.compile(r"\w*ModelCheckpoint\w*")
_SETTING = re.compile(
    r"""'(?P<name>\w+)':\ (?:
        '(?P<single>(?:[^'\\]|\\.)*)' | "(?P<double>(?:[^"\\]|\\.)*)" | datetime\.timedelta\([^()]*\) | [\w.+-]+
    )(?:,\ |$)""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|U([0-9a-f]{8})|(.))", re.DOTALL)
_CONTROLS = {"n": "\n", "r": "\r", "t": "\t"}


def read_record(values: Mapping[object, object], scalar: Scalar) -> TrainingRecord | None:
    """What a checkpoint's dictionary says of its training; None where Lightning did not write it.

    Raises what ``scalar`` raises.

    Numbers, paths and names that are not what Lightning writes count as missing.
    """
    writer = _text(values.get("pytorch-lightning_version"))
    if writer is None and not ("state_dict" in values and "epoch" in values):
        return None
    return TrainingRecord(
        writer,
        _count(values.get("epoch")),
        _count(values.get("global_step")),
        bool(values.get("optimizer_states")),
        (*_read_old_watch(values, scalar), *_read_watches(values.get("callbacks"), scalar)),
    )


def _read_old_watch(values: Mapping[object, object], scalar: Scalar) -> tuple[CallbackState, ...]:
    """The one of 0.9 and before, which recorded neither metric nor mode."""
    best = _text(values.get("checkpoint_callback_best_model_path"))
    if best is None:
        return ()
    score = _number(values.get("checkpoint_callback_best_model_score"), scalar)
    return (CallbackState(None, None, None, {} if score is None else {best: score}, best, None, None),)


def _read_watches(callbacks: object, scalar: Scalar) -> list[CallbackState]:
    if not isinstance(callbacks, dict):
        return []
    states = ((key, state) for key, state in callbacks.items() if isinstance(state, dict))
    return [_read_watch(key, state, scalar) for key, state in states if _saves_best(key, state)]


def _saves_best(key: object, state: Mapping[object, object]) -> bool:
    """Whether it is a ModelCheckpoint, by the name of its class or by what it remembers."""
    match = _KEY.fullmatch(_class_of(key))
    return "best_model_path" in state or (match is not None and _NAME.fullmatch(match[1]) is not None)


def _class_of(key: object) -> str:
    """The key as text; up to 1.4 it is a class, that is an inert node with a name."""
    name = key if isinstance(key, str) else getattr(key, "name", None)
    return name if isinstance(name, str) else ""


def _read_watch(key: object, state: Mapping[object, object], scalar: Scalar) -> CallbackState:
    settings = read_settings(_class_of(key))
    return CallbackState(
        _text(state.get("monitor")) or settings.get("monitor"),
        _mode(settings.get("mode")),
        _text(state.get("dirpath")),
        _read_scores(state.get("best_k_models"), scalar),
        _text(state.get("best_model_path")),
        _text(state.get("last_model_path")),
        _number(state.get("current_score"), scalar),
    )


def _read_scores(models: object, scalar: Scalar) -> dict[str, float]:
    if not isinstance(models, dict):
        return {}
    numbers = {path: _number(node, scalar) for path, node in models.items() if isinstance(path, str)}
    return {path: number for path, number in numbers.items() if number is not None}


def read_settings(key: str) -> dict[str, str]:
    """The settings in a callback's key that are texts, by name; {} where the key is written in any other way.

    >>> read_settings("ModelCheckpoint{'monitor': 'val_loss', 'mode': 'min', 'every_n_epochs': 1}")
    {'monitor': 'val_loss', 'mode': 'min'}
    """
    match = _KEY.fullmatch(key)
    inside = match[2] if match and match[2] else ""
    found: dict[str, str] = {}
    at = 0
    while at < len(inside):
        setting = _SETTING.match(inside, at)
        if setting is None:
            return {}
        at = setting.end()
        written = setting["single"] if setting["single"] is not None else setting["double"]
        if written is not None:
            found[setting["name"]] = _ESCAPE.sub(_unescape, written)
    return found


def _unescape(escape: re.Match[str]) -> str:
    code = escape[1] or escape[2] or escape[3]
    if code is None:
        return _CONTROLS.get(escape[4], escape[4])
    return chr(int(code, 16)) if int(code, 16) <= 0x10FFFF else "\ufffd"  # noqa: PLR2004 - the last character there is


def _mode(text: str | None) -> Literal["min", "max"] | None:
    return "min" if text == "min" else "max" if text == "max" else None


def _text(node: object) -> str | None:
    """A text that says something; Lightning writes "" for what there is none of."""
    return node if isinstance(node, str) and node else None


def _count(node: object) -> int | None:
    return node if type(node) is int else None


def _number(node: object, scalar: Scalar) -> float | None:
    """A score: a tensor of one element, from some loggers a plain number."""
    number = node if isinstance(node, (int, float)) and not isinstance(node, bool) else scalar(node)
    try:
        return None if number is None else float(number)
    except OverflowError:
        return None
