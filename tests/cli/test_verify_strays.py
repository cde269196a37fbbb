"""Files that no training claims: looked at by what they hold, whatever they are called; ordinary ones never."""

from __future__ import annotations

import io
import json
import os
import pickle
import random
import struct
import tarfile
from pathlib import Path

import pytest

from tests.cli.calls import ROOT, age, call, save, state
from tests.formats.samples import dictionary, global_, pack_zip, text, torch_file

FIXTURES = ROOT / "tests" / "fixtures" / "layouts"
CALL = global_("posix", "system") + text("touch canary") + b"\x85R"
LEGACY = (FIXTURES / "torch" / "legacy.pth").read_bytes()
WEIGHTS = (FIXTURES / "torch" / "x.safetensors").read_bytes()


class Attack:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch canary",)


def array_of_objects(descr: bytes = b"'|O'") -> bytes:
    header = (b"{'descr': %b, 'fortran_order': False, 'shape': (1,), }" % descr).ljust(117) + b"\n"
    return b"\x93NUMPY\x01\0" + struct.pack("<H", len(header)) + header + pickle.dumps([Attack()], 4)


def pack_tar(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


ATTACKS = {
    **{f"protocol {it}": pickle.dumps(Attack(), it) for it in range(6)},
    "a line behind its end": pickle.dumps(Attack(), 0) + b"\n",
    "no end": b"cposix\nsystem\n(S'touch canary'\ntR",
    "no mark": b"\x8c\x05posix\x8c\x06system\x93\x8c\x05touch\x85R.",
    "in a zip of torch": torch_file(dictionary(a=CALL)),
    "in an array": array_of_objects(),
    "in a zip of arrays": pack_zip({"x.npy": array_of_objects()}),
    "in an array of records": array_of_objects(b"[('a', '<i4'), ('b', 'O')]"),
    "in records in a zip": pack_zip({"x.npy": array_of_objects(b"[('a', '<i4'), ('b', 'O')]")}),
    "in a tar": pack_tar("below/m.pkl", pickle.dumps(Attack(), 4)),
    "in a zip of torch in a tar": pack_tar("m.pt", torch_file(dictionary(a=CALL))),
}


@pytest.mark.parametrize("content", ATTACKS.values(), ids=ATTACKS)
@pytest.mark.parametrize("name", ["stray", "notes.txt", "x.weird", ".hidden", "m.bin", "m.npy", "e.ckpt", ".metadata"])
def test_a_pickle_that_calls_something_is_found_under_any_name(tmp_path: Path, name: str, content: bytes) -> None:
    save(tmp_path, ["epoch=0-step=1.ckpt"])
    save(tmp_path, [name], content)
    answer = call("verify", tmp_path, "--json")
    (found,) = [it for it in answer.json["checkpoints"] if it["path"].endswith(name)]
    assert (answer.code, found["ok"]) == (5, False)
    assert "system" in " ".join(it["text"] for it in found["findings"])
    assert call("verify", tmp_path / name).code == 5


CUT = {
    "a zip of torch": state()[:-100],
    "most of one": state()[:300],
    "torch before 1.6": LEGACY[:-50],
    "safetensors": WEIGHTS[:-1],
    "a pickle": pickle.dumps(list(range(999)), 4)[:-9],
}


@pytest.mark.parametrize("content", CUT.values(), ids=CUT)
@pytest.mark.parametrize("name", ["blob", "stray.weird", "run.log"])
def test_a_cut_file_is_found_by_what_it_begins_as(tmp_path: Path, name: str, content: bytes) -> None:
    save(tmp_path, [name], content)
    for place in (tmp_path, tmp_path / name):
        assert call("verify", place).code == 5
    (tmp_path / name).write_bytes(content)
    for place in (tmp_path, tmp_path / name):
        answer = call("verify", place)
        assert (answer.code, [row["verdict"] for row in answer.rows]) == (3, ["live"])
        assert call("verify", place, "--strict-live").code == 5


def test_what_is_whole_under_an_odd_name_is_looked_at_and_well(tmp_path: Path) -> None:
    save(tmp_path, ["a"], state())
    save(tmp_path, ["b.weird"], WEIGHTS)
    save(tmp_path, ["c.log"], LEGACY)
    answer = call("verify", tmp_path)
    assert (answer.code, [row["verdict"] for row in answer.rows]) == (0, ["ok"] * 3)


NOISE = random.Random(0).randbytes  # noqa: S311 - the same bytes each time
ORDINARY = {
    "README": b"class Foo:\n    pass\n.",
    "LICENSE": b"(c) 2020 the authors\nall rights reserved.",
    "labels": b"cat\ndog\ncow\n",
    "run.log": b"epoch 1\nloss 0.5.\n",
    "a.csv": b"a,b\n1,2\n",
    "a.json": b"{}",
    "a.png": b"\x89PNG\r\n\x1a\n" + NOISE(99),
    "empty": b"",
    "empty.log": b"",
    "zeros.dat": bytes(999),
    "noise": NOISE(999),
    "noise80": b"\x80\x04" + NOISE(999),
    "train.bin": NOISE(999),
    "x.ldb": NOISE(99) + b"\x57\xfb\x80\x8b\x24\x75\x47\xdb",
    "x.docx": pack_zip({"word/a.xml": b"<a/>"})[:-9],
    "events.out.tfevents.1": NOISE(99),
    "x.npy": b"\x93NUMPY\x01\0\x76\0"
    + b"{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }".ljust(117)
    + b"\n"
    + bytes(4),
    "images.tar": pack_tar("0.jpg", NOISE(99)),
    "code.zip": pack_zip({"a/main.py": b"print()\n" * 9}, compressed=("a/main.py",)),
    "job.zip": pack_zip({"job/data.pkl": pickle.dumps({"a": 1}), "job/notes.txt": b"hello"}),
    "x.gz": b"\x1f\x8b" + NOISE(20),
}


def test_ordinary_files_raise_no_alarm(tmp_path: Path) -> None:
    save(tmp_path, ["epoch=0-step=1.ckpt"])
    for name, content in ORDINARY.items():
        save(tmp_path, [name], content)
    answer = call("verify", tmp_path, "--deep")
    assert [row for row in answer.rows if row["verdict"] != "ok"] == []
    assert {Path(row["path"]).name for row in answer.rows} == {"epoch=0-step=1.ckpt", "code.zip", "job.zip"}


@pytest.mark.parametrize("name", ["README", "run.log", "a.png", "noise", "train.bin"])
def test_a_file_that_is_no_checkpoint_is_said_to_be_none(tmp_path: Path, name: str) -> None:
    save(tmp_path, [name], ORDINARY[name])
    answer = call("verify", tmp_path / name)
    assert answer.code == 4
    assert answer.err.startswith(f"ckptctl: error[no-checkpoint]: {tmp_path / name}: not recognised as a checkpoint\n")


def test_a_folder_of_which_a_shard_is_being_written_is_live(tmp_path: Path) -> None:
    folder = tmp_path / "step-5"
    folder.mkdir()
    for path in (FIXTURES / "torch" / "dcp" / "step-5").iterdir():
        content = path.read_bytes()
        (folder / path.name).write_bytes(content[:-700] if path.suffix == ".distcp" else content)
    for place in (tmp_path, folder):
        answer = call("verify", place)
        assert (answer.code, [row["verdict"] for row in answer.rows]) == (3, ["live"])
        assert "__0_0.distcp: cut short" in answer.rows[0]["text"]
        assert call("verify", place, "--strict-live").code == 5
    for path in folder.iterdir():
        age(path, 3600)
    age(folder, 3600)
    assert call("verify", folder).code == 5


def test_an_old_damaged_file_is_damage_beside_what_was_just_written(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint-5"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({}))
    save(folder, ["model.safetensors"], WEIGHTS[:-1])
    assert call("verify", folder).code == 5


def test_shards_without_an_index_are_one_checkpoint_from_their_folder_and_by_each_name(tmp_path: Path) -> None:
    names = [f"model-0000{it}-of-00002.safetensors" for it in (1, 2)]
    save(tmp_path, names, WEIGHTS)
    for place in (tmp_path, *(tmp_path / it for it in names)):
        answer = call("verify", place)
        assert (answer.code, [Path(row["path"]).name for row in answer.rows]) == (0, names[:1])
    (tmp_path / names[0]).unlink()
    for place in (tmp_path, tmp_path / names[1]):
        answer = call("verify", place)
        assert (answer.code, [row["verdict"] for row in answer.rows]) == (5, ["partial"])
        assert names[0] in answer.rows[0]["text"]
