from __future__ import annotations

import json
import os
import sys
from array import array
from pathlib import Path
from typing import Any

import pytest

from ckptctl.formats.torch_writer import FloatTensor, encode_torch, make_tensor
from tests.cli.calls import call, listing
from tests.conftest import lacks

needs_torch = pytest.mark.skipif(lacks("torch") is not None, reason=str(lacks("torch")))
NAMES = ["epoch=0-val_loss=0.50.ckpt", "epoch=1-val_loss=0.40.ckpt", "epoch=2-val_loss=0.30.ckpt"]
ADAM = {"param_groups": [], "state": {0: make_tensor([1])}}


def put(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (1_700_000_000, 1_700_000_000))
    return path


def state(number: float, **more: object) -> bytes:
    weights = {"w": make_tensor([number, 2 * number], (2,)), **more}
    return encode_torch({"epoch": int(number), "state_dict": weights, "optimizer_states": [ADAM]})


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    return [put(tmp_path / "run" / name, state(number)) for name, number in zip(NAMES, (1.0, 2.0, 6.0), strict=True)]


def numbers(path: Path) -> list[float]:
    from ckptctl.formats import read_files
    from ckptctl.formats.contents import merge_contents
    from ckptctl.tensors.arrays import NumberSpan, read_numbers
    from ckptctl.tensors.streams import open_numbers
    from tests.formats.held import load

    files = load(path)
    contents = merge_contents(read_files(files))
    with open_numbers(files, contents) as found:
        tensor = next(it for it in contents.tensors if it.name.endswith("w"))
        return list(read_numbers(NumberSpan(b"".join(map(bytes, found.stream(tensor))), tensor.dtype)))


@pytest.mark.parametrize("ending", ["ckpt", "safetensors"])
def test_the_mean_of_several_is_written(paths: list[Path], tmp_path: Path, ending: str) -> None:
    out = tmp_path / f"mean.{ending}"
    answer = call("average", *paths, "-o", out)
    assert (answer.code, answer.out) == (0, f"{out}\n"), answer.err
    assert answer.err.startswith("the mean of 3 checkpoints, ")
    assert numbers(out) == [3, 6]
    assert call("verify", out, "--deep").code == 0


def test_weights_say_how_much_each_counts(paths: list[Path], tmp_path: Path) -> None:
    assert call("average", *paths, "--weights", "2,1,1", "-o", tmp_path / "mean.ckpt").code == 0
    assert numbers(tmp_path / "mean.ckpt") == [2.5, 5]


def test_the_best_of_a_folder_are_chosen_as_best_chooses_them(paths: list[Path], tmp_path: Path) -> None:
    words = ("--top-k", "2", "--monitor", "val_loss")
    assert call("average", paths[0].parent, *words, "-o", tmp_path / "mean.ckpt").code == 0
    assert numbers(tmp_path / "mean.ckpt") == [4, 8]


def test_the_optimizers_state_is_left_out_and_all_else_is_the_firsts(paths: list[Path], tmp_path: Path) -> None:
    from ckptctl.formats.torch_zip import read_values
    from tests.formats.samples import Bytes

    call("average", *paths, "-o", tmp_path / "mean.ckpt")
    found = read_values(Bytes((tmp_path / "mean.ckpt").read_bytes()))
    assert (set(found), found["epoch"]) == ({"epoch", "state_dict"}, 1)


@pytest.mark.parametrize(
    ("other", "why"),
    [
        pytest.param(state(2, x=make_tensor([1])), "has a tensor 'state_dict.x', which the first has not", id="more"),
        pytest.param(encode_torch({"state_dict": {}}), "has no tensor 'state_dict.w'", id="less"),
        pytest.param(
            encode_torch({"state_dict": {"w": make_tensor([1, 2, 3], (3,))}}),
            "is float32 of [3], in the first float32 of [2]",
            id="another shape",
        ),
    ],
)
def test_those_that_are_not_alike_are_refused_in_one_line(
    paths: list[Path], tmp_path: Path, other: bytes, why: str
) -> None:
    put(paths[1], other)
    before = listing(tmp_path)
    answer = call("average", *paths, "-o", tmp_path / "mean.ckpt")
    assert answer.code == 6
    assert why in answer.err
    assert answer.err.startswith(f"ckptctl: error[not-alike]: {paths[1]}: ")
    assert listing(tmp_path) == before


