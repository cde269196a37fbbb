"""ckptctl beside the frameworks on torch: real trainings, of which each framework itself says what is true."""

from __future__ import annotations

import math
import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.frameworks import environments
from tests.frameworks.conftest import FIRST_SEED, run
from tests.frameworks.folders import content, owns

pytestmark = [pytest.mark.environments, pytest.mark.slow]

Truth = dict[str, Any]
Tree = dict[str, tuple[str, int]]
"""Path to what is there, and when it was last written."""
HOUR = 3600 * 10**9


class Case(NamedTuple):
    """One of a writer's folders, and how it is pruned."""

    framework: str
    folder: str
    top_k: int = 0
    keep_last: int = 0
    flags: tuple[str, ...] = ()
    """Of what the folder does not say by itself."""
    twin: str = ""
    """The folder of the same training with the framework's own retention, as strict as ours here."""

    @property
    def rules(self) -> list[str]:
        """The flags for a prune."""
        asked = (("--top-k", self.top_k), ("--keep-last", self.keep_last))
        return [*self.flags, *(word for name, count in asked if count for word in (name, str(count)))]


ACCURACY = ("--monitor", "eval_accuracy")
MAP = ("--monitor", "coco/bbox_mAP")
AP = ("--monitor", "bbox/AP", "--mode", "max")
CASES = (
    Case("transformers", "everything", 1, 1, ACCURACY, twin="kept"),
    Case("transformers", "everything", 0, 2),
    Case("transformers", "kept", 1, 1, ACCURACY),
    Case("transformers", "nan", 2, 1, ACCURACY),
    Case("transformers", "lora", 2, 2, ACCURACY),
    Case("accelerate", "everything", 0, 3, twin="kept"),
    Case("accelerate", "steps", 0, 3),
    Case("accelerate", "epochs", 0, 3),
    Case("accelerate", "diffusers", 0, 3),
    Case("dcp", "alone", 0, 2),
    Case("dcp", "named", 0, 2),
    Case("dcp", "killed", 0, 2),
    Case("dcp", "sharded", 0, 2),
    Case("ignite", "loss", 3, twin="loss_kept"),
    Case("ignite", "accuracy", 2, twin="accuracy_kept"),
    Case("ignite", "latest", 0, 3, twin="latest_kept"),
    Case("ignite", "mixed", 1, 1, ("--drop-unranked",)),
    Case("mmengine", "everything", 1, 2, MAP, twin="kept"),
    Case("mmengine", "iterations", 2, 2, MAP),
    Case("mmengine", "published", 1, 1, MAP),
    Case("timm", "loss", 3, twin="loss_kept"),
    Case("timm", "accuracy", 2, twin="accuracy_kept"),
    Case("timm", "extras", 2),
    Case("sb3", "evaluated", 2),
    Case("sb3", "normalized", 0, 2),
    Case("fvcore", "everything", 0, 3, AP, twin="kept"),
    Case("fvcore", "running", 2, 1, AP),
    Case("fvcore", "pointing", 2, 1, AP),
)
IDS = "{0.framework}-{0.folder}-{0.top_k}-{0.keep_last}".format
every_case = pytest.mark.parametrize("case", CASES, ids=IDS)


class Trained(NamedTuple):
    """A copy of what a framework left, an hour old, and what it says about it."""

    root: str
    truth: Truth
    twin: Truth | None

    def path(self, name: str) -> str:
        """Of a name in it."""
        return os.path.join(self.root, name)


@pytest.fixture(scope="session")
def writers(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[str, Truth]]:
    """Gives the folder and the truths of a framework, which trains when it is first asked for."""
    known: dict[str, tuple[str, Truth]] = {}

    def ask(framework: str) -> tuple[str, Truth]:
        if framework not in known:
            folder = str(tmp_path_factory.mktemp(framework))
            truth = environments.ask("torch", f"{framework}_run.py", "train", folder, str(FIRST_SEED))
            known[framework] = folder, truth
        return known[framework]

    return ask


@pytest.fixture
def trained(case: Case, writers: Callable[[str], tuple[str, Truth]], tmp_path: Path) -> Trained:
    folder, truths = writers(case.framework)
    return Trained(copy(folder, case.folder, tmp_path), truths[case.folder], truths.get(case.twin))


def copy(folder: str, name: str, to: Path) -> str:
    """A copy with its links, an hour older."""
    root = os.path.join(to, name)
    os.makedirs(to, exist_ok=True)
    subprocess.run(["cp", "-a", os.path.join(folder, name), root], check=True)
    make_older(root, HOUR)
    return root


def make_older(root: str, age: int) -> None:
    """Set everything back by the same time, each file once, whatever its names."""
    found = {os.lstat(path).st_ino: path for path in all_paths(root)}
    for path in found.values():
        status = os.lstat(path)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns - age), follow_symlinks=False)


