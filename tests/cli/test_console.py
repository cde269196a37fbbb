"""What only a terminal shows: the question, the screen, its colours and its width."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from ckptctl.render.text import measure
from tests.cli.calls import (
    BEST,
    LAST,
    NAMES,
    PROGRAM,
    call,
    checkpoints_in,
    environment,
    listing,
    make_run,
    save,
    state,
)
from tests.terminal import Terminal

COLOR = re.compile(r"\x1b\[[0-9;]*m")
QUESTION = r"for good\? \[y/N\] "


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return make_run(tmp_path / "runs" / "a")


class Opened(Terminal):
    """The program in a terminal; what it wrote is also there with its escapes."""

    @property
    def raw(self) -> str:
        return self._raw.decode()

    def __enter__(self) -> Opened:  # noqa: PYI034 - Self came with Python 3.11
        return self


def opened(*words: str | Path, columns: int = 100, values: Mapping[str, str] | None = None) -> Opened:
    command = [*PROGRAM, *map(str, words)]
    return Opened(command, cwd=Path("/"), env=environment(**(values or {})), columns=columns)


def screen(*words: str | Path, columns: int = 100) -> str:
    """What a command without questions shows."""
    with opened(*words, columns=columns) as terminal:
        code, text = terminal.finish()
    assert code == 0, text
    return text


# The question


@pytest.mark.tty
def test_the_plan_is_shown_and_then_asked_for(run: Path) -> None:
    with opened("prune", run, "--top-k", "1") as terminal:
        text = terminal.wait_for(QUESTION)
        assert "keep 2 of 4 · frees " in text
        assert "Delete 2 checkpoints in 1 run, " in text
        assert checkpoints_in(run) == NAMES
        terminal.type("y\n")
        code, text = terminal.finish()
    assert code == 0
    assert "Deleted 2 checkpoints, freed " in text
    assert checkpoints_in(run) == [BEST, LAST]
    assert not (run / ".ckptctl").exists()


@pytest.mark.tty
@pytest.mark.parametrize(
    "said", ["n\n", "\n", "no\n", "yup\n", "\x04", "\xff\n"], ids=["n", "enter", "no", "yup", "end", "noise"]
)
def test_anything_but_yes_declines(run: Path, said: str) -> None:
    before = listing(run)
    with opened("prune", run, "--top-k", "1") as terminal:
        terminal.wait_for(QUESTION)
        terminal.type(said)
        code, text = terminal.finish()
    assert (code, listing(run)) == (6, before)
    assert "ckptctl: error[declined]: not confirmed\nnothing was deleted\n" in text


@pytest.mark.tty
@pytest.mark.parametrize("said", ["y\n", "Y\n", "yes\n", " YES \n"])
def test_yes_may_be_spelt_as_people_do(run: Path, said: str) -> None:
    with opened("prune", run, "--top-k", "1") as terminal:
        terminal.wait_for(QUESTION)
        terminal.type(said)
        assert terminal.finish()[0] == 0


@pytest.mark.tty
def test_an_interrupt_at_the_question_changes_nothing(run: Path) -> None:
    before = listing(run)
    with opened("prune", run, "--top-k", "1") as terminal:
        terminal.wait_for(QUESTION)
        terminal.type("\x03")
        code, text = terminal.finish()
    assert (code, listing(run)) == (130, before)
    assert "Traceback" not in text


@pytest.mark.tty
def test_a_checkpoint_rewritten_while_the_question_stands_is_skipped_and_named(run: Path) -> None:
    with opened("prune", run, "--top-k", "1") as terminal:
        terminal.wait_for(QUESTION)
        (run / NAMES[0]).write_bytes(state(epoch=7))
        terminal.type("y\n")
        code, text = terminal.finish()
    assert code == 3
    assert f"1 skipped: {run}/{NAMES[0]}: changed since the plan." in text
    assert "error[partly-done]: 1 of 2 were not deleted" in text
    assert checkpoints_in(run) == [NAMES[0], BEST, LAST]
    assert (run / NAMES[0]).read_bytes() == state(epoch=7)


@pytest.mark.tty
def test_a_checkpoint_linked_while_the_question_stands_is_skipped(run: Path) -> None:
    with opened("prune", run, "--top-k", "1") as terminal:
        terminal.wait_for(QUESTION)
        (run.parent / "mine.ckpt").symlink_to(run / NAMES[0])
        (run / "best.ckpt").symlink_to(NAMES[1])
        terminal.type("y\n")
        code, _ = terminal.finish()
    assert code == 3
    assert (run / NAMES[1]).exists()


@pytest.mark.tty
def test_a_checkpoint_that_appears_while_the_question_stands_stays(run: Path) -> None:
    with opened("prune", run, "--top-k", "1") as terminal:
        terminal.wait_for(QUESTION)
        save(run, ["epoch=0-step=50-val_loss=0.90.ckpt"])
        terminal.type("y\n")
        assert terminal.finish()[0] == 0
    assert checkpoints_in(run) == sorted(["epoch=0-step=50-val_loss=0.90.ckpt", BEST, LAST])


@pytest.mark.tty
def test_what_empties_a_root_while_the_question_stands_ends_it(run: Path, tmp_path: Path) -> None:
    with opened("prune", run, "--top-k", "1") as terminal:
        terminal.wait_for(QUESTION)
        (tmp_path / "moved").mkdir()
        for name in NAMES:
            (run / name).rename(tmp_path / "moved" / name)
        terminal.type("y\n")
        code, text = terminal.finish()
    assert code == 3
    assert "is empty: is its disk mounted?" in text
    assert checkpoints_in(tmp_path / "moved") == NAMES


@pytest.mark.tty
@pytest.mark.parametrize("flags", [["-n"], ["--check"], ["--yes"], ["--top-k", "4"]], ids=" ".join)
def test_nothing_is_asked_where_there_is_no_need(run: Path, flags: list[str]) -> None:
    with opened("prune", run, "--top-k", "1", *flags) as terminal:
        code, text = terminal.finish()
    assert code in (0, 10)
    assert "[y/N]" not in text


@pytest.mark.tty
def test_where_the_answer_goes_to_a_file_the_question_is_still_asked(run: Path, tmp_path: Path) -> None:
    script = 'exec "$@" > "$0"'
    command = ["sh", "-c", script, str(tmp_path / "plan"), *PROGRAM, "prune", str(run), "--top-k", "1"]
    with Terminal(command, cwd=tmp_path, env=environment()) as terminal:
        terminal.wait_for(QUESTION)
        terminal.type("y\n")
        assert terminal.finish()[0] == 0
    assert (tmp_path / "plan").read_text().startswith("action\tpath\t")
    assert checkpoints_in(run) == [BEST, LAST]


@pytest.mark.tty
def test_a_screen_without_a_keyboard_is_not_asked(run: Path) -> None:
    command = ["sh", "-c", 'exec "$@" < /dev/null', "sh", *PROGRAM, "prune", str(run), "--top-k", "1"]
    with Terminal(command, cwd=run, env=environment()) as terminal:
        code, text = terminal.finish()
    assert code == 6
    assert "hint: pass --yes to delete without being asked" in text
    assert checkpoints_in(run) == NAMES


# The screen


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs whose names fit no screen."""
    folder = tmp_path_factory.mktemp("wide")
    long = "experiments/a-very-long-name-of-a-run-that-somebody-gave-it/version_17/checkpoints"
    names = [f"epoch={epoch:03d}-step={epoch}0000-validation/loss_of_everything=0.{900 - epoch}" for epoch in range(5)]
    save(folder / long, (f"{name.replace('/', '_')}-and-much-more=1.25-學習率=0.1.ckpt" for name in names))
    (folder / long / "best.ckpt").symlink_to(f"{names[4].replace('/', '_')}-and-much-more=1.25-學習率=0.1.ckpt")
    make_run(folder / "short")
    return folder


