"""Files that no framework's row names: what they are by their names together and by what they hold."""

from __future__ import annotations

import json
import os
import pickle
import struct
import time
from pathlib import Path

import pytest

from ckptctl.formats.torch_writer import encode_torch, make_tensor
from tests.cli.calls import HOUR, call

FIXTURES = Path(__file__).parents[1] / "fixtures" / "layouts"
WEIGHTS = {"fc.weight": make_tensor([1, 2], (2,)), "fc.bias": make_tensor([3], (1,))}
ADAM = {"state": {0: {"exp_avg": make_tensor([1, 2], (2,))}}, "param_groups": [{"lr": 0.1, "params": [0]}]}
STATE = encode_torch(WEIGHTS)
KERAS = (FIXTURES / "keras" / "m.h5").read_bytes()
DATA = (FIXTURES / "hdf5" / "packed.h5").read_bytes()

FLAX = b"\x82\xa4step\x07\xa6params\x81\xa6kernel\xc7\x0c\x01" + bytes(12)


def full(epoch: int) -> bytes:
    return encode_torch({"epoch": epoch, "model": WEIGHTS, "optimizer": ADAM})


def safetensors(name: str) -> bytes:
    header = json.dumps({name: {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    return struct.pack("<Q", len(header)) + header + bytes(4)


def put(folder: Path, files: dict[str, bytes]) -> Path:
    """Write files an hour apart, the last an hour old."""
    folder.mkdir(parents=True, exist_ok=True)
    for ago, (name, data) in enumerate(reversed(files.items()), 1):
        (folder / name).write_bytes(data)
        os.utime(folder / name, (time.time() - ago * HOUR,) * 2)
    return folder


def listed(folder: Path, *flags: str) -> dict[str, dict[str, object]]:
    answer = call("ls", folder, "--json", *flags)
    runs = answer.json["runs"] if answer.code == 0 else []
    return {it["path"]: it for run in runs for it in run["checkpoints"]}


def left(folder: Path, *flags: str) -> set[str]:
    call("prune", folder, *flags, "--yes")
    return {it.name for it in folder.iterdir()}


# What is listed


def test_a_name_that_many_programs_write_is_believed_by_its_content(tmp_path: Path) -> None:
    """``checkpoint_N`` is what flax writes, and Tacotron's copies."""
    put(tmp_path, {f"checkpoint_{n}": full(n) for n in (1000, 2000, 3000)})
    assert {it["layout"] for it in listed(tmp_path).values()} == {"generic"}
    assert left(tmp_path, "--keep-last", "1") == {"checkpoint_3000"}


def test_a_name_that_a_framework_writes_with_its_own_content_is_its(tmp_path: Path) -> None:
    put(tmp_path, {f"checkpoint_{n}": FLAX for n in (1000, 2000)})
    assert {it["layout"] for it in listed(tmp_path).values()} == {"orbax-flax"}


@pytest.mark.parametrize("ending", ["", ".checkpoint", ".tpkc", ".t7", ".ckpt", ".pyt"])
def test_an_ending_is_neither_needed_nor_believed(tmp_path: Path, ending: str) -> None:
    names = [f"net_iter_{n}{ending}" for n in (1000, 2000)]
    put(tmp_path, dict.fromkeys(names, STATE))
    assert {(it["layout"], it["step"]) for it in listed(tmp_path).values()} == {("generic", 1000), ("generic", 2000)}


NO_CHECKPOINTS = {
    "a data set in HDF5": {f"run_step_{n}.h5": DATA for n in (1, 2, 3)},
    "predictions": {f"epoch_{n}.safetensors": safetensors("logits") for n in (1, 2, 3)},
    "optimizers alone": {f"epoch_{n}.pt": encode_torch(ADAM) for n in (1, 2, 3)},
    "words": {f"notes_{n}.odd": b"some words about it" for n in (1, 2, 3)},
}


@pytest.mark.parametrize("files", NO_CHECKPOINTS.values(), ids=NO_CHECKPOINTS)
def test_what_holds_no_weights_is_not_listed_and_stays(tmp_path: Path, files: dict[str, bytes]) -> None:
    put(tmp_path, files)
    assert listed(tmp_path, "--all") == {}
    assert left(tmp_path, "--keep-last", "1") == files.keys()


def test_one_of_other_content_among_a_series_is_no_member(tmp_path: Path) -> None:
    files = {f"epoch_{n}.safetensors": safetensors("fc.weight") for n in range(1, 6)}
    put(tmp_path, files | {"epoch_3.safetensors": safetensors("logits")})
    assert set(listed(tmp_path)) == files.keys() - {"epoch_3.safetensors"}


def test_what_belongs_to_no_series_is_told_and_listed_when_asked(tmp_path: Path) -> None:
    put(tmp_path, {f"fold_{n}.pth": STATE for n in range(4)} | {"epoch_1.pth": STATE, "vgg16.pth": STATE})
    assert set(listed(tmp_path)) == {"epoch_1.pth"}
    told = call("ls", tmp_path)
    assert "5 more files hold weights but belong to no series: fold_0.pth, fold_1.pth, fold_2.pth, …" in told.err
    assert len(listed(tmp_path, "--all")) == 6


def test_where_nothing_belongs_to_a_series_the_error_says_what_there_is(tmp_path: Path) -> None:
    put(tmp_path, {"vgg16.pth": STATE})
    answer = call("ls", tmp_path)
    assert answer.code == 4
    assert "1 more file holds weights but belongs to no series: vgg16.pth; ckptctl ls --all lists them" in answer.err


def test_json_says_why_no_rule_may_delete_and_what_proves_it(tmp_path: Path) -> None:
    put(tmp_path, {f"model_{n}.pt": STATE for n in (1, 2, 3)} | {f"e_epoch_{n}.pt": STATE for n in (1, 2)})
    found = listed(tmp_path)
    assert found["model_1.pt"]["prunable"] is False
    assert found["model_1.pt"]["series"] == "model_{number}.pt"
    assert "--template 'model_{epoch}' says it" in str(found["model_1.pt"]["why_not"])
    assert found["e_epoch_1.pt"]["prunable"] is True
    assert found["e_epoch_1.pt"]["evidence"] == [
        {"kind": "counter", "detail": "epoch"},
        {"kind": "content", "detail": "weights"},
    ]


# What may be deleted


def test_a_number_inside_that_is_the_names_proves_a_series(tmp_path: Path) -> None:
    put(tmp_path / "same", {f"model_{n}.pt": full(n) for n in range(1, 6)})
    assert left(tmp_path / "same", "--keep-last", "2") == {"model_4.pt", "model_5.pt"}
    put(tmp_path / "other", {f"model_{n}.pt": full(7) for n in range(1, 6)})
    assert len(left(tmp_path / "other", "--keep-last", "2")) == 5


@pytest.mark.parametrize("flags", [("--template", "model_{epoch}"), ("--include", "model_*.pt")], ids=lambda it: it[0])
def test_what_a_person_says_is_proof_enough(tmp_path: Path, flags: tuple[str, str]) -> None:
    put(tmp_path, {f"model_{n}.pt": STATE for n in range(1, 6)})
    assert len(left(tmp_path, "--keep-last", "2")) == 5
    assert left(tmp_path, "--keep-last", "2", *flags) == {"model_4.pt", "model_5.pt"}


def test_pickles_that_may_hold_anything_are_listed_and_stay(tmp_path: Path) -> None:
    files = {f"population_gen_{n}.pkl": pickle.dumps({"w": [n]}) for n in (1, 2, 3)}
    put(tmp_path, files)
    assert set(listed(tmp_path)) == files.keys()
    assert left(tmp_path, "--keep-last", "1") == files.keys()
    assert left(tmp_path, "--keep-last", "1", "--include", "*.pkl") == {"population_gen_3.pkl"}


def test_every_file_that_would_go_is_looked_into(tmp_path: Path) -> None:
    """The second is believed in a listing, for the first, the middle and the last are saves."""
    files = {f"net_epoch_{n}.pt": full(n) for n in range(1, 8)}
    put(tmp_path, files | {"net_epoch_2.pt": encode_torch({"predictions": [[1, 2], [3, 4]]})})
    assert "net_epoch_2.pt" in listed(tmp_path)
    plan = call("prune", tmp_path, "--keep-last", "2", "-n")
    assert "it holds another kind of content (foreign) than its series (net_epoch_{epoch}.pt)" in plan.out
    assert left(tmp_path, "--keep-last", "2") == {"net_epoch_2.pt", "net_epoch_6.pt", "net_epoch_7.pt"}


def test_models_of_unrelated_names_are_no_saves_whatever_their_ending(tmp_path: Path) -> None:
    zoo = {f"{name}.ckpt": encode_torch({"state_dict": WEIGHTS}) for name in ("sd-v1-4", "anything-v3", "inpaint-512")}
    put(tmp_path, zoo)
    assert left(tmp_path, "--keep-last", "1") == zoo.keys()


def test_keras_files_are_told_by_what_they_hold(tmp_path: Path) -> None:
    put(tmp_path, {f"weights.{n:02d}-0.{9 - n}0.h5": KERAS for n in (1, 2, 3)})
    assert {(it["layout"], it["epoch"]) for it in listed(tmp_path).values()} == {
        ("keras", 1),
        ("keras", 2),
        ("keras", 3),
    }


def test_folds_of_lightnings_names_are_ranked_apart(tmp_path: Path) -> None:
    names = [f"fold={k}-epoch={n}-val_loss=0.{k}{n}.ckpt" for k in (1, 2) for n in (1, 2, 3)]
    put(tmp_path, dict.fromkeys(names, encode_torch({"pytorch-lightning_version": "2", "state_dict": WEIGHTS})))
    assert left(tmp_path, "--top-k", "1", "--no-protect-last") == {
        "fold=1-epoch=1-val_loss=0.11.ckpt",
        "fold=2-epoch=1-val_loss=0.21.ckpt",
    }


def test_a_person_may_delete_what_belongs_to_no_series(tmp_path: Path) -> None:
    put(tmp_path, {"fold_1.pth": STATE, "fold_2.pth": STATE})
    assert call("rm", tmp_path / "fold_1.pth", "--yes").code == 0
    assert {it.name for it in tmp_path.iterdir()} == {"fold_2.pth"}


# What the newest is, and whether it can resume


def test_where_only_times_disagree_the_numbers_win_with_a_warning(tmp_path: Path) -> None:
    put(tmp_path, {f"epoch_{n}.pt": full(n) for n in sorted(range(1, 13), key=str)})
    answer = call("last", tmp_path)
    assert answer.lines == [f"{tmp_path}/epoch_12.pt"]
    assert "epoch_9.pt is newer than epoch_12.pt, which has the higher number: the numbers count" in answer.err
    assert {"epoch_11.pt", "epoch_12.pt"} <= left(tmp_path, "--keep-last", "2")


def test_the_newest_that_can_resume_is_found_by_what_files_hold(tmp_path: Path) -> None:
    put(tmp_path, {"epoch_1.pt": full(1), "epoch_2.pt": full(2), "epoch_3.pt": STATE})
    assert call("last", tmp_path, "--resumable").lines == [f"{tmp_path}/epoch_2.pt"]
    assert left(tmp_path, "--keep-last", "1") == {"epoch_2.pt", "epoch_3.pt"}


def test_an_optimizer_beside_the_weights_makes_them_resumable(tmp_path: Path) -> None:
    put(
        tmp_path,
        {
            f"{part}_epoch_{n}.pt": encode_torch(held)
            for n in (1, 2)
            for part, held in (("model", WEIGHTS), ("optim", ADAM))
        },
    )
    assert call("last", tmp_path, "--resumable").lines == [f"{tmp_path}/model_epoch_2.pt"]


def test_where_nobody_knows_whether_any_can_resume_the_newest_is_told(tmp_path: Path) -> None:
    put(tmp_path, {f"epoch_{n}.pkl": pickle.dumps({"w": [n]}) for n in (1, 2)})
    answer = call("last", tmp_path, "--resumable")
    assert answer.code == 4
    assert f"the newest of which it is not known: {tmp_path}/epoch_2.pkl" in answer.err


@pytest.mark.parametrize(
    ("template", "kept"),
    [("m_{epoch}.pt", {"m_4.pt", "m_1.bin", "m_2.bin", "m_3.bin", "m_4.bin"}), ("m_{epoch}", {"m_4.pt", "m_4.bin"})],
    ids=["one ending", "any ending"],
)
def test_a_template_proves_no_file_of_another_ending(tmp_path: Path, template: str, kept: set[str]) -> None:
    put(tmp_path, {f"m_{n}{ending}": STATE for n in (1, 2, 3, 4) for ending in (".pt", ".bin")})
    assert left(tmp_path, "--keep-last", "1", "--no-protect-last", "--template", template) == kept
