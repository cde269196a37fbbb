"""Slimming by a plan: what takes the place of what was there, what comes back, and what an interruption leaves."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from posixpath import dirname
from typing import Any

import pytest

from ckptctl.core.model import Entry
from ckptctl.core.outcome import Failure, TrashChange
from ckptctl.core.retention.evaluate import Rule
from ckptctl.core.retention.plan import Plan, plan_run
from ckptctl.core.retention.policy import Policy
from ckptctl.core.retention.rules import KeepAll, KeepLast
from ckptctl.core.units import QUIET
from ckptctl.formats.torch_writer import encode_torch, make_tensor
from ckptctl.prune import replace
from ckptctl.prune.apply import ApplyCallbacks, ApplyOptions, apply
from ckptctl.prune.journal import load_transaction, load_transactions
from ckptctl.prune.slimming import ObservedRun, slim_older
from ckptctl.prune.trash import empty_transaction, recover, restorable_items, restore_items, undo_transaction
from ckptctl.scan.runs import Options, scan
from ckptctl.stores import Store
from ckptctl.stores.local import LocalStore, open_url
from tests.prune.test_trash import Cut, Cutting, Volatile, contents, loaded, read
from tests.stores.memory import MemoryStore

KEEP = ApplyOptions("t", keeps=True)
ADAM = {"state": {0: {"exp_avg": make_tensor([9] * 500, (500,))}}, "param_groups": [{"lr": 0.1}]}


def whole(number: int, **others: object) -> bytes:
    weights = {"w": make_tensor([number, 2], (2,))}
    return encode_torch({"epoch": number, "global_step": number, "state_dict": weights, **others})


def lightning(number: int) -> bytes:
    return whole(number, optimizer_states=[ADAM], callbacks={})


def folder(number: int) -> dict[str, bytes]:
    """As transformers saves it, with an optimizer that is a folder beside files."""
    names = ("model.safetensors", "optimizer.pt", "optimizer_0/x", "optimizer_0/deep/y", "trainer_state.json")
    return {f"r/checkpoint-{number}/{name}": b'{"step": %d}' % number for name in names}


def cut_folder(number: int) -> dict[str, bytes]:
    """As LitGPT saves it: one file of the folder holds all."""
    held = encode_torch({"model": {"w": make_tensor([number], (1,))}, "optimizer": ADAM, "step_count": number})
    return {f"r/step-00000{number}/lit_model.pth": held, f"r/step-00000{number}/model_config.yaml": b"x"}


def family(number: int) -> dict[str, bytes]:
    """As Stable-Baselines3 saves it: what was played beside the model."""
    played = f"r/rl_model_replay_buffer_{number}000_steps.pkl"
    return {f"r/rl_model_{number}000_steps.zip": whole(number), played: b"\x80\x02K%b." % bytes([number])}


FILES = {f"r/epoch={n}-step={n}.ckpt": lightning(n) for n in range(1, 4)}
FOLDERS = {path: data for n in (1, 2, 3) for path, data in folder(n).items()}
CUT_FOLDERS = {path: data for n in (1, 2, 3) for path, data in cut_folder(n).items()}
FAMILIES = {path: data for n in (1, 2, 3) for path, data in family(n).items()}
TREES = {"files": FILES, "folders": FOLDERS, "files in folders": CUT_FOLDERS, "families": FAMILIES}


def plan_of(store: Store, *rules: Rule, resumable: int = 1) -> Plan:
    options = Options(now=store.clock() + QUIET)
    policy = Policy(rules or (KeepAll(),), resumable=resumable)
    return Plan(
        policy,
        tuple(
            slim_older(ObservedRun(store, run, options.now), plan_run(run, policy, options.now), policy)
            for run in scan(store, options)
        ),
    )


def slim_all(files: dict[str, bytes], order: ApplyOptions) -> MemoryStore:
    store = MemoryStore(files)
    assert apply(plan_of(store), store, order).is_whole
    return store


def times(store: Store) -> dict[str, object]:
    return {it.path: it.modified for found in store.walk(stat=True) for it in found.entries if "/" in it.path}


@pytest.mark.parametrize("files", TREES.values(), ids=TREES)
def test_what_the_plan_says_is_freed_and_the_newest_stays_as_it_was(files: dict[str, bytes]) -> None:
    store = MemoryStore(files)
    plan = plan_of(store)
    assert [it.action for it in plan.runs[0].verdicts] == ["slim", "slim", "keep"]
    outcome = apply(plan, store, ApplyOptions("t"))
    after = contents(store)
    assert outcome.slimmed == tuple(it.path for it in plan.changed)
    assert (outcome.dropped, outcome.is_whole) == ((), True)
    assert outcome.freed == plan.frees == sum(map(len, files.values())) - sum(map(len, after.values()))
    newest = plan.runs[0].verdicts[-1].checkpoint
    assert newest is not None
    assert all(after[it.path] == files[it.path] for it in newest.entries if it.kind == "file")
    with pytest.raises(FileNotFoundError):
        store.stat(".ckptctl")


@pytest.mark.parametrize("files", TREES.values(), ids=TREES)
def test_times_stay_so_that_the_order_does(files: dict[str, bytes]) -> None:
    store = MemoryStore(files)
    before = times(store)
    apply(plan_of(store), store, ApplyOptions("t"))
    assert times(store).items() <= before.items()


@pytest.mark.parametrize("files", TREES.values(), ids=TREES)
def test_a_second_plan_slims_nothing(files: dict[str, bytes]) -> None:
    store = slim_all(files, ApplyOptions("t"))
    again = plan_of(store)
    assert again.changed == []
    assert {it.checkpoint.state for it in again.runs[0].verdicts if it.checkpoint} == {"complete"}


@pytest.mark.parametrize("files", TREES.values(), ids=TREES)
def test_an_undo_brings_back_every_byte_and_time(files: dict[str, bytes]) -> None:
    store = MemoryStore(files)
    before = times(store)
    outcome = apply(plan_of(store), store, KEEP)
    assert outcome.is_kept
    assert contents(store) != files
    assert len(restorable_items(store, loaded(store))) == len(outcome.slimmed) == 2
    assert undo_transaction(store, loaded(store)).failed == ()
    assert contents(store) == files
    assert times(store) == before
    assert load_transactions(store) == ([], {})


def test_what_goes_and_what_is_slimmed_go_together_and_what_goes_first() -> None:
    store = MemoryStore(FILES)
    told: list[str] = []
    outcome = apply(
        plan_of(store, KeepLast(2)), store, ApplyOptions("t"), ApplyCallbacks(lambda it: told.append(it.action))
    )
    assert (len(outcome.dropped), len(outcome.slimmed)) == (1, 1)
    assert told == ["drop", "slim"]


@pytest.mark.parametrize("files", TREES.values(), ids=TREES)
def test_what_lies_in_the_trash_is_told_with_its_own_bytes_and_files(files: dict[str, bytes]) -> None:
    store = slim_all(files, KEEP)
    after = contents(store)
    taken = [data for path, data in files.items() if after.get(path) != data]
    items = restorable_items(store, loaded(store))
    assert sum(it.size for it in items) == sum(map(len, taken))
    assert sum(it.files for it in items) == len(taken)


def test_what_is_emptied_leaves_what_took_its_place() -> None:
    store = slim_all(FILES, KEEP)
    after = contents(store)
    change = empty_transaction(store, loaded(store))
    assert len(change.removed) == 2
    assert contents(store) == after
    assert change.freed == sum(map(len, FILES.values())) - sum(map(len, after.values()))


# What is in the way


def test_what_training_has_written_there_since_stays() -> None:
    store = slim_all(FILES, KEEP)
    path = next(iter(FILES))
    store.write(path, b"training went on")
    change = undo_transaction(store, loaded(store))
    assert change.failed == (Failure(path, f"its place is taken: {path} is there"),)
    assert read(store, path) == b"training went on"
    assert len(restorable_items(store, loaded(store))) == 1


def test_what_somebody_wrote_into_the_slimmed_file_stays() -> None:
    store = slim_all(FILES, KEEP)
    path = next(iter(FILES))
    store.add(path, 5, b"changed in its place")
    assert [it.path for it in undo_transaction(store, loaded(store)).failed] == [path]


def test_a_file_of_the_same_size_and_time_in_place_of_the_slimmed_one_is_not_taken_for_it() -> None:
    store = slim_all(FILES, KEEP)
    path = next(iter(FILES))
    heir, data = store.stat(path), b"x" * (store.stat(path).size or 0)
    store.delete_exact(heir)
    store.write(path, data)
    store.stamp(path, heir.modified or 0)
    assert [it.path for it in undo_transaction(store, loaded(store)).failed] == [path]
    assert read(store, path) == data


def test_where_the_slimmed_file_is_gone_the_whole_one_comes_back() -> None:
    store = slim_all(FILES, KEEP)
    store.delete_exact(store.stat(next(iter(FILES))))
    assert undo_transaction(store, loaded(store)).failed == ()
    assert contents(store) == FILES


def test_of_a_folder_nothing_comes_back_where_one_place_is_taken() -> None:
    store = slim_all(FOLDERS, KEEP)
    store.write("r/checkpoint-1/optimizer.pt", b"new")
    assert [it.path for it in undo_transaction(store, loaded(store)).failed] == ["r/checkpoint-1"]
    assert not any("checkpoint-1/optimizer_0" in path for path in contents(store))
    assert read(store, "r/checkpoint-2/optimizer.pt") == FOLDERS["r/checkpoint-2/optimizer.pt"]


BESIDE = {
    "folders": (FOLDERS, "r/checkpoint-1/model.safetensors", "r/checkpoint-1"),
    "families": (FAMILIES, "r/rl_model_1000_steps.zip", "r/rl_model_1000_steps"),
}
"""The weights that an optimizer's state, or what was played, is taken out from beside."""


