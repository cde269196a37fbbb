"""Environments of frameworks, shared by all checkouts: one is used only if it is whole and of the same requirements."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.frameworks import environments
from tests.frameworks.environments import CONSTRAINTS, ENVIRONMENTS, Environment, find, folder_of


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where they are kept, empty."""
    monkeypatch.setattr(environments, "FOLDER", str(tmp_path))
    monkeypatch.setattr(environments, "GIVEN", None)
    return tmp_path


def test_one_that_was_not_made_to_the_end_is_not_used(cache: Path) -> None:
    folder = Path(folder_of("torch"))
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").touch()
    assert find("torch") is None
    (folder / environments.STAMP).write_text(ENVIRONMENTS["torch"].text)
    assert find("torch") == str(folder / "bin" / "python")


def test_other_requirements_or_constraints_make_another(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    constraints = cache / "constraints.txt"
    folders = {folder_of("torch")}
    monkeypatch.setitem(ENVIRONMENTS, "torch", ENVIRONMENTS["torch"]._replace(bare=("timm==1.0.32",)))
    folders.add(folder_of("torch"))
    constraints.write_text(Path(CONSTRAINTS).read_text(encoding="utf-8") + "six==1.17.0\n")
    monkeypatch.setattr(environments, "CONSTRAINTS", str(constraints))
    folders.add(folder_of("torch"))
    assert len(folders) == 3


def test_constraints_that_do_not_hold_for_it_change_nothing(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = Environment(("x==1",), constrained=False).digest
    monkeypatch.setattr(environments, "CONSTRAINTS", "/nowhere")
    assert Environment(("x==1",), constrained=False).digest == before


def test_in_a_folder_that_is_given_each_has_its_name_alone(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environments, "GIVEN", str(cache))
    assert folder_of("jax") == str(cache / "jax")
