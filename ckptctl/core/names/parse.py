"""A file name, read: its fields, its prefix, its version, its roles.

The grammar is Lightning's, ``[prefix] key=value (separator key=value)* [-vN] [extension]``, with the habits of Keras
and NeMo. Nothing here raises. Each pattern is anchored, or looks at a character a bounded number of times; and what no
file system can name is not taken apart at all. So a hostile name costs about what its length costs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from functools import partial
from typing import NamedTuple, Protocol, cast

from ckptctl.core.names.glued_keys import SEPARATORS, is_known_metric, is_metric_key, longest_known_metric, read_words
from ckptctl.core.names.tokens import (
    EXTENSIONS,
    VERSION,
    Field,
    NameParts,
    begins_with_role,
    ends_with_role,
    is_finer,
    read_field,
    split_endings,
    split_extension,
    split_last_word,
    take_constant,
    take_number,
)

__all__ = ["EXTENSIONS", "Field", "Name", "is_cut_by_slash", "parse", "parse_folder"]

LONGEST = 4096
"""Characters: what is longer is no path on any system, and stays text."""


class Name(NamedTuple):
    """A file or folder name, read."""

    fields: Mapping[str, Field]
    """By key ("epoch", "step", "val_loss", "val/loss"), in written order."""
    bare: tuple[Field, ...] = ()
    """Numbers without a key (Keras ``05-0.32``), without a leading whole number: that is ``fields["epoch"]``."""
    prefix: str = ""
    """Free text in front, without the words that are roles ("sample-mnist", "m", "weights")."""
    version: int | None = None
    """The N of ``-vN``."""
    roles: tuple[str, ...] = ()
    """Out of last, best, ema, unfinished."""
    extension: str = ""
    """As known or passed, with its dot; "" where the name has none of these."""


class NameReader(Protocol):
    """What reads a name by its own rule: a Template."""

    @property
    def ending(self) -> str:
        """The ending that it asks for; "" where any will do."""
        ...

    def match(self, stem: str) -> Name | None:
        """The name, where it fits."""
        ...


class SaidNames(NamedTuple):
    """What a person says of names that no program is known by."""

    template: NameReader | None = None
    include: tuple[str, ...] = ()
    """Globs of names that are checkpoints."""


class NameGrammar(NamedTuple):
    """How the names of one folder are written."""

    known: Container[str]
    """Metrics that are known from elsewhere: where a key begins may hang on them (``top-5``)."""
    equals: str
    """Between key and value; "" where keys and values must be told apart without."""
    join: str
    """Lightning's separator in front of a version and behind a prefix."""
    extensions: tuple[str, ...]
    reads_colons: bool = True
    """Whether ``:`` stands for ``=`` where no ``=`` is (LinkBest's habit)."""
    versioned: frozenset[tuple[str, str]] = frozenset()
    """Stem and extension of names without fields whose ``-vN`` is a version, as their siblings show."""
    signed: frozenset[str] = frozenset()
    """Keys behind which a lone ``-`` is a sign, as their siblings show."""


def parse(
    path: str,
    *,
    known: Container[str] = (),
    equals: str = "=",
    join: str = "-",
    extensions: Sequence[str] = EXTENSIONS,
) -> Name:
    """Read one name, relative to the run's folder; it may hold ``/`` where a metric's slash made folders.

    Where siblings would decide (``model-v2``, ``loss-0.3``) it is read as if it had none.
    """
    return parse_folder((path,), known=known, equals=equals, join=join, extensions=extensions)[0]


