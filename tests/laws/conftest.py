"""How busy the machine is says nothing of a law: no example has a deadline. The quick selection tries fewer of them."""

from __future__ import annotations

import pytest
from hypothesis import settings


def pytest_configure(config: pytest.Config) -> None:
    """Before the laws are read."""
    settings.register_profile("unhurried", deadline=None)
    settings.register_profile("quick", deadline=None, max_examples=25)
    settings.load_profile("quick" if "not slow" in config.getoption("markexpr") else "unhurried")
