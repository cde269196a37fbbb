"""What happens when a plan is carried out: to what goes, to what changed meanwhile, and to everything else."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ckptctl.core.model import Entry, Roster, Stray, relocate
from ckptctl.core.retention.plan import Plan, Verdict, plan_run
from ckptctl.core.retention.policy import Policy
from ckptctl.core.retention.rules import KeepLast, TopK
from ckptctl.core.transaction import Failure, Outcome
from ckptctl.core.units import QUIET
from ckptctl.errors import Refused, StorageFailed
from ckptctl.formats.torch_writer import encode_torch
from ckptctl.prune.apply import MOST_BYTES_WAITING, MOST_WAITING, ApplyCallbacks, ApplyOptions, apply
from ckptctl.prune.journal import TRASH
from ckptctl.scan.runs import Options, scan
from ckptctl.stores import EntryChanged, StoreView
from ckptctl.stores.local import LocalStore, open_url
from tests.core.samples import run_of
from tests.stores.memory import MemoryStore

WHOLE = encode_torch({"state_dict": {}})
NAMES = [f"r/epoch={n}-val_loss=0.{5 - n}.ckpt" for n in range(4)]
"""The last is the best."""


def store_of(names: list[str] | None = None) -> MemoryStore:
    return MemoryStore(dict.fromkeys(NAMES if names is None else names, WHOLE) | {"r/notes.txt": b"mine"})


def plan_of(store: MemoryStore, *, keep: int = 1) -> Plan:
    policy = Policy((KeepLast(keep),))
    options = Options(now=store.clock() + QUIET)
    return Plan(policy, tuple(plan_run(run, policy, options.now) for run in scan(store, options)))


def files(store: MemoryStore) -> set[str]:
    return {it.path for folder in store.walk(stat=False) for it in folder.entries if it.kind == "file"}


def has_trash(store: MemoryStore) -> bool:
    try:
        store.stat(TRASH)
    except FileNotFoundError:
        return False
    return True


# What goes


def test_exactly_what_was_planned_goes() -> None:
    store = store_of()
    outcome = apply(plan_of(store, keep=2), store, ApplyOptions("t"))
    assert outcome == Outcome("t", tuple(NAMES[:2]), freed=2 * len(WHOLE))
    assert files(store) == {*NAMES[2:], "r/notes.txt"}
    assert outcome.is_whole


def test_nothing_is_left_in_the_trash_and_the_trash_goes() -> None:
    store = store_of()
    apply(plan_of(store), store, ApplyOptions("t"))
    with pytest.raises(FileNotFoundError):
        store.stat(".ckptctl")


def test_what_else_lies_in_the_trash_stays() -> None:
    store = store_of()
    store.write(f"{TRASH}/older/0", b"left by a crash")
    apply(plan_of(store), store, ApplyOptions("t"))
    assert store.stat(f"{TRASH}/older/0").size == len(b"left by a crash")
    with pytest.raises(FileNotFoundError):
        store.stat(f"{TRASH}/t")


def test_a_plan_that_drops_nothing_touches_nothing() -> None:
    store = store_of()
    before = store.clock()
    assert apply(plan_of(store, keep=-1), store, ApplyOptions("t")) == Outcome("t")
    assert store.clock() == before
    assert not has_trash(store)


def test_a_folder_goes_whole() -> None:
    folders = {f"r/epoch={n}.ckpt/{name}": b"x" for n in range(3) for name in ("meta.pt", ".metadata", "deep/x")}
    store = MemoryStore(folders)
    outcome = apply(plan_of(store), store, ApplyOptions("t"))
    assert outcome.dropped == ("r/epoch=0.ckpt", "r/epoch=1.ckpt")
    assert outcome.freed == 6
    assert {it.partition(".ckpt")[0] for it in files(store)} == {"r/epoch=2"}


def test_checkpoints_of_one_name_in_two_runs_go_apart() -> None:
    store = store_of([f"{run}/epoch={n}.ckpt" for run in "ab" for n in range(2)])
    outcome = apply(plan_of(store), store, ApplyOptions("t"))
    assert outcome.dropped == ("a/epoch=0.ckpt", "b/epoch=0.ckpt")


def test_each_that_went_is_told_at_once() -> None:
    store = store_of()
    told: list[tuple[str, bool]] = []

    def tell(verdict: Verdict) -> None:
        told.append((verdict.path, verdict.path in files(store)))

    apply(plan_of(store), store, ApplyOptions("t"), ApplyCallbacks(tell))
    assert told == [(name, False) for name in NAMES[:3]]


# What does not


CHANGES: dict[str, Callable[[MemoryStore, str], None]] = {
    "rewritten": lambda store, path: store.write(path, WHOLE),
    "grown": lambda store, path: store.write(path, WHOLE + b"x"),
    "a link now": lambda store, path: store.link(path, "epoch=3-val_loss=0.2.ckpt"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_changed_since_the_plan_stays(change: Callable[[MemoryStore, str], None]) -> None:
    store = store_of()
    plan = plan_of(store)
    change(store, NAMES[1])
    outcome = apply(plan, store, ApplyOptions("t"))
    assert outcome.dropped == (NAMES[0], NAMES[2])
    assert outcome.skipped == (Failure(NAMES[1], "changed since the plan"),)
    assert store.stat(NAMES[1])
    assert not has_trash(store)


def test_what_is_gone_since_the_plan_is_named() -> None:
    store = store_of()
    plan = plan_of(store)
    store.delete_exact(store.stat(NAMES[1]))
    outcome = apply(plan, store, ApplyOptions("t"))
    assert outcome.skipped == (Failure(NAMES[1], "gone since the plan"),)
    assert len(outcome.dropped) == 2


@pytest.mark.parametrize("inside", ["meta.pt", "deep/x", "deep/new", "new"])
def test_a_folder_in_which_anything_changed_stays_whole(inside: str) -> None:
    folders = {f"r/epoch={n}.ckpt/{name}": b"x" for n in range(2) for name in ("meta.pt", ".metadata", "deep/x")}
    store = MemoryStore(folders)
    plan = plan_of(store)
    store.write(f"r/epoch=0.ckpt/{inside}", b"changed")
    before = files(store)
    outcome = apply(plan, store, ApplyOptions("t"))
    assert outcome.skipped == (Failure("r/epoch=0.ckpt", "changed since the plan"),)
    assert files(store) == before


def test_a_folder_that_is_gone_is_named() -> None:
    store = MemoryStore({f"r/epoch={n}.ckpt/{name}": b"x" for n in range(2) for name in ("meta.pt", ".metadata")})
    plan = plan_of(store)
    store.delete_exact(store.stat("r/epoch=0.ckpt"))
    assert apply(plan, store, ApplyOptions("t")).skipped == (Failure("r/epoch=0.ckpt", "gone since the plan"),)


def test_a_stray_in_a_plan_is_passed_over() -> None:
    store = store_of()
    run = plan_run(run_of(strays=[Stray("r/notes.txt", "why")]), Policy((TopK(1),)), 0)
    verdicts = tuple(it._replace(action="drop") for it in run.verdicts)
    outcome = apply(Plan(Policy(()), (run._replace(verdicts=verdicts),)), store, ApplyOptions("t"))
    assert outcome == Outcome("t")
    assert "r/notes.txt" in files(store)


def test_where_it_is_stopped_the_rest_stays_and_is_named() -> None:
    store = store_of()
    asked = iter([False, False, True, True])
    outcome = apply(plan_of(store), store, ApplyOptions("t"), ApplyCallbacks(stop=lambda: next(asked)))
    assert outcome.dropped == (NAMES[0],)
    assert outcome.skipped == tuple(Failure(name, "stopped before it") for name in NAMES[1:3])
    assert files(store) == {*NAMES[1:], "r/notes.txt"}
    assert not has_trash(store)


def test_what_another_process_has_open_stays_unless_it_is_to_go_all_the_same() -> None:
    class Used(MemoryStore):
        def in_use(self) -> frozenset[object]:
            return frozenset({self.stat(NAMES[1]).identity})

    store = Used(dict.fromkeys(NAMES, WHOLE))
    outcome = apply(plan_of(store), store, ApplyOptions("t"))
    assert outcome.skipped == (Failure(NAMES[1], "another process has it open"),)
    assert outcome.dropped == (NAMES[0], NAMES[2])
    assert apply(plan_of(store), store, ApplyOptions("u", takes_open=True)).dropped == (NAMES[1],)


def test_what_somebody_writes_to_goes_back_to_its_place() -> None:
    class Written(MemoryStore):
        def is_being_written(self, entry: Entry) -> bool:
            return entry.path == f"{TRASH}/t/1"

    store = Written(dict.fromkeys(NAMES, WHOLE))
    outcome = apply(plan_of(store), store, ApplyOptions("t"))
    assert outcome.skipped == (Failure(NAMES[1], "somebody is writing to it"),)
    assert (outcome.dropped, outcome.failed) == ((NAMES[0], NAMES[2]), ())
    assert files(store) == {NAMES[1], NAMES[3]}
    assert not has_trash(store)


# When the disk refuses


class Refusing(MemoryStore):
    """A store in which one thing fails."""

    fails_to = ""
    path = ""

    def _fail(self, what: str, path: str) -> None:
        if what == self.fails_to and self.path in path:
            raise OSError(errno.EIO, os.strerror(errno.EIO), path)

    def make_folder(self, path: str) -> None:
        self._fail("make", path)
        super().make_folder(path)

    def rename(self, entry: Entry, path: str) -> None:
        self._fail("rename", entry.path)
        super().rename(entry, path)

    def delete_exact(self, entry: Entry, *, only_empty: bool = False) -> None:
        self._fail("delete", entry.path)
        super().delete_exact(entry, only_empty=only_empty)

    def stat(self, path: str) -> Entry:
        self._fail("stat", path)
        return super().stat(path)


def refusing(what: str, path: str = "") -> Refusing:
    store = Refusing(dict.fromkeys(NAMES, WHOLE))
    store.fails_to, store.path = what, path
    return store


def test_what_cannot_be_moved_stays_in_place_and_is_named() -> None:
    store = refusing("rename", NAMES[1])
    outcome = apply(plan_of(store), store, ApplyOptions("t"))
    assert outcome.failed == (Failure(NAMES[1], "Input/output error: left in place"),)
    assert outcome.dropped == (NAMES[0], NAMES[2])
    assert files(store) == {NAMES[1], NAMES[3]}


def test_what_cannot_be_removed_lies_in_the_trash_and_is_named() -> None:
    store = refusing("delete", f"{TRASH}/t/1")
    outcome = apply(plan_of(store), store, ApplyOptions("t"))
    assert outcome.failed == (Failure(NAMES[1], f"Input/output error: moved to {TRASH}/t/1, not removed"),)
    assert outcome.dropped == (NAMES[0], NAMES[2])
    assert outcome.freed == 2 * len(WHOLE)
    assert store.stat(f"{TRASH}/t/1").size == len(WHOLE)


def test_what_was_moved_although_the_move_seemed_to_fail_is_put_back() -> None:
    """A file server may do it and lose the answer; or the look right after the rename fails."""

    class Late(MemoryStore):
        def rename(self, entry: Entry, path: str) -> None:
            super().rename(entry, path)
            if entry.path == NAMES[1]:
                raise OSError(errno.EIO, os.strerror(errno.EIO), path)

    store = Late(dict.fromkeys(NAMES, WHOLE))
    outcome = apply(plan_of(store), store, ApplyOptions("t"))
    assert outcome.failed == (Failure(NAMES[1], "Input/output error: left in place"),)
    assert files(store) == {NAMES[1], NAMES[3]}
    assert not has_trash(store)


def test_where_nobody_can_tell_whether_it_was_moved_it_is_not_said_to_be_in_place() -> None:
    class Blind(MemoryStore):
        stuck = False

        def rename(self, entry: Entry, path: str) -> None:
            if entry.path == NAMES[1]:
                self.stuck = True
                raise OSError(errno.EIO, os.strerror(errno.EIO), path)
            super().rename(entry, path)

        def stat(self, path: str) -> Entry:
            if self.stuck and path == f"{TRASH}/t/1":
                raise OSError(errno.EIO, os.strerror(errno.EIO), path)
            return super().stat(path)

    store = Blind(dict.fromkeys(NAMES, WHOLE))
    outcome = apply(plan_of(store), store, ApplyOptions("t"))
    assert outcome.failed == (Failure(NAMES[1], f"Input/output error: moved to {TRASH}/t/1, not removed"),)


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (OSError(errno.EIO, "the disk fails"), "the disk fails"),
        (OSError(errno.ENOSPC, "it is full"), "it is full"),
        (OSError("odd"), "odd"),
    ],
    ids=repr,
)
def test_what_an_earlier_run_left_and_cannot_be_looked_at_keeps_everything_in_place(error: OSError, why: str) -> None:
    class Unreadable(MemoryStore):
        def contents(self, folder: str) -> list[Entry]:
            if folder == TRASH:
                raise error
            return super().contents(folder)

    store = Unreadable(dict.fromkeys(NAMES, WHOLE))
    with pytest.raises(StorageFailed) as caught:
        apply(plan_of(store), store, ApplyOptions("t"))
    assert caught.value.text == f"what an earlier run left cannot be put in order: {why}"
    assert (caught.value.path, caught.value.done, caught.value.hint) == (TRASH, "nothing was changed", None)
    assert files(store) == set(NAMES)


ALL = 2 * MOST_WAITING + 1


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        pytest.param(ApplyOptions("t"), [MOST_WAITING, MOST_WAITING, 1], id="deleting"),
        pytest.param(ApplyOptions("t", keeps=True), [ALL], id="what is to be kept waits for the end"),
    ],
)
def test_more_than_are_moved_at_once_go_in_several_turns(order: ApplyOptions, expected: list[int]) -> None:
    names = [f"r/epoch={n}.ckpt" for n in range(ALL + 1)]
    turns: list[int] = []

    class Counting(MemoryStore):
        def sync(self, folders: Iterable[str]) -> None:
            turns.append(sum(it.path.rpartition("/")[2].isdigit() for it in self.contents(f"{TRASH}/t")))
            super().sync(folders)

    store = Counting(dict.fromkeys(names, WHOLE))
    assert len(apply(plan_of(store), store, order).dropped) == ALL
    assert turns == expected


class Full(MemoryStore):
    """A disk that has no space for a folder while more than so many files are there."""

    most = 3
    code = errno.ENOSPC

    def make_folder(self, path: str) -> None:
        if len(files(self)) > self.most and path.startswith(".ckptctl"):
            raise OSError(self.code, os.strerror(self.code), path)
        super().make_folder(path)


@pytest.mark.parametrize("most", [0, 1, 2, 3])
def test_on_a_full_disk_single_files_go_one_by_one_until_there_is_space_for_a_journal(most: int) -> None:
    store = Full(dict.fromkeys(NAMES, WHOLE))
    store.most = most
    outcome = apply(plan_of(store), store, ApplyOptions("t"))
    assert outcome == Outcome("t", tuple(NAMES[:3]), freed=3 * len(WHOLE))
    assert files(store) == {NAMES[3]}


def test_a_quota_that_is_used_up_is_a_full_disk() -> None:
    store = Full(dict.fromkeys(NAMES, WHOLE))
    store.code = errno.EDQUOT
    assert apply(plan_of(store), store, ApplyOptions("t")).dropped == tuple(NAMES[:3])


def test_on_a_full_disk_nothing_goes_alone_that_frees_nothing() -> None:
    store = Full(dict.fromkeys(NAMES, WHOLE))
    plan = plan_of(store)
    idle = plan.runs[0]._replace(verdicts=tuple(it._replace(frees=0) for it in plan.runs[0].verdicts))
    with pytest.raises(StorageFailed):
        apply(plan._replace(runs=(idle,)), store, ApplyOptions("t"))
    assert files(store) == set(NAMES)


def test_on_a_full_disk_what_changed_since_the_plan_stays() -> None:
    store = Full(dict.fromkeys(NAMES, WHOLE))
    plan = plan_of(store)
    store.write(NAMES[0], WHOLE + b"x")
    outcome = apply(plan, store, ApplyOptions("t"))
    assert outcome.dropped == (NAMES[1], NAMES[2])
    assert files(store) == {NAMES[0], NAMES[3]}


FULL = {
    "what is to be kept in the trash": (dict.fromkeys(NAMES, WHOLE), ApplyOptions("t", keeps=True)),
    "folders": (
        {f"r/epoch={n}.ckpt/{name}": b"x" for n in range(3) for name in ("meta.pt", ".metadata")},
        ApplyOptions("t"),
    ),
}


@pytest.mark.parametrize(("held", "order"), FULL.values(), ids=FULL)
def test_on_a_full_disk_nothing_else_goes_without_a_journal(held: dict[str, bytes], order: ApplyOptions) -> None:
    store = Full(held)
    store.most = 0
    with pytest.raises(StorageFailed, match="no lock can be written") as caught:
        apply(plan_of(store), store, order)
    assert caught.value.exit_code == 9
    assert files(store) == set(held)


def test_on_a_full_disk_what_could_go_is_counted_and_the_rest_is_named() -> None:
    store = Full(dict.fromkeys(NAMES, WHOLE) | {f"s/epoch={n}.ckpt/{it}": b"x" for n in (0, 1) for it in FOLDER})
    store.most = 0
    outcome = apply(plan_of(store), store, ApplyOptions("t"))
    assert outcome.dropped == tuple(NAMES[:3])
    assert [it.path for it in outcome.failed] == ["s/epoch=0.ckpt"]


class FullAndHeld(Full):
    """Another prune is at work in every run of it."""

    @contextmanager
    def hold(self, folder: str) -> Iterator[bool]:
        with super().hold(folder):
            yield False


class FullAndUsed(Full):
    """Another process has all of it open."""

    def in_use(self) -> frozenset[object]:
        return frozenset(self.stat(path).identity for path in files(self))


@pytest.mark.parametrize("kind", [FullAndHeld, FullAndUsed])
def test_on_a_full_disk_what_somebody_is_at_work_on_stays(kind: type[Full]) -> None:
    store = kind(dict.fromkeys(NAMES, WHOLE))
    with pytest.raises(StorageFailed):
        apply(plan_of(store), store, ApplyOptions("t"))
    assert files(store) == set(NAMES)


def test_on_a_full_disk_nothing_goes_that_a_list_of_trainings_names() -> None:
    store = Full(dict.fromkeys(NAMES, WHOLE))
    plan = plan_of(store)
    roster = Roster("r/list", "textproto", (("0", NAMES[0]),))
    with pytest.raises(StorageFailed):
        apply(plan._replace(runs=(plan.runs[0]._replace(rosters=(roster,)),)), store, ApplyOptions("t"))
    assert files(store) == set(NAMES)


def test_where_there_is_space_for_the_lock_and_none_for_the_journal_a_hint_says_so() -> None:
    class Fuller(Full):
        def make_folder(self, path: str) -> None:
            if path == f"{TRASH}/t":
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
            MemoryStore.make_folder(self, path)

    store = Fuller(FAMILY)
    with pytest.raises(StorageFailed) as caught:
        apply(plan_of(store), store, ApplyOptions("t"))
    assert caught.value.text == "no journal can be written there: No space left on device"
    assert (caught.value.path, caught.value.hint) == (f"{TRASH}/t", "free some space by hand first")
    assert not has_trash(store)


def test_on_a_full_disk_what_somebody_writes_to_stays_under_its_name() -> None:
    class Busy(Full):
        def is_being_written(self, entry: Entry) -> bool:
            return ".ckptctl-t" in entry.path

    store = Busy(dict.fromkeys(NAMES, WHOLE))
    with pytest.raises(StorageFailed):
        apply(plan_of(store), store, ApplyOptions("t"))
    assert files(store) == set(NAMES)


FOLDER = ("meta.pt", ".metadata")


class Mute(MemoryStore):
    """A store in which the journal cannot be written after so many records."""

    records = 1

    def add(self, path: str, end: int, data: bytes) -> None:
        self.records -= 1
        if self.records < 0:
            raise OSError(errno.EIO, os.strerror(errno.EIO), path)
        super().add(path, end, data)


@pytest.mark.parametrize("keeps", [False, True], ids=["deleting", "setting aside"])
def test_where_the_journal_cannot_say_what_was_done_all_goes_back_and_is_named(keeps: bool) -> None:
    store = Mute(dict.fromkeys(NAMES, WHOLE))
    outcome = apply(plan_of(store), store, ApplyOptions("t", keeps=keeps))
    why = "the journal cannot be written: Input/output error: left in place"
    assert (outcome.dropped, set(outcome.failed)) == ((), {Failure(name, why) for name in NAMES[:3]})
    assert files(store) == set(NAMES)
    assert not has_trash(store)


def test_where_the_journal_cannot_go_on_what_was_not_begun_is_named_too_and_each_only_once() -> None:
    names = [f"r/epoch={n}.ckpt" for n in range(ALL + 1)]
    store = Mute(dict.fromkeys(names, WHOLE))
    outcome = apply(plan_of(store), store, ApplyOptions("t"))
    why = "the journal cannot be written: Input/output error"
    assert (len(outcome.failed), {it.why for it in outcome.failed}) == (MOST_WAITING, {f"{why}: left in place"})
    assert outcome.skipped == tuple(Failure(name, why) for name in names[MOST_WAITING:ALL])
    assert {it.path for it in outcome.failed} == set(names[:MOST_WAITING])
    assert files(store) == set(names)


def test_a_journal_of_which_not_even_the_beginning_can_be_written_leaves_nothing_behind() -> None:
    store = Mute(dict.fromkeys(NAMES, WHOLE))
    store.records = 0
    with pytest.raises(StorageFailed, match="no journal can be written there"):
        apply(plan_of(store), store, ApplyOptions("t"))
    assert files(store) == set(NAMES)
    assert not has_trash(store)


def test_where_nothing_went_the_journal_says_nothing_of_it() -> None:
    store = Mute(dict.fromkeys(NAMES, WHOLE))
    plan = plan_of(store)
    for name in NAMES[:3]:
        store.write(name, WHOLE)
    outcome = apply(plan, store, ApplyOptions("t", keeps=True))
    assert {it.why for it in outcome.skipped} == {"changed since the plan"}
    assert store.records == 0


@pytest.mark.parametrize(
    ("path", "text", "where"),
    [
        (".ckptctl", "no lock can be written there", ".ckptctl/lock"),
        ("trash/t", "no journal can be written there", f"{TRASH}/t"),
    ],
)
def test_where_nothing_can_be_written_nothing_goes(path: str, text: str, where: str) -> None:
    store = refusing("make", path)
    with pytest.raises(StorageFailed) as caught:
        apply(plan_of(store), store, ApplyOptions("t"))
    assert caught.value.text == f"{text}: Input/output error"
    assert (caught.value.path, caught.value.done, caught.value.hint) == (where, "nothing was changed", None)
    assert files(store) == set(NAMES)


def test_an_identifier_that_was_used_before_deletes_nothing_of_before() -> None:
    store = store_of()
    store.write(f"{TRASH}/t/0", b"somebody's")
    outcome = apply(plan_of(store), store, ApplyOptions("t"))
    assert outcome.failed == (Failure(NAMES[0], "File exists: left in place"),)
    assert store.stat(f"{TRASH}/t/0").size == len(b"somebody's")


def test_a_store_that_is_read_only_is_refused_even_with_nothing_to_do() -> None:
    store = store_of()
    with pytest.raises(Refused, match="object stores are read-only") as caught:
        apply(plan_of(store, keep=-1), StoreView(store), ApplyOptions("t"))
    assert caught.value.id == "read-only-store"


# On a real disk


def test_a_real_prune_removes_files_and_folders_and_leaves_links_alone(tmp_path: Path) -> None:
    outside = tmp_path / "outside.ckpt"
    outside.write_bytes(b"precious")
    run = tmp_path / "run"
    run.mkdir()
    for n in range(4):
        (run / f"epoch={n}.ckpt").write_bytes(WHOLE)
    (run / "epoch=9.ckpt").symlink_to(outside)
    (run / "best.ckpt").symlink_to("epoch=1.ckpt")
    store = open_url(str(run))
    policy = Policy((KeepLast(1),))
    plan = Plan(policy, tuple(plan_run(it, policy, 0) for it in scan(store, Options())))
    outcome = apply(plan, store, ApplyOptions("t"))
    assert outcome.dropped == ("epoch=0.ckpt", "epoch=2.ckpt")
    assert sorted(os.listdir(run)) == ["best.ckpt", "epoch=1.ckpt", "epoch=3.ckpt", "epoch=9.ckpt"]
    assert outside.read_bytes() == b"precious"


def test_a_real_file_that_grows_after_the_plan_stays(tmp_path: Path) -> None:
    for n in range(2):
        (tmp_path / f"epoch={n}.ckpt").write_bytes(WHOLE)
    store = open_url(str(tmp_path))
    policy = Policy((KeepLast(1),))
    plan = Plan(policy, tuple(plan_run(it, policy, 0) for it in scan(store, Options())))
    with (tmp_path / "epoch=0.ckpt").open("ab") as file:
        file.write(b"more")
    assert apply(plan, store, ApplyOptions("t")).skipped == (Failure("epoch=0.ckpt", "changed since the plan"),)
    assert sorted(os.listdir(tmp_path)) == ["epoch=0.ckpt", "epoch=1.ckpt"]


def shards(folder: Path, count: int) -> LocalStore:
    """A store of sharded checkpoints, each a folder with a folder in it."""
    for n in range(count):
        for name in ("meta.pt", ".metadata", "deep/x"):
            path = folder / f"epoch={n}.ckpt" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"x")
    return open_url(str(folder))


def plan_on(store: LocalStore) -> Plan:
    policy = Policy((KeepLast(1),))
    return Plan(policy, tuple(plan_run(it, policy, 0) for it in scan(store, Options())))


def test_many_bytes_are_removed_before_more_are_moved(tmp_path: Path) -> None:
    turns: list[int] = []

    class Counting(LocalStore):
        def sync(self, folders: Iterable[str]) -> None:
            turns.append(len(self.contents(f"{TRASH}/t")) - 1)
            super().sync(folders)

    shards(tmp_path, 4)
    for n in range(4):
        with (tmp_path / f"epoch={n}.ckpt" / "deep" / "x").open("wb") as file:
            file.truncate(MOST_BYTES_WAITING // 2 - 2)  # beside two files of a byte each
    store = Counting(str(tmp_path), str(tmp_path))
    assert len(apply(plan_on(store), store, ApplyOptions("t")).dropped) == 3
    assert turns == [2, 1]


@pytest.mark.parametrize("name", ["new", "deep/new", "deep/x"])
def test_a_folder_that_is_written_to_in_the_moment_of_its_move_goes_back_whole(tmp_path: Path, name: str) -> None:
    class Late(LocalStore):
        """A store behind which training writes into a folder right before it is moved."""

        def rename(self, entry: Entry, path: str) -> None:
            if entry.path == "epoch=0.ckpt":
                times = os.stat(tmp_path / entry.path)
                (tmp_path / entry.path / name).write_bytes(b"late")
                os.utime(tmp_path / entry.path, ns=(times.st_atime_ns, times.st_mtime_ns))
            super().rename(entry, path)

    shards(tmp_path, 3)
    store = Late(str(tmp_path), str(tmp_path))
    outcome = apply(plan_on(store), store, ApplyOptions("t"))
    assert outcome.skipped == (Failure("epoch=0.ckpt", "changed since the plan"),)
    assert outcome.dropped == ("epoch=1.ckpt",)
    assert (tmp_path / "epoch=0.ckpt" / name).read_bytes() == b"late"
    assert sorted(os.listdir(tmp_path)) == ["epoch=0.ckpt", "epoch=2.ckpt"]


def test_what_was_written_to_and_cannot_go_back_lies_in_the_trash_and_is_named() -> None:
    class Written(Refusing):
        """A store in which everything is written to in the moment of its move."""

        def check(self, entry: Entry, inside: Iterable[Entry] = ()) -> None:
            if entry.path.startswith(TRASH):
                raise EntryChanged(errno.ESTALE, "changed", entry.path)
            super().check(entry, inside)

    store = Written(dict.fromkeys(NAMES, WHOLE))
    store.fails_to, store.path = "rename", TRASH
    outcome = apply(plan_of(store), store, ApplyOptions("t"))
    assert outcome.dropped == ()
    assert outcome.failed[0] == Failure(NAMES[0], f"changed: moved to {TRASH}/t/0, not removed")
    assert store.stat(f"{TRASH}/t/0").size == len(WHOLE)


def test_nothing_goes_of_a_run_that_cannot_be_looked_at() -> None:
    store = refusing("nothing", NAMES[3])
    plan = plan_of(store)
    store.fails_to = "stat"
    outcome = apply(plan, store, ApplyOptions("t"))
    assert outcome.dropped == ()
    assert outcome.skipped[0] == Failure(NAMES[0], "its run cannot be looked at: Input/output error")
    store.fails_to = ""
    assert files(store) == set(NAMES)


def test_an_error_without_a_number_is_told_by_its_text() -> None:
    class Odd(MemoryStore):
        is_odd = False

        def stat(self, path: str) -> Entry:
            if self.is_odd and path == NAMES[3]:
                raise OSError("the server is odd")
            return super().stat(path)

    store = Odd(dict.fromkeys(NAMES, WHOLE))
    plan = plan_of(store)
    store.is_odd = True
    outcome = apply(plan, store, ApplyOptions("t"))
    assert outcome.skipped[0].why == "its run cannot be looked at: the server is odd"


def test_nothing_goes_of_a_run_that_lost_what_was_to_stay() -> None:
    store = store_of([*NAMES, "s/epoch=0.ckpt", "s/epoch=1.ckpt"])
    plan = plan_of(store)
    store.delete_exact(store.stat(NAMES[3]))
    outcome = apply(plan, store, ApplyOptions("t"))
    assert outcome.dropped == ("s/epoch=0.ckpt",)
    assert outcome.skipped == tuple(Failure(it, "what was to be kept is gone since the plan") for it in NAMES[:3])
    assert files(store) == {*NAMES[:3], "s/epoch=1.ckpt", "r/notes.txt"}


def test_nothing_goes_of_a_run_that_another_prune_is_at_work_in(tmp_path: Path) -> None:
    above, run = shards(tmp_path / "run", 2), open_url(str(tmp_path))
    plan = plan_on(run)
    with above.hold(""):
        outcome = apply(plan, run, ApplyOptions("t"))
    assert outcome.skipped == (Failure("run/epoch=0.ckpt", "another prune is at work in its run"),)
    assert apply(plan, run, ApplyOptions("u")).dropped == ("run/epoch=0.ckpt",)


def test_a_run_seen_from_above_is_held_by_its_own_folder(tmp_path: Path) -> None:
    shards(tmp_path / "a" / "run", 2)
    store = open_url(str(tmp_path / "a"))
    policy = Policy((KeepLast(1),))
    runs = [relocate(it, store.url) for it in scan(store, Options())]
    outcome = apply(Plan(policy, tuple(plan_run(it, policy, 0) for it in runs)), store, ApplyOptions("t"))
    assert outcome.dropped == (f"{store.url}/run/epoch=0.ckpt",)


# Families, and the lists of training's own

INDEX = b"x" * 40 + bytes.fromhex("57fb808b247547db")
STATE = b'model_checkpoint_path: "ckpt-3"\n' + b"".join(
    f'all_model_checkpoint_paths: "ckpt-{n}"\n'.encode() for n in (1, 2, 3)
)
FAMILY = {
    f"r/ckpt-{n}.{part}": INDEX if part == "index" else b"data"
    for n in (1, 2, 3)
    for part in ("index", "data-00000-of-00002", "data-00001-of-00002")
}


class Interrupted(MemoryStore):
    """Something happens right before a path is moved."""

    def __init__(self, path: str, happens: Callable[[MemoryStore], object], files: dict[str, bytes]) -> None:
        super().__init__(files)
        self.path = path
        self.happens = happens

    def rename(self, entry: Entry, path: str) -> None:
        if entry.path == self.path:
            self.path = ""
            self.happens(self)
        super().rename(entry, path)


def test_a_family_goes_with_every_member_and_the_list_is_corrected_before() -> None:
    store = MemoryStore({**FAMILY, "r/checkpoint": STATE, "r/notes.txt": b"mine"})
    outcome = apply(plan_of(store), store, ApplyOptions("t"))
    assert outcome.dropped == ("r/ckpt-1", "r/ckpt-2")
    assert files(store) == {*(path for path in FAMILY if "ckpt-3" in path), "r/checkpoint", "r/notes.txt"}
    with store.open("r/checkpoint") as source:
        text = source.read(0, 1000).decode()
    assert ("ckpt-3" in text, "ckpt-1" in text, "ckpt-2" in text) == (True, False, False)


def test_a_list_that_somebody_writes_to_keeps_the_whole_run() -> None:
    class Busy(MemoryStore):
        def rewrite(self, entry: Entry, data: bytes) -> None:
            self.write(entry.path, STATE + b" ")
            super().rewrite(entry, data)

    store = Busy({**FAMILY, "r/checkpoint": STATE})
    outcome = apply(plan_of(store), store, ApplyOptions("t"))
    assert (outcome.dropped, [it.path for it in outcome.skipped]) == ((), ["r/ckpt-1", "r/ckpt-2"])
    assert "r/checkpoint names it, and could not be corrected" in outcome.skipped[0].why
    assert files(store) == {*FAMILY, "r/checkpoint"}


LOST_LISTS: dict[str, tuple[Callable[[MemoryStore], None], str]] = {
    "gone": (lambda store: store.delete_exact(store.stat("r/checkpoint")), "No such file or directory"),
    "broken": (lambda store: store.write("r/checkpoint", b"?"), "not a checkpoint state: byte 0 begins no field"),
}


@pytest.mark.parametrize(("happens", "why"), LOST_LISTS.values(), ids=LOST_LISTS)
def test_a_list_that_cannot_be_read_any_more_keeps_its_run_and_no_other(
    happens: Callable[[MemoryStore], None], why: str
) -> None:
    store = MemoryStore({**FAMILY, "r/checkpoint": STATE, "s/epoch=0.ckpt": WHOLE, "s/epoch=1.ckpt": WHOLE})
    plan = plan_of(store)
    happens(store)
    outcome = apply(plan, store, ApplyOptions("t"))
    assert outcome.dropped == ("s/epoch=0.ckpt",)
    assert [it.path for it in outcome.skipped] == ["r/ckpt-1", "r/ckpt-2"]
    assert {it.why for it in outcome.skipped} == {f"r/checkpoint names it, and could not be corrected: {why}"}
    assert FAMILY.keys() < files(store)


def test_a_family_of_which_a_member_changes_halfway_is_put_back_whole() -> None:
    last = "r/ckpt-1.data-00001-of-00002"
    store = Interrupted(last, lambda it: it.write(last, b"newer"), FAMILY)
    outcome = apply(plan_of(store, keep=2), store, ApplyOptions("t"))
    assert [(it.path, it.why) for it in outcome.skipped] == [("r/ckpt-1", "changed since the plan")]
    assert files(store) == set(FAMILY)


def test_what_cannot_be_put_back_is_told_with_its_place() -> None:
    last, index = "r/ckpt-1.data-00001-of-00002", "r/ckpt-1.index"

    def save_anew(store: MemoryStore) -> None:
        store.write(last, b"newer")
        store.write(index, INDEX)

    store = Interrupted(last, save_anew, FAMILY)
    outcome = apply(plan_of(store, keep=2), store, ApplyOptions("t"))
    assert [it.path for it in outcome.failed] == ["r/ckpt-1"]
    assert f"moved to {TRASH}/t/0.0" in outcome.failed[0].why
    assert f"{TRASH}/t/0.0" in {it.path for it in [store.stat(f"{TRASH}/t/0.0")]}


RANKS = {
    f"r/mp_rank_0{rank}/m--val_loss={2 - n}.5-step={n}{last}.ckpt": WHOLE
    for rank in (0, 1)
    for n, last in ((0, ""), (1, ""), (2, "-last"))
}


def test_the_frameworks_own_mark_stands_while_the_parts_of_a_checkpoint_go_and_no_longer() -> None:
    seen: list[bool] = []
    second = "r/mp_rank_01/m--val_loss=2.5-step=0.ckpt"
    marker = "r/m--val_loss=2.5-step=0-unfinished"
    store = Interrupted(second, lambda it: seen.append(it.stat(marker).kind == "file"), RANKS)
    outcome = apply(plan_of(store), store, ApplyOptions("t"))
    assert seen == [True]
    assert "r/m--val_loss=2.5-step=0" in outcome.dropped
    assert marker not in files(store)


def test_the_mark_is_put_beside_the_checkpoint_also_where_the_plan_is_seen_from_above() -> None:
    store = MemoryStore(RANKS)
    options = Options(now=store.clock() + QUIET)
    (run,) = scan(store, options)
    policy = Policy((KeepLast(1),))
    plan = Plan(policy, (plan_run(relocate(run, "/some/where"), policy, options.now),))
    outcome = apply(plan, store, ApplyOptions("t"))
    assert outcome.dropped[0].startswith("/some/where/r/m--")
    assert not any("unfinished" in path for path in files(store))


def test_a_checkpoint_whose_writer_is_at_work_on_it_is_left_alone() -> None:
    store = MemoryStore(RANKS)
    plan = plan_of(store)
    store.write("r/m--val_loss=2.5-step=0-unfinished", b"")
    outcome = apply(plan, store, ApplyOptions("t"))
    assert "r/m--val_loss=2.5-step=0" in [it.path for it in outcome.failed]
    assert RANKS.keys() & files(store) >= {path for path in RANKS if "step=0" in path}
