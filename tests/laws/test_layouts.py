"""What holds for any folder: whatever is left of frameworks' runs, beside whatever else."""

from __future__ import annotations

import os
import random
import string
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ckptctl.core.model import Checkpoint, Run
from ckptctl.core.retention.plan import Plan, plan_run
from ckptctl.core.retention.policy import Policy
from ckptctl.core.retention.rules import KeepLast
from ckptctl.layouts import LAYOUTS
from ckptctl.prune.apply import ApplyOptions, apply
from ckptctl.scan.pointers import attach_links
from ckptctl.scan.runs import Options
from ckptctl.scan.tree_listing import list_tree
from ckptctl.stores import Store
from ckptctl.stores.local import open_url
from tests.layouts.tree import Tree, torch_file
from tests.stores.memory import MemoryStore

pytestmark = pytest.mark.slow

FOLDER = Path(__file__).parents[1] / "layouts" / "trees"
NAMES = sorted(path.stem for path in FOLDER.glob("*.py"))
TREES: list[Tree] = [tree for name in NAMES for tree in import_module(f"tests.layouts.trees.{name}").TREES]
HOUR = 3600 * 1_000_000_000
NOW = 1_800_000_000 * 1_000_000_000
many = settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
few = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


class World(NamedTuple):
    """Some files, and which of them one save wrote."""

    files: Mapping[str, bytes]
    links: Mapping[str, str]
    ages: Mapping[str, int]
    """Hours, of files; of folders and links a day."""
    saves: Sequence[frozenset[str]]

    def __repr__(self) -> str:
        """Without the bytes: what is there, how large, and how old."""
        held = {path: (len(data), self.ages[path]) for path, data in self.files.items()}
        return f"World({held}, {self.links})"

    def store(self) -> MemoryStore:
        """All of it, in memory."""
        folders = {str(above) for path in (*self.files, *self.links) for above in PurePosixPath(path).parents}
        times = dict.fromkeys([*(folders - {"."}), *self.links], NOW - 48 * HOUR)
        times |= {path: NOW - age * HOUR for path, age in self.ages.items() if path in self.files}
        made = MemoryStore(self.files, self.links, folders=sorted(folders - {"."}), times=times)
        made.now = NOW
        return made


WORDS = """notes.txt README last best checkpoint latest model.pt model.safetensors 1 step_1 config.json last.ckpt
epoch=0.ckpt
checkpoint-1/x iter_0000001/y tmp a/b/c/d.pt x.keep optimizer.pt epoch_3.pth events.out.tfevents.1 metrics.csv .metadata
7.index 0/items/z mp_rank_00/model.ckpt checkpoint-1/trainer_state.json CKPT+a/CKPT.yaml""".split()
LETTERS = string.ascii_lowercase + string.digits + "-_=.+"
OTHERS = st.one_of(
    st.sampled_from(WORDS), st.text(LETTERS, min_size=1, max_size=12).filter(lambda it: it.strip(".") != "")
)
BYTES = st.sampled_from([b"", b"x", b"{}", b"PK\x03\x04", torch_file(), b"\x80\x04}.", b"a: 1\n", b"model.pt"])


