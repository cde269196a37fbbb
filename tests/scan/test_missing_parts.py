"""What a checkpoint lacks, told in the listing by the name of the part, on saves as the frameworks name them."""

from __future__ import annotations

import errno
import os
import pickle
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

import ckptctl.layouts
from ckptctl.core.model import Entry
from ckptctl.core.units import QUIET
from ckptctl.layouts.index import find_layout
from ckptctl.layouts.schema import Layout
from ckptctl.render.note_texts import describe_pattern
from ckptctl.scan.completeness import check_completeness
from ckptctl.stores import open_store
from tests.cli.calls import HOUR, call
from tests.layouts.tree import safetensors, torch_file
from tests.wording import worded

WHOLE = torch_file()


def judged(root: Path, files: Mapping[str, bytes], folders: Iterable[str] = ()) -> dict[str, str]:
    """Of each checkpoint its state, and why, an hour after these files were written."""
    for path, data in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    for path in folders:
        (root / path).mkdir(parents=True)
    for path in map(str, root.rglob("*")):
        os.utime(path, (root.stat().st_ctime - HOUR,) * 2)
    found = {}
    for row in call("ls", root).rows:
        _, colon, why = row["marks"].partition(f"{row['state']}: ")
        found[os.path.relpath(row["path"], root)] = f"{row['state']}{colon and ': '}{why}"
    return found


class Case(NamedTuple):
    """The files of one save, and what is said of it."""

    name: str
    path: str
    files: tuple[str, ...]
    said: str = "complete"


HF, RANDOM = "checkpoint-500/", "checkpoint_1/random_states_"
ZERO = "global_step10/zero_pp_rank_{}_mp_rank_{:02d}_optim_states.pt"
MODELS = tuple(f"global_step10/mp_rank_{it:02d}_model_states.pt" for it in (0, 1))
CASES = (
    Case("a required file, by all its names", "step-000100", ("step-000100/lit_model.pth",), "model_config.yaml or "
         "hyperparameters.yaml or lit_config.json is missing"),
    Case("any of its names is enough", "step-000100", ("step-000100/lit_model.pth", "step-000100/lit_config.json")),
    Case("the first of two that are required", "global_step_20",
         ("global_step_20/huggingface/x", "global_step_20/fsdp_config.json"),
         "actor or model_world_size_*_rank_*.pt or dist_ckpt is missing"),
    Case("what is required lies further down", "checkpoint_1",
         (f"{RANDOM}1.pkl", "checkpoint_1/old/random_states_0.pkl"), "random_states_0.pkl is missing"),
    Case("what a pattern would find further down", "global_step_20",
         ("global_step_20/actor/x", "global_step_20/data/x.pt"), "data*.pt is missing"),
    Case("a rank between", "checkpoint_1", (f"{RANDOM}0.pkl", f"{RANDOM}2.pkl"),
         "rank 1 of random_states_N.pkl is missing"),
    Case("all ranks", "checkpoint_1", tuple(f"{RANDOM}{it}.pkl" for it in range(11))),
    Case("a rank of the second kind", "checkpoint_1", (f"{RANDOM}0.pkl", "checkpoint_1/optimizer_0_rank1.bin"),
         "rank 0 of optimizer_0_rankN.bin is missing"),
    Case("a cell of the rectangle of ranks", "global_step10",
         (*MODELS, *(ZERO.format(*it) for it in ((0, 0), (0, 1), (1, 0)))),
         "rank 1, 1 of zero_pp_rank_N_mp_rank_N_optim_states.pt is missing"),
    Case("no cell of it", "global_step10", (*MODELS, *(ZERO.format(d, m) for d in (0, 1) for m in (0, 1)))),
    Case("a rank of a folder further down", "global_step_20",
         ("global_step_20/data.pt", *(f"global_step_20/actor/model_world_size_3_rank_{it}.pt" for it in (0, 2))),
         "rank 1 of actor/model_world_size_N_rank_N.pt is missing"),
    Case("a shard between", HF[:-1], (f"{HF}trainer_state.json", *(
         f"{HF}model-{it:05d}-of-00003.safetensors" for it in (1, 3))), "model-00002-of-00003.safetensors is missing"),
    Case("the last shard", HF[:-1], (f"{HF}trainer_state.json", *(
         f"{HF}model-{it:05d}-of-00003.safetensors" for it in (1, 2))), "model-00003-of-00003.safetensors is missing"),
    Case("the first shard", HF[:-1], (f"{HF}trainer_state.json", f"{HF}model-00002-of-00002.safetensors"),
         "model-00001-of-00002.safetensors is missing"),
    Case("all shards", HF[:-1], (f"{HF}trainer_state.json", *(
         f"{HF}model-{it:05d}-of-00002.safetensors" for it in (1, 2)))),
    Case("all shards, counted from 0", HF[:-1], (f"{HF}trainer_state.json", *(
         f"{HF}model-{it:05d}-of-00002.safetensors" for it in (0, 1)))),
    Case("the last shard of those that count from 0", HF[:-1], (f"{HF}trainer_state.json",
         f"{HF}model-00000-of-00002.safetensors"), "model-00001-of-00002.safetensors is missing"),
    Case("a shard of one kind of two", HF[:-1], (f"{HF}trainer_state.json", *(
         f"{HF}model-{it:05d}-of-00002.safetensors" for it in (1, 2)), f"{HF}model-00001-of-00002.bin"),
         "model-00002-of-00002.bin is missing"),
    Case("two saves of as many shards, in one folder", HF[:-1], (f"{HF}trainer_state.json", *(
         f"{HF}model-{it:05d}-of-00001.safetensors" for it in (1,)), *(
         f"{HF}model-{it:05d}-of-00002.safetensors" for it in (1, 2)))),
    Case("a shard further down", HF[:-1], (f"{HF}trainer_state.json", f"{HF}unet/x-00001-of-00002.bin"),
         "unet/x-00002-of-00002.bin is missing"),
    Case("a shard of a family", "model.ckpt-7", ("model.ckpt-7.index", "model.ckpt-7.data-00000-of-00002"),
         "shard 1 is missing"),
    Case("the first shard of a family", "model.ckpt-7", ("model.ckpt-7.index", "model.ckpt-7.data-00001-of-00002"),
         "shard 0 is missing"),
    Case("no shard of a family", "model.ckpt-7",
         ("model.ckpt-7.index", *(f"model.ckpt-7.data-0000{it}-of-00002" for it in (0, 1)))),
    Case("the index of a family", "model.ckpt-7", ("model.ckpt-7.data-00000-of-00001",), "*.index is missing"),
    Case("a shard of a family that does not say how many there are", "checkpoint3",
         ("checkpoint_best.pt", "checkpoint3-shard0.pt", "checkpoint3-shard2.pt"), "shard 1 is missing"),
    Case("no such shard", "checkpoint3", ("checkpoint_best.pt", "checkpoint3-shard0.pt", "checkpoint3-shard1.pt")),
    Case("a rank of a family", "e3_b0", ("model_state_e3_b0_w0.th", "training_state_e3_b0_w0.th",
         "training_state_e3_b0_w2.th"), "rank 1 is missing"),
)  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=[it.name for it in CASES])
def test_what_is_missing_is_named(tmp_path: Path, case: Case) -> None:
    said = case.said if case.said == "complete" else f"partial: {case.said}"
    files = {path: b"{}" if path.endswith(".json") else WHOLE for path in case.files}
    assert judged(tmp_path, files)[case.path] == said


