from __future__ import annotations

import math
from collections.abc import Iterable

import pytest

from ckptctl.core.model import Run, Stray
from ckptctl.core.ranking import RunView
from ckptctl.core.retention.decisions import Action
from ckptctl.core.retention.objections import Objection
from ckptctl.core.retention.plan import Plan, RunPlan, Verdict, plan_run
from ckptctl.core.retention.policy import Policy
from ckptctl.core.retention.rules import KeepLast, TopK
from ckptctl.core.retention.rules.protocol import Reason
from ckptctl.core.transaction import Failure, Outcome
from ckptctl.render import plan as screens
from ckptctl.render.outcome import describe_outcome
from ckptctl.render.text import measure
from tests.render.samples import GB, NOW, lightning, long, make, odd, score, transformers
from tests.wording import said

POLICY = Policy((TopK(2), KeepLast(1)))


def plan_of(*views: RunView) -> Plan:
    return Plan(POLICY, tuple(plan_run(it.run, POLICY, NOW) for it in views))


def show(plan: Plan, width: int = 100, *, verbose: bool = False, root: str = "runs/") -> list[str]:
    return "".join(screens.screen(plan, root=root, width=width, verbose=verbose)).splitlines()


def hand_made(actions: Iterable[Action], *, path: str = "r", size: int = GB) -> Plan:
    verdicts = []
    for n, action in enumerate(actions):
        checkpoint = make(f"{path}/{n}", size=size)
        frees = size if action in ("drop", "slim") else 0
        verdicts.append(Verdict(checkpoint.path, action, (Reason("rule", "why"),), frees, checkpoint))
    return Plan(POLICY, (RunPlan(path, tuple(verdicts)),))


def test_the_policy_comes_first_in_words() -> None:
    assert show(plan_of(long()), 200)[0] == (
        "Keep the best 2 and the last 1 of each run. Always kept: what a link names, the newest that can resume."
    )


def test_a_run_says_what_it_keeps_and_frees() -> None:
    assert "runs/lr3e-4   keep 2 of 17 · frees 159 GB" in show(plan_of(long()))


def test_what_is_kept_has_all_its_reasons() -> None:
    lines = show(plan_of(long()))
    assert "  keep  epoch=16-step=17000-val_loss=0.2588.ckpt   best 1 of 17, last 1, newest that can resume" in lines


def test_many_that_go_are_one_line() -> None:
    lines = [line for line in show(plan_of(long())) if line.startswith("  drop")]
    assert lines == ["  drop  15 checkpoints, steps 1\u00a0000 – 15\u00a0000       159 GB"]


def test_many_that_go_without_steps_are_told_by_epochs_or_by_number() -> None:
    by_epoch = long()
    run = by_epoch.run
    stepless = run._replace(checkpoints=tuple(it._replace(step=None) for it in run.checkpoints))
    bare = stepless._replace(checkpoints=tuple(it._replace(epoch=None) for it in stepless.checkpoints))
    assert any("15 checkpoints, epochs 0 – 14 " in line for line in show(plan_of(by_epoch._replace(run=stepless))))
    assert any("  drop  15 checkpoints   " in line for line in show(plan_of(by_epoch._replace(run=bare))))


def test_a_few_that_go_are_named_with_their_reasons() -> None:
    lines = [line for line in show(plan_of(lightning())) if line.startswith("  drop")]
    assert lines == [
        "  drop  epoch=00-val_loss=0.50.ckpt   rank 3 of 3 by val_loss, 3 newer than it · 10.6 GB",
        "  drop  epoch=02-val_loss=nan.ckpt    val_loss is nan: it cannot win, 1 newer than it · 10.6 GB",
    ]


def test_every_one_that_goes_is_named_where_asked() -> None:
    lines = [line for line in show(plan_of(long()), verbose=True) if line.startswith("  drop")]
    assert len(lines) == 15
    assert all("rank" in line and "newer than it" in line for line in lines)


def test_what_is_left_alone_is_named() -> None:
    lines = show(plan_of(odd()), verbose=True, root="")
    assert "  skip  notes.txt" in {line.split("   ")[0] for line in lines}
    assert sum(line.startswith("  skip") for line in lines) == 4


def test_many_left_alone_for_one_reason_are_one_line() -> None:
    run = long().run._replace(strays=tuple(Stray(f"lr3e-4/s{n}", "not understood") for n in range(4)))
    lines = [line for line in show(plan_of(RunView(run))) if line.startswith("  skip")]
    assert [line.split("   ")[0] for line in lines] == ["  skip  4 names"]
    assert lines[0].endswith("   not understood: left alone")


