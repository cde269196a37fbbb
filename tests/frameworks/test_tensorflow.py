"""ckptctl beside TensorFlow: what its managers and state files say of folders, and what it restores after a prune."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from tests.frameworks.conftest import run
from tests.frameworks.environments import ask
from tests.frameworks.folders import Pruned, check, copy, list_checkpoints, make_old, prune, snapshot

pytestmark = [pytest.mark.environments, pytest.mark.slow]

BY_COUNT = ("everything", "kept", "every_n_hours", "without_manager", "sharded", "beside_export", "broken_off")
"""Runs whose numbers count saves."""
BY_STEP = ("by_step", "saver", "saver_kept", "saver_absolute")
RUNS = (*BY_COUNT, *BY_STEP)
STATE = "checkpoint"
"""The file that names the latest, and those that a manager looks after."""


class Trained(NamedTuple):
    """What the writer left, and what it says of it."""

    folder: str
    """A copy, hours old."""
    source: str
    """Where they were trained, which absolute paths in them name."""
    truth: dict[str, Any]

    def root(self, name: str) -> str:
        """Where a run lies."""
        return os.path.join(self.folder, name)


@pytest.fixture(scope="module")
def trained(case_folder: Callable[[str], str]) -> Trained:
    source = case_folder("tensorflow")
    truth = ask("tensorflow", "tensorflow_run.py", "train", source, "1")
    return Trained(copy(source, os.path.join(case_folder("tensorflow-old"), "runs")), source, truth)


def whole_of(root: str) -> list[Any]:
    """What is listed as whole, without exports."""
    return [it for it in list_checkpoints(root) if it["state"] == "complete" and it["layout"] == "tensorflow"]


@pytest.mark.parametrize("name", RUNS)
def test_every_save_is_listed_once_with_its_members(trained: Trained, name: str) -> None:
    truth = trained.truth[name]["checkpoints"]
    found = whole_of(trained.root(name))
    assert [(it["path"], sorted(it["members"])) for it in found] == [(it["path"], it["members"]) for it in truth]


@pytest.mark.parametrize("name", RUNS)
def test_a_number_is_a_step_only_where_it_is_one(trained: Trained, name: str) -> None:
    steps = [it["index"] if name in BY_STEP else None for it in trained.truth[name]["checkpoints"]]
    assert [it["step"] for it in whole_of(trained.root(name))] == steps


@pytest.mark.parametrize("name", [*RUNS, "weights"])
def test_last_is_what_tensorflow_would_restore(trained: Trained, name: str) -> None:
    answer = run("last", trained.root(name))
    assert (answer.code, os.path.basename(answer.path)) == (0, trained.truth[name]["last"])


@pytest.mark.parametrize("name", RUNS)
def test_the_state_file_is_a_pointer_to_the_latest(trained: Trained, name: str) -> None:
    runs = run("ls", trained.root(name), "--json").json["runs"]
    found = [it for one in runs for it in one["pointers"]]
    assert [(it["path"], it["target"], it["state"]) for it in found] == [(STATE, trained.truth[name]["last"], "ok")]


def test_weights_of_keras_are_listed_with_their_epoch(trained: Trained) -> None:
    found = [(it["path"], it["epoch"], sorted(it["members"])) for it in whole_of(trained.root("weights"))]
    assert found == [(it["path"], it["epoch"], it["members"]) for it in trained.truth["weights"]["checkpoints"]]


def test_what_lies_in_the_folder_of_a_save_broken_off_is_no_checkpoint(trained: Trained) -> None:
    found = list_checkpoints(trained.root("broken_off"))
    assert not [it["path"] for it in found if "part" in it["path"]]
    assert {it["state"] for it in found if it["path"].startswith(("ckpt-8", "ckpt-9"))} <= {"partial"}


KEPT = 3
PRUNED = [name for name in RUNS if not name.endswith("kept")]


@pytest.fixture(scope="module")
def pruned(trained: Trained, case_folder: Callable[[str], str]) -> dict[str, Pruned]:
    folder = case_folder("tensorflow-pruned")
    copies = {name: copy(trained.root(name), os.path.join(folder, name)) for name in PRUNED if name != "saver_absolute"}
    in_place = os.path.join(trained.source, "saver_absolute")
    make_old(in_place)
    roots = {**copies, "saver_absolute": in_place}
    return {name: prune(root, "--keep-last", str(KEPT)) for name, root in roots.items()}


@pytest.fixture(scope="module")
def restored(pruned: dict[str, Pruned]) -> dict[str, Any]:
    found: dict[str, Any] = ask("tensorflow", "tensorflow_run.py", "resume", *(it.root for it in pruned.values()))
    return found


@pytest.mark.parametrize("name", PRUNED)
def test_prune_leaves_the_newest_whole_and_everything_else_as_it_was(
    trained: Trained, pruned: dict[str, Pruned], name: str
) -> None:
    truth = trained.truth[name]
    kept = [it["path"] for it in truth["checkpoints"][-KEPT:]]
    check(pruned[name], truth, kept, [STATE])


def test_prune_keeps_what_the_saver_would(trained: Trained, pruned: dict[str, Pruned]) -> None:
    names = {name.removesuffix(".index") for name in pruned["saver"].after if name.endswith(".index")}
    assert names == set(trained.truth["saver_kept"]["survivors"])


@pytest.mark.parametrize("name", PRUNED)
def test_the_state_file_names_only_what_is_there(trained: Trained, pruned: dict[str, Pruned], name: str) -> None:
    before, after = (fields_of(os.path.join(root, STATE)) for root in (trained.root(name), pruned[name].root))
    there = {path.removesuffix(".index") for path in pruned[name].after if path.endswith(".index")}
    paths, times = "all_model_checkpoint_paths", "all_model_checkpoint_timestamps"
    left = [path for path in before[paths] if os.path.basename(path) in there]
    assert (after[paths], after["model_checkpoint_path"]) == (left, before["model_checkpoint_path"])
    assert after.get("last_preserved_timestamp") == before.get("last_preserved_timestamp")
    kept = dict(zip(before[paths], before.get(times, []), strict=False))
    assert after.get(times, []) == [kept[path] for path in left if path in kept]


def fields_of(path: str) -> dict[str, list[str]]:
    """The fields of a state file in the order of their values, quotes taken off."""
    found: dict[str, list[str]] = {}
    with open(path, encoding="utf-8") as file:
        for name, value in re.findall(r'^(\w+): "?([^"\n]*)"?$', file.read(), re.MULTILINE):
            found.setdefault(name, []).append(value)
    return found


@pytest.mark.parametrize("name", PRUNED)
def test_tensorflow_restores_the_latest_after_a_prune(
    trained: Trained, pruned: dict[str, Pruned], restored: dict[str, Any], name: str
) -> None:
    said = restored[pruned[name].root]
    truth = trained.truth[name]
    number = truth["checkpoints"][-1]["index"]
    there = [it["path"] for it in truth["checkpoints"][-KEPT:] if it["path"] in truth["listed"]]
    assert (said["latest"], said["listed"]) == (truth["last"], there)
    assert os.path.dirname(said["path"]) == pruned[name].root
    assert said["weights"] == (number if name in BY_STEP else 100 * number)
    assert said["recovered"] in (None, there if name != "without_manager" else [])  # its state file has no times


def test_an_export_beside_a_run_is_not_touched(trained: Trained, pruned: dict[str, Pruned]) -> None:
    export = {path: held for path, held in snapshot(trained.root("beside_export")).items() if path.startswith("export")}
    assert export
    assert export.items() <= pruned["beside_export"].after.items()
