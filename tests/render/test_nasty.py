from __future__ import annotations

import json as stdlib_json
import re
from collections.abc import Callable, Iterable

import pytest

from ckptctl.core.ranking import Metric, Ranked, RunView, rank
from ckptctl.core.retention.objections import Objection
from ckptctl.core.retention.plan import Plan, RunPlan, Verdict
from ckptctl.core.retention.policy import Policy
from ckptctl.core.retention.rules import KeepGlob
from ckptctl.core.retention.rules.protocol import Reason
from ckptctl.core.transaction import Failure, Outcome
from ckptctl.errors import NoScore
from ckptctl.render import columns, export, json, outcome, plain, plan, table, text
from ckptctl.render.columns import THOUSANDS, metrics_of
from ckptctl.render.text import measure
from tests.render.samples import NASTY, NOW, make, nasty, score
from tests.wording import said

VIEW = nasty()
ROOT = "root" + "".join(NASTY)
METRICS = metrics_of([VIEW.run])
STYLE = re.compile(r"\x1b\[[0-9;]*m")


def plan_of(view: RunView) -> Plan:
    held = view.run.checkpoints
    reasons = [(Reason("keep", f"why {bad}"),) for bad in NASTY]
    actions = ("keep", "slim", "drop", "skip")
    verdicts = [
        Verdict(checkpoint.path, actions[n % 4], reasons[n], checkpoint.size, checkpoint)  # type: ignore[arg-type]
        for n, checkpoint in enumerate(held)
    ]
    strays = [Verdict(it.path, "skip", (Reason("stray", it.why),)) for it in view.run.strays]
    few = RunPlan(f"few{ROOT}", tuple(verdicts[2:12:4]), notices=(said(NASTY[0]),))
    return Plan(
        Policy((KeepGlob(ROOT),)), (RunPlan(view.run.path, (*verdicts, *strays), notices=view.run.notices), few)
    )


PLAN = plan_of(VIEW)
TROUBLE = NoScore("no " + "".join(NASTY), path="".join(NASTY), hint="".join(NASTY))
OUTCOME = Outcome("7f3a", NASTY, tuple(Failure(bad, bad) for bad in NASTY), (Failure(NASTY[0], NASTY[1]),))
TRASHED = OUTCOME._replace(txid=NASTY[0])
OBJECTION = Objection("empties-run", "".join(NASTY), "--force")


def tsv_rows() -> list[str]:
    return [columns.tsv_header(METRICS), *columns.tsv_rows(VIEW, root=ROOT, metrics=METRICS)]


RENDERERS: dict[str, Callable[[], Iterable[str]]] = {
    "plain": lambda: plain.listing(VIEW, NOW, root=ROOT, width=200, all_metrics=True),
    "plain narrow": lambda: plain.listing(VIEW, NOW, root=ROOT, width=40),
    "table": lambda: [STYLE.sub("", table.listing(VIEW, NOW, root=ROOT, width=200))],
    "overview": lambda: plain.run_listing([plain.summarize_run(VIEW, root=ROOT)] * 2, width=200),
    "tsv": lambda: [piece.replace("\t", "") for piece in tsv_rows()],
    "tsv runs": lambda: [columns.tsv_run_row(VIEW, root=ROOT).replace("\t", "")],
    "plan": lambda: plan.screen(PLAN, root=ROOT, width=200),
    "plan verbose": lambda: plan.screen(PLAN, root=ROOT, width=80, verbose=True),
    "outcome": lambda: [
        outcome.describe_outcome(OUTCOME, root=ROOT),
        outcome.describe_outcome(TRASHED, root=ROOT, set_aside=1),
    ],
    "objections": lambda: plan.objections([OBJECTION]),
    "ls json": lambda: json.ls([VIEW], root=ROOT),
    "best json": lambda: json.best(rank(VIEW.run.checkpoints, Metric(METRICS[0], "min")), Metric(METRICS[0], "min")),
    "last json": lambda: json.last(VIEW.run.checkpoints),
    "prune json": lambda: json.prune(PLAN, dry_run=False, objections=[OBJECTION], outcome=OUTCOME),
    "error json": lambda: [json.error(TROUBLE)],
    "export json": lambda: json.export([VIEW.run]),
    "export jsonl": lambda: json.lines(VIEW.run),
    "csv": lambda: [export.csv_header(METRICS), *export.csv_rows(VIEW.run, METRICS)],
    "csv raw": lambda: [export.csv_header(METRICS, raw=True), *export.csv_rows(VIEW.run, METRICS, raw=True)],
    "markdown": lambda: export.markdown_listing([VIEW], NOW, METRICS, root=ROOT),
    "yaml": lambda: [export.best_k_models(dict.fromkeys(NASTY, 0.5))],
    "error": lambda: [text.error_lines(TROUBLE, done="".join(NASTY))],
    "warning": lambda: [text.warning("".join(NASTY)), text.hint("".join(NASTY))],
}  # fmt: skip


@pytest.mark.parametrize("name", RENDERERS)
def test_nothing_in_a_name_reaches_the_terminal_as_it_is(name: str) -> None:
    text = "".join(RENDERERS[name]())
    assert text.endswith("\n")
    assert {char for char in text if not char.isprintable()} <= {"\n", THOUSANDS}


@pytest.mark.parametrize(
    "name", [name for name in RENDERERS if name not in ("plan", "plan verbose", "outcome", "error", "yaml")]
)
def test_no_name_makes_a_line_more(name: str) -> None:
    calm = len(NASTY)
    above = {
        "plain": 2,
        "plain narrow": 2,
        "table": 2,
        "tsv": 1,
        "export jsonl": 0,
        "csv": 1,
        "csv raw": 1,
        "markdown": 2,
    }
    lines = {"overview": 3, "warning": 2, **{key: count + calm for key, count in above.items()}}
    assert "".join(RENDERERS[name]()).count("\n") == lines.get(name, 1)


@pytest.mark.parametrize("name", ["ls json", "best json", "last json", "prune json", "error json", "export json"])
def test_json_stays_json_and_ascii(name: str) -> None:
    text = "".join(RENDERERS[name]())
    assert text.isascii()
    assert stdlib_json.loads(text)


def test_names_reach_json_exactly() -> None:
    path = "r/a\x1b\u202e\n.ckpt"
    document = stdlib_json.loads("".join(json.last([make(path)])))
    assert document["checkpoints"][0]["path"] == path


def test_every_nasty_name_is_told_in_the_screens() -> None:
    for name in ("plain", "tsv", "plan", "csv", "markdown"):
        assert r"\x1b" in "".join(RENDERERS[name]()), name


def test_an_error_is_one_line_each_for_what_what_was_done_and_what_to_do() -> None:
    assert text.error_lines(TROUBLE, done="nothing\nwas done").count("\n") == 3


def test_a_nasty_score_text_keeps_its_line() -> None:
    view = VIEW._replace(run=VIEW.run._replace(checkpoints=(make("x", metrics={"m": score(0.5, "0.5\n1", "name")}),)))
    lines = "".join(plain.listing(view, NOW, width=80, all_metrics=True)).splitlines()
    assert len(lines) == 3
    assert all(measure(line) <= 80 for line in lines)


def test_ranked_values_of_a_nasty_name_are_ranked() -> None:
    ranked = rank(VIEW.run.checkpoints, Metric(METRICS[0], "min"))
    assert [type(it) for it in ranked] == [Ranked]
