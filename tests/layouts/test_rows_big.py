"""The rows of the big-model frameworks, by themselves: what their names say, and which names they leave to others."""

from __future__ import annotations

import re
from importlib import import_module

import pytest

from ckptctl.layouts.index import match
from ckptctl.layouts.schema import Layout
from tests.layouts.tree import Tree

FAMILIES = (
    "transformers accelerate deepspeed torch_dcp torchtune megatron nemo nemo_rl verl lerobot litgpt ray kohya".split()
)
ROWS: tuple[Layout, ...] = tuple(row for it in FAMILIES for row in import_module(f"ckptctl.layouts.{it}").LAYOUTS)
TREES: tuple[Tree, ...] = tuple(tree for it in FAMILIES for tree in import_module(f"tests.layouts.trees.{it}").TREES)
BY_NAME = {row.name: row for row in ROWS}
CLAIMS: dict[str, dict[str, dict[str, str]]] = {
    "transformers": {"checkpoint-500": {"step": "500"}, "checkpoint-1000000": {"step": "1000000"}},
    "transformers-deepspeed": {"checkpoint-500": {"step": "500"}, "checkpoint-1000000": {"step": "1000000"}},
    "accelerate": {
        "checkpoint_0": {"index": "0"},
        "checkpoint_12": {"index": "12"},
        "step_1000": {"step": "1000"},
        "epoch_3": {"epoch": "3"},
        "checkpoint-500": {"step": "500"},
        "before-tuning": {"free": "before-tuning"},
    },
    "deepspeed-universal": {
        "global_step1000_universal": {"step": "1000", "derived": "global_step1000_universal"},
        "after-warmup_universal": {"derived": "after-warmup_universal"},
    },
    "deepspeed": {
        "global_step1000": {"step": "1000"},
        "epoch_3": {"epoch": "3"},
        "step-2000": {"step": "2000"},
        "17": {"index": "17"},
        "after-warmup": {"free": "after-warmup"},
    },
    "torchtitan": {"step-0": {"step": "0"}, "step-500": {"step": "500"}, "step-100000": {"step": "100000"}},
    "dcp": {
        "step_500": {"free": "step_500"},
        "epoch_3": {"free": "epoch_3"},
        "sharded_weights": {"free": "sharded_weights"},
    },
    "torchtune": {"epoch_0": {"epoch": "0"}, "epoch_12": {"epoch": "12"}, "step_500": {"step": "500"}},
    "megatron": {
        "iter_0000500": {"step": "0000500"},
        "iter_0125000": {"step": "0125000"},
        "release": {"final": "release"},
    },
    "megatron-legacy": {"iter_0000500": {"step": "0000500"}, "release": {"final": "release"}},
    "nemo-dir": {
        "llama3_8b--val_loss=1.92-step=499-consumed_samples=128000.0": {
            "stem": "llama3_8b",
            "free": "val_loss=1.92-step=499-consumed_samples=128000.0",
        },
        "llama3_8b--val_loss=1.92-step=499-consumed_samples=128000.0-last": {
            "stem": "llama3_8b",
            "free": "val_loss=1.92-step=499-consumed_samples=128000.0",
            "last": "-last",
        },
        "default--reduced_train_loss=1.9012-epoch=0-step=99": {
            "stem": "default",
            "free": "reduced_train_loss=1.9012-epoch=0-step=99",
        },
    },
    "nemo-dist": {
        "megatron_gpt--val_loss=2.34-step=1000-consumed_samples=256000.0-last": {
            "stem": "megatron_gpt",
            "free": "val_loss=2.34-step=1000-consumed_samples=256000.0",
            "last": "-last",
        },
    },
    "nemo": {
        "megatron_gpt--val_loss=2.3456-epoch=1.ckpt": {
            "stem": "megatron_gpt--val_loss=2.3456-epoch=1",
            "free": "megatron_gpt--val_loss=2.3456-epoch=1",
            "lead": "",
        },
        "Conformer--val_wer=0.1234-epoch=9-last.ckpt": {
            "stem": "Conformer--val_wer=0.1234-epoch=9-last",
            "free": "Conformer--val_wer=0.1234-epoch=9-last",
            "lead": "",
        },
        "Conformer--val_wer=0.1234-epoch=9-EMA.ckpt": {
            "stem": "Conformer--val_wer=0.1234-epoch=9",
            "free": "Conformer--val_wer=0.1234-epoch=9",
        },
    },
    "nemo_rl": {"step_10": {"step": "10"}, "step_1000": {"step": "1000"}},
    "verl": {"global_step_20": {"step": "20"}, "global_step_1000": {"step": "1000"}},
    "lerobot": {"005000": {"step": "005000"}, "100000": {"step": "100000"}, "1000000": {"step": "1000000"}},
    "litgpt": {"step-000200": {"step": "000200"}, "step-00001000": {"step": "00001000"}, "final": {"final": "final"}},
    "ray-rllib": {"checkpoint_000010": {"index": "000010"}, "my-policy": {"free": "my-policy"}},
    "ray": {
        "checkpoint_000000": {"index": "000000"},
        "checkpoint_000012": {"index": "000012"},
        "checkpoint_2026-08-01_12-30-00.123456": {"stamp": "2026-08-01_12-30-00.123456"},
    },
    "kohya-state": {
        "mychar-000010-state": {"epoch": "000010"},
        "mychar-step00001000-state": {"step": "00001000"},
        "mychar-state": {"last": "mychar-state"},
    },
    "kohya-diffusers": {"mymodel-000002": {"epoch": "000002"}, "mymodel-step00000500": {"step": "00000500"}},
    "kohya": {
        "mychar-000010.safetensors": {"series": "mychar", "epoch": "000010"},
        "mychar-step00001000.safetensors": {"series": "mychar", "step": "00001000"},
        "mychar.safetensors": {"final": "mychar"},
    },
}