def parse_folder(  # noqa: PLR0913 - what may be known of a folder
    paths: Sequence[str],
    *,
    known: Container[str] = (),
    equals: str = "=",
    join: str = "-",
    extensions: Sequence[str] = EXTENSIONS,
    template: NameReader | None = None,
) -> list[Name]:
    """Read the names of one run, in their order, each in the light of all; a template goes first where it matches."""
    if not paths:
        return []
    usable = "" if equals in SEPARATORS else equals
    if extensions is not EXTENSIONS:
        extensions = sorted(filter(None, extensions), key=len, reverse=True)
    wordy = [path for path in paths if usable not in path] if usable else paths
    grammar = NameGrammar(known, usable, join, tuple(extensions), reads_colons=len(wordy) == len(paths))
    if len(wordy) > 1:  # what names without an equals sign mean, only siblings tell
        endings = {split_extension(path, grammar.extensions) for path in wordy if len(path) <= LONGEST}
        glued = (read_words(stem, known).glued for stem, _ in endings if not _equals_in(stem, grammar))
        grammar = grammar._replace(versioned=_find_versioned(endings, join), signed=frozenset().union(*glued))
    if template is not None:
        return [_match(template, path, grammar) or _read(path, grammar) for path in paths]
    return _read_all(paths, grammar)


def _match(template: NameReader, path: str, grammar: NameGrammar) -> Name | None:
    stem, extension = split_extension(path, grammar.extensions)
    name = template.match(stem)
    return name._replace(extension=extension or name.extension) if name else None


def is_cut_by_slash(folder_name: str, equals: str = "=") -> bool:
    """Whether a folder's name is the front of names that a metric's slash cut (``epoch=1-val``, before ``/loss=0.4``).

    True where a key begins behind the last value. A text value (``lr=0.1,model=vit-b``) ends a name of its own.
    """
    stem, extension, version, roles = split_endings(folder_name, EXTENSIONS, "-")
    _, found, tail = stem.rpartition(equals) if equals else ("", "", "")
    value = (take_number(tail) or take_constant(tail)) if found else None
    if value is None or extension or version is not None or roles:
        return False
    rest = tail[value[1] :]
    return rest[:1] in tuple(SEPARATORS) and rest.strip(SEPARATORS) != ""


# What the names of a folder agree on ---------------------------------------------------------------------------------


def _find_versioned(endings: Iterable[tuple[str, str]], join: str) -> frozenset[tuple[str, str]]:
    """Names that stand there without a version too, or with two: of those ``-vN`` tells saves apart."""
    seen = set(endings)
    found = set()
    for stem, extension in endings:
        base, gap, word = split_last_word(stem, join)
        if not (gap and VERSION.fullmatch(word)):
            continue
        if (base, extension) in seen:
            found.add((base, extension))
        seen.add((base, extension))
    return frozenset(found)


def _equals_in(stem: str, grammar: NameGrammar) -> str:
    """What stands between keys and values in this stem; "" where nothing does."""
    if grammar.equals and grammar.equals in stem:
        return grammar.equals
    return ":" if grammar.reads_colons and ":" in stem and _COLON.search(stem) else ""


_COLON = re.compile(r"[A-Za-z]:[-+]?(?:\.?[0-9]|nan|inf)")
"""Not the colon of a time (``10:30``) or of a drive."""


# One name, from its end to its beginning -----------------------------------------------------------------------------


def _read(path: str, grammar: NameGrammar) -> Name:
    if len(path) > LONGEST:
        return Name({}, prefix=path)
    ending = split_endings(path, grammar.extensions, grammar.join, partial(_is_version, grammar))
    equals = _equals_in(ending.stem, grammar)
    first = ending.stem.partition(equals)[0] if equals else ""
    if begins_with_role(ending.stem, "last", grammar.join) and not is_known_metric(first, grammar.known):
        rest = ending.stem[len("last") :].lstrip(SEPARATORS + grammar.join)
        ending = ending._replace(stem=rest, roles=tuple(dict.fromkeys(("last", *ending.roles))))
    return _read_keyed(ending, equals, grammar) if equals else _read_wordy(ending, grammar)


