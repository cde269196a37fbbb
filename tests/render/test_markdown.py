from __future__ import annotations

import re

import pytest

from ckptctl.core.model import Run
from ckptctl.core.ranking import view_run
from ckptctl.render import export
from tests.render.samples import NOW, all_views, lightning, make, nasty, score


def test_a_table_has_a_row_for_each_checkpoint_and_the_best_in_bold() -> None:
    text = "".join(export.markdown_listing([lightning()], NOW, ["val_loss"], root="runs/"))
    assert text.splitlines()[:3] == [
        "| run | name | epoch | step | val_loss | size | age | marks |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | --- |",
        "| runs/lr1e-3/version_0/checkpoints | epoch=00-val_loss=0.50.ckpt | 0 | 100 | 0.5012 | 10.6 GB | 3d |  |",
    ]
    assert "| **epoch=03-val_loss=0.30.ckpt** | 3 | 400 | 0.3000 | 10.6 GB | 3d | best, linked by best.ckpt |" in text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("epoch=3-val_loss=0.30.ckpt", "epoch=3-val_loss=0.30.ckpt"),
        ("a|b", r"a\|b"),
        ("a`b", r"a\`b"),
        ("<script>", r"\<script\>"),
        ("&lt;", r"\&lt;"),
        ("**x**", r"\*\*x\*\*"),
        ("_x_", r"\_x\_"),
        ("a_ b", r"a\_ b"),
        ("[x](y)", r"\[x\](y)"),
        ("![x](y)", r"!\[x\](y)"),
        ("~~x~~", r"\~\~x\~\~"),
        ("$x$", r"\$x\$"),
        ("a\\|b", r"a\\\|b"),
        ("a\nb", r"a\\nb"),
        ("\x1b", r"\\x1b"),
    ],
)
def test_a_name_shows_as_it_is(text: str, shown: str) -> None:
    assert export.escape_markup(text) == shown


def test_every_row_has_the_same_cells() -> None:
    views = [*all_views(), nasty(), view_run(Run("r|r", (make("r|r/|x", metrics={"m|": score(1.0, "|", "name")}),)))]
    lines = "".join(export.markdown_listing(views, NOW, ["m|", "val_loss"])).splitlines()
    assert {len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) for line in lines} == {10}
    assert len(lines) == 2 + sum(len(it.run.checkpoints) for it in views)
