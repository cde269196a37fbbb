"""What a slimmed checkpoint is called, and what is taken away of it."""

from __future__ import annotations

import pytest

from ckptctl.core.model import Checkpoint, Entry, Unit
from ckptctl.core.retention.slimming import Fate, SlimOptions, SlimPlan, SlimStep


def slim(unit: Unit, fates: dict[str, Fate], folders: tuple[str, ...] = (), **others: object) -> SlimPlan:
    """Of a checkpoint with these files, ten bytes each, of which five stay where one is written anew."""
    files = [Entry(path, "file", 10) for path in fates]
    entries = sorted([*files, *(Entry(path, "dir", 0) for path in folders)])
    left = {"keep": 10, "rewrite": 5, "export": 5, "leave": 0}
    steps = tuple(SlimStep(it, fate, left[fate]) for it, fate in zip(files, fates.values(), strict=True))
    return SlimPlan(Checkpoint("r/x", "any", unit, tuple(entries)), steps, ("optimizer",), **others)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("it", "name", "names"),
    [
        pytest.param(slim("file", {"r/x.ckpt": "rewrite"}), "x.ckpt", [], id="a file"),
        pytest.param(slim("file", {"x.ckpt": "rewrite"}), "x.ckpt", [], id="a file in the root"),
        pytest.param(
            slim("file", {"r/x.pth.tar": "export"}, wish=SlimOptions(to="safetensors")),
            "x.safetensors",
            [],
            id="exported",
        ),
        pytest.param(slim("dir", {"r/x/a": "keep", "r/x/b": "leave"}, ("r/x",)), "x", [], id="a folder"),
        pytest.param(slim("family", {"r/x.a": "keep", "r/x.b": "leave"}), "x", ["x.a"], id="a family"),
        pytest.param(slim("family", {"r/x.a": "rewrite"}), "x.a", [], id="a family of one"),
    ],
)
def test_a_copy_is_called_as_what_it_is_of(it: SlimPlan, name: str, names: list[str]) -> None:
    assert (it.name, it.names) == (name, names)


def test_sizes_add_up() -> None:
    it = slim("family", {"r/x.a": "keep", "r/x.b": "leave", "r/x.c": "rewrite"})
    assert (it.before, it.after, it.frees) == (30, 15, 15)
    sparse = it.steps[1]._replace(entry=it.steps[1].entry._replace(held=3))
    assert it._replace(steps=(it.steps[0], sparse, it.steps[2])).frees == 8
    assert [step.entry.path for step in it.touched] == ["r/x.b", "r/x.c"]


def test_rewritten_files_are_taken_away_first_then_folders_of_which_nothing_stays_then_files() -> None:
    fates: dict[str, Fate] = {
        "r/x/model": "keep",
        "r/x/opt/deep/a": "leave",
        "r/x/opt/b": "leave",
        "r/x/opt.old": "leave",
        "r/x/part/c": "leave",
        "r/x/part/d": "keep",
        "r/x/state": "rewrite",
    }
    folders = ("r/x", "r/x/empty", "r/x/opt", "r/x/opt/deep", "r/x/part")
    tops = [it.path for it in slim("dir", fates, folders).tops]
    assert tops == ["r/x/state", "r/x/opt", "r/x/opt.old", "r/x/part/c"]
