from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

import ckptctl
from ckptctl.cli import ALIASES, COMMANDS
from ckptctl.cli._app import load_command
from tests.cli.calls import NAMES, PROGRAM, call, environment, make_run


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return make_run(tmp_path / "runs" / "a")


# The program itself


@pytest.mark.parametrize("flag", ["--version", "-V"])
def test_the_version_is_told(flag: str) -> None:
    said = f"ckptctl {ckptctl.__version__}\n"
    assert call(flag).out == said
    ran = subprocess.run([*PROGRAM, flag], env=environment(), capture_output=True, text=True, check=True)
    assert (ran.stdout, ran.stderr) == (said, "")


def test_a_bare_call_is_the_help() -> None:
    bare, asked = call(), call("--help")
    assert bare.code == asked.code == 0
    assert bare.out.strip() == asked.out.strip()


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_the_help_fits_the_smallest_screen_and_ends_with_three_examples(flag: str) -> None:
    lines = call(flag).lines
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    assert [line.split()[:2] for line in lines[-3:]] == [["ckptctl", "ls"], ["ckptctl", "best"], ["ckptctl", "prune"]]


def test_the_help_names_every_command() -> None:
    out = call("--help").out
    assert [name for name in COMMANDS if not re.search(rf"(?m)^  (\w+, )*{name}(, \w+)* +\w", out)] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_the_table_of_commands_says_what_the_command_itself_says(name: str) -> None:
    assert load_command(name).help.partition("\n")[0] == COMMANDS[name]


@pytest.mark.parametrize("name", [*COMMANDS, *ALIASES])
def test_every_command_has_a_help_with_examples(name: str) -> None:
    answer = call(name, "--help")
    assert answer.code == 0
    examples = answer.out.partition("Examples:\n")[2].split("\n\n")[-1].strip().splitlines()
    assert len(examples) >= 2
    assert all("ckptctl " in line for line in examples)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_examples_of_a_help_are_read_by_the_program(name: str, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_run(run.parent / "runs" / "a")
    monkeypatch.chdir(run.parent)
    examples = call(name, "--help").out.partition("Examples:\n")[2]
    for words in re.findall(r"ckptctl ([^|)\"\n]+)", examples):
        if "demo" not in words:
            answer = call(*words.split())
            assert answer.code != 2 or "missing-library" in answer.err, words


@pytest.mark.parametrize(
    ("words", "says"),
    [
        pytest.param(["zzz"], "no such command 'zzz'\nhint: see ckptctl --help", id="no such command"),
        pytest.param(["prnue"], "no such command 'prnue'\nhint: did you mean prune? see", id="a command mistyped"),
        pytest.param(["lis"], "hint: did you mean list or ls? see", id="two that are near"),
        pytest.param(["ls", "--jsn"], "no such option: --jsn", id="no such flag"),
        pytest.param(["best", "a", "b"], "unexpected extra argument", id="a word too many"),
        pytest.param(["ls", "--limit"], "requires an argument", id="a flag without its value"),
        pytest.param(["ls", "--limit", "-1"], "-1 is not in the range", id="less than none"),
        pytest.param(["best", "--threshold", "x"], "'x' is not a valid float", id="no number"),
        pytest.param(["best", "-k", "x"], "'x' is not a valid int", id="no count"),
        pytest.param(["ls", "--color", "red"], "'red' is not one of", id="no such choice"),
        pytest.param(["ls", "--sort", ""], "--sort needs a key", id="no key"),
        pytest.param(["ls", "--sort", ":desc"], "--sort needs a key", id="only an order"),
        pytest.param(["ls", "--layout", "caffe"], "there is no layout 'caffe'", id="no such layout"),
        pytest.param(["ls", "--template", "{epoch"], "template '{epoch'", id="a template that is none"),
        pytest.param(["ls", "--json", "-q"], "--json and --quiet contradict each other", id="json and quiet"),
        pytest.param(["ls", "--json", "-0"], "--json and --quiet contradict each other", id="json and null"),
        pytest.param(["ls", "--runs", "-q"], "--runs and --quiet contradict each other", id="runs and quiet"),
        pytest.param(["best", "--json", "-0"], "--json and --null contradict each other", id="best"),
        pytest.param(["last", "--json", "-0"], "--json and --null contradict each other", id="last"),
    ],
)
def test_what_cannot_be_read_is_a_usage_error_of_one_line_and_a_hint(
    run: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], says: str
) -> None:
    monkeypatch.chdir(run)
    answer = call(*words)
    assert (answer.code, answer.out) == (2, "")
    assert says in answer.err
    assert re.match(r'ckptctl: error\[\w+\]: .+\nhint: .+\n$|\{"error":\{.+\}\}\n$', answer.err)


def test_flags_may_stand_before_and_behind_the_path(run: Path) -> None:
    assert call("ls", "-q", run) == call("ls", run, "-q")
    assert call("best", "--monitor=val_loss", run) == call("best", run, "--monitor", "val_loss")


def test_after_two_dashes_everything_is_a_path(run: Path) -> None:
    assert call("ls", "-q", "--", run).lines == [str(run / name) for name in NAMES]


def test_a_warning_never_mixes_with_an_answer(run: Path) -> None:
    (run / "best_k_models.yaml").write_text("{[")
    for words in (["ls"], ["ls", "--json"], ["best"], ["best", "--json"], ["export"], ["prune", "--top-k", "1", "-n"]):
        answer = call(*words, run)
        assert "warning: " in answer.err
        assert "warning: " not in answer.out
