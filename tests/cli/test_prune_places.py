"""A prune of several folders at once: what one of them says of the checkpoints in another counts."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from tests.cli.calls import BEST, LAST, NAMES, PROGRAM, call, checkpoints_in, environment, listing, make_run
from tests.terminal import Terminal

OLDEST = NAMES[0]


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three folders with a run in each, of which one's name begins as another's; the current directory is above."""
    monkeypatch.chdir(tmp_path)
    for name in ("a", "ab", "b"):
        make_run(tmp_path / name / "run")
    return tmp_path


def kept_by_links(*paths: str | Path) -> dict[str, list[str]]:
    """What links hold in place where the last alone is kept, with what says so; a dry run."""
    answer = call("prune", *paths, "--keep-last", "1", "-n", "--json")
    assert answer.code == 0, answer.err
    verdicts = [it for run in answer.json["runs"] for it in run["verdicts"]]
    links = {it["path"]: [why["text"] for why in it["reasons"] if why["rule"] == "linked"] for it in verdicts}
    return {path: texts for path, texts in links.items() if texts}


@pytest.mark.parametrize("text", ["../a/run/{}", "{root}/a/run/{}", "../b/mid/{}"], ids=["up", "in full", "by a link"])
def test_a_link_in_one_folder_holds_a_checkpoint_of_another(places: Path, text: str) -> None:
    (places / "b/mid").symlink_to("../a/run")
    (places / "b/mine.ckpt").symlink_to(text.format(OLDEST, root=places))
    assert kept_by_links("a", "b") == {f"a/run/{OLDEST}": ["linked by b/mine.ckpt"]}
    assert kept_by_links("b", "a") == {f"a/run/{OLDEST}": ["linked by b/mine.ckpt"]}
    assert call("prune", "a", "b", "--keep-last", "1", "--yes").code == 0
    assert checkpoints_in(places / "a/run") == sorted([OLDEST, LAST])
    assert checkpoints_in(places / "b/run") == [LAST]


def test_a_link_within_one_of_several_folders_is_told_once(places: Path) -> None:
    (places / "a/mine.ckpt").symlink_to(f"run/{OLDEST}")
    assert kept_by_links("a", "b") == {f"a/run/{OLDEST}": ["linked by a/mine.ckpt"]}


def test_a_link_into_a_folder_that_was_not_named_holds_nothing(places: Path) -> None:
    (places / "b/mine.ckpt").symlink_to(f"../ab/run/{OLDEST}")
    assert kept_by_links("a", "b") == {}
    assert kept_by_links("ab", "b") == {f"ab/run/{OLDEST}": ["linked by b/mine.ckpt"]}


def test_links_of_each_folder_into_the_other_both_hold(places: Path) -> None:
    (places / "b/run/x.ckpt").symlink_to(f"../../a/run/{OLDEST}")
    (places / "a/run/y.ckpt").symlink_to(f"../../b/run/{BEST}")
    assert kept_by_links("a", "b") == {
        f"a/run/{OLDEST}": ["linked by b/run/x.ckpt"],
        f"b/run/{BEST}": ["linked by a/run/y.ckpt"],
    }


def test_a_link_into_a_folder_that_is_reached_through_a_link_holds_too(places: Path) -> None:
    (places / "to_a").symlink_to("a")
    (places / "b/mine.ckpt").symlink_to(places / "a/run" / OLDEST)
    assert list(kept_by_links("to_a", "b").values()) == [["linked by b/mine.ckpt"]]


def test_settings_in_one_folder_hold_what_training_began_from_in_another(places: Path) -> None:
    (places / "b/run/config.yaml").write_text(f"ckpt_path: /elsewhere/a/run/{OLDEST}\n")
    assert call("prune", "a", "b", "--keep-last", "1", "--yes").code == 0
    assert checkpoints_in(places / "a/run") == sorted([OLDEST, LAST])
    before = listing(places / "b")
    assert call("prune", "a", "--keep-last", "1", "--yes").code == 0
    assert checkpoints_in(places / "a/run") == [LAST]
    assert listing(places / "b") == before


