"""The rows of frameworks that write single torch files, by themselves: what their names say, and whose they are not."""

from __future__ import annotations

import re
from importlib import import_module

import pytest

from ckptctl.layouts.index import glob_matches, match
from ckptctl.layouts.schema import Layout
from tests.layouts.tree import Tree

FAMILIES = (
    "mmengine detectron2 ultralytics timm ignite fastai open_clip coqui yolox openpcdet nnunet rsl_rl stylegan nanogpt"
).split()
ROWS: tuple[Layout, ...] = tuple(row for it in FAMILIES for row in import_module(f"ckptctl.layouts.{it}").LAYOUTS)
TREES: tuple[Tree, ...] = tuple(tree for it in FAMILIES for tree in import_module(f"tests.layouts.trees.{it}").TREES)
BY_NAME = {row.name: row for row in ROWS}
BEST, LAST, FINAL = ("best",), ("last",), ("final",)
NUMBERS = ("epoch", "step", "index", "metric", "value", "free")

Claim = tuple[dict[str, str], tuple[str, ...]]
"""What a name's groups hold, and the roles that it gives."""
SAME = {
    "epoch_12.pth": ({"epoch": "12"}, ()),
    "iter_20000.pth": ({"step": "20000"}, ()),
    "best_coco_bbox_mAP_epoch_12.pth": ({"epoch": "12"}, BEST),
    "epoch_3.pth": ({"epoch": "3"}, ()),
    "iter_2000.pth": ({"step": "2000"}, ()),
}
YOLO = {
    "last.pt": ({}, LAST),
    "best.pt": ({}, BEST),
    "epoch3.pt": ({"epoch": "3"}, ()),
    "epoch100.pt": ({"epoch": "100"}, ()),
}
CLAIMS: dict[str, dict[str, Claim]] = {
    "mmengine-fsdp": SAME,
    "mmengine-colossalai": SAME,
    "mmengine-deepspeed": SAME,
    "mmengine": {
        "epoch_12.pth": ({"epoch": "12"}, ()),
        "best_coco_bbox_mAP_epoch_12.pth": ({"epoch": "12"}, BEST),
        "epoch_12-1a2b3c4d.pth": ({"epoch": "12"}, ("derived",)),
        "best_accuracy_top1_epoch_9-0f1e2d3c.pth": ({"epoch": "9"}, ("best", "derived")),
        "latest.pth": ({}, LAST),
    },
    "mmengine-iter": {
        "iter_20000.pth": ({"step": "20000"}, ()),
        "best_mIoU_iter_16000.pth": ({"step": "16000"}, BEST),
        "iter_20000-1a2b3c4d.pth": ({"step": "20000"}, ("derived",)),
    },
    "detectron2": {
        "model_0004999.pth": ({"step": "0004999"}, ()),
        "model_final.pth": ({}, FINAL),
        "model_best.pth": ({}, BEST),
    },
    "yolov5": YOLO,
    "ultralytics": YOLO,
    "timm": {
        "checkpoint-12.pth.tar": ({"epoch": "12"}, ()),
        "model_best.pth.tar": ({}, BEST),
        "last.pth.tar": ({}, LAST),
    },
    "timm-milestone": {"milestone-50.pth.tar": ({}, ("named",))},
    "timm-recovery": {"recovery-3-500.pth.tar": ({"epoch": "3"}, ("recovery",))},
    "mae": {
        "checkpoint-799.pth": ({"epoch": "799"}, ()),
        "checkpoint-best.pth": ({}, BEST),
        "checkpoint-best-ema.pth": ({}, BEST),
    },
    "detr": {
        "checkpoint0099.pth": ({"epoch": "0099"}, ()),
        "checkpoint.pth": ({}, LAST),
        "best_checkpoint.pth": ({}, BEST),
    },
    "ignite": {
        "best_model_3_val_acc=0.8100.pt": ({"epoch": "3", "metric": "val_acc", "value": "0.8100"}, ()),
        "best_model_12_neg_val_loss=-0.1234.pt": ({"epoch": "12", "metric": "neg_val_loss", "value": "-0.1234"}, ()),
        "best_model_12_val_loss=-0.1234.pt": ({"epoch": "12", "metric": "val_loss", "value": "-0.1234"}, ()),
        "model_key_metric=0.8512.pt": ({"metric": "key_metric", "value": "0.8512"}, ()),
        "best_model_val_accuracy=0.7700.pt": ({"metric": "val_accuracy", "value": "0.7700"}, ()),
        "checkpoint_epoch=10.pt": ({"epoch": "10"}, ()),
        "net_iteration=400.pt": ({"step": "400"}, ()),
        "checkpoint_final_iteration=1000.pt": ({"step": "1000"}, FINAL),
        "training_checkpoint_5000.pt": ({"step": "5000"}, ()),
    },
    "ignite-periodic": {
        "checkpoint_5000.pt": ({"step": "5000"}, ()),
        "run_checkpoint_700.pt": ({"step": "700"}, ()),
    },
    "fastai": {"model_3.pth": ({"epoch": "3"}, ()), "model.pth": ({}, BEST)},
    "open_clip-sharded": {"epoch_3": ({"epoch": "3"}, ()), "epoch_latest": ({}, LAST)},
    "open_clip": {"epoch_3.pt": ({"epoch": "3"}, ()), "epoch_latest.pt": ({}, LAST)},
    "coqui": {
        "checkpoint_10000.pth": ({"step": "10000"}, ()),
        "best_model_9731.pth": ({"step": "9731"}, BEST),
        "best_model.pth": ({}, BEST),
    },
    "yolox": {
        "epoch_3_ckpt.pth": ({"epoch": "3"}, ()),
        "latest_ckpt.pth": ({}, LAST),
        "last_epoch_ckpt.pth": ({}, LAST),
        "last_mosaic_epoch_ckpt.pth": ({}, LAST),
        "best_ckpt.pth": ({}, BEST),
    },
    "openpcdet": {"checkpoint_epoch_80.pth": ({"epoch": "80"}, ()), "latest_model.pth": ({}, LAST)},
    "nnunet": {
        "checkpoint_latest.pth": ({}, LAST),
        "checkpoint_best.pth": ({}, BEST),
        "checkpoint_final.pth": ({}, FINAL),
    },
    "rsl_rl": {"model_0.pt": ({"step": "0"}, ()), "model_1500.pt": ({"step": "1500"}, ())},
    "stylegan": {
        "network-snapshot-000000.pkl": ({"step": "000000"}, ()),
        "network-snapshot-025000.pkl": ({"step": "025000"}, ()),
    },
    "nanogpt": {"ckpt.pt": ({}, LAST)},
}
SAID = [(BY_NAME[row], name, claim) for row, claims in CLAIMS.items() for name, claim in claims.items()]


