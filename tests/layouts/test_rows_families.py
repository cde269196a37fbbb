"""The rows of TensorFlow, JAX, boosting, speech and others, by themselves: what they claim, and what they leave."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from importlib import import_module

import pytest

from ckptctl.layouts.schema import Layout
from tests.layouts.tree import Expected, Tree

MODULES = (
    "tensorflow keras orbax paddle stable_baselines3 composer fairseq boosting allennlp speechbrain catalyst espnet"
).split()
ROWS: tuple[Layout, ...] = tuple(row for it in MODULES for row in import_module(f"ckptctl.layouts.{it}").LAYOUTS)
TREES: tuple[Tree, ...] = tuple(tree for it in MODULES for tree in import_module(f"tests.layouts.trees.{it}").TREES)
BY_NAME = {row.name: row for row in ROWS}
TELLING = {"stem", "epoch", "step", "index", "metric", "value", "version", "free", "series", "rank", "shard", "of"}
ROLES = {"best", "last", "final", "exception", "resume", "derived", "export"}


def read(row: Layout, name: str) -> dict[str, str] | None:
    """The groups that a row's first matching pattern has; None where the name is none of its."""
    if row.extensions and not name.endswith(row.extensions):
        return None
    if not row.names:
        return {}
    found = next((it for pattern in row.names if (it := re.fullmatch(pattern, name, re.ASCII))), None)
    return None if found is None else {key: text for key, text in found.groupdict().items() if text is not None}


