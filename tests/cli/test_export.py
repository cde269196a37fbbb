from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path

import pytest
import yaml

from tests.cli.calls import BEST, LAST, LOSSES, NAMES, call, listing, make_run, save, state
from tests.cli.schema import EXPORT, EXPORTED, misfits


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return make_run(tmp_path / "runs" / "a")


def test_json_holds_each_checkpoint_with_its_run(run: Path) -> None:
    document = call("export", run.parent).json
    assert misfits(document, EXPORT) == []
    assert [(it["run"], it["path"]) for it in document["checkpoints"]] == [("a", f"a/{name}") for name in NAMES]


def test_jsonl_is_a_line_each(run: Path) -> None:
    lines = [json.loads(line) for line in call("export", run, "--format", "jsonl").lines]
    assert [problem for line in lines for problem in misfits(line, EXPORTED)] == []
    assert [line["path"] for line in lines] == NAMES


def test_csv_has_a_column_for_each_metric_of_any_run(run: Path) -> None:
    save(run.parent / "b", ["epoch=0-acc=0.9.ckpt"])
    rows = list(csv.DictReader(io.StringIO(call("export", run.parent, "--format", "csv").out)))
    assert [(row["path"], row["val_loss"], row["acc"]) for row in rows] == [
        *((f"a/{name}", str(loss), "") for name, loss in LOSSES.items()),
        ("b/epoch=0-acc=0.9.ckpt", "", "0.9"),
    ]


def test_csv_holds_no_formula(tmp_path: Path) -> None:
    save(tmp_path, ["=cmd()-epoch=0.ckpt"])
    (row,) = csv.DictReader(io.StringIO(call("export", tmp_path, "--format", "csv").out))
    assert row["path"] == "'=cmd()-epoch=0.ckpt"


def test_markdown_has_a_row_each_and_the_best_in_bold(run: Path) -> None:
    lines = call("export", run, "--format", "markdown").lines
    assert len(lines) == 2 + len(NAMES)
    assert [f"**{BEST}**" in line for line in lines[2:]] == [False, False, True, False]


def test_markdown_of_the_best_does_not_call_another_the_last(run: Path) -> None:
    *_, row = call("export", run, "--format", "markdown", "--top-k", "1").lines
    assert row.endswith("| best |")


def test_markdown_ranks_by_the_monitor_that_is_named(tmp_path: Path) -> None:
    save(tmp_path, ["epoch=0-acc=0.9-loss=2.0.ckpt", "epoch=1-acc=0.2-loss=1.0.ckpt"])
    rows = call("export", tmp_path, "--format", "markdown", "--monitor", "acc").lines[2:]
    assert ["**" in row for row in rows] == [True, False]


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("out.csv", "csv"),
        ("out.jsonl", "jsonl"),
        ("out.YML", "yaml"),
        ("out.md", "markdown"),
        ("out.txt", "json"),
        ("runs/csv", "json"),
    ],
)
def test_a_file_holds_what_its_name_says_where_no_format_is_given(
    run: Path, tmp_path: Path, name: str, form: str
) -> None:
    assert call("export", run, "-o", tmp_path / name).code == 0
    assert (tmp_path / name).read_text() == call("export", run, "--format", form).out


def test_a_format_that_is_given_counts_whatever_the_file_is_called(run: Path, tmp_path: Path) -> None:
    assert call("export", run, "-o", tmp_path / "out.csv", "--format", "json").code == 0
    assert (tmp_path / "out.csv").read_text() == call("export", run).out


def test_yaml_is_paths_and_scores_as_lightning_writes_them(run: Path) -> None:
    answer = call("export", run, "--format", "yaml")
    assert answer.out == yaml.dump({str(run / name): loss for name, loss in LOSSES.items()})


def test_yaml_writes_nan_as_the_callback_holds_it(tmp_path: Path) -> None:
    save(tmp_path, ["epoch=0-x=nan.ckpt", "epoch=1-x=0.5.ckpt"])
    for mode, worst in (("min", float("inf")), ("max", -float("inf"))):
        scores = yaml.safe_load(call("export", tmp_path, "--format", "yaml", "--mode", mode).out)
        assert list(scores.values()) == [worst, 0.5]


@pytest.mark.parametrize("form", ["json", "jsonl", "csv", "yaml", "markdown"])
def test_top_k_leaves_only_the_best(run: Path, form: str) -> None:
    out = call("export", run, "--format", form, "--top-k", "2").out
    assert [name for name in NAMES if name in out.replace("\\_", "_")] == [BEST, LAST]


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_what_is_damaged_is_none_of_the_best(run: Path, form: str) -> None:
    save(run, ["epoch=9-step=900-val_loss=0.01.ckpt"], state()[:300])
    out = call("export", run, "--format", form, "--top-k", "1").out
    assert [name for name in [*NAMES, "epoch=9"] if name in out] == [BEST]


