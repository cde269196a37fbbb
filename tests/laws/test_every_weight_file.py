"""Every file with weights in it under a path is in ``ls --all --json``, exactly once."""

from __future__ import annotations

import os
import pickle
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from time import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckptctl.core.names.endings import NOT_WEIGHTS
from ckptctl.formats.sniff import IS_CHECKPOINT, sniff
from ckptctl.formats.torch_writer import encode_torch, make_tensor
from tests.cli.calls import HOUR, call
from tests.recognition.contents import content_of
from tests.recognition.test_names import CASES

FIXTURES = Path(__file__).parents[1] / "fixtures"


class _Whole:
    """A file in memory, as sniffing reads it."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.size = len(data)

    def read(self, start: int, length: int) -> bytes:
        return self.data[start : start + length]


def holds_weights(file: Path) -> bool:
    """Whether a file's content is a model's or a training's state: no optimizer alone, and no pickle called a text."""
    kind = sniff(_Whole(file.read_bytes()), file.name).kind
    is_text = kind in ("pickle", "npz") and file.suffix[1:] in NOT_WEIGHTS - {"tmp", "part"}
    return kind in IS_CHECKPOINT - {"optimizer"} and not is_text


def files_in(folder: Path) -> list[str]:
    """All files below a folder, links left out."""
    found = (Path(top) / name for top, _, names in os.walk(folder) for name in names)
    return sorted(it.relative_to(folder).as_posix() for it in found if it.is_file() and not it.is_symlink())


def count_listed(folder: Path, files: Iterable[str]) -> Counter[str]:
    """How often each file is in the listing: as a checkpoint, in one, or as another name of one."""
    answer = call("ls", folder, "--all", "--json")
    runs = answer.json["runs"] if answer.code in (0, 3) else []
    rows = [it for run in runs for it in run["checkpoints"]]
    told = Counter(name for row in rows for name in _files_of(row, files))
    names = {it["path"] for run in runs for it in run["pointers"] if it["kind"] in ("hardlink", "copy")}
    return told + Counter(names - told.keys())


def _files_of(row: Mapping[str, Any], files: Iterable[str]) -> list[str]:
    if row["kind"] == "dir":
        return [it for it in files if it.startswith(f"{row['path']}/")]
    return row["members"] if row["kind"] == "family" else [row["path"]]


def assert_listed_once(folder: Path, weights: Iterable[str]) -> None:
    told = count_listed(folder, files_in(folder))
    assert {it: told[it] for it in weights} == dict.fromkeys(weights, 1)


TREES = [*sorted((FIXTURES / "layouts").iterdir()), *sorted((FIXTURES / "lightning").iterdir())]


@pytest.mark.parametrize("tree", TREES, ids=lambda it: it.name)
def test_of_what_frameworks_wrote(tmp_path: Path, tree: Path) -> None:
    folder = tmp_path / "tree"
    shutil.copytree(tree, folder, symlinks=True)
    weights = [it for it in files_in(folder) if holds_weights(folder / it)]
    assert weights or tree.name == "orbax"  # which writes arrays in folders, that only together are weights
    assert_listed_once(folder, weights)


RECORDED = sorted((FIXTURES / "recorded").glob("*.txt"))
_HELD = (".pt", ".pth", ".th", ".ckpt", ".distcp", ".safetensors", ".bin", ".pdparams", ".nemo")


@pytest.mark.parametrize("record", RECORDED, ids=lambda it: it.stem)
def test_of_folders_of_frameworks_with_weights_in_every_file(tmp_path: Path, record: Path) -> None:
    lines = [it.split("\t") for it in record.read_text().splitlines() if "\t" in it and not it.startswith("#")]
    paths = [it[1] for it in lines if not it[1].endswith("/")]
    for seed, path in enumerate(paths):
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(encode_torch({"fc.weight": make_tensor([seed, 2], (2,))}) if path.endswith(_HELD) else b"{}")
    assert_listed_once(tmp_path, [it for it in paths if it.endswith(_HELD)])


def test_of_the_demo(tmp_path: Path) -> None:
    call("demo", tmp_path / "runs")
    weights = [it for it in files_in(tmp_path / "runs") if holds_weights(tmp_path / "runs" / it)]
    assert len(weights) > 20
    assert_listed_once(tmp_path / "runs", weights)


@pytest.mark.parametrize("case_id", CASES)
def test_of_folders_from_life(tmp_path: Path, case_id: str) -> None:
    case = CASES[case_id]
    for seed, it in enumerate(case["files"], 1):
        file = tmp_path / it["path"]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content_of(it["path"], it["content"], 10 * seed, it.get("epoch")))
    assert_listed_once(tmp_path, [it for it in files_in(tmp_path) if holds_weights(tmp_path / it)])


