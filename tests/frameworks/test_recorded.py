"""Listings of run folders of frameworks that are too heavy to train with here, as their sources say they are left.

A file of ``fixtures/recorded`` holds a line for each file: size, path, and the text of one that must be read; ``->``
for a size makes a symbolic link to the text. The lines before, with ``#``, say what must be found.
"""

from __future__ import annotations

import os
import time
from typing import Any, NamedTuple

import pytest

from tests.frameworks.conftest import run

FOLDER = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "fixtures", "recorded")
HOUR = 3600


class Listing(NamedTuple):
    """What lies in a folder, and what must be found there."""

    name: str
    layouts: frozenset[str]
    checkpoints: int
    newest: str
    """Of those that are numbered."""
    pointers: dict[str, str]
    rows: list[list[str]]


def read_listing(name: str) -> Listing:
    with open(os.path.join(FOLDER, name), encoding="utf-8", newline="") as file:
        lines = file.read().splitlines()
    heads = [line[2:] for line in lines if line.startswith("# ")]
    said = dict(part.split("=", 1) for part in heads[0].split("; "))
    pointers = dict(head.removeprefix("pointer=").split(" -> ") for head in heads if head.startswith("pointer="))
    rows = [line.split("\t") for line in lines if not line.startswith("# ")]
    layouts = frozenset(said["layout"].split(","))
    return Listing(name.removesuffix(".txt"), layouts, int(said["checkpoints"]), said["newest"], pointers, rows)


LISTINGS = [read_listing(name) for name in sorted(os.listdir(FOLDER))]


def lay_out(listing: Listing, root: str) -> None:
    """Make the files, which take no room, hours old and a second apart in the order of the listing."""
    start = time.time() - 2 * HOUR
    for number, (size, path, *text) in enumerate(listing.rows):
        whole = os.path.join(root, path)
        os.makedirs(os.path.dirname(whole), exist_ok=True)
        if size == "->":
            os.symlink(text[0], whole)
        else:
            with open(whole, "wb") as file:
                file.write(text[0].encode().decode("unicode_escape").encode() if text else b"")
                file.truncate(int(size))
        make_old(root, os.path.dirname(path), start + number)
        os.utime(whole, (start + number, start + number), follow_symlinks=False)


def make_old(root: str, folder: str, when: float) -> None:
    """Set the time of a folder and of all between it and the root."""
    while folder:
        os.utime(os.path.join(root, folder), (when, when))
        folder = os.path.dirname(folder)


@pytest.fixture(scope="module", params=LISTINGS, ids=lambda listing: listing.name)
def listing(request: pytest.FixtureRequest) -> Listing:
    found: Listing = request.param
    return found


@pytest.fixture(scope="module")
def root(listing: Listing, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = str(tmp_path_factory.mktemp("recorded"))
    lay_out(listing, folder)
    return folder


@pytest.fixture(scope="module")
def runs(root: str) -> list[Any]:
    answer = run("ls", root, "--json")
    assert answer.code == 0, answer
    found: list[Any] = answer.json["runs"]
    return found


def test_a_recorded_folder_shows_its_layout(listing: Listing, runs: list[Any]) -> None:
    assert {name for it in runs for name in it["layouts"]} == listing.layouts


def test_a_recorded_folder_shows_as_many_checkpoints_as_were_saved(listing: Listing, runs: list[Any]) -> None:
    found = [it["path"] for one in runs for it in one["checkpoints"]]
    assert len(found) == listing.checkpoints, found


def test_the_checkpoints_of_a_recorded_folder_end_with_the_newest(listing: Listing, runs: list[Any]) -> None:
    assert runs[-1]["checkpoints"][-1]["path"] == listing.newest


def test_the_pointers_of_a_recorded_folder_lead_to_what_they_name(listing: Listing, runs: list[Any]) -> None:
    found = {it["path"]: it["target"] for one in runs for it in one["pointers"]}
    assert found == listing.pointers


def test_nothing_in_a_recorded_folder_is_left_unexplained(listing: Listing, runs: list[Any]) -> None:
    assert [it for one in runs for it in one["strays"]] == []


def test_no_file_of_a_recorded_folder_belongs_to_two_checkpoints(listing: Listing, runs: list[Any], root: str) -> None:
    checkpoints = [it for one in runs for it in one["checkpoints"]]
    owned = [path for it in checkpoints for path in it.get("members") or [it["path"]]]
    assert len(owned) == len(set(owned))
    assert sum(it["files"] for it in checkpoints) <= len(listing.rows)
    assert sum(it["bytes"] for it in checkpoints) <= sum(int(size) for size, *_ in listing.rows if size != "->")