@st.composite
def worlds(draw_: st.DrawFn) -> World:
    """Some of the files of some runs, whole or cut, in one folder or several, and other names."""
    files: dict[str, bytes] = {}
    links: dict[str, str] = {}
    ages: dict[str, int] = {}
    saves: list[frozenset[str]] = []
    for number, tree in enumerate(draw_(st.lists(st.sampled_from(TREES), min_size=1, max_size=3))):
        front = draw_(st.sampled_from(["", "", f"run{number}/", "deep/er/"]))
        if any(_is_in_the_way(f"{front}{path}", {*files, *links}) for path in {*tree.files, *tree.links}):
            front = f"other{number}/"
        lost = draw_(st.one_of(st.just([]), st.lists(st.sampled_from(sorted(tree.files)), max_size=6)))
        cut = draw_(st.lists(st.sampled_from(sorted(tree.files)), max_size=2))
        held = {path: data[: len(data) // 2] if path in cut else data for path, data in tree.files.items()}
        held = {f"{front}{path}": data for path, data in held.items() if path not in lost}
        files |= held
        links |= {f"{front}{path}": target for path, target in tree.links.items()}
        own = [frozenset(f"{front}{path}" for path in files_of(tree, place)) for place in range(len(tree.expected))]
        saves += own
        young = draw_(st.sampled_from([0, 0, 1]))
        for path in held:
            place = next((place for place, save in enumerate(own) if path in save), None)
            ages[path] = 48 if place is None else 20 * (1 - young) + len(own) - 1 - place
    for name, data in draw_(st.dictionaries(OTHERS, BYTES, max_size=4)).items():
        if not _is_in_the_way(name, {*files, *links}):
            files[name] = data
            ages[name] = draw_(st.sampled_from([0, 1, 30]))
    return World(files, links, ages, saves)


def files_of(tree: Tree, place: int) -> Iterator[str]:
    """The files that one save of a tree wrote."""
    expected = tree.expected[place]
    tops = expected.members or (expected.path,)
    yield from (path for path in tree.files if any(path == top or path.startswith(f"{top}/") for top in tops))


def _is_in_the_way(name: str, paths: set[str]) -> bool:
    """Whether a name is taken, or a file where a folder must be."""
    if name in paths or any(path.startswith(f"{name}/") for path in paths):
        return True
    return any(str(above) in paths for above in PurePosixPath(name).parents)


def runs_of(store: Store, **options: object) -> list[Run]:
    listing = list_tree(store, Options(now=NOW, **options))  # type: ignore[arg-type]
    return [attach_links(run, listing.links) for run in listing.runs]


def files_in(store: Store) -> set[str]:
    return {it.path for folder in store.walk(stat=False) for it in folder.entries if it.kind != "dir"}


def prune(store: Store, count: int) -> set[str]:
    """Keep the last so many of each run; the paths of all that was dropped, by the plan."""
    policy = Policy((KeepLast(count),))
    plan = Plan(policy, tuple(plan_run(run, policy, NOW) for run in runs_of(store)))
    outcome = apply(plan, store, ApplyOptions(f"x{random.random()}"))  # noqa: S311 - a name
    assert (outcome.skipped, outcome.failed) == ((), ())
    going = [it.checkpoint for it in plan.dropped if it.checkpoint is not None]
    assert {it.state for it in going} <= {"complete"}
    return {entry.path for it in going for entry in it.entries}


COUNTS = st.integers(1, 3)


@many
@given(worlds(), st.booleans(), st.sampled_from([None, *(it.name for it in LAYOUTS)]))
def test_a_scan_never_raises_and_lists_nothing_twice(world: World, stat: bool, layout: str | None) -> None:
    store = world.store()
    runs = runs_of(store, stat=stat, layout=layout)
    held = [entry.path for run in runs for it in run.checkpoints for entry in it.entries]
    assert len(held) == len(set(held))
    paths = [it.path for run in runs for it in run.checkpoints]
    assert len(paths) == len(set(paths))


@many
@given(worlds(), COUNTS)
def test_only_what_is_in_a_complete_checkpoint_goes(world: World, count: int) -> None:
    store = world.store()
    rosters = {roster.path for run in runs_of(store) for roster in run.rosters}
    before = files_in(store)
    going = prune(store, count)
    assert before - files_in(store) == going & before
    assert files_in(store) <= before
    for path in (world.files.keys() - going) - rosters:
        with store.open(path) as source:
            assert source.read(0, source.size) == world.files[path]


@many
@given(worlds(), COUNTS)
def test_of_what_one_save_wrote_all_goes_or_nothing(world: World, count: int) -> None:
    store = world.store()
    before = files_in(store)
    prune(store, count)
    gone = before - files_in(store)
    for save in world.saves:
        left = save & world.files.keys()
        assert left & gone in (set(), left)


@many
@given(worlds(), COUNTS)
def test_of_every_run_that_had_one_a_whole_one_is_left(world: World, count: int) -> None:
    store = world.store()
    whole = {run.path: complete(run) for run in runs_of(store)}
    prune(store, count)
    held = {entry.path for folder in store.walk(stat=False) for entry in folder.entries}
    for own in filter(None, whole.values()):
        assert any(held.issuperset(entry.path for entry in it.entries) for it in own)


def complete(run: Run) -> list[Checkpoint]:
    return [it for it in run.checkpoints if it.state == "complete"]


@many
@given(worlds(), COUNTS)
def test_a_second_prune_does_nothing(world: World, count: int) -> None:
    store = world.store()
    prune(store, count)
    left = files_in(store)
    assert prune(store, count) == set()
    assert files_in(store) == left


@few
@given(worlds(), st.randoms(use_true_random=False))
def test_the_order_in_which_files_were_made_does_not_matter(world: World, chance: random.Random) -> None:
    order = sorted(world.files)
    chance.shuffle(order)
    seen = []
    for paths in (list(world.files), order):
        with TemporaryDirectory() as root:
            _write(world, paths, root)
            seen.append([_tell(run) for run in runs_of(open_url(root))])
    assert seen[0] == seen[1]


def _write(world: World, paths: Sequence[str], root: str) -> None:
    for path in paths:
        os.makedirs(os.path.dirname(f"{root}/{path}"), exist_ok=True)
        with open(f"{root}/{path}", "wb") as file:
            file.write(world.files[path])
    for path, target in world.links.items():
        os.makedirs(os.path.dirname(f"{root}/{path}"), exist_ok=True)
        os.symlink(target, f"{root}/{path}")
    for folder, _, names in os.walk(root, topdown=False):
        for name in (*names, ""):
            path = os.path.relpath(f"{folder}/{name}", root)
            moment = NOW - world.ages.get(path, 48) * HOUR
            os.utime(f"{folder}/{name}", ns=(moment, moment), follow_symlinks=not name)


def _tell(run: Run) -> tuple[object, ...]:
    """A run but for what the file system numbers."""
    held = [
        (
            checkpoint.path,
            checkpoint.layout,
            checkpoint.state,
            checkpoint.note,
            checkpoint.epoch,
            checkpoint.step,
            checkpoint.roles,
            checkpoint.aliases,
            repr(sorted(checkpoint.metrics.items())),
        )
        for checkpoint in run.checkpoints
    ]
    return run.path, held, run.pointers, run.strays, run.monitor, run.mode, run.notices, run.rosters


def test_each_tree_is_whole_in_a_world_of_its_own() -> None:
    """Else the laws might hold because nothing is found."""
    for tree in (it for it in TREES if not it.hard_links):
        found = {it.path: it.state for run in runs_of(in_order_of(tree).store()) for it in run.checkpoints}
        assert found == {it.path: it.state for it in tree.expected}


@pytest.mark.parametrize("count", [1, 2])
def test_the_trees_have_something_to_lose(count: int) -> None:
    """Else the laws might hold because nothing goes."""
    losing = sum(bool(prune(in_order_of(tree).store(), count)) for tree in TREES)
    assert losing > len(TREES) / 4


def in_order_of(tree: Tree) -> World:
    """A tree as it is, each save an hour younger than the one before."""
    saves = [frozenset(files_of(tree, place)) for place in range(len(tree.expected))]
    ages = {path: 30 - place for place, save in enumerate(saves) for path in save}
    return World(tree.files, tree.links, dict.fromkeys(tree.files, 48) | ages, saves)
