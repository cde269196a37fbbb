"""The API: what a notebook calls, and that the command keeps and drops the same."""

from __future__ import annotations

import ast
import copy
import gc
import inspect
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import ckptctl
from ckptctl import Refused, UsageError, apply, best, last, plan_prune, scan, show, undo, verify
from ckptctl.cli._policy_flags import FLAGS
from ckptctl.errors import CkptctlError, Locked
from ckptctl.prune.lock import acquire_lock
from ckptctl.prune.policy_options import PolicyOptions
from ckptctl.stores import open_store, require_writable
from tests.cli.calls import BEST, HOUR, LAST, NAMES, age, call, checkpoints_in, listing, make_run, save, state
from tests.doors import assert_same, options_of
from tests.layouts.test_trees import TREES, plant
from tests.layouts.tree import Tree
from tests.test_fixtures import FIXTURES, POLICIES
from tests.test_fixtures import LAST as RUNS_OF_LIGHTNING

ROOT = Path(__file__).resolve().parent.parent
GONE = NAMES[:2]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return make_run(tmp_path / "runs" / "a")


def names_of(verdicts: list[ckptctl.Verdict]) -> list[str]:
    return sorted(Path(it.path).name for it in verdicts)


# The front door

CALLS: dict[str, Callable[[Path], object]] = {
    "apply": lambda run: apply(plan_prune(run, top_k=9)),
    "best": best,
    "last": last,
    "plan_prune": lambda run: plan_prune(run, keep_last=1),
    "scan": scan,
    "show": lambda run: show(run / BEST),
    "undo": lambda run: undo(plan_prune(run, keep_last=1).apply(trash=True)),
    "verify": verify,
}
"""Each public function, called on a run."""
HIDING = ["scan", "scan.runs", "best", "api", "prune.apply", "cli.best", "cli.apply"]
"""Modules, some of which are called as a public function is."""


@pytest.mark.parametrize("name", sorted(set(ckptctl.__all__) - {"__version__"}))
def test_each_public_name_can_be_called_after_it_was_imported_twice(run: Path, name: str) -> None:
    first = getattr(ckptctl, name)
    for module in HIDING:
        import_module(f"ckptctl.{module}")
    again: dict[str, Any] = {}
    exec(f"from ckptctl import {name}", again)  # noqa: S102 - the statement is what is tried
    assert again[name] is first
    assert getattr(ckptctl, name) is first
    if name in CALLS:
        assert CALLS[name](run)
    else:
        assert inspect.isclass(first)


@pytest.mark.parametrize("order", [HIDING, HIDING[::-1]], ids=["forwards", "backwards"])
def test_no_module_hides_a_function_whatever_is_imported_first(tmp_path: Path, order: list[str]) -> None:
    imports = "".join(f"import ckptctl.{module}\n" for module in order)
    code = (
        f"{imports}from ckptctl import apply, best, scan\nassert callable(scan) and callable(best) and callable(apply)"
    )
    code += "\nfrom ckptctl.scan import runs\nassert runs.scan is not scan"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")


def test_type_checkers_are_told_the_same_names() -> None:
    tree = ast.parse((ROOT / "ckptctl" / "__init__.py").read_text())
    (block,) = (it for it in tree.body if isinstance(it, ast.If))
    told = {it.names[0].name: it.module for it in block.body if isinstance(it, ast.ImportFrom)}
    del told["Any"]
    assert told == vars(ckptctl)["_HOMES"]


def test_a_name_that_is_not_public_is_told() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'plan_run'"):
        ckptctl.plan_run  # type: ignore[attr-defined] # noqa: B018 - to ask is enough


def test_the_options_of_a_plan_are_the_flags_of_the_command() -> None:
    from ckptctl.cli.prune import command

    said = {name for name, it in inspect.signature(plan_prune).parameters.items() if it.kind is it.KEYWORD_ONLY}
    asked = {*inspect.signature(command).parameters}
    shown = {"dry_run", "check", "yes", "plan_out", "force", "every", "json", "color", "verbose", "paths"}
    assert said == {"filter" if name == "filters" else name for name in asked - shown}
    assert tuple(FLAGS) == PolicyOptions._fields


