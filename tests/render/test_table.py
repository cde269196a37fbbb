from __future__ import annotations

import re

import pytest

from ckptctl.render import plain, table
from tests.render.samples import NOW, all_views, long, odd

STYLE = re.compile(r"\x1b\[[0-9;]*m")


@pytest.mark.parametrize("width", [50, 80, 200])
@pytest.mark.parametrize("number", range(5))
def test_it_is_the_plain_listing_apart_from_its_styles(number: int, width: int) -> None:
    shown = all_views()[number]
    styled = table.listing(shown, NOW, root="runs/", width=width, all_metrics=True)
    assert STYLE.sub("", styled) == "".join(plain.listing(shown, NOW, root="runs/", width=width, all_metrics=True))


def lines(text: str) -> list[str]:
    return [line for line in text.split("\n") if line]


def test_the_best_alone_has_the_accent() -> None:
    accented = [line for line in lines(table.listing(long(), NOW, width=100)) if "\x1b[1;35m" in line]
    assert [line.split("  ")[-1] for line in accented] == ["best, last\x1b[0m"]


def test_only_damage_is_red() -> None:
    red = [line for line in lines(table.listing(odd(), NOW, width=100)) if "\x1b[31m" in line]
    assert len(red) == 1
    assert "damaged" in red[0]


def test_only_what_does_not_matter_is_dim() -> None:
    dim = [STYLE.sub("", line) for line in lines(table.listing(odd(), NOW, width=200)) if "\x1b[2m" in line]
    words = ("6 checkpoints", "epoch", "partial", "unknown")
    assert [word for word, line in zip(words, dim, strict=True) if word in line] == list(words)


def test_no_colour_is_one_that_white_or_black_hides() -> None:
    codes = {code for it in all_views() for code in STYLE.findall(table.listing(it, NOW, width=100))}
    assert codes == {"\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[1;35m"}


def test_names_that_look_like_markup_are_names() -> None:
    shown = long(1)
    (only,) = shown.run.checkpoints
    marked = shown._replace(
        run=shown.run._replace(checkpoints=(only._replace(path="lr3e-4/[red]x[/red]:smile:.ckpt"),)), best=None
    )
    assert "[red]x[/red]:smile:.ckpt" in table.listing(marked, NOW, width=100)


def test_the_environment_does_not_change_the_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    before = table.listing(odd(), NOW, width=100)
    for name, value in (("NO_COLOR", "1"), ("TERM", "dumb"), ("COLUMNS", "20")):
        monkeypatch.setenv(name, value)
    assert table.listing(odd(), NOW, width=100) == before
