"""The sessions in the documents run, and say what they said."""

from __future__ import annotations

import doctest
import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from ckptctl.formats.torch_writer import encode_torch, make_tensor
from tests.layouts.trees import transformers
from tests.terminal import Terminal

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [path for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))] if path.exists()]
BLOCK = re.compile(r"^```console\n(\$ ckptctl.*?)^```$", re.MULTILINE | re.DOTALL)
ANSWER = re.compile(r"(?<=\[y/N\]) (\w+)$")
VARIES = [
    (re.compile(r"\b\d[\d.]* ?(B|kB|MB|GB|TB)\b"), "SIZE"),
    (re.compile(r"\b\d+(\.\d+)?(s|min|m|h|d|w|y)\b"), "AGE"),
    (re.compile(r"\s+"), " "),
]
"""What differs from day to day, or with the width of what does."""
LOSSES = {500: 1.2143, 1000: 0.9872, 1500: 0.9315, 2000: 0.9108, 2500: 0.9264}
SIZES = {"model.safetensors": 538_090_408, "optimizer.pt": 1_076_302_730, "scheduler.pt": 1465, "rng_state.pth": 14_645}
"""Of a model of 135 million parameters; the files are holes, and take no place."""


def plant_trainer(folder: Path) -> None:
    """What Hugging Face's Trainer leaves of a training with five evaluations, an hour between two saves."""
    for age, step in enumerate(LOSSES):
        save = folder / f"checkpoint-{step}"
        save.mkdir(parents=True)
        for name, size in SIZES.items():
            (save / name).touch()
            os.truncate(save / name, size)
        known = {it: loss for it, loss in LOSSES.items() if it <= step}
        best = f"out/checkpoint-{min(known, key=known.__getitem__)}"
        (save / "trainer_state.json").write_bytes(transformers.state(known, best))
        written = time.time() - (6 - age) * 3600
        for path in [*save.iterdir(), save]:
            os.utime(path, (written, written))


DICE = {5: 0.712, 10: 0.784, 15: 0.823, 20: 0.809, 25: 0.818, 30: 0.815}


def plant_loop(folder: Path) -> None:
    """What a home-made loop leaves: model and optimizer of every fifth epoch, a best one, and what it began from."""
    folder.mkdir()
    weights = {"conv.weight": make_tensor([0.5] * 60_000, (300, 200)), "conv.bias": make_tensor([0.0] * 300, (300,))}
    adam = {"state": {0: {"exp_avg": weights["conv.weight"]}}, "param_groups": [{"lr": 1e-3, "params": [0]}]}
    names = {f"unet_ep{epoch:03d}_dice{dice:.3f}.pt": epoch for epoch, dice in DICE.items()} | {"best.pt": 15}
    for name, epoch in names.items():
        (folder / name).write_bytes(encode_torch({"epoch": epoch, "model": weights, "optimizer": adam}))
        written = time.time() - (11 - epoch // 5) * 3600
        os.utime(folder / name, (written, written))
    (folder / "resnet34_imagenet.pth").write_bytes(encode_torch(weights))


COUNTS = (20, 20, 20, 20, 18, 18, 16, 16, 14, 14, 12, 12, 8, 4)
"""Checkpoints of each run of the sweep: 212 of 14."""
WITHOUT_SCORE = 9
"""The run that was never evaluated."""


def plant_sweep(folder: Path) -> None:
    """What a sweep over learning rates and seeds leaves; the files are holes, and take no place."""
    for number, count in enumerate(COUNTS):
        run = folder / f"lr{1 + number % 4}e-{3 + number // 4}" / f"seed{number % 3}"
        losses = {
            500 * n: round(2 / (n + 1 + number % 3) + 0.02 * ((n * 7 + number) % 5), 4) for n in range(1, count + 1)
        }
        for age, step in enumerate(losses):
            save = run / f"checkpoint-{step}"
            save.mkdir(parents=True)
            for name, size in SIZES.items():
                (save / name).touch()
                os.truncate(save / name, size)
            known = {} if number == WITHOUT_SCORE else {it: loss for it, loss in losses.items() if it <= step}
            (save / "trainer_state.json").write_bytes(_sweep_state(known, step))
            written = time.time() - (count + 1 - age) * 3600
            for path in [*save.iterdir(), save]:
                os.utime(path, (written, written))


def _sweep_state(known: dict[int, float], step: int) -> bytes:
    """A state; without losses that of a training that did not evaluate."""
    if not known:
        return json.dumps({"global_step": step, "log_history": []}).encode()
    return transformers.state(known, f"checkpoint-{min(known, key=known.__getitem__)}")


class Command(NamedTuple):
    """One command of a session."""

    line: str
    output: list[str]
    """As the document has it; answers that a person typed stand behind their question."""


def commands_of(document: str) -> Iterator[Command]:
    """The commands of every session in a document, in order."""
    for block in BLOCK.findall(document):
        for part in re.split(r"(?m)^\$ ", block)[1:]:
            line, *output = part.replace("\\\n", "").splitlines()
            yield Command(line, output)


def play(command: Command, folder: Path, programs: Path) -> list[str]:
    """What a terminal shows when a person runs the command, and answers as in the document."""
    env = {"PATH": f"{programs}:{os.defpath}", "HOME": str(folder), "TERM": "xterm", "NO_COLOR": "1", "LANG": "C.UTF-8"}
    typed = [found[1] for line in command.output if (found := ANSWER.search(line))]
    answers = {f"[y/N]{end}": f"{answer}\n" for answer in typed for end in ("", ":")}
    with Terminal(["bash", "--norc", "-c", command.line], cwd=folder, env=env, columns=100) as terminal:
        return terminal.finish(answers)[1].splitlines()


def flatten(lines: list[str]) -> list[str]:
    """Lines without what varies, and without empty ones."""
    flat = []
    for line in lines:
        for pattern, word in VARIES:
            line = pattern.sub(word, line)  # noqa: PLW2901 - one pattern after the other
        flat.append(line.strip())
    return [line for line in flat if line]


def is_as_told(told: list[str], shown: list[str]) -> bool:
    """Whether lines are those of the document; one of … or ... stands there for any number of them."""
    pattern = "".join(r"(.*\n)*?" if line in {"…", "..."} else re.escape(line) + r"\n" for line in told)
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in shown)) is not None


