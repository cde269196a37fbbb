from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import pytest

from ckptctl.cli import COMMANDS
from tests.terminal import Terminal

pytestmark = pytest.mark.skipif(
    not version("typer").startswith("0.28."), reason="the generator reads the Typer of constraints.txt, 0.28"
)
ROOT = Path(__file__).resolve().parent.parent
TOY = '''
from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

ALIASES = {"list": "ls"}
app = typer.Typer(add_completion=False)
Paths = Annotated[list[str] | None, typer.Argument(metavar="[PATH]...", help="Where to look.")]


@app.callback()
def toy(version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False) -> None:
    """A toy."""


@app.command("ls", epilog="ckptctl ls runs/")
def ls(
    paths: Paths = None,
    mode: Annotated[Literal["min", "max", "auto"], typer.Option(help="Which way: the [mode]'s word.")] = "auto",
    top: Annotated[int, typer.Option("--top-k", "-k", metavar="N", help="How many.")] = 3,
    only: Annotated[list[str] | None, typer.Option("--filter", metavar="EXPR")] = None,
    to: Annotated[Path | None, typer.Option("--to", "-o", help="Where to write.")] = None,
    how: Annotated[str | None, typer.Option("--how", metavar="csv|yaml", help="As what.")] = None,
    secret: Annotated[bool, typer.Option("--secret", hidden=True)] = False,
    dry: Annotated[bool, typer.Option("--dry-run/--wet", "-n/-w", help="Change nothing.")] = False,
) -> None:
    """List things. Nothing is changed.

    More of it.
    """


@app.command()
def show(what: Annotated[Literal["all", "some"], typer.Argument()] = "all") -> None:
    """Show \\\\ a thing's parts."""


nested = typer.Typer()
flat = typer.Typer()


@flat.callback()
def valued(colour: str = "") -> None:
    """A root with a value."""


@flat.command()
def go() -> None:
    """Go."""


deep = typer.Typer()
deep.add_typer(nested, name="trash")
deep.command()(go)
nested.command()(go)
nested.command("on")(go)
'''


def generate(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the generator of the docs in a folder."""
    command = [sys.executable, str(ROOT / "docs" / "generate"), *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what is generated for the toy program, and a file and folder to complete."""
    folder = tmp_path_factory.mktemp("toy")
    (folder / "toy.py").write_text(TOY)
    (folder / "a run").mkdir()
    (folder / "epoch=1.ckpt").touch()
    made = generate(folder, "--app", "toy:app", "--to", str(folder))
    assert made.returncode == 0, made.stderr
    return folder


def bash_offers(script: Path, *words: str, before: str = "") -> list[str]:
    """What bash offers for the last word, with no program on its PATH."""
    line = " ".join(f"'{word}'" for word in ("ckptctl", *words))
    code = f'PATH=\n{before}\nsource "$1"\nCOMP_WORDS=({line}) COMP_CWORD={len(words)}\n_ckptctl\n'
    code += 'printf "%s\\n" "${COMPREPLY[@]}"'
    bash = shutil.which("bash") or "/bin/bash"
    ran = subprocess.run([bash, "--norc", "-c", code, "-", str(script)], capture_output=True, text=True, check=False)
    assert not ran.stderr
    return ran.stdout.split()


LS = ["--mode", "--top-k", "-k", "--filter", "--to", "-o", "--how", "--dry-run", "-n", "--wet", "-w", "--help"]
OFFERS = [
    pytest.param([""], ["ls", "show", "--version", "--help"], id="commands at the start, without the alias"),
    pytest.param(["l"], ["ls"], id="the command that begins so"),
    pytest.param(["--v"], ["--version"], id="an option before the command"),
    pytest.param(["ls", "-"], LS, id="the options of a command, without the hidden one"),
    pytest.param(["list", "--d"], ["--dry-run"], id="the options of a command by its other name"),
    pytest.param(["ls", "runs", "--d"], ["--dry-run"], id="an option after a path"),
    pytest.param(["ls", "--mode", ""], ["min", "max", "auto"], id="choices"),
    pytest.param(["ls", "--mode", "m"], ["min", "max"], id="choices that begin so"),
    pytest.param(["ls", "--how", "c"], ["csv"], id="choices that a metavar lists"),
    pytest.param(["show", "s"], ["some"], id="choices of an argument"),
    pytest.param(["show", "--"], ["--help"], id="options where the argument has choices"),
]


@pytest.mark.parametrize(("words", "offered"), OFFERS)
def test_bash_offers_what_fits_without_starting_a_program(toy: Path, words: list[str], offered: list[str]) -> None:
    assert bash_offers(toy / "completions" / "ckptctl.bash", *words) == offered


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        pytest.param(["ls", "--mode", "="], ["min", "max", "auto"], id="right after the sign"),
        pytest.param(["ls", "--mode", "=", "ma"], ["max"], id="in the value"),
    ],
)
def test_bash_completes_a_value_behind_an_equals_sign(toy: Path, words: list[str], offered: list[str]) -> None:
    assert bash_offers(toy / "completions" / "ckptctl.bash", *words) == offered


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["ls", ""], id="an argument"),
        pytest.param(["ls", "--to", ""], id="a value that is a path"),
        pytest.param(["ls", "--", "-"], id="after two dashes"),
        pytest.param(["unknown", ""], id="an unknown command"),
    ],
)
def test_bash_leaves_file_names_to_readline(toy: Path, words: list[str]) -> None:
    kept = "compopt() { echo compopt; }"
    assert bash_offers(toy / "completions" / "ckptctl.bash", *words, before=kept) == []