TENSORS = {"fc.weight": make_tensor([1, 2], (2,)), "fc.bias": make_tensor([3], (1,))}
ADAM = {"state": {0: {"exp_avg": make_tensor([1, 2], (2,))}}, "param_groups": [{"lr": 0.1, "params": [0]}]}
WEIGHTS = {
    "state": encode_torch({"epoch": 3, "model": TENSORS, "optimizer": ADAM}),
    "weights": encode_torch(TENSORS),
    "lightning": encode_torch({"pytorch-lightning_version": "2.0.0", "epoch": 1, "state_dict": TENSORS}),
    "safetensors": content_of("a.safetensors", "safetensors", 1, None),
    "keras": content_of("a.h5", "keras", 1, None),
    "npz": content_of("a.npz", "npz", 1, None),
    "pickle": pickle.dumps({"w": [1.0, 2.0]}, 4),
    "sb3": content_of("a.zip", "sb3", 1, None),
}
OTHERS = {
    "tensor": encode_torch(make_tensor([1, 2], (2,))),
    "optimizer": encode_torch(ADAM),
    "words": b"no weights at all\n",
    "data": content_of("a.h5", "hdf5", 1, None),
}
STEMS = """model_epoch_{n} epoch_{n} epoch={n}-step={n}0 step_{n}000 fold_{n} fold0_epoch{n} G_{n} D_{n} netG_{n}
    optimizer_{n} model_{n} checkpoint-{n} checkpoint_{n} best last final best_epoch_{n} vgg16 features_{n} .hidden_{n}
    weights.{n:02d}-0.{n}1 last-v{n} model-0000{n}-of-00003 recovery-{n}-0 pytorch_model training_args rng_state
    network-snapshot-00000{n} ckpt_{n}.done net_G_{n} optimizer scaler tokenizer_{n} best_{n}""".split()
ENDINGS = (
    """.pt .pth .ckpt .bin .safetensors .h5 .keras .npz .pkl .pth.tar .custom .tmp .zip .pt.tmp .txt .part""".split()
)
FOLDERS = """. run run/deep epoch_3 epoch_3/trainer step_100 checkpoint-500 checkpoint-500/nested a/val=0.1 checkpoints
    global_step7 mp_rank_00 epoch=3-step=7.ckpt epoch=3-step=7.ckpt/checkpoint lr=0.1-vit .cache 500 iter_0000005
    tmp-checkpoint-9 best model.orbax-checkpoint-tmp-1""".split()
names = st.builds(
    lambda folder, stem, n, ending: f"{folder}/{stem.format(n=n)}{ending}",
    st.sampled_from(FOLDERS),
    st.sampled_from(STEMS),
    st.integers(1, 4),
    st.sampled_from([*ENDINGS, ""]),
)
trees = st.dictionaries(names, st.sampled_from([*WEIGHTS, *WEIGHTS, *OTHERS]), max_size=16)


@given(trees, st.lists(st.tuples(names, st.integers(0, 9), st.sampled_from(["link", "hard"])), max_size=3))
def test_of_any_tree(files: Mapping[str, str], second: list[tuple[str, int, str]]) -> None:
    with tempfile.TemporaryDirectory() as place:
        root = Path(place) / "tree"
        weights = plant(root, files, second)
        assert_listed_once(root, weights)


def plant(root: Path, files: Mapping[str, str], second: Iterable[tuple[str, int, str]]) -> list[str]:
    """Write the tree; the paths of its files that hold weights, other names of them among these."""
    root.mkdir()
    weights = []
    for number, (path, kind) in enumerate(files.items()):
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes({**WEIGHTS, **OTHERS}[kind])
        os.utime(file, (time() - (number + 1) * HOUR,) * 2)
        is_text = file.suffix == ".txt" and kind in ("pickle", "npz")
        weights += [file.relative_to(root).as_posix()] if kind in WEIGHTS and not is_text else []
    for path, number, how in second if files else ():
        file, of = root / path, root / list(files)[number % len(files)]
        if file.exists() or file.is_symlink():
            continue
        file.parent.mkdir(parents=True, exist_ok=True)
        if how == "link":
            file.symlink_to(os.path.relpath(of, file.parent))
        elif (holds := of.relative_to(root).as_posix() in weights) or file.suffix != ".txt":
            os.link(of, file)
            weights += [file.relative_to(root).as_posix()] if holds and file.suffix != ".txt" else []
    return weights
