"""A half-written newest checkpoint never replaces the last whole one, whatever is missing and whoever names it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from time import time

import pytest

import ckptctl.layouts
from ckptctl.layouts.schema import Layout, PointerFile
from tests.cli.calls import HOUR, call
from tests.layouts.tree import torch_file

WHOLE = torch_file()
BASALT = Layout(
    "basalt",
    "dir",
    names=(r"it_(?P<step>\d+)",),
    sentinels=("rank0.pt",),
    required=("rank0.pt",),
    done="_DONE",
    pointers=(PointerFile("newest.json", "json", field="at/iteration", commits=True),),
    examples=("it_1",),
)
"""Folders that an empty file marks as done, and a document that says which is the last one."""


def write(root: Path, files: Mapping[str, bytes], *, newer: str = "") -> None:
    """Write files that nobody has touched for hours; one of them later than the others."""
    for path, data in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    now = time()
    for it in root.rglob("*"):
        moment = now - (1 if it.relative_to(root).as_posix() == newer else 2) * HOUR
        os.utime(it, (moment, moment))


def states_of(root: Path) -> dict[str, str]:
    (run,) = call("ls", root, "--json").json["runs"]
    return {it["path"]: it["state"] for it in run["checkpoints"]}


def folders_after_keeping_the_last(root: Path) -> set[str]:
    call("prune", root, "--keep-last", "1", "--yes")
    return {path.name for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")}


@pytest.fixture
def basalt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ckptctl.layouts, "LAYOUTS", (BASALT, *ckptctl.layouts.LAYOUTS))


@pytest.mark.usefixtures("basalt")
@pytest.mark.parametrize("said", ["7", '"7"', '"it_7"'], ids=["a number", "a number as text", "a name"])
def test_a_document_may_say_by_number_or_name_which_save_is_the_last_one_done(tmp_path: Path, said: str) -> None:
    saves = {f"it_{n}/{name}": data for n in (6, 7, 8) for name, data in (("rank0.pt", WHOLE), ("_DONE", b""))}
    write(tmp_path, {**saves, "newest.json": b'{"at": {"iteration": %s}}' % said.encode()})
    assert states_of(tmp_path) == {"it_6": "complete", "it_7": "complete", "it_8": "unknown"}
    assert folders_after_keeping_the_last(tmp_path) == {"it_7", "it_8"}


@pytest.mark.usefixtures("basalt")
@pytest.mark.parametrize("said", ["true", "7.5", "null", "[7]"])
def test_what_is_neither_number_nor_name_names_no_save(tmp_path: Path, said: str) -> None:
    saves = {f"it_{n}/{name}": data for n in (7, 8) for name, data in (("rank0.pt", WHOLE), ("_DONE", b""))}
    write(tmp_path, {**saves, "newest.json": b'{"at": {"iteration": %s}}' % said.encode()})
    assert states_of(tmp_path) == {"it_7": "complete", "it_8": "complete"}


@pytest.mark.usefixtures("basalt")
def test_a_mark_that_is_older_than_what_it_marks_proves_nothing(tmp_path: Path) -> None:
    saves = {f"it_{n}/{name}": data for n in (7, 8) for name, data in (("rank0.pt", WHOLE), ("_DONE", b""))}
    write(tmp_path, {**saves, "it_8/rank0.pt": b"PK"}, newer="it_8/rank0.pt")
    assert states_of(tmp_path) == {"it_7": "complete", "it_8": "unknown"}
    assert "rank0.pt is newer than the mark that says it is done" in call("ls", tmp_path).out
    assert folders_after_keeping_the_last(tmp_path) == {"it_7", "it_8"}


FSDP = {
    "accelerate": (
        "checkpoint_{n}",
        ("pytorch_model_fsdp_0_rank{r}.bin", "optimizer_0_rank{r}.bin", "random_states_{r}.pkl"),
        (),
    ),
    "transformers": (
        "checkpoint-{n}",
        ("pytorch_model_fsdp_rank{r}.bin", "rng_state_{r}.pth"),
        ("trainer_state.json",),
    ),
    "verl": (
        "global_step_{n}",
        ("actor/model_world_size_2_rank_{r}.pt", "actor/optim_world_size_2_rank_{r}.pt"),
        ("data.pt",),
    ),
}
"""Folders that two ranks write: their name, the files of each rank, and the others."""


@pytest.mark.parametrize(
    ("framework", "kind"), [(framework, kind) for framework, (_, kinds, _) in FSDP.items() for kind in kinds]
)
def test_one_rank_that_lacks_one_kind_of_file_leaves_the_newest_in_doubt(
    tmp_path: Path, framework: str, kind: str
) -> None:
    folder, kinds, others = FSDP[framework]
    places = [folder.format(n=n) for n in (1, 2, 3)]
    files = {f"{top}/{it.format(r=rank)}": WHOLE for top in places for it in kinds for rank in (0, 1)}
    files |= {f"{top}/{it}": b"{}" if it.endswith("json") else WHOLE for top in places for it in others}
    del files[f"{places[2]}/{kind.format(r=1)}"]
    write(tmp_path, files)
    assert states_of(tmp_path) == {places[0]: "complete", places[1]: "complete", places[2]: "unknown"}
    assert folders_after_keeping_the_last(tmp_path) == {places[1], places[2]}


def test_a_kind_of_file_that_a_save_has_of_no_rank_is_left_out_on_purpose(tmp_path: Path) -> None:
    folder, kinds, others = FSDP["transformers"]
    places = [folder.format(n=n) for n in (1, 2, 3)]
    files = {f"{top}/{it.format(r=rank)}": WHOLE for top in places for it in kinds for rank in (0, 1)}
    files |= {f"{top}/{it}": b"{}" for top in places for it in others}
    for rank in (0, 1):
        del files[f"{places[0]}/rng_state_{rank}.pth"]
    write(tmp_path, files)
    assert set(states_of(tmp_path).values()) == {"complete"}