def _is_version(grammar: NameGrammar, base: str, gap: str, extension: str) -> bool:
    """Whether ``vN`` behind ``base`` counts saves, and is not part of what the user called the model."""
    equals = _equals_in(base, grammar)
    if equals:
        return gap in (grammar.join, "-") or _ends_in_number(base.rpartition(equals)[2])
    if ends_with_role(base, grammar.join) or (base, extension) in grammar.versioned:
        return True
    return base[-1] in "0123456789%" and bool(read_words(base, grammar.known).fields)


def _ends_in_number(text: str) -> bool:
    number = take_number(text)
    return number is not None and number[1] == len(text)


def _read_wordy(ending: NameParts, grammar: NameGrammar) -> Name:
    prefix, fields, bare, _ = read_words(ending.stem, grammar.known, grammar.signed)
    roles = ending.roles
    # With a number it is someone's candidate with the prefix best; without, it is what a best is called.
    if not fields and not bare and begins_with_role(prefix, "best", grammar.join):
        prefix = prefix[len("best") :].lstrip(SEPARATORS)
        roles = tuple(dict.fromkeys(("best", *roles)))
    return Name(fields, bare, prefix, ending.version, roles, ending.extension)


# Keys and values with a sign between them ----------------------------------------------------------------------------


def _read_keyed(ending: NameParts, equals: str, grammar: NameGrammar) -> Name:
    first, *pieces = ending.stem.split(equals)
    fields: dict[str, Field] = {}
    prefix, key = _part_prefix(first, pieces[0], grammar)
    for piece in pieces[:-1]:
        field, rest = _part_value(piece, key)
        add_field(fields, key, field)
        key = _undouble(rest.lstrip(SEPARATORS).rstrip(" "))
    last = pieces[-1]
    number, constant = take_number(last), take_constant(last)
    if number and not _GOES_ON.match(last, number[1]):  # free text behind a number is left out
        add_field(fields, key, read_field(number[0]))
    elif text := constant[0] if constant else last.strip(" "):
        add_field(fields, key, Field(text, None))
    return Name(fields, (), prefix, ending.version, ending.roles, ending.extension)


def add_field(fields: dict[str, Field], key: str, field: Field | None) -> None:
    """Add a field; of a repeated key the first stays, unless the other writes the same number with more decimals."""
    if key and field is not None and (key not in fields or is_finer(field, fields[key])):
        fields[key] = field


def _part_prefix(text: str, value: str, grammar: NameGrammar) -> tuple[str, str]:
    """The free text and the key in front of the first value."""
    text = text.rstrip(" ")
    rest = text.rpartition("--")[2]
    join = grammar.join or "-"
    key = longest_known_metric(rest, join, grammar.known) if grammar.known != () else None
    if key is None:  # from the last join on; from the one before it where the key would have no letter (top-5)
        front, gap, word = rest.rpartition(join)
        key = word if not gap or _LETTER.search(word) else front.rpartition(join)[2] + gap + word
    counter = trailing_counter(key)
    number = take_number(value) if counter else None
    if counter and number and number[0].isdigit() and not is_known_metric(key, grammar.known):
        key = counter
    front = text[: len(text) - len(key)]
    return front.strip(SEPARATORS + join), _undouble(key.lstrip(SEPARATORS))


_LETTER = re.compile(r"[^\W\d_]")


def trailing_counter(key: str) -> str | None:
    """The counter that a longer key ends with (``my_model_epoch``); None where the key says that it is a metric."""
    counter = next((it for it in ("global_step", "epoch", "step") if key.endswith(it)), None)
    if counter is None or key == counter or key[-len(counter) - 1] not in "_. ":
        return None
    return None if is_metric_key(key[: -len(counter) - 1]) else counter


def _undouble(key: str) -> str:
    """``epochepoch`` is ``epoch``: the user wrote the name and Lightning inserted it again."""
    half = len(key) // 2
    if half >= 3 and key[:half].replace("/", "_") == key[half:].replace("/", "_"):  # noqa: PLR2004 - no shorter word is meant
        return key[half:]
    return key


