"""How many trainings to compare, where they lie, and how ckptctl is asked.

``CKPTCTL_RUNS`` trainings with Lightning (40) and half as many with Keras, from the seed ``CKPTCTL_SEED`` (0) on.
Below the folder ``CKPTCTL_CASES``, where that is set, they stay to be looked at.
"""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, NamedTuple

import pytest

from ckptctl.cli import main

RUNS = int(os.environ.get("CKPTCTL_RUNS", "40"))
FIRST_SEED = int(os.environ.get("CKPTCTL_SEED", "0"))
CASES = os.environ.get("CKPTCTL_CASES")
IMPORTS = {"test_inside_keras.py": "keras", "test_keras.py": "keras", "test_lightning.py": "lightning"}
"""Files that import a framework when they are collected, with the marker of all their tests."""


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out a file whose marker ``-m`` rules out: to import its framework takes seconds."""
    marker = IMPORTS.get(collection_path.name)
    return True if marker and f"not {marker}" in config.getoption("markexpr") else None


class Answer(NamedTuple):
    """What one call of ckptctl gave back."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # noqa: ANN401 - it has many shapes
        """Standard output as JSON."""
        return json.loads(self.out)

    @property
    def path(self) -> str:
        """The one path on standard output, with links resolved."""
        return os.path.realpath(self.out.removesuffix("\n"))


def run(*args: str) -> Answer:
    """Call ckptctl as one without a terminal would, in this process: a start would take longer than a training."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    with redirect_stdout(out), redirect_stderr(err), open(os.devnull, encoding="utf-8") as nobody:
        person, sys.stdin = sys.stdin, nobody
        try:
            code = main.run(list(args))
        finally:
            sys.stdin = person
    return Answer(code, *(text_of(stream) for stream in (out, err)))


def text_of(stream: io.TextIOWrapper) -> str:
    stream.seek(0)
    return stream.read()


def seeds(runs: int) -> range:
    """The seeds of so many trainings."""
    return range(FIRST_SEED, FIRST_SEED + runs)


@pytest.fixture(scope="module")
def case_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """Gives a fresh folder for a name, on request."""

    def make(name: str) -> str:
        if CASES is None:
            return str(tmp_path_factory.mktemp(name))
        os.makedirs(CASES, exist_ok=True)
        return mkdtemp(prefix=f"{name}-", dir=CASES)

    return make