@pytest.mark.parametrize(("files", "weights", "path"), BESIDE.values(), ids=BESIDE)
@pytest.mark.parametrize("is_saved_anew", [True, False], ids=["others", "none"])
def test_what_was_taken_out_comes_back_beside_no_other_weights(
    files: dict[str, bytes], weights: str, path: str, is_saved_anew: bool
) -> None:
    store = slim_all(files, KEEP)
    store.delete_exact(store.stat(weights))
    if is_saved_anew:
        store.write(weights, files[weights])  # alike, and of another training for all that anybody knows
    before = contents(store)
    change = undo_transaction(store, loaded(store))
    assert change.failed == (Failure(path, f"{weights}, which it belongs to, was changed since, or is gone"),)
    assert {it: data for it, data in contents(store).items() if path in it} == {
        it: data for it, data in before.items() if path in it
    }
    assert [it.path for it in restorable_items(store, loaded(store))] == [path]


@pytest.mark.parametrize(("files", "weights", "path"), BESIDE.values(), ids=BESIDE)
def test_what_was_cut_off_is_not_taken_back_beside_other_weights(
    files: dict[str, bytes], weights: str, path: str
) -> None:
    store, is_cut = cut_at(files, KEEP, 5)
    store.write(weights, b"of a training that goes on")
    assert is_cut
    assert [it.path for change in recover(store) for it in change.failed] == [path]
    assert read(store, weights) == b"of a training that goes on"
    assert len(restorable_items(store, loaded(store))) == 1


