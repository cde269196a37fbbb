"""Pins beside checkpoints, on a disk and in memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from ckptctl.core.dates import parse_moment
from ckptctl.core.model import Checkpoint
from ckptctl.core.pin import Pin
from ckptctl.scan.pins import pin, unpin
from ckptctl.scan.runs import Options, scan
from ckptctl.stores import Store
from ckptctl.stores.local import open_url
from tests.stores.memory import MemoryStore

NAME = "epoch=1-val_loss=0.5.ckpt"
NOW = parse_moment("2026-06-01T00:00Z")


def look(store: Store) -> tuple[Checkpoint, tuple[str, ...]]:
    """The one checkpoint of a store, and what its run has to tell."""
    (run,) = scan(store, Options(now=NOW))
    (found,) = run.checkpoints
    return found, run.notices


def held(content: bytes) -> MemoryStore:
    return MemoryStore({NAME: b"", f"{NAME}.keep": content})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(b"", "pinned", id="an empty file pins for ever"),
        pytest.param(b"\n", "pinned", id="an empty line too"),
        pytest.param(b"{}", "pinned", id="an object that says nothing"),
        pytest.param(b'{"until": "2026-06-01"}', "pinned until 2026-06-01", id="to the end of this day"),
        pytest.param(b'{"reason": "mine"}', "pinned: mine", id="for a reason"),
    ],
)
def test_a_pin_keeps_until_its_date(content: bytes, words: str) -> None:
    found, notices = look(held(content))
    assert (found.pinned, found.pin, notices) == (True, words, ())


def test_a_pin_that_has_passed_keeps_nothing_and_is_still_told() -> None:
    found, notices = look(held(b'{"until": "2026-05-31", "reason": "mine"}'))
    assert (found.pinned, found.pin, notices) == (False, "its pin has passed (until 2026-05-31): mine", ())


@pytest.mark.parametrize(
    ("content", "why"),
    [
        pytest.param(b"until 2026", "not JSON: line 1", id="no JSON"),
        pytest.param(b"\xff", "not text", id="no text"),
        pytest.param(b'{"untill": "2026-05-31"}', "nobody knows what its 'untill' means", id="a mistyped key"),
        pytest.param(b'{"until": "yesterday"}', "'yesterday' is no date", id="no date"),
        pytest.param(b" " * 70_000, "70000 bytes are more than it can be", id="too large"),
    ],
)
def test_a_broken_pin_pins_and_is_told(content: bytes, why: str) -> None:
    found, notices = look(held(content))
    assert (found.pinned, found.pin) == (True, "pinned")
    assert len(notices) == 1
    assert notices[0].startswith(f"{NAME}.keep is taken for a pin for ever: {why}")


def test_a_pin_that_is_a_folder_or_a_link_pins(tmp_path: Path) -> None:
    for kind in (Path.mkdir, lambda path: path.symlink_to("/nowhere")):
        folder = tmp_path / kind.__name__
        folder.mkdir()
        (folder / NAME).write_bytes(b"")
        kind(folder / f"{NAME}.keep")
        found, notices = look(open_url(str(folder)))
        assert (found.pinned, notices) == (True, ())


def test_a_checkpoint_without_a_pin_is_not_pinned_by_its_neighbours() -> None:
    found, _ = look(MemoryStore({NAME: b"", "other.ckpt.keep": b""}))
    assert (found.pinned, found.pin) == (False, None)


@pytest.mark.parametrize("what", [Pin(), Pin(parse_moment("2030-01-01"), 'for "Übung"\n1'), Pin(None, "x")], ids=repr)
def test_a_pin_that_is_written_is_found_and_replaces_the_older(what: Pin, tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"")
    store = open_url(str(tmp_path))
    pin(store, NAME, Pin(0, "older"))
    pin(store, NAME, what)
    found, notices = look(store)
    assert (found.pinned, found.pin, notices) == (True, what.describe(NOW), ())
    assert sorted(path.name for path in tmp_path.iterdir()) == [NAME, f"{NAME}.keep"]


def test_to_unpin_takes_the_pin_and_says_whether_there_was_one(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"")
    store = open_url(str(tmp_path))
    pin(store, NAME, Pin())
    assert unpin(store, NAME) is True
    assert unpin(store, NAME) is False
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


def test_a_folder_is_not_removed_for_a_pin(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"")
    (tmp_path / f"{NAME}.keep").mkdir()
    with pytest.raises(IsADirectoryError):
        unpin(open_url(str(tmp_path)), NAME)
    assert (tmp_path / f"{NAME}.keep").is_dir()