def test_a_run_without_a_score_is_left_out_with_a_warning(run: Path) -> None:
    save(run.parent / "b", ["epoch=0.ckpt"])
    answer = call("export", run.parent, "--top-k", "1")
    assert answer.code == 0
    assert [it["path"] for it in answer.json["checkpoints"]] == [f"a/{BEST}"]
    assert answer.err == f"warning: {run.parent}/b: no checkpoint has a metric: left out\n"


def test_no_run_with_a_score_is_no_score(tmp_path: Path) -> None:
    save(tmp_path, ["epoch=0.ckpt"])
    answer = call("export", tmp_path, "--top-k", "1")
    assert (answer.code, answer.out) == (4, "")


def test_a_run_that_cannot_be_ranked_leaves_no_half_of_an_answer(run: Path) -> None:
    save(run.parent / "b", ["epoch=0-quux=1.ckpt"])
    answer = call("export", run.parent, "--top-k", "1")
    assert (answer.code, answer.out) == (2, "")
    assert f"error[no-mode]: {run.parent}/b: " in answer.err


def test_several_paths_are_one_summary(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_run(run.parent / "b")
    monkeypatch.chdir(run.parent)
    rows = call("export", "a", "b", "--top-k", "1").json["checkpoints"]
    assert [(it["run"], it["path"]) for it in rows] == [("a", f"a/{BEST}"), ("b", f"b/{BEST}")]
    scores = yaml.safe_load(call("export", "a", "b", "--format", "yaml", "--top-k", "1").out)
    assert list(scores) == [str(run / BEST), str(run.parent / "b" / BEST)]


def test_a_file_is_written_whole_and_named(run: Path, tmp_path: Path) -> None:
    place = tmp_path / "out.json"
    place.write_text('{"schema_version":1,"checkpoints":[]}')
    answer = call("export", run, "-o", place)
    assert (answer.code, answer.out, answer.err) == (0, "", f"wrote {place}\n")
    assert place.read_text() == call("export", run).out
    assert sorted(os.listdir(tmp_path)) == ["out.json", "runs"]


def test_a_file_that_cannot_be_written_leaves_everything_as_it_was(run: Path, tmp_path: Path) -> None:
    place = tmp_path / "out"
    place.mkdir()
    before = listing(tmp_path)
    answer = call("export", run, "-o", place)
    assert (answer.code, answer.out) == (6, "")
    assert f"error[exists]: {place}: is there already, and is not a regular file\nnothing was written" in answer.err
    assert listing(tmp_path) == before


def test_a_folder_that_is_not_there_cannot_be_written_to(run: Path, tmp_path: Path) -> None:
    answer = call("export", run, "-o", tmp_path / "none" / "out.json")
    assert answer.code == 9
    assert "cannot be written: No such file or directory" in answer.err


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_an_error_on_the_way_leaves_the_old_file_and_no_other(run: Path, tmp_path: Path, form: str) -> None:
    save(run.parent / "b", ["epoch=0-quux=1.ckpt"])
    place = tmp_path / "out"
    place.write_text("old")
    before = listing(tmp_path)
    assert call("export", run.parent, "-o", place, "--format", form, "--top-k", "1", "--force").code == 2
    assert listing(tmp_path) == before


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--format", "xml"], "'xml' is not one of"),
        (["--top-k", "0"], "0 is not in the range"),
        (["--top-k", "x"], "'x' is not a valid int"),
    ],
    ids=["no such form", "none of them", "no number"],
)
def test_what_cannot_be_obeyed_is_a_usage_error(run: Path, flags: list[str], says: str) -> None:
    answer = call("export", run, *flags)
    assert (answer.code, answer.out) == (2, "")
    assert says in answer.err


@pytest.mark.parametrize(("name", "flags"), [(BEST, []), ("new.keras", []), ("model.tpkc", ["--ext", "tpkc"])])
def test_a_summary_does_not_take_the_name_of_a_checkpoint(run: Path, name: str, flags: list[str]) -> None:
    before = listing(run)
    answer = call("export", run, "-o", run / name, *flags)
    assert (answer.code, listing(run)) == (2, before)
    assert "a summary might take the place of one" in answer.err


def test_a_summary_may_be_filtered_sorted_and_cut(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a")

    def names(*words: str) -> list[str]:
        return [Path(json.loads(line)["path"]).name for line in call("export", run, "--format", "jsonl", *words).lines]

    assert names("--filter", "step>100") == NAMES[1:]
    assert names("--sort", "val_loss") == sorted(NAMES, key=LOSSES.__getitem__)
    assert names("--sort", "step:desc", "--limit", "1") == [LAST]
    assert names("--top-k", "2") == [BEST, LAST]
    assert call("export", run, "--filter", "step>900").code == 4
