from __future__ import annotations

import json as stdlib_json
import math
from base64 import b64decode
from collections.abc import Iterable
from typing import Any

import pytest

from ckptctl.core.model import Pointer, Run, Stray
from ckptctl.core.ranking import Metric, RunView, rank, view_run
from ckptctl.core.retention.decisions import LinkMove
from ckptctl.core.retention.objections import Objection
from ckptctl.core.retention.plan import Plan, RunPlan, Verdict, plan_run
from ckptctl.core.retention.policy import Policy
from ckptctl.core.retention.rules import KeepLast, TopK
from ckptctl.core.retention.rules.protocol import Reason
from ckptctl.core.transaction import Failure, Outcome
from ckptctl.errors import NoScore, UsageError
from ckptctl.render import json
from tests.render.samples import FLOAT32, NOW, all_views, lightning, long, make, odd, score, transformers


def refuse_constant(name: str) -> float:
    pytest.fail(f"{name} is no JSON")


def load(pieces: Iterable[str]) -> Any:  # noqa: ANN401 - JSON is anything
    text = "".join(pieces)
    assert text.endswith("\n")
    assert text.count("\n") == 1
    return stdlib_json.loads(text, parse_constant=refuse_constant)


def test_ls_is_the_contract_field_for_field() -> None:
    run = Run(
        "r",
        (make("r/a.ckpt", epoch=3, step=400, size=10, roles=("final",), aliases=("r/l",), pinned=True,
              metrics={"val_loss": score(0.3, "0.30", "name")}),),
        (Pointer("r/l", "symlink", "r/a.ckpt", "ok"), Pointer("r/m", "text", None, "dangling")),
        (Stray("r/x", "not understood"),),
        "val_loss", "min",
    )  # fmt: skip
    assert load(json.ls([view_run(run)], root="runs/")) == {
        "schema_version": 1,
        "root": "runs/",
        "runs": [
            {
                "path": "r",
                "layouts": ["lightning"],
                "monitor": "val_loss",
                "mode": "min",
                "checkpoints": [
                    {
                        "path": "r/a.ckpt",
                        "layout": "lightning",
                        "kind": "file",
                        "state": "complete",
                        "roles": ["final"],
                        "aliases": ["r/l"],
                        "epoch": 3,
                        "step": 400,
                        "version": None,
                        "metrics": {"val_loss": {"value": 0.3, "state": "finite", "text": "0.30", "source": "name"}},
                        "bytes": 10,
                        "files": 1,
                        "modified": "2027-01-12T08:00:00Z",
                        "pinned": True,
                        "counter": None,
                        "evidence": [],
                        "series": None,
                        "prunable": False,
                        "why_not": None,
                    }
                ],
                "pointers": [
                    {"path": "r/l", "kind": "symlink", "target": "r/a.ckpt", "state": "ok"},
                    {"path": "r/m", "kind": "text", "target": None, "state": "dangling"},
                ],
                "strays": [{"path": "r/x", "why": "not understood"}],
            }
        ],
        "totals": {"runs": 1, "checkpoints": 1, "bytes": 10, "files": 1},
    }


def test_fields_keep_the_order_of_the_contract() -> None:
    document = load(json.ls([odd()], root="."))
    assert list(document) == ["schema_version", "root", "runs", "totals"]
    assert list(document["runs"][0]) == ["path", "layouts", "monitor", "mode", "checkpoints", "pointers", "strays"]
    assert list(document["runs"][0]["checkpoints"][2]) == [
        "path", "layout", "kind", "members", "state", "roles", "aliases", "epoch", "step", "version", "metrics",
        "bytes", "files", "modified", "pinned", "counter", "evidence",
        "series", "prunable", "why_not",
    ]  # fmt: skip


def test_only_a_family_has_members() -> None:
    checkpoints = load(json.last(odd().run.checkpoints))["checkpoints"]
    assert [it.get("members") for it in checkpoints] == [None, None, ["実験/tpu", "実験/tpu.1"], None, None, None]
    assert [it["kind"] for it in checkpoints[:3]] == ["file", "file", "family"]


def test_ls_of_nothing_is_a_document() -> None:
    assert load(json.ls([], root=".")) == {
        "schema_version": 1, "root": ".", "runs": [], "totals": {"runs": 0, "checkpoints": 0, "bytes": 0, "files": 0}
    }  # fmt: skip


