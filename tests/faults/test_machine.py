"""Whatever is done in whatever order, and wherever it is cut off: every byte is in place, in the trash, or given up."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ckptctl.core.retention.plan import Plan, plan_run
from ckptctl.core.retention.policy import Policy
from ckptctl.core.retention.rules import KeepAll, KeepEvery, KeepLast
from ckptctl.core.retention.rules.protocol import Rule
from ckptctl.core.transaction import Outcome, TrashChange
from ckptctl.core.units import QUIET
from ckptctl.errors import Locked
from ckptctl.prune.apply import ApplyOptions, apply
from ckptctl.prune.journal import JournaledTransaction, load_transaction, load_transactions, new_id
from ckptctl.prune.lock import acquire_lock
from ckptctl.prune.replace import ENDING
from ckptctl.prune.slimming import ObservedRun, slim_older
from ckptctl.prune.trash import (
    discard_transaction,
    empty_transaction,
    recover,
    restorable_items,
    restore_items,
    undo_transaction,
)
from ckptctl.scan.runs import Options, scan
from ckptctl.stores.local import open_url
from tests.faults.amount import times
from tests.faults.cutting import NEVER, Cut, CuttingStore
from tests.faults.saves import KINDS, Save, make_save

NUMBERS = st.integers(0, 3)
CUTS = st.one_of(st.just(NEVER), st.integers(0, 30), st.integers(0, 120))
RULES = st.lists(st.one_of(st.integers(1, 2).map(KeepLast), st.integers(2, 3).map(KeepEvery)), min_size=1, max_size=2)
PLAIN = st.sampled_from([False, False, True])
FRESH = st.lists(st.tuples(st.sampled_from(["file", "trainer", "cut", "played"]), NUMBERS), max_size=4)
HOLDERS = st.sampled_from([KeepAll(), KeepAll(), KeepLast(1), KeepLast(2), KeepEvery(2)])
"""What is kept where only some of it is to resume."""


class Late(NamedTuple):
    """What training saves while somebody prunes."""

    kind: str
    number: int
    plain: bool
    after: int
    """How many changes the prune has made by then."""


LATE_KINDS = st.sampled_from([it for it in KINDS if it != "family"])
"""With a family training writes its list anew, from its memory: nobody can take out of it what is to go later."""
LATE = st.one_of(st.none(), st.builds(Late, LATE_KINDS, NUMBERS, PLAIN, st.integers(0, 60)))


class SharedStore(CuttingStore):
    """In which somebody else does something between two changes."""

    until = NEVER
    meanwhile: Callable[[], None]

    def cut(self) -> None:
        super().cut()
        self.until -= 1
        if self.until < 0:
            self.until = NEVER
            self.meanwhile()


class Machine(RuleBasedStateMachine):
    """A training that saves and saves anew, a person who prunes, and a power supply that fails."""

    @initialize()
    def begin(self) -> None:
        self.root = Path(tempfile.mkdtemp(dir=SHARED))
        self.store = SharedStore(str(self.root), str(self.root))
        self.history: list[Save] = []
        """All that training ever saved."""
        self.owners: dict[str, str] = {}
        """Of each path the name under which it was saved."""
        self.saves: list[Save] = []
        """All that there must be."""
        self.mangled: list[Save] = []
        """Of which training itself wrote over a part, while the others were in the trash."""
        self.doomed: dict[Save, frozenset[bytes]] = {}
        """That may go, and which contents of them: somebody agreed."""
        self.waning: list[Save] = []
        """Of which only what is slim may stay: somebody agreed."""
        self.pinned: set[str] = set()
        for number in range(3):
            for kind in KINDS:
                self.save(kind, number, plain=False)

    def teardown(self) -> None:
        if hasattr(self, "root"):
            shutil.rmtree(self.root)

    # What training does

    @rule(kind=st.sampled_from([*KINDS]), number=NUMBERS, plain=PLAIN)
    def save(self, kind: str, number: int, plain: bool) -> None:
        """Save, perhaps under a name that was used before, and perhaps only the weights from now on."""
        made = make_save(kind, number, len(self.history) + 1, plain=plain)
        for save in [it for it in self.saves if it.name == made.name]:
            self._overwrite(save)
        for path in {path for path, name in self.owners.items() if name == made.name} - made.paths:
            (self.root / path).unlink(missing_ok=True)
            with suppress(OSError):
                (self.root / path).parent.rmdir()
        for path, data in made.files:
            (self.root / path).parent.mkdir(parents=True, exist_ok=True)
            (self.root / path).with_suffix(".new").write_bytes(data)
            (self.root / path).with_suffix(".new").replace(self.root / path)
        self.history.append(made)
        self.owners.update(dict.fromkeys(made.paths, made.name))
        self.saves.append(made)
        if kind == "family":
            self._write_list()

    def _overwrite(self, save: Save) -> None:
        """Training gives up what lies in the places of a save, and with it the rest, if that is no checkpoint."""
        inside = {data for path in save.paths if (data := self._read(path)) is not None}
        is_safe = save.whole <= self._everything(".ckptctl") and save not in self.waning
        if inside.isdisjoint(save.whole | save.thin) or is_safe:
            return
        if not save.whole <= inside:
            self.mangled.append(save)
        self.saves.remove(save)
        self.doomed.pop(save, None)

    def _write_list(self) -> None:
        numbers = [number for number in range(4) if (self.root / f"family/ckpt-{number}.index").exists()]
        lines = "".join(f'all_model_checkpoint_paths: "ckpt-{number}"\n' for number in numbers)
        (self.root / "family/checkpoint.new").write_text(f'model_checkpoint_path: "ckpt-{numbers[-1]}"\n{lines}')
        (self.root / "family/checkpoint.new").replace(self.root / "family/checkpoint")

    # What a person does

    @rule(number=NUMBERS, pins=st.booleans())
    def mark(self, number: int, pins: bool) -> None:
        """Pin one, or let a link lead to it."""
        path = f"files/epoch={number}.ckpt"
        if not (self.root / path).exists():
            return
        if pins:
            (self.root / f"{path}.keep").write_bytes(b"")
            self.pinned.add(path)
            return
        (self.root / "files/best.ckpt").unlink(missing_ok=True)
        (self.root / "files/best.ckpt").symlink_to(f"epoch={number}.ckpt")

    @rule(rules=RULES, keeps=st.booleans(), cut=CUTS, late=LATE)
    def prune(self, rules: list[Rule], keeps: bool, cut: int, late: Late | None) -> None:
        """Prune, while training may save one anew between the plan and its end."""
        self._carry_out(Policy(tuple(rules)), keeps, cut, late)

    @rule(fresh=FRESH, rule=HOLDERS, resumable=st.integers(0, 2), keeps=st.booleans(), cut=CUTS, late=LATE)
    def slim(
        self, fresh: list[tuple[str, int]], rule: Rule, resumable: int, keeps: bool, cut: int, late: Late | None
    ) -> None:
        """Prune so that only the newest of what is kept can resume, after some were saved that can."""
        for kind, number in fresh:
            self.save(kind, number, plain=False)
        self._carry_out(Policy((rule,), resumable=resumable), keeps, cut, late)

    def _carry_out(self, policy: Policy, keeps: bool, cut: int, late: Late | None) -> None:
        with self._at_work("recovery"):
            pass
        plan = self._plan(policy)
        going = {entry.path for it in plan.dropped if it.checkpoint for entry in it.checkpoint.entries}
        slims = [it.slim for it in plan.changed if it.slim]
        touched = {step.entry.path for slim in slims for step in slim.touched}
        assert not (going | touched) & self.pinned
        assert os.path.realpath(self.root / "files/best.ckpt") not in {str(self.root / path) for path in going}
        whole = [it for it in self.saves if self._is_here(it.files)]
        thinned = [it for it in whole if {path for path, data in it.files if (path, data) not in it.slim} & touched]
        assert touched == {path for it in thinned for path, data in it.files if (path, data) not in it.slim}
        if not keeps:
            self.doomed.update((it, it.whole) for it in whole if it.paths <= going)
            self.doomed.update((it, it.thin) for it in self.saves if self._is_slim(it) and it.slim[0][0] in going)
            self.waning += thinned
        self._let_save(late)
        outcome = self._apply(plan, ApplyOptions(new_id(), keeps=keeps), cut)
        if outcome is not None and late is None:
            assert (len(outcome.dropped), len(outcome.slimmed)) == (len(plan.dropped), len(slims))
            assert all(self._is_slim(it) for it in thinned)

    def _plan(self, policy: Policy) -> Plan:
        options = Options(now=self.store.clock() + QUIET)
        drawn = ((run, plan_run(run, policy, options.now)) for run in scan(self.store, options))
        return Plan(
            policy, tuple(slim_older(ObservedRun(self.store, run, options.now), it, policy) for run, it in drawn)
        )

    def _let_save(self, late: Late | None) -> None:
        if late is not None:
            self.store.until = late.after
            self.store.meanwhile = lambda: self.save(late.kind, late.number, late.plain)

    def _apply(self, plan: Plan, order: ApplyOptions, cut: int) -> Outcome | None:
        self.store.left = cut
        try:
            return apply(plan, self.store, order)
        except Cut:
            return None
        finally:
            self.store.left = self.store.until = NEVER

    @precondition(lambda self: (self.root / ".ckptctl").exists())
    @rule(cut=CUTS, back=st.integers(0, 2))
    def undo(self, cut: int, back: int) -> None:
        """Put the newest back, or an earlier one."""
        with self._at_work("undo", cut):
            kept = self._kept(back)
            if kept is not None:
                undo_transaction(self.store, kept)

    @precondition(lambda self: (self.root / ".ckptctl").exists())
    @rule(cut=CUTS, which=st.integers(0, 3))
    def restore(self, cut: int, which: int) -> None:
        """Put one checkpoint back."""
        with self._at_work("restore", cut):
            kept = self._kept()
            for item in (restorable_items(self.store, kept) if kept else [])[which : which + 1]:
                if not restore_items(self.store, [item]).failed and kept:
                    discard_transaction(self.store, kept.folder)

    @precondition(lambda self: (self.root / ".ckptctl").exists())
    @rule(cut=CUTS, back=st.integers(0, 2))
    def empty(self, cut: int, back: int) -> None:
        with self._at_work("empty", cut):
            kept = self._kept(back)
            if kept is not None:
                self._agree_to_empty(kept.folder)
                empty_transaction(self.store, kept)

    def _agree_to_empty(self, folder: str) -> None:
        inside, outside = self._everything(folder), self._everything(without=folder)
        for save in self.saves:
            if save.slim and save.rest <= inside and save.thin <= outside:
                self.waning.append(save)
            elif save.whole <= inside:
                self.doomed[save] = save.whole
            elif save.slim and save.thin <= inside:
                self.doomed[save] = save.thin

    @rule()
    def come_second(self) -> None:
        """Another process is at work."""
        plan = self._plan(Policy((KeepLast(1),), resumable=0))
        with acquire_lock(open_url(str(self.root)), "prune"):
            before = self._everything()
            with suppress(Locked):
                assert not apply(plan, self.store, ApplyOptions(new_id())).dropped
            assert self._everything() == before

    @contextmanager
    def _at_work(self, command: str, cut: int = NEVER) -> Iterator[None]:
        """As every command begins: with the lock held, and what was cut off before put in order."""
        with suppress(Cut), acquire_lock(self.store, command):
            self._require_finished(recover(self.store))
            self._require_whole()
            self.store.left = cut
            try:
                yield
            finally:
                self.store.left = NEVER

    def _kept(self, back: int = 0) -> JournaledTransaction | None:
        """The newest that is kept, or one before it."""
        found = [it for it in load_transactions(self.store)[0] if it.state == "kept"]
        return load_transaction(self.store, found[-1 - back % len(found)].intent.txid) if found else None

    # What is true then

    @precondition(lambda self: hasattr(self, "root"))
    @invariant()
    def nothing_is_lost(self) -> None:
        everything = self._forget_what_went()
        for save in self.saves:
            if save not in self.doomed:
                is_thin = save in self.waning and save.thin <= everything
                assert is_thin or save.whole <= everything, save.name

    def _forget_what_went(self) -> set[bytes]:
        """All that there is, of which nobody misses what was agreed to go and went whole."""
        everything = self._everything()
        for save in [it for it, agreed in self.doomed.items() if everything.isdisjoint(agreed)]:
            del self.doomed[save]
            if not save.whole <= everything:
                self.saves.remove(save)
        for save in [it for it in self.waning if it.rest.isdisjoint(everything)]:
            self.waning.remove(save)
            if save in self.saves:
                self.saves[self.saves.index(save)] = Save(save.name, save.slim)
        return everything

    def _require_finished(self, changes: Iterable[TrashChange]) -> None:
        """What was cut off is taken back or done, but for what training has saved anew since.

        No place is empty while what is to have it lies beside what had it.
        """
        names = [it.name for it in self.history]
        failed = {failure.path for change in changes for failure in change.failed}
        assert all(names.count(name) > 1 for path, name in self.owners.items() if path.startswith(tuple(failed)))
        heirs = {data for path, data in self._files(".ckptctl") if path.endswith(ENDING)}
        for save in [it for it in self.history if names.count(it.name) == 1 and not heirs.isdisjoint(it.thin)]:
            assert any(self._read(path) is not None for path in save.paths), save.name

    def _require_whole(self) -> None:
        """After what was cut off is in order, each save is in one place, whole or slim; and a list names what is there.

        What is slim has the rest in the trash, unless somebody agreed to less.
        """
        aside = self._everything(".ckptctl")
        self._forget_what_went()
        for save in self.saves:
            is_whole = self._is_here(save.files) or save.whole <= aside
            is_slim = save.slim and save.rest <= aside and (self._is_slim(save) or save.thin <= aside)
            assert is_whole or is_slim, save.name
        self.doomed, self.waning = {}, []
        self._require_no_mixtures()
        self._require_list()

    def _require_no_mixtures(self) -> None:
        """Under one name lies what was saved at once, as it was saved or as the slimmer makes it."""
        here = {path: data for path, data in self._files() if path in self.owners}
        for name in {name for path, name in self.owners.items() if path in here}:
            held = {(path, data) for path, data in here.items() if self.owners[path] == name}
            saves = [it for it in self.history if it.name == name and held <= {*it.files, *it.slim}]
            assert saves, f"{name} holds what was not saved at once"
            is_one = any(held in (set(it.files), set(it.slim)) for it in saves)
            assert is_one or any(it in self.mangled for it in saves), name

    def _require_list(self) -> None:
        if (self.root / "family/checkpoint").exists():
            named = re.findall(r"all_model_checkpoint_paths: .(ckpt-\d)", (self.root / "family/checkpoint").read_text())
            saved = {it for it in named if (self.root / f"family/{it}.index").exists()}
            assert {f"family {it[-1]}" for it in set(named) - saved} <= {it.name for it in self.mangled}

    def _is_here(self, files: Iterable[tuple[str, bytes]]) -> bool:
        return all(self._read(path) == data for path, data in files)

    def _is_slim(self, save: Save) -> bool:
        """Whether it lies in its place as the slimmer makes it."""
        left = save.paths - {path for path, _ in save.slim}
        return bool(save.slim) and self._is_here(save.slim) and all(self._read(path) is None for path in left)

    def _read(self, path: str) -> bytes | None:
        try:
            with open(f"{self.root}/{path}", "rb") as file:
                return file.read()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def _everything(self, below: str = "", without: str = "//") -> set[bytes]:
        """The contents of all files below the root, or below a folder in it."""
        return {data for path, data in self._files(below) if not path.startswith(f"{without}/")}

    def _files(self, below: str = "") -> Iterator[tuple[str, bytes]]:
        """All files below the root, or below a folder in it."""
        front = len(f"{self.root}/")
        for folder, _, names in os.walk(f"{self.root}/{below}"):
            for path in (f"{folder}/{name}" for name in names):
                if os.path.isfile(path):
                    with open(path, "rb") as file:
                        yield path[front:], file.read()


SHARED = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108 - a folder of its own is made in it
Machine.TestCase.settings = settings(
    max_examples=times(60, 10_000),
    stateful_step_count=30,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.slow
class TestMachine(Machine.TestCase):  # type: ignore[misc,valid-type] # made while the program runs
    pass