@pytest.mark.parametrize("row", ROWS, ids=lambda it: it.name)
def test_each_example_says_what_is_claimed_of_it(row: Layout) -> None:
    assert tuple(CLAIMS[row.name]) == row.examples
    for name, claim in CLAIMS[row.name].items():
        groups = match(row, name)
        assert groups is not None, name
        assert {key: value for key, value in groups.items() if value is not None} == claim


@pytest.mark.parametrize("row", [it for it in ROWS if it.unit != "dir"], ids=lambda it: it.name)
def test_a_row_of_files_matches_no_example_of_another(row: Layout) -> None:
    others = [name for other in ROWS if other is not row for name in other.examples]
    assert [name for name in others if match(row, name) is not None] == []


FOREIGN = [
    ("transformers", "checkpoint-500-bak"),
    ("transformers", "checkpoint-final"),
    ("transformers", "tmp-checkpoint-500"),
    ("torchtitan", "step-100-bak"),
    ("torchtitan", "xstep-100"),
    ("megatron", "iter_500"),
    ("megatron", "iter_0000500.old"),
    ("verl", "global_step20"),
    ("nemo_rl", "tmp_step_10"),
    ("nemo_rl", "old_step_10"),
    ("lerobot", "last"),
    ("litgpt", "step-100"),
    ("ray", "checkpoint_12"),
    ("ray", "checkpoint_100000"),
    ("dcp", "epoch=1-step=2.ckpt"),
    ("dcp", "pytorch_model_fsdp_0"),
    ("dcp", "optimizer_0"),
    ("nemo", "epoch=3-val_loss=-0.50.ckpt"),
    ("nemo", "3--0.5000.ckpt"),
    ("nemo", "last.ckpt"),
    ("nemo-dir", "my--folder"),
    ("kohya", "model-00001-of-00002.safetensors.index.json"),
    ("kohya-state", "state"),
]


@pytest.mark.parametrize(("row", "name"), FOREIGN, ids=[f"{row}: {name}" for row, name in FOREIGN])
def test_what_only_resembles_a_name_is_left_alone(row: str, name: str) -> None:
    assert match(BY_NAME[row], name) is None


def test_accelerate_leaves_padded_counters_to_ray() -> None:
    groups = match(BY_NAME["accelerate"], "checkpoint_000003")
    assert groups is not None
    assert groups.get("index") is None
    assert groups["free"] == "checkpoint_000003"


@pytest.mark.parametrize("tree", TREES, ids=lambda it: f"{it.layout}: {it.name}")
def test_every_expected_path_of_a_tree_has_a_name_of_its_layout(tree: Tree) -> None:
    for expected in tree.expected:
        row = BY_NAME[expected.layout or tree.layout]
        names = [path.rpartition("/")[2] for path in expected.members or (expected.path,)]
        fits = [match(row, name) is not None or _is_in_progress(row, name) for name in names]
        assert all(fits), names


def _is_in_progress(row: Layout, name: str) -> bool:
    return any(re.fullmatch(pattern, name) for pattern in row.in_progress)


@pytest.mark.parametrize("tree", TREES, ids=lambda it: f"{it.layout}: {it.name}")
def test_every_path_that_a_tree_speaks_of_lies_in_it(tree: Tree) -> None:
    held = {*tree.files, *tree.links, *tree.hard_links, *tree.folders}
    spoken = [path for it in tree.expected for path in it.members or (it.path,)]
    spoken += [*tree.pointers, *tree.rosters, *tree.strays]
    missing = [path for path in spoken if path not in held and not any(it.startswith(f"{path}/") for it in held)]
    assert missing == []
    known = {it.path for it in tree.expected}
    assert {*tree.pointers.values(), *(it for listed in tree.rosters.values() for it in listed)} <= known


def test_every_row_is_in_a_tree() -> None:
    assert {it.layout or tree.layout for tree in TREES for it in tree.expected} == set(BY_NAME)


COLLIDING = [
    ("checkpoint-500", ["transformers-deepspeed", "transformers", "accelerate", "deepspeed", "dcp", "ray-rllib"]),
    ("step-00001000", ["accelerate", "deepspeed", "torchtitan", "dcp", "litgpt", "ray-rllib"]),
    ("epoch_3", ["accelerate", "deepspeed", "dcp", "torchtune", "ray-rllib"]),
    ("step_500", ["accelerate", "deepspeed", "dcp", "torchtune", "nemo_rl", "ray-rllib"]),
    ("checkpoint_000003", ["accelerate", "deepspeed", "dcp", "ray-rllib", "ray"]),
]


@pytest.mark.parametrize(("name", "rows"), COLLIDING, ids=[name for name, _ in COLLIDING])
def test_rows_that_share_a_name_differ_in_what_proves_them(name: str, rows: list[str]) -> None:
    sharing = [it for it in ROWS if it.unit == "dir" and match(it, name) is not None]
    assert [it.name for it in sharing] == rows
    proofs = [(it.family, proof) for it in sharing for proof in it.sentinels]
    claimed = [
        (one, other)
        for place, one in enumerate(proofs)
        for other in proofs[place + 1 :]
        if one[1] == other[1] and one[0] != other[0] and not {one[0], other[0]} & {"dcp"}
    ]
    assert claimed == []
