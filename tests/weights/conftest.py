"""What tests of reading share."""

from __future__ import annotations

import pytest


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Our own reading may take its time: where coverage is measured, it takes six times as long."""
    monkeypatch.setattr("ckptctl.weights.machine.Limits.allow", lambda *_: 100.0)