def test_a_required_file_without_a_byte_is_named(tmp_path: Path) -> None:
    files = {f"{RANDOM}0.pkl": b"", f"{RANDOM}1.pkl": b"", "checkpoint_1/model.safetensors": safetensors()}
    assert judged(tmp_path, files) == {"checkpoint_1": "partial: random_states_0.pkl is empty"}


def test_other_files_may_be_empty(tmp_path: Path) -> None:
    files = {f"{RANDOM}0.pkl": b"x", f"{RANDOM}1.pkl": b"", "checkpoint_1/old/random_states_0.pkl": b""}
    assert judged(tmp_path, files) == {"checkpoint_1": "complete"}


def test_a_familys_required_file_without_a_byte_is_named(tmp_path: Path) -> None:
    files = {"model.ckpt-7.index": b"", "model.ckpt-7.data-00000-of-00001": b"x"}
    assert judged(tmp_path, files) == {"model.ckpt-7": "partial: model.ckpt-7.index is empty"}


MAP = b'{"weight_map": {"/a": ["sh_00000.weights.h5", "%s"], "b": "x/sh_00007.weights.h5", "c": "notes.txt"}}'


def test_a_shard_that_the_familys_map_names_is_missing(tmp_path: Path) -> None:
    files = {"sh.weights.json": MAP % b"sh_00001.weights.h5", "sh_00000.weights.h5": b"x"}
    assert judged(tmp_path, files) == {"sh": "partial: sh_00001.weights.h5 is missing"}


