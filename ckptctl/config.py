"""Configuration: what files and the environment say beside the command line.

Found files (``ckptctl.toml``, ``[tool.ckptctl]`` of a ``pyproject.toml``, beside or above PATH up to the mount point;
``$XDG_CONFIG_HOME/ckptctl/config.toml``) and ``CKPTCTL_*`` may only add protection: where several say a thing, the most
careful counts. What lets checkpoints go stands in a policy, ``[policy.NAME]``, which counts when it is named. What they
say of file names, ``template`` and ``include``, counts for listings: nothing may go by it.
"""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
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
NAME_KEYS: dict[str, str] = {"template": "template", "include": "texts"}
"""What a found file may say of file names, for listings alone."""
_FOUND_KEYS = PROTECTIONS | NAME_KEYS
POLICY_KEYS: dict[str, str] = {
    **PROTECTIONS,
    **NAME_KEYS,
    **dict.fromkeys(["top-k", "keep-last", "keep-hourly", "keep-daily", "keep-weekly", "keep-monthly"], "number"),
    **dict.fromkeys(["keep-best", "keep-every", "keep-step", "filter"], "texts"),
    **dict.fromkeys(["keep-within", "keep-newer-than"], "duration"),
    **dict.fromkeys(["max-size", "free"], "size"),
    **dict.fromkeys(
        ["allow-mount", "drop-unranked", "ignore-unreadable", "no-protect-last", "partial", "relink"], "flag"
    ),
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


def merge_names(settings: Iterable[Setting]) -> dict[str, Setting]:
    """What several say of file names: the first template, and all globs."""
    held: dict[str, Setting] = {}
    for setting in settings:
        first = held.setdefault(setting.key, setting)
        if first is not setting and setting.key == "include":
            origin = f"{first.origin}, {setting.origin}"
            held[setting.key] = Setting(setting.key, [*first.value, *setting.value], origin)
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


def _typed(what: str, *types: type) -> Callable[[object], Any]:
    """A reader of values of these very types: true is no number."""

    def read(value: object) -> Any:  # noqa: ANN401 - of one of the types
        if type(value) not in types:
            raise UsageError(f"{value!r} is not {what}")
        return value

    return read


_read_number = _typed("a whole number", int)
_read_text = _typed("a text in quotes", str)


def _read_count(value: object) -> object:
    if _read_number(value) < 0:
        raise UsageError(f"{value!r} is not a number from 0")
    return value


def _read_texts(value: object) -> list[str]:
    """One or several; numbers as texts, for ``keep-step = [100, 200]`` and ``keep-every = 1000``."""
    items = value if isinstance(value, list) else [value]
    if not all(isinstance(it, str) or type(it) is int for it in items):
        raise UsageError(f"{value!r} is not a list of texts")
    return [str(it) for it in items]


def _read_template(value: object) -> str:
    from ckptctl.core.names.template import Template  # few files have one

    if not Template(_read_text(value)).fields:
        raise UsageError(f"{value!r} has no field", hint="such as 'model_{epoch}'")
    return str(value)


def _read_size(value: object) -> str:
    parse_size(str(value) if type(value) is int else _read_text(value))
    return str(value)


def _read_duration(value: object) -> str:
    parse_duration(_read_text(value))
    return str(value)


def _read_age(value: object) -> str:
    return "auto" if value == "auto" else _read_duration(value)


def _one_of(*words: str) -> Callable[[object], str]:
    def read(value: object) -> str:
        if value not in words:
            raise UsageError(f"{value!r} is not one of {', '.join(words)}")
        return str(value)

    return read


_KINDS: dict[str, Callable[[object], Any]] = {
    "age": _read_age,
    "count": _read_count,
    "duration": _read_duration,
    "flag": _typed("true or false", bool),
    "float": lambda it: float(str(_typed("a number", int, float)(it))),
    "group": _one_of("run", "parent", "all"),
    "mode": _one_of("min", "max", "auto"),
    "number": _read_number,
    "size": _read_size,
    "template": _read_template,
    "text": _read_text,
    "texts": _read_texts,
    "tie": _one_of("earliest", "latest"),
}


MOST_BYTES = 1 << 20
PREFIX = "CKPTCTL_"


class NamedPolicy(NamedTuple):
    """A policy with a name."""

    name: str
    origin: str
    values: Mapping[str, Any]
    """By flag, without dashes in front."""


class Settings(NamedTuple):
    """What all that was found says together."""

    values: Mapping[str, Setting] = {}
    """By key: the one that counts."""
    policies: Mapping[str, NamedPolicy] = {}
    """By name; of two of one name the nearer."""
    files: tuple[str, ...] = ()
    """Those that say anything, the nearest first."""
    names: Mapping[str, Setting] = {}
    """What is said of file names, for listings alone."""

    def get(self, key: str) -> Any:  # noqa: ANN401 - by the key
        """What counts; None where nothing says it."""
        return self.values[key].value if key in self.values else None


def find_settings(paths: Iterable[str], environment: Mapping[str, str]) -> Settings:
    """What is found for these paths; raises UsageError for a file or variable that cannot be understood."""
    documents = [found for path in _candidates(paths, environment) if (found := _read_file(path)) is not None]
    settings = [it for found in documents for it in _protections_of(found)]
    settings += _read_environment(environment)
    policies = {named.name: named for found in reversed(documents) for named in _policies_of(found)}
    names = merge_names(it for found in documents for it in _names_of(found))
    return Settings(merge_settings(settings), policies, tuple(it.path for it in documents), names)


def find_names(paths: Iterable[str], environment: Mapping[str, str]) -> dict[str, Setting]:
    """What found files say of file names; raises UsageError for one that says something of them and is not understood.

    A listing needs no other of their settings, so no other file is taken apart.
    """
    documents = (_read_file(path) for path in _candidates(paths, environment) if _may_say_names(path))
    return merge_names(it for found in documents if found is not None for it in _names_of(found))


def _may_say_names(path: str) -> bool:
    """Whether a file is to be taken apart; what cannot be read says nothing that a listing needs."""
    try:
        return _NAMES.search(read_regular(path, MOST_BYTES)) is not None
    except (OSError, UsageError):
        return False


_NAMES = re.compile(rb"\b(?:template|include)\b")


def _candidates(paths: Iterable[str], environment: Mapping[str, str]) -> list[str]:
    """Where files may be, the nearest first, the user's own last."""
    places = [it.removeprefix("file://") for it in paths]
    folders = [folder for path in places if "://" not in path for folder in _folders_above(os.path.realpath(path))]
    home = environment.get("XDG_CONFIG_HOME") or os.path.join(environment.get("HOME") or "~", ".config")
    found = [os.path.join(folder, name) for folder in folders for name in ("ckptctl.toml", "pyproject.toml")]
    return list(dict.fromkeys([*found, os.path.join(home, "ckptctl", "config.toml")]))


def _folders_above(path: str) -> Iterator[str]:
    """A folder and those above it, up to the mount point."""
    yield path
    while not os.path.ismount(path):
        path = os.path.dirname(path)
        yield path


class _Document(NamedTuple):
    """A file that was read."""

    path: str
    text: str
    values: Mapping[str, Any]
    prefix: str = ""
    """Of the tables in it: ``tool.ckptctl.``."""

    def locate(self, key: str, table: str = "") -> str:
        """The file and the line in which a key of a table stands; the file alone where that cannot be told."""
        place = find_line(self.text, key, (self.prefix + table).strip("."))
        return f"{self.path}:{place}" if place else self.path


def find_line(text: str, key: str, table: str) -> int | None:
    """The line, from 1, in which a TOML text says a key of a table; None where it says it in a way not looked for."""
    current = ""
    for number, line in enumerate(text.splitlines(), 1):
        head = re.match(r"\s*\[+([^\]]+)\]", line)
        if head:
            current = head[1].replace('"', "").replace(" ", "")
        said = re.match(r"""\s*["']?([\w.-]+?)["']?\s*=""", line)
        if (said and current == table and said[1] == key) or (head and current == f"{table}.{key}".strip(".")):
            return number
    return None


def read_policy_file(path: str) -> NamedPolicy:
    """A file that holds nothing but one policy, its keys at the top; raises UsageError."""
    found = _read_file(path)
    if found is None:
        raise UsageError("there is no such policy file", path=path, hint="name a file, or a policy of ckptctl.toml")
    return _policy_of(found, os.path.basename(path), found.values, "")


def read_regular(path: str, most: int) -> bytes:
    """The bytes of a file that a person wrote or named, up to one more than ``most``.

    Raises OSError, and UsageError where it is no file: a pipe would keep everybody waiting, a device may have no end.
    """
    with open(path, "rb", opener=_open_at_once) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise UsageError("is not a regular file", path=path)
        return file.read(most + 1)


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)


