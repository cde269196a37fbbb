"""What ``ls --all`` adds: each file that holds weights and that no name tells of."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from ckptctl.formats.torch_writer import encode_torch
from ckptctl.scan.runs import Options, scan
from tests.cli.calls import call
from tests.recognition.contents import content_of
from tests.scan.test_loose_files import ADAM, STATE, listed, put
from tests.stores.memory import MemoryStore

NPZ = content_of("a.npz", "npz", 1, None)
PICKLE = pickle.dumps({"w": [1.0, 2.0]}, 4)


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("agent.npz", NPZ, "its name has no number"),
        ("q_table.pkl", PICKLE, "its name has no number"),
        ("agent-00001-of-00002.npz", NPZ, "nothing shows that its content (npz) is a checkpoint"),
        ("weights_without_ending", STATE, "its name has no number"),
        ("model-00001-of-00002.bin", STATE, "nothing shows that it is one of a training's saves in a row"),
        ("epoch_3.pt.tmp", STATE, "nothing shows that it is one of a training's saves in a row"),
        (".hidden.pt", STATE, "nothing shows that it is one of a training's saves in a row"),
        ("report.txt", STATE, "nothing shows that it is one of a training's saves in a row"),
    ],
    ids=lambda it: it if isinstance(it, str) and "." in it else "",
)
def test_it_is_left_out_with_its_why(tmp_path: Path, name: str, data: bytes, why: str) -> None:
    put(tmp_path, {"epoch_1.pth": STATE, "epoch_2.pth": STATE, name: data})
    assert name not in listed(tmp_path)
    told = listed(tmp_path, "--all")[name]
    assert not told["prunable"]
    assert str(told["why_not"]).startswith(why)


@pytest.mark.parametrize("flags", [["-q"], ["--runs"], ["--explain-layout"]])
def test_each_form_of_the_listing_tells_of_it(tmp_path: Path, flags: list[str]) -> None:
    put(tmp_path, {"agent.npz": NPZ})
    assert call("ls", tmp_path, *flags).code == 4
    assert call("ls", tmp_path, "--all", *flags).code == 0


def test_an_optimizer_and_texts_are_not_listed(tmp_path: Path) -> None:
    put(tmp_path, {"a.opt": encode_torch(ADAM), "b.txt": PICKLE, "c.md": b"(c) us\n.", "d.json": b"{}", "e": b""})
    assert call("ls", tmp_path, "--all").code == 4


def test_where_a_layout_is_asked_for_no_other_file_is_told(tmp_path: Path) -> None:
    put(tmp_path, {"epoch=1-step=2.ckpt": STATE, "agent.npz": NPZ})
    assert "agent.npz" not in listed(tmp_path, "--all", "--layout", "lightning")


def test_on_an_object_store_the_endings_of_texts_are_believed() -> None:
    held = {"epoch_1.pt": STATE, "epoch_2.pt": STATE, "report.txt": STATE, "agent.npz": NPZ}
    for url, names in (("memory", ["agent.npz", "report.txt"]), ("s3://bucket/run", ["agent.npz"])):
        (run,) = scan(MemoryStore(held, url=url), Options(every=True))
        assert [it.path for it in run.left_out] == names


def test_what_lies_in_a_folder_that_turned_out_to_be_no_checkpoint_is_told() -> None:
    held = {"checkpoint_5_gda/weights.pt": STATE, "epoch_1.pt": STATE, "epoch_2.pt": STATE}  # its lead file is gone
    (run,) = scan(MemoryStore(held), Options(every=True))
    assert [it.path for it in run.left_out] == ["checkpoint_5_gda/weights.pt"]


def test_what_is_part_of_a_checkpoint_is_not_told_again() -> None:
    held = {"checkpoint-500/model.safetensors": STATE, "checkpoint-500/trainer_state.json": b"{}"}
    (run,) = scan(MemoryStore(held | {"checkpoint-500/deep/extra.pt": STATE}), Options(every=True))
    assert [it.path for it in (*run.checkpoints, *run.left_out)] == ["checkpoint-500"]