def all_paths(root: str) -> list[str]:
    """Of everything below, the deepest first."""
    walked = os.walk(root, topdown=False)
    return [os.path.join(folder, name) for folder, folders, files in walked for name in (*files, *folders)]


def read_tree(root: str) -> Tree:
    """Everything below, by content; a folder by its being there."""
    tree: Tree = {}
    for path in all_paths(root):
        status = os.lstat(path)
        name = os.path.relpath(path, root)
        tree[name] = ("folder", 0) if os.path.isdir(path) else (content(path), status.st_mtime_ns)
    return tree


def changes(before: Tree, after: Tree) -> dict[str, str]:
    """What happened to each path that is not as it was."""
    gone = {name: "gone" for name in before if name not in after}
    new = {name: "new" for name in after if name not in before}
    return {**gone, **new, **{name: "changed" for name in before if name in after and before[name] != after[name]}}


def present(trained: Trained) -> list[Truth]:
    """What the framework saved and did not remove again, oldest first."""
    saved = trained.truth["checkpoints"]
    return [it for it in saved if os.path.lexists(trained.path(it.get("members", [it["path"]])[0]))]


def has_twin(trained: Trained, name: str) -> bool:
    """Whether the same moment is still there under a name of its own."""
    return os.path.isfile(trained.path(trained.truth.get("twins", {}).get(name, ".")))


def expect_kept(case: Case, trained: Trained) -> set[str]:
    """The numbered ones that stay by the rules' own words, worked out from what the framework says.

    Where some tell only epochs and others only steps, the newest of each stays; so does what the framework's own files
    name.
    """
    saved, truth = present(trained), trained.truth
    counting = [[it["path"] for it in saved if count in it][-1:] for count in ("epoch", "step")]
    newest = [
        *(it["path"] for it in saved[-max(case.keep_last, 1) :]),
        *counting[0],
        *counting[1],
        *truth.get("named", []),
    ]
    if not case.top_k:
        return set(newest)
    scored = [it for it in saved if truth["monitor"] in it.get("metrics", {})]
    order = sorted(scored, key=lambda it: it["metrics"][truth["monitor"]], reverse=truth["mode"] == "max")
    return {*newest, *(it["path"] for it in order[: case.top_k])}


def find_faults(listed: Mapping[str, Any], saved: Truth) -> list[str]:
    """Every way in which a listed checkpoint differs from the save that made it."""
    plain: Truth = {"state": "complete", **{name: saved[name] for name in ("epoch", "step") if name in saved}}
    faults = [f"{name} is {listed[name]}, not {value}" for name, value in plain.items() if listed[name] != value]
    for name, value in saved.get("metrics", {}).items():
        told = listed["metrics"].get(name)
        faults += [] if told and is_told(told, value) else [f"{name} is {told}, not {value}"]
    members = sorted(listed.get("members", []))
    faults += [] if members == sorted(saved.get("members", [])) else [f"members are {members}"]
    return [f"{saved['path']}: {fault}" for fault in faults]


def is_told(told: Mapping[str, Any], value: float | str) -> bool:
    """Whether a listed metric says what the framework measured; JSON has no NaN, so writers tell its name."""
    if isinstance(value, str):
        return told["value"] is None and told["state"] == value
    return math.isclose(told["value"], value, rel_tol=1e-12)


@pytest.mark.parametrize("framework", sorted({it.framework for it in CASES}))
def test_a_deep_look_at_what_the_framework_saved_gives_no_alarm(
    framework: str, writers: Callable[[str], tuple[str, Truth]], tmp_path: Path
) -> None:
    folder, _ = writers(framework)
    root = copy(os.path.dirname(folder), os.path.basename(folder), tmp_path)
    seen = run("verify", "--deep", "--json", root).json["checkpoints"]
    assert [it for it in seen if it["findings"] and "/killed/" not in it["path"]] == []
    assert len(seen) > 9


@every_case
def test_what_the_framework_saved_is_listed_with_its_numbers_and_metrics(trained: Trained) -> None:
    answer = run("ls", trained.root, "--json")
    assert answer.code == 0, answer.err
    listed = {ckpt["path"]: ckpt for it in answer.json["runs"] for ckpt in it["checkpoints"]}
    saved = present(trained)
    assert not [it["path"] for it in saved if it["path"] not in listed], sorted(listed)
    assert not [fault for it in saved for fault in find_faults(listed[it["path"]], it)]
    assert set(listed) - {it["path"] for it in saved} <= set(trained.truth.get("others", [])), sorted(listed)


@every_case
def test_what_the_framework_left_is_understood(trained: Trained) -> None:
    strays = [stray for it in run("ls", trained.root, "--json").json["runs"] for stray in it["strays"]]
    assert strays == []


@pytest.mark.parametrize("case", [it for it in CASES if it.top_k], ids=IDS)
def test_best_is_what_the_framework_itself_holds_best(case: Case, trained: Trained) -> None:
    flags = [it for it in case.flags if it != "--drop-unranked"]
    answer = run("best", trained.root, *flags)
    assert answer.code == 0, answer.err
    best = trained.truth["best"]
    twins = [number for number, twin in trained.truth.get("twins", {}).items() if twin == best]
    assert answer.path in [trained.path(name) for name in (best, *twins)]


