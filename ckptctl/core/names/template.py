"""A template for names, ``{epoch:02d}-{val_loss:.2f}``: written with values, and matched against names.

Lightning inserts ``name=`` in front of each field unless told not to, and takes 0 for what was not logged; Keras does
neither.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Literal, NamedTuple

from ckptctl.core.names.fields import KNOWN_FIELDS, kind_of_field
from ckptctl.core.names.glued_keys import SEPARATORS
from ckptctl.core.names.parse import LONGEST, Name, add_field
from ckptctl.core.names.shapes import split_ending
from ckptctl.core.names.tokens import EXTENSIONS, Field, begins_with_role, read_field, split_endings, split_extension
from ckptctl.errors import UsageError

TemplateStyle = Literal["filename", "filepath"]

_MOST_FIELDS = 16
"""Each may end in a few places, so the places of many multiply."""
_MOST_TEXTS = 2
"""So many texts may hold any character; each of more ends at the first that stands behind it in the template."""
_LONGEST_TEXT = 255
"""Characters of a name with texts in it: as many as a file system takes."""
_PIECE = re.compile(r"([^{}]+)|\{([^{}:]*)(?::([^{}]*))?\}|(\{\{|\}\})|[{}]")
_SPEC = re.compile(r"(?:(.)?([<>=^]))?([-+ ])?(#)?(0)?([0-9]{1,3})?([,_])?(?:\.([0-9]{1,3}))?([dneEfFgG%])?", re.DOTALL)
_FILLS = " 0*_~#"
"""What can be told from the digits that it stands beside."""
_TEXT_SPEC = re.compile(r"(?:(.)?[<>^])?[0-9]{0,3}s?", re.DOTALL)
_TIME_SPEC = re.compile(r"(?:[^{}%/]*%[-A-Za-z])+[^{}%/]*")
"""As ``strftime`` takes it."""
_NUMBERS_TOGETHER = re.compile("\0[0-9]*\0|\1[0-9]*\1|\0[0-9]+\1|\1[0-9]+\0")
"""Fields, numbers as 0 and texts as 1, that only ``name=`` in front of each tells apart."""
_COUNTERS = ("epoch", "step")
"""Always whole numbers: Lightning casts them."""


class Slot(NamedTuple):
    """A field of a template."""

    name: str
    spec: str
    is_text: bool = False
    """Whether its values may be words: a name, an architecture, a date."""


class _Form(NamedTuple):
    """One way in which a template's names may be written."""

    is_named: bool
    """With ``name=`` in front of each value."""
    has_prefix: bool
    """With free text and a join in front of it all."""
    has_words: bool = False
    """With words in the fields of which only the values tell whether they are numbers."""


