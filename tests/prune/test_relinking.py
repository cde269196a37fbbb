"""Links that move before what they led to goes: carried out, cut off anywhere, undone, and refused."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from ckptctl.core.outcome import Failure
from ckptctl.core.retention.plan import Plan, plan_runs
from ckptctl.core.retention.policy import Policy
from ckptctl.core.retention.rules import KeepLast
from ckptctl.core.units import QUIET
from ckptctl.errors import StorageFailed
from ckptctl.prune.apply import ApplyOptions, apply
from ckptctl.prune.journal import load_transaction
from ckptctl.prune.trash import recover, undo_transaction
from ckptctl.scan.runs import Options, scan
from ckptctl.stores import LinkKind
from tests.cli.calls import NAMES as SAVED
from tests.cli.calls import call, make_run
from tests.prune.test_apply import NAMES, WHOLE, Full
from tests.prune.test_trash import Cut, Cutting
from tests.stores.memory import MemoryStore

LINK = "r/last.ckpt"
OLD, NEW = (name.rpartition("/")[2] for name in (NAMES[0], NAMES[-1]))


def linked(store: MemoryStore) -> MemoryStore:
    for name in NAMES:
        store.write(name, WHOLE)
    store.link(LINK, OLD)
    return store


def plan_of(store: MemoryStore) -> Plan:
    options = Options(now=store.clock() + QUIET)
    return plan_runs(list(scan(store, options)), Policy((KeepLast(1),), relink=True), options.now)


def state(store: MemoryStore) -> dict[str, str | None]:
    """Every name outside of the tool's own folder, with what a link leads to."""
    return {it.path: it.target for folder in store.walk(stat=True) for it in folder.entries if it.kind != "dir"}


BEFORE = {**dict.fromkeys(NAMES), LINK: OLD}
AFTER = {NAMES[-1]: None, LINK: NEW}


def test_the_link_moves_and_what_it_led_to_goes() -> None:
    store = linked(MemoryStore({}))
    outcome = apply(plan_of(store), store, ApplyOptions("t"))
    assert (outcome.dropped, state(store)) == (tuple(NAMES[:3]), AFTER)


def test_undo_leads_the_link_back() -> None:
    store = linked(MemoryStore({}))
    apply(plan_of(store), store, ApplyOptions("t", keeps=True))
    kept = load_transaction(store, "t")
    assert kept is not None
    assert undo_transaction(store, kept).failed == ()
    assert state(store) == BEFORE


def test_undo_leaves_a_link_that_leads_elsewhere_since_and_says_so() -> None:
    store = linked(MemoryStore({}))
    apply(plan_of(store), store, ApplyOptions("t", keeps=True))
    store.link(LINK, "elsewhere")
    kept = load_transaction(store, "t")
    assert kept is not None
    assert undo_transaction(store, kept).failed == (Failure(LINK, "was changed since, and is left as it is"),)
    assert state(store) == {**BEFORE, LINK: "elsewhere"}


def test_undo_makes_no_link_that_somebody_removed() -> None:
    store = linked(MemoryStore({}))
    apply(plan_of(store), store, ApplyOptions("t", keeps=True))
    store.delete_exact(store.stat(LINK))
    kept = load_transaction(store, "t")
    assert kept is not None
    assert undo_transaction(store, kept).failed == ()
    assert state(store) == dict.fromkeys(NAMES)


@pytest.mark.parametrize("keeps", [False, True], ids=["deleting", "setting aside"])
def test_wherever_it_is_cut_off_no_link_leads_to_what_is_gone(keeps: bool) -> None:
    states, number = [], 0
    while True:
        store = Cutting({})
        planned = plan_of(linked(store))
        store.left = number
        try:
            apply(planned, store, ApplyOptions("t", keeps=keeps))
        except Cut:
            store.left = 10**9
        else:
            break
        number += 1
        found = state(store)
        assert f"r/{found[LINK]}" in found
        recover(store)
        states.append(state(store))
    assert [it for it in states if it not in (BEFORE, AFTER)] == []
    assert BEFORE in states
    assert AFTER in states


def test_what_is_cut_off_right_before_a_link_moves_leaves_it_as_it_was() -> None:
    class Stopping(MemoryStore):
        stops = False

        def link(self, path: str, target: str, kind: LinkKind = "symlink", *, is_new: bool = False) -> None:
            if self.stops:
                raise Cut
            super().link(path, target, kind, is_new=is_new)

    store = Stopping({})
    planned = plan_of(linked(store))
    store.stops = True
    with pytest.raises(Cut):
        apply(planned, store, ApplyOptions("t"))
    assert recover(store) == []
    assert state(store) == BEFORE