@pytest.mark.parametrize(("files", "weights", "path"), BESIDE.values(), ids=BESIDE)
def test_of_what_has_come_back_already_training_may_save_other_weights(
    files: dict[str, bytes], weights: str, path: str
) -> None:
    store = slim_all(files, KEEP)
    first, second = restorable_items(store, loaded(store))
    assert restore_items(store, [first]).back == (path,)
    store.write(weights, b"of a training that goes on")
    assert undo_transaction(store, loaded(store)) == TrashChange("t", back=(second.path,))


def test_what_has_come_back_already_and_is_gone_since_is_no_failure() -> None:
    store = slim_all(FOLDERS, KEEP)
    first, second = restorable_items(store, loaded(store))
    assert restore_items(store, [first]).back == ("r/checkpoint-1",)
    store.delete_exact(store.stat("r/checkpoint-1"))
    assert undo_transaction(store, loaded(store)) == TrashChange("t", back=(second.path,))


@pytest.mark.parametrize("files", [FOLDERS, FAMILIES], ids=BESIDE)
def test_what_was_taken_out_comes_back_once_its_weights_have(files: dict[str, bytes]) -> None:
    store = slim_all(files, KEEP)
    dropped = plan_of(store, KeepLast(1), resumable=3)
    assert len(dropped.dropped) == 2
    apply(dropped, store, ApplyOptions("u", keeps=True))
    slimmed, gone = load_transaction(store, "t"), load_transaction(store, "u")
    assert slimmed
    assert gone
    assert len(undo_transaction(store, slimmed).failed) == 2
    assert undo_transaction(store, gone).failed == ()
    assert undo_transaction(store, slimmed).failed == ()
    assert contents(store) == files