class Template:
    """How a training names its checkpoints, as its code says it; raises UsageError "template" where it is no template.

    ``style``: "filename" is what Lightning's ModelCheckpoint takes, "" for ``{epoch}-{step}``; "filepath" what Keras'
    does, with extension, doubled braces and an epoch that counts from 1.
    """

    def __init__(
        self,
        text: str,
        *,
        auto_insert: bool = True,
        equals: str = "=",
        join: str = "-",
        style: TemplateStyle = "filename",
    ) -> None:
        self.text = text or (f"{{epoch}}{join}{{step}}" if style == "filename" else "")
        self.auto_insert = auto_insert and style == "filename"
        """Whether ``format`` writes ``name=``; ``match`` takes names with and without."""
        self.equals = equals
        self.join = join
        self.style = style
        self._pieces = tuple(_parse(self.text, doubled_braces=style == "filepath"))
        self._has_unknown = any(isinstance(it, Slot) and _is_unknown(it) for it in self._pieces)
        self.fields = tuple(dict.fromkeys(piece.name for piece in self._pieces if isinstance(piece, Slot)))
        """Names of its fields, in written order."""
        self._compiled: dict[_Form, tuple[re.Pattern[str], re.Pattern[str]]] = {}
        """Each form twice, trying the longest and the shortest ways first: if both match alike, there is one way."""
        if sum(isinstance(piece, Slot) for piece in self._pieces) > _MOST_FIELDS:
            raise _bad(self.text, f"it has more than {_MOST_FIELDS} fields")

    @property
    def ending(self) -> str:
        """The ending that it is written with (``.pt``); "" where names of any ending fit."""
        return split_ending(self.text)[1]

    @property
    def folder(self) -> str:
        """The folder that it is written with (``weights`` of ``weights/m_{epoch}``); "" where names of any fit."""
        first = self._pieces[0] if self._pieces else ""
        return first.rpartition("/")[0] if isinstance(first, str) else ""

    @property
    def texts(self) -> tuple[str, ...]:
        """Names of the fields that hold words of which training it was."""
        return tuple(dict.fromkeys(it.name for it in self._slots if kind_of_field(it.name) == "text"))

    def __repr__(self) -> str:
        return f"Template({self.text!r})"

    def format(
        self, values: Mapping[str, object], *, prefix: str = "", version: int | None = None, extension: str = ""
    ) -> str:
        """The name for some values, as the framework would write it; raises UsageError where it would fail."""
        stem = "".join(piece if isinstance(piece, str) else self._fill(piece, values) for piece in self._pieces)
        parts = [prefix] if prefix else []
        ending = [] if version is None else [f"v{version}"]
        return self.join.join([*parts, stem, *ending]) + extension

    def _fill(self, slot: Slot, values: Mapping[str, object]) -> str:
        if self.style == "filepath" and slot.name not in values:
            given = ", ".join(map(str, values)) or "none"
            raise _bad(self.text, f"there is no value for {{{slot.name}}}", hint=f"values given: {given}")
        value = values.get(slot.name, 0)
        try:
            written = format(value, slot.spec)
        except (ValueError, TypeError) as error:
            hint = "d is for whole numbers; .2f, .4g and the like take any" if slot.spec.endswith("d") else None
            raise _bad(self.text, f"'{slot.spec}' cannot write {value!r} for {{{slot.name}}}", hint=hint) from error
        return f"{slot.name}{self.equals}{written}" if self.auto_insert else written

    def match(self, stem: str) -> Name | None:
        """The name, where it fits this template in one way only; with ``name=`` in front of every field or of none.

        ``stem`` may end in a known extension, or be stripped of any; it may hold the template's folders or lack them.
        A template without fields matches nothing: it has nothing to tell.
        """
        longest = _LONGEST_TEXT if any(it.is_text for it in self._slots) else LONGEST
        if len(stem.rpartition("/")[2]) > longest or len(stem) > LONGEST or not self.fields:
            return None
        bare, extension = split_extension(stem, EXTENSIONS)
        found = self._match(bare, extension)
        if found is not None or extension:
            return found
        bare, extension = split_ending(stem)  # of any other kind
        return self._match(bare, extension) if extension else None

    def _match(self, bare: str, extension: str) -> Name | None:
        for form in self._forms:
            if form not in self._compiled:
                self._compiled[form] = (self._compile(form, ""), self._compile(form, "?"))
            matches = [pattern.fullmatch(bare) for pattern in self._compiled[form]]
            if all(matches):
                return self._read([match for match in matches if match], extension, form)
        return None

    def _read(self, matches: list[re.Match[str]], extension: str, form: _Form) -> Name | None:
        """The name, where the shortest and the longest way to match are one, and no number stands in for the prefix."""
        longest, shortest = matches
        prefix, *raw, tail = longest.groups(default="")
        if longest.groups() != shortest.groups() or self.equals in prefix:
            return None
        if not form.is_named and prefix and not any(map(str.isalpha, prefix.rpartition(self.join)[2])):
            return None
        fields: dict[str, Field] = {}
        for slot, text in zip(self._slots, raw, strict=True):
            field = _read_text(slot, text) if _is_wordy(slot, form) else _read_value(slot.spec, text)
            if field is None:
                return None
            add_field(fields, slot.name, field)
        return self._close(fields, prefix, tail, extension)

    def _close(self, fields: dict[str, Field], prefix: str, tail: str, extension: str) -> Name:
        """The name with the roles and the version that the user's and the training's texts say."""
        ending = split_endings(f".{tail}", EXTENSIONS, self.join)
        last = self._pieces[-1]
        own = split_endings(f".{last}", EXTENSIONS, self.join).roles if isinstance(last, str) else ()
        roles = [*own, *ending.roles]
        free = self.join.join(text for text in (prefix.strip(SEPARATORS), self._free_text()) if text)
        if begins_with_role(free, "last", self.join):
            free = free[len("last") :].lstrip(SEPARATORS + self.join)
            roles.insert(0, "last")
        return Name(fields, (), free, ending.version, tuple(dict.fromkeys(roles)), extension or ending.extension)

    @property
    def _slots(self) -> list[Slot]:
        return [piece for piece in self._pieces if isinstance(piece, Slot)]

    def _free_text(self) -> str:
        """The words in front of the first field but the one that touches it: "sample" of ``sample-epoch{epoch}``."""
        head = self._pieces[0] if self._pieces and isinstance(self._pieces[0], str) else ""
        words = head.rpartition("/")[2]
        end = max(words.rfind(gap) for gap in SEPARATORS)
        return words[: end + 1].strip(SEPARATORS)

    @cached_property
    def _forms(self) -> list[_Form]:
        """How names may be written, in the order of trying: a name that fits as a whole has no prefix."""
        texts = "".join(it if isinstance(it, str) else "\1" if it.is_text else "\0" for it in self._pieces)
        named = [True] if _NUMBERS_TOGETHER.search(texts) else [True, False]
        wordy = [False, True] if self._has_unknown else [False]
        forms = [_Form(it, has_prefix, words) for words in wordy for has_prefix in (False, True) for it in named]
        return [it for it in forms if not (it.has_prefix and self._begins_with_text(it))]

    def _begins_with_text(self, form: _Form) -> bool:
        """Whether the first field takes what else would be a prefix."""
        first = self._pieces[0]
        return isinstance(first, Slot) and not form.is_named and _is_wordy(first, form)

    def _compile(self, form: _Form, lazy: str) -> re.Pattern[str]:
        pieces = self._stripped()
        pairs = zip(pieces, [*pieces[1:], None], strict=True)
        body = "".join(self._pattern_of(piece, after, lazy, form) for piece, after in pairs)
        join = re.escape(self.join)
        gaps = "|".join(map(re.escape, sorted({self.join or "-", "-", "_"})))
        endings = "|".join(map(re.escape, EXTENSIONS))
        tail = rf"((?:(?:{gaps})(?:last|best|EMA|ema|unfinished|v[0-9]{{1,18}})|{endings})*)"
        if isinstance(pieces[-1], Slot) and _is_wordy(pieces[-1], form):
            tail = "()"  # it is part of the text
        prefix = f"(.+{lazy}){join}" if form.has_prefix else "()"
        return re.compile(f"{prefix}{body}{tail}", re.DOTALL)

    def _stripped(self) -> list[str | Slot]:
        """The pieces without an extension that the user wrote out."""
        if not self._pieces or isinstance(self._pieces[-1], Slot):
            return list(self._pieces)
        front = "x"  # an extension is not all there is of a name
        left = split_extension(front + self._pieces[-1], EXTENSIONS)[0].removeprefix(front)
        return [*self._pieces[:-1], *([left] if left else [])]

    def _pattern_of(self, piece: str | Slot, after: str | Slot | None, lazy: str, form: _Form) -> str:
        if isinstance(piece, str):
            folders, slash, rest = piece.rpartition("/") if piece is self._pieces[0] else ("", "", piece)
            return (f"(?:{re.escape(folders + slash)})?" if slash else "") + re.escape(rest)
        named = re.escape(piece.name + self.equals) if form.is_named else ""
        if not _is_wordy(piece, form):
            return f"{named}({_pattern_of_spec(piece, lazy)})"
        texts = sum(_is_wordy(it, form) for it in self._slots)
        barred = "/" + (after[:1] if isinstance(after, str) and texts > _MOST_TEXTS else "")
        ended = "(?<![0-9])" if isinstance(after, Slot) else ""  # what touches a number has no digits at that end
        return f"{named}([^{re.escape(barred)}]+{lazy}{ended})"


