from __future__ import annotations

import os
import re
import shutil
import struct
import sys
from importlib.util import find_spec
from math import nan
from pathlib import Path

import pytest

from ckptctl.formats.torch_writer import encode_torch, make_tensor
from tests.cli.calls import NAMES, ROOT, age, call, environment, make_run, save, state
from tests.cli.schema import VERIFY as SCHEMA
from tests.cli.schema import misfits
from tests.conftest import lacks
from tests.formats.samples import dictionary, global_, text, torch_file
from tests.terminal import Terminal

FIXTURES = ROOT / "tests" / "fixtures"
HOSTILE = torch_file(dictionary(a=global_("posix", "system") + text("touch canary") + b"\x85R"))
STRANGE = torch_file(dictionary(a=global_("mine", "Config") + b")\x81}b"))
NUMBERS = {"state_dict": {"w": make_tensor([1, 2, 3, 4], (4,))}, "epoch": 1}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return make_run(tmp_path / "runs" / "a")


def spoil(path: Path, content: bytes) -> Path:
    """Put other content into a file that nobody writes to any more."""
    path.write_bytes(content)
    os.utime(path, (1_700_000_000, 1_700_000_000))
    return path


def verdicts(*words: str | Path) -> dict[str, tuple[str, str]]:
    return {Path(row["path"]).name: (row["verdict"], row["id"]) for row in call("verify", *words).rows}


def test_a_tree_in_which_all_is_well_is_told_line_by_line_and_in_sum(run: Path) -> None:
    answer = call("verify", run.parent)
    assert answer.code == 0
    assert {row["verdict"] for row in answer.rows} == {"ok"}
    assert [Path(row["path"]).name for row in answer.rows] == NAMES
    assert answer.err.startswith("all is well · 4 checkpoints, ")


def test_what_is_wrong_is_told_with_an_id_that_does_not_change(run: Path) -> None:
    spoil(run / NAMES[0], state()[:-10])
    spoil(run / NAMES[1], HOSTILE)
    spoil(run / NAMES[2], STRANGE)
    answer = call("verify", run)
    assert answer.code == 5
    assert verdicts(run) == {
        NAMES[0]: ("damaged", "cut-short"),
        NAMES[1]: ("suspect", "suspect-name"),
        NAMES[2]: ("doubt", "unlisted-name"),
        NAMES[3]: ("ok", ""),
    }
    assert answer.err.startswith("1 damaged or partial, 1 suspect, 1 in doubt · 4 checkpoints, ")
    assert sorted(os.listdir(run)) == sorted(NAMES)


def test_json_is_as_the_contract_has_it(run: Path) -> None:
    spoil(run / NAMES[0], state()[:-10])
    answer = call("verify", run, "--json")
    assert (answer.code, answer.err) == (5, "")
    assert misfits(answer.json, SCHEMA) == []
    first, *others = answer.json["checkpoints"]
    assert (first["path"], first["ok"], first["findings"][0]["id"]) == (f"{run}/{NAMES[0]}", False, "cut-short")
    assert [it["ok"] for it in others] == [True] * 3


def test_a_doubt_alone_is_no_failure(run: Path) -> None:
    spoil(run / NAMES[2], STRANGE)
    answer = call("verify", run, "--json")
    assert answer.code == 0
    assert [it["ok"] for it in answer.json["checkpoints"]] == [True] * 4


@pytest.mark.parametrize("allowed", ["posix.system", "posix.*"])
def test_names_can_be_allowed(run: Path, allowed: str) -> None:
    spoil(run / NAMES[0], HOSTILE)
    assert call("verify", run, "--allow", allowed).code == 0
    assert call("verify", run, "--allow", "posix.popen").code == 5


def test_quiet_gives_the_paths_of_what_is_not_well(run: Path) -> None:
    path = spoil(run / NAMES[0], state()[:-10])
    spoil(run / NAMES[2], STRANGE)
    assert call("verify", run, "-q").lines == [str(path)]
    assert call("verify", run, "-0").raw == os.fsencode(path) + b"\0"