@pytest.mark.parametrize("words", [["ls", "--top-k", ""], ["ls", "-k", "e"], ["ls", "--filter", ""]])
def test_bash_offers_no_file_where_a_number_or_text_is_wanted(toy: Path, words: list[str]) -> None:
    told = "compopt() { echo $*; }"
    offered = bash_offers(toy / "completions" / "ckptctl.bash", *words, before=told)
    assert offered == ["+o", "default", "+o", "bashdefault"]


def shell_environment(folder: Path) -> dict[str, str]:
    """For an interactive shell that reads no start-up files."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL") if name in os.environ}
    return {**kept, "HOME": str(folder), "TERM": "xterm", "PS1": "$ ", "INPUTRC": os.devnull, "ZDOTDIR": str(folder)}


def press_tab(shell: list[str], setup: str, line: str, folder: Path, env: Mapping[str, str]) -> str:
    """What an interactive shell makes of a line and TAB: the words that the program would get, or what is listed."""
    ready = 'echo re""ady\n'
    with Terminal(shell, cwd=folder, env=env) as terminal:
        terminal.type(f"{setup}\n{ready}")
        start = len(terminal.wait_for(r"[\r\n]ready"))
        terminal.type(f"{line}\t")
        terminal.type("\n")
        return terminal.wait_for(r"<[^%\n]*>\s", start=start)


SHOW_WORDS = "ckptctl() { printf '<%s>' \"$*\"; printf '\\n'; }"
TABS = [
    pytest.param("ckptctl sh", "<show>", id="a command"),
    pytest.param("ckptctl ls --dr", "<ls --dry-run>", id="an option"),
    pytest.param("ckptctl ls --mode a", "<ls --mode auto>", id="a choice"),
    pytest.param("ckptctl ls --mode=a", "<ls --mode=auto>", id="a choice behind an equals sign"),
    pytest.param("ckptctl ls ep", "<ls epoch=1.ckpt>", id="a file"),
    pytest.param("ckptctl ls a", "<ls a run>", id="a folder with a blank in its name"),
    pytest.param("ckptctl ls --to ep", "<ls --to epoch=1.ckpt>", id="a file for an option"),
    pytest.param("ckptctl ls --filter ep", "<ls --filter ep>", id="no file where text is wanted"),
]


@pytest.mark.tty
@pytest.mark.parametrize(("line", "got"), TABS)
def test_a_tab_in_bash_completes(toy: Path, line: str, got: str) -> None:
    setup = f"{SHOW_WORDS}; source completions/ckptctl.bash"
    assert got in press_tab(["bash", "--norc", "-i"], setup, line, toy, shell_environment(toy)).replace(
        " >", ">"
    ).replace("/>", ">")


@pytest.mark.slow
@pytest.mark.tty
@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
@pytest.mark.parametrize("how", ["on fpath", "sourced"])
@pytest.mark.parametrize(("line", "got"), TABS)
def test_a_tab_in_zsh_completes(toy: Path, line: str, got: str, how: str) -> None:
    loads = {"on fpath": "fpath=($PWD/completions $fpath); autoload -U compinit; compinit -u -D"}
    loads["sourced"] = "autoload -U compinit; compinit -u -D; source completions/_ckptctl"
    setup = f"unsetopt zle_bracketed_paste 2>/dev/null; PS1='$ '; {loads[how]}; {SHOW_WORDS}"
    assert got in press_tab(["zsh", "-f", "-i"], setup, line, toy, shell_environment(toy)).replace(" >", ">").replace(
        "/>", ">"
    )


def fish_offers(script: Path, line: str, folder: Path) -> dict[str, str]:
    """What fish offers for a line, with what it says of each."""
    code = f"source {script}; complete -C '{line}'"
    env = {**shell_environment(folder), "XDG_CONFIG_HOME": str(folder), "XDG_DATA_HOME": str(folder)}
    ran = subprocess.run(["fish", "-N", "-c", code], cwd=folder, env=env, capture_output=True, text=True, check=True)
    return {name: said for name, _, said in (line.partition("\t") for line in ran.stdout.splitlines())}


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
@pytest.mark.parametrize(
    ("line", "offered"),
    [
        pytest.param("ckptctl ", {"ls", "show"}, id="commands at the start, without the alias"),
        pytest.param("ckptctl --v", {"--version"}, id="an option before the command"),
        pytest.param("ckptctl list --d", {"--dry-run"}, id="an option, by the command's other name"),
        pytest.param("ckptctl ls a -", {*LS}, id="the options of a command, without the hidden one"),
        pytest.param("ckptctl ls --mode ", {"min", "max", "auto"}, id="choices"),
        pytest.param("ckptctl ls --how=c", {"--how=csv"}, id="choices that a metavar lists"),
        pytest.param("ckptctl show s", {"some"}, id="choices of an argument"),
        pytest.param("ckptctl ls ep", {"epoch=1.ckpt"}, id="a file"),
        pytest.param("ckptctl ls --to ep", {"epoch=1.ckpt"}, id="a file for an option"),
        pytest.param("ckptctl ls --filter ep", set(), id="no file where text is wanted"),
    ],
)
def test_fish_offers_what_fits(toy: Path, line: str, offered: set[str]) -> None:
    assert set(fish_offers(toy / "completions" / "ckptctl.fish", line, toy)) == offered


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
def test_fish_says_what_each_command_does(toy: Path) -> None:
    assert fish_offers(toy / "completions" / "ckptctl.fish", "ckptctl ", toy) == {
        "ls": "List things. Nothing is changed",
        "show": "Show \\ a thing's parts",
    }


def test_the_reference_tells_everything_about_a_command(toy: Path) -> None:
    text = (toy / "docs" / "reference.md").read_text()
    section = text[text.index("## ckptctl ls") : text.index("## ckptctl show")]
    assert "List things. Nothing is changed.\n\nMore of it." in section
    assert "Also accepted: `ckptctl list`." in section
    assert "| `PATH` | Where to look. |" in section
    assert "| `--mode min\\|max\\|auto` | Which way: the [mode]'s word. (default: `auto`) |" in section
    assert "| `--top-k N`, `-k N` | How many. (default: `3`) |" in section
    assert "```text\nckptctl ls runs/\n```" in section
    assert "--secret" not in text


def test_the_check_is_content_with_what_was_just_written(toy: Path) -> None:
    assert generate(toy, "--app", "toy:app", "--to", str(toy), "--check").returncode == 0


def test_the_check_names_a_stale_file_and_leaves_it(toy: Path, tmp_path: Path) -> None:
    shutil.copytree(toy, tmp_path, dirs_exist_ok=True)
    stale = tmp_path / "completions" / "_ckptctl"
    stale.write_text("old")
    ran = generate(toy, "--app", "toy:app", "--to", str(tmp_path), "--check")
    assert (ran.returncode, ran.stdout) == (1, f"stale: {stale}\n")
    assert stale.read_text() == "old"


@pytest.mark.parametrize(
    ("app", "why"),
    [
        pytest.param("deep", "trash has commands of its own", id="a group inside the group"),
        pytest.param("flat", "--colour takes a value before the command", id="a root option with a value"),
    ],
)
def test_what_the_completions_cannot_express_is_refused(toy: Path, tmp_path: Path, app: str, why: str) -> None:
    ran = generate(toy, "--app", f"toy:{app}", "--to", str(tmp_path))
    assert ran.returncode == 1
    assert why in ran.stderr


def test_the_completions_and_the_reference_are_current(tmp_path: Path) -> None:
    ran = generate(tmp_path, "--check")
    assert (ran.returncode, ran.stdout) == (0, ""), "run: python docs/generate"


@pytest.mark.parametrize("command", COMMANDS)
def test_bash_offers_every_option_that_the_help_of_a_command_tells(command: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "ckptctl", command, "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    told = {
        word
        for line in re.findall(r"(?m)^  (-.*?)(?:  |$)", ran.stdout)
        for word in re.findall(r"(?<![\w-])--?[\w-]+", line)
    }
    assert {"--help", "-h"} <= told
    assert set(bash_offers(ROOT / "completions" / "ckptctl.bash", command, "-")) == told


@pytest.mark.parametrize(
    ("shell", "file"),
    [("bash", "ckptctl.bash"), ("zsh", "_ckptctl"), ("fish", "ckptctl.fish")],
    ids=["bash", "zsh", "fish"],
)
def test_the_completions_are_sound_in_the_eyes_of_their_shell(shell: str, file: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    ran = subprocess.run([shell, "-n", str(ROOT / "completions" / file)], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
