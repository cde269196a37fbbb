"""ckptctl beside orbax and flax: what their managers say of the folders that they left, and restore after a prune."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from tests.frameworks.conftest import run
from tests.frameworks.environments import ask
from tests.frameworks.folders import Pruned, check, copy, list_checkpoints, prune

pytestmark = [pytest.mark.environments, pytest.mark.slow]

SCORED = ("everything", "kept", "prefix", "padded", "prefix_padded", "parts")
"""Runs in which every step has its metrics."""
UNSCORED = ("unscored", "unscored_kept", "maxtext")
ORBAX = (*SCORED, *UNSCORED, "holes", "nan", "broken_off")
FLAX = ("everything", "kept", "orbax", "broken_off")
PLACES = {"maxtext": "maxtext/my_run/checkpoints"}
"""Where a run lies, if not in the folder of its name."""


class Trained(NamedTuple):
    """What a writer left, and what it says of it."""

    folder: str
    truth: dict[str, Any]

    def root(self, name: str) -> str:
        """Where a run lies."""
        return os.path.join(self.folder, PLACES.get(name, name))


@pytest.fixture(scope="module", params=[0, 1, 2], ids="seed{}".format)
def orbax(request: pytest.FixtureRequest, case_folder: Callable[[str], str]) -> Trained:
    source = case_folder("orbax")
    truth = ask("jax", "orbax_run.py", "train", source, str(request.param))
    return Trained(copy(source, os.path.join(case_folder("orbax-old"), "runs")), truth)


@pytest.fixture(scope="module")
def flax(case_folder: Callable[[str], str]) -> Trained:
    source = case_folder("flax")
    truth = ask("jax", "flax_run.py", "train", source, "1")
    return Trained(copy(source, os.path.join(case_folder("flax-old"), "runs")), truth)


def metric(truth: dict[str, Any]) -> list[str]:
    return ["--monitor", truth["monitor"], "--mode", truth["mode"]]


@pytest.mark.parametrize("name", ORBAX)
def test_every_step_is_listed_once_with_what_the_manager_knows_of_it(orbax: Trained, name: str) -> None:
    truth = orbax.truth[name]
    whole = [it for it in list_checkpoints(orbax.root(name)) if it["state"] == "complete"]
    assert [it["path"] for it in whole] == [it["path"] for it in truth["checkpoints"]]
    for found, said in zip(whole, truth["checkpoints"], strict=True):
        assert found["step"] == said["step"]
        values = {key: score["value"] for key, score in found["metrics"].items()}
        assert values == {key: None if value == "nan" else value for key, value in said["metrics"].items()}
        assert found["layout"] == ("orbax-maxtext" if name == "maxtext" else "orbax")


@pytest.mark.parametrize("name", [*SCORED, "holes"])
def test_best_is_the_managers_best_step(orbax: Trained, name: str) -> None:
    truth = orbax.truth[name]
    answer = run("best", orbax.root(name), *metric(truth))
    assert (answer.code, os.path.basename(answer.path)) == (0, truth["best"])


def test_best_passes_over_nan_where_the_manager_does_not(orbax: Trained) -> None:
    truth = orbax.truth["nan"]
    scores = {it["path"]: it["metrics"][truth["monitor"]] for it in truth["checkpoints"]}
    finite = {path: score for path, score in scores.items() if score != "nan"}
    best = (min if truth["mode"] == "min" else max)(finite, key=finite.__getitem__)
    assert os.path.basename(run("best", orbax.root("nan"), *metric(truth)).path) == best


@pytest.mark.parametrize("name", ORBAX)
def test_last_is_the_managers_latest_step(orbax: Trained, name: str) -> None:
    answer = run("last", orbax.root(name))
    assert (answer.code, os.path.basename(answer.path)) == (0, orbax.truth[name]["last"])


def policy_of(name: str, truth: dict[str, Any]) -> list[str]:
    """One that drops something: like the manager's own where that keeps some."""
    if name in {*UNSCORED, "broken_off"}:
        return ["--keep-last", "1" if name == "broken_off" else str(truth["max_to_keep"])]
    return ["--top-k", str(truth["max_to_keep"] if name == "everything" else 1), *metric(truth)]


def kept_of(name: str, orbax: Trained) -> set[str]:
    """What orbax' own retention left of a twin, and the newest, which orbax does not spare."""
    truth = orbax.truth[name]
    if name == "broken_off":
        return {truth["last"]}
    if name in UNSCORED:
        return {it["path"] for it in truth["checkpoints"][-truth["max_to_keep"] :]}
    if name == "everything":
        return {*orbax.truth["kept"]["survivors"], truth["last"]}
    scoreless = {it["path"] for it in truth["checkpoints"] if not it["metrics"]}
    return {truth["best"], truth["last"], *scoreless}


PRUNED = [name for name in ORBAX if name != "nan"]


@pytest.fixture(scope="module")
def pruned(orbax: Trained, case_folder: Callable[[str], str]) -> dict[str, Pruned]:
    folder = case_folder("orbax-pruned")
    return {
        name: prune(copy(orbax.root(name), os.path.join(folder, name)), *policy_of(name, orbax.truth[name]))
        for name in PRUNED
    }


