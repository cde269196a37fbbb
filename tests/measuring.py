"""Coverage of the process that runs the tests, switched off where it would cost much and prove little.

To trace every line takes two to three times as long. Slow tests and those of hypothesis, which try the same lines a
hundred times, run untraced: what a floor asks for is reached by tests that are quick and tell what broke.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Generator

import pytest
from coverage import Coverage

UNTRACED = ("slow", "lightning", "keras", "s3")
"""Markers of what the quick selection leaves out."""


class Measuring:
    """A plug-in that leaves one data file for each process, for ``coverage combine``."""

    def __init__(self) -> None:
        self.coverage = Coverage()
        self.coverage.start()
        import_all()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Run a test, traced or not."""
        if not is_untraced(item):
            return (yield)
        self.coverage.stop()
        try:
            return (yield)
        finally:
            self.coverage.start()

    def pytest_unconfigure(self) -> None:
        """Write down what was seen."""
        self.coverage.stop()
        self.coverage.save()


def is_untraced(item: pytest.Item) -> bool:
    """Whether a test is slow or one of hypothesis."""
    is_law = getattr(getattr(item, "obj", None), "is_hypothesis_test", False)
    return is_law or any(item.get_closest_marker(name) for name in UNTRACED)


def import_all() -> None:
    """Import every module, or those that an untraced test imports first would seem unused."""
    package = importlib.import_module("ckptctl")
    for module in pkgutil.walk_packages(package.__path__, "ckptctl."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
