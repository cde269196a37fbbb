from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from time import monotonic, sleep

import pytest

from ckptctl.weights.child import Child, Limits, Lost, NotStarted
from ckptctl.weights.confined import BOOT, find_code
from tests.cli.calls import ROOT, environment
from tests.weights.processes import is_gone

ANSWERS = "tests.weights.answers"
LIMITS = Limits(seconds=120, memory=200 << 20)
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps it")
ABANDON = """
import os, sys
from ckptctl.weights.child import Child, Limits
child = Child("tests.weights.answers")
print(child.start()["pid"], flush=True)
child.ask({"do": "hang"}, os.open(os.devnull, os.O_RDONLY), Limits(600, 1 << 30))
"""


@pytest.fixture
def child() -> Iterator[Child]:
    with closing(Child(ANSWERS)) as started:
        yield started


@pytest.fixture
def descriptor(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "file").write_text("content")
    with (tmp_path / "file").open("rb") as file:
        yield file.fileno()


def test_it_is_given_nothing_of_its_parent_but_what_it_needs(
    child: Child, monkeypatch: pytest.MonkeyPatch, descriptor: int
) -> None:
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    said = child.start()
    assert (said["flags"], said["folder"]) == (1, "/")
    assert set(said["variables"]) <= {"PATH", "LD_LIBRARY_PATH", "TMPDIR", "LC_CTYPE"}  # type: ignore[call-overload] # a list it is
    assert child.ask({"do": "read"}, descriptor, LIMITS) == {"read": "content", "input": ""}


@LINUX
def test_it_has_no_file_open_but_its_own_and_closes_what_it_was_handed(child: Child, descriptor: int) -> None:
    first, second = (child.ask({"do": "list"}, descriptor, LIMITS) for _ in range(2))
    assert first == second
    assert not isinstance(first, Lost)
    assert first["files"] == ["0", "1", "2", "3", "4", "5"]  # streams, the line, the file, and the listing itself


@pytest.mark.parametrize(
    ("do", "lost"),
    [
        pytest.param("die", Lost("signal", signal.SIGSEGV), id="a crash"),
        pytest.param("leave", Lost("exit", 7), id="an exit"),
        pytest.param("grow", Lost("memory"), id="too much memory", marks=LINUX),
        pytest.param("hang", Lost("time"), id="a hang"),
    ],
)
def test_however_it_ends_it_is_told_and_the_next_question_is_answered(
    child: Child, descriptor: int, do: str, lost: Lost
) -> None:
    begun = monotonic()
    assert child.ask({"do": do}, descriptor, LIMITS._replace(seconds=1 if do == "hang" else LIMITS.seconds)) == lost
    assert monotonic() - begun < LIMITS.seconds
    assert child.ask({"do": "read"}, descriptor, LIMITS) == {"read": "content", "input": ""}


def test_one_process_answers_all_questions_until_it_is_lost(child: Child, descriptor: int) -> None:
    pid = child.start()["pid"]
    asked = [child.ask({"do": "list"}, descriptor, LIMITS) for _ in range(3)]
    assert {it["pid"] for it in asked if not isinstance(it, Lost)} == {pid}
    os.kill(int(str(pid)), signal.SIGKILL)
    sleep(0.2)
    again = child.ask({"do": "list"}, descriptor, LIMITS)
    assert not isinstance(again, Lost)
    assert again["pid"] != pid


def test_it_writes_no_file(child: Child, descriptor: int, tmp_path: Path) -> None:
    assert child.ask({"do": "write", "path": str(tmp_path / "new")}, descriptor, LIMITS) == Lost("exit", 1)
    assert (tmp_path / "new").read_text() == ""


@LINUX
def test_it_dies_with_its_parent_whatever_it_does() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", ABANDON], stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment()
    ) as parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        sleep(0.2)
        assert Path(f"/proc/{pid}").exists()
        parent.kill()
    assert is_gone(pid)


def test_it_does_nothing_where_its_parent_was_gone_before_it_began() -> None:
    command = [sys.executable, "-I", "-c", BOOT, json.dumps(find_code()), "ckptctl.weights.child", "1", ANSWERS]
    ran = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")  # else it would complain of its input


def test_it_is_gone_when_it_is_closed(child: Child) -> None:
    pid = int(str(child.start()["pid"]))
    child.close()
    assert not Path(f"/proc/{pid}").exists()


def test_a_module_that_cannot_do_its_work_says_why() -> None:
    with closing(Child("tests.weights.nobody")) as child, pytest.raises(NotStarted, match="No module named"):
        child.start()


def test_where_python_itself_cannot_be_started_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with closing(Child(ANSWERS)) as child, pytest.raises(NotStarted, match="/nowhere/python: No such file"):
        child.start()


def test_code_is_not_looked_for_where_the_caller_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.syspath_prepend("")
    assert str(tmp_path) in find_code()
    monkeypatch.chdir(tmp_path)
    assert not {"", str(tmp_path)} & set(find_code())
    monkeypatch.chdir(ROOT)
    assert str(ROOT) in find_code()  # where this program itself lies
