from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.cli.calls import PROGRAM, call, environment, listing


def test_it_writes_runs_and_shows_the_commands_on_them(tmp_path: Path) -> None:
    target = tmp_path / "demo"
    answer = call("demo", target)
    assert answer.code == 0
    assert answer.lines[0].endswith(f"below {target}/. Nothing else was touched.")
    told = [line[2:] for line in answer.lines if line.startswith("$ ")]
    assert [line.split()[:2] for line in told] == [["ckptctl", name] for name in ("ls", "best", "prune")]
    for line in told:
        words = shlex.split(line)[1:]
        assert call(*words).out.strip() in answer.out


def test_what_it_shows_changes_nothing_of_what_it_wrote(tmp_path: Path) -> None:
    call("demo", tmp_path / "demo")
    before = listing(tmp_path)
    assert len([name for name in before if name.endswith((".ckpt", ".keras"))]) == 25
    call("ls", tmp_path)
    assert listing(tmp_path) == before


def test_the_default_folder_is_named_for_it(tmp_path: Path) -> None:
    ran = subprocess.run([*PROGRAM, "demo"], cwd=tmp_path, env=environment(), capture_output=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert os.listdir(tmp_path) == ["ckptctl-demo"]


def test_a_folder_with_a_blank_in_its_name_is_quoted_in_what_to_type(tmp_path: Path) -> None:
    target = tmp_path / "my runs"
    answer = call("demo", target)
    assert f"$ ckptctl ls '{target}'" in answer.lines
    assert answer.lines[-1].endswith(f"rm -r '{target}'")


def test_a_folder_that_holds_something_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("")
    answer = call("demo", tmp_path)
    assert (answer.code, answer.out) == (6, "")
    assert f"error[refused]: {tmp_path}: the folder is not empty: nothing was written" in answer.err
    assert os.listdir(tmp_path) == ["mine"]


@pytest.mark.parametrize("form", ["csv", "yaml", "json"])
def test_the_runs_can_be_summarized(tmp_path: Path, form: str) -> None:
    call("demo", tmp_path / "demo")
    assert call("export", tmp_path / "demo", "--monitor", "val_loss", "--format", form).code == 0
