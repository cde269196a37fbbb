from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.cli.calls import BEST, LAST, NAMES, call, checkpoints_in, listing, make_run


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return make_run(tmp_path / "runs" / "a")


def pin_of(path: Path) -> object:
    """What the pin of a checkpoint holds; empty for one that holds nothing."""
    return json.loads(Path(f"{path}.keep").read_text() or "{}")


def test_what_is_pinned_stays_and_what_is_not_any_more_goes(run: Path) -> None:
    answer = call("pin", run / NAMES[0], run / NAMES[1])
    assert (answer.code, answer.out) == (0, "")
    assert answer.err.splitlines() == [f"{run / name}: pinned" for name in NAMES[:2]]
    assert call("prune", run, "--keep-last", "1", "--yes").code == 0
    assert checkpoints_in(run) == [NAMES[0], NAMES[1], LAST]
    again = call("unpin", run / NAMES[0])
    assert (again.code, again.err) == (0, f"{run / NAMES[0]}: no longer pinned\n")
    assert call("prune", run, "--keep-last", "1", "--yes").code == 0
    assert checkpoints_in(run) == [NAMES[1], LAST]


def test_a_pin_says_until_when_and_why(run: Path) -> None:
    answer = call("pin", run / BEST, "--until", "2999-12-24", "--reason", "for the paper")
    assert answer.err == f"{run / BEST}: pinned until 2999-12-24: for the paper\n"
    assert pin_of(run / BEST) == {"until": "2999-12-24", "reason": "for the paper"}
    row = next(it for it in call("ls", run).rows if it["path"].endswith(BEST))
    assert "pinned until 2999-12-24: for the paper" in row["marks"]
    plan = call("prune", run, "--keep-last", "1", "-n").rows
    assert plan[2]["reasons"] == "pinned until 2999-12-24: for the paper"


def test_a_pin_may_be_for_so_long(run: Path) -> None:
    answer = call("pin", run / BEST, "--for", "30d")
    assert re.fullmatch(rf"{re.escape(str(run / BEST))}: pinned until \d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\dZ\n", answer.err)


@pytest.mark.parametrize(
    ("first", "second", "pin"),
    [
        pytest.param([], ["--for", "1d"], {}, id="for ever stays for ever"),
        pytest.param(["--for", "1d"], [], {}, id="for ever is longer"),
        pytest.param(["--until", "2999-01-01"], ["--until", "2998-01-01"], {"until": "2999-01-01"}, id="not shorter"),
        pytest.param(["--until", "2998-01-01"], ["--until", "2999-01-01"], {"until": "2999-01-01"}, id="longer"),
        pytest.param(["--reason", "a"], ["--reason", "b"], {"reason": "b"}, id="the newer reason"),
        pytest.param(["--reason", "a"], [], {"reason": "a"}, id="the older reason where there is no newer"),
    ],
)
def test_a_pin_of_what_is_pinned_extends(run: Path, first: list[str], second: list[str], pin: object) -> None:
    assert call("pin", run / BEST, *first).code == 0
    assert call("pin", run / BEST, *second).code == 0
    assert json.loads(Path(f"{run / BEST}.keep").read_text().strip() or "{}") == pin


def test_a_broken_pin_is_for_ever_and_stays_so(run: Path) -> None:
    Path(f"{run / BEST}.keep").write_text("until tomorrow")
    assert call("pin", run / BEST, "--for", "1d").err == f"{run / BEST}: pinned\n"


def test_a_folder_a_link_and_a_name_with_a_slash_at_its_end_can_be_named(run: Path) -> None:
    (run / "best.ckpt").symlink_to(BEST)
    assert call("pin", run / "best.ckpt").err == f"{run / BEST}: pinned\n"
    folder = run.parent / "out" / "checkpoint-500"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"\x02\0\0\0\0\0\0\0{}")
    (folder / "trainer_state.json").write_text('{"global_step": 500, "log_history": []}')
    assert call("pin", f"{folder}/").err == f"{folder}: pinned\n"
    assert Path(f"{folder}.keep").exists()
    assert call("unpin", folder / "model.safetensors").code == 4
    assert call("unpin", folder).code == 0


@pytest.mark.parametrize(
    ("words", "why"),
    [
        pytest.param(["--until", "2020-01-01"], "--until 2020-01-01 has passed: such a pin keeps nothing", id="past"),
        pytest.param(["--for", "0"], "--for 0 is no time: such a pin keeps nothing", id="no time"),
        pytest.param(["--until", "Christmas"], "'Christmas' is no date", id="no date"),
        pytest.param(["--for", "ever"], "'ever' is not a length of time", id="no length"),
        pytest.param(["--for", "1d", "--until", "2999-01-01"], "--for and --until contradict each other", id="both"),
    ],
)
def test_a_pin_that_means_nothing_is_refused_and_nothing_is_written(run: Path, words: list[str], why: str) -> None:
    before = listing(run)
    answer = call("pin", run / BEST, *words)
    assert (answer.code, listing(run)) == (2, before)
    assert why in answer.err


@pytest.mark.parametrize("command", ["pin", "unpin"])
def test_what_is_no_checkpoint_is_not_pinned_and_nothing_else_either(run: Path, command: str) -> None:
    (run / "notes.txt").write_text("mine")
    before = listing(run)
    answer = call(command, run / BEST, run / "notes.txt")
    assert (answer.code, listing(run)) == (4, before)
    assert f"{run}/notes.txt: is no checkpoint" in answer.err
    assert call(command, run / "nothing.ckpt").code == 4
    assert call(command, run / "nowhere" / "x.ckpt").code == 4


def test_to_unpin_what_is_not_pinned_is_told(run: Path) -> None:
    call("pin", run / BEST)
    answer = call("unpin", run / BEST, run / LAST)
    assert (answer.code, answer.err.splitlines()[1]) == (0, f"{run / LAST}: was not pinned")
    assert call("unpin", run / BEST).code == 4