# Both doors


DEMO = [*POLICIES, ["--resumable", "1", "--top-k", "2"], ["--keep-last", "1", "--partial", "--relink"]]


@pytest.mark.parametrize("name", RUNS_OF_LIGHTNING)
def test_both_doors_keep_and_drop_the_same_of_lightnings_runs(tmp_path: Path, name: str) -> None:
    shutil.copytree(FIXTURES / name, tmp_path / "copy", symlinks=True)
    assert all(assert_same(tmp_path / "copy", *policy) for policy in POLICIES)


@pytest.mark.slow
@pytest.mark.parametrize("tree", TREES)
def test_both_doors_keep_and_drop_the_same_of_every_layout(tmp_path: Path, tree: Tree) -> None:
    plant(tree, tmp_path)
    assert all(assert_same(tmp_path, *policy) for policy in (["--keep-last", "1"], ["--top-k", "1", "--partial"]))


@pytest.mark.parametrize("policy", DEMO, ids=" ".join)
def test_both_doors_keep_and_drop_the_same_of_the_demo(tmp_path: Path, policy: list[str]) -> None:
    assert call("demo", tmp_path / "runs").code == 0
    said = assert_same(tmp_path / "runs", *policy)
    assert "drop" in said or "slim" in said or said == "no-monitor"


def test_both_doors_keep_a_checkpoint_that_is_linked_from_elsewhere_in_the_tree(run: Path) -> None:
    (run.parent / "b").mkdir()
    (run.parent / "b" / "start.ckpt").symlink_to(f"../a/{NAMES[0]}")
    assert_same(run.parent, "--keep-last", "1")
    (found,) = scan(run.parent)
    assert [it.path for it in found.checkpoints] == [str(run / name) for name in NAMES]
    plan = plan_prune(found.path, keep_last=1)
    assert str(run / NAMES[0]) in [it.path for it in plan.drops], "of this run alone the link is not seen"
    plan = plan_prune(run.parent, keep_last=1)
    assert names_of(plan.keeps) == sorted([NAMES[0], LAST])
    assert plan.apply().dropped == tuple(str(run / name) for name in NAMES[1:3])
    assert (run.parent / "b" / "start.ckpt").exists()


def test_no_public_name_plans_or_deletes_on_another_way() -> None:
    """A plan of one run knows no links from elsewhere; what applies one must not be given any."""
    unsafe = {"plan_run", "plan_runs", "find_objections", "Plan", "Policy", "Store", "open_store", "Options"}
    assert unsafe.isdisjoint(ckptctl.__all__)


def test_both_doors_obey_what_is_configured(run: Path) -> None:
    (run / "ckptctl.toml").write_text(f'keep = ["{NAMES[0]}"]\n\n[policy.mine]\nkeep-last = 1\n')
    said = assert_same(run, "--policy", "mine")
    assert isinstance(said, dict)
    assert said["keep"] == {str(run / NAMES[0]), str(run / LAST)}


