"""What tables and documents say of checkpoints, by rows of a layout that nobody wrote, seen in the listing."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import ckptctl.layouts
from ckptctl.layouts.schema import FilePlace, Layout, MetricSource, RecordedMetric
from tests.cli.calls import HOUR, call, remember, save, watch
from tests.layouts.tree import torch_file

WHOLE = torch_file()
KILN = Layout(
    name="kiln",
    unit="file",
    extensions=(".clay",),
    names=(
        r"pot_(?P<step>\d+)\.clay",
        r"jar_(?P<epoch>\d+)\.clay",
        r"cup_(?P<index>\d+)\.clay",
        r"(?P<final>vase)\.clay",
    ),
    examples=("pot_100.clay",),
)
LOOM = Layout(
    name="loom", unit="dir", names=(r"cloth-(?P<step>\d+)",), sentinels=("weave.mark",), examples=("cloth-100",)
)


def read(root: Path, row: Layout, files: Mapping[str, object], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The one run that is listed; files are given as texts, bytes, or what is written as JSON."""
    monkeypatch.setattr(ckptctl.layouts, "LAYOUTS", (row,))
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        data = content if isinstance(content, (bytes, str)) else json.dumps(content)
        (root / path).write_bytes(data.encode() if isinstance(data, str) else data)
    for path in map(str, root.rglob("*")):
        os.utime(path, (root.stat().st_ctime - HOUR,) * 2)
    (run,) = [it for it in call("ls", root, "--json").json["runs"] if it["checkpoints"]]
    return dict(run)


