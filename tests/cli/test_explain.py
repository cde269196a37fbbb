from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.calls import BEST, LAST, NAMES, call, listing, make_run, save
from tests.cli.schema import EXPLAIN, misfits


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return make_run(tmp_path / "runs" / "a")


def test_explain_tells_what_each_rule_says_and_changes_nothing(run: Path) -> None:
    before = listing(run)
    answer = call("explain", run / NAMES[1], "--top-k", "2", "--keep-last", "1")
    assert answer.code == 0, answer.err
    assert answer.lines == [
        "rule\tsays\ttext",
        f"verdict\tdrop\t{run / NAMES[1]}",
        "top-k\tpass\trank 3 of 4 by val_loss",
        "keep-last\tpass\t2 newer than it",
    ]
    assert listing(run) == before


def test_the_json_of_explain_is_as_the_contract_has_it(run: Path) -> None:
    document = call("explain", run / LAST, "--top-k", "1", "--keep-last", "1", "--json").json
    assert misfits(document, EXPLAIN) == []
    assert (document["path"], document["action"]) == (LAST, "keep")
    assert [(it["rule"], it["says"]) for it in document["rules"]] == [
        ("top-k", "pass"),
        ("keep-last", "keep"),
        ("newest", "keep"),
    ]


def test_a_verdict_that_hangs_on_other_runs_is_that_of_all_of_them(run: Path) -> None:
    save(run.parent / "b", ["epoch=0-val_loss=0.10.ckpt"])
    alone = call("explain", run / BEST, "--global-best", "1").rows
    among = call("explain", run / BEST, "--global-best", "1", "--in", run.parent).rows
    assert [it["text"] for it in (alone[1], among[1])] == [
        "best 1 of 4 over all runs",
        "rank 2 of 5 by val_loss over all runs",
    ]
    assert [it["says"] for it in (alone[0], among[0])] == ["keep", "drop"]


def test_a_policy_may_be_named(run: Path) -> None:
    (run.parent / "ckptctl.toml").write_text('keep = ["epoch=0*"]\n[policy.p]\nkeep-last = 1\n')
    rows = call("explain", run / NAMES[0], "--policy", "p").rows
    assert [(it["rule"], it["says"]) for it in rows] == [("verdict", "keep"), ("keep-last", "pass"), ("config", "keep")]


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        pytest.param(["nothing.ckpt", "--top-k", "1"], 4, "is no checkpoint", id="none"),
        pytest.param([BEST], 2, "no rule says what to keep", id="no rule"),
        pytest.param([BEST, "--policy", "x"], 2, "there is no policy 'x'", id="no policy"),
        pytest.param([BEST, "--top-k", "1", "--in", "/nowhere"], 4, "no such folder", id="no folder"),
    ],
)
def test_what_cannot_be_explained_says_why(run: Path, words: list[str], code: int, why: str) -> None:
    answer = call("explain", run / words[0], *words[1:])
    assert (answer.code, why in answer.err) == (code, True), answer.err