def _read_file(path: str) -> _Document | None:
    """The document; None where there is none, or of another's file nothing for us in it."""
    is_shared = os.path.basename(path) == "pyproject.toml"
    try:
        data = read_regular(path, MOST_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror or error}", path=path) from error
    except ValueError as error:  # no file system has such a name
        raise UsageError(f"cannot be read: {error}", path=path) from error
    if is_shared and b"ckptctl" not in data:
        return None
    if len(data) > MOST_BYTES:
        raise UsageError("is too large for a configuration", path=path)
    values = _parse(path, data)
    text = data.decode()
    if not is_shared:
        return _Document(path, text, values)
    tool = values.get("tool")
    own = tool.get("ckptctl") if isinstance(tool, Mapping) else None
    if own is not None and not isinstance(own, Mapping):
        raise UsageError("'ckptctl' must be a table", path=path, hint="write [tool.ckptctl]")
    return None if own is None else _Document(path, text, own, "tool.ckptctl.")


def _parse(path: str, data: bytes) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        return tomllib.loads(data.decode())
    except UnicodeDecodeError as error:
        raise UsageError(f"is not text: byte {error.start} is not UTF-8", path=path) from error
    except tomllib.TOMLDecodeError as error:
        place = re.search(r" \(at line (\d+), column \d+\)$", str(error))
        line = place[1] if place else len(data.splitlines())
        raise UsageError(f"is not TOML: {str(error).partition(' (at ')[0]}", path=f"{path}:{line}") from error
    except RecursionError as error:
        raise UsageError("is nested too deeply", path=path) from error
    except ValueError as error:  # a number of thousands of digits
        raise UsageError(f"cannot be read: {str(error).partition(';')[0]}", path=path) from error