def test_a_shard_that_is_cut_off_is_told_where_none_is_missing(tmp_path: Path) -> None:
    files = {"sh.weights.json": MAP % b"sh_00000.weights.h5", "sh_00000.weights.h5": b"\x89HDF\r\n\x1a\n"}
    assert judged(tmp_path, files) == {"sh": "partial: cut short inside its superblock"}


def manifest(*names: str) -> bytes:
    return pickle.dumps({"storage_data": [*names]}, protocol=4)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({".metadata": manifest("__0_0.distcp"), "__0_0.distcp": b"x"}, "complete"),
        (
            {".metadata": manifest("__0_0.distcp", "__2_0.distcp", "__1_0.distcp"), "__0_0.distcp": b"x"},
            "partial: __1_0.distcp is missing",
        ),
        ({".metadata": manifest("__0_0.distcp")[:-3], "__0_0.distcp": b"x"}, "partial: .metadata: "),
    ],
    ids=["nothing", "two files", "the end of the manifest"],
)
def test_what_the_manifest_of_a_folder_names_must_be_there(
    tmp_path: Path, files: Mapping[str, bytes], said: str
) -> None:
    told = judged(tmp_path, {f"step-10/{name}": data for name, data in files.items()})["step-10"]
    assert told == said or (said.endswith(": ") and told.startswith(said))


PARTS = Layout(
    name="forge",
    unit="family",
    extensions=(".iron",),
    names=(r"(?P<stem>blade_(?P<step>\d+))-(?P<shard>\d+)-of-(?P<of>\d+)\.iron",),
    written_last=True,
)


@pytest.mark.parametrize(
    ("shards", "said"),
    [
        ((1, 2), "complete"),
        ((0, 1), "complete"),
        ((1, 3), "partial: shard 2 is missing"),
        ((2, 3), "partial: shard 1 is missing"),
        ((1,), "partial: shard 0 is missing"),
        ((0,), "partial: shard 1 is missing"),
    ],
)
def test_a_familys_shards_count_from_0_or_from_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shards: tuple[int, ...], said: str
) -> None:
    monkeypatch.setattr(ckptctl.layouts, "LAYOUTS", (PARTS,))
    of = 2 if max(shards) < 3 else 3
    assert judged(tmp_path, {f"blade_7-{it}-of-{of}.iron": WHOLE for it in shards}) == {"blade_7": said}


def test_the_most_shards_that_any_member_names_are_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ckptctl.layouts, "LAYOUTS", (PARTS,))
    files = dict.fromkeys(("blade_7-0-of-2.iron", "blade_7-1-of-3.iron"), WHOLE)
    assert judged(tmp_path, files) == {"blade_7": "partial: shard 2 is missing"}


@pytest.mark.parametrize(
    ("pattern", "shown"),
    [
        (r"mp_rank_(\d{2})", "mp_rank_N"),
        (r"actor/model_world_size_\d+_rank_(\d+)\.pt", "actor/model_world_size_N_rank_N.pt"),
        (r"(?:bf16_)?zero_pp_rank_(\d+)", "zero_pp_rank_N"),
        (r".+_of_(?P<rank>\d*)\.pt", "…_of_N.pt"),
        (r"[^/]+-[a-z]{3}-(\d)", "…-…-N"),
    ],
)
def test_a_pattern_is_shown_as_a_person_would_write_it(pattern: str, shown: str) -> None:
    assert describe_pattern(pattern) == shown


def test_a_manifest_that_is_gone_when_it_is_looked_at_leaves_its_folder_in_doubt(tmp_path: Path) -> None:
    entries = [Entry("step-10", "dir", 0, 0), Entry("step-10/.metadata", "file", 1, 0)]
    found = check_completeness(open_store(str(tmp_path)), find_layout("torchtitan"), entries, QUIET)
    assert (found[0], worded(found[1])) == ("doubtful", f".metadata cannot be read: {os.strerror(errno.ENOENT)}")


def test_a_manifest_proves_a_save_done_only_where_it_is_written_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = find_layout("torchtitan")
    monkeypatch.setattr(ckptctl.layouts, "LAYOUTS", (row._replace(written_last=False),))
    (tmp_path / "step-10").mkdir()
    (tmp_path / "step-10/.metadata").write_bytes(manifest())
    (written,) = call("ls", tmp_path).rows
    assert written["state"] == "live"
    assert judged(tmp_path, {}) == {"step-10": "complete"}
    monkeypatch.setattr(ckptctl.layouts, "LAYOUTS", (row,))
    (tmp_path / "step-10/.metadata").write_bytes(manifest())
    assert [it["state"] for it in call("ls", tmp_path).rows] == ["complete"]