@pytest.mark.tty
@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_the_sessions_of_a_document_show_what_the_program_says(document: Path, tmp_path: Path, programs: Path) -> None:
    commands = list(commands_of(document.read_text(encoding="utf-8")))
    plant_trainer(tmp_path / "out")
    plant_loop(tmp_path / "mine")
    if "ckptctl prune sweep" in document.read_text(encoding="utf-8"):
        plant_sweep(tmp_path / "sweep")
    if commands and not commands[0].line.startswith("ckptctl demo"):
        play(Command("ckptctl demo runs", []), tmp_path, programs)
    for command in commands:
        shown = play(command, tmp_path, programs)
        assert is_as_told(flatten(command.output), flatten(shown)), "\n".join([f"$ {command.line}", *shown])


@pytest.mark.skipif(not (ROOT / "README.md").exists(), reason="there is no README")
def test_the_readme_has_a_session() -> None:
    assert list(commands_of((ROOT / "README.md").read_text(encoding="utf-8")))


DOCUMENT = """
```console
$ ckptctl ls a \\
  b
one  2 MB
two
$ cat c
```
```console
$ ls
```
```bash
ckptctl ls
```
```console
$ ckptctl prune
Sure? [y/N] y
```
"""


def test_a_session_is_read_as_commands_with_their_output() -> None:
    assert list(commands_of(DOCUMENT)) == [
        Command("ckptctl ls a   b", ["one  2 MB", "two"]),
        Command("cat c", []),
        Command("ckptctl prune", ["Sure? [y/N] y"]),
    ]


@pytest.mark.parametrize(
    ("told", "shown", "same"),
    [
        pytest.param(["7 a   1.5 MB  3h"], ["7 a 12 kB 20s"], True, id="sizes and ages vary"),
        pytest.param(["7 1.5 MB"], ["8 1.5 MB"], False, id="numbers before them do not"),
        pytest.param(["a 0.40"], ["a 0.41"], False, id="scores do not"),
        pytest.param(["a", "…", "c"], ["a", "b", "b", "c"], True, id="dots stand for lines"),
        pytest.param(["a", "…"], ["b"], False, id="but not for those that are told"),
        pytest.param(["a"], ["a", "b"], False, id="a line too many"),
        pytest.param(["a", "b"], ["a"], False, id="a line too few"),
        pytest.param(["a", ""], ["", "a"], True, id="empty lines do not count"),
    ],
)
def test_what_is_told_is_compared_without_what_varies(told: list[str], shown: list[str], same: bool) -> None:
    assert is_as_told(flatten(told), flatten(shown)) is same


@pytest.mark.tty
def test_a_question_is_answered_as_in_the_document(tmp_path: Path, programs: Path) -> None:
    command = Command("read -p 'Sure? [y/N] ' a; echo got $a", ["Sure? [y/N] yes", "got yes"])
    assert play(command, tmp_path, programs) == ["Sure? [y/N] yes", "got yes"]


# Sessions of Python


PYTHON = re.compile(r"^```pycon\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_python_on_the_page_of_the_api_says_what_it_says(
    tmp_path: Path, programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    play(Command("ckptctl demo runs", []), tmp_path, programs)
    monkeypatch.chdir(tmp_path)
    text = "\n".join(PYTHON.findall((ROOT / "docs" / "api.md").read_text(encoding="utf-8")))
    session = doctest.DocTestParser().get_doctest(text, {}, "docs/api.md", None, 0)
    told: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    result = runner.run(session, out=told.append)
    assert result.attempted > 20
    assert result.failed == 0, "".join(told)
