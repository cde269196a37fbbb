"""Tables for notebooks."""

from __future__ import annotations

import pytest

from ckptctl.core.model import Note
from ckptctl.core.retention.objections import Objection
from ckptctl.core.retention.plan import Plan, plan_run
from ckptctl.core.retention.policy import Policy
from ckptctl.core.retention.rules import KeepLast
from ckptctl.render import html
from tests.core.samples import NOW, run_of, save

RUN = run_of(save("r/a&b.ckpt", 0.5, epoch=0, at=1), save("r/b.ckpt", epoch=1, step=1000, at=2), path="r")
POLICY = Policy((KeepLast(1),))


def test_a_run_has_a_row_for_each_checkpoint_and_a_column_for_each_metric() -> None:
    page = html.runs_table([RUN])
    assert "<tr><th>run</th><th>checkpoint</th><th>epoch</th><th>step</th><th>val_loss</th>" in page
    assert "<tr><td>r</td><td>a&amp;b.ckpt</td><td>0</td><td>–</td><td>0.5" in page
    assert "<tr><td>r</td><td>b.ckpt</td><td>1</td><td>1000</td><td>–</td>" in page
    assert page.endswith("<p>1 run, 2 checkpoints</p>")


def test_a_plan_has_its_policy_its_reasons_and_what_refuses_it() -> None:
    plan = Plan(POLICY, (plan_run(RUN, POLICY, NOW)._replace(notices=(Note("left-alone", why="a < b"),)),))
    page = html.plan_table(plan, [Objection("id", "no > yes")], root="runs")
    assert page.startswith("<p>Keep the last 1 of each run.")
    assert "<strong>refused[id]</strong>: no &gt; yes" in page
    assert "<tr><td>drop</td><td>runs/r/a&amp;b.ckpt</td><td>100 B</td><td>1 newer than it</td></tr>" in page
    assert page.endswith("<p>note: runs/r: a &lt; b: left alone</p>")


def test_of_very_many_rows_the_rest_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(html, "MOST_ROWS", 1)
    page = html.runs_table([RUN])
    assert page.count("<tr>") == 2
    assert "<p>… 1 more</p>" in page