CLAIMS: Mapping[str, Mapping[str, Mapping[str, str]]] = {
    "savedmodel": {
        "saved_model": {"export": "saved_model"},
        "1583934987": {"export": "1583934987"},
        "model_05": {"export": "model_05"},
    },
    "tensorflow": {
        "ckpt-7.index": {"stem": "ckpt-7", "index": "7"},
        "ckpt-7.data-00000-of-00001": {"stem": "ckpt-7", "index": "7", "lead": "data", "shard": "00000", "of": "00001"},
        "model.ckpt-25000.meta": {"stem": "model.ckpt-25000", "step": "25000"},
        "model.ckpt-25000.data-00001-of-00002": {
            "stem": "model.ckpt-25000",
            "step": "25000",
            "lead": "data",
            "shard": "00001",
            "of": "00002",
        },
        "cp-0001.ckpt.index": {"stem": "cp-0001.ckpt", "free": "cp-0001"},
        "weights.05-0.32.data-00000-of-00001": {
            "stem": "weights.05-0.32",
            "free": "weights.05-0.32",
            "lead": "data",
            "shard": "00000",
            "of": "00001",
        },
        "bert_model.ckpt.meta": {"stem": "bert_model.ckpt", "free": "bert_model"},
    },
    "keras-backup": {"backup": {"last": "backup"}, "training_backup": {"last": "training_backup"}},
    "keras-sharded": {
        "sh.weights.json": {"stem": "sh", "free": "sh", "lead": ".weights"},
        "sh_00000.weights.h5": {"stem": "sh", "free": "sh", "shard": "00000"},
        "model.07-0.42_00001.weights.h5": {"stem": "model.07-0.42", "free": "model.07-0.42", "shard": "00001"},
    },
    "keras": {
        "05-0.32.keras": {},
        "model.07-0.4215.weights.h5": {},
        "best.keras": {},
        "weights.05-0.32.hdf5": {},
    },
    "orbax-maxtext": {"0": {"step": "0"}, "1000": {"step": "1000"}},
    "orbax": {
        "20": {"step": "20"},
        "00000030": {"step": "00000030"},
        "checkpoint_100": {"step": "100"},
        "step_1000": {"step": "1000"},
    },
    "orbax-named": {"final_params": {"free": "final_params"}, "best": {"free": "best"}},
    "orbax-flax": {
        "checkpoint_100": {"stem": "checkpoint_100", "step": "100", "lead": ""},
        "checkpoint_0": {"stem": "checkpoint_0", "step": "0", "lead": ""},
    },
    "paddle-uniform": {"0": {"epoch": "0"}, "12": {"epoch": "12"}},
    "paddle-seg": {"iter_1000": {"step": "1000"}},
    "paddle-best": {"best_model": {"best": "best_model"}, "model_final": {"final": "model_final"}},
    "paddle": {
        "0.pdparams": {"stem": "0", "epoch": "0", "lead": "pdparams"},
        "12.pdopt": {"stem": "12", "epoch": "12"},
        "12.pdema": {"stem": "12", "epoch": "12"},
        "12.pdstates": {"stem": "12", "epoch": "12"},
    },
    "paddle-named": {
        "iter_epoch_100.pdparams": {"stem": "iter_epoch_100", "epoch": "100", "lead": "pdparams"},
        "iter_epoch_100.states": {"stem": "iter_epoch_100", "epoch": "100"},
        "epoch_5.pdopt": {"stem": "epoch_5", "epoch": "5"},
        "epoch_5.pdstates": {"stem": "epoch_5", "epoch": "5"},
    },
    "paddle-role": {
        "best_model.pdparams": {"stem": "best_model", "best": "best_model", "lead": "pdparams"},
        "best_model.pdopt": {"stem": "best_model", "best": "best_model"},
        "model_final.pdema": {"stem": "model_final", "final": "model_final"},
        "best_model.pdstates": {"stem": "best_model", "best": "best_model"},
        "latest.pdparams": {"stem": "latest", "last": "latest", "lead": "pdparams"},
        "best_accuracy.states": {"stem": "best_accuracy", "best": "best_accuracy"},
    },
    "stable_baselines3": {
        "rl_model_1000_steps.zip": {"series": "rl_model", "step": "1000", "lead": "zip"},
        "rl_model_replay_buffer_1000_steps.pkl": {"series": "rl_model", "step": "1000"},
        "rl_model_vecnormalize_1000_steps.pkl": {"series": "rl_model", "step": "1000"},
        "best_model.zip": {"best": "best_model", "lead": "zip"},
    },
    "composer-sharded": {"ep1-ba2": {"epoch": "1", "step": "2"}, "ep0-ba1000": {"epoch": "0", "step": "1000"}},
    "composer": {
        "ep1-ba2-rank0.pt": {"stem": "ep1-ba2", "epoch": "1", "step": "2", "rank": "0"},
        "ep0-ba1000-rank11.pt": {"stem": "ep0-ba1000", "epoch": "0", "step": "1000", "rank": "11"},
    },
    "composer-packed": {
        f"ep1-ba2-rank{rank}.{ending}": {"stem": "ep1-ba2", "epoch": "1", "step": "2", "rank": rank}
        for rank, endings in (("0", "pt.zst pt.bz2 pt.gz pt.lz4 pt.lzma pt.lzo pt.xz"), ("1", "tar tgz"))
        for ending in endings.split()
    },
    "fairseq": {
        "checkpoint5.pt": {"stem": "checkpoint5", "epoch": "5"},
        "checkpoint_1_1000.pt": {"stem": "checkpoint_1_1000", "epoch": "1", "step": "1000"},
        "checkpoint_best.pt": {"stem": "checkpoint_best", "best": "best"},
        "checkpoint_last-shard0.pt": {"stem": "checkpoint_last", "last": "last", "shard": "0"},
        "checkpoint.best_loss_2.3457.pt": {
            "stem": "checkpoint.best_loss_2.3457",
            "metric": "loss",
            "value": "2.3457",
        },
        "checkpoint5-model_part-1.pt": {"stem": "checkpoint5", "epoch": "5", "shard": "1"},
        "crash.pt": {"stem": "crash", "exception": "crash"},
    },
    "lightgbm": {"LightGBM_model.txt.snapshot_iter_100": {"step": "100"}, "model.snapshot_iter_5": {"step": "5"}},
    "xgboost": {"checkpoint_100.ubj": {"step": "100"}, "xgb-ckpt_5.ubj": {"step": "5"}},
    "allennlp": {
        "model_state_e1_b0.th": {"stem": "e1_b0", "epoch": "1", "index": "0", "lead": "model"},
        "training_state_e1_b0.th": {"stem": "e1_b0", "epoch": "1", "index": "0"},
        "model_state_e12_b0_w1.th": {"stem": "e12_b0", "epoch": "12", "index": "0", "rank": "1", "lead": "model"},
    },
    "allennlp-batches": {
        "model_state_e1_b500.th": {"stem": "e1_b500", "epoch": "1", "index": "500", "lead": "model"},
        "training_state_e0_b20.th": {"stem": "e0_b20", "epoch": "0", "index": "20"},
    },
    "allennlp-epochs": {
        "model_state_epoch_0.th": {"stem": "epoch_0", "epoch": "0", "lead": "model"},
        "training_state_epoch_12.th": {"stem": "epoch_12", "epoch": "12"},
    },
    "allennlp-best": {
        "best.th": {"stem": "best", "best": "best"},
        "best_w0.th": {"stem": "best", "best": "best", "rank": "0"},
    },
    "speechbrain": {
        "CKPT+2021-04-15+10-11-12+00": {"version": "00"},
        "CKPT+best": {"free": "best"},
        "CKPT+epoch_5": {"free": "epoch_5"},
    },
    "catalyst-model": {
        "model.0001.pth": {"epoch": "0001"},
        "model.best.pth": {"best": "best"},
        "model.last.pth": {"last": "last"},
    },
    "catalyst-runner": {
        "runner.0001.pth": {"epoch": "0001"},
        "runner.best.pth": {"best": "best"},
        "runner.last.pth": {"last": "last"},
    },
    "espnet": {
        "1epoch.pth": {"epoch": "1"},
        "checkpoint.pth": {"resume": "checkpoint"},
        "valid.acc.ave_10best.pth": {"derived": "valid.acc.ave_10best"},
        "valid.cer_ctc.ave_3best.till20epoch.pth": {"derived": "valid.cer_ctc.ave_3best.till20epoch"},
    },
}


