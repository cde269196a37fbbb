"""What comes back, what goes for good, and what an interruption may leave."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from posixpath import dirname
from typing import Any

import pytest

from ckptctl.core.model import Entry
from ckptctl.core.retention.plan import Plan, plan_run
from ckptctl.core.retention.policy import Policy
from ckptctl.core.retention.rules import KeepLast
from ckptctl.core.transaction import Failure, TransactionItem, TrashChange
from ckptctl.core.units import QUIET
from ckptctl.formats.torch_writer import encode_torch
from ckptctl.prune.apply import ApplyOptions, apply
from ckptctl.prune.journal import (
    LIST,
    NAME,
    TRASH,
    JournaledTransaction,
    load_transaction,
    load_transactions,
    trash_folder_of,
)
from ckptctl.prune.trash import (
    MOST_BYTES,
    empty_expired,
    empty_transaction,
    recover,
    restorable_items,
    undo_transaction,
)
from ckptctl.scan.runs import Options, scan
from ckptctl.stores import LinkKind, Store
from ckptctl.stores.local import LocalStore, open_url
from tests.prune.test_apply import FAMILY, NAMES, RANKS, STATE, WHOLE
from tests.stores.memory import MemoryStore

DAY = 86_400 * 10**9
PRUNE = ApplyOptions("t", keeps=True)


class Cut(BaseException):
    """The end of a process."""


def plan_of(store: Store) -> Plan:
    options = Options(now=store.clock() + QUIET)
    policy = Policy((KeepLast(1),))
    return Plan(policy, tuple(plan_run(run, policy, options.now) for run in scan(store, options)))


def contents(store: MemoryStore) -> dict[str, bytes]:
    """Every file outside of the tool's own folder."""
    found = [it.path for folder in store.walk(stat=False) for it in folder.entries if it.kind == "file"]
    return {path: read(store, path) for path in found}


def read(store: Store, path: str) -> bytes:
    with store.open(path) as source:
        return source.read(0, source.size)


def set_aside(files: dict[str, bytes] | None = None, order: ApplyOptions = PRUNE) -> MemoryStore:
    store = MemoryStore(dict.fromkeys(NAMES, WHOLE) if files is None else files)
    apply(plan_of(store), store, order)
    return store


def loaded(store: Store) -> JournaledTransaction:
    found = load_transaction(store, "t")
    assert found is not None
    return found


