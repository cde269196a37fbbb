from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckptctl.render.text import clip, escape, fold, locate, measure, name_within, pad, pad_left, quote, shorten
from tests.render.samples import NASTY

ANY_TEXT = st.text(st.characters())
"""Half characters among them."""


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("epoch=3-val_loss=0.30.ckpt", "epoch=3-val_loss=0.30.ckpt"),
        ("模型 é ü.ckpt", "模型 é ü.ckpt"),
        ("e\u0301", "e\u0301"),
        ("\x1b[31m", r"\x1b[31m"),
        ("a\nb\tc\rd", r"a\nb\tc\rd"),
        ("\x00\x7f\x9b", r"\x00\x7f\x9b"),
        ("a\u202eb", r"a\u202eb"),
        ("a\u2028b", r"a\u2028b"),
        ("a\u200bb", r"a\u200bb"),
        ("a\udcffb", r"a\xffb"),
        ("a\ud800b", r"a\ud800b"),
        ("a\U000e0041b", r"a\U000e0041b"),
        ("a\u3164b", r"a\u3164b"),
        (r"a\x1bb", r"a\x1bb"),
        ("", ""),
    ],
)
def test_what_is_not_seen_is_written_out(text: str, shown: str) -> None:
    assert escape(text) == shown


@pytest.mark.parametrize("text", NASTY[:42], ids=ascii)
def test_a_nasty_name_is_never_shown_as_it_is(text: str) -> None:
    assert escape(text) != text


@given(ANY_TEXT)
def test_only_visible_letters_marks_and_blanks_are_left(text: str) -> None:
    shown = escape(text)
    assert shown.isprintable()
    shown.encode()
    assert not {"Cc", "Cf", "Cs", "Zl", "Zp"} & {unicodedata.category(char) for char in shown}


@given(ANY_TEXT)
def test_escaping_twice_changes_nothing_more(text: str) -> None:
    assert escape(escape(text)) == escape(text)


@pytest.mark.parametrize(
    ("text", "shown"), [("val_acc", "'val_acc'"), ("it's", '"it\'s"'), ("\x1b", r"'\x1b'"), ("'\"", "''\"'")]
)
def test_a_quoted_name_is_escaped(text: str, shown: str) -> None:
    assert quote(text) == shown


@pytest.mark.parametrize(
    ("text", "cells"),
    [
        ("abc", 3),
        ("模型", 4),
        ("e\u0301", 1),
        ("–", 1),
        ("실험", 4),
        ("\u1109\u1175\u11af", 2),
        ("ｱ", 1),
        ("\uff21", 2),
    ],
)
def test_width_is_counted_in_cells(text: str, cells: int) -> None:
    assert measure(text) == cells


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [
        ("abcdefghij", 10, "abcdefghij"),
        ("abcdefghij", 9, "abcd…ghij"),
        ("abcdefghij", 4, "ab…j"),
        ("abcdefghij", 2, "a…"),
        ("abcdefghij", 1, "…"),
        ("abcdefghij", 0, ""),
        ("abcdefghij", -3, ""),
        ("模型模型模型", 7, "模…型"),
        ("ae\u0301bcde\u0301f", 4, "ae\u0301…f"),
        ("abcdefe\u0301", 3, "a…e\u0301"),
    ],
)
def test_a_long_name_loses_its_middle(text: str, width: int, shown: str) -> None:
    assert shorten(text, width) == shown


@given(ANY_TEXT.map(escape), st.integers(-2, 40))
def test_a_shortened_name_fits(text: str, width: int) -> None:
    assert measure(shorten(text, width)) <= max(0, width)
    assert measure(clip(text, width)) <= max(0, width)


def test_the_second_half_of_a_cut_letter_does_not_stay_behind() -> None:
    cut = shorten("abcdefgh\u0301\u0302", 4)
    assert cut == "ab…h\u0301\u0302"
    assert shorten("ab模\u0301cdefgh", 3) == "a…h"
    assert shorten("abcdefg模\u0301", 4) == "ab…"


@pytest.mark.parametrize(
    ("text", "width", "shown"), [("some words", 10, "some words"), ("some words", 6, "some…"), ("模型模型", 4, "模…")]
)
def test_words_lose_their_end(text: str, width: int, shown: str) -> None:
    assert clip(text, width) == shown


def test_padding_counts_cells() -> None:
    assert pad("模型", 6) == "模型  "
    assert pad_left("模型", 6) == "  模型"
    assert pad_left("ab", 4) == "  ab"
    assert pad("long", 2) == "long"


def test_prose_is_broken_between_words() -> None:
    assert fold("keep the best of all", 8) == "keep the\nbest of\nall"
    assert fold("a incomprehensibilities b", 8) == "a\nincomprehensibilities\nb"


@pytest.mark.parametrize(
    ("root", "path", "whole"),
    [
        ("runs/", "a/x.ckpt", "runs/a/x.ckpt"),
        ("runs", "a", "runs/a"),
        ("runs/", "", "runs"),
        (".", "a/x.ckpt", "a/x.ckpt"),
        (".", "", "."),
        (".", "-rf.ckpt", "./-rf.ckpt"),
        ("/", "a", "/a"),
        ("/", "", "/"),
        ("s3://bucket/runs/", "a", "s3://bucket/runs/a"),
        ("../x", "a", "../x/a"),
    ],
)
def test_a_path_starts_with_what_the_user_typed(root: str, path: str, whole: str) -> None:
    assert locate(root, path) == whole


@pytest.mark.parametrize(
    ("path", "folder", "name"),
    [("a/b/x", "a/b", "x"), ("a/b/x", "", "a/b/x"), ("ab/x", "a", "ab/x"), ("a", "a", "a")],
)
def test_a_name_is_seen_from_its_folder(path: str, folder: str, name: str) -> None:
    assert name_within(path, folder) == name