@pytest.mark.parametrize(("row", "name", "claim"), SAID, ids=[f"{row.name}: {name}" for row, name, _ in SAID])
def test_a_name_says_what_is_claimed_of_it(row: Layout, name: str, claim: Claim) -> None:
    groups = match(row, name)
    assert groups is not None
    said = {key: value for key, value in groups.items() if value is not None}
    assert {key: value for key, value in said.items() if key in NUMBERS} == claim[0]
    assert tuple(sorted(said.keys() - {*NUMBERS, "stem", "lead", "series"})) == claim[1]


def test_every_example_is_among_the_claims() -> None:
    assert {row.name: set(row.examples) - CLAIMS[row.name].keys() for row in ROWS} == {row.name: set() for row in ROWS}


@pytest.mark.parametrize(
    "name",
    "step-100-bak pytorch_model.bin train.bin model.safetensors.index.json epoch_3.txt iter_3.tar.gz epoch_3.pt.tmp"
    " best_model_3_val_loss=0.4200.pt model_3_error_rate=0.1200.pt model_3_acc=0.81.pt 10_net_G.pth model-epoch.ckpt"
    " logits_epoch_1.bin last.ckpt tmpk3f_9x2q tmp_epoch_3.bin".split(),
)
def test_some_names_are_nobodys(name: str) -> None:
    assert [row.name for row in ROWS if row.unit != "dir" and match(row, name) is not None] == []