@pytest.fixture(scope="module")
def restored(pruned: dict[str, Pruned]) -> dict[str, Any]:
    found: dict[str, Any] = ask("jax", "orbax_run.py", "resume", *(it.root for it in pruned.values()))
    return found


@pytest.mark.parametrize("name", PRUNED)
def test_prune_leaves_what_the_manager_would_and_the_newest(
    orbax: Trained, pruned: dict[str, Pruned], name: str
) -> None:
    check(pruned[name], orbax.truth[name], kept_of(name, orbax))


def test_the_manager_that_keeps_by_recency_left_the_same(orbax: Trained) -> None:
    assert kept_of("unscored", orbax) == set(orbax.truth["unscored_kept"]["survivors"])


@pytest.mark.parametrize("name", PRUNED)
def test_orbax_restores_the_newest_step_after_a_prune(
    orbax: Trained, pruned: dict[str, Pruned], restored: dict[str, Any], name: str
) -> None:
    latest = orbax.truth[name]["checkpoints"][-1]["step"]
    assert restored[pruned[name].root] == {"latest": latest, "weights": float(latest)}


def test_a_save_broken_off_is_partial_and_left_alone(orbax: Trained, pruned: dict[str, Pruned]) -> None:
    truth = orbax.truth["broken_off"]
    states = {it["path"]: it["state"] for it in list_checkpoints(orbax.root("broken_off"))}
    assert states == {truth["broken"]: "partial", **{it["path"]: "complete" for it in truth["checkpoints"]}}
    left = [path for path in pruned["broken_off"].after if path.startswith(f"{truth['broken']}/")]
    assert left


def test_a_step_that_was_not_committed_is_in_doubt_and_left_alone(
    orbax: Trained, case_folder: Callable[[str], str]
) -> None:
    truth = orbax.truth["not_committed"]
    root = copy(orbax.root("not_committed"), os.path.join(case_folder("not-committed"), "run"))
    states = {it["path"]: it["state"] for it in list_checkpoints(root)}
    assert states == {truth["broken"]: "unknown", **{it["path"]: "complete" for it in truth["checkpoints"]}}
    assert os.path.basename(run("last", root).path) == truth["last"]
    check(prune(root, "--keep-last", "1"), truth, [truth["last"]])
    assert os.path.exists(os.path.join(root, truth["broken"], "_CHECKPOINT_METADATA"))


def test_one_checkpoint_without_a_manager_is_found_under_any_name(orbax: Trained) -> None:
    found = list_checkpoints(orbax.root("alone"))
    assert [(it["path"], it["layout"], it["state"]) for it in found] == [("final_weights", "orbax-named", "complete")]


@pytest.mark.parametrize("name", FLAX)
def test_every_save_of_flax_is_listed_once_with_its_step(flax: Trained, name: str) -> None:
    whole = [it for it in list_checkpoints(flax.root(name)) if it["state"] == "complete"]
    assert [(it["path"], it["step"]) for it in whole] == [
        (checkpoint["path"], checkpoint["step"]) for checkpoint in flax.truth[name]["checkpoints"]
    ]
    assert {it["layout"] for it in whole} == {"orbax" if name == "orbax" else "orbax-flax"}
    assert os.path.basename(run("last", flax.root(name)).path) == flax.truth[name]["last"]


def test_files_of_flax_under_another_prefix_are_left_alone(flax: Trained, case_folder: Callable[[str], str]) -> None:
    root = copy(flax.root("prefix"), os.path.join(case_folder("prefix"), "run"))
    found = prune(root, "--keep-last", "1")
    assert found.answer.code in (0, 4)  # listed or not, nothing proves them to be saves in a row
    assert found.after == found.before


@pytest.fixture(scope="module")
def pruned_flax(flax: Trained, case_folder: Callable[[str], str]) -> dict[str, Pruned]:
    folder, keep = case_folder("flax-pruned"), str(flax.truth["kept"]["keep"])
    return {name: prune(copy(flax.root(name), os.path.join(folder, name)), "--keep-last", keep) for name in FLAX}


@pytest.fixture(scope="module")
def restored_flax(pruned_flax: dict[str, Pruned]) -> dict[str, Any]:
    found: dict[str, Any] = ask("jax", "flax_run.py", "resume", *(it.root for it in pruned_flax.values()))
    return found


@pytest.mark.parametrize("name", FLAX)
def test_prune_leaves_what_flax_would_keep(flax: Trained, pruned_flax: dict[str, Pruned], name: str) -> None:
    check(pruned_flax[name], flax.truth[name], flax.truth["kept"]["survivors"])


@pytest.mark.parametrize("name", FLAX)
def test_flax_restores_the_newest_after_a_prune(
    flax: Trained, pruned_flax: dict[str, Pruned], restored_flax: dict[str, Any], name: str
) -> None:
    step = flax.truth[name]["checkpoints"][-1]["step"]
    assert restored_flax[pruned_flax[name].root] == {"latest": f"checkpoint_{step}", "weights": float(step)}