@pytest.mark.parametrize("flags", [["--top-k", "1"], ["--keep-last", "1"]], ids=" ".join)
def test_both_doors_plan_several_places_as_one(run: Path, flags: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    make_run(run.parent / "b")
    monkeypatch.chdir(run.parent)
    rows = call("prune", "a", "b", *flags, "-n").rows
    plan = plan_prune(["a", "b"], **options_of(flags))
    assert [it.path for it in plan.drops] == [os.path.abspath(it["path"]) for it in rows if it["action"] == "drop"]


# What a plan says


def test_a_plan_has_absolute_paths_that_open_wherever_one_is(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(run.parent)
    plan = plan_prune("a", top_k=1)
    monkeypatch.chdir("/")
    held = [it.checkpoint for it in (*plan.drops, *plan.keeps) if it.checkpoint]
    assert sorted(it.path for it in held) == [str(run / name) for name in NAMES]
    assert all(Path(entry.path).is_file() for it in held for entry in it.entries)


def test_a_plan_prints_as_the_dry_run_of_the_command(run: Path) -> None:
    plan = plan_prune(run, top_k=1)
    text = str(plan)
    assert "   keep 2 of 4 · frees " in text
    assert f"  drop  {NAMES[0]}   rank 4 of 4 by val_loss · " in text
    assert text.endswith("Nothing was changed (dry run).\n")
    assert re.fullmatch(r"<PrunePlan: 2 to delete, 0 to slim, 2 kept, frees [\d.]+ k?B>", repr(plan))


def test_a_plan_that_must_not_run_says_so(run: Path) -> None:
    plan = plan_prune(run, top_k=1, max_delete=1)
    assert [it.id for it in plan.objections] == ["max-delete"]
    assert "refused[max-delete]: 2 checkpoints would go" in str(plan)
    assert "refused: max-delete" in repr(plan)
    assert "refused[max-delete]" in plan._repr_html_()


HOSTILE = "<img src=x onerror=alert(1)>\x1b[31m\u202e&amp;-epoch=0-val_loss=0.9.ckpt"


def test_a_page_of_a_notebook_escapes_what_names_hold(tmp_path: Path) -> None:
    save(tmp_path / "<b>", [HOSTILE, "epoch=1-val_loss=0.5.ckpt"])
    for page in (plan_prune(tmp_path, top_k=1)._repr_html_(), scan(tmp_path)._repr_html_()):
        assert "<img" not in page
        assert "<b>" not in page
        assert not {"\x1b", "\u202e"} & set(page)
        assert r"&lt;img src=x onerror=alert(1)&gt;\x1b[31m\u202e&amp;amp;-epoch=0" in page


def test_what_is_given_once_need_not_be_a_list(run: Path) -> None:
    one = plan_prune(run, keep="epoch=0*", keep_step=200, filter="step<400", keep_best="val_loss:max=1")
    several = plan_prune(run, keep=["epoch=0*"], keep_step=["200"], filter=["step<400"], keep_best=["val_loss:max=1"])
    assert names_of(one.drops) == names_of(several.drops) == [BEST]


def test_lengths_of_time_may_be_timedeltas_and_sizes_numbers(run: Path) -> None:
    assert names_of(plan_prune(run, keep_within=timedelta(minutes=90)).drops) == GONE
    assert plan_prune(run, keep_last=1, max_delete_size=1000).objections
    assert not plan_prune(run, keep_last=1, max_delete_size="1GB").objections


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "no rule says what to keep"),
        ({"keep_last": 1, "mode": "up"}, "--mode up is unknown"),
        ({"keep_last": 1, "group_by": "me"}, "--group-by me is unknown"),
        ({"keep_last": 1, "policy": "none"}, "there is no policy 'none'"),
    ],
    ids=["no rule", "mode", "group", "policy"],
)
def test_options_that_cannot_be_obeyed_are_a_usage_error(run: Path, options: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=re.escape(says)):
        plan_prune(run, **options)


def test_where_nothing_can_be_planned_the_error_says_why(run: Path, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "todo").touch()
    save(run.parent / "b", ["epoch=0.ckpt", "epoch=1.ckpt"])
    with pytest.raises(ckptctl.NoCheckpoint):
        plan_prune(tmp_path / "notes", keep_last=1)
    with pytest.raises(ckptctl.NoScore, match="no run has the metric"):
        plan_prune(run, top_k=1, monitor="val_acc")
    with pytest.raises(ckptctl.PartlyDone, match="1 of 2 runs lack the metric"):
        plan_prune(run.parent, top_k=1, strict=True)


# What applying does


def test_applying_deletes_exactly_what_the_plan_drops(run: Path) -> None:
    plan = plan_prune(run, top_k=1)
    assert checkpoints_in(run) == NAMES, "a plan changes nothing"
    outcome = apply(plan)
    assert outcome.dropped == tuple(it.path for it in plan.drops) == tuple(str(run / name) for name in GONE)
    assert outcome.is_whole
    assert outcome.freed == plan.frees
    assert checkpoints_in(run) == [BEST, LAST]
    assert not (run / ".ckptctl").exists()