def test_a_run_that_loses_nothing_is_one_line() -> None:
    lines = show(hand_made(["keep", "keep", "skip"]))
    assert [line for line in lines if line.startswith(("runs/r", "  "))] == [
        "runs/r   keep 2 of 3 · skip 1 · nothing to delete"
    ]


def test_a_run_without_checkpoints_is_one_line() -> None:
    assert "runs/r   no checkpoints" in show(Plan(POLICY, (RunPlan("r", ()),)))


def test_a_run_that_is_left_alone_says_so_twice_at_its_place_and_before_the_question() -> None:
    lines = show(plan_of(RunView(Run("r", (make("r/a"),)))))
    assert "runs/r   left alone · 1 checkpoint" in lines
    assert lines[-2] == "note: runs/r: no checkpoint has a metric: left alone"


def test_notes_that_many_runs_share_are_told_once() -> None:
    runs = tuple(RunPlan(f"r{n}", (), notices=(said("two sources disagree"),)) for n in range(12))
    assert [line for line in show(Plan(POLICY, runs)) if line.startswith("note")] == [
        "note: 12 runs, runs/r0 the first: two sources disagree"
    ]
    assert [line for line in show(Plan(POLICY, runs[:2])) if line.startswith("note")] == [
        "note: runs/r0: two sources disagree",
        "note: runs/r1: two sources disagree",
    ]


def test_checkpoints_that_are_too_young_are_noted() -> None:
    policy = POLICY._replace(min_age=2 * 3600 * 10**9)
    plan = Plan(policy, (plan_run(transformers().run, policy, NOW),))
    assert "note: runs/bert: 2 checkpoints too young to judge: left alone" in show(plan)


def test_a_run_that_loses_more_than_half_is_noted() -> None:
    assert "note: runs/lr3e-4 loses more than half of its bytes: 159 GB of 180 GB." in show(plan_of(long()))
    assert not any("half" in line for line in show(hand_made(["keep", "drop"])))


def test_the_greatest_losses_come_first_and_few() -> None:
    runs = tuple(hand_made(["drop"], path=f"r{n}", size=n * GB).runs[0] for n in range(1, 6))
    notes = [line for line in show(Plan(POLICY, runs)) if line.startswith("note")]
    assert [note.split()[1] for note in notes] == ["runs/r5", "runs/r4", "runs/r3", "2"]
    assert notes[-1] == "note: 2 more runs lose more than half too."
    assert show(Plan(POLICY, runs[:4]))[-2] == "note: 1 more run loses more than half too."


def test_what_frees_nothing_says_so() -> None:
    verdict = Verdict("r/a", "drop", (Reason("top-k", "rank 2 of 2"),), 0, make("r/a"))
    lines = show(Plan(POLICY, (RunPlan("r", (verdict,)),)))
    assert "  drop  a   rank 2 of 2 · frees nothing: other names hold its files" in lines


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("verbose", [False, True])
def test_no_line_is_wider_than_the_terminal(width: int, verbose: bool) -> None:
    lines = show(plan_of(long(), lightning(), odd(), transformers()), width, verbose=verbose)
    assert [line for line in lines if measure(line) > width] == []


def test_reasons_that_are_too_long_go_on_below_themselves() -> None:
    lines = show(plan_of(long()), 70)
    at = next(n for n, line in enumerate(lines) if "best 1 of 17" in line)
    assert lines[at].index("best") == len(lines[at + 1]) - len(lines[at + 1].lstrip())
    told = " ".join((lines[at][lines[at].index("best") :], lines[at + 1].strip()))
    assert told == "best 1 of 17, last 1, newest that can resume"


def test_a_dry_run_says_that_nothing_was_changed() -> None:
    plan = plan_of(long(), lightning())
    assert screens.dry_run(plan) == "Would delete 17 checkpoints in 2 runs: 180 GB. Nothing was changed (dry run).\n"


def test_the_question_says_how_much_and_that_it_is_for_good() -> None:
    plan = plan_of(long(), lightning())
    assert screens.question(plan) == "Delete 17 checkpoints in 2 runs, 180 GB, for good?"
    assert screens.question(plan, trash=True) == "Set aside 17 checkpoints in 2 runs, 180 GB?"


