"""Files that are written to: what ckptctl did not write is kept, and what training needs is kept even with --force."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cli.calls import call, make_run

PLAN = ("prune", "--keep-last", "1", "--plan-out")
EXPORT = ("export", "--format", "csv", "-o")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return make_run(tmp_path / "run")


def write(words: tuple[str, ...], path: str, *flags: str) -> tuple[int, str]:
    answer = call(words[0], "run", *words[1:], path, *flags)
    return answer.code, answer.err


@pytest.mark.parametrize("words", [PLAN, EXPORT], ids=["a plan", "a summary"])
def test_a_file_that_another_program_wrote_is_overwritten_only_with_force(run: Path, words: tuple[str, ...]) -> None:
    script = run.parent / "train.py"
    script.write_text("print('training')\n")
    code, told = write(words, "train.py")
    assert (code, script.read_text()) == (6, "print('training')\n")
    assert "train.py: is there already, and ckptctl did not write it\nnothing was written" in told
    assert "pass --force" in told
    assert write(words, "train.py", "--force")[0] == 0
    assert script.read_text() != "print('training')\n"


@pytest.mark.parametrize(
    "words",
    [PLAN, *(("export", "--format", form, "-o") for form in ("json", "jsonl", "csv", "markdown"))],
    ids=["plan", "json", "jsonl", "csv", "markdown"],
)
def test_what_the_same_command_wrote_before_is_written_anew(run: Path, words: tuple[str, ...]) -> None:
    assert write(words, "summary.csv")[0] == 0  # some framework reads a file of that name
    first = os.stat("summary.csv").st_ino
    assert write(words, "summary.csv")[0] == 0
    assert os.stat("summary.csv").st_ino != first


@pytest.mark.parametrize("words", [PLAN, EXPORT], ids=["a plan", "a summary"])
def test_an_empty_file_is_free(run: Path, words: tuple[str, ...]) -> None:
    (run.parent / "tmp.x1").touch()  # as mktemp makes it
    assert write(words, "tmp.x1")[0] == 0
    assert (run.parent / "tmp.x1").stat().st_size > 0


def test_a_summary_in_yaml_looks_like_what_training_wrote_and_is_overwritten_only_with_force(run: Path) -> None:
    words = ("export", "--format", "yaml", "--monitor", "val_loss", "-o")
    assert [write(words, "scores.yaml", *flags)[0] for flags in ((), (), ("--force",))] == [0, 6, 0]


@pytest.mark.parametrize("name", ["metrics.csv", "best_k_models.yaml", "trainer_state.json", "latest"])
@pytest.mark.parametrize("words", [PLAN, EXPORT], ids=["a plan", "a summary"])
def test_a_file_that_training_keeps_is_not_overwritten_even_with_force(
    run: Path, words: tuple[str, ...], name: str
) -> None:
    (run / name).write_bytes(b"" if name == "latest" else b"step,loss\n1,2\n")
    before = (run / name).read_bytes()
    code, told = write(words, f"run/{name}", "--force")
    assert (code, (run / name).read_bytes()) == (6, before)
    assert "is a file that training keeps beside its checkpoints" in told


def test_a_checkpoint_without_an_ending_is_not_overwritten_even_with_force(run: Path) -> None:
    first = min(run.glob("*.ckpt"))
    held = first.rename(run / "snapshot_iter_100")
    before = held.read_bytes()
    code, told = write(PLAN, "run/snapshot_iter_100", "--force")
    assert (code, held.read_bytes()) == (6, before)
    assert "is a checkpoint" in told


@pytest.mark.parametrize("kind", ["a link", "a link to nothing", "a pipe", "a folder"])
def test_what_is_no_regular_file_is_not_replaced_even_with_force(run: Path, kind: str) -> None:
    place = run.parent / "out"
    match kind:
        case "a link":
            place.symlink_to("run")
        case "a link to nothing":
            place.symlink_to("none")
        case "a pipe":
            os.mkfifo(place)
        case _:
            place.mkdir()
    before = place.lstat()
    code, told = write(PLAN, "out", "--force")
    assert (code, place.lstat().st_ino) == (6, before.st_ino)
    assert "is not a regular file" in told
