"""What ``show`` says on a screen of the metrics that training watched."""

from __future__ import annotations

import pytest

from ckptctl.core.model import Run
from ckptctl.formats.contents import Contents
from ckptctl.render.contents import screen
from tests.core.samples import save


@pytest.mark.parametrize(
    ("run", "line"),
    [
        pytest.param(Run("", (), monitor="val_loss", mode="min"), "monitor val_loss (min)", id="one"),
        pytest.param(Run("", (), monitor="gap"), "monitor gap", id="one without a mode"),
        pytest.param(
            Run("", (), modes={"val_loss": "min", "gap": "max"}), "monitor val_loss (min) · gap (max)", id="two"
        ),
        pytest.param(Run("", ()), None, id="none"),
    ],
)
def test_each_metric_that_a_callback_watched_is_named(run: Run, line: str | None) -> None:
    lines = [" ".join(it.split()) for it in "".join(screen(save("a"), run, Contents("torch"), width=80)).splitlines()]
    assert [it for it in lines if it.startswith("monitor")] == ([] if line is None else [line])
