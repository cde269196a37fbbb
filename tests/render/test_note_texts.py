"""Each note has one text, and every text is of a note that is made."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from inspect import signature
from pathlib import Path
from string import Formatter

import pytest

import ckptctl
from ckptctl.core.model import Note
from ckptctl.errors import Damaged
from ckptctl.render.note_texts import TEXTS, describe_error, describe_note

CODE = Path(ckptctl.__file__).parent


def notes_made() -> Iterator[tuple[str, frozenset[str], str]]:
    """Every place that makes a note: its id, the names of its facts, and where."""
    for path in sorted(CODE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Note":
                where = f"{path.relative_to(CODE)}:{node.lineno}"
                yield ast.literal_eval(node.args[0]), frozenset(str(it.arg) for it in node.keywords), where


MADE = list(notes_made())


def facts_of(note: str) -> set[str]:
    """The facts that a text needs."""
    form = TEXTS[note]
    if isinstance(form, str):
        return {name for _, name, _, _ in Formatter().parse(form) if name}
    return set(signature(form).parameters)


def test_every_note_that_is_made_has_a_text_and_every_text_is_of_one() -> None:
    assert {note for note, _, _ in MADE} == set(TEXTS)


@pytest.mark.parametrize(("note", "facts", "where"), MADE, ids=[f"{note} {where}" for note, _, where in MADE])
def test_a_note_brings_the_facts_that_its_text_needs(note: str, facts: frozenset[str], where: str) -> None:
    assert facts == facts_of(note), where


def test_no_two_notes_have_the_same_text_unless_code_tells_them_apart() -> None:
    plain = [form for form in TEXTS.values() if isinstance(form, str)]
    assert {form for form in plain if plain.count(form) > 1} == {"{name} is missing", "{why}"}


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        ({"state": "live", "why": None}, "live"),
        ({"state": "live", "why": Note("empty-file")}, "live: empty file"),
        ({"state": "live", "why": "{braces} stay"}, "live: {braces} stay"),
    ],
)
def test_a_note_within_a_note_is_worded_too(facts: Mapping[str, Note | str | None], text: str) -> None:
    assert describe_note(Note("state", **facts)) == text


def test_words_stay_as_they_are() -> None:
    assert describe_note("{as} they are") == "{as} they are"


@pytest.mark.parametrize(("note", "text"), [(None, "it is damaged"), (Note("empty-file"), "empty file")])
def test_an_error_is_told_by_its_note_where_it_has_one(note: Note | None, text: str) -> None:
    assert describe_error(Damaged("it is damaged", note=note)) == text


def test_notes_are_alike_by_id_and_facts() -> None:
    one, same, other = (Note("missing-file", name=name) for name in ("a", "a", "b"))
    assert (one == same, one == other, one == Note("empty-part", name="a"), one == "a") == (True, False, False, False)
    assert len({one, same, other}) == 2
    assert repr(one) == "Note('missing-file', name='a')"
