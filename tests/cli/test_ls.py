from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cli.calls import BEST, LAST, NAMES, age, call, make_run, remember, save, watch
from tests.cli.schema import LS, misfits


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return make_run(tmp_path / "runs" / "a")


def test_json_is_as_the_contract_has_it(run: Path) -> None:
    (run / "best.ckpt").symlink_to(BEST)
    (run / "gone.ckpt").symlink_to("nowhere.ckpt")
    (run / "notes").write_text("mine")
    document = call("ls", run, "--json").json
    assert misfits(document, LS) == []
    (found,) = document["runs"]
    assert (found["path"], found["layouts"], found["monitor"], found["mode"]) == ("", ["lightning"], "val_loss", "min")
    assert [it["path"] for it in found["checkpoints"]] == NAMES
    best = found["checkpoints"][2]
    assert (best["epoch"], best["step"], best["state"], best["aliases"]) == (2, 300, "complete", ["best.ckpt"])
    assert best["metrics"] == {"val_loss": {"value": 0.3, "state": "finite", "text": "0.30", "source": "name"}}
    assert [(it["path"], it["target"], it["state"]) for it in found["pointers"]] == [
        ("best.ckpt", BEST, "ok"),
        ("gone.ckpt", None, "dangling"),
    ]
    assert found["strays"] == [{"path": "notes", "why": "not understood"}]


@pytest.mark.parametrize("words", [("ls",), ("list",)], ids=["ls", "list"])
def test_a_listing_that_needs_no_parser_is_the_one_that_the_parser_gives(run: Path, words: tuple[str, ...]) -> None:
    assert call(*words, run) == call(*words, run, "--sort", "step")
    assert call(*words, run / "nowhere") == call(*words, run / "nowhere", "--sort", "step")


def test_the_totals_are_the_sums_of_what_is_listed(run: Path) -> None:
    document = call("ls", run, "--json").json
    size = sum((run / name).stat().st_size for name in NAMES)
    assert document["totals"] == {"runs": 1, "checkpoints": 4, "bytes": size, "files": 4}


def test_json_holds_no_number_that_json_does_not_know(tmp_path: Path) -> None:
    save(tmp_path, ["epoch=0-val_loss=nan.ckpt", "epoch=1-val_loss=inf.ckpt", "epoch=2-val_loss=-inf.ckpt"])
    answer = call("ls", tmp_path, "--json")
    assert misfits(answer.json, LS) == []
    scores = [it["metrics"]["val_loss"] for it in answer.json["runs"][0]["checkpoints"]]
    assert [(it["value"], it["state"]) for it in scores] == [(None, "nan"), (None, "inf"), (None, "-inf")]
    assert "NaN" not in answer.out
    assert "Infinity" not in answer.out


def test_a_pipe_gets_a_head_and_whole_paths_between_tabs(run: Path) -> None:
    answer = call("ls", run)
    assert answer.lines[0].startswith("path\tlayout\tstate\tepoch\tstep\t")
    assert [row["path"] for row in answer.rows] == [str(run / name) for name in NAMES]
    assert [row["marks"] for row in answer.rows] == ["", "", "best", "last"]
    assert answer.err == ""


def test_runs_gives_one_row_a_run(run: Path) -> None:
    make_run(run.parent / "b")
    rows = call("ls", run.parent, "--runs").rows
    assert [row["run"] for row in rows] == [str(run), str(run.parent / "b")]
    assert rows[0]["best"] == str(run / BEST)
    assert (rows[0]["checkpoints"], rows[0]["last_step"], rows[0]["best_value"]) == ("4", "400", "0.3")


def test_metrics_gives_each_metric_a_column(tmp_path: Path) -> None:
    save(tmp_path, ["epoch=0-acc=0.1-loss=2.0.ckpt", "epoch=1-acc=0.2.ckpt"])
    rows = call("ls", tmp_path, "--metrics").rows
    assert [(row["acc"], row["loss"]) for row in rows] == [("0.1", "2.0"), ("0.2", "")]


@pytest.mark.parametrize(
    ("key", "order"),
    [
        pytest.param("step", [0, 1, 2, 3], id="step"),
        pytest.param("step:desc", [3, 2, 1, 0], id="step turned round"),
        pytest.param("epoch:desc", [3, 2, 1, 0], id="epoch"),
        pytest.param("name", [0, 1, 2, 3], id="name"),
        pytest.param("age", [3, 2, 1, 0], id="age: the youngest first"),
        pytest.param("age:desc", [0, 1, 2, 3], id="age turned round"),
        pytest.param("val_loss", [2, 3, 1, 0], id="a metric: its best first"),
        pytest.param("val_loss:asc", [2, 3, 1, 0], id="said to ascend"),
        pytest.param("val_loss:desc", [0, 1, 3, 2], id="its worst first"),
        pytest.param("val/loss", [2, 3, 1, 0], id="spelt with a slash"),
    ],
)
@pytest.mark.parametrize("flags", [[], ["-q"]], ids=["table", "paths"])
def test_sort_orders_a_run(run: Path, key: str, order: list[int], flags: list[str]) -> None:
    answer = call("ls", run, "--sort", key, *flags)
    paths = answer.lines if flags else [row["path"] for row in answer.rows]
    assert paths == [str(run / NAMES[place]) for place in order]


