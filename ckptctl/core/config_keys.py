"""What can be set beside the command line: the keys, their kinds, and which of two values is the more careful."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from ckptctl.core.units import parse_duration, parse_size
from ckptctl.errors import UsageError

PROTECTIONS: dict[str, str] = {
    "keep": "texts",
    "min-age": "age",
    "max-delete": "count",
    "max-delete-size": "size",
    "strict": "flag",
    "trash": "flag",
    "trash-for": "duration",
}
"""What a found file may say, and of what kind it is: each only makes less go."""
POLICY_KEYS: dict[str, str] = PROTECTIONS | {
    **dict.fromkeys(["top-k", "keep-last", "keep-hourly", "keep-daily", "keep-weekly", "keep-monthly"], "number"),
    **dict.fromkeys(["keep-best", "keep-every", "keep-step", "filter"], "texts"),
    **dict.fromkeys(["keep-within", "keep-newer-than"], "duration"),
    **dict.fromkeys(["max-size", "free"], "size"),
    **dict.fromkeys(["drop-unranked", "no-protect-last", "partial", "relink"], "flag"),
    "global-best": "number",
    "group-by": "group",
    "max-files": "count",
    "resumable": "count",
    "mode": "mode",
    "monitor": "text",
    "threshold": "float",
    "tie": "tie",
}
"""What a policy may say: the flags of ``prune``."""


class Setting(NamedTuple):
    """One value, and where it came from."""

    key: str
    value: Any
    origin: str
    """``runs/ckptctl.toml:3``, or the name of a variable."""


def merge_settings(settings: Iterable[Setting]) -> dict[str, Setting]:
    """Of each protection the value that counts: the most careful, of several as careful the first."""
    held: dict[str, Setting] = {}
    for setting in settings:
        first = held.get(setting.key)
        held[setting.key] = setting if first is None else _more_careful(first, setting)
    return held


def _more_careful(one: Setting, other: Setting) -> Setting:
    if one.key == "keep":
        return Setting("keep", [*one.value, *other.value], f"{one.origin}, {other.origin}")
    return other if _CARE[one.key](other.value) > _CARE[one.key](one.value) else one


_CARE: Mapping[str, Callable[[Any], float]] = {
    "min-age": lambda it: -1 if it == "auto" else parse_duration(it),
    "max-delete": lambda it: -it,
    "max-delete-size": lambda it: -parse_size(it),
    "strict": int,
    "trash": int,
    "trash-for": parse_duration,
}
"""How careful a value is."""


def read_value(kind: str, value: object) -> Any:  # noqa: ANN401 - by the kind
    """A value as the flag of its kind takes it; raises UsageError where it is of another."""
    return _KINDS[kind](value)


def read_word(kind: str, text: str) -> Any:  # noqa: ANN401 - by the kind
    """A value from a word of the environment; several texts are parted by colons; raises UsageError."""
    if kind == "texts":
        return [it for it in text.split(":") if it]
    if kind == "flag":
        return read_value(kind, _FLAGS.get(text.lower(), text))
    is_number = kind == "count" and text.strip().lstrip("-").isdecimal()
    return read_value(kind, int(text) if is_number else text)


_FLAGS = dict.fromkeys(["1", "true", "yes", "on"], True) | dict.fromkeys(["0", "false", "no", "off", ""], False)


def _refuse(value: object, what: str) -> UsageError:
    return UsageError(f"{value!r} is not {what}")


def _read_number(value: object) -> int:
    if type(value) is not int:
        raise _refuse(value, "a whole number")
    return value


def _read_count(value: object) -> int:
    if _read_number(value) < 0:
        raise _refuse(value, "a number from 0")
    return _read_number(value)


def _read_float(value: object) -> float:
    if type(value) not in (int, float):
        raise _refuse(value, "a number")
    return float(str(value))


def _read_flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise _refuse(value, "true or false")
    return value


def _read_text(value: object) -> str:
    if not isinstance(value, str):
        raise _refuse(value, "a text in quotes")
    return value


def _read_texts(value: object) -> list[str]:
    """One or several; numbers as texts, for ``keep-step = [100, 200]`` and ``keep-every = 1000``."""
    items = value if isinstance(value, list) else [value]
    if not all(isinstance(it, str) or type(it) is int for it in items):
        raise _refuse(value, "a list of texts")
    return [str(it) for it in items]


def _read_size(value: object) -> str:
    parse_size(str(value) if type(value) is int else _read_text(value))
    return str(value)


def _read_duration(value: object) -> str:
    parse_duration(_read_text(value))
    return _read_text(value)


def _read_age(value: object) -> str:
    return "auto" if value == "auto" else _read_duration(value)


def _one_of(*words: str) -> Callable[[object], str]:
    def read(value: object) -> str:
        if value not in words:
            raise _refuse(value, f"one of {', '.join(words)}")
        return str(value)

    return read


_KINDS: dict[str, Callable[[object], Any]] = {
    "age": _read_age,
    "count": _read_count,
    "duration": _read_duration,
    "flag": _read_flag,
    "float": _read_float,
    "group": _one_of("run", "parent", "all"),
    "mode": _one_of("min", "max", "auto"),
    "number": _read_number,
    "size": _read_size,
    "text": _read_text,
    "texts": _read_texts,
    "tie": _one_of("earliest", "latest"),
}