def test_what_was_set_aside_comes_back(run: Path) -> None:
    before = listing(run)
    outcome = plan_prune(run, top_k=1, trash=True).apply()
    assert checkpoints_in(run) == [BEST, LAST]
    assert undo(outcome).back == tuple(str(run / name) for name in GONE)
    assert listing(run) == before
    plan_prune(run, top_k=1).apply(trash_for=timedelta(days=7))
    assert len(undo(paths=run).back) == 2
    assert listing(run) == before


def test_what_was_set_aside_in_several_places_comes_back_together(run: Path) -> None:
    other = make_run(run.parent / "b")
    outcome = plan_prune([run, other], top_k=1, trash=True).apply()
    assert len(outcome.dropped) == 4
    assert sorted(undo(outcome).back) == sorted(outcome.dropped)
    assert checkpoints_in(other) == checkpoints_in(run) == NAMES


@pytest.mark.parametrize("call_it", [scan, verify, lambda paths: plan_prune(paths, keep_last=1)])
def test_an_empty_list_of_paths_never_means_the_current_folder(
    run: Path, monkeypatch: pytest.MonkeyPatch, call_it: Callable[[list[str]], object]
) -> None:
    monkeypatch.chdir(run)
    with pytest.raises(UsageError, match="an empty list of paths"):
        call_it([])


def test_a_plan_is_stale_where_the_configuration_changed_since(run: Path) -> None:
    plan = plan_prune(run.parent, keep_last=1)
    (run.parent / "ckptctl.toml").write_text(f'keep = ["{NAMES[0]}"]\n')
    with pytest.raises(Refused, match="what is configured has changed since the plan"):
        plan.apply()
    assert checkpoints_in(run) == NAMES
    assert NAMES[0] in names_of(plan_prune(run.parent, keep_last=1).keeps)


def test_both_doors_say_that_all_is_left_alone_where_no_run_has_a_metric(run: Path) -> None:
    save(run.parent / "b", ["epoch=0-step=1.ckpt", "epoch=1-step=2.ckpt"])
    with pytest.raises(CkptctlError) as error:
        plan_prune(run.parent / "b", top_k=1)
    said = call("prune", run.parent / "b", "--top-k", "1", "-n", "--json").error["hint"]
    assert said == error.value.hint == "no checkpoint has a metric: left alone"


def test_both_doors_obey_what_is_configured_of_a_folder_that_is_named_by_its_url(run: Path) -> None:
    (run.parent / "ckptctl.toml").write_text(f'keep = ["{NAMES[0]}"]\n')
    url = f"file://{run}"
    assert NAMES[0] in names_of(plan_prune(url, keep_last=1).keeps)
    said = call("prune", url, "--keep-last", "1", "-n", "--json").json["runs"][0]["verdicts"]
    assert [it["path"] for it in said if it["action"] == "drop"] == NAMES[1:3]
    assert len(plan_prune(url, keep_last=1).apply().dropped) == len(NAMES) - 2


def test_a_plan_that_could_not_begin_may_be_applied_again(run: Path) -> None:
    plan = plan_prune(run, keep_last=1)
    with acquire_lock(require_writable(open_store(str(run))), "prune"), pytest.raises(Locked):
        plan.apply()
    assert len(plan.apply().dropped) == len(NAMES) - 1


def test_a_plan_cannot_be_copied_with_the_folder_that_it_holds_open(run: Path) -> None:
    plan = plan_prune(run, keep_last=1)
    with pytest.raises(TypeError, match="cannot be copied"):
        copy.deepcopy(plan)
    gc.collect()
    assert len(plan.apply().dropped) == len(NAMES) - 1


@pytest.mark.parametrize(("trash", "span"), [(True, None), (None, "7d"), (False, "soon")])
def test_terms_that_cannot_be_obeyed_are_told_when_the_plan_is_made(
    run: Path, trash: bool | None, span: str | None
) -> None:
    with pytest.raises(UsageError):
        plan_prune(run, keep_last=1, free="1B", trash=trash, trash_for=span)


@pytest.mark.parametrize("is_named", [True, False], ids=["its identifier", "the newest"])
def test_what_was_set_aside_in_several_places_comes_back_by(run: Path, is_named: bool) -> None:
    other = make_run(run.parent / "b")
    outcome = plan_prune([run, other], keep_last=1).apply(trash=True)
    assert len(undo(outcome.txid if is_named else None, [run, other]).back) == 2 * (len(NAMES) - 1)
    assert checkpoints_in(run) == checkpoints_in(other) == NAMES