def test_sort_by_size_puts_the_smallest_first(run: Path) -> None:
    with (run / NAMES[0]).open("ab") as file:
        file.write(b"\0" * 100)
    assert [row["path"] for row in call("ls", run, "--sort", "size").rows][-1] == str(run / NAMES[0])


@pytest.mark.parametrize("key", ["val_loss", "val_loss:desc"])
def test_what_has_no_number_is_sorted_last_either_way(tmp_path: Path, key: str) -> None:
    without = ["epoch=0.ckpt", "epoch=1-val_loss=nan.ckpt"]
    save(tmp_path, [*without, "epoch=2-val_loss=0.2.ckpt", "epoch=3-val_loss=0.1.ckpt"])
    names = [Path(row["path"]).name for row in call("ls", tmp_path, "--sort", key).rows]
    assert names[2:] == without


def test_a_key_that_nothing_has_is_warned_of(run: Path) -> None:
    answer = call("ls", run, "--sort", "val_los")
    assert answer.code == 0
    assert "warning: --sort val_los: no checkpoint has it" in answer.err
    assert [row["path"] for row in answer.rows] == [str(run / name) for name in NAMES]


def test_limit_cuts_each_run_after_sorting(run: Path) -> None:
    make_run(run.parent / "b")
    rows = call("ls", run.parent, "--sort", "val_loss", "--limit", "1").rows
    assert [row["path"] for row in rows] == [str(run / BEST), str(run.parent / "b" / BEST)]


def test_what_a_limit_hides_may_still_be_the_best(run: Path) -> None:
    assert [row["marks"] for row in call("ls", run, "--limit", "2").rows] == ["", ""]


def test_quiet_gives_paths_only(run: Path) -> None:
    answer = call("ls", run, "-q")
    assert answer.lines == [str(run / name) for name in NAMES]
    assert answer.err == ""


def test_null_ends_each_path_with_a_nul_and_changes_no_byte(run: Path) -> None:
    odd = os.fsencode(run) + b"/epoch=9\xff\n\x1b[31m.ckpt"
    with open(odd, "wb"):
        pass
    paths = call("ls", run, "-0").raw.split(b"\0")
    assert sorted(paths[:-1]) == sorted([odd, *(os.fsencode(run / name) for name in NAMES)])
    assert paths[-1] == b""


def test_a_state_tells_a_score_that_the_names_round(tmp_path: Path) -> None:
    scores = {"val_loss=0.50.ckpt": 0.501, "val_loss=0.50-v1.ckpt": 0.499}
    save(tmp_path, scores, remember(callbacks=watch("/elsewhere", scores)))
    rows = call("ls", tmp_path).rows
    assert {Path(row["path"]).name: round(float(row["value"]), 4) for row in rows} == scores


def test_exact_reads_every_state(tmp_path: Path) -> None:
    for epoch, loss in enumerate((0.2004, 0.1996)):
        name = f"epoch={epoch}-val_loss=0.20.ckpt"
        save(tmp_path, [name], remember(epoch=epoch, callbacks=watch("/elsewhere", {name: loss})))
    for flags, sources in (([], ["name", "state"]), (["--exact"], ["state", "state"])):
        (found,) = call("ls", tmp_path, "--json", *flags).json["runs"]
        assert [it["metrics"]["val_loss"]["source"] for it in found["checkpoints"]] == sources


def test_a_template_reads_names_that_say_nothing_by_themselves(tmp_path: Path) -> None:
    save(tmp_path, ["m_07_0.25.ckpt"])
    (found,) = call("ls", tmp_path, "--template", "m_{epoch:02d}_{val_loss:.2f}", "--json").json["runs"]
    (checkpoint,) = found["checkpoints"]
    assert (checkpoint["epoch"], checkpoint["metrics"]["val_loss"]["value"]) == (7, 0.25)


def test_a_further_extension_is_found_by_what_it_holds_and_when_named(tmp_path: Path) -> None:
    save(tmp_path, ["epoch=0-step=1.tpkc", "last.tpkc"])
    (unnamed,) = call("ls", tmp_path, "--json").json["runs"]
    assert [it["layout"] for it in unnamed["checkpoints"]] == ["lightning", "lightning"]
    for extension in (".tpkc", "tpkc"):
        (found,) = call("ls", tmp_path, "--ext", extension, "--json").json["runs"]
        assert [(it["path"], it["step"], it["roles"]) for it in found["checkpoints"]] == [
            ("epoch=0-step=1.tpkc", 1, []),
            ("last.tpkc", 1, ["last"]),
        ]


