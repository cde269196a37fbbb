from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ckptctl.formats.torch_writer import encode_torch, make_tensor
from tests.cli.calls import ROOT, call, environment, make_run
from tests.cli.schema import SHOW as SCHEMA
from tests.cli.schema import misfits
from tests.formats.samples import dictionary, global_, text, torch_file
from tests.terminal import Terminal

FIXTURES = ROOT / "tests" / "fixtures"
STATE = {
    "epoch": 4,
    "global_step": 500,
    "pytorch-lightning_version": "2.6.6",
    "hyper_parameters": {"lr": 0.1, "bias": True},
    "state_dict": {"w": make_tensor(range(1000), (10, 100)), "b": make_tensor([7], (1,))},
    "optimizer_states": [{"state": {0: {"exp_avg": make_tensor([8, 9], (2,)), "exp_avg_sq": make_tensor([8], (1,))}}}],
    "callbacks": {},
}
REAL = {
    "layouts/torch/a.ckpt": ("a.ckpt", "torch"),
    "layouts/torch/dcp/step-5": ("step-5", "dcp"),
    "layouts/torch/x.safetensors": ("x.safetensors", "safetensors"),
    "layouts/keras/m.keras": ("m.keras", "keras"),
    "layouts/keras/w.weights.h5": ("w.weights.h5", "hdf5"),
    "layouts/keras/sh": ("sh", "hdf5"),
    "layouts/tf/mgr/ckpt-200": ("ckpt-200", "tensorflow"),
    "layouts/tf/mgr/ckpt-200.index": ("ckpt-200", "tensorflow"),
    "layouts/orbax/20": ("20", "orbax"),
    "lightning/pl14/topk2_last/last.ckpt": ("last.ckpt", "torch"),
}


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "runs" / "a" / "epoch=4-val_loss=0.30.ckpt"
    path.parent.mkdir(parents=True)
    path.write_bytes(encode_torch(STATE))
    return path


def pairs(*words: str | Path) -> dict[str, str]:
    return dict(line.split("\t", 1) for line in call("show", *words).lines)


@pytest.mark.parametrize("case", REAL)
def test_real_checkpoints_are_shown_by_any_of_their_names(case: str) -> None:
    path, format_name = REAL[case]
    answer = call("show", FIXTURES / case, "--json")
    assert (answer.code, answer.err) == (0, "")
    assert misfits(answer.json, SCHEMA) == []
    assert answer.json["checkpoint"]["path"] == path
    assert format_name in answer.json["contents"]["format"]
    assert answer.json["contents"]["tensors"]
    assert sum(answer.json["contents"]["parts"].values()) == answer.json["checkpoint"]["bytes"]
    assert answer.json["contents"]["findings"] == []


def test_a_pipe_gets_key_and_value(checkpoint: Path) -> None:
    told = pairs(checkpoint)
    assert told["path"] == str(checkpoint)
    assert (told["layout"], told["format"], told["state"], told["epoch"]) == ("lightning", "torch", "complete", "4")
    assert (told["weights"], told["optimizer"], told["tensors"]) == ("4004", "12", "4")
    assert told["hyper_parameters/lr"] == "0.1"
    assert told["val_loss"] == "0.30"


def test_tensors_and_tree_in_a_pipe_are_a_line_a_tensor(checkpoint: Path) -> None:
    rows = call("show", checkpoint, "--tensors").rows
    assert list(rows[0].values()) == ["state_dict.w", "10×100", "float32", "4000", "weights"]
    assert call("show", checkpoint, "--tree").rows == rows


def test_the_name_of_a_link_shows_what_it_leads_to(checkpoint: Path) -> None:
    link = checkpoint.parent / "best.ckpt"
    link.symlink_to(checkpoint.name)
    document = call("show", link, "--json").json
    assert document["checkpoint"]["path"] == checkpoint.name
    assert document["checkpoint"]["aliases"] == ["best.ckpt"]


def test_here_and_above_are_paths_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(FIXTURES / "layouts" / "torch" / "dcp" / "step-5", tmp_path / "step-5")
    monkeypatch.chdir(tmp_path / "step-5")
    assert call("show", ".", "--json").json["checkpoint"]["path"] == "step-5"
    assert call("show", f"{tmp_path}/step-5/", "--json").json["checkpoint"]["path"] == "step-5"


def test_only_the_folder_of_the_checkpoint_is_walked(checkpoint: Path) -> None:
    (checkpoint.parent / "closed").mkdir()
    (checkpoint.parent / "closed" / "more.ckpt").write_bytes(b"")
    document = call("show", checkpoint.parent.parent / "a" / checkpoint.name, "--json")
    assert document.code == 0


def test_a_file_that_no_layout_knows_is_shown_for_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "odd name").write_bytes(encode_torch({**STATE, "pytorch-lightning_version": ""}))
    (tmp_path / "odder").write_bytes(encode_torch({"epoch": 4, "model": {}}))
    assert call("show", tmp_path / "odder", "--json").json["checkpoint"]["layout"] == "generic"
    document = call("show", tmp_path / "odd name", "--json").json
    assert document["checkpoint"]["layout"] == "lightning"
    assert document["checkpoint"]["state"] == "complete"
    assert document["contents"]["metadata"]["epoch"] == 4


def test_a_folder_that_no_layout_knows_is_shown_where_weights_lie_in_it(tmp_path: Path) -> None:
    (tmp_path / "export").mkdir()
    shutil.copy(FIXTURES / "layouts" / "torch" / "x.safetensors", tmp_path / "export" / "model.safetensors")
    (tmp_path / "export" / "readme.txt").write_text("hello")
    document = call("show", tmp_path / "export", "--json").json
    assert document["checkpoint"]["kind"] == "dir"
    assert [it["name"] for it in document["contents"]["tensors"]] == ["a", "b"]