def test_a_loss_that_is_not_negated_is_not_taken_for_ignites() -> None:
    """Ignite keeps the highest scores: by its rule the worst of these would stay."""
    losses = (
        "val_loss WER RMSE Loss error valid_wer rmse lpips perplexity cross_entropy hd95 val_l1_loss error_rate".split()
    )
    taken = [it for it in losses if match(BY_NAME["ignite"], f"best_model_3_{it}=0.4200.pt") is not None]
    assert taken == []
    assert all(match(BY_NAME["ignite"], f"best_model_3_{it}=-0.4200.pt") is not None for it in losses)


NEEDY = [row for row in ROWS if row.unit != "dir" and not row.neighbors]


def test_only_names_that_are_plain_enough_need_no_witness() -> None:
    assert {row.name for row in NEEDY} == {"ignite", "stylegan", "nanogpt"}


SHARED = {
    "epoch_3.pt": {"open_clip"},
    "epoch3.pt": {"yolov5", "ultralytics"},
    "epoch_3.pth": {"mmengine"},
    "iter_300.pth": {"mmengine-iter"},
    "best.pt": {"yolov5", "ultralytics"},
    "last.pt": {"yolov5", "ultralytics"},
    "model_final.pth": {"detectron2"},
    "model_best.pth": {"detectron2"},
    "best_model.pth": {"coqui"},
    "checkpoint_10.pth": {"coqui", "ignite-periodic"},
    "checkpoint_10.pt": {"ignite-periodic"},
    "checkpoint-10.pth": {"mae"},
    "checkpoint-10.pth.tar": {"timm"},
    "checkpoint0010.pth": {"detr"},
    "checkpoint_best.pth": {"nnunet"},
    "checkpoint_final.pth": {"nnunet"},
    "checkpoint_epoch_3.pth": {"openpcdet"},
    "latest_model.pth": {"openpcdet"},
    "best_ckpt.pth": {"yolox"},
    "model_100.pt": {"rsl_rl"},
    "model_0000100.pth": {"detectron2"},
    "model_10.pth": {"fastai"},
    "checkpoint.pth": {"detr"},
    "ckpt.pt": {"nanogpt"},
}


@pytest.mark.parametrize(("name", "rows"), SHARED.items(), ids=SHARED)
def test_names_that_several_write_are_told_apart_by_what_lies_beside(name: str, rows: set[str]) -> None:
    taken = [row for row in ROWS if row.unit != "dir" and match(row, name) is not None]
    assert {row.name for row in taken} == rows
    assert all(row.neighbors for row in taken if not row.is_generic and row.name != "ignite")


def _fits(row: Layout, name: str) -> bool:
    return match(row, name) is not None or any(re.fullmatch(pattern, name) for pattern in row.in_progress)


@pytest.mark.parametrize("tree", TREES, ids=lambda it: it.name)
def test_each_expected_path_of_a_tree_has_a_name_of_its_layout(tree: Tree) -> None:
    members = [(BY_NAME[it.layout or tree.layout], path) for it in tree.expected for path in it.members or (it.path,)]
    assert [path for row, path in members if not _fits(row, path.rpartition("/")[2])] == []


@pytest.mark.parametrize("tree", TREES, ids=lambda it: it.name)
def test_each_file_beside_the_checkpoints_of_a_tree_is_known_or_a_stray(tree: Tree) -> None:
    rows = [BY_NAME[it] for it in {tree.layout, *(it.layout for it in tree.expected if it.layout)}]
    known = [glob for row in rows for glob in (*row.beside, *(it.path for it in row.pointers))]
    own = {path for it in tree.expected for path in (it.path, *it.members)} | {*tree.strays} | {*tree.left_out}
    run = tree.expected[0].path.rpartition("/")[0]
    loose = {path for path in tree.files if path.rpartition("/")[0] == run} - own
    assert [it for it in loose if not any(glob_matches(glob, it.rpartition("/")[2]) for glob in known)] == []


def test_every_row_has_a_tree_with_a_cut_or_half_written_newest() -> None:
    broken = {it.layout or tree.layout for tree in TREES for it in tree.expected if it.state != "complete"}
    assert {row.name for row in ROWS} - broken <= {"timm-recovery", "timm-milestone", "ignite-periodic"}