def test_nothing_is_slimmed_where_nobody_asks_for_that(places: Path) -> None:
    sizes = {path: os.path.getsize(path) for path in places.rglob("*.ckpt")}
    assert call("prune", "a", "b", "--keep-last", "3", "--yes").code == 0
    assert {path: os.path.getsize(path) for path in places.rglob("*.ckpt")}.items() <= sizes.items()


def test_the_home_of_a_person_is_refused_and_that_of_a_service_is_not(
    places: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = pwd.getpwuid(0)
    fields = dict(zip(("name", "passwd", "uid", "gid", "gecos", "dir", "shell"), entry, strict=True))
    people = {33: places / "a", 999: places / "ab", 1000: places / "b"}
    homes = [pwd.struct_passwd({**fields, "uid": uid, "dir": str(home)}.values()) for uid, home in people.items()]
    monkeypatch.setattr(pwd, "getpwall", lambda: homes)
    answers = {name: call("prune", name, "--keep-last", "1", "--yes") for name in ("a", "ab", "b")}
    assert {name: it.code for name, it in answers.items()} == {"a": 0, "ab": 0, "b": 6}
    assert len(checkpoints_in(places / "b/run")) == len(NAMES)


# A last look, after a plan was written down


def test_a_run_inside_of_one_that_loses_nothing_is_looked_at_again(places: Path) -> None:
    (places / "a/run" / LAST).rename(places / "a" / LAST)
    answer = call("prune", "a", "--keep-last", "1", "--plan-out", "plan.json")
    assert answer.code == 0, answer.err
    answer = call("apply", "plan.json", "--yes")
    assert answer.code == 0, answer.err
    assert checkpoints_in(places / "a") == [LAST]
    assert checkpoints_in(places / "a/run") == [BEST]


def test_a_link_that_came_in_another_place_since_the_plan_holds_its_target(places: Path) -> None:
    assert call("prune", "a", "b", "--keep-last", "1", "--plan-out", "plan.json").code == 0
    (places / "b/mine.ckpt").symlink_to(f"../a/run/{OLDEST}")
    answer = call("apply", "plan.json", "--yes")
    assert answer.code == 3, answer.err
    assert f"a/run/{OLDEST}" in answer.err
    assert checkpoints_in(places / "a/run") == sorted([OLDEST, LAST])
    assert checkpoints_in(places / "b/run") == [LAST]


@pytest.mark.tty
def test_where_it_asks_a_run_inside_of_one_that_loses_nothing_is_looked_at_again_too(places: Path) -> None:
    (places / "a/run" / LAST).rename(places / "a" / LAST)
    command = [*PROGRAM, "prune", "a", "--keep-last", "1"]
    with Terminal(command, cwd=places, env=environment(), columns=200) as terminal:
        code, text = terminal.finish({"for good? [y/N]": "y\n"})
    assert code == 0, text
    assert checkpoints_in(places / "a") == [LAST]
    assert checkpoints_in(places / "a/run") == [BEST]


@pytest.mark.parametrize("typed", ["[ab]", "a*/run", "a?"])
@pytest.mark.parametrize("words", [("prune", "--keep-last", "1", "--yes"), ("link", "--last"), ("rm", "--yes")])
def test_what_changes_files_takes_a_path_that_is_not_there_for_no_other(
    places: Path, words: tuple[str, ...], typed: str
) -> None:
    path = f"{typed}/{OLDEST}" if words[0] == "rm" else typed
    answer = call(words[0], path, *words[1:])
    assert answer.code == 4
    assert checkpoints_in(places / "a/run") == sorted(NAMES)
    assert "the shell" in answer.err


def test_a_folder_with_brackets_in_its_name_is_pruned_by_its_name(places: Path) -> None:
    (places / "ab").rename(places / "[ab]")
    assert call("prune", "[ab]", "--keep-last", "1", "--yes").code == 0
    assert checkpoints_in(places / "[ab]/run") == [LAST]
    assert checkpoints_in(places / "a/run") == checkpoints_in(places / "b/run") == sorted(NAMES)