@pytest.mark.parametrize("files", TREES.values(), ids=TREES)
def test_what_changed_since_the_plan_stays(files: dict[str, bytes]) -> None:
    store = MemoryStore(files)
    plan = plan_of(store)
    first, second = plan.changed
    assert first.checkpoint is not None
    changed = next(it.path for it in first.checkpoint.entries if it.kind == "file")
    store.write(changed, files[changed])
    outcome = apply(plan, store, ApplyOptions("t"))
    assert outcome.slimmed == (second.path,)
    assert outcome.skipped == (Failure(first.path, "changed since the plan"),)
    assert all(contents(store)[it.path] == files[it.path] for it in first.checkpoint.entries if it.kind == "file")


def test_a_full_disk_leaves_it_whole_and_the_rest_goes_on() -> None:
    class Full(MemoryStore):
        count = 0

        @contextmanager
        def draft(self, path: str, *, like: str | None = None) -> Iterator[Any]:
            self.count += 1
            if self.count == 1:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            with super().draft(path, like=like) as made:
                yield made

    store = Full(FILES)
    outcome = apply(plan_of(store), store, ApplyOptions("t"))
    first, second, _ = FILES
    assert outcome.failed == (Failure(first, f"{os.strerror(errno.ENOSPC)}: left in place"),)
    assert outcome.slimmed == (second,)
    assert contents(store)[first] == FILES[first]


def test_a_bad_byte_in_what_stays_leaves_it_whole() -> None:
    path = next(iter(FILES))
    bad = FILES[path].replace(bytes.fromhex("0000803f00000040"), bytes.fromhex("0000803f00000041"))  # 1.0, 2.0
    store = MemoryStore({**FILES, path: bad})
    outcome = apply(plan_of(store), store, ApplyOptions("t"))
    assert [it.path for it in outcome.failed] == [path]
    assert "checksum" in outcome.failed[0].why
    assert read(store, path) == bad
    with pytest.raises(FileNotFoundError):
        store.stat(".ckptctl")


def test_a_name_that_is_taken_in_the_last_moment_keeps_both() -> None:
    path = next(iter(FILES))

    class Racing(MemoryStore):
        def rename(self, entry: Entry, path_: str) -> None:
            super().rename(entry, path_)
            if entry.path == path:
                self.write(path, b"training came between")

    store = Racing(FILES)
    outcome = apply(plan_of(store), store, ApplyOptions("t"))
    assert [it.path for it in outcome.failed] == [path]
    assert ".ckptctl/trash/t/0, not removed" in outcome.failed[0].why
    assert read(store, path) == b"training came between"
    assert read(store, ".ckptctl/trash/t/0") == FILES[path]


