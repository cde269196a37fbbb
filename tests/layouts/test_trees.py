"""Run folders as the frameworks leave them: what is found in each, and that pruning takes checkpoints whole."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import pytest

from ckptctl.cli import main
from ckptctl.core.model import Checkpoint, Run
from ckptctl.layouts import LAYOUTS
from ckptctl.scan.runs import Options, scan
from ckptctl.stores import open_store
from tests.layouts.tree import Expected, Tree
from tests.layouts.trees import fastai

pytestmark = pytest.mark.slow

Content = dict[str, "bytes | str | None"]
SECOND = 1_000_000_000
AGE = 100_000 * SECOND
FOLDER = Path(__file__).parent / "trees"
TREES = [
    pytest.param(tree, id=f"{path.stem}: {tree.name}")
    for path in sorted(FOLDER.glob("*.py"))
    for tree in import_module(f"tests.layouts.trees.{path.stem}").TREES
]
every_tree = pytest.mark.parametrize("tree", TREES)


def plant(tree: Tree, root: Path) -> None:
    """Write a tree; each checkpoint a quarter of an hour younger than the one before, all else older than any."""
    for folder in tree.folders:
        (root / folder).mkdir(parents=True)
    for path, data in tree.files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    for path, target in tree.hard_links.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        os.link(root / target, root / path)
    for path, target in tree.links.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).symlink_to(target)
    start = Options().now or __import__("time").time_ns() - AGE
    for held in [root, *sorted(root.rglob("*"))]:
        os.utime(held, ns=(start, start), follow_symlinks=False)
    for age, expected in enumerate(tree.expected, 1):
        for path in owned(tree, expected, root):
            os.utime(root / path, ns=(start + age * 900 * SECOND,) * 2, follow_symlinks=False)


def owned(tree: Tree, expected: Expected, root: Path) -> Iterator[str]:
    """Every path of a tree that goes with a checkpoint: its members, and all that lies in them."""
    for member in expected.members or (expected.path,):
        yield member
        yield from (str(it.relative_to(root)) for it in (root / member).rglob("*"))


class Sight(NamedTuple):
    """What was found in a tree."""

    runs: list[Run]

    @property
    def checkpoints(self) -> dict[str, Checkpoint]:
        return {it.path: it for run in self.runs for it in run.checkpoints}


def look(root: Path) -> Sight:
    store = open_store(str(root))
    return Sight(list(scan(store, Options(now=store.clock()))))


class Pruned(NamedTuple):
    """A tree before a prune, after it, and after the same once more."""

    code: int
    parts: dict[str, set[str]]
    """Of each expected checkpoint every path that goes with it."""
    before: Content
    after: Content
    found: Sight
    """After the first."""
    at_last: Content


class Known(NamedTuple):
    """What was seen of each tree already: it is planted and scanned once, and pruned once by each rule."""

    sights: dict[int, Sight]
    pruned: dict[tuple[int, tuple[str, ...]], Pruned]


@pytest.fixture(scope="module")
def known() -> Known:
    return Known({}, {})


@pytest.fixture
def sight(tree: Tree, known: Known, tmp_path: Path) -> Sight:
    """What is found in a tree."""
    if id(tree) not in known.sights:
        known.sights[id(tree)] = see(tree, tmp_path)
    return known.sights[id(tree)]


@pytest.fixture
def pruned(
    tree: Tree, rule: tuple[str, ...], known: Known, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Pruned:
    """What a prune makes of a tree."""
    if (id(tree), rule) not in known.pruned:
        known.pruned[id(tree), rule] = prune_twice(tree, tmp_path / "runs", rule)
        capsys.readouterr()
    return known.pruned[id(tree), rule]


def see(tree: Tree, root: Path) -> Sight:
    """Plant a tree, and look."""
    plant(tree, root)
    return look(root)


def prune_twice(tree: Tree, root: Path, rule: tuple[str, ...]) -> Pruned:
    """Plant a tree, and prune it."""
    plant(tree, root)
    words = ["prune", *rule, "--yes", str(root)]
    parts = {it.path: set(owned(tree, it, root)) for it in tree.expected}
    before, code = content(root), main.run(words)
    after, found = content(root), look(root)
    main.run(words)
    return Pruned(code, parts, before, after, found, content(root))


def told(checkpoint: Checkpoint) -> Expected:
    members = tuple(sorted(top.path for top in checkpoint.tops)) if checkpoint.unit == "family" else ()
    metrics = {name: score.value for name, score in checkpoint.metrics.items()}
    return Expected(
        checkpoint.path,
        members,
        checkpoint.epoch,
        checkpoint.step,
        checkpoint.counter,
        metrics,
        checkpoint.state,
        tuple(sorted(checkpoint.roles)),
        checkpoint.layout,
    )


def wanted(expected: Expected, tree: Tree) -> Expected:
    return expected._replace(
        members=tuple(sorted(expected.members)),
        metrics={name: pytest.approx(value, rel=1e-6, nan_ok=True) for name, value in expected.metrics.items()},  # type: ignore[misc]
        roles=tuple(sorted(expected.roles)),
        layout=expected.layout or tree.layout,
    )


@every_tree
def test_each_checkpoint_is_found_with_its_numbers_metrics_and_state(tree: Tree, sight: Sight) -> None:
    found = sight.checkpoints
    assert {path: told(it) for path, it in found.items()} == {it.path: wanted(it, tree) for it in tree.expected}


@every_tree
def test_every_name_that_stands_for_a_checkpoint_is_known(tree: Tree, sight: Sight) -> None:
    runs = sight.runs
    assert {it.path: it.target for run in runs for it in run.pointers if it.target} == dict(tree.pointers)
    rosters = {it.path: tuple(target for _, target in it.names) for run in runs for it in run.rosters}
    assert rosters == dict(tree.rosters)


def test_what_holds_weights_and_belongs_to_no_series_is_left_out(tmp_path: Path) -> None:
    (tree,) = (it for it in fastai.TREES if it.left_out)
    plant(tree, tmp_path)
    assert [it.path for run in look(tmp_path).runs for it in run.left_out] == list(tree.left_out)


@every_tree
def test_nothing_is_taken_for_a_stray_but_what_is_one(tree: Tree, sight: Sight) -> None:
    assert sorted(it.path for run in sight.runs for it in run.strays) == sorted(tree.strays)


@every_tree
def test_how_to_rank_is_known_where_training_or_the_framework_says_it(tree: Tree, sight: Sight) -> None:
    told = {(run.monitor, run.mode) for run in sight.runs if run.checkpoints}
    assert told <= {(tree.monitor, tree.mode)}


def content(root: Path) -> Content:
    """Everything below a folder: a file's bytes, a link's text, None for a folder."""
    return {
        str(path.relative_to(root)): os.readlink(path)
        if path.is_symlink()
        else path.read_bytes()
        if path.is_file()
        else None
        for path in root.rglob("*")
    }


RULES = [pytest.param(("--keep-last", "1"), id="the last"), pytest.param(("--keep-last", "2"), id="the last two")]


@every_tree
@pytest.mark.parametrize("rule", RULES)
def test_a_checkpoint_goes_whole_or_not_at_all_and_nothing_else_does(tree: Tree, pruned: Pruned) -> None:
    code, parts, before, after, found, at_last = pruned
    assert code in {0, 4}
    gone = {path for path, own in parts.items() if own.isdisjoint(after)}
    stayed = {path for path, own in parts.items() if own <= after.keys()}
    assert gone | stayed == parts.keys()
    left = before.keys() - {own for path in gone for own in parts[path]}
    changed = {path for path in left if after.get(path, b"gone") != before[path]}
    assert set(after) == left
    assert changed <= tree.rosters.keys()
    unsure = {it.path for it in tree.expected if it.state != "complete"}
    assert gone.isdisjoint(unsure | set(tree.pointers.values()))
    assert not any(target in gone for it in found.runs for roster in it.rosters for _, target in roster.names)
    assert at_last == after


@every_tree
@pytest.mark.parametrize("rule", RULES[:1])
def test_of_three_complete_checkpoints_some_can_go(tree: Tree, pruned: Pruned) -> None:
    """Else the test above could not fail."""
    free = [it for it in tree.expected if it.state == "complete" and not it.roles]
    free = [it for it in free if it.path not in tree.pointers.values()]
    if len(free) < 3 or len({it.layout for it in free}) > 1:
        pytest.skip("fewer than three of one layout could go")
    assert any(path not in pruned.after for it in free for path in it.members or (it.path,))


def test_every_layout_has_a_tree() -> None:
    have = {it.layout or tree.values[0].layout for tree in TREES for it in tree.values[0].expected}  # type: ignore[union-attr]
    assert {layout.name for layout in LAYOUTS} - have <= {
        "lightning",
        "lightning-sharded",
        "lightning-deepspeed",
        "keras",
    }


def test_a_tree_is_copied_with_its_hard_links(tmp_path: Path) -> None:
    tree = Tree("", "", {"a": b"1"}, (), hard_links={"b": "a"})
    plant(tree, tmp_path)
    assert (tmp_path / "a").stat().st_ino == (tmp_path / "b").stat().st_ino
    shutil.rmtree(tmp_path)
