from __future__ import annotations

import os
import sys
import zipfile
from pathlib import Path

import pytest

from ckptctl.formats.torch_writer import encode_torch, make_tensor
from tests.cli.calls import PROGRAM, call, environment
from tests.cli.schema import DIFF as SCHEMA
from tests.cli.schema import misfits
from tests.conftest import lacks
from tests.terminal import Terminal

needs_torch = pytest.mark.skipif(lacks("torch") is not None, reason=str(lacks("torch")))
ONES, PAIR = make_tensor([1, 1], (2,)), make_tensor([1, 2], (2,))
OLD = {
    "epoch": 3,
    "state_dict": {"w": make_tensor([1, 2, 3, 4], (2, 2)), "b": PAIR, "gone": ONES, "s": PAIR},
}
NEW = {
    "epoch": 4,
    "state_dict": {"w": make_tensor([1, 2.5, 3, 3], (2, 2)), "b": PAIR, "came": ONES, "s": make_tensor([1, 2], (1, 2))},
}


def array(kind: str) -> bytes:
    """A number as numpy saves it."""
    head = f"{{'descr': {kind}, 'fortran_order': False, 'shape': (1,), }}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head + b"\0\0\x80\x3f"


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    return put(tmp_path / "epoch=3.ckpt", encode_torch(OLD)), put(tmp_path / "epoch=4.ckpt", encode_torch(NEW))


def put(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    os.utime(path, (1_700_000_000, 1_700_000_000))
    return path


def test_what_is_not_the_same_is_told_line_by_line(pair: tuple[Path, Path]) -> None:
    answer = call("diff", *pair)
    assert answer.code == 0
    assert [(row["what"], row["name"], row["text"]) for row in answer.rows] == [
        ("added", "state_dict.came", "2 float32"),
        ("removed", "state_dict.gone", "2 float32"),
        ("reshaped", "state_dict.s", "2 → 1×2"),
        ("changed", "state_dict.w", "max 1, mean 0.375"),
        ("metadata", "epoch", "3 → 4"),
    ]
    assert answer.rows[3]["max"] == "1.0"
    assert answer.err == "1 added, 1 removed, 1 reshaped, 1 changed · 1 tensor the same\n"


def test_a_checkpoint_and_itself_are_the_same(pair: tuple[Path, Path]) -> None:
    answer = call("diff", pair[0], pair[0])
    assert (answer.code, answer.rows) == (0, [])
    assert answer.err == "no tensor differs · 4 tensors the same\n"


def test_the_json_is_as_the_contract_has_it(pair: tuple[Path, Path]) -> None:
    answer = call("diff", *pair, "--json")
    assert misfits(answer.json, SCHEMA) == []
    assert answer.json["changed"][0]["mean"] == 0.375
    assert answer.json["metadata"] == [{"key": "epoch", "old": 3, "new": 4}]


def test_a_copy_as_safetensors_has_the_same_tensors_under_shorter_names(pair: tuple[Path, Path]) -> None:
    other = pair[0].parent / "model.safetensors"
    assert call("slim", pair[0], "--to", "safetensors", "-o", other).code == 0
    assert call("diff", pair[0], other).err.startswith("no tensor differs · 4 tensors the same")


def test_what_is_broken_is_not_compared(pair: tuple[Path, Path]) -> None:
    put(pair[1], pair[1].read_bytes()[:-50])
    answer = call("diff", *pair)
    assert answer.code == 5
    assert "cut short" in answer.err


@pytest.mark.parametrize("other", ["whole", "odd"], ids=["a whole one", "itself"])
@pytest.mark.parametrize("is_first", [True, False], ids=["first", "second"])
def test_of_what_was_not_read_to_its_end_nothing_is_said_to_be_missing(
    tmp_path: Path, other: str, is_first: bool
) -> None:
    """Here of an archive of arrays, of which one has no head that numpy writes."""
    files = {}
    for name, heads in (("whole", (b"w", b"b")), ("odd", (b"b",))):
        files[name] = tmp_path / f"model-{name}.npz"
        with zipfile.ZipFile(files[name], "w") as archive:
            archive.writestr("w.npy", array("'<f4'" if b"w" in heads else "[('a', '<f4')]"))
            archive.writestr("b.npy", array("'<f4'"))
        put(files[name], files[name].read_bytes())
    pair = (files["odd"], files[other]) if is_first else (files[other], files["odd"])
    answer = call("diff", *pair)
    if other == "odd":
        assert answer.code == 0
        assert answer.err.count("'w.npy' has no plain header of numpy: not compared\n") == 2
        return
    assert answer.code == 6
    assert f"error[cannot-compare]: {files['odd']}: cannot be compared: 'w.npy' has no plain header" in answer.err


@needs_torch
def test_strides_types_and_sizes_do_not_matter(tmp_path: Path) -> None:
    import torch

    one = torch.randn(700, 900)
    other = one.clone()
    other[3, 4] += 0.5
    torch.save(
        {"model": {"t": one, "h": one.bfloat16(), "i": torch.arange(5), "e": torch.empty(0, 3)}}, tmp_path / "a.pt"
    )
    new = {"t": other.t().contiguous().t(), "h": one, "i": torch.arange(5) + 1, "e": torch.empty(0, 3)}
    torch.save({"model": new}, tmp_path / "b.pt")
    found = call("diff", tmp_path / "a.pt", tmp_path / "b.pt", "--json").json
    changed = {it["name"]: it for it in [*found["changed"], *found["retyped"]]}
    assert changed["model.t"]["max"] == pytest.approx(0.5, abs=1e-6)
    assert changed["model.t"]["mean"] == pytest.approx(0.5 / one.numel(), rel=1e-4)
    assert changed["model.h"]["max"] == pytest.approx(float((one - one.bfloat16()).abs().max()))
    assert (changed["model.i"]["max"], changed["model.i"]["mean"]) == (1, 1)
    assert found["same"] == 1


@pytest.mark.tty
def test_a_screen_lines_them_up(pair: tuple[Path, Path]) -> None:
    command = [*PROGRAM, "diff", *map(str, pair)]
    code, text = Terminal(command, cwd=pair[0].parent, env=environment()).finish()
    assert code == 0
    assert "changed   state_dict.w      max 1, mean 0.375\n" in text


def test_without_numpy_it_says_how_to_get_it_before_anything_is_read(
    pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "numpy", None)
    answer = call("diff", pair[0], tmp_path / "nothing.ckpt")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("ckptctl: error[missing-library]: diff needs numpy")
    assert "pip install 'ckptctl[fast]'" in answer.err


def test_without_numpy_its_help_is_still_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numpy", None)
    assert call("diff", "--help").code == 0