def test_where_a_part_vanishes_in_the_middle_the_others_come_back_and_it_is_a_failure() -> None:
    class Vanishing(MemoryStore):
        def rename(self, entry: Entry, path: str) -> None:
            super().rename(entry, path)
            if entry.path == "r/checkpoint-1/optimizer_0":
                self.delete_exact(self.stat("r/checkpoint-1/optimizer.pt"))

    store = Vanishing(FOLDERS)
    outcome = apply(plan_of(store), store, ApplyOptions("t"))
    assert outcome.failed == (Failure("r/checkpoint-1", f"{os.strerror(errno.ENOENT)}: left in place"),)
    assert outcome.slimmed == ("r/checkpoint-2",)
    left = {path for path in contents(store) if "checkpoint-1" in path}
    assert left == folder(1).keys() - {"r/checkpoint-1/optimizer.pt"}


def test_an_heir_that_was_exchanged_in_the_trash_takes_no_place() -> None:
    path = next(iter(FILES))

    class Exchanged(MemoryStore):
        def rename(self, entry: Entry, path_: str) -> None:
            super().rename(entry, path_)
            if entry.path == path:
                self.write(path_ + replace.ENDING, b"of somebody else")

    store = Exchanged(FILES)
    outcome = apply(plan_of(store), store, ApplyOptions("t"))
    assert outcome.skipped == (Failure(path, "changed since the plan"),)
    assert read(store, path) == FILES[path]


# Interrupted


def ends(files: dict[str, bytes]) -> list[dict[str, bytes]]:
    """All that may be there after an interruption: as it was, the first slimmed, both of them."""
    done = contents(slim_all(files, ApplyOptions("t")))
    first = plan_of(MemoryStore(files)).changed[0].checkpoint
    own = {it.path for it in first.entries} if first else set()
    half = {path: data for path, data in done.items() if path in own}
    return [files, {path: data for path, data in files.items() if path not in own} | half, done]


@pytest.mark.parametrize("keeps", [False, True], ids=["for good", "setting aside"])
@pytest.mark.parametrize("files", TREES.values(), ids=TREES)
def test_what_is_cut_off_anywhere_is_done_or_was_never_begun(files: dict[str, bytes], keeps: bool) -> None:
    allowed, seen, is_cut, changes = ends(files), set[int](), True, 0
    while is_cut:
        store, is_cut = cut_at(files, ApplyOptions("t", keeps=keeps), changes)
        recover(store)
        assert contents(store) in allowed, changes
        seen.add(allowed.index(contents(store)))
        kept = load_transaction(store, "t")
        if kept is not None:
            assert undo_transaction(store, kept).failed == ()
            assert contents(store) == files
        assert load_transactions(store) == ([], {})
        changes += 1
    assert seen == ({0, 2} if keeps else {0, 1, 2})
    assert changes > 8


def cut_at(files: dict[str, bytes], order: ApplyOptions, changes: int) -> tuple[Cutting, bool]:
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


@pytest.mark.parametrize("files", TREES.values(), ids=TREES)
def test_an_undo_that_is_cut_off_anywhere_is_finished_or_can_be_begun_anew(files: dict[str, bytes]) -> None:
    for changes in range(60):
        store = Cutting(files)
        before = times(store)
        apply(plan_of(store), store, KEEP)
        kept = loaded(store)
        store.left = changes
        with suppress(Cut):
            undo_transaction(store, kept)
        store.left = 10**9
        recover(store)
        assert [it.checkpoint.state for it in plan_of(store).runs[0].verdicts if it.checkpoint] == ["complete"] * 3
        if again := load_transaction(store, "t"):
            assert undo_transaction(store, again).failed == ()
        assert (contents(store), times(store)) == (files, before), changes
        assert load_transactions(store) == ([], {})