def _part_value(piece: str, key: str) -> tuple[Field | None, str]:
    """The value that ``piece`` begins with, and the text up to the next equals sign, where the next key is."""
    number = take_number(piece)
    if number and not (piece[number[1] :][:1].isalpha() and "-" in piece[number[1] :]):
        return read_field(number[0]), piece[number[1] :]
    constant = take_constant(piece)
    if constant:
        return Field(constant[0], None), piece[constant[1] :]
    gap = _GAP.search(piece)
    # Before 2.0.3 Lightning wrote epoch=epoch_test=4 for {epoch_test}: such a text is a key, what is in front is none.
    if gap is None or piece.startswith(key):
        return None, piece
    return Field(piece[: gap.start()], None) if gap.start() else None, piece[gap.end() :]


_GAP = re.compile(r"[-, ]+")


_GOES_ON = re.compile(r"[^\W\d_]|_[0-9]")
"""What makes a number the beginning of a text: ``7b``, ``1_000`` (which only a template can tell from two numbers)."""


# Many names of one shape ---------------------------------------------------------------------------------------------


class _Shape(NamedTuple):
    """What names have in common that differ in plain numbers alone."""

    keys: tuple[str, ...]
    prefix: str
    version: int | None
    roles: tuple[str, ...]
    extension: str


# A number that ends where the full reading would end it too: behind it comes a key, an ending, or nothing. It is so
# short that no float overflows.
_PLAIN = r"([-+]?[0-9]{1,15}(?:\.[0-9]{1,20})?(?:e[-+][0-9]{2})?|nan|[-+]?inf)(?=[-_, ]+[A-Za-z]|\.[A-Za-z]|\Z)"
_MOST_IN_A_NUMBER = 48


# A third of the time that Field(...) and Name(...) take: both only pass their arguments to this.
_make_field = cast("Callable[[tuple[str, float]], Field]", partial(tuple.__new__, Field))
_make_name = cast("Callable[[tuple[object, ...]], Name]", partial(tuple.__new__, Name))


def _read_all(paths: Sequence[str], grammar: NameGrammar) -> list[Name]:
    """Every name, each shape read once in full; the rest of it takes its numbers from between the same texts."""
    equals = grammar.equals if any(grammar.equals in path for path in paths) else ":"
    if (
        equals not in ("=", ":")
        or grammar.join not in ("-", "_")
        or not all(map(_LETTERED.fullmatch, grammar.extensions))
    ):
        return [_read(path, grammar) for path in paths]
    numbers = re.compile(equals + _PLAIN)
    shapes: dict[tuple[str, ...], _Shape | None] = {}
    names = []
    for path in paths:
        parts = numbers.split(path)
        frame = tuple(parts[::2])
        texts = parts[1::2]
        if frame not in shapes:
            names.append(_read(path, grammar))
            shapes[frame] = _shape_of(names[-1], frame, texts, equals)
            continue
        shape = shapes[frame]
        if shape is None:
            names.append(_read(path, grammar))
            continue
        fields = dict(zip(shape.keys, map(_make_field, zip(texts, map(float, texts), strict=True)), strict=True))
        names.append(_make_name((fields, (), *shape[1:])))
    return names


_LETTERED = re.compile(r"(?:\.[A-Za-z][A-Za-z0-9]*)+")
"""An extension that cannot be mistaken for the decimals of a number: letters follow its dots."""


def _shape_of(name: Name, frame: tuple[str, ...], texts: list[str], equals: str) -> _Shape | None:
    """The shape of a name, where the texts around its numbers alone decide how it is read."""
    if not texts or [field.text for field in name.fields.values()] != texts:
        return None
    is_short = sum(map(len, frame)) + _MOST_IN_A_NUMBER * len(texts) <= LONGEST
    if not is_short or any(equals in text for text in frame) or trailing_counter(frame[0]):
        return None
    return _Shape(tuple(name.fields), *name[2:])