def test_what_was_set_aside_comes_back_though_another_runs_folder_is_gone(run: Path) -> None:
    other = make_run(run.parent / "b")
    outcome = plan_prune(run.parent, keep_last=1).apply(trash=True)
    shutil.rmtree(other)
    change = undo(outcome)
    assert (len(change.back), len(change.failed)) == (len(NAMES) - 1, len(NAMES) - 1)
    assert checkpoints_in(run) == NAMES


def test_where_nothing_lies_in_a_trash_there_is_nothing_to_undo(run: Path) -> None:
    outcome = plan_prune(run, top_k=1).apply()
    for what in (None, outcome.txid, outcome):
        with pytest.raises(ckptctl.NotFound):
            undo(what, run)


def test_a_configured_trash_is_used_unless_it_is_declined(run: Path) -> None:
    (run / "ckptctl.toml").write_text("trash = true\n")
    assert plan_prune(run, top_k=2).apply().is_kept
    assert not plan_prune(run, top_k=1).apply(trash=False).is_kept


OBJECTIONABLE = {
    "more than allowed": ({"top_k": 1, "max_delete": 1}, "max-delete"),
    "a run would be emptied": ({"keep_step": 7, "no_protect_last": True}, "empties-run"),
    "no rule keeps anything": ({"keep": "nothing*"}, "keeps-nothing"),
    "a budget cannot be met": ({"top_k": 1, "max_files": 1}, "budget"),
}


@pytest.mark.parametrize(("options", "why"), OBJECTIONABLE.values(), ids=OBJECTIONABLE)
def test_what_stands_against_a_plan_is_obeyed(run: Path, options: dict[str, Any], why: str) -> None:
    before = listing(run)
    plan = plan_prune(run, **options)
    assert why in [it.id for it in plan.objections]
    with pytest.raises(Refused) as refused:
        plan.apply()
    assert (refused.value.id in [it.id for it in plan.objections], listing(run)) == (True, before)


def test_a_home_is_refused(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(run))
    with pytest.raises(Refused, match="is a home folder"):
        plan_prune(run, top_k=1).apply()
    assert checkpoints_in(run) == NAMES


def test_the_limit_that_was_given_lets_it_run(run: Path) -> None:
    assert plan_prune(run, top_k=1, max_delete=2).apply().is_whole


def test_a_plan_is_applied_once(run: Path) -> None:
    plan = plan_prune(run, top_k=1)
    plan.apply()
    save(run, GONE)
    with pytest.raises(Refused, match="applied already"):
        plan.apply()
    assert checkpoints_in(run) == NAMES