@pytest.mark.tty
@pytest.mark.parametrize("columns", [80, 200])
@pytest.mark.parametrize(
    "words",
    [
        ["ls"],
        ["ls", "--runs"],
        ["ls", "--metrics"],
        ["ls", "--color", "never"],
        ["prune", "--keep-last", "1", "-n"],
        ["prune", "--keep-last", "1", "-nv"],
        ["link", "--last", "-n"],
    ],
    ids=" ".join,
)
def test_nothing_wraps(wide: Path, words: list[str], columns: int) -> None:
    text = screen(*words, wide, columns=columns)
    assert [line for line in text.splitlines() if measure(line) > columns] == []


@pytest.mark.tty
@pytest.mark.parametrize("words", [["ls"], ["ls", "--color", "never"]], ids=" ".join)
def test_a_terminal_that_does_not_know_its_width_has_80_columns(wide: Path, words: list[str]) -> None:
    lines = screen(*words, wide, columns=0).splitlines()
    assert 70 < max(map(measure, lines)) <= 80


@pytest.mark.tty
def test_numbers_are_never_shortened(wide: Path) -> None:
    text = screen("ls", wide, "--monitor", "validation_loss_of_everything", columns=80)
    assert all(f"0.{900 - epoch}" in text for epoch in range(5))


