"""The last look before a deletion: what is looked at again, and what still goes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ckptctl import Outcome, plan_prune, scan
from ckptctl.core.retention.policy import Policy
from ckptctl.core.retention.rules import KeepLast
from ckptctl.prune.apply import ApplyOptions
from ckptctl.prune.planning import PlannedPrune, PruneJob, carry_out, look_again, plan_stores
from ckptctl.scan.runs import Options
from tests.cli.calls import HOUR, LAST, NAMES, checkpoints_in, make_run, save, state
from tests.cli.test_resumable import whole
from tests.layouts.tree import json_file, safetensors
from tests.stores.memory import MemoryStore

CHANGED = "changed since the plan"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two runs that are alike."""
    make_run(tmp_path / "runs" / "a")
    make_run(tmp_path / "runs" / "b")
    return tmp_path / "runs"


def whys(outcome: Outcome) -> dict[str, str]:
    """Why each checkpoint was skipped, by its name."""
    return {Path(it.path).name: it.why for it in outcome.skipped}


def thin_out(run: Path) -> Path:
    """Leave a run its last checkpoint alone, so that it has nothing to lose."""
    for name in NAMES[:-1]:
        (run / name).unlink()
    return run


def save_folder(run: Path, step: int) -> None:
    """A checkpoint of many files, as Hugging Face's Trainer leaves it, the older the lower its step."""
    folder = run / f"checkpoint-{step}"
    save(folder, ["trainer_state.json"], json_file({"global_step": step, "log_history": []}))
    save(folder, ["model.safetensors"], safetensors())
    for path in (*folder.iterdir(), folder):
        moment = path.stat().st_mtime - (10_000 - step)
        os.utime(path, (moment, moment))


