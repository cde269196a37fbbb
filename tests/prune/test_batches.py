"""What a plan becomes before any of it is done: a number, a place and a mark for each, and the lists to correct."""

from __future__ import annotations

import posixpath

import pytest

from ckptctl.core.model import Entry, EntryKind
from ckptctl.core.retention.plan import Plan, plan_run
from ckptctl.core.retention.policy import Policy
from ckptctl.core.retention.rules import KeepLast
from ckptctl.core.units import QUIET
from ckptctl.prune.batches import Batch, MoveTask, parts_of, prepare_batches
from ckptctl.scan.runs import Options, scan
from tests.core.samples import NOW, run_of, save
from tests.prune.test_apply import FAMILY, RANKS, STATE, WHOLE
from tests.stores.memory import MemoryStore

SHARDS = {f"s/epoch={n}.ckpt/{name}": b"x" for n in range(3) for name in ("meta.pt", ".metadata", "deep/x")}
LISTED = {**FAMILY, "r/checkpoint": STATE}


def plan_of(store: MemoryStore) -> Plan:
    policy, now = Policy((KeepLast(1),)), store.clock() + QUIET
    return Plan(policy, tuple(plan_run(run, policy, now) for run in scan(store, Options(now=now))))


def prepared(files: dict[str, bytes]) -> list[Batch]:
    store = MemoryStore(files)
    return list(prepare_batches(plan_of(store), store, "t"))


def tasks_of(files: dict[str, bytes]) -> list[MoveTask]:
    return [task for batch in prepared(files) for task in batch.tasks]


def test_each_of_all_runs_has_a_number_and_a_place_of_its_own() -> None:
    tasks = tasks_of({f"{run}/epoch={n}.ckpt": WHOLE for run in "abc" for n in range(3)})
    assert [(task.verdict.path[0], task.number) for task in tasks] == list(zip("aabbcc", range(6), strict=True))
    assert [part.place for task in tasks for part in task.item.parts] == [f".ckptctl/trash/t/{n}" for n in range(6)]


def test_parts_of_one_are_numbered_below_its_number() -> None:
    places = [[part.place for part in task.item.parts] for task in tasks_of(FAMILY)]
    assert places == [[f".ckptctl/trash/t/{n}.{part}" for part in range(3)] for n in (0, 1)]


def test_a_run_of_which_nothing_goes_is_passed_over() -> None:
    assert [batch.run.path for batch in prepared({"a/epoch=0.ckpt": WHOLE, **SHARDS})] == ["s"]


def test_lists_are_numbered_over_all_runs_and_hold_what_stays() -> None:
    files = {path.replace("r/", f"{run}/", 1): data for run in "abc" for path, data in LISTED.items()}
    lists = [it for batch in prepared(files) for it in batch.lists]
    assert [listed.place for listed, _, _ in lists] == [f".ckptctl/trash/t/list.{n}" for n in range(3)]
    assert [listed.path for listed, _, _ in lists] == [entry.path for _, entry, _ in lists]
    assert all(b"ckpt-3" in data and b"ckpt-1" not in data for _, _, data in lists)


def test_lists_of_one_run_have_a_place_each() -> None:
    store = MemoryStore({**LISTED, "r/older": STATE})
    plan = plan_of(store)
    (roster,) = plan.runs[0].rosters
    both = plan.runs[0]._replace(rosters=(roster, roster._replace(path="r/older")))
    (batch,) = prepare_batches(plan._replace(runs=(both,)), store, "t")
    told = [(listed.path, listed.place) for listed, _, _ in batch.lists]
    assert told == [("r/checkpoint", ".ckptctl/trash/t/list.0"), ("r/older", ".ckptctl/trash/t/list.1")]


def test_a_list_that_names_nothing_of_what_goes_is_left_alone() -> None:
    store = MemoryStore(LISTED)
    plan = plan_of(store)
    (roster,) = plan.runs[0].rosters
    of_newest = roster._replace(names=tuple(it for it in roster.names if it[1] == "r/ckpt-3"))
    (batch,) = prepare_batches(plan._replace(runs=(plan.runs[0]._replace(rosters=(of_newest,)),)), store, "t")
    assert (len(of_newest.names), len(batch.tasks), batch.lists, batch.trouble) == (1, 2, (), None)


@pytest.mark.parametrize(
    ("files", "path", "marker"),
    [
        pytest.param({f"r/epoch={n}.ckpt": WHOLE for n in (0, 1)}, "r/epoch=0.ckpt", "", id="a file needs none"),
        pytest.param(SHARDS, "s/epoch=0.ckpt", "", id="nor does a folder"),
        pytest.param(FAMILY, "r/ckpt-1", "", id="a framework that knows no mark"),
        pytest.param(RANKS, "r/m--val_loss=2.5-step=0", "r/m--val_loss=2.5-step=0-unfinished", id="one that does"),
        pytest.param(
            {path[2:]: data for path, data in RANKS.items()},
            "m--val_loss=2.5-step=0",
            "m--val_loss=2.5-step=0-unfinished",
            id="in the root",
        ),
    ],
)
def test_only_what_consists_of_several_has_the_frameworks_mark(files: dict[str, bytes], path: str, marker: str) -> None:
    item = tasks_of(files)[0].item
    assert (item.path, item.marker) == (path, marker)


def test_a_family_in_the_root_is_known_by_its_name() -> None:
    assert [it.item.path for it in tasks_of({posixpath.basename(path): FAMILY[path] for path in FAMILY})] == [
        "ckpt-1",
        "ckpt-2",
    ]


def test_a_folder_is_moved_with_all_that_lies_in_it_and_a_file_with_nothing() -> None:
    ((top, inside, place),) = parts_of(tasks_of(SHARDS)[0])
    assert (top.path, top.kind, place) == ("s/epoch=0.ckpt", "dir", ".ckptctl/trash/t/0")
    assert sorted(it.path for it in inside) == [f"{top.path}/{it}" for it in (".metadata", "deep", "deep/x", "meta.pt")]
    assert {inside for _, inside, _ in parts_of(tasks_of(FAMILY)[0])} == {()}


def test_of_several_folders_each_is_moved_with_what_lies_in_it() -> None:
    kinds: dict[str, EntryKind] = {"r/a": "dir", "r/a/x": "file", "r/ab": "dir", "r/ab/y": "file", "r/b": "file"}
    entries = tuple(Entry(path, kind, 1, 0, (0, n)) for n, (path, kind) in enumerate(kinds.items()))
    run = run_of(save("r/a", step=1)._replace(unit="family", entries=entries), save("r/c", step=2))
    policy = Policy((KeepLast(1),))
    ((task,),) = (it.tasks for it in prepare_batches(Plan(policy, (plan_run(run, policy, NOW),)), MemoryStore(), "t"))
    found = [(top.path, [it.path for it in inside]) for top, inside, _ in parts_of(task)]
    assert found == [("r/a", ["r/a/x"]), ("r/ab", ["r/ab/y"]), ("r/b", [])]