def test_one_is_singular() -> None:
    assert screens.question(hand_made(["keep", "drop"])) == "Delete 1 checkpoint in 1 run, 1.0 GB, for good?"


def test_many_that_are_slimmed_are_one_line_unless_all_is_asked_for() -> None:
    plan = hand_made(["keep", "slim", "slim", "slim", "slim"])
    assert [line.split("   ")[0] for line in show(plan) if line.startswith("  slim")] == ["  slim  4 checkpoints"]
    assert sum(line.startswith("  slim") for line in show(plan, verbose=True)) == 4


@pytest.mark.parametrize(
    ("dropped", "slimmed", "says"),
    [
        pytest.param(2, 0, "Deleted 2 checkpoints, freed 9 B.", id="deleted"),
        pytest.param(0, 2, "Slimmed 2 checkpoints, freed 9 B.", id="slimmed"),
        pytest.param(1, 2, "Deleted 1 checkpoint and slimmed 2 checkpoints, freed 9 B.", id="both"),
    ],
)
def test_what_was_done_is_told_with_how_many(dropped: int, slimmed: int, says: str) -> None:
    outcome = Outcome("t", ("x",) * dropped, freed=9, slimmed=("y",) * slimmed)
    assert describe_outcome(outcome) == f"{says}\n"


def test_slimming_is_told_apart() -> None:
    plan = hand_made(["keep", "slim", "slim", "drop"])
    assert screens.question(plan) == "Delete 1 checkpoint and slim 2 checkpoints in 1 run, 3.0 GB, for good?"
    assert "runs/r   keep 3 of 4 · slim 2 · frees 3.0 GB" in show(plan)
    assert "  slim  1   why · 1.0 GB" in show(plan)
    assert screens.question(hand_made(["slim"])) == "Slim 1 checkpoint in 1 run, 1.0 GB, for good?"


def test_nothing_to_do_is_said() -> None:
    assert screens.dry_run(hand_made(["keep", "skip"])) == "Nothing to delete.\n"
    assert screens.nothing() == "Nothing to delete.\n"


@pytest.mark.parametrize(
    ("outcome", "text"),
    [
        (Outcome("7f3a", ("a", "b"), freed=159 * GB), "Deleted 2 checkpoints, freed 159 GB.\n"),
        (
            Outcome("7f3a", ("a",), (Failure("x/epoch=4.ckpt", "changed since the plan"),), freed=GB),
            "Deleted 1 checkpoint, freed 1.0 GB. 1 skipped: runs/x/epoch=4.ckpt: changed since the plan.\n",
        ),
        (
            Outcome("7f3a", (), (Failure("a", "young"), Failure("b", "open")), (Failure("c", "read-only"),)),
            """\
Deleted 0 checkpoints, freed 0 B.
2 skipped:
  runs/a: young
  runs/b: open
1 failed:
  runs/c: read-only
""",
        ),
    ],
    ids=["all", "one skipped", "several"],
)
def test_each_item_that_was_not_done_is_named(outcome: Outcome, text: str) -> None:
    assert describe_outcome(outcome, root="runs/") == text


def test_what_was_set_aside_can_be_undone() -> None:
    outcome = Outcome("7f3a", tuple("abc"))
    assert describe_outcome(outcome, set_aside=159 * GB) == (
        "Set aside 3 checkpoints (159 GB; nothing freed until 'ckptctl trash empty').\nUndo: ckptctl undo 7f3a\n"
    )
    assert describe_outcome(outcome, root="my runs", set_aside=1, seconds=7 * 86_400) == (
        "Set aside 3 checkpoints (1 B; nothing freed for 7d, or until 'ckptctl trash empty').\n"
        "Undo: ckptctl undo 7f3a 'my runs'\n"
    )


def test_objections_name_what_overrides_them() -> None:
    given = [Objection("max-delete", "9 would go", "--max-delete"), Objection("root-is-home", "it is a home")]
    assert list(screens.objections(given)) == [
        "refused[max-delete]: 9 would go (--max-delete overrides it)\n",
        "refused[root-is-home]: it is a home\n",
    ]


def test_a_checkpoint_that_cannot_win_is_not_told_as_a_rank() -> None:
    run = lightning().run
    lost = make(f"{run.path}/x.ckpt", step=1, metrics={"val_loss": score(math.inf, "inf", "yaml")})
    lines = show(plan_of(RunView(run._replace(checkpoints=(lost, *run.checkpoints)))), 120)
    assert any("val_loss is inf: it cannot win" in line for line in lines)
