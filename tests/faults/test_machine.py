"""Whatever is done in whatever order, and wherever it is cut off: every byte is in place, in the trash, or given up."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ckptctl.apply import Order, apply
from ckptctl.core.outcome import Outcome
from ckptctl.core.plan import Plan, draw
from ckptctl.core.policy import Policy
from ckptctl.core.rules import KeepEvery, KeepLast
from ckptctl.core.standing import Rule
from ckptctl.core.units import QUIET
from ckptctl.errors import Locked
from ckptctl.journal import Transaction, load, load_all, new_id
from ckptctl.lock import take
from ckptctl.scan import Options, scan
from ckptctl.stores.local import open_url
from ckptctl.trash import discard, empty, held, put_back, recover, undo
from ckptctl.weights.torch_write import encode_torch
from tests.faults.amount import times
from tests.faults.cutting import NEVER, Cut, CuttingStore
from tests.test_apply import INDEX

NUMBERS = st.integers(0, 5)
KINDS = st.sampled_from(["file", "folder", "family"])
CUTS = st.one_of(st.just(NEVER), st.integers(0, 30))
RULES = st.lists(st.one_of(st.integers(1, 2).map(KeepLast), st.integers(2, 3).map(KeepEvery)), min_size=1, max_size=2)


class Save(NamedTuple):
    """What training saved once, under a name that it may use again."""

    name: str
    files: tuple[tuple[str, bytes], ...]
    """Each with content that nothing else has."""


class Machine(RuleBasedStateMachine):
    """A training that saves and saves anew, a person who prunes, and a power supply that fails."""

    @initialize()
    def begin(self) -> None:
        self.root = Path(tempfile.mkdtemp(dir=SHARED))
        self.store = CuttingStore(str(self.root), str(self.root))
        self.made = 0
        self.saves: list[Save] = []
        """All that there must be."""
        self.mangled: list[Save] = []
        """Of which training itself wrote over a part, while the others were in the trash."""
        self.doomed: list[Save] = []
        """That may go: somebody agreed."""
        self.pinned: set[str] = set()
        for number in range(3):
            for kind in ("file", "folder", "family"):
                self.save(kind, number)

    def teardown(self) -> None:
        if hasattr(self, "root"):
            shutil.rmtree(self.root)

    # What training does

    @rule(kind=KINDS, number=NUMBERS)
    def save(self, kind: str, number: int) -> None:
        """Save, perhaps under a name that was used before."""
        self.made += 1
        unique = b"%d" % self.made
        files = {
            "file": {f"files/epoch={number}.ckpt": encode_torch({"n": self.made})},
            "folder": {
                f"folders/epoch={number}.ckpt/{name}": unique + name.encode()
                for name in ("meta.pt", ".metadata", "d/x")
            },
            "family": {
                f"family/ckpt-{number}.index": INDEX[: -8 - len(unique)] + unique + INDEX[-8:],
                f"family/ckpt-{number}.data-00000-of-00001": b"data" + unique,
            },
        }[kind]
        name = f"{kind} {number}"
        self._overwrite(set(files))
        for path, data in files.items():
            (self.root / path).parent.mkdir(parents=True, exist_ok=True)
            (self.root / path).with_suffix(".new").write_bytes(data)
            (self.root / path).with_suffix(".new").replace(self.root / path)
        self.saves.append(Save(name, tuple(files.items())))
        if kind == "family":
            self._write_list()

    def _overwrite(self, paths: set[str]) -> None:
        """Training gives up what lies at these paths."""
        for save in [it for it in self.saves if paths & {path for path, _ in it.files}]:
            there = {path for path, data in save.files if self._read(path) == data}
            if len(there) == len(save.files):
                self.saves.remove(save)
            elif there:
                self.saves.remove(save)
                self.mangled.append(save)

    def _write_list(self) -> None:
        numbers = [number for number in range(6) if (self.root / f"family/ckpt-{number}.index").exists()]
        lines = "".join(f'all_model_checkpoint_paths: "ckpt-{number}"\n' for number in numbers)
        (self.root / "family/checkpoint.new").write_text(f'model_checkpoint_path: "ckpt-{numbers[-1]}"\n{lines}')
        (self.root / "family/checkpoint.new").replace(self.root / "family/checkpoint")

    @rule(number=NUMBERS)
    def link(self, number: int) -> None:
        if (self.root / f"files/epoch={number}.ckpt").exists():
            with suppress(FileNotFoundError):
                (self.root / "files/best.ckpt").unlink()
            (self.root / "files/best.ckpt").symlink_to(f"epoch={number}.ckpt")

    # What a person does

    @rule(number=NUMBERS)
    def pin(self, number: int) -> None:
        path = f"files/epoch={number}.ckpt"
        if (self.root / path).exists():
            (self.root / f"{path}.keep").write_bytes(b"")
            self.pinned.add(path)

    @rule(rules=RULES, keeps=st.booleans(), cut=CUTS, late=st.one_of(st.none(), NUMBERS))
    def prune(self, rules: list[Rule], keeps: bool, cut: int, late: int | None) -> None:
        """Prune, while training may save one of the files anew between the plan and its end."""
        with self._at_work("recovery"):
            pass
        plan = self._plan(rules)
        going = {entry.path for it in plan.dropped if it.checkpoint for entry in it.checkpoint.entries}
        assert not going & self.pinned
        assert os.path.realpath(self.root / "files/best.ckpt") not in {str(self.root / path) for path in going}
        before = {save for save in self.saves if {path for path, _ in save.files} <= going}
        if late is not None:
            self.save("file", late)
        if not keeps:
            self.doomed += before
        outcome = self._apply(plan, Order(new_id(), keeps=keeps), cut)
        if outcome is not None and late is None:
            assert len(outcome.dropped) == len(plan.dropped)

    def _plan(self, rules: list[Rule]) -> Plan:
        options, policy = Options(now=self.store.clock() + QUIET), Policy(tuple(rules))
        return Plan(policy, tuple(draw(run, policy, options.now) for run in scan(self.store, options)))

    def _apply(self, plan: Plan, order: Order, cut: int) -> Outcome | None:
        self.store.left = cut
        try:
            return apply(plan, self.store, order)
        except Cut:
            return None
        finally:
            self.store.left = NEVER

    @precondition(lambda self: (self.root / ".ckptctl").exists())
    @rule(cut=CUTS)
    def undo(self, cut: int) -> None:
        """Put the newest back."""
        with self._at_work("undo", cut):
            kept = self._newest()
            if kept is not None:
                undo(self.store, kept)

    @precondition(lambda self: (self.root / ".ckptctl").exists())
    @rule(cut=CUTS, which=st.integers(0, 3))
    def restore(self, cut: int, which: int) -> None:
        """Put one checkpoint back."""
        with self._at_work("restore", cut):
            kept = self._newest()
            for item in (held(self.store, kept) if kept else [])[which : which + 1]:
                if not put_back(self.store, [item]).failed and kept:
                    discard(self.store, kept.folder)

    @precondition(lambda self: (self.root / ".ckptctl").exists())
    @rule(cut=CUTS)
    def empty(self, cut: int) -> None:
        with self._at_work("empty", cut):
            kept = self._newest()
            if kept is not None:
                inside = self._everything(kept.folder)
                self.doomed += [save for save in self.saves if {data for _, data in save.files} <= inside]
                empty(self.store, kept)

    @rule()
    def come_second(self) -> None:
        """Another process is at work."""
        plan = self._plan([KeepLast(1)])
        with take(open_url(str(self.root)), "prune"):
            before = self._everything()
            with suppress(Locked):
                assert not apply(plan, self.store, Order(new_id())).dropped
            assert self._everything() == before

    @contextmanager
    def _at_work(self, command: str, cut: int = NEVER) -> Iterator[None]:
        """As every command begins: with the lock held, and what was cut off before put in order."""
        with suppress(Cut), take(self.store, command):
            recover(self.store)
            self._require_whole()
            self.store.left = cut
            try:
                yield
            finally:
                self.store.left = NEVER

    def _newest(self) -> Transaction | None:
        found = [it for it in load_all(self.store)[0] if it.state == "kept"]
        return load(self.store, found[-1].deed.txid) if found else None

    # What is true then

    @precondition(lambda self: hasattr(self, "root"))
    @invariant()
    def nothing_is_lost(self) -> None:
        everything = self._forget_what_went()
        for save in self.saves:
            if save not in self.doomed:
                assert all(data in everything for _, data in save.files), save.name

    def _forget_what_went(self) -> set[bytes]:
        """All that there is, of which nobody misses what was agreed to go and went whole."""
        everything = self._everything()
        went = [it for it in self.doomed if everything.isdisjoint(data for _, data in it.files)]
        self.saves = [it for it in self.saves if it not in went]
        self.doomed = [it for it in self.doomed if it not in went]
        return everything

    def _require_whole(self) -> None:
        """After what was cut off is in order, each save is in one place, whole; and a list names what is there."""
        aside = self._everything(".ckptctl")
        self._forget_what_went()
        for save in self.saves:
            here = [self._read(path) == data for path, data in save.files]
            there = [data in aside for _, data in save.files]
            assert all(here) or all(there), (save.name, here, there)
            self.doomed = [it for it in self.doomed if it != save]
        if (self.root / "family/checkpoint").exists():
            named = re.findall(r"all_model_checkpoint_paths: .(ckpt-\d)", (self.root / "family/checkpoint").read_text())
            saved = {it for it in named if (self.root / f"family/{it}.index").exists()}
            assert {f"family {it[-1]}" for it in set(named) - saved} <= {it.name for it in self.mangled}

    def _read(self, path: str) -> bytes | None:
        try:
            return (self.root / path).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def _everything(self, below: str = "") -> set[bytes]:
        """The contents of all files below the root, or below a folder in it."""
        found = (os.path.join(folder, name) for folder, _, names in os.walk(self.root / below) for name in names)
        return {Path(path).read_bytes() for path in found if os.path.isfile(path)}


SHARED = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108 - a folder of its own is made in it
Machine.TestCase.settings = settings(
    max_examples=times(60, 10_000),
    stateful_step_count=20,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.slow
class TestMachine(Machine.TestCase):  # type: ignore[misc,valid-type] # made while the program runs
    pass