def test_a_plan_of_relative_paths_is_not_applied_from_elsewhere(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(run.parent)
    plan = plan_prune("a", top_k=1)
    monkeypatch.chdir("/")
    with pytest.raises(Refused, match=r"(?i)no such file|another folder"):
        plan.apply()
    monkeypatch.chdir(run.parent)
    assert plan.apply().is_whole


def test_a_plan_that_is_a_day_old_is_not_applied(run: Path) -> None:
    plan = plan_prune(run, top_k=1)
    made = plan.job.scanning.now - 25 * 3600 * 10**9
    plan.job = plan.job._replace(scanning=plan.job.scanning._replace(now=made))
    with pytest.raises(Refused, match="more than a day old"):
        plan.apply()
    assert checkpoints_in(run) == NAMES


# What changed since the plan


def skipped(outcome: ckptctl.Outcome) -> dict[str, str]:
    return {Path(it.path).name: it.why for it in outcome.skipped}


def begin_from(path: Path, folder: Path | None = None) -> None:
    """Let a training begin in a run of its own, from a checkpoint."""
    other = save(folder or path.parents[1] / "later", ["epoch=0-step=5.ckpt"])
    (other / "config.yaml").write_text(f"ckpt_path: {path}\n")


CHANGES = {
    "linked from a folder that is no run": lambda path: (path.parents[1] / "mine.ckpt").symlink_to(path),
    "linked in its run": lambda path: (path.parent / "best.ckpt").symlink_to(path.name),
    "pinned": lambda path: Path(f"{path}.keep").touch(),
    "named by a file": lambda path: (path.parent / "latest").write_text(path.name),
    "another training began from it": begin_from,
    "written anew": lambda path: path.write_bytes(state(epoch=7)),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("options", [{"top_k": 1}, {"global_best": 1, "keep_last": 1}], ids=["a run", "all runs"])
def test_what_holds_a_checkpoint_since_the_plan_holds_it(
    run: Path, change: Callable[[Path], object], options: dict[str, Any]
) -> None:
    make_run(run.parent / "b")
    plan = plan_prune(run.parent, **options)
    assert str(run / NAMES[0]) in [it.path for it in plan.drops]
    change(run / NAMES[0])
    outcome = plan.apply()
    assert skipped(outcome)[NAMES[0]] == "changed since the plan"
    assert (run / NAMES[0]).exists()
    assert not (run / NAMES[1]).exists()


def test_a_training_that_began_inside_the_planned_run_holds_what_it_began_from(run: Path) -> None:
    plan = plan_prune(run, top_k=1)
    begin_from(run / NAMES[0], run / "later")
    outcome = plan.apply()
    assert (skipped(outcome), len(outcome.dropped)) == ({NAMES[0]: "changed since the plan"}, 1)


def test_checkpoints_that_are_folders_are_as_they_were_at_the_last_look(tmp_path: Path) -> None:
    tree = next(
        tree for it in TREES for tree in it.values if isinstance(tree, Tree) and "checkpoint-" in str(tree.files)
    )
    plant(tree, tmp_path)
    plan = plan_prune(tmp_path, keep_last=1)
    outcome = plan.apply()
    assert outcome.dropped == tuple(it.path for it in plan.drops) != ()


def test_where_what_was_to_stay_is_gone_the_next_best_stays(run: Path) -> None:
    plan = plan_prune(run, top_k=1, no_protect_last=True)
    assert names_of(plan.keeps) == [BEST]
    (run / BEST).rename(run.parent / "elsewhere")
    outcome = plan.apply()
    assert LAST in skipped(outcome)
    assert (run / LAST).exists()


def test_where_the_best_of_another_run_is_gone_what_now_is_best_of_all_stays(run: Path) -> None:
    other = save(run.parent / "b", ["epoch=0-val_loss=0.10.ckpt", "epoch=1-val_loss=0.60.ckpt"])
    plan = plan_prune(run.parent, global_best=1, keep_last=1)
    assert BEST in names_of(plan.drops)
    (other / "epoch=0-val_loss=0.10.ckpt").rename(run.parent / "elsewhere")
    outcome = plan.apply()
    assert BEST in skipped(outcome)
    assert (run / BEST).exists()


def test_a_new_best_takes_nothing_beyond_the_plan(run: Path) -> None:
    plan = plan_prune(run, top_k=1)
    save(run, ["epoch=9-step=900-val_loss=0.01.ckpt"])
    assert plan.apply().dropped == tuple(str(run / name) for name in GONE)
    assert (run / BEST).exists()


def test_a_run_of_another_framework_that_came_into_the_folder_holds_all(run: Path) -> None:
    plan = plan_prune(run, top_k=1)
    for step in (1, 2, 3):
        save(run, [f"checkpoint-{step}/trainer_state.json"], b'{"global_step": %d, "log_history": []}' % step)
        save(run, [f"checkpoint-{step}/model.safetensors"], b"\x02\0\0\0\0\0\0\0{}")
    outcome = plan.apply()
    assert outcome.dropped == ()
    assert sorted(skipped(outcome)) == GONE


def test_a_root_that_was_emptied_ends_it(run: Path, tmp_path: Path) -> None:
    plan = plan_prune(run, top_k=1)
    (tmp_path / "moved").mkdir()
    for name in NAMES:
        (run / name).rename(tmp_path / "moved" / name)
    outcome = plan.apply()
    assert all("is empty: is its disk mounted?" in why for why in skipped(outcome).values())
    assert checkpoints_in(tmp_path / "moved") == NAMES


def test_another_folder_under_the_same_name_is_refused(run: Path, tmp_path: Path) -> None:
    plan = plan_prune(run, top_k=1)
    run.rename(tmp_path / "moved")
    for make in (Path.exists, make_run):
        make(run)
        with pytest.raises(Refused) as refused:
            plan.apply()
        assert refused.value.id == "stale-plan"
    assert checkpoints_in(tmp_path / "moved") == checkpoints_in(run) == NAMES


# Looking


def test_runs_are_a_list_with_absolute_paths(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(run.parent)
    (run / "best.ckpt").symlink_to(BEST)
    (run / "notes").touch()
    (found,) = scan("a")
    assert found.path == str(run)
    assert [it.path for it in found.checkpoints] == [str(run / name) for name in NAMES]
    assert [(it.path, it.target) for it in found.pointers] == [(f"{run}/best.ckpt", f"{run}/{BEST}")]
    assert found.checkpoints[2].aliases == (f"{run}/best.ckpt",)
    assert [it.path for it in found.strays] == [f"{run}/notes"]
    assert repr(scan("a")) == "<Runs: 1 run, 4 checkpoints>"


def test_runs_become_rows_of_a_table(run: Path) -> None:
    rows = scan(run.parent, filter="val_loss<0.4").to_dicts()
    assert [row["path"] for row in rows] == [str(run / BEST), str(run / LAST)]
    first = rows[0]
    assert (first["run"], first["name"], first["epoch"], first["step"]) == (str(run), BEST, 2, 300)
    assert (first["val_loss"], first["state"], first["layout"]) == (0.3, "complete", "lightning")
    assert first["size"] == (run / BEST).stat().st_size
    assert first["modified"].timestamp() == pytest.approx((run / BEST).stat().st_mtime, abs=1e-3)


def test_a_metric_that_is_called_as_a_column_has_one_of_its_own(tmp_path: Path) -> None:
    save(tmp_path, ["epoch=0-size=0.5.ckpt", "epoch=1-size=0.4.ckpt"])
    assert [row["metric_size"] for row in scan(tmp_path).to_dicts()] == [0.5, 0.4]


def test_the_best_and_the_last_are_those_of_the_commands(run: Path) -> None:
    assert best(run).path == call("best", run).lines[0] == str(run / BEST)
    assert best(run.parent, monitor="val_loss", mode="max", filter="step>100").path == str(run / NAMES[1])
    assert last(run.parent).path == call("last", run).lines[0] == str(run / LAST)
    assert last(best(run).path.rpartition("/")[0], filter="step<400").path == str(run / BEST)
    with pytest.raises(ckptctl.NoScore):
        best(run, monitor="val_acc")
    with pytest.raises(ckptctl.NoCheckpoint):
        last(run, filter="step>1000")


def test_what_is_inside_a_checkpoint_is_shown(run: Path) -> None:
    details = show(best(run))
    assert details.checkpoint.path == str(run / BEST)
    assert (details.contents.format, details.contents.metadata["epoch"]) == (show(run / BEST).contents.format, 0)


def test_checkpoints_are_verified_one_by_one_or_all_of_a_folder(run: Path) -> None:
    assert [(it.path, it.ok) for it in verify(run)] == [(str(run / name), True) for name in NAMES]
    (run / NAMES[1]).write_bytes(state()[:300])
    age(run / NAMES[1], HOUR)
    assert [Path(it.path).name for it in verify(run.parent) if not it.ok] == [NAMES[1]]
    assert [it.path for it in verify([run / BEST, last(run)])] == [str(run / BEST), str(run / LAST)]


def test_a_folder_that_could_not_be_listed_is_warned_of(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (run.parent / "closed").mkdir()
    closed = (run.parent / "closed").stat().st_ino
    listed = os.listdir

    def refuse(folder: int) -> list[str]:
        if os.stat(folder).st_ino == closed:
            raise PermissionError(13, "Permission denied")
        return listed(folder)

    monkeypatch.setattr("os.listdir", refuse)
    with pytest.warns(UserWarning, match="closed could not be listed: the answer leaves out what lies there"):
        assert last(run.parent).path == str(run / LAST)