def scores(run: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Of each checkpoint what is known of it, by its own name."""
    found = {it["path"].rpartition("/")[2]: it["metrics"] for it in run["checkpoints"]}
    return {path: {name: score["value"] for name, score in held.items()} for path, held in found.items()}


class Case(NamedTuple):
    """A source, the files of a run, and what is known by them."""

    name: str
    source: MetricSource
    files: Mapping[str, object]
    known: Mapping[str, Mapping[str, float]]


def table(*rows: Sequence[object]) -> str:
    return "".join(",".join(map(str, row)) + "\n" for row in rows)


def pots(*steps: int) -> dict[str, bytes]:
    return {f"pot_{step}.clay": WHOLE for step in steps}


CSV = MetricSource("m.csv", "beside", "csv", column="at")
REACH = CSV._replace(reach=10)
LINES = MetricSource("*/log.json", "below", "jsonl", column="at")
CASES = (
    Case("by step", CSV, {**pots(1, 2, 3), "m.csv": table(("at", "loss"), (1, 0.5), (3, 0.25))},
         {"pot_1.clay": {"loss": 0.5}, "pot_2.clay": {}, "pot_3.clay": {"loss": 0.25}}),
    Case("by the first of two columns that a row has", MetricSource("m.json", "beside", "json", column="at|step"),
         {**pots(1, 2), "m.json": [{"at": 1, "step": 2, "loss": 0.5}, {"step": 2, "loss": 0.25}]},
         {"pot_1.clay": {"loss": 0.5}, "pot_2.clay": {"loss": 0.25}}),
    Case("by epoch", CSV._replace(by="epoch"), {"jar_2.clay": WHOLE, "m.csv": table(("at", "loss"), (2, 0.5))},
         {"jar_2.clay": {"loss": 0.5}}),
    Case("by save counter", CSV._replace(by="index"), {"cup_2.clay": WHOLE, "m.csv": table(("at", "loss"), (2, 0.5))},
         {"cup_2.clay": {"loss": 0.5}}),
    Case("by name, wherever it lay then", CSV._replace(by="name"),
         {**pots(1), "vase.clay": WHOLE, "m.csv": table(("at", "loss"), ("/x/pot_1.clay", 0.5), ("vase.clay/", 0.25))},
         {"pot_1.clay": {"loss": 0.5}, "vase.clay": {"loss": 0.25}}),
    Case("a name without a number has no row by number", CSV, {"vase.clay": WHOLE, "m.csv": table(
        ("at", "loss"), (0, 0.5))}, {"vase.clay": {}}),
    Case("the later of two rows, cell by cell", CSV, {**pots(1), "m.csv": table(
        ("at", "loss", "acc"), (1, 0.5, 0.125), (1, 0.25, ""))}, {"pot_1.clay": {"loss": 0.25, "acc": 0.125}}),
    Case("rows that are about no number", CSV, {**pots(1), "m.csv": table(
        ("at", "loss"), ("nan", 0.5), ("inf", 0.5), ("x", 0.5), ("", 0.5))}, {"pot_1.clay": {}}),
    Case("counted from 1, where names count from 0", CSV._replace(offset=1), {**pots(1, 2), "m.csv": table(
        ("at", "loss"), (2, 0.5), (3, 0.25))}, {"pot_1.clay": {"loss": 0.5}, "pot_2.clay": {"loss": 0.25}}),
    Case("counted from 0 by some releases", CSV._replace(offset=1), {**pots(1, 2), "m.csv": table(
        ("at", "loss"), (0, 0.75), (1, 0.5), (2, 0.25))}, {"pot_1.clay": {"loss": 0.5}, "pot_2.clay": {"loss": 0.25}}),
    Case("the nearest before it within reach", REACH, {**pots(100, 200, 300), "m.csv": table(
        ("at", "loss"), (89, 0.75), (190, 0.5), (195, 0.25), (201, 0.125), (289, 1))},
        {"pot_100.clay": {}, "pot_200.clay": {"loss": 0.25}, "pot_300.clay": {}}),
    Case("the exact one, though another is in reach", REACH, {**pots(100), "m.csv": table(
        ("at", "loss"), (99, 0.75), (100, 0.5))}, {"pot_100.clay": {"loss": 0.5}}),
    Case("just in reach", REACH, {**pots(100), "m.csv": table(("at", "loss"), (90, 0.75))},
         {"pot_100.clay": {"loss": 0.75}}),
    Case("what is taken and what is left", CSV._replace(take=("val_*", "t"), leave=("*_time",)), {
        **pots(1), "m.csv": table(("at", "val_a", "val_time", "t", "lr"), (1, 2, 3, 4, 5))},
        {"pot_1.clay": {"val_a": 2, "t": 4}}),
    Case("what begins as metrics do, without that", CSV._replace(front="eval/"), {
        **pots(1), "m.csv": table(("at", "eval/a", "b"), (1, 2, 3))}, {"pot_1.clay": {"a": 2}}),
    Case("counters are no metrics", CSV, {**pots(1), "m.csv": table(("at", "epoch", "step", "a"), (1, 2, 3, 4))},
         {"pot_1.clay": {"a": 4}}),
    Case("counters are none behind a front either", CSV._replace(front="eval/"), {
        **pots(1), "m.csv": table(("at", "eval/epoch", "eval/a"), (1, 2, 3))}, {"pot_1.clay": {"a": 3}}),
    Case("called otherwise", CSV._replace(names={"m": "eval_metric"}, take=("*",)), {
        **pots(1), "m.csv": table(("at", "m", "other"), (1, 2, 3))}, {"pot_1.clay": {"eval_metric": 2}}),
    Case("called otherwise, beside what is taken", CSV._replace(names={"m": "eval_metric"}, take=("o*",)), {
        **pots(1), "m.csv": table(("at", "m", "other"), (1, 2, 3))}, {"pot_1.clay": {"eval_metric": 2, "other": 3}}),
    Case("the epoch that a column tells is no metric", CSV._replace(numbers={"epoch": "round"}), {
        **pots(1), "m.csv": table(("at", "round", "a"), (1, 2, 3))}, {"pot_1.clay": {"a": 3}}),
    Case("words are no scores", CSV, {**pots(1), "m.csv": table(("at", "a", "b"), (1, "good", 2))},
         {"pot_1.clay": {"b": 2}}),
    Case("one file about all", MetricSource("m.json", "beside", "json"), {**pots(1, 2), "m.json": {"a": 1}},
         {"pot_1.clay": {"a": 1}, "pot_2.clay": {"a": 1}}),
    Case("a file for each by its number", MetricSource("m_{step}.json", "beside", "json"), {
        **pots(1, 2), "m_1.json": {"a": 1}, "m_3.json": {"a": 3}}, {"pot_1.clay": {"a": 1}, "pot_2.clay": {}}),
    Case("a file for each by its name", MetricSource("{name}.json", "beside", "json"), {
        **{f"r/{path}": data for path, data in pots(1).items()}, "r/pot_1.clay.json": {"a": 1}},
        {"pot_1.clay": {"a": 1}}),
    Case("a file for each in the folder above", MetricSource("m_{step}.json", "above", "json"), {
        **{f"r/{path}": data for path, data in pots(1, 2).items()}, "m_1.json": {"a": 1}, "r/m_2.json": {"a": 2}},
        {"pot_1.clay": {"a": 1}, "pot_2.clay": {}}),
    Case("in the folder above", CSV._replace(place="above"), {"r/pot_1.clay": WHOLE, "m.csv": table(
        ("at", "a"), (1, 2)), "r/m.csv": table(("at", "b"), (1, 2))}, {"pot_1.clay": {"a": 2}}),
    Case("in folders below, the later named first", LINES, {**pots(1, 2), "d1/log.json": '{"at": 1, "a": 1, "b": 5}\n'
         '{"at": 2, "a": 2}\n', "d2/log.json": '{"at": 1, "a": 3}\n'},
         {"pot_1.clay": {"a": 3, "b": 5}, "pot_2.clay": {"a": 2}}),
    Case("in folders below a run that lies further down", LINES, {"r/pot_1.clay": WHOLE, "r/d/log.json":
         '{"at": 1, "a": 1}\n', "d/log.json": '{"at": 1, "b": 1}\n'}, {"pot_1.clay": {"a": 1}}),
    Case("in one folder below a run", LINES._replace(path="d/log.json"), {"r/pot_1.clay": WHOLE, "r/d/log.json":
         '{"at": 1, "a": 1}\n', "r/e/log.json": '{"at": 1, "b": 1}\n'}, {"pot_1.clay": {"a": 1}}),
    Case("of several beside it the later named", CSV._replace(path="*.csv"), {
        **pots(1), "a.csv": table(("at", "a"), (1, 2)), "b.csv": table(("at", "a"), (1, 3))}, {"pot_1.clay": {"a": 3}}),
    Case("of the first source that tells it", CSV, {**pots(1), "m.csv": table(("at", "a"), (1, 2))},
         {"pot_1.clay": {"a": 2}}),
)  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=[it.name for it in CASES])
def test_a_side_file_tells_what_its_row_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: Case) -> None:
    run = read(tmp_path, KILN._replace(sources=(case.source,)), case.files, monkeypatch)
    assert scores(run) == case.known


def test_of_two_sources_the_first_that_tells_a_metric_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = KILN._replace(sources=(CSV._replace(path="first.csv"), CSV._replace(path="second.csv")))
    files = {"first.csv": table(("at", "a"), (1, 2)), "second.csv": table(("at", "a", "b"), (1, 3, 4))}
    assert scores(read(tmp_path, row, {**pots(1), **files}, monkeypatch)) == {"pot_1.clay": {"a": 2, "b": 4}}


def test_a_column_numbers_what_its_name_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = KILN._replace(sources=(CSV._replace(by="name", numbers={"epoch": "round", "step": "done"}),))
    rows = table(("at", "round", "done", "a"), ("vase.clay", 3, 70, 1), ("pot_5.clay", 4, 80, 1))
    run = read(tmp_path, row, {**pots(5), "vase.clay": WHOLE, "m.csv": rows}, monkeypatch)
    assert {it["path"]: (it["epoch"], it["step"]) for it in run["checkpoints"]} == {
        "vase.clay": (3, 70),
        "pot_5.clay": (4, 5),
    }


# Inside of checkpoints

STATE = MetricSource("state.json", "inside", "json", rows="log", column="at", is_history=True)


def cloths(*steps: int, **states: object) -> dict[str, object]:
    """Folders, of which some hold a state that tells of all before."""
    marks: dict[str, object] = {f"cloth-{step}/weave.mark": b"x" for step in steps}
    return {**marks, **{f"cloth-{step[1:]}/state.json": {"log": rows} for step, rows in states.items()}}


def row_of(at: int, value: float) -> dict[str, float]:
    return {"at": at, "a": value}


HISTORIES = {
    "the newest tells of all": (
        cloths(1, 2, _1=[row_of(1, 0.5)], _2=[row_of(1, 0.25), row_of(2, 0.125)]),
        {"cloth-1": {"a": 0.25}, "cloth-2": {"a": 0.125}},
    ),
    "what the newest is silent on is told by its own": (
        cloths(1, 2, _1=[row_of(1, 0.5)], _2=[row_of(2, 0.125)]),
        {"cloth-1": {"a": 0.5}, "cloth-2": {"a": 0.125}},
    ),
    "one that holds no state is not spoken for": (
        cloths(1, 2, _2=[row_of(1, 0.25), row_of(2, 0.125)]),
        {"cloth-1": {}, "cloth-2": {"a": 0.125}},
    ),
}


@pytest.mark.parametrize(("files", "known"), HISTORIES.values(), ids=HISTORIES)
def test_the_newest_of_states_that_repeat_each_other_speaks_for_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: Mapping[str, object], known: Mapping[str, object]
) -> None:
    assert scores(read(tmp_path, LOOM._replace(sources=(STATE,)), files, monkeypatch)) == known


def test_where_times_do_not_rise_each_state_speaks_for_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = cloths(1, 2, _1=[row_of(1, 0.5)], _2=[row_of(1, 0.25), row_of(2, 0.125)])
    row = LOOM._replace(sources=(STATE,))
    read(tmp_path, row, files, monkeypatch)
    os.utime(tmp_path / "cloth-2/state.json", (0, 0))
    (run,) = call("ls", tmp_path, "--json").json["runs"]
    assert scores(run) == {"cloth-1": {"a": 0.5}, "cloth-2": {"a": 0.125}}


def test_a_half_written_checkpoint_says_nothing_of_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = LOOM._replace(sources=(STATE._replace(rows="", column="", is_history=False),), required=("thread",))
    files = {f"cloth-{step}/{name}": {"a": step} for step in (1, 2) for name in ("weave.mark", "state.json")}
    run = read(tmp_path, row, {**files, "cloth-1/thread": b"x"}, monkeypatch)
    assert scores(run) == {"cloth-1": {"a": 1}, "cloth-2": {}}


def test_a_state_may_be_called_as_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = LOOM._replace(sources=(MetricSource("{name}.json", "inside", "json"),))
    run = read(tmp_path, row, {"r/cloth-1/weave.mark": b"x", "r/cloth-1/cloth-1.json": {"a": 1}}, monkeypatch)
    assert scores(run) == {"cloth-1": {"a": 1}}


# By what training ranked

NOTED = RecordedMetric(
    "c.json",
    "beside",
    "json",
    monitor="watch/by",
    mode="watch/up",
    prefix="val_",
    modes={"true": "max", "false": "min"},
)


@pytest.mark.parametrize(
    ("noted", "known"),
    [
        ({"watch": {"by": "a", "up": True}}, ("val_a", "max")),
        ({"watch": {"by": "val_a", "up": False}}, ("val_a", "min")),
        ({"watch": {"by": "a"}}, ("val_a", None)),
        ({"watch": {"by": "", "up": True}}, (None, "max")),
        ({"watch": {"by": 7, "up": "later"}}, (None, None)),
        ({}, (None, None)),
    ],
)
def test_what_training_ranked_by_is_read_where_it_noted_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, noted: object, known: tuple[str | None, str | None]
) -> None:
    row = KILN._replace(sources=(CSV,), recorded=(NOTED,))
    rows = table(("at", "val_a", "val_b"), (1, 2, 3))
    run = read(tmp_path, row, {**pots(1), "c.json": noted, "m.csv": rows}, monkeypatch)
    assert (run["monitor"], run["mode"]) == known


@pytest.mark.parametrize(
    ("place", "files"),
    [("above", {"c.json": "a", "r/c.json": "b"}), ("beside", {"c.json": "b", "r/c.json": "a"})],
)
def test_what_training_ranked_by_lies_where_its_row_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: FilePlace, files: Mapping[str, str]
) -> None:
    row = KILN._replace(sources=(CSV,), recorded=(NOTED._replace(place=place, path="c*.json"),))
    noted = {path: {"watch": {"by": name, "up": True}} for path, name in files.items()}
    held = {"r/pot_1.clay": WHOLE, "r/m.csv": table(("at", "val_a", "val_b"), (1, 2, 3)), "r/d.json": {}}
    assert read(tmp_path, row, {**held, **noted}, monkeypatch)["monitor"] == "val_a"


def test_of_what_checkpoints_noted_inside_the_newest_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = LOOM._replace(recorded=(NOTED._replace(place="inside"),))
    noted = {f"cloth-{step}/c.json": {"watch": {"by": by}} for step, by in ((1, "a"), (9, "b"), (10, "c"))}
    marks = {f"cloth-{step}/weave.mark": b"x" for step in (1, 9, 10, 11)}
    assert read(tmp_path, row, {**noted, **marks}, monkeypatch)["monitor"] == "val_c"


def test_of_two_places_the_first_that_is_there_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = KILN._replace(sources=(CSV,), recorded=(NOTED, NOTED._replace(path="d.json"), NOTED._replace(path="e.json")))
    rows = table(("at", "val_a", "val_b"), (1, 2, 3))
    noted = {f"{name}.json": {"watch": {"by": by}} for name, by in (("d", "a"), ("e", "b"))}
    assert read(tmp_path, row, {**pots(1), "m.csv": rows, **noted}, monkeypatch)["monitor"] == "val_a"


# In the weights' own file

ITSELF = MetricSource("", "inside", "torch", take=("loss", "stats/*"), numbers={"epoch": "epoch", "step": "done"})


def test_a_file_tells_its_own_scores_and_the_numbers_that_its_name_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = torch_file({"epoch": 3, "done": 70, "loss": 0.5, "stats": {"acc": 0.25}, "lr": 1.0})
    run = read(tmp_path, KILN._replace(sources=(ITSELF,)), {"vase.clay": inside, **pots(5)}, monkeypatch)
    assert scores(run) == {"vase.clay": {"loss": 0.5, "stats/acc": 0.25}, "pot_5.clay": {}}
    assert {it["path"]: (it["epoch"], it["step"]) for it in run["checkpoints"]}["vase.clay"] == (3, 70)


def test_a_file_is_not_opened_for_what_a_table_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside = torch_file({"loss": 0.5, "stats": {"acc": 0.25}})
    files = {"pot_1.clay": inside, "pot_2.clay": inside, "m.csv": table(("at", "loss"), (1, 0.75))}
    row = KILN._replace(sources=(CSV, ITSELF))
    told = {"pot_1.clay": {"loss": 0.75}, "pot_2.clay": {"loss": 0.5, "stats/acc": 0.25}}
    assert scores(read(tmp_path, row, files, monkeypatch)) == told
    (run,) = call("ls", tmp_path, "--json", "--exact").json["runs"]
    assert scores(run) == {"pot_1.clay": {"loss": 0.75, "stats/acc": 0.25}, "pot_2.clay": told["pot_2.clay"]}


def test_a_file_that_cannot_be_read_is_told_and_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = read(tmp_path, KILN._replace(sources=(ITSELF,)), {"vase.clay": WHOLE[:-30], **pots(5)}, monkeypatch)
    assert scores(run) == {"vase.clay": {}, "pot_5.clay": {}}
    assert "vase.clay: " in call("ls", tmp_path).err


def test_what_training_ranked_by_may_be_saved_by_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noted = RecordedMetric("args.bin", "inside", "torch", monitor="by", mode="up", modes={"true": "max"})
    row = LOOM._replace(recorded=(noted,))
    files = {"cloth-1/weave.mark": b"x", "cloth-1/args.bin": torch_file({"by": "acc", "up": True})}
    run = read(tmp_path, row, files, monkeypatch)
    assert (run["monitor"], run["mode"]) == ("acc", "max")


def test_a_column_may_tell_the_step_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = KILN._replace(sources=(CSV._replace(by="name", numbers={"step": "done"}),))
    rows = table(("at", "done", "a"), ("vase.clay", 70, 1), ("pot_5.clay", 80, 1))
    run = read(tmp_path, row, {**pots(5), "vase.clay": WHOLE, "m.csv": rows}, monkeypatch)
    assert {it["path"]: it["step"] for it in run["checkpoints"]} == {"vase.clay": 70, "pot_5.clay": 5}


@pytest.mark.parametrize("said", ["-1", "nan", "inf", ""])
def test_what_counts_nothing_numbers_no_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    row = KILN._replace(sources=(CSV._replace(by="name", numbers={"epoch": "round", "step": "done"}),))
    run = read(
        tmp_path,
        row,
        {"vase.clay": WHOLE, "m.csv": table(("at", "round", "done"), ("vase.clay", said, said))},
        monkeypatch,
    )
    assert [(it["epoch"], it["step"]) for it in run["checkpoints"]] == [(None, None)]


@pytest.mark.parametrize(
    ("folder", "known"),
    [("val", {"val/loss"}), ("r/val", {"val/loss"}), ("myval", {"val/loss", "loss"}), ("my_val", {"val/loss", "loss"})],
)
def test_the_folder_of_a_run_may_be_the_front_of_its_metrics_name(tmp_path: Path, folder: str, known: set[str]) -> None:
    name = "loss=0.80.ckpt"
    callbacks = watch(f"/old/{folder}", {name: 0.8}, monitor="val/loss")
    save(tmp_path / folder, [name], remember(callbacks=callbacks))
    (run,) = call("ls", tmp_path, "--json").json["runs"]
    assert set(scores(run)[name]) == known


def test_an_empty_file_is_told_to_be_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read(tmp_path, KILN._replace(sources=(ITSELF,)), {"vase.clay": b"", **pots(5)}, monkeypatch)
    assert "vase.clay: empty file: left out" in call("ls", tmp_path).err