@pytest.mark.parametrize("row", ROWS, ids=lambda it: it.name)
def test_an_example_says_what_is_claimed_of_it(row: Layout) -> None:
    assert {name: read(row, name) for name in row.examples} == CLAIMS[row.name]


@pytest.mark.parametrize(
    ("row", "name"),
    [
        pytest.param(*it, id=" ".join(it))
        for it in (
            ("tensorflow", "variables.index"),
            ("tensorflow", "variables.data-00000-of-00001"),
            ("tensorflow", "ckpt-7_temp"),
            ("tensorflow", "ckpt-7.index.bak"),
            ("tensorflow", "checkpoint"),
            ("orbax", "20.orbax-checkpoint-tmp"),
            ("orbax-named", "20.orbax-checkpoint-tmp-1700000000"),
            ("orbax-flax", "checkpoint_tmp"),
            ("orbax-flax", "checkpoint_100-bak"),
            ("paddle", "12epoch_t.pdparams"),
            ("paddle-seg", "iter_1000-bak"),
            ("stable_baselines3", "CartPole-v1.zip"),
            ("stable_baselines3", "rl_model_1000_steps.zip.bak"),
            ("composer", "latest-rank0.pt"),
            ("composer-sharded", "ep1-ba2-bak"),
            ("fairseq", "checkpoint5.pt.tmp"),
            ("fairseq", "checkpoint-5.pt"),
            ("fairseq", "checkpoint_5.pt"),
            ("xgboost", "model_100.ubj"),
            ("xgboost", "model_2024.ubj"),
            ("xgboost", "checkpoint_100.json"),
            ("xgboost", "checkpoint_100.pkl"),
            ("xgboost", "precheckpoint_100.ubj"),
            ("lightgbm", "model.snapshot_iter_5.bak"),
            ("allennlp", "model_state_e1_b500.th"),
            ("allennlp", "weights.th"),
            ("speechbrain", "CKPT"),
            ("catalyst-model", "model.1.pth"),
            ("espnet", "valid.acc.best.pth"),
            ("espnet", "latest.pth"),
        )
    ],
)
def test_a_name_that_is_none_of_a_row_is_left_alone(row: str, name: str) -> None:
    assert read(BY_NAME[row], name) is None


FILES = [row for row in ROWS if row.unit != "dir"]
SHARED = {("sh_00000.weights.h5", "keras"), ("model.07-0.42_00001.weights.h5", "keras")}
"""A shard is weights by its name; beside a map, the row that stands first takes it."""


@pytest.mark.parametrize("row", FILES, ids=lambda it: it.name)
def test_no_other_row_of_files_takes_an_example(row: Layout) -> None:
    others = [it for it in FILES if it is not row]
    assert {(name, it.name) for name in row.examples for it in others if read(it, name) is not None} <= SHARED


