from __future__ import annotations

import math
from pathlib import Path

import pytest
import yaml as pyyaml

from ckptctl.render.export import best_k_models

LIGHTNING = Path(__file__).parent.parent / "fixtures" / "lightning"
WRITTEN = sorted(LIGHTNING.glob("*/*/best_k_models.yaml"))


def test_there_are_summaries_of_three_versions() -> None:
    assert {path.parts[-3] for path in WRITTEN} == {"pl14", "pl15", "pl26"}


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: "-".join(path.parts[-3:-1]))
def test_a_summary_is_byte_for_byte_what_lightning_wrote(path: Path) -> None:
    written = path.read_bytes()
    scores: dict[str, float] = pyyaml.safe_load(written)
    turned = dict(reversed(scores.items()))
    assert best_k_models(turned).encode() == written


# What ModelCheckpoint.to_yaml of lightning 2.6.6 wrote for these scores, as 32-bit floats.
HARD = {
    "/cluster/projects/" + "experiments/" * 9 + "epoch=1-val_loss=0.50.ckpt": 0.30000001192092896,
    "/with blanks/" + "a b c " * 25 + ".ckpt": 9.999999747378752e-06,
    "/colon: space.ckpt": math.inf,
    "/ünï/模型.ckpt": -math.inf,
    "/tab\t.ckpt": -0.4000000059604645,
    "/epoch.ckpt": 3,
    "b.ckpt": 1.0000000200408773e20,
    "a.ckpt": math.nan,
}
HARD_TEXT = rf"""? /cluster/projects/{"experiments/" * 9}epoch=1-val_loss=0.50.ckpt
: 0.30000001192092896
'/colon: space.ckpt': .inf
/epoch.ckpt: 3
"/tab\t.ckpt": -0.4000000059604645
? /with blanks/a b c a b c a b c a b c a b c a b c a b c a b c a b c a b c a b c a
  b c a b c a b c a b c a b c a b c a b c a b c a b c a b c a b c a b c a b c a b
  c .ckpt
: 9.999999747378752e-06
"/\xFCn\xEF/\u6A21\u578B.ckpt": -.inf
a.ckpt: .nan
b.ckpt: 1.0000000200408773e+20
"""


def test_long_foreign_and_odd_names_are_written_as_lightning_does() -> None:
    assert best_k_models(HARD) == HARD_TEXT


def test_no_scores_are_an_empty_mapping() -> None:
    assert best_k_models({}) == "{}\n"


def test_a_name_that_is_not_utf8_survives() -> None:
    text = best_k_models({"a\udcff": 1.0})
    assert text.isascii()
    assert pyyaml.safe_load(text) == {"a\udcff": 1.0}
