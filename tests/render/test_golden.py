"""Whole screens, compared with `tests/golden`.

After a wanted change: ``GOLDEN=rewrite pytest tests/render``, and read the diff.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from ckptctl.core.findings import FindingCount
from ckptctl.core.retention.plan import Plan, plan_run
from ckptctl.core.retention.policy import Policy
from ckptctl.core.retention.rules import KeepLast, TopK
from ckptctl.errors import MetricUnclear, NoScore, Refused, UsageError
from ckptctl.render import columns, export, findings, json, plain, plan, table, text
from ckptctl.render.columns import RunTotals, metrics_of
from ckptctl.render.text import measure
from tests.render.samples import NASTY, NOW, all_views, lightning, long, odd, reports, transformers

GOLDEN = Path(__file__).parent.parent / "golden"
REWRITE = os.environ.get("GOLDEN") == "rewrite"
ROOT = "runs/"


def ls(width: int, *, all_metrics: bool = False) -> Iterator[str]:
    tally = RunTotals()
    for view in all_views():
        yield from plain.listing(view, NOW, root=ROOT, width=width, all_metrics=all_metrics)
        yield "\n"
        tally = tally.add(view.run)
    yield plain.totals(tally)


def ls_piped() -> Iterator[str]:
    yield columns.tsv_header()
    for view in all_views():
        yield from columns.tsv_rows(view, root=ROOT)


def runs(width: int) -> Iterator[str]:
    return plain.run_listing((plain.summarize_run(view, root=ROOT) for view in all_views()), width=width)


def runs_piped() -> Iterator[str]:
    yield columns.tsv_run_header()
    yield from (columns.tsv_run_row(view, root=ROOT) for view in all_views())


def drawn() -> Plan:
    policy = Policy((TopK(2), KeepLast(1)))
    return Plan(policy, tuple(plan_run(view.run, policy, NOW) for view in all_views()))


def prune(width: int, *, verbose: bool = False) -> Iterator[str]:
    yield from plan.screen(drawn(), root=ROOT, width=width, verbose=verbose)
    yield plan.dry_run(drawn())


def errors() -> Iterator[str]:
    yield text.error_lines(
        NoScore(
            "no checkpoint has a value for 'val_los'",
            path="runs/lr1e-3",
            hint="metrics found: val_loss (4). Did you mean --monitor val_loss?",
        )
    )
    yield text.error_lines(
        MetricUnclear("several metrics, and none is named: a (3), b (1)", path="", hint="choose one")
    )
    yield text.error_lines(Refused("nobody consented", id="no-consent", hint="pass --yes"), "Nothing was deleted.")
    yield text.error_lines(UsageError("".join(NASTY), path="".join(NASTY)))
    yield text.warning("mode max contradicts the name 'val_loss'")


def mark_styles(text: str) -> str:
    """The codes as words, so that the file can be read."""
    codes = {"0": "", "1": "bold", "2": "dim", "31": "red", "1;35": "accent"}
    for code, word in codes.items():
        text = text.replace(f"\x1b[{code}m", f"<{word}>" if word else "</>")
    return text


SCREENS: dict[str, Callable[[], Iterable[str]]] = {
    "ls-80": lambda: ls(80),
    "ls-200": lambda: ls(200),
    "ls-metrics-80": lambda: ls(80, all_metrics=True),
    "ls-colour-80": lambda: [
        mark_styles(table.listing(view, NOW, root=ROOT, width=80)) for view in (lightning(), transformers(), odd())
    ],
    "ls-piped": ls_piped,
    "ls-json": lambda: json.ls([lightning(), transformers(), odd()], root=ROOT),
    "ls-markdown": lambda: export.markdown_listing(
        [lightning(), odd()], NOW, metrics_of([lightning().run, odd().run]), root=ROOT
    ),
    "runs-80": lambda: runs(80),
    "runs-200": lambda: runs(200),
    "runs-piped": runs_piped,
    "prune-80": lambda: prune(80),
    "prune-200": lambda: prune(200),
    "prune-verbose-80": lambda: prune(80, verbose=True),
    "prune-json": lambda: json.prune(drawn()._replace(runs=drawn().runs[:2]), dry_run=True),
    "doctor-80": lambda: [*findings.screen(reports(), root=ROOT, width=80), findings.closing(FindingCount(3, 9, 2, 3))],
    "doctor-piped": lambda: findings.rows(reports(), root=ROOT),
    "doctor-json": lambda: json.doctor(reports(), root=ROOT),
    "errors": errors,
}


@pytest.mark.parametrize("name", SCREENS)
def test_a_screen_is_as_it_was(name: str) -> None:
    path = GOLDEN / f"{name}.txt"
    text = "".join(SCREENS[name]())
    if REWRITE:
        path.write_text(text, encoding="utf-8", newline="")
    assert text.split("\n") == path.read_bytes().decode().split("\n")


@pytest.mark.parametrize("name", [name for name in SCREENS if name.endswith("-80") and "colour" not in name])
def test_nothing_wraps_at_80(name: str) -> None:
    assert max(measure(line) for line in "".join(SCREENS[name]()).split("\n")) <= 80


def test_every_golden_file_has_its_screen() -> None:
    assert {path.stem for path in GOLDEN.glob("*.txt")} >= set(SCREENS)


def test_the_best_of_a_long_run_is_seen_at_80() -> None:
    assert "best, last" in "".join(plain.listing(long(), NOW, width=80))
