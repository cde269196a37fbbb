"""A prune of several folders at once: what one of them says of the checkpoints in another counts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cli.calls import BEST, LAST, NAMES, call, checkpoints_in, listing, make_run

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