@contextmanager
def touched_files(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The paths of what is opened meanwhile, or asked for its size and time."""
    found: list[str] = []

    def noting(call: Callable[..., Any]) -> Callable[..., Any]:
        def noted(path: Any, *rest: Any, dir_fd: int | None = None, **more: Any) -> Any:  # noqa: ANN401 - as os has it
            folder = "" if dir_fd is None else os.readlink(f"/proc/self/fd/{dir_fd}")
            found.append(os.path.join(folder, str(path)))
            return call(path, *rest, dir_fd=dir_fd, **more)

        return noted

    with monkeypatch.context() as patched:
        patched.setattr("os.open", noting(os.open))
        patched.setattr("os.stat", noting(os.stat))
        yield found


# What still goes


def in_memory(store: MemoryStore) -> tuple[PruneJob, PlannedPrune]:
    """A plan to keep the last of what a store holds, an hour from now."""
    job = PruneJob([store], Options(now=store.clock() + HOUR * 10**9), Policy((KeepLast(1),)))
    return job, plan_stores(job)


def test_where_nothing_changed_the_plan_stays_as_it_is_with_all_that_it_keeps() -> None:
    job, planned = in_memory(MemoryStore({f"r/{name}": state() for name in NAMES}))
    assert look_again(job, planned) == (planned, ())
    assert [it.action for it in planned.plan.runs[0].verdicts] == ["drop", "drop", "drop", "keep"]


def test_one_that_was_written_anew_stays_though_the_rules_would_still_let_it_go(root: Path) -> None:
    plan = plan_prune(root, keep_last=1)
    before = (root / "a" / NAMES[0]).stat().st_mtime
    save(root / "a", [NAMES[0]], state(epoch=7, note="longer"))
    os.utime(root / "a" / NAMES[0], (before, before))
    outcome = plan.apply()
    assert whys(outcome) == {NAMES[0]: CHANGED}
    assert checkpoints_in(root / "a") == [NAMES[0], LAST]


def test_one_that_was_to_be_slimmed_is_left_alone_where_the_rules_would_delete_it_now(tmp_path: Path) -> None:
    names = [f"epoch={n}-val_loss=0.{5 - n}.ckpt" for n in range(3)]
    run = save(tmp_path / "run", names, whole())
    plan = plan_prune(run, keep_last=2, resumable=1)
    assert [Path(it.path).name for it in plan.slims] == [names[1]]
    size = (run / names[1]).stat().st_size
    save(run, ["epoch=3-val_loss=0.1.ckpt"], whole())
    outcome = plan.apply()
    assert whys(outcome) == {names[1]: CHANGED}
    assert (run / names[1]).stat().st_size == size


def test_a_score_that_came_since_the_plan_spares_nothing_where_no_rule_asks_for_it(tmp_path: Path) -> None:
    names = [f"epoch={n}-step={n}0.ckpt" for n in range(3)]
    run = save(tmp_path / "run", names)
    plan = plan_prune(run, keep_last=1)
    (run / "best_k_models.yaml").write_text("".join(f"{run}/{name}: 0.{n}\n" for n, name in enumerate(names, 1)))
    assert scan(run)[0].checkpoints[0].metrics != {}
    assert whys(plan.apply()) == {}
    assert checkpoints_in(run) == names[-1:]


def test_a_pin_that_was_set_in_one_of_several_places_since_the_plan_holds(root: Path) -> None:
    plan = plan_prune([root / "a", root / "b"], keep_last=1)
    (root / "b" / f"{NAMES[0]}.keep").touch()
    assert whys(plan.apply()) == {NAMES[0]: CHANGED}
    assert (checkpoints_in(root / "a"), checkpoints_in(root / "b")) == ([LAST], [NAMES[0], LAST])


def test_what_lay_in_a_run_that_is_gone_is_told_as_changed_and_the_other_run_is_pruned(root: Path) -> None:
    plan = plan_prune(root, keep_last=1)
    (root / "a").rename(root.parent / "elsewhere")
    outcome = plan.apply()
    assert whys(outcome) == dict.fromkeys(NAMES[:-1], CHANGED)
    assert {Path(it.path).parent.name for it in outcome.skipped} == {"a"}
    assert checkpoints_in(root / "b") == [LAST]


SHARED = {
    "the best of all": {"global_best": 2},
    "the last of all": {"keep_last": 2, "group_by": "all"},
    "the last of those in one folder": {"keep_last": 2, "group_by": "parent"},
    "a number of files": {"keep_last": 3, "max_files": 3},
}
"""Options by which what one run holds decides what another one loses."""


@pytest.mark.parametrize("options", SHARED.values(), ids=SHARED)
def test_where_runs_are_judged_together_those_that_lose_nothing_are_looked_at_again(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    """What was kept there is gone: in its stead stays what is best, or newest, or within the budget, now."""
    names = ["epoch=0-val_loss=0.9.ckpt", "epoch=1-val_loss=0.7.ckpt", "epoch=2-val_loss=0.8.ckpt"]
    old = save(tmp_path / "runs" / "old", names)
    for path in old.iterdir():
        os.utime(path, (path.stat().st_mtime - 100 * HOUR,) * 2)
    new = save(tmp_path / "runs" / "new", ["epoch=0-val_loss=0.1.ckpt", "epoch=1-val_loss=0.05.ckpt"])
    plan = plan_prune(tmp_path / "runs", **options)
    assert [it.path for it in plan.drops] == [str(old / name) for name in names[:2]]
    new.rename(tmp_path / "moved")
    assert whys(plan.apply())[names[1]] == CHANGED
    assert (old / names[1]).exists()


def test_checkpoints_that_are_folders_go_from_a_run_inside_of_one_that_loses_nothing(root: Path) -> None:
    """What lies in them is of the inner run, and must be measured again as that is."""
    thin_out(root / "a")
    for step in (100, 200, 300):
        save_folder(root / "a" / "inner", step)
    plan = plan_prune(root / "a", keep_last=1)
    assert sorted(Path(it.path).name for it in plan.drops) == ["checkpoint-100", "checkpoint-200"]
    assert whys(plan.apply()) == {}
    assert os.listdir(root / "a" / "inner") == ["checkpoint-300"]


# What is looked at again


def touched_below(folder: Path, touched: list[str]) -> list[str]:
    """What was touched of a folder's files, without the folders themselves."""
    return sorted({it for it in touched if Path(it).is_relative_to(folder) and not Path(it).is_dir()})


def test_where_runs_are_judged_alone_no_file_of_another_one_is_touched(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the best are kept: that is each run's own."""
    thin_out(root / "b")
    plan = plan_prune(root, top_k=1)
    with touched_files(monkeypatch) as touched:
        assert len(plan.apply().dropped) == 2
    assert touched_below(root / "a", touched) != []
    assert touched_below(root / "b", touched) == []


def test_a_run_of_the_same_name_in_another_place_is_not_looked_at_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_run(tmp_path / "a" / "run")
    thin_out(make_run(tmp_path / "b" / "run"))
    plan = plan_prune([tmp_path / "a", tmp_path / "b"], keep_last=1)
    with touched_files(monkeypatch) as touched:
        assert len(plan.apply().dropped) == len(NAMES) - 1
    assert touched_below(tmp_path / "a", touched) != []
    assert touched_below(tmp_path / "b" / "run", touched) == []


@pytest.mark.parametrize("place", ["b", "a/inner"], ids=["beside the run", "inside of the run"])
def test_the_folders_of_a_run_that_loses_nothing_are_not_looked_into(
    root: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its one checkpoint is a folder, of whose files a look would ask the sizes."""
    for path in (root / "b").iterdir():
        path.unlink()
    save_folder(root / place, 300)
    plan = plan_prune(root, keep_last=1)
    with touched_files(monkeypatch) as touched:
        assert len(plan.apply().dropped) == len(NAMES) - 1
    assert touched_below(root / place, touched) == []


class Counted(MemoryStore):
    """A store that knows how often it was listed."""

    walks = 0

    def walk(self, **options: Any) -> Iterator[Any]:  # noqa: ANN401 - passed on as they are
        self.walks += 1
        return super().walk(**options)


@pytest.mark.parametrize(("is_fresh", "walks"), [(True, 0), (False, 1)], ids=["fresh", "of some time ago"])
def test_only_a_plan_of_some_time_ago_is_looked_at_again(is_fresh: bool, walks: int) -> None:
    store = Counted({f"r/{name}": state() for name in NAMES})
    job, planned = in_memory(store)
    begun: list[int] = []

    def stop() -> bool:
        begun.append(store.walks)
        return False

    before = store.walks
    outcome = carry_out(job, planned, ApplyOptions("t"), stop, is_fresh=is_fresh)
    assert (len(outcome.dropped), begun[0] - before) == (len(NAMES) - 1, walks)