@pytest.mark.parametrize(
    ("change", "why"),
    [
        pytest.param("elsewhere", "No such file or directory", id="it leads to nothing"),
        pytest.param(NEW, f"{LINK} was changed since the plan", id="it leads elsewhere"),
        pytest.param(None, f"{LINK} was changed since the plan", id="it is a file"),
    ],
)
def test_a_link_that_changed_since_the_plan_keeps_everything(change: str | None, why: str) -> None:
    store = linked(MemoryStore({}))
    planned = plan_of(store)
    if change is None:
        store.write(LINK, WHOLE)
    else:
        store.link(LINK, change)
    before = state(store)
    outcome = apply(planned, store, ApplyOptions("t"))
    assert ({it.path for it in outcome.skipped}, state(store)) == (set(NAMES[:3]), before)
    assert outcome.skipped[0].why == f"a link to it cannot be moved: {why}"


def test_where_a_link_cannot_be_moved_everything_stays() -> None:
    class Linkless(MemoryStore):
        full = False

        def link(self, path: str, target: str, kind: LinkKind = "symlink", *, is_new: bool = False) -> None:
            if self.full:
                raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)
            super().link(path, target, kind, is_new=is_new)

    store = Linkless({})
    planned = plan_of(linked(store))
    store.full = True
    outcome = apply(planned, store, ApplyOptions("t"))
    assert {it.why for it in outcome.skipped} == {f"{LINK} leads to it, and could not be moved: Read-only file system"}
    assert state(store) == BEFORE


def test_on_a_full_disk_nothing_goes_alone_whose_link_would_have_to_move() -> None:
    store = Full({})
    planned = plan_of(linked(store))
    with pytest.raises(StorageFailed, match="No space left"):
        apply(planned, store, ApplyOptions("t"))
    assert state(store) == BEFORE


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two runs whose best and last links were left behind."""
    monkeypatch.chdir(tmp_path)
    for name in "ab":
        run = make_run(tmp_path / name)
        (run / "best.ckpt").symlink_to(SAVED[0])
        (run / "last.ckpt").symlink_to(SAVED[0])
    return tmp_path


@pytest.mark.parametrize("paths", [["."], ["a", "b"]], ids=["one root", "two places"])
def test_prune_moves_the_links_of_every_run(runs: Path, paths: list[str]) -> None:
    assert SAVED[0] in os.listdir(runs / "a")
    answer = call("prune", *paths, "--top-k", "1", "--relink", "--yes")
    assert answer.code == 0, answer.err
    for run in (runs / "a", runs / "b"):
        assert sorted(os.listdir(run)) == sorted([*SAVED[2:], "best.ckpt", "last.ckpt"])
        assert os.readlink(run / "best.ckpt") == SAVED[2]
        assert os.readlink(run / "last.ckpt") == SAVED[3]
    assert call("prune", *paths, "--top-k", "1", "--relink", "--check").code == 0


def test_a_dry_run_tells_where_links_would_lead_and_moves_none(runs: Path) -> None:
    answer = call("prune", "a", "--top-k", "1", "--relink", "-n", "--json")
    assert answer.json["runs"][0]["links"] == [
        {"path": "best.ckpt", "before": SAVED[0], "after": SAVED[2]},
        {"path": "last.ckpt", "before": SAVED[0], "after": SAVED[3]},
    ]
    rows = call("prune", "a", "--top-k", "1", "--relink", "-n").rows
    assert [row["path"] for row in rows if row["action"] == "link"] == ["a/best.ckpt", "a/last.ckpt"]
    assert os.readlink(runs / "a" / "best.ckpt") == SAVED[0]


def test_a_plan_in_a_file_moves_them_when_it_is_applied(runs: Path) -> None:
    assert call("prune", "a", "--top-k", "1", "--relink", "--plan-out", "plan.json").code == 0
    assert os.readlink(runs / "a" / "last.ckpt") == SAVED[0]
    assert call("apply", "plan.json", "--yes").code == 0
    assert os.readlink(runs / "a" / "last.ckpt") == SAVED[3]


def test_a_configuration_file_may_not_ask_for_it(runs: Path) -> None:
    (runs / "ckptctl.toml").write_text("relink = true\n")
    answer = call("prune", "a", "--top-k", "1", "--yes")
    assert answer.code == 2
    assert "relink" in answer.err
