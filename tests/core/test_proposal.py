"""Templates that are proposed: tried on the names, and left out where they do not fit."""

from __future__ import annotations

import pytest

from ckptctl.core.names.template import Template
from ckptctl.core.series.proposal import propose_template

PROPOSED = {
    "model_{epoch}": [f"model_{n}.pt" for n in (1, 2, 10)],
    "fold_{fold}_ep_{epoch}": [f"fold_{fold}_ep_{n}.pt" for fold in (0, 1) for n in (1, 2)],
    "ckpt_{number}_{value}": [f"ckpt_{n}_0.{n}5.pt" for n in (1, 2, 3)],
    "epoch={epoch}-acc={acc}": [f"epoch={n}-acc=0.{n}.pt" for n in (1, 2, 3)],
    "resnet50_{epoch}": [f"resnet50_{n}" for n in (1, 2, 3)],
}
"""By the template that is."""
UNPROPOSED = {
    "several shapes": ["a_1.pt", "b_1.pt"],
    "a single name": ["a_1.pt"],
    "no number": ["a.pt"],
    "braces": ["a{b}_1.pt", "a{b}_2.pt"],
    "letters that are not seen": ["m\u202e_1.pt", "m\u202e_2.pt"],
    "a set": ["fold_1.pt", "fold_2.pt"],
    "numbers of which nothing says what they are": [f"m{a}x{b}_epoch_{n}.pt" for a, b, n in ((1, 2, 1), (2, 1, 1))],
    "more fields than a template has": [
        "-".join([f"ep{n}", *[f"{it}loss{n}.5" for it in "abcdfghjklmnopqrst"]]) for n in (1, 2)
    ],
}


@pytest.mark.parametrize(("template", "names"), PROPOSED.items(), ids=PROPOSED)
def test_a_template_is_proposed_that_fits_each_name(template: str, names: list[str]) -> None:
    assert propose_template(names) == template
    assert all(Template(template).match(name) for name in names)


@pytest.mark.parametrize("names", UNPROPOSED.values(), ids=UNPROPOSED)
def test_none_is_proposed_that_would_not_fit(names: list[str]) -> None:
    assert propose_template(names) is None