def _read_environment(environment: Mapping[str, str]) -> Iterator[Setting]:
    """What variables say; one that means nothing is refused, for it may have been meant to protect something."""
    for name in sorted(it for it in environment if it.startswith(PREFIX)):
        key = name.removeprefix(PREFIX).lower().replace("_", "-")
        if key not in PROTECTIONS:
            hint = _suggest(key, PROTECTIONS).replace("put it below", "write it to a ckptctl.toml, below")
            raise UsageError(f"'{key}' {_why_unknown(key, PROTECTIONS)}", path=name, hint=hint)
        try:
            yield Setting(key, read_word(PROTECTIONS[key], environment[name]), name)
        except UsageError as error:
            error.path = name
            raise


def _protections_of(found: _Document) -> Iterator[Setting]:
    for key, value in found.values.items():
        if key != "policy" and key not in NAME_KEYS:
            yield _setting(key, value, _FOUND_KEYS, found.locate(key))


def _names_of(found: _Document) -> Iterator[Setting]:
    for key, value in found.values.items():
        if key in NAME_KEYS:
            yield _setting(key, value, NAME_KEYS, found.locate(key))


def _policies_of(found: _Document) -> Iterator[NamedPolicy]:
    tables = found.values.get("policy", {})
    if not isinstance(tables, Mapping) or not all(isinstance(it, Mapping) for it in tables.values()):
        raise UsageError("'policy' must hold tables", path=found.locate("policy"), hint="write [policy.nightly]")
    for name, values in tables.items():
        yield _policy_of(found, name, values, f"policy.{name}")


def _policy_of(found: _Document, name: str, values: Mapping[str, Any], table: str) -> NamedPolicy:
    read = [_setting(key, value, POLICY_KEYS, found.locate(key, table)) for key, value in values.items()]
    return NamedPolicy(name, found.locate("", table) if table else found.path, {it.key: it.value for it in read})


def _setting(key: str, value: object, known: Mapping[str, str], origin: str) -> Setting:
    """One value, proved to be of its kind; raises UsageError."""
    if key not in known:
        raise UsageError(f"'{key}' {_why_unknown(key, known)}", path=origin, hint=_suggest(key, known))
    try:
        return Setting(key, read_value(known[key], value), origin)
    except UsageError as error:
        raise UsageError(f"'{key}': {error.text}", path=origin, hint=error.hint) from error


def _why_unknown(key: str, known: Mapping[str, str]) -> str:
    if key in POLICY_KEYS and known is not POLICY_KEYS:
        return "decides what goes, so it counts only in a policy that is named on the command line"
    return "is no setting"


def _suggest(key: str, known: Mapping[str, str]) -> str:
    from difflib import get_close_matches

    if key in POLICY_KEYS:
        return "put it below [policy.NAME], and pass --policy NAME"
    near = get_close_matches(key, known, 1)
    return f"did you mean '{near[0]}'?" if near else f"there are {', '.join(sorted(known))}"