@pytest.mark.parametrize(
    "words",
    [
        pytest.param((0,), id="one alone"),
        pytest.param((0, 1, "--weights", "1"), id="too few weights"),
        pytest.param((0, 1, "--weights", "1,x"), id="no numbers"),
        pytest.param((0, 1, "--weights", "1,-1"), id="nothing together"),
        pytest.param((0, 1, "--top-k", "2"), id="files and a choice"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(paths: list[Path], tmp_path: Path, words: tuple[Any, ...]) -> None:
    told = [str(paths[it]) if isinstance(it, int) else it for it in words]
    assert call("average", *told, "-o", tmp_path / "mean.ckpt").code == 2


def test_nothing_is_overwritten_and_a_bad_byte_leaves_nothing(paths: list[Path], tmp_path: Path) -> None:
    assert call("average", *paths, "-o", paths[0]).code == 6
    content = bytearray(paths[1].read_bytes())
    content[content.index(make_tensor([2, 4], (2,)).data)] ^= 1
    put(paths[1], bytes(content))
    before = listing(tmp_path)
    for name in ("mean.ckpt", "mean.safetensors"):
        answer = call("average", *paths, "-o", tmp_path / name)
        assert answer.code == 5
        assert f"{paths[1]}: " in answer.err
        assert "checksum" in answer.err
    assert listing(tmp_path) == before


def test_a_byte_that_went_bad_is_found_also_where_no_tensor_of_its_storage_lies(tmp_path: Path) -> None:
    part = make_tensor([1, 2, 3, 4], (4,))._replace(shape=(2,))
    paths = [put(tmp_path / name, encode_torch({"state_dict": {"w": part}})) for name in NAMES]
    assert call("average", *paths, "-o", tmp_path / "mean.safetensors").code == 0
    content = paths[2].read_bytes()
    put(paths[2], content.replace(part.data, part.data[:-1] + b"?"))
    answer = call("average", *paths, "-o", tmp_path / "other.safetensors")
    assert (answer.code, answer.err.count(str(paths[2])), answer.err.count("checksum")) == (5, 1, 1), answer.err


@pytest.mark.parametrize("ending", ["ckpt", "safetensors"])
def test_a_large_mean_is_worked_out_by_two_threads_to_the_same_end(tmp_path: Path, ending: str) -> None:
    from tests.formats.held import read

    count = 800_003
    base = array("f", (number % 1021 for number in range(count)))
    paths = []
    for name, more in zip(NAMES, (1.0, 2.0, 6.0), strict=True):
        data = array("f", map(more.__add__, base))
        tensors = {str(place): FloatTensor((count,), (data[place:] + data[:place]).tobytes()) for place in range(3)}
        paths.append(put(tmp_path / name, encode_torch({"state_dict": tensors})))
    out = tmp_path / f"mean.{ending}"
    assert call("average", *paths, "-o", out).code == 0
    assert call("verify", out, "--deep").code == 0
    content = out.read_bytes()
    contents = read(content, out.name)
    assert len(contents.tensors) == 3
    for tensor in contents.tensors:
        place = int(tensor.name[-1])
        expected = array("f", map((3.0).__add__, base[place:] + base[:place])).tobytes()
        storage = contents.storages[tensor.pieces[0].storage]
        assert storage.offset is not None
        start = storage.offset + tensor.pieces[0].start
        assert content[start : start + len(expected)] == expected


@needs_torch
@pytest.mark.parametrize("ending", ["pt", "safetensors"])
def test_the_mean_is_that_of_torch(tmp_path: Path, ending: str) -> None:
    import torch

    def make(seed: int) -> dict[str, Any]:
        torch.manual_seed(seed)
        tied = torch.randn(300, 7)
        return {
            "tied": tied, "again": tied, "view": tied[10:20], "turned": torch.randn(40, 50).t(),
            "half": torch.randn(99).half(), "brain": torch.randn(99).bfloat16(), "double": torch.randn(99).double(),
            "steps": torch.tensor(seed), "mask": torch.tensor([True, False]), "empty": torch.empty(0, 3),
        }  # fmt: skip

    states = [make(seed) for seed in range(3)]
    files = []
    for place, state in enumerate(states):
        torch.save({"model": state, "optimizer": {"param_groups": []}}, tmp_path / f"{place}.pt")
        files.append(tmp_path / f"{place}.pt")
    out = tmp_path / f"mean.{ending}"
    answer = call("average", *files, "-o", out)
    assert answer.code == 0, answer.err
    if ending == "safetensors":
        assert call("diff", out, files[0], "--json").json["changed"]
        return
    found = torch.load(out, weights_only=True)["model"]
    for name, first in states[0].items():
        wide = torch.float64 if first.dtype == torch.float64 else torch.float32
        mean = (sum(it[name].to(wide) for it in states) / 3).to(first.dtype) if first.is_floating_point() else first
        assert torch.equal(found[name], mean), name
        assert found[name].stride() == first.stride()
    assert found["tied"].data_ptr() == found["again"].data_ptr()


def make_folder(path: Path, number: float, names: tuple[str, ...]) -> Path:
    """A checkpoint as Hugging Face's Trainer leaves it."""
    for name in names:
        put(path / name, noted(number, {"format": "pt"}))
    put(path / "optimizer.pt", encode_torch({**ADAM}))
    put(path / "trainer_state.json", b'{"global_step": %d, "best_metric": null}' % number)
    put(path / "training_args.bin", encode_torch({"seed": 1}))
    os.utime(path, (1_700_000_000, 1_700_000_000))
    return path


def test_of_a_folder_the_one_file_with_weights_is_averaged(tmp_path: Path) -> None:
    paths = [make_folder(tmp_path / f"checkpoint-{it}", it, ("model.safetensors",)) for it in (1, 2)]
    out = tmp_path / "mean.safetensors"
    answer = call("average", *paths, "-o", out)
    assert answer.code == 0, answer.err
    assert numbers(out) == [1.5, 3]


@pytest.mark.parametrize(
    ("names", "why"),
    [
        pytest.param(("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"), "in 2 files", id="two"),
        pytest.param((), "which of its files holds the weights", id="none"),
    ],
)
def test_a_folder_without_one_file_of_weights_is_refused(tmp_path: Path, names: tuple[str, ...], why: str) -> None:
    paths = [make_folder(tmp_path / f"checkpoint-{it}", it, names) for it in (1, 2)]
    before = listing(tmp_path)
    answer = call("average", *paths, "-o", tmp_path / "mean.safetensors")
    assert (answer.code, why in answer.err) == (6, True), answer.err
    assert listing(tmp_path) == before


@pytest.mark.parametrize(
    ("saved", "names"),
    [
        pytest.param({"state_dict": {"model.w": make_tensor([1])}}, ["model.w"], id="a state dict under a key"),
        pytest.param({"m.w": make_tensor([1], (1,)), "m.s": make_tensor([1])}, ["m.s", "m.w"], id="bare"),
        pytest.param({"a": {"w": make_tensor([1])}, "b": {"w": make_tensor([2])}}, ["a.w", "b.w"], id="two"),
        pytest.param({"net": {"w": make_tensor([1])}, "ema": {"w": make_tensor([2])}}, ["ema.w", "net.w"], id="EMA"),
    ],
)
def test_in_safetensors_the_names_are_those_of_the_state_dict(
    tmp_path: Path, saved: dict[str, object], names: list[str]
) -> None:
    paths = [put(tmp_path / f"{it}.ckpt", encode_torch(saved)) for it in (1, 2)]
    assert call("average", *paths, "-o", tmp_path / "mean.safetensors").code == 0
    told = call("show", tmp_path / "mean.safetensors", "--json").json["contents"]["tensors"]
    assert sorted(it["name"] for it in told) == names


@pytest.mark.parametrize("ending", ["pt", "safetensors"])
def test_a_number_among_bare_weights_is_one_of_them(tmp_path: Path, ending: str) -> None:
    for number in (1, 2):
        bare = {"random_proj.w": make_tensor([number, number], (2,)), "logit_scale": make_tensor([2.5 * number])}
        put(tmp_path / f"{number}.pt", encode_torch(bare))
    out = tmp_path / f"mean.{ending}"
    assert call("average", tmp_path / "1.pt", tmp_path / "2.pt", "-o", out).code == 0
    found = call("diff", tmp_path / "1.pt", out, "--json").json
    assert {it["name"]: it["max"] for it in found["changed"]} == {"logit_scale": 1.25, "random_proj.w": 0.5}
    assert (found["added"], found["removed"]) == ([], [])


def test_whatever_a_module_is_called_its_weights_are_averaged(tmp_path: Path) -> None:
    names = ("sampler.w", "history_encoder.w", "image_random_mask.w", "rng.w")
    for number in (1, 2):
        state = {name: make_tensor([number, number], (2,)) for name in names}
        put(tmp_path / f"{number}.pt", encode_torch({"generator": state}))
        assert call("slim", tmp_path / f"{number}.pt", "--to", "safetensors", "-o", f"{tmp_path}/").code == 0
    for ending in ("pt", "safetensors"):
        ours = [tmp_path / f"{number}.{ending}" for number in (1, 2)]
        assert call("average", *ours, "-o", tmp_path / f"mean.{ending}").code == 0
        found = call("diff", ours[0], tmp_path / f"mean.{ending}", "--json").json
        assert (len(found["changed"]), found["added"], found["removed"]) == (len(names), [], [])


def test_what_safetensors_note_beside_the_tensors_is_the_firsts(tmp_path: Path) -> None:
    notes = {"format": "mlx", "ss_network_dim": "8", "ss_tag_frequency": "cat " * 2000}
    paths = [put(tmp_path / f"{it}.safetensors", noted(float(it), notes | {"seed": str(it)})) for it in (1, 2)]
    assert call("average", *paths, "-o", tmp_path / "mean.safetensors").code == 0
    assert numbers(tmp_path / "mean.safetensors") == [1.5, 3]
    content = (tmp_path / "mean.safetensors").read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    assert header["__metadata__"] == notes | {"seed": "1"}


def noted(number: float, notes: dict[str, str]) -> bytes:
    """A file of safetensors."""
    header = {"__metadata__": notes, "w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + array("f", (number, 2 * number)).tobytes()


@needs_torch
def test_a_safetensors_file_can_be_averaged_with_a_torch_file(paths: list[Path], tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    assert call("slim", paths[2], "--to", "safetensors", "-o", other).code == 0
    for name in ("mean.ckpt", "mean.safetensors"):
        assert call("average", paths[1], other, "-o", tmp_path / name).code == 0
        assert numbers(tmp_path / name) == [4, 8]


def test_without_numpy_it_says_how_to_get_it_before_anything_is_read(
    paths: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "numpy", None)
    answer = call("average", tmp_path / "nothing.ckpt", paths[0], "-o", tmp_path / "mean.ckpt")
    assert (answer.code, answer.out, (tmp_path / "mean.ckpt").exists()) == (2, "", False)
    assert answer.err.startswith("ckptctl: error[missing-library]: average needs numpy")
    assert "pip install 'ckptctl[fast]'" in answer.err