@every_case
def test_last_is_what_the_framework_would_go_on_from(trained: Trained) -> None:
    answer = run("last", trained.root)
    assert answer.code == 0, answer.err
    assert answer.path == trained.path(trained.truth["last"])


@every_case
def test_a_prune_takes_all_of_what_it_drops_and_touches_nothing_else(case: Case, trained: Trained) -> None:
    before = read_tree(trained.root)
    kept = expect_kept(case, trained)
    dropped = [it for it in present(trained) if it["path"] not in kept]
    answer = run("prune", "-y", trained.root, *case.rules)
    assert answer.code == 0, answer.err
    expected = {name: it for name, it in before.items() if not any(owns(save, name) for save in dropped)}
    assert {
        name: change
        for name, change in changes(expected, read_tree(trained.root)).items()
        if not has_twin(trained, name)
    } == {}


@every_case
def test_a_dry_run_changes_nothing(case: Case, trained: Trained) -> None:
    before = read_tree(trained.root)
    assert run("prune", "-n", trained.root, *case.rules).code == 0
    assert changes(before, read_tree(trained.root)) == {}


@every_case
def test_a_second_prune_finds_nothing_to_do(case: Case, trained: Trained) -> None:
    assert run("prune", "-y", trained.root, *case.rules).code == 0
    after = read_tree(trained.root)
    assert run("prune", "--check", trained.root, *case.rules).code == 0
    assert run("prune", "-y", trained.root, *case.rules).code == 0
    assert changes(after, read_tree(trained.root)) == {}


@pytest.mark.parametrize("case", [it for it in CASES if it.twin], ids=IDS)
def test_a_prune_leaves_what_the_frameworks_own_retention_leaves(case: Case, trained: Trained) -> None:
    """And the newest, which frameworks that only rank give up."""
    assert trained.twin is not None
    numbered = [it["path"] for it in present(trained)]
    assert run("prune", "-y", trained.root, *case.rules).code == 0
    left = {name for name in read_tree(trained.root) if name in numbered}
    wanted = {*trained.twin["survivors"], numbered[-1]} & set(numbered)
    assert {name for name in left ^ wanted if not has_twin(trained, name)} == set()


@pytest.mark.parametrize("framework", sorted({it.framework for it in CASES}))
def test_the_framework_goes_on_from_its_latest_after_a_prune(
    framework: str, writers: Callable[[str], tuple[str, Truth]], tmp_path: Path
) -> None:
    folder, truths = writers(framework)
    cases = [it for it in CASES if it.framework == framework and "resumes" in truths[it.folder]]
    roots = [copy(folder, it.folder, tmp_path / str(nth)) for nth, it in enumerate(cases)]
    for case, root in zip(cases, roots, strict=True):
        assert run("prune", "-y", root, *case.rules).code == 0
    told = environments.ask("torch", f"{framework}_run.py", "resume", *roots)
    assert {root: it["step"] for root, it in told.items()} == {
        root: truths[case.folder]["resumes"] for case, root in zip(cases, roots, strict=True)
    }


def test_a_save_that_was_killed_is_partial_and_no_rule_counts_it(
    writers: Callable[[str], tuple[str, Truth]], tmp_path: Path
) -> None:
    root = copy(writers("dcp")[0], "killed", tmp_path)
    listed = run("ls", root, "--json").json["runs"][0]["checkpoints"]
    assert {it["path"]: it["state"] for it in listed if it["state"] != "complete"} == {"step-600": "partial"}
    assert run("prune", "-y", root, "--keep-last", "1").code == 0
    assert sorted(os.listdir(root)) == ["step-500", "step-600"]


def test_nothing_goes_whose_name_says_no_number(writers: Callable[[str], tuple[str, Truth]], tmp_path: Path) -> None:
    root = copy(writers("dcp")[0], "named", tmp_path)
    for name, word in zip(sorted(os.listdir(root)), ("first", "second", "third", "fourth", "fifth"), strict=True):
        os.rename(os.path.join(root, name), os.path.join(root, f"{word}_dcp"))
    before = read_tree(root)
    assert run("prune", "-y", root, "--keep-last", "2").code == 0
    assert changes(before, read_tree(root)) == {}


def test_nothing_is_ranked_by_a_loss_that_is_not_a_number(
    writers: Callable[[str], tuple[str, Truth]], tmp_path: Path
) -> None:
    folder, _ = writers("transformers")
    root = copy(folder, "nan", tmp_path)
    before = read_tree(root)
    assert run("best", root, "--monitor", "eval_loss").code == 4
    assert run("prune", "-y", root, "--monitor", "eval_loss", "--top-k", "1").code == 4
    assert changes(before, read_tree(root)) == {}