def test_one_checkpoint_is_verified_by_its_path(run: Path) -> None:
    spoil(run / NAMES[0], state()[:-10])
    assert call("verify", run / NAMES[1]).code == 0
    assert call("verify", run / NAMES[0]).code == 5
    assert call("verify", run / NAMES[1], run / NAMES[0]).code == 5


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real checkpoints, an hour after they were written: those of a checkout may be a moment old."""
    copy = tmp_path_factory.mktemp("old") / "fixtures"
    shutil.copytree(FIXTURES, copy, symlinks=True)
    for path in copy.rglob("*"):
        if not path.is_symlink():
            age(path, 3600)
    return copy


@pytest.mark.parametrize("path", ["layouts/torch/dcp/step-5", "layouts/tf/mgr/ckpt-200", "layouts/keras/sh"])
def test_a_folder_or_a_family_is_verified_as_one(old: Path, path: str) -> None:
    answer = call("verify", old / path, "--deep")
    assert answer.code == 0
    assert [row["verdict"] for row in answer.rows] == ["ok"]


def test_real_checkpoints_of_every_kind_give_no_alarm(old: Path) -> None:
    answer = call("verify", old, "--deep")
    wrong = {Path(row["path"]).name for row in answer.rows if row["verdict"] != "ok"}
    assert wrong == {"trunc.ckpt", "trunc.h5", *([] if lacks("h5py") is None else ["packed.h5", "newer.h5"])}
    assert len(answer.rows) >= 55


def test_a_flipped_byte_is_found_by_reading_all(run: Path) -> None:
    content = bytearray(encode_torch(NUMBERS))
    content[content.index(struct.pack("<4f", 1, 2, 3, 4))] ^= 1
    spoil(run / NAMES[0], bytes(content))
    assert call("verify", run).code == 0
    answer = call("verify", run, "--deep")
    assert answer.code == 5
    (row,) = [row for row in answer.rows if row["verdict"] != "ok"]
    assert (row["id"], row["text"]) == ("checksum", "tensor 'state_dict.w': checksum differs")


def test_weights_that_are_no_numbers_are_found_when_asked_for(run: Path) -> None:
    spoil(run / NAMES[0], encode_torch({"state_dict": {"w": make_tensor([1, nan], (2,))}}))
    assert call("verify", run, "--deep").code == 0
    answer = call("verify", run, "--finite")
    assert answer.code == 5
    (row,) = [row for row in answer.rows if row["verdict"] != "ok"]
    assert (row["verdict"], row["text"]) == ("nan", "tensor 'state_dict.w': 1 NaN of 2")


def test_numbers_are_checked_without_numpy(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numpy", None)
    spoil(run / NAMES[0], encode_torch({"state_dict": {"w": make_tensor([1, nan], (2,))}}))
    answer = call("verify", run, "--deep", "--finite")
    assert [row["verdict"] for row in answer.rows if row["verdict"] != "ok"] == ["nan"]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        pytest.param("20", "2 tensors are of types that are not known", id="a type that is not known"),
        pytest.param("step-5", "", id="all of them"),
    ],
)
def test_where_numbers_were_not_looked_at_it_is_said(tmp_path: Path, name: str, told: str) -> None:
    path = tmp_path / name
    shutil.copytree(FIXTURES / "layouts" / ("orbax" if name == "20" else "torch/dcp") / name, path)
    for file in (*path.rglob("*"), path):
        os.utime(file, (1_700_000_000, 1_700_000_000))
    answer = call("verify", path, "--finite")
    assert answer.code == 0
    assert [row["text"] for row in answer.rows] == [f"{told}: nobody looked whether all is finite" if told else ""]


PICKLED = (
    b"\x80\x02}X\x01\x00\x00\x00wcnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R"
    b"(K\x01K\x01\x85cnumpy\ndtype\nX\x02\x00\x00\x00%s\x89\x88\x87R"
    b"(K\x03X\x01\x00\x00\x00<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89C\x04\x00\x00\x80\x3ftbs."
)
"""An array of one number, as numpy pickles it: its numbers lie in the pickle, where nobody looks at them."""


@pytest.mark.parametrize(("kind", "found"), [(b"f4", ["not-read"]), (b"u4", [""])], ids=["floating", "whole"])
def test_only_what_may_be_no_number_is_missed(tmp_path: Path, kind: bytes, found: list[str]) -> None:
    answer = call("verify", spoil(tmp_path / "w.pkl", PICKLED % kind), "--finite")
    assert (answer.code, [row["id"] for row in answer.rows]) == (0, found)


@pytest.mark.parametrize("place", ["", "epoch=0-step=1.ckpt"], ids=["its folder", "itself"])
def test_what_is_cut_off_and_may_be_in_the_writing_is_told_and_never_passes_silently(
    tmp_path: Path, place: str
) -> None:
    (tmp_path / "epoch=0-step=1.ckpt").write_bytes(state()[:-100])
    answer = call("verify", tmp_path / place)
    assert answer.code == 3
    assert [(row["verdict"], row["id"]) for row in answer.rows] == [("live", "live")]
    assert call("verify", tmp_path / place, "--strict-live").code == 5


STRAYS = {
    "a page of a server": (b"<!DOCTYPE html><html>404</html>", "text"),
    "an error in JSON": (b'{"error": "no access"}', "text"),
    "a pointer of Git LFS": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "text"),
    "plain words": (b"see the other disk\n", "text"),
    "a cut file": (state()[:-100], "cut-short"),
    "nothing": (b"", "empty"),
}


@pytest.mark.parametrize(("content", "flaw"), STRAYS.values(), ids=STRAYS)
@pytest.mark.parametrize("name", ["vgg16.pth", "below/backup.safetensors", "model_5.bin"])
def test_a_folder_is_verified_with_what_belongs_to_no_training(
    tmp_path: Path, name: str, content: bytes, flaw: str
) -> None:
    save(tmp_path, ["epoch=0-step=1.ckpt", name], content)
    save(tmp_path, ["epoch=0-step=1.ckpt"])
    answer = call("verify", tmp_path, "--json")
    assert answer.code == 5
    found = {it["path"]: [finding["id"] for finding in it["findings"]] for it in answer.json["checkpoints"]}
    assert found[f"{tmp_path}/{name}"] == [flaw]
    assert found[f"{tmp_path}/epoch=0-step=1.ckpt"] == []


def test_but_what_it_names_already_is_told(tmp_path: Path) -> None:
    (tmp_path / "epoch=0-step=1.ckpt").write_bytes(HOSTILE)
    assert call("verify", tmp_path).code == 5


def test_what_a_folder_lacks_is_told(tmp_path: Path) -> None:
    shutil.copytree(FIXTURES / "layouts" / "torch" / "dcp" / "step-5", tmp_path / "step-5")
    (tmp_path / "step-5" / "__0_0.distcp").unlink()
    for path in [tmp_path / "step-5" / ".metadata", tmp_path / "step-5"]:
        os.utime(path, (1_700_000_000, 1_700_000_000))
    answer = call("verify", tmp_path)
    assert answer.code == 5
    assert [(row["verdict"], row["id"], row["file"]) for row in answer.rows] == [
        ("partial", "missing-file", "__0_0.distcp")
    ]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        pytest.param("model.safetensors", [], id="weights"),
        pytest.param("notes.safetensors.txt", [("doubt", "no-weights")], id="no weights"),
        pytest.param("model.bin", [("doubt", "not-read")], id="what cannot be looked into"),
    ],
)
def test_a_folder_with_an_optimizer_and_no_weights_is_in_doubt(tmp_path: Path, name: str, told: list[object]) -> None:
    folder = tmp_path / "checkpoint-5"
    folder.mkdir()
    adam = {"state": {0: {"exp_avg": make_tensor([1, 2], (2,))}}, "param_groups": []}
    spoil(folder / "optimizer.pt", encode_torch(adam))
    spoil(folder / "trainer_state.json", b'{"global_step": 5}')
    spoil(folder / "training_args.bin", encode_torch({"seed": 1}))
    weights = (FIXTURES / "layouts" / "torch" / "x.safetensors").read_bytes()
    spoil(folder / name, b"\x1f\x8b" + bytes(50) if name == "model.bin" else weights)
    answer = call("verify", folder)
    assert (answer.code, [(row["verdict"], row["id"]) for row in answer.rows if row["id"]]) == (0, told)


def test_a_folder_that_holds_an_extra_broken_file_of_weights_is_damaged(tmp_path: Path) -> None:
    shutil.copytree(FIXTURES / "layouts" / "torch" / "dcp" / "step-5", tmp_path / "step-5")
    spoil(tmp_path / "step-5" / "extra.pt", state()[:-10])
    assert verdicts(tmp_path) == {"step-5": ("damaged", "cut-short")}


@pytest.mark.parametrize("words", [["--json", "-q"], ["--json", "-0"]])
def test_two_forms_at_once_are_refused(run: Path, words: list[str]) -> None:
    assert call("verify", run, *words).code == 2


def test_where_there_is_nothing_it_says_so(tmp_path: Path) -> None:
    answer = call("verify", tmp_path)
    assert (answer.code, answer.out) == (4, "verdict\tpath\tid\tfile\ttext\n")
    assert "error[no-checkpoint]" in answer.err
    assert call("verify", tmp_path / "gone").code == 4


def test_a_name_with_escapes_is_shown_escaped(tmp_path: Path) -> None:
    save(tmp_path, ["epoch=1\x1b[2J-step=1.ckpt"], state()[:-10])
    answer = call("verify", tmp_path)
    assert "\x1b" not in answer.out
    assert answer.code == 5


@pytest.mark.tty
def test_a_terminal_shows_what_is_wrong_and_the_sum(run: Path, programs: Path) -> None:
    spoil(run / NAMES[0], state()[:-10])
    spoil(run / NAMES[1], HOSTILE)
    env = environment(PATH=f"{programs}:{os.environ['PATH']}")
    with Terminal(["ckptctl", "verify", "a"], cwd=run.parent, env=env, columns=100) as terminal:
        code, shown = terminal.finish()
    assert code == 5
    assert shown.splitlines() == [
        "damaged   a/epoch=0-step=100-val_loss=0.50.ckpt   cut short: end record missing",
        "suspect   a/epoch=1-step=200-val_loss=0.40.ckpt   its pickle names posix.system, which loading would",
        "                                                  call or hand over",
        "1 damaged or partial, 1 suspect · 4 checkpoints, 2.3 kB",
    ]


def test_progress_is_for_terminals_and_for_what_takes_long(capsys: pytest.CaptureFixture[str]) -> None:
    from ckptctl.cli._progress import Progress

    progress = Progress()
    progress.add(10**9)
    progress.count()
    assert capsys.readouterr().err == ""
    progress.is_shown = True
    progress.add(1)
    assert capsys.readouterr().err == ""
    progress._drawn -= 2  # noqa: SLF001 - two seconds later
    progress.add(10**9)
    progress.clear()
    assert capsys.readouterr().err == "\r\x1b[K1 checkpoints examined, 2.0 GB read\r\x1b[K"


@pytest.mark.skipif(find_spec("torch") is None, reason="torch is not installed")
def test_torch_loads_what_passed_all_else_and_the_sum_tells_how_many_files(run: Path) -> None:
    for path in run.iterdir():
        spoil(path, encode_torch(NUMBERS))
    spoil(run / NAMES[0], state()[:-10])
    spoil(run / NAMES[1], HOSTILE)
    spoil(run / NAMES[2], torch_file(dictionary(args=global_("argparse", "Namespace") + b")\x81}b")))
    answer = call("verify", run, "--load", "--json")
    assert (answer.code, misfits(answer.json, SCHEMA)) == (5, [])
    assert [(it["ok"], it["loaded"]) for it in answer.json["checkpoints"]] == [(False, 0)] * 2 + [(True, 0), (True, 1)]
    assert verdicts(run)[NAMES[2]] == ("ok", "")
    told = call("verify", run, "--load")
    assert {Path(row["path"]).name: row["id"] for row in told.rows}[NAMES[2]] == "not-loaded"
    assert re.search(r"1 in doubt · 4 checkpoints, .* · torch [0-9][^ ]* loaded 1 file\n$", told.err)


def test_without_being_asked_nothing_is_loaded(run: Path) -> None:
    answer = call("verify", run, "--json")
    assert {it["loaded"] for it in answer.json["checkpoints"]} == {None}


@pytest.mark.skipif(find_spec("torch") is None, reason="torch is not installed")
def test_formats_that_are_not_torchs_are_passed_over_without_a_word(old: Path) -> None:
    answer = call("verify", old / "layouts", "--load", "--json")
    told = answer.json["checkpoints"]
    assert {Path(it["path"]).name for it in told if it["loaded"]} >= {"a.ckpt", "strip.ckpt"}
    assert {finding["id"] for it in told for finding in it["findings"]} & {"not-loaded", "load-failed"} == set()
    assert len(told) >= 13