def _is_unknown(slot: Slot) -> bool:
    """Whether only its values tell whether it is a number or words."""
    return not slot.spec and not slot.is_text and kind_of_field(slot.name) == "unknown"


def _is_wordy(slot: Slot, form: _Form) -> bool:
    return slot.is_text or (form.has_words and _is_unknown(slot))


def _parse(text: str, *, doubled_braces: bool) -> Iterator[str | Slot]:
    """The literal texts and fields of a template."""
    for piece in _PIECE.finditer(text):
        literal, name, spec, doubled = piece.groups()
        if literal:
            yield literal
        elif doubled and doubled_braces:
            yield doubled[0]
        elif name is None:
            raise _bad(text, f"'{piece[0]}' at {piece.start()} has no partner", hint="a field is {name} or {name:.2f}")
        else:
            yield _check(text, name, spec or "")


def _check(text: str, name: str, spec: str) -> Slot:
    if not name or name.isdigit():
        raise _bad(text, f"the field {{{name}}} has no name", hint=KNOWN_FIELDS)
    if name[-2:] in ("!r", "!s", "!a"):
        raise _bad(text, f"the field {{{name}}} has a conversion", hint=f"leave out '{name[-2:]}'")
    if "[" in name or "]" in name:
        raise _bad(text, f"the field {{{name}}} has brackets", hint=KNOWN_FIELDS)
    if kind_of_field(name) in ("text", "time") and (_TEXT_SPEC.fullmatch(spec) or _TIME_SPEC.fullmatch(spec)):
        return Slot(name, spec, is_text=True)
    parts = _SPEC.fullmatch(spec)
    if not parts or (parts[2] and (parts[1] or " ") not in _FILLS) or not _can_write(spec):
        raise _bad(text, f"'{spec}' in {{{name}:{spec}}} is no format of a number", hint="such as 02d, .2f, .4g, .1%")
    return Slot(name, spec)


