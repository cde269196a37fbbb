"""The values that everything is told in."""

from __future__ import annotations

from math import inf, nan

import pytest

from ckptctl.core.model import Checkpoint, Entries, Entry, Pointer, Score, Stray, relocate
from ckptctl.core.transaction import Failure, Outcome
from tests.core.samples import run_of, save


@pytest.mark.parametrize(
    ("value", "state"), [(0.5, "finite"), (0.0, "finite"), (nan, "nan"), (inf, "inf"), (-inf, "-inf")]
)
def test_a_score_knows_whether_it_is_a_number_to_rank_by(value: float, state: str) -> None:
    assert Score(value, None, "name").state == state


def test_a_folders_size_time_and_files_are_those_of_all_its_entries() -> None:
    folder = Checkpoint(
        "a.ckpt",
        "lightning-sharded",
        "dir",
        (Entry("a.ckpt", "dir", 0, 5), Entry("a.ckpt/x", "file", 10, 7), Entry("a.ckpt/y", "file", 20, 6)),
    )
    assert (folder.size, folder.modified, folder.files) == (30, 7, 2)


def test_what_was_not_asked_for_counts_as_nothing() -> None:
    bare = Checkpoint("a.ckpt", "lightning", "file", (Entry("a.ckpt", "file"),))
    assert (bare.size, bare.modified, bare.files, bare.state) == (0, 0, 1, "unchecked")
    assert Checkpoint("a", "lightning", "file", ()).modified == 0


def test_a_run_names_its_layouts_once() -> None:
    run = run_of(save("a"), save("b"), save("c")._replace(layout="keras"))
    assert run.layouts == ["keras", "lightning"]


@pytest.mark.parametrize(
    ("folder", "path", "run"),
    [
        ("runs", "runs/r/a.ckpt", "runs/r"),
        ("runs/", "runs/r/a.ckpt", "runs/r"),
        ("/", "/r/a.ckpt", "/r"),
        ("s3://b/x", "s3://b/x/r/a.ckpt", "s3://b/x/r"),
    ],
)
def test_a_run_can_be_seen_from_above_its_store(folder: str, path: str, run: str) -> None:
    held = save("r/a.ckpt", aliases=("r/best.ckpt",))
    moved = relocate(
        run_of(
            held,
            path="r",
            pointers=[Pointer("r/best.ckpt", "symlink", "r/a.ckpt", "ok"), Pointer("r/x", "symlink", None, "loop")],
            strays=[Stray("r/notes", "why")],
        ),
        folder,
    )
    assert (moved.path, moved.checkpoints[0].path) == (run, path)
    assert moved.checkpoints[0].aliases == (f"{run}/best.ckpt",)
    assert [(it.path, it.target) for it in moved.pointers] == [(f"{run}/best.ckpt", path), (f"{run}/x", None)]
    assert moved.strays[0].path == f"{run}/notes"
    assert moved.checkpoints[0].entries == held.entries


def test_a_run_in_the_root_is_called_as_its_store() -> None:
    assert relocate(run_of(path=""), "runs").path == "runs"
    assert relocate(run_of(path=""), "/").path == "/"


@pytest.mark.parametrize(
    ("outcome", "whole"),
    [
        (Outcome("t"), True),
        (Outcome("t", dropped=("a",)), True),
        (Outcome("t", skipped=(Failure("a", "why"),)), False),
        (Outcome("t", failed=(Failure("a", "why"),)), False),
    ],
)
def test_an_outcome_is_whole_where_everything_planned_was_done(outcome: Outcome, *, whole: bool) -> None:
    assert outcome.is_whole is whole


def test_what_entries_do_not_tell_is_no_attribute_of_theirs() -> None:
    with pytest.raises(AttributeError, match="weight"):
        _ = Entries((Entry("a", "file"),)).weight


def test_no_entries_are_nothing() -> None:
    none = Entries(())
    assert (none.size, none.modified, none.files, none.inside) == (0, 0, 0, ())


def test_entries_tell_what_is_in_a_folder_as_seen_from_it() -> None:
    inner = (
        Entry("r/c/b", "dir"),
        Entry("r/c/b/x", "file", 3, 5),
        Entry("r/c/a", "file", 4, 2),
        Entry("r/c/l", "link"),
    )
    held = Entries((Entry("r/c", "dir", 0, 4), *inner))
    assert (held.size, held.modified, held.files) == (7, 5, 3)
    assert held.inside == ("b", "b/x", "a", "l")