@pytest.mark.parametrize("name", ["runs/a/gone.ckpt", "runs/none", "gone.ckpt", "none/at/all.ckpt"])
def test_what_is_not_there_is_said(checkpoint: Path, name: str) -> None:
    answer = call("show", checkpoint.parents[2] / name)
    assert (answer.code, answer.out) == (4, "")
    assert answer.err.startswith("ckptctl: error[no-path]: ")


def test_a_link_that_leads_to_nothing_is_said(checkpoint: Path) -> None:
    link = checkpoint.parent / "best.ckpt"
    link.symlink_to("gone")
    assert call("show", link).err.startswith(f"ckptctl: error[no-path]: {link}: a link that leads to nothing")


def test_a_folder_of_runs_is_no_checkpoint(checkpoint: Path) -> None:
    answer = call("show", checkpoint.parent.parent)
    assert answer.code == 4
    assert "error[no-checkpoint]" in answer.err
    assert "hint: " in answer.err


def test_what_is_broken_is_said_with_all_that_could_be_read(checkpoint: Path) -> None:
    checkpoint.write_bytes(checkpoint.read_bytes()[:-100])
    os.utime(checkpoint, (1, 1))
    answer = call("show", checkpoint)
    assert answer.code == 5
    assert "error cut-short\tcut short: end record missing" in answer.lines
    assert "state\tdamaged" in answer.lines
    assert answer.err == ""


def test_names_that_loading_would_call_are_told_and_are_no_damage(tmp_path: Path) -> None:
    path = tmp_path / "epoch=1.ckpt"
    path.write_bytes(torch_file(dictionary(a=global_("posix", "system") + text("touch canary") + b"\x85R")))
    answer = call("show", path)
    assert answer.code == 0
    assert "names posix.system\tcalled" in answer.lines
    assert [it.name for it in tmp_path.iterdir()] == ["epoch=1.ckpt"]


def test_json_goes_with_neither_tensors_nor_tree(checkpoint: Path) -> None:
    assert call("show", checkpoint, "--json", "--tensors").code == 2
    assert call("show", checkpoint, "--json", "--tree").code == 2


def test_a_bare_path_is_shown_without_typer(checkpoint: Path) -> None:
    told = "import sys; from ckptctl.cli.main import run; run(sys.argv[1:]); print('modules:', *sys.modules)"
    command = [sys.executable, "-c", told, "show", str(checkpoint)]
    ran = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True)
    modules = set(ran.stdout.partition("modules:")[2].split())
    assert "ckptctl.formats.torch" in modules
    assert not {it for it in modules if re.fullmatch(r"typer|json|torch|numpy|zipfile|pickle|yaml|rich", it)}


@pytest.mark.tty
def test_a_terminal_shows_parts_and_settings(checkpoint: Path, programs: Path) -> None:
    env = environment(PATH=f"{programs}:{os.environ['PATH']}")
    words = ["ckptctl", "show", checkpoint.name, "--tensors", "--tree"]
    with Terminal(words, cwd=checkpoint.parent, env=env, columns=80) as terminal:
        code, shown = terminal.finish()
    assert code == 0
    assert shown.splitlines() == [
        "epoch=4-va…=0.30.ckpt   lightning 2.6.6 · epoch 4 · step 500 · 5.9 kB · complete",
        "  weights       4.0 kB   68 %   2 tensors, 1 k parameters, float32",
        "  optimizer       12 B    0 %   2 tensors, Adam: exp_avg, exp_avg_sq",
        "  other         1.9 kB   32 %",
        "  scores      val_loss 0.30",
        "  checksums   CRC-32 of each member",
        "  settings    lr 0.1 · bias yes",
        "",
        "  10×100  float32  4.0 kB  weights    state_dict.w",
        "       1  float32     4 B  weights    state_dict.b",
        "       2  float32     8 B  optimizer  optimizer_states.0.state.0.exp_avg",
        "       1  float32     4 B  optimizer  optimizer_states.0.state.0.exp_avg_sq",
        "",
        "    4.0 kB  state_dict",
        "    4.0 kB    w",
        "       4 B    b",
        "      12 B  optimizer_states",
        "      12 B    0",
        "      12 B      state",
        "      12 B        0",
        "       8 B          exp_avg",
        "       4 B          exp_avg_sq",
    ]


def test_in_a_large_folder_siblings_are_not_opened(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ckptctl.stores.local import LocalStore

    for number in range(150):
        shutil.copy(checkpoint, checkpoint.parent / f"epoch={number + 10}-val_loss=0.5.ckpt")
    (checkpoint.parent / "best.ckpt").symlink_to(checkpoint.name)
    opened: list[str] = []
    before = LocalStore.open

    def watch(self: LocalStore, path: str) -> Any:  # noqa: ANN401 - as the store's own
        opened.append(path)
        return before(self, path)

    monkeypatch.setattr(LocalStore, "open", watch)
    document = call("show", checkpoint, "--json").json
    assert set(opened) == {checkpoint.name}
    assert document["checkpoint"]["aliases"] == ["best.ckpt"]


def test_of_a_run_with_many_the_one_that_was_named_is_shown(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a")
    document = call("show", run / "epoch=2-step=300-val_loss=0.30.ckpt", "--json").json
    assert document["checkpoint"]["metrics"]["val_loss"]["value"] == 0.3