def test_another_sign_may_join_name_and_value(tmp_path: Path) -> None:
    save(tmp_path, ["epoch:3-val_loss:0.25.ckpt"])
    (found,) = call("ls", tmp_path, "--equals", ":", "--json").json["runs"][0]["checkpoints"]
    assert (found["epoch"], found["metrics"]["val_loss"]["value"]) == (3, 0.25)


def test_a_layout_leaves_the_others_out(run: Path) -> None:
    save(run, ["05-0.32.keras"])
    assert len(call("ls", run, "-q").lines) == 5
    assert call("ls", run, "-q", "--layout", "keras").lines == [str(run / "05-0.32.keras")]
    answer = call("ls", run, "--layout", "kera")
    assert answer.code == 2
    assert "layouts: " in answer.err


def test_several_paths_are_listed_in_the_order_given(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_run(run.parent / "b")
    monkeypatch.chdir(run.parent)
    document = call("ls", "b", "a", "--json").json
    assert misfits(document, LS) == []
    assert document["root"] == "."
    assert [it["path"] for it in document["runs"]] == ["b", "a"]
    assert document["runs"][0]["checkpoints"][0]["path"] == f"b/{NAMES[0]}"


@pytest.mark.parametrize("again", ["{}", "{}/", "{}/.", "{}/../a"])
def test_a_path_given_twice_is_listed_once(run: Path, again: str) -> None:
    assert len(call("ls", run, again.format(run), "-q").lines) == 4


def test_a_glob_means_the_folders_that_match(run: Path) -> None:
    make_run(run.parent / "b")
    (run.parent / "notes.txt").write_text("")
    assert len(call("ls", f"{run.parent}/*", "-q").lines) == 8


def test_a_glob_that_matches_nothing_is_a_missing_path(run: Path) -> None:
    answer = call("ls", f"{run}/none*")
    assert (answer.code, "no-path" in answer.err) == (4, True)


def test_a_folder_whose_name_looks_like_a_glob_is_itself(tmp_path: Path) -> None:
    make_run(tmp_path / "run[1]")
    make_run(tmp_path / "run1")
    assert call("ls", tmp_path / "run[1]", "-q").lines == [str(tmp_path / "run[1]" / name) for name in NAMES]


def test_the_default_path_is_here(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(run)
    assert call("ls", "-q").lines == NAMES


def test_list_is_another_name_of_ls(run: Path) -> None:
    assert call("list", run) == call("ls", run)


def test_a_monitor_moves_the_mark(tmp_path: Path) -> None:
    save(tmp_path, ["epoch=0-acc=0.9-loss=2.0.ckpt", "epoch=1-acc=0.2-loss=1.0.ckpt"])
    for metric, marks in (("acc", ["best", "last"]), ("loss", ["", "best, last"])):
        assert [row["marks"] for row in call("ls", tmp_path, "--monitor", metric).rows] == marks
    assert [row["marks"] for row in call("ls", tmp_path, "--monitor", "loss", "--mode", "max").rows] == ["best", "last"]


def test_a_listing_without_a_clear_metric_marks_no_best(tmp_path: Path) -> None:
    save(tmp_path, ["epoch=0-a=0.9-b=2.0.ckpt"])
    answer = call("ls", tmp_path)
    assert (answer.code, answer.rows[0]["metric"], answer.rows[0]["marks"]) == (0, "", "last")


def test_a_file_still_being_written_is_told_live(tmp_path: Path) -> None:
    (tmp_path / "epoch=0.ckpt").write_bytes(b"PK\3\4 the first bytes")
    assert call("ls", tmp_path).rows[0]["state"] == "live"
    age(tmp_path / "epoch=0.ckpt", 3600)
    assert call("ls", tmp_path).rows[0]["state"] == "damaged"


def test_pins_are_told(run: Path) -> None:
    (run / f"{LAST}.keep").write_text("")
    (found,) = call("ls", run, "--json").json["runs"]
    assert [it["pinned"] for it in found["checkpoints"]] == [False, False, False, True]
    assert found["strays"] == []


def test_a_filter_shows_only_what_meets_it_and_the_marks_stay_those_of_the_whole_run(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a")
    rows = call("ls", run, "--filter", "val_loss<0.5", "--filter", "step<400").rows
    assert [(Path(row["path"]).name, row["marks"]) for row in rows] == [(NAMES[1], ""), (BEST, "best")]
    assert call("ls", run, "-q", "--filter", "size>1").lines == [str(run / name) for name in NAMES]
    assert call("ls", run, "-q", "--filter", "step=100").lines == [str(run / NAMES[0])]


def test_a_filter_that_nothing_meets_is_no_answer(tmp_path: Path) -> None:
    answer = call("ls", make_run(tmp_path / "a"), "--filter", "val_loss>1", "--filter", "size>1")
    assert (answer.code, answer.out) == (4, "")
    assert "no checkpoint meets val_loss>1 and size>1" in answer.err