def test_shards_of_keras_are_tried_before_weights_of_any_name() -> None:
    assert ROWS.index(BY_NAME["keras-sharded"]) < ROWS.index(BY_NAME["keras"])
    assert BY_NAME["keras-sharded"].neighbors


@pytest.mark.parametrize("row", ROWS, ids=lambda it: it.name)
def test_patterns_have_only_groups_that_mean_something(row: Layout) -> None:
    groups = {key for pattern in row.names for key in re.compile(pattern).groupindex}
    assert groups <= TELLING | ROLES | {"lead", "folder"}


@pytest.mark.parametrize("row", ROWS, ids=lambda it: it.name)
def test_every_ending_that_a_pattern_allows_has_an_example(row: Layout) -> None:
    """Names are looked up by their endings, and the examples say which there are."""
    have = {name.rpartition(".")[2] for name in row.examples if "." in name}
    wanted = {
        "tensorflow": {"index", "meta"},
        "paddle": {"pdparams", "pdopt", "pdema", "pdstates"},
        "paddle-named": {"pdparams", "pdopt", "pdstates", "states"},
        "stable_baselines3": {"zip", "pkl"},
        "composer-packed": {"zst", "bz2", "gz", "lz4", "lzma", "lzo", "xz", "tar", "tgz"},
    }
    assert wanted.get(row.name, set()) <= have


FOLDERS = [row for row in ROWS if row.unit == "dir"]


@pytest.mark.parametrize("row", FOLDERS, ids=lambda it: it.name)
def test_no_folder_of_a_whole_run_is_taken_for_a_checkpoint(row: Layout) -> None:
    """What lies directly in the folder of a run, of whatever framework, proves no checkpoint folder."""
    runs = {
        "of TensorFlow": {
            "checkpoint",
            "ckpt-1.index",
            "ckpt-1.data-00000-of-00001",
            "export",
            "events.out.tfevents.1",
        },
        "of a logger": {"default", "metrics", "checkpoints", "hparams.yaml"},
        "of Paddle": {"0.pdparams", "0.pdopt", "1.pdparams", "inference", "best_model", "train_results.json"},
        "of Keras": {"model.01.keras", "backup", "latest.weights.h5"},
        "of SpeechBrain": {"CKPT+2021-04-15+10-11-12+00", "label_encoder.txt"},
        "of Composer": {"ep1-ba2", "ep2-ba4", "latest-rank0.pt"},
        "of Orbax": {"100", "200", "_ROOT_METADATA", "metadata"},
    }
    for held in runs.values():
        for clue in row.sentinels:
            globs = (clue,) if isinstance(clue, str) else clue
            assert not all(any(fnmatchcase(name, glob) for name in held) for glob in globs)


CASES = [pytest.param(tree, it, id=f"{tree.name}: {it.path}") for tree in TREES for it in tree.expected]


def names_of(expected: Expected) -> Iterator[str]:
    yield from (path.rpartition("/")[2] for path in expected.members or (expected.path,))


@pytest.mark.parametrize(("tree", "expected"), CASES)
def test_what_is_expected_of_a_tree_fits_the_names_of_its_row(tree: Tree, expected: Expected) -> None:
    row = BY_NAME[expected.layout or tree.layout]
    for name in names_of(expected):
        is_begun = any(re.fullmatch(pattern, name) for pattern in row.in_progress)
        assert is_begun or read(row, name) is not None
    stems = {(read(row, name) or {}).get("stem") for name in names_of(expected)} if expected.members else set()
    own = expected.path.rpartition("/")[2]
    assert stems in (set(), {None}, {own}, {own.partition(".")[0]})  # beside a folder of its name it has an ending


def test_every_row_has_a_tree() -> None:
    assert {it.layout or tree.layout for tree in TREES for it in tree.expected} == BY_NAME.keys()


@pytest.mark.parametrize("tree", TREES, ids=lambda it: it.name)
def test_what_a_tree_expects_is_in_it(tree: Tree) -> None:
    held = {*tree.files, *tree.links, *tree.hard_links}
    for path in (path for it in tree.expected for path in it.members or (it.path,)):
        assert path in held or any(it.startswith(f"{path}/") for it in held)
    targets = {it.path for it in tree.expected}
    assert {*tree.pointers.values(), *(it for listed in tree.rosters.values() for it in listed)} <= targets
    assert held >= {*tree.pointers, *tree.rosters, *tree.strays}