@pytest.mark.tty
def test_every_command_has_a_help_that_fits_its_screen(run: Path) -> None:
    for command in ("ls", "best", "last", "prune", "link", "export", "demo"):
        text = screen(command, "--help", columns=80)
        assert [line for line in text.splitlines() if len(line) > 80] == []


@pytest.mark.tty
def test_a_screen_ends_with_the_totals(run: Path) -> None:
    assert screen("ls", run).splitlines()[-1].startswith("1 run · 4 checkpoints · ")


@pytest.mark.tty
def test_a_limit_says_how_many_it_hides(run: Path) -> None:
    assert "2 of 4 checkpoints" in screen("ls", run, "--limit", "2")
    assert "0 of 4 checkpoints" in screen("ls", run, "--limit", "0")


@pytest.mark.tty
def test_odd_names_are_escaped_on_a_screen(tmp_path: Path) -> None:
    save(tmp_path, ["x\x1b[31m\u202e-epoch=0-val_loss=0.5.ckpt"])
    plan = ["prune", "--top-k", "1", "-nv"]
    for words in (["ls"], ["ls", "-q"], ["best"], ["last"], plan, ["ls", "--color", "never"]):
        with opened(*words, tmp_path, columns=200) as terminal:
            assert terminal.finish()[0] == 0
            assert r"x\x1b[31m\u202e-epoch=0" in terminal.raw
            assert "\u202e" not in terminal.raw
            assert "x\x1b" not in terminal.raw


@pytest.mark.tty
@pytest.mark.parametrize(
    ("flags", "values", "colored"),
    [
        pytest.param([], {}, True, id="a terminal"),
        pytest.param([], {"NO_COLOR": "1"}, False, id="NO_COLOR"),
        pytest.param([], {"NO_COLOR": ""}, True, id="NO_COLOR, but empty"),
        pytest.param([], {"TERM": "dumb"}, False, id="a dumb terminal"),
        pytest.param(["--color", "never"], {}, False, id="never"),
        pytest.param(["--color", "always"], {"NO_COLOR": "1"}, True, id="a flag wins"),
        pytest.param(["--color", "never"], {"FORCE_COLOR": "1"}, False, id="either way"),
        pytest.param([], {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False, id="NO_COLOR wins"),
        pytest.param(["--json"], {}, False, id="never in JSON"),
        pytest.param(["-q"], {}, False, id="nor in paths"),
    ],
)
def test_colour_is_as_asked(run: Path, flags: list[str], values: dict[str, str], colored: bool) -> None:
    with opened("ls", run, *flags, values=values) as terminal:
        assert terminal.finish()[0] == 0
        assert bool(COLOR.search(terminal.raw)) is colored


@pytest.mark.parametrize(
    ("flags", "value", "colored"),
    [([], None, False), (["--color", "always"], None, True), ([], "1", True), (["--color", "never"], "1", False)],
    ids=["plain", "always", "FORCE_COLOR", "never"],
)
def test_a_pipe_has_colour_only_by_force(
    run: Path, monkeypatch: pytest.MonkeyPatch, flags: list[str], value: str | None, colored: bool
) -> None:
    if value:
        monkeypatch.setenv("FORCE_COLOR", value)
    answer = call("ls", run, *flags)
    assert bool(COLOR.search(answer.out)) is colored
    assert answer.lines[0].startswith("path\t") is not colored


@pytest.mark.tty
def test_plain_and_coloured_screens_say_the_same(run: Path) -> None:
    plain, colored = (screen("ls", run, "--color", flag) for flag in ("never", "always"))
    assert plain == colored


@pytest.mark.tty
def test_a_link_is_shown_with_an_arrow(run: Path) -> None:
    assert screen("link", run, "--best", columns=200) == f"made       {run}/best.ckpt -> {BEST}\n"