@pytest.mark.parametrize("keeps", [False, True], ids=["for good", "setting aside"])
@pytest.mark.parametrize("files", TREES.values(), ids=TREES)
@pytest.mark.parametrize("lost", [1, pytest.param(2, marks=pytest.mark.slow), pytest.param(4, marks=pytest.mark.slow)])
def test_a_power_cut_that_takes_the_last_renames_back_loses_nothing(
    files: dict[str, bytes], keeps: bool, lost: int
) -> None:
    allowed = ends(files)
    for changes in range(45):
        store = Volatile(files)
        planned = plan_of(store)
        store.left = changes
        with suppress(Cut):
            apply(planned, store, ApplyOptions("t", keeps=keeps))
        store.lose(lost)
        recover(store)
        assert contents(store) in allowed
        if kept := load_transaction(store, "t"):
            undo_transaction(store, kept)
            assert contents(store) == files


@pytest.mark.parametrize("files", TREES.values(), ids=TREES)
def test_nothing_takes_a_place_before_what_was_there_is_in_the_trash_for_good(files: dict[str, bytes]) -> None:
    class Ordered(Volatile):
        def rename(self, entry: Entry, path: str) -> None:
            assert not any(old == path and dirname(new) in left for old, new, left in self.unsynced), path
            super().rename(entry, path)

    store = Ordered(files)
    assert apply(plan_of(store), store, KEEP).is_whole


def test_of_what_changed_meanwhile_no_heir_is_left_in_the_trash() -> None:
    path, store = next(iter(FILES)), MemoryStore(FILES)
    plan = plan_of(store)
    store.write(path, FILES[path])
    outcome = apply(plan, store, KEEP)
    assert (len(outcome.slimmed), len(outcome.skipped)) == (1, 1)
    assert [it.path.rpartition("/")[2] for it in store.contents(loaded(store).folder)] == ["1", "journal"]


# On a disk


@pytest.fixture
def run(tmp_path: Path) -> LocalStore:
    for number, (path, data) in enumerate(FILES.items()):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(data)
        (tmp_path / path).chmod(0o640)
        os.utime(tmp_path / path, (1_700_000_000 + number, 1_700_000_000 + number))
    return open_url(str(tmp_path))


def test_permissions_owner_and_time_are_those_of_the_file_that_was_there(run: LocalStore, tmp_path: Path) -> None:
    path = tmp_path / next(iter(FILES))
    if os.geteuid() == 0:
        os.chown(path, 1234, 1234)
    before = path.stat()
    assert len(apply(plan_of(run), run, ApplyOptions("t")).slimmed) == 2
    after = path.stat()
    assert after.st_ino != before.st_ino
    for trait in ("st_mode", "st_uid", "st_gid", "st_mtime_ns"):
        assert getattr(after, trait) == getattr(before, trait)


def test_a_file_that_somebody_has_open_for_writing_comes_back(run: LocalStore, tmp_path: Path) -> None:
    path = next(iter(FILES))
    plan = plan_of(run)
    with (tmp_path / path).open("r+b"):
        outcome = apply(plan, run, ApplyOptions("t", takes_open=True))
    assert outcome.skipped == (Failure(path, "somebody is writing to it"),)
    assert (tmp_path / path).read_bytes() == FILES[path]


def test_a_folder_in_which_somebody_writes_to_what_would_stay_is_left_alone(tmp_path: Path) -> None:
    for path, data in FOLDERS.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(data)
    store = open_url(str(tmp_path))
    plan = plan_of(store)
    with (tmp_path / "r/checkpoint-1/model.safetensors").open("r+b"):
        outcome = apply(plan, store, ApplyOptions("t", takes_open=True))
    assert outcome.skipped == (Failure("r/checkpoint-1", "somebody is writing to it"),)
    assert outcome.slimmed == ("r/checkpoint-2",)
    assert all((tmp_path / path).exists() for path in folder(1))


def test_a_file_with_two_names_stays_whole(run: LocalStore, tmp_path: Path) -> None:
    path = next(iter(FILES))
    os.link(tmp_path / path, tmp_path / "elsewhere.ckpt")
    verdict = next(it for found in plan_of(run).runs for it in found.verdicts if it.path == path)
    assert verdict.action == "keep"
    assert "other names hold its files" in verdict.reasons[-1].text