def _can_write(spec: str) -> bool:
    for value in (0, 0.5):
        try:
            format(value, spec)
        except ValueError:
            continue
        return True
    return False


def _bad(text: str, why: str, *, hint: str | None = None) -> UsageError:
    return UsageError(f"template {text!r}: {why}", hint=hint, id="template")


def _pattern_of_spec(slot: Slot, lazy: str) -> str:
    """What the values of a field look like, more loosely than the spec says: the value decides, see ``_read_value``."""
    fill, align, _, _, _, width, grouping, precision, kind = _parts_of(slot.spec)
    if not slot.spec and slot.name in _COUNTERS:
        return f"[-+]?[0-9]+{lazy}"
    whole = f"[0-9]+{lazy}(?:{grouping}[0-9]{{3}})*{lazy}" if grouping else f"[0-9]+{lazy}"
    if not slot.spec:
        return f"[-+]?{_number_of('', '', whole, lazy)}%?{lazy}|True|False"
    pad = re.escape(fill or " ") + f"*{lazy}" if width and fill != "0" else ""
    sign = f"[-+ ]?{pad}" if align == "=" else f"{pad}[-+ ]?"
    number = _number_of(kind, precision, whole, lazy)
    return f"{sign}{number}{pad if align in ('<', '^') else ''}"


_NOT_FINITE = "0*(?:nan|inf|NAN|INF)"


def _number_of(kind: str, precision: str, whole: str, lazy: str) -> str:
    """The pattern of a number without its sign, by its type (``f``) and digits behind the point."""
    places = precision or "6"
    point = "" if places == "0" else rf"\.[0-9]{{{places}}}"
    if kind == "d":
        return whole
    if kind in ("f", "F", "%"):
        return f"(?:{whole}{point}|{_NOT_FINITE}){kind if kind == '%' else ''}"
    if kind in ("e", "E"):
        return f"(?:0*{lazy}[0-9]{point}[eE][-+][0-9]{{2,3}}|{_NOT_FINITE})"
    exponent = rf"(?:[eE][-+]?[0-9]+{lazy})?{lazy}"
    return rf"(?:{whole}(?:\.[0-9]+{lazy})?{lazy}{exponent}|{_NOT_FINITE})"


def _parts_of(spec: str) -> tuple[str, ...]:
    match = _SPEC.fullmatch(spec)
    return match.groups(default="") if match else ("",) * 9


def _read_text(slot: Slot, raw: str) -> Field | None:
    """The words of a field, without padding; None where there are none."""
    spec = _TEXT_SPEC.fullmatch(slot.spec)
    text = raw.strip((spec[1] if spec else None) or " ")
    is_time = kind_of_field(slot.name) == "time"
    if not text or (is_time and not any(map(str.isdigit, text))):
        return None
    return Field(text, None)


def _read_value(spec: str, raw: str) -> Field | None:
    """The value of a field, if its spec writes it exactly so; an empty spec takes what any spec may have written."""
    fill = _parts_of(spec)[0] or " "
    text = raw.strip(" ") if fill == "0" else raw.replace(fill, "").strip(" ")
    if text in ("True", "False"):
        return Field(text, None)
    field = read_field(text)
    if field.number is None:
        return None
    candidates = [field.number]
    digits = text.replace(",", "").replace("_", "").lstrip("+")
    if digits.lstrip("-").isdigit() and len(digits) < 4000:  # noqa: PLR2004 - Python turns no longer ones into an int
        candidates.append(int(digits))
    is_loose = not spec or spec.endswith(("%", "n"))
    return field if is_loose or any(_writes(spec, value, raw) for value in candidates) else None


def _writes(spec: str, value: float, raw: str) -> bool:
    try:
        return format(value, spec) == raw
    except (ValueError, OverflowError):
        return False
