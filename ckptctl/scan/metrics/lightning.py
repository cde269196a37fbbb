"""What Lightning's callbacks wrote of themselves into each checkpoint, in every generation since 0.7.

A ModelCheckpoint remembers the files that it keeps with their scores, so one file tells the scores of its siblings.
Where the memory lies and what it holds, by version:

    up to 0.9    top-level ``checkpoint_callback_best_model_path`` and ``…_score``
    0.10 - 1.4   ``callbacks``, under the class itself; no ``best_k_models``
    1.5 - 1.8    ``callbacks``, under a text: the class, then its settings as Python writes a dict, the mode among them
    since 1.9    the same with fewer settings

The worst infinity of the mode stands for NaN. Before 1.6 epochs and steps in names counted from 0, those inside from 1.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Literal

from ckptctl.core.score_sources import WORST, CallbackState, TrainingRecord
from ckptctl.formats.torch_zip import read_values, scalar
from ckptctl.formats.zip import open_archive

if TYPE_CHECKING:
    from ckptctl.formats.zip import ByteSource

Scalar = Callable[[object], float | int | None]
"""Reads the number in a tensor of one element; None for anything else."""

_BEFORE_1_6 = re.compile(r"(?:0\.[0-9]+|1\.0*[0-5])(?:\..*)?", re.DOTALL)
_MODES: Mapping[str | None, Literal["min", "max"]] = {"min": "min", "max": "max"}
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


def read_file(source: ByteSource) -> TrainingRecord | None:
    """What a checkpoint's file says of its training; None where Lightning did not write it; raises Damaged, OSError."""
    archive = open_archive(source)
    return read_record(read_values(archive), lambda tensor: scalar(archive, tensor))


def read_record(values: Mapping[object, object], scalar: Scalar) -> TrainingRecord | None:
    """What a checkpoint's dictionary says of its training; None where Lightning did not write it.

    Raises what ``scalar`` raises.

    Numbers, paths and names that are not what Lightning writes count as missing.
    """
    writer = _text(values.get("pytorch-lightning_version"))
    if writer is None and not ("state_dict" in values and "epoch" in values):
        return None
    epoch, step = values.get("epoch"), values.get("global_step")
    return TrainingRecord(
        writer,
        epoch if type(epoch) is int else None,
        step if type(step) is int else None,
        bool(values.get("optimizer_states")),
        tuple(_read_watches(values, scalar)),
        int(_BEFORE_1_6.fullmatch(writer or "") is not None),
    )


def _read_watches(values: Mapping[object, object], scalar: Scalar) -> Iterator[CallbackState]:
    """The one of 0.9 and before, which recorded neither metric nor mode, and each of those since.

    A callback is known by the name of its class (up to 1.4 the key is the class itself, an inert node with a name), or
    by what it remembers.
    """
    best = _text(values.get("checkpoint_callback_best_model_path"))
    if best is not None:
        score = _number(values.get("checkpoint_callback_best_model_score"), scalar)
        yield CallbackState(None, None, None, {} if score is None else {best: score}, best, None, None)
    callbacks = values.get("callbacks")
    for key, state in callbacks.items() if isinstance(callbacks, dict) else ():
        name = _text(key if isinstance(key, str) else getattr(key, "name", None)) or ""
        match = _KEY.fullmatch(name)
        if isinstance(state, dict) and ("best_model_path" in state or (match and _NAME.fullmatch(match[1]))):
            settings, models = read_settings(name), state.get("best_k_models")
            held = models.items() if isinstance(models, dict) else ()
            scores = {path: _number(node, scalar) for path, node in held if isinstance(path, str)}
            mode = _MODES.get(settings.get("mode"))
            yield CallbackState(
                _text(state.get("monitor")) or settings.get("monitor"),
                mode,
                _text(state.get("dirpath")),
                {path: score for path, score in scores.items() if score is not None},
                _text(state.get("best_model_path")),
                _text(state.get("last_model_path")),
                _number(state.get("current_score"), scalar),
                WORST.get(mode),
            )


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


def _text(node: object) -> str | None:
    """A text that says something; Lightning writes "" for what there is none of."""
    return node if isinstance(node, str) and node else None


def _number(node: object, scalar: Scalar) -> float | None:
    """A score: a tensor of one element, from some loggers a plain number."""
    number = node if isinstance(node, (int, float)) and not isinstance(node, bool) else scalar(node)
    try:
        return None if number is None else float(number)
    except OverflowError:
        return None