def test_ls_streams_run_by_run() -> None:
    seen: list[str] = []

    def views() -> Iterable[RunView]:
        for shown in all_views():
            seen.append(shown.run.path)
            yield shown

    pieces = json.ls(views(), root=".")
    text = ""
    while len(seen) < 3:
        text += next(pieces)
    assert '"path":"bert"' in text
    assert "lr3e-4" not in text
    assert load([text, *pieces])["totals"]["runs"] == 5


@pytest.mark.parametrize("count", [999, 1000, 1001, 2500])
def test_batches_join_without_a_seam(count: int) -> None:
    pieces = list(json.ls([long(count)], root="."))
    assert [it["step"] for it in load(pieces)["runs"][0]["checkpoints"]] == [1000 * n for n in range(1, count + 1)]
    assert max(map(len, pieces)) < 500_000


@pytest.mark.parametrize(
    ("value", "state"),
    [(math.nan, "nan"), (math.inf, "inf"), (-math.inf, "-inf"), (FLOAT32, "finite"), (0.0, "finite")],
)
def test_what_is_no_number_is_null_and_its_state_says_which(value: float, state: str) -> None:
    (only,) = load(json.last([make("a", metrics={"m": score(value)})]))["checkpoints"]
    assert only["metrics"]["m"]["state"] == state
    assert only["metrics"]["m"]["value"] == (value if state == "finite" else None)


def test_an_epoch_that_is_no_number_is_null() -> None:
    checkpoints = load(json.last([make("a", epoch=math.nan), make("b", epoch=1.5), make("c", epoch=0)]))["checkpoints"]
    assert [it["epoch"] for it in checkpoints] == [None, 1.5, 0]


def test_a_path_that_is_not_utf8_has_its_bytes_beside_it() -> None:
    path = "r/a\udcff\x1b.ckpt"
    run = Run("r\udc80", (make(path),), (Pointer(path, "text", path, "ok"),), (Stray(path, f"why {path}"),))
    shown = load(json.ls([RunView(run)], root="root\udcfe"))
    (told,) = shown["runs"]
    for item in (*told["checkpoints"], *told["pointers"], *told["strays"]):
        assert item["path"] == r"r/a\xff\x1b.ckpt"
        assert b64decode(item["path_b64"]) == b"r/a\xff\x1b.ckpt"
    assert b64decode(told["pointers"][0]["target_b64"]) == b"r/a\xff\x1b.ckpt"
    assert b64decode(told["path_b64"]) == b"r\x80"
    assert (shown["root"], b64decode(shown["root_b64"])) == (r"root\xfe", b"root\xfe")


def test_a_path_that_is_utf8_has_nothing_beside_it() -> None:
    text = "".join(json.ls([odd(), lightning()], root="模"))
    assert "b64" not in text
    assert stdlib_json.loads(text)["runs"][0]["path"] == "実験"


def test_half_a_character_in_a_name_does_not_spoil_the_document() -> None:
    (only,) = load(json.last([make("a\ud800", metrics={"m\ud800": score(1.0, "1\ud800")}, roles=("\ud800",))]))[
        "checkpoints"
    ]
    assert only["path"] == r"a\ud800"
    assert b64decode(only["path_b64"]) == b"a\xed\xa0\x80"
    assert list(only["metrics"]) == [r"m\ud800"]
    assert only["roles"] == [r"\ud800"]


def test_the_metric_of_a_run_is_the_one_it_is_ranked_by() -> None:
    run = lightning().run
    assert load(json.ls([RunView(run)], root="."))["runs"][0]["monitor"] == "val_loss"
    asked = load(json.ls([RunView(run, Metric("epoch", "max"))], root="."))["runs"][0]
    assert (asked["monitor"], asked["mode"]) == ("epoch", "max")
    none = load(json.ls([RunView(run._replace(monitor=None, mode=None))], root="."))["runs"][0]
    assert (none["monitor"], none["mode"]) == (None, None)


def test_best_has_rank_and_score() -> None:
    metric = Metric("val_loss", "min")
    document = load(json.best(rank(lightning().run.checkpoints, metric)[:2], metric))
    assert list(document) == ["schema_version", "monitor", "mode", "checkpoints"]
    assert (document["monitor"], document["mode"]) == ("val_loss", "min")
    assert [(it["rank"], it["score"], it["step"]) for it in document["checkpoints"]] == [
        (1, FLOAT32, 400),
        (2, 0.4, 200),
    ]