def traits(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Time, permissions and number of each file."""
    found = ((it.name, it.stat()) for it in folder.iterdir())
    return {name: (it.st_mtime_ns, it.st_mode, it.st_ino) for name, it in found}


# Set aside, and back


TREES = {
    "files": dict.fromkeys(NAMES, WHOLE),
    "folders": {f"r/epoch={n}.ckpt/{name}": b"%d" % n for n in range(3) for name in ("meta.pt", ".metadata", "deep/x")},
    "families with a list": {**FAMILY, "r/checkpoint": STATE},
    "families with a mark": RANKS,
}


@pytest.mark.parametrize("files", TREES.values(), ids=TREES)
def test_what_was_set_aside_comes_back_byte_for_byte(files: dict[str, bytes]) -> None:
    store = MemoryStore(files)
    planned = plan_of(store)
    outcome = apply(planned, store, PRUNE)
    assert outcome.is_kept
    assert outcome.freed == 0
    assert list(outcome.dropped) == [it.path for it in planned.dropped]
    assert contents(store).keys() < files.keys()
    change = undo_transaction(store, loaded(store))
    assert (sorted(change.back), change.failed) == (sorted(outcome.dropped), ())
    assert contents(store) == files
    with pytest.raises(FileNotFoundError):
        store.stat(TRASH)


def test_on_a_disk_times_and_permissions_come_back_too_and_a_corrected_list_as_the_file_that_it_was(
    tmp_path: Path,
) -> None:
    for path, data in {**FAMILY, "r/checkpoint": STATE}.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(data)
        (tmp_path / path).chmod(0o640)
        os.utime(tmp_path / path, (10**9, 10**9))
    before = traits(tmp_path / "r")
    store = open_url(str(tmp_path))
    apply(plan_of(store), store, PRUNE)
    assert (tmp_path / "r" / "checkpoint").read_bytes() != STATE
    undo_transaction(store, loaded(store))
    assert traits(tmp_path / "r") == before
    assert (tmp_path / "r" / "checkpoint").read_bytes() == STATE
    assert os.listdir(tmp_path / ".ckptctl") == []


def test_what_is_in_the_way_stays_and_the_rest_comes_back() -> None:
    store = set_aside()
    store.write(NAMES[1], b"newer")
    change = undo_transaction(store, loaded(store))
    assert change.failed == (Failure(NAMES[1], f"its place is taken: {NAMES[1]} is there"),)
    assert sorted(change.back) == [NAMES[0], NAMES[2]]
    assert read(store, NAMES[1]) == b"newer"
    assert [it.path for it in restorable_items(store, loaded(store))] == [NAMES[1]]
    store.delete_exact(store.stat(NAMES[1]))
    assert undo_transaction(store, loaded(store)).back == (NAMES[1],)
    assert contents(store) == dict.fromkeys(NAMES, WHOLE)


def test_of_a_family_none_comes_back_where_one_of_its_places_is_taken() -> None:
    store = set_aside(FAMILY)
    store.write("r/ckpt-1.index", b"newer")
    change = undo_transaction(store, loaded(store))
    assert [it.path for it in change.failed] == ["r/ckpt-1"]
    assert {path for path in contents(store) if "ckpt-1" in path} == {"r/ckpt-1.index"}


def test_where_its_folder_is_gone_it_stays_and_says_so() -> None:
    store = set_aside()
    store.delete_exact(store.stat("r"))
    change = undo_transaction(store, loaded(store))
    assert {it.why for it in change.failed} == {"the folder that it lay in is gone: make it again"}
    assert len(restorable_items(store, loaded(store))) == 3


def test_a_folder_that_went_on_with_what_had_come_back_is_no_failure() -> None:
    store = set_aside({f"{run}/epoch={n}.ckpt": WHOLE for run in "ab" for n in range(2)})
    first, second = loaded(store).intent.items
    store.write(second.path, b"newer")
    assert undo_transaction(store, loaded(store)).back == (first.path,)
    store.delete_exact(store.stat("a"))
    store.delete_exact(store.stat(second.path))
    assert undo_transaction(store, loaded(store)) == TrashChange("t", back=(second.path,))


def test_what_was_exchanged_in_the_trash_is_neither_put_back_nor_removed() -> None:
    store = set_aside()
    store.write(f"{trash_folder_of('t')}/1", b"somebody's")
    for change in (undo_transaction(store, loaded(store)), empty_transaction(store, loaded(store))):
        assert [it.path for it in change.failed] == [NAMES[1]]
        assert change.failed[0].why.partition(":")[0] == f"{trash_folder_of('t')}/1 is not what was put there"
    assert read(store, f"{trash_folder_of('t')}/1") == b"somebody's"


def test_a_store_that_tells_files_apart_by_a_text_has_the_same_trash() -> None:
    class Tagged(MemoryStore):
        def stat(self, path: str) -> Entry:
            entry = super().stat(path)
            return entry._replace(identity=f"tag {entry.identity}")

    store = Tagged(dict.fromkeys(NAMES, WHOLE))
    apply(plan_of(store), store, PRUNE)
    store.write(f"{trash_folder_of('t')}/1", b"somebody's")
    change = undo_transaction(store, loaded(store))
    assert (change.back, [it.path for it in change.failed]) == ((NAMES[0], NAMES[2]), [NAMES[1]])


def test_a_list_that_training_has_written_to_since_stays_as_it_is() -> None:
    store = set_aside({**FAMILY, "r/checkpoint": STATE})
    store.write("r/checkpoint", STATE.replace(b"ckpt-3", b"ckpt-4"))
    change = undo_transaction(store, loaded(store))
    assert change.back == ("r/ckpt-1", "r/ckpt-2")
    assert change.failed == (Failure("r/checkpoint", "was written to since, and does not list what came back"),)
    assert read(store, "r/checkpoint") == STATE.replace(b"ckpt-3", b"ckpt-4")


def test_a_list_that_has_grown_larger_than_any_list_is_told() -> None:
    store = set_aside({**FAMILY, "r/checkpoint": STATE})
    store.write("r/checkpoint", bytes(MOST_BYTES + 1))
    change = undo_transaction(store, loaded(store))
    assert change.failed == (Failure("r/checkpoint", f"{MOST_BYTES + 1} bytes are more than it can be"),)


def test_a_list_that_is_gone_is_told() -> None:
    store = set_aside({**FAMILY, "r/checkpoint": STATE})
    store.delete_exact(store.stat("r/checkpoint"))
    change = undo_transaction(store, loaded(store))
    assert [it.path for it in change.failed] == ["r/checkpoint"]
    assert len(change.back) == 2


def test_what_lies_on_a_disk_that_was_mounted_anew_comes_back(tmp_path: Path) -> None:
    """A device has another number after a mount: on btrfs, ZFS and NFS as a rule, elsewhere where others came first."""
    for name in NAMES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(WHOLE)

    class Elsewhere(LocalStore):
        """The same root, on a device with another number."""

        def stat(self, path: str) -> Entry:
            entry = super().stat(path)
            assert isinstance(entry.identity, tuple)
            return entry._replace(identity=(entry.identity[0] + 1, entry.identity[1]))

        def rename(self, entry: Entry, path: str) -> None:
            super().rename(super().stat(entry.path), path)

    store = open_url(str(tmp_path))
    apply(plan_of(store), store, PRUNE)
    change = undo_transaction(Elsewhere(str(tmp_path), str(tmp_path)), loaded(store))
    assert (sorted(change.back), change.failed) == (sorted(NAMES[:3]), ())
    assert sorted(os.listdir(tmp_path / "r")) == sorted(name[2:] for name in NAMES)


# For good


def test_what_is_emptied_is_gone_and_counted() -> None:
    store = set_aside()
    change = empty_transaction(store, loaded(store))
    assert change == TrashChange("t", removed=tuple(NAMES[:3]), freed=3 * len(WHOLE))
    assert contents(store) == {NAMES[3]: WHOLE}
    with pytest.raises(FileNotFoundError):
        store.stat(".ckptctl/trash")


class Stubborn(MemoryStore):
    """The process ends right before one item is removed from the trash; the journal says no more after that."""

    stops = True

    def delete_exact(self, entry: Entry, *, only_empty: bool = False) -> None:
        if self.stops and entry.path == f"{trash_folder_of('t')}/1":
            raise Cut
        super().delete_exact(entry, only_empty=only_empty)

    def add(self, path: str, end: int, data: bytes) -> None:
        if not self.stops:
            raise OSError(errno.EIO, os.strerror(errno.EIO), path)
        super().add(path, end, data)


def test_what_is_being_emptied_does_not_come_back_but_goes_on_to_go() -> None:
    store = Stubborn(dict.fromkeys(NAMES, WHOLE))
    apply(plan_of(store), store, PRUNE)
    with pytest.raises(Cut):
        empty_transaction(store, loaded(store))
    assert loaded(store).state == "emptying"
    store.stops = False
    assert recover(store) == [TrashChange("t", removed=tuple(NAMES[1:3]), freed=2 * len(WHOLE))]


def test_what_the_journal_calls_gone_is_removed_by_the_next_call_and_told() -> None:
    store = Stubborn(dict.fromkeys(NAMES, WHOLE))
    with pytest.raises(Cut):
        apply(plan_of(store), store, ApplyOptions("t"))
    store.stops = False
    assert recover(store) == [TrashChange("t", removed=tuple(NAMES[1:3]), freed=2 * len(WHOLE))]
    assert contents(store) == {NAMES[3]: WHOLE}


def test_what_has_lain_there_for_its_time_goes_with_the_next_prune() -> None:
    store = set_aside(order=PRUNE._replace(keeps_for=7 * DAY))
    until = loaded(store).intent.until
    assert until is not None
    assert until == loaded(store).intent.since + 7 * DAY
    assert empty_expired(store, until - 1) == []
    assert [it.txid for it in empty_expired(store, until)] == ["t"]
    store = set_aside(order=PRUNE._replace(keeps_for=0))
    store.write("r/epoch=9.ckpt", WHOLE)
    outcome = apply(plan_of(store), store, ApplyOptions("u"))
    assert [(it.txid, len(it.removed)) for it in outcome.earlier] == [("t", 3)]


def test_what_has_no_end_is_kept() -> None:
    store = set_aside()
    assert empty_expired(store, store.clock() + 1000 * DAY) == []
    assert len(restorable_items(store, loaded(store))) == 3


# Interrupted


class Cutting(MemoryStore):
    """The process ends right before the Nth change of anything."""

    left = 10**9

    def _cut(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Cut

    def make_folder(self, path: str) -> None:
        self._cut()
        super().make_folder(path)

    def rename(self, entry: Entry, path: str) -> None:
        self._cut()
        super().rename(entry, path)

    def delete_exact(self, entry: Entry, *, only_empty: bool = False) -> None:
        self._cut()
        super().delete_exact(entry, only_empty=only_empty)

    def link(self, path: str, target: str, kind: LinkKind = "symlink", *, is_new: bool = False) -> None:
        self._cut()
        super().link(path, target, kind, is_new=is_new)

    def rewrite(self, entry: Entry, data: bytes) -> None:
        self._cut()
        super().rewrite(entry, data)

    @contextmanager
    def draft(self, path: str, *, like: str | None = None) -> Iterator[Any]:
        self._cut()
        with super().draft(path, like=like) as made:
            yield made
        self._cut()

    def stamp(self, path: str, modified: int) -> None:
        self._cut()
        super().stamp(path, modified)

    def add(self, path: str, end: int, data: bytes) -> None:
        self._cut()
        super().add(path, end, data[: len(data) // 2] if self.left == 0 else data)
        if self.left == 0:
            raise Cut


def cut_at(files: dict[str, bytes], order: ApplyOptions, changes: int) -> tuple[Cutting, bool]:
    """A store in which a prune was cut off after so many changes, and whether it was."""
    store = Cutting(files)
    planned = plan_of(store)
    store.left = changes
    try:
        apply(planned, store, order)
    except Cut:
        return store, True
    finally:
        store.left = 10**9
    return store, False


@pytest.mark.parametrize("keeps", [False, True], ids=["deleting", "setting aside"])
@pytest.mark.parametrize("files", TREES.values(), ids=TREES)
def test_a_prune_that_is_cut_off_anywhere_is_done_or_was_never_begun(files: dict[str, bytes], keeps: bool) -> None:
    order = ApplyOptions("t", keeps=keeps)
    done = MemoryStore(files)
    going = [it.path for it in plan_of(done).dropped]
    apply(plan_of(done), done, order)
    after, states, number = contents(done), set[str](), 0
    while True:
        store, was_cut = cut_at(files, order, number)
        if not was_cut:
            break
        number += 1
        changes = recover(store)
        assert [it.failed for it in changes if it.failed] == []
        left = contents(store)
        kept = load_transaction(store, "t")
        if left == files:
            states.add("never begun")
            assert kept is None
            continue
        assert left == after
        states.add("done")
        if kept is not None:
            assert [it.path for it in restorable_items(store, kept)] == [it.path for it in kept.intent.items]
            assert len(kept.intent.items) == len(going)
            undo_transaction(store, kept)
            assert contents(store) == files
    assert states == {"never begun", "done"}
    assert number > 2 * len(going)


def test_a_recovery_that_is_cut_off_is_finished_by_the_next() -> None:
    files = {**FAMILY, "r/checkpoint": STATE}
    for changes in range(1000):
        store, was_cut = cut_at(files, ApplyOptions("t"), changes)
        if not was_cut:
            return
        for again in range(6):
            store.left = again
            try:
                recover(store)
            except Cut:
                continue
            break
        store.left = 10**9
        recover(store)
        assert contents(store) in (files, contents(set_aside(files, ApplyOptions("t"))))
        assert load_transactions(store) == ([], {})


class Volatile(Cutting):
    """What was renamed is on the disk only once both folders are synced; the journal is at once."""

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(files)
        self.unsynced: list[tuple[str, str, set[str]]] = []
        """From where, where to, and which folders are not synced."""

    def rename(self, entry: Entry, path: str) -> None:
        super().rename(entry, path)
        self.unsynced.append((entry.path, path, {dirname(entry.path), dirname(path)}))

    def sync(self, folders: Iterable[str]) -> None:
        synced = set(folders)
        waiting = [(old, new, left - synced) for old, new, left in self.unsynced]
        self.unsynced = [it for it in waiting if it[2]]

    def lose(self, count: int) -> None:
        """Cut the power: the last renames were not on the disk yet."""
        self.left = 10**9
        for old, new, _ in reversed(self.unsynced[-count:]):
            if new in self.every():
                MemoryStore.rename(self, self.stat(new), old)

    def every(self) -> set[str]:
        """All files, the tool's own too."""
        return {path for path, node in self._nodes.items() if node.kind == "file"}


@pytest.mark.parametrize("keeps", [False, True], ids=["deleting", "setting aside"])
@pytest.mark.parametrize("lost", [1, 2, 4])
def test_a_power_cut_that_takes_the_last_renames_back_leaves_every_checkpoint_whole_or_gone(
    keeps: bool, lost: int
) -> None:
    for changes in range(100):
        store = Volatile(FAMILY)
        planned = plan_of(store)
        store.left = changes
        with suppress(Cut):
            apply(planned, store, ApplyOptions("t", keeps=keeps))
        store.lose(lost)
        recover(store)
        if kept := load_transaction(store, "t"):
            assert [it.path for it in restorable_items(store, kept)] == ["r/ckpt-1", "r/ckpt-2"]
            undo_transaction(store, kept)
        parts = [sum(f"ckpt-{n}." in path for path in store.every()) for n in (1, 2)]
        assert set(parts) <= ({3} if keeps else {0, 3})


def test_a_power_cut_after_an_undo_leaves_everything_in_its_place_or_a_journal_that_tells_of_it() -> None:
    for lost in range(1, 7):
        store = Volatile(FAMILY)
        apply(plan_of(store), store, PRUNE)
        undo_transaction(store, loaded(store))
        store.lose(lost)
        if kept := load_transaction(store, "t"):
            undo_transaction(store, kept)
        assert contents(store) == FAMILY


def test_what_was_put_back_and_cannot_be_synced_keeps_its_journal() -> None:
    class Stuck(MemoryStore):
        def sync(self, folders: Iterable[str]) -> None:
            raise OSError(errno.EIO, os.strerror(errno.EIO), *folders)

    store = set_aside()
    stuck = Stuck({})
    stuck.__dict__.update(store.__dict__)
    change = undo_transaction(stuck, loaded(stuck))
    assert set(change.failed) == {Failure(it, os.strerror(errno.EIO)) for it in ("r", trash_folder_of("t"))}
    assert load_transaction(store, "t") is not None


def test_what_cannot_be_put_back_is_tried_again_each_time_and_told() -> None:
    cuts = (cut_at(dict.fromkeys(NAMES, WHOLE), ApplyOptions("t"), changes)[0] for changes in range(100))
    store = next(it for it in cuts if len(contents(it)) == 2)
    store.write(NAMES[0], b"newer")
    for _ in range(2):
        (change,) = recover(store)
        assert [it.path for it in change.failed] == [NAMES[0]]
    store.delete_exact(store.stat(NAMES[0]))
    recover(store)
    assert contents(store) == dict.fromkeys(NAMES, WHOLE)


def test_what_no_journal_tells_of_is_left_alone() -> None:
    store = MemoryStore({f"{TRASH}/old/0": WHOLE, f"{TRASH}/bad/{NAME}": b"x\nx\n", f"{TRASH}/bad/0": WHOLE})
    assert recover(store) == []
    assert read(store, f"{TRASH}/old/0") == WHOLE
    assert read(store, f"{TRASH}/bad/0") == WHOLE


def test_a_trash_in_which_nothing_was_begun_goes() -> None:
    store = MemoryStore(folders=[TRASH])
    assert recover(store) == []
    with pytest.raises(FileNotFoundError):
        store.stat(TRASH)


def test_a_list_that_a_kill_left_under_a_passing_name_goes_with_the_rest() -> None:
    store, _ = cut_at({**FAMILY, "r/checkpoint": STATE}, ApplyOptions("t"), 5)
    store.write(f"{trash_folder_of('t')}/.ckptctl-0123456789abcdef", STATE)
    recover(store)
    assert load_transactions(store) == ([], {})


def test_a_damaged_journal_of_which_nothing_is_in_the_trash_goes() -> None:
    """A power cut may write a later block of it and not an earlier one: then nothing was moved yet."""
    store = MemoryStore({f"{TRASH}/t/{NAME}": b"torn" + bytes(4096) + b"\nlater\nblocks\n"})
    assert recover(store) == []
    with pytest.raises(FileNotFoundError):
        store.stat(TRASH)


def test_a_damaged_journal_beside_a_list_of_trainings_stays() -> None:
    store = MemoryStore({f"{TRASH}/t/{NAME}": b"x\nx\n", f"{TRASH}/t/{LIST}0": STATE})
    assert recover(store) == []
    assert read(store, f"{TRASH}/t/{LIST}0") == STATE


@pytest.mark.parametrize("back", range(1, 6))
def test_a_family_that_an_undo_was_killed_halfway_through_is_whole_after_the_next_call(back: int) -> None:
    store = Cutting(FAMILY)
    apply(plan_of(store), store, PRUNE)
    store.left = back
    with pytest.raises(Cut):
        undo_transaction(store, loaded(store))
    store.left = 10**9
    assert {it.txid for it in recover(store)} <= {"t"}
    there = [sum(f"ckpt-{n}." in path for path in contents(store)) for n in (1, 2)]
    assert set(there) <= {0, 3}
    assert set(there) == {0, 3} or load_transactions(store) == ([], {})
    if kept := load_transaction(store, "t"):
        undo_transaction(store, kept)
    assert contents(store) == FAMILY


def test_an_undo_that_was_killed_at_its_end_is_finished_by_the_next_call_with_the_list() -> None:
    files = {**FAMILY, "r/checkpoint": STATE}
    for back in range(6, 20):
        store = Cutting(files)
        apply(plan_of(store), store, PRUNE)
        store.left = back
        with suppress(Cut):
            undo_transaction(store, loaded(store))
        store.left = 10**9
        recover(store)
        assert contents(store) == files
        assert load_transactions(store) == ([], {})


def test_a_list_does_not_come_back_that_names_what_went_another_way_since() -> None:
    files = {**FAMILY, "r/checkpoint": STATE, **dict.fromkeys(("s/epoch=0.ckpt", "s/epoch=1.ckpt"), WHOLE)}
    store = set_aside(files)
    store.write("s/epoch=0.ckpt", WHOLE)
    assert [it.path for it in undo_transaction(store, loaded(store)).failed] == ["s/epoch=0.ckpt"]
    apply(plan_of(store), store, ApplyOptions("u"))
    undo_transaction(store, loaded(store))
    assert "r/ckpt-1.index" not in contents(store)
    assert b"ckpt-1" not in read(store, "r/checkpoint")


def test_where_somebody_emptied_the_trash_by_hand_the_list_of_training_stays_corrected() -> None:
    store = set_aside({**FAMILY, "r/checkpoint": STATE})
    for item in loaded(store).intent.items:
        for part in item.parts:
            store.delete_exact(store.stat(part.place))
    corrected = read(store, "r/checkpoint")
    assert recover(store) == []
    assert read(store, "r/checkpoint") == corrected != STATE


def test_of_a_family_that_somebody_took_a_part_of_from_the_trash_nothing_is_put_back_unasked() -> None:
    store = set_aside(FAMILY)
    store.delete_exact(store.stat(f"{trash_folder_of('t')}/0.1"))
    assert recover(store) == []
    assert not any("ckpt-1" in path for path in contents(store))
    store.rename(store.stat(f"{trash_folder_of('t')}/0.0"), "r/ckpt-1.index")
    assert recover(store) == []
    assert [path for path in contents(store) if "ckpt-1" in path] == ["r/ckpt-1.index"]


@pytest.mark.parametrize("taken", [NAMES[:2], NAMES[:3]], ids=["some", "all"])
def test_what_training_saved_anew_under_the_names_of_what_is_kept_leaves_the_trash_as_it_is(taken: list[str]) -> None:
    store = set_aside()
    for path in taken:
        store.write(path, b"anew")
    undo_transaction(store, loaded(store))
    assert recover(store) == []
    assert [it.path for it in restorable_items(store, loaded(store))] == taken


def test_the_mark_of_a_training_that_saves_anew_what_a_prune_was_about_to_take_stays() -> None:
    """The framework's mark is empty, the one of ours holds a line's end."""
    more = {path.replace("loss=2.5-step=0", "loss=3.5-step=-1"): WHOLE for path in RANKS}
    for changes in range(100):
        store, was_cut = cut_at({**RANKS, **more}, ApplyOptions("t"), changes)
        if not was_cut:
            break
        marks = {
            item.marker for it in load_transactions(store)[0] for item in it.intent.items if whole_in_place(store, item)
        }
        ours = {path for path in marks & contents(store).keys() if read(store, path)}
        for path in marks - ours:
            store.write(path, b"")
        recover(store)
        assert marks & contents(store).keys() == marks - ours
        assert all(read(store, path) == b"" for path in marks - ours)


def whole_in_place(store: MemoryStore, item: TransactionItem) -> bool:
    return all(part.path in contents(store) for part in item.parts)


def test_what_was_cut_off_last_has_its_place_again_before_anything_older() -> None:
    older, newer = WHOLE, encode_torch({"state_dict": {}, "epoch": 0})
    changes, is_cut = 0, True
    while is_cut:
        store, _ = cut_at(dict.fromkeys(NAMES, older), PRUNE, 5)
        assert restorable_items(store, loaded(store))
        store.delete_exact(store.stat(".ckptctl/lock"))  # it goes with a process, which here goes on
        store.write(NAMES[0], newer)  # training saves it anew, so that what was cut off cannot come back
        planned, store.left, is_cut = plan_of(store), changes, False
        try:
            apply(planned, store, ApplyOptions("u", keeps=True))
        except Cut:
            is_cut = True
        store.left = 10**9
        recover(store)
        second = load_transaction(store, "u")
        if second is None or second.state == "open":
            assert read(store, NAMES[0]) == newer, changes
        changes += 1
    assert changes > 6


def test_a_journal_that_was_never_written_to_its_end_goes_with_its_folder() -> None:
    store = MemoryStore({f"{TRASH}/t/{NAME}": b"torn"})
    assert recover(store) == []
    with pytest.raises(FileNotFoundError):
        store.stat(TRASH)


class Linkless(MemoryStore):
    """A store in which a hard link fails."""

    code = 0

    def link(self, path: str, target: str, kind: LinkKind = "symlink", *, is_new: bool = False) -> None:
        if kind == "hardlink":
            raise OSError(self.code, "the disk fails")
        super().link(path, target, kind, is_new=is_new)


@pytest.mark.parametrize("code", [errno.EOPNOTSUPP, errno.EPERM, errno.EMLINK, errno.ENOSYS], ids=errno.errorcode.get)
def test_without_hard_links_a_list_is_copied(code: int) -> None:
    files = {**FAMILY, "r/checkpoint": STATE}
    store = Linkless(files)
    store.code = code
    assert len(apply(plan_of(store), store, PRUNE).dropped) == 2
    undo_transaction(store, loaded(store))
    assert contents(store) == files


def test_where_a_list_cannot_be_kept_as_it_was_nothing_goes() -> None:
    files = {**FAMILY, "r/checkpoint": STATE}
    store = Linkless(files)
    store.code = errno.EIO
    outcome = apply(plan_of(store), store, PRUNE)
    assert outcome.dropped == ()
    assert "the disk fails" in outcome.skipped[0].why
    assert contents(store) == files