def test_a_winner_that_is_infinite_has_no_score() -> None:
    metric = Metric("m", "min")
    document = load(json.best(rank([make("a", metrics={"m": score(-math.inf)})], metric), metric))
    assert document["checkpoints"][0]["score"] is None


def test_last_is_a_list() -> None:
    document = load(json.last([make("a"), make("b")]))
    assert list(document) == ["schema_version", "checkpoints"]
    assert [it["path"] for it in document["checkpoints"]] == ["a", "b"]
    assert load(json.last([])) == {"schema_version": 1, "checkpoints": []}


def plan_of(*views: RunView) -> Plan:
    policy = Policy((TopK(1), KeepLast(1)))
    return Plan(policy, tuple(plan_run(it.run, policy, NOW) for it in views))


def test_prune_is_the_contract_field_for_field() -> None:
    verdicts = (
        Verdict("r/a", "drop", (Reason("top-k", "rank 2 of 2"), Reason("keep-last", "1 newer")), 10, make("r/a")),
        Verdict("r/b", "keep", (Reason("top-k", "best 1 of 2"),), 0, make("r/b")),
    )
    plan = Plan(
        Policy((KeepLast(1),)),
        (RunPlan("r", verdicts, loose=(LinkMove("r/last", "r/a", "r/b"), LinkMove("r/best", "r/b", "r/a"))),),
    )
    outcome = Outcome("7f3a", ("r/a",), (Failure("r/c", "changed"),), (Failure("r/d", "read-only"),), 10)
    objection = Objection("max-delete", "1 would go", "--max-delete")
    assert load(json.prune(plan, dry_run=False, objections=[objection], outcome=outcome)) == {
        "schema_version": 1,
        "policy": plan.words,
        "dry_run": False,
        "runs": [
            {
                "path": "r",
                "verdicts": [
                    {
                        "path": "r/a",
                        "action": "drop",
                        "reasons": [{"rule": "top-k", "text": "rank 2 of 2"}, {"rule": "keep-last", "text": "1 newer"}],
                        "frees": 10,
                    },
                    {
                        "path": "r/b",
                        "action": "keep",
                        "reasons": [{"rule": "top-k", "text": "best 1 of 2"}],
                        "frees": 0,
                    },
                ],
                "links": [{"path": "r/last", "before": "r/a", "after": "r/b"}],
            }
        ],
        "frees": 10,
        "objections": [{"id": "max-delete", "text": "1 would go", "override": "--max-delete"}],
        "outcome": {
            "dropped": ["r/a"],
            "slimmed": [],
            "skipped": [{"path": "r/c", "why": "changed"}],
            "failed": [{"path": "r/d", "error": "read-only"}],
            "freed": 10,
            "txid": "7f3a",
            "kept": False,
        },
    }


def test_a_dry_run_has_no_outcome() -> None:
    document = load(json.prune(plan_of(long(), transformers()), dry_run=True))
    assert (document["dry_run"], document["outcome"], document["objections"]) == (True, None, [])
    assert [len(run["verdicts"]) for run in document["runs"]] == [17, 3]


def test_an_error_has_its_exit_code() -> None:
    assert load([json.error(NoScore("no value", path="runs/a", hint="look"))]) == {
        "error": {"id": "no-score", "text": "no value", "hint": "look", "path": "runs/a", "exit_code": 4}
    }
    assert load([json.error(UsageError("no", id="no-rule"))]) == {
        "error": {"id": "no-rule", "text": "no", "hint": None, "path": None, "exit_code": 2}
    }


def test_an_export_has_the_run_of_each_checkpoint() -> None:
    document = load(json.export(it.run for it in all_views()))
    assert list(document) == ["schema_version", "checkpoints"]
    assert [it["run"] for it in document["checkpoints"][4:6]] == ["lr1e-3/version_0/checkpoints", "bert"]
    assert len(document["checkpoints"]) == 31


def test_json_lines_are_the_same_values_a_line_each() -> None:
    lines = [line for it in all_views() for line in "".join(json.lines(it.run)).splitlines()]
    assert [stdlib_json.loads(line) for line in lines] == load(json.export(it.run for it in all_views()))["checkpoints"]
