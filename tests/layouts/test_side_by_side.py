"""Frameworks beside and inside each other: each is told apart, and what is not plain is left alone.

All is seen through the command line, on folders as the frameworks leave them.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from ckptctl.layouts.index import find_layout
from tests.cli.calls import HOUR, Answer, age, call, save
from tests.layouts.test_trees import TREES, content, plant
from tests.layouts.tree import Expected, Tree, torch_file
from tests.layouts.trees import accelerate, deepspeed, megatron, ray, torchtune, transformers
from tests.states import lightning

pytestmark = pytest.mark.slow

LOSSES = {500: 0.9, 1000: 0.8, 1500: 0.7}
HF = transformers.saves(LOSSES, None, transformers.ONE)
HF_PATHS = tuple(f"checkpoint-{step}" for step in LOSSES)
FILES = tuple(f"epoch={epoch}-step={epoch * 100 + 100}.ckpt" for epoch in range(3))


SPOKEN = {"CKPT.yaml": b"end-of-epoch: true\n", "model.ckpt": torch_file(), "optimizer.ckpt": torch_file()}


def numbered(names: str, numbers: tuple[int, ...] = (100, 200, 300)) -> tuple[str, ...]:
    return tuple(names.format(number) for number in numbers)


def three(layout: str, files: Mapping[str, bytes], *paths: str) -> Tree:
    return Tree(layout, layout, files, tuple(Expected(path) for path in paths))


def families(layout: str, *stems: str, parts: tuple[str, ...]) -> Tree:
    """As three, of which each has several files, called by its stem."""
    members = {stem: tuple(part.format(stem) for part in parts) for stem in stems}
    files = {path: torch_file() for held in members.values() for path in held}
    return Tree(layout, layout, files, tuple(Expected(stem, held) for stem, held in members.items()))


KINDS = {
    tree.layout: tree
    for tree in (
        three("transformers", HF, *HF_PATHS),
        three("lightning", {path: lightning(epoch=it, step=100) for it, path in enumerate(FILES)}, *FILES),
        three(
            "deepspeed",
            {path: data for it in numbered("global_step{}") for path, data in deepspeed.zero2(it, 2).items()},
            *numbered("global_step{}"),
        ),
        three(
            "megatron",
            {path: data for it in numbered("iter_0000{}") for path, data in megatron.save(it).items()},
            *numbered("iter_0000{}"),
        ),
        three(
            "accelerate",
            {path: data for it in numbered("checkpoint_{}") for path, data in accelerate.save(it).items()},
            *numbered("checkpoint_{}"),
        ),
        three(
            "torchtune",
            {path: data for it in numbered("epoch_{}") for path, data in torchtune.save(it).items()},
            *numbered("epoch_{}"),
        ),
        families(
            "tensorflow",
            *numbered("model.ckpt-{}"),
            parts=("{}.data-00000-of-00001", "{}.index", "{}.meta"),
        ),
        three(
            "stable_baselines3",
            {path: torch_file() for path in numbered("rl_model_{}_steps.zip")},
            *numbered("rl_model_{}_steps.zip"),
        ),
        three(
            "speechbrain",
            {f"{save}/{name}": held for save in numbered("CKPT+epoch_{}") for name, held in SPOKEN.items()},
            *numbered("CKPT+epoch_{}"),
        ),
        three("ignite", dict.fromkeys(numbered("net_epoch={}.pt"), torch_file()), *numbered("net_epoch={}.pt")),
        three(
            "orbax",
            {f"{it}/{name}": b"{}" for it in numbered("{}") for name in ("_CHECKPOINT_METADATA", "default/_METADATA")},
            *numbered("{}"),
        ),
    )
}
"""Three whole checkpoints of each."""
PAIRS = (
    ("transformers", "lightning"),
    ("transformers", "deepspeed"),
    ("transformers", "accelerate"),
    ("deepspeed", "megatron"),
    ("accelerate", "torchtune"),
    ("tensorflow", "orbax"),
    ("tensorflow", "lightning"),
    ("stable_baselines3", "lightning"),
    ("stable_baselines3", "transformers"),
    ("ignite", "megatron"),
    ("lightning", "speechbrain"),
)
every_pair = pytest.mark.parametrize(("one", "other"), PAIRS, ids=[f"{one} and {other}" for one, other in PAIRS])


def plant_both(one: str, other: str, root: Path) -> tuple[Tree, Tree]:
    """The checkpoints of two frameworks in one folder, in turns by time."""
    first, second = KINDS[one], KINDS[other]
    turns = [it for both in zip(first.expected, second.expected, strict=True) for it in both]
    plant(Tree("", "", {**first.files, **second.files}, tuple(turns)), root)
    return first, second


def found(root: Path, *flags: str) -> list[tuple[str, str, str]]:
    """Path, layout and state of every checkpoint that is listed."""
    answer = call("ls", root, "--json", *flags)
    runs = answer.json["runs"] if answer.code != 4 else ()
    return sorted((it["path"], it["layout"], it["state"]) for run in runs for it in run["checkpoints"])


def pruned(root: Path, *flags: str) -> Answer:
    answer = call("prune", root, "--keep-last", "1", "--yes", *flags)
    assert answer.code in {0, 4}, answer.err
    return answer


def verdicts(root: Path, *flags: str) -> dict[str, Any]:
    """What would be done with each path."""
    answer = call("prune", root, "--keep-last", "1", "-n", "--json", *flags)
    assert answer.code in {0, 4}, answer.err
    return {it["path"]: it for run in answer.json["runs"] for it in run["verdicts"]} if answer.raw else {}


# Beside each other


@every_pair
def test_both_are_listed_as_what_they_are(one: str, other: str, tmp_path: Path) -> None:
    both = plant_both(one, other, tmp_path)
    wanted = sorted((it.path, tree.layout, "complete") for tree in both for it in tree.expected)
    assert found(tmp_path) == wanted


@every_pair
def test_the_folder_of_two_is_left_alone_and_the_reason_told(one: str, other: str, tmp_path: Path) -> None:
    plant_both(one, other, tmp_path)
    before = content(tmp_path)
    families = sorted({find_layout(one).family, find_layout(other).family})
    why = f"checkpoints of {' and '.join(families)} lie here: choose one with --layout"
    assert why in pruned(tmp_path).err
    assert content(tmp_path) == before
    assert {it["action"] for it in verdicts(tmp_path).values()} <= {"keep", "skip"}


@every_pair
@pytest.mark.parametrize("is_first", [True, False], ids=["the one", "the other"])
def test_the_layout_that_is_named_is_pruned_alone(one: str, other: str, is_first: bool, tmp_path: Path) -> None:
    both = plant_both(one, other, tmp_path)
    chosen, spared = both if is_first else both[::-1]
    pruned(tmp_path, "--layout", chosen.layout)
    after = content(tmp_path)
    assert {path: after.get(path) for path in spared.files} == dict(spared.files)
    newest = chosen.expected[-1]
    own = newest.members or (newest.path,)
    left = {path for path in chosen.files if path in after}
    assert left == {path for path in chosen.files if path.startswith(tuple(f"{it}/" for it in own)) or path in own}


@every_pair
def test_naming_a_layout_takes_nothing_of_the_other_for_it(one: str, other: str, tmp_path: Path) -> None:
    both = plant_both(one, other, tmp_path)
    for tree in both:
        wanted = sorted((it.path, tree.layout, "complete") for it in tree.expected)
        assert found(tmp_path, "--layout", tree.layout) == wanted


@pytest.mark.parametrize("name", ["torchtune", "lightning", "transformers"])
def test_files_of_a_home_made_loop_beside_a_frameworks_checkpoints_are_a_series_of_their_own(
    name: str, tmp_path: Path
) -> None:
    plant(KINDS[name], tmp_path)
    save(tmp_path, [f"net{it}_epoch_{n}.pth" for n in (1, 2, 3) for it in "GD"], torch_file())
    assert {it[1] for it in found(tmp_path)} == {KINDS[name].layout, "generic"}
    pruned(tmp_path)
    assert {it.name for it in tmp_path.glob("net*")} == {"netG_epoch_3.pth", "netD_epoch_3.pth"}


def test_a_single_save_and_a_best_of_no_framework_stay_beside_those_of_one(tmp_path: Path) -> None:
    plant(KINDS["transformers"], tmp_path)
    save(tmp_path, ["epoch_1.pt", "resnet50.pt", "best.pt"], torch_file())
    pruned(tmp_path)
    assert {it.name for it in tmp_path.iterdir()} == {"checkpoint-1500", "epoch_1.pt", "resnet50.pt", "best.pt"}


def test_layouts_of_one_framework_are_one_run(tmp_path: Path) -> None:
    """MMEngine's best, sharded or not, is its own."""
    names = ["epoch_1.pth", "epoch_2.pth", "iter_300.pth"]
    save(tmp_path, names, torch_file({"meta": {}}))
    (tmp_path / "last_checkpoint").write_text("work_dirs/x/iter_300.pth")
    assert {layout for _, layout, _ in found(tmp_path)} == {"mmengine", "mmengine-iter"}
    assert "choose one with --layout" not in pruned(tmp_path).err
    assert (tmp_path / "iter_300.pth").exists()


# Inside each other


def in_folder(folder: str, files: Mapping[str, bytes]) -> dict[str, bytes]:
    return {f"{folder}/{path}": data for path, data in files.items()}


def test_deepspeed_inside_transformers_is_listed_once_and_goes_with_it(tmp_path: Path) -> None:
    files = HF | {path: data for step in LOSSES for path, data in transformers.zero(step, (0, 1)).items()}
    plant(three("transformers-deepspeed", files, *HF_PATHS), tmp_path)
    assert found(tmp_path) == sorted((path, "transformers-deepspeed", "complete") for path in HF_PATHS)
    pruned(tmp_path)
    assert [it.name for it in tmp_path.iterdir()] == ["checkpoint-1500"]
    assert (tmp_path / "checkpoint-1500/global_step1500/mp_rank_00_model_states.pt").exists()


def test_transformers_inside_ray_is_rays(tmp_path: Path) -> None:
    names = numbered("checkpoint_{:06d}", (0, 1, 2))
    inside = {f"{name}/{path}": data for name in names for path, data in ray.HUGGING_FACE.items()}
    plant(three("ray", {**inside, "params.json": b"{}"}, *names), tmp_path)
    assert found(tmp_path) == [(name, "ray", "complete") for name in names]
    pruned(tmp_path)
    assert {it.name for it in tmp_path.iterdir()} == {names[-1], "params.json"}


def test_each_trial_of_a_search_keeps_its_own(tmp_path: Path) -> None:
    files = in_folder("run-0", HF) | in_folder("run-1", HF)
    plant(three("transformers", files, *(f"run-{it}/{path}" for path in HF_PATHS for it in (0, 1))), tmp_path)
    pruned(tmp_path)
    left = [str(it.relative_to(tmp_path)) for it in sorted(tmp_path.glob("*/*"))]
    assert left == ["run-0/checkpoint-1500", "run-1/checkpoint-1500"]


def test_a_run_below_another_framworks_run_is_its_own(tmp_path: Path) -> None:
    below = "lightning_logs/version_0/checkpoints"
    files = HF | in_folder(below, KINDS["lightning"].files)
    plant(three("transformers", files, *HF_PATHS, *(f"{below}/{path}" for path in FILES)), tmp_path)
    assert "choose one" not in pruned(tmp_path).err
    assert [path for path, _, _ in found(tmp_path)] == ["checkpoint-1500", f"{below}/{FILES[-1]}"]


def test_a_run_inside_a_checkpoint_does_not_go_with_it(tmp_path: Path) -> None:
    """Somebody trained on from it, and into it."""
    files = HF | in_folder("checkpoint-500/tuned", HF)
    plant(three("transformers", files, *HF_PATHS), tmp_path)
    inside = content(tmp_path / "checkpoint-500/tuned")
    pruned(tmp_path)
    assert (tmp_path / "checkpoint-500/tuned").exists()
    assert content(tmp_path / "checkpoint-500/tuned") == inside


# A checkpoint, or a part of one, as PATH


FOLDERS = [
    pytest.param(tree, id=param.id)
    for param in TREES
    if isinstance(tree := param.values[0], Tree) and any("/" in path for path in tree.files)
]
NEEDS_NEIGHBOURS = {"ray", "nemo"}
"""Layouts that what lies beside or above a checkpoint shows: seen alone, it may be anything."""


def folders_of(tree: Tree, root: Path) -> Iterator[str]:
    """Every folder that is a checkpoint, or in one, or holds a rank's share of several."""
    for expected in tree.expected:
        for member in expected.members or (expected.path,):
            path = root / member
            if path.is_dir():
                yield member
                yield from (str(below.relative_to(root)) for below in path.rglob("*") if below.is_dir())
            elif expected.members and path.parent.name.startswith(("mp_rank_", "tp_rank_", "fsdp_shard_")):
                yield str(path.parent.relative_to(root))


@pytest.mark.parametrize("tree", FOLDERS)
def test_nothing_goes_where_a_checkpoint_or_a_part_of_one_is_the_path(tree: Tree, tmp_path: Path) -> None:
    plant(tree, tmp_path)
    before = content(tmp_path)
    for folder in dict.fromkeys(folders_of(tree, tmp_path)):
        pruned(tmp_path / folder)
    assert content(tmp_path) == before


@pytest.mark.parametrize("tree", FOLDERS)
def test_who_names_a_checkpoint_as_the_path_is_told_what_it_is(tree: Tree, tmp_path: Path) -> None:
    plant(tree, tmp_path)
    whole = [it.path for it in tree.expected if it.state == "complete" and (tmp_path / it.path).is_dir()]
    is_by_others = any(it.layout == "generic-folder" for it in tree.expected)
    if not whole or is_by_others or find_layout(tree.layout).family in NEEDS_NEIGHBOURS:
        pytest.skip("no folder that shows by itself what it is")
    for path in whole:
        answer = call("prune", tmp_path / path, "--keep-last", "1", "--yes")
        assert "it is a checkpoint itself" in answer.err
        assert "name the folder above it" in answer.err


def test_what_lies_in_a_checkpoint_is_not_listed_where_it_is_the_path(tmp_path: Path) -> None:
    """What a user saved beside the model in Transformers' own folder is a part of the checkpoint."""
    plant(three("transformers", HF, *HF_PATHS), tmp_path)
    save(tmp_path / "checkpoint-500/heads", FILES, lightning())
    before = content(tmp_path)
    assert found(tmp_path / "checkpoint-500") == []
    pruned(tmp_path / "checkpoint-500")
    assert content(tmp_path) == before


def test_a_run_whose_last_state_lies_in_its_own_folder_is_a_run_all_the_same(tmp_path: Path) -> None:
    """As some scripts with accelerate do: ``save_state(output_dir)`` at the end."""
    held = {f"out/checkpoint-{step}/random_states_0.pkl": b"x" for step in (100, 200, 300)}
    plant(three("accelerate", held, *(f"out/checkpoint-{step}" for step in (100, 200, 300))), tmp_path)
    save(tmp_path / "out", ["random_states_0.pkl", "model.safetensors", "optimizer.bin"], b"x")
    paths = [it[0] for it in found(tmp_path)]
    assert paths == [f"out/checkpoint-{step}" for step in (100, 200, 300)]
    assert [it[0] for it in found(tmp_path / "out")] == [path.removeprefix("out/") for path in paths]
    pruned(tmp_path / "out")
    assert sorted(os.listdir(tmp_path / "out")) == [
        "checkpoint-300", "model.safetensors", "optimizer.bin", "random_states_0.pkl",
    ]  # fmt: skip


# What may be of two


def test_a_folder_that_may_be_of_two_is_unknown_and_stays(tmp_path: Path) -> None:
    names = ["checkpoint-500", "checkpoint-1000", "checkpoint-1500"]
    for name in names:
        save(tmp_path / name, ["model.safetensors", "optimizer.bin"], b"x")
        os.utime(tmp_path / name, (0, 0))
    listed = found(tmp_path)
    assert [path for path, _, _ in listed] == sorted(names)
    assert {state for _, _, state in listed} == {"unknown"}
    before = content(tmp_path)
    pruned(tmp_path)
    assert content(tmp_path) == before
    reasons = [why["text"] for it in verdicts(tmp_path).values() for why in it["reasons"]]
    assert len(reasons) == 3
    assert all("choose one with --layout" in it and " or " in it for it in reasons)


def test_what_may_be_of_two_is_the_ones_that_is_proved_beside_it(tmp_path: Path) -> None:
    plant(KINDS["transformers"], tmp_path)
    save(tmp_path / "checkpoint-2000", ["model.safetensors"], b"x")
    age(tmp_path / "checkpoint-2000", HOUR)
    assert ("checkpoint-2000", "partial") in {(path, state) for path, _, state in found(tmp_path)}
    assert {find_layout(layout).family for _, layout, _ in found(tmp_path)} == {"transformers"}


def test_naming_the_layout_settles_what_may_be_of_two(tmp_path: Path) -> None:
    save(tmp_path / "checkpoint-500", ["model.safetensors", "optimizer.bin"], b"x")
    age(tmp_path / "checkpoint-500", HOUR)
    ((path, layout, state),) = found(tmp_path, "--layout", "transformers")
    assert (path, find_layout(layout).family, state) == ("checkpoint-500", "transformers", "partial")


# Links


def test_checkpoint_folders_that_are_links_are_neither_followed_nor_removed(tmp_path: Path) -> None:
    plant(three("transformers", in_folder("store", HF), *(f"store/{path}" for path in HF_PATHS)), tmp_path)
    (tmp_path / "run").mkdir()
    for path in HF_PATHS:
        (tmp_path / "run" / path).symlink_to(f"../store/{path}")
    before = content(tmp_path)
    assert [path for path, _, _ in found(tmp_path)] == sorted(f"store/{path}" for path in HF_PATHS)
    pruned(tmp_path)
    assert content(tmp_path) == before


def test_links_to_folders_elsewhere_are_no_checkpoints_of_the_run(tmp_path: Path) -> None:
    plant(three("transformers", HF, *HF_PATHS), tmp_path / "store")
    (tmp_path / "run").mkdir()
    for path in HF_PATHS:
        (tmp_path / "run" / path).symlink_to(f"../store/{path}")
    before = content(tmp_path)
    pruned(tmp_path / "run")
    assert content(tmp_path) == before


def test_what_a_link_inside_a_checkpoint_leads_to_stays(tmp_path: Path) -> None:
    """Frozen weights are often stored once, and linked into each save."""
    plant(three("transformers", HF, *HF_PATHS), tmp_path)
    (tmp_path / "base").mkdir()
    shutil.move(tmp_path / "checkpoint-500/model.safetensors", tmp_path / "base/model.safetensors")
    (tmp_path / "checkpoint-500/model.safetensors").symlink_to("../base/model.safetensors")
    for path in ("checkpoint-500", "checkpoint-500/model.safetensors"):
        os.utime(tmp_path / path, (0, 0), follow_symlinks=False)
    pruned(tmp_path)
    assert {it.name for it in tmp_path.iterdir()} == {"base", "checkpoint-1500"}
    assert (tmp_path / "base/model.safetensors").exists()


def test_a_checkpoint_into_which_another_links_stays(tmp_path: Path) -> None:
    plant(three("transformers", HF, *HF_PATHS), tmp_path)
    (tmp_path / "checkpoint-1500/model.safetensors").unlink()
    (tmp_path / "checkpoint-1500/model.safetensors").symlink_to("../checkpoint-500/model.safetensors")
    age(tmp_path / "checkpoint-1500", HOUR)
    pruned(tmp_path)
    assert (tmp_path / "checkpoint-1500/model.safetensors").exists()
    assert not (tmp_path / "checkpoint-1000").exists()


def test_a_copy_by_hard_links_does_not_notice(tmp_path: Path) -> None:
    plant(KINDS["transformers"], tmp_path / "run")
    shutil.copytree(tmp_path / "run", tmp_path / "copy", copy_function=os.link)
    before = content(tmp_path / "copy")
    answer = call("prune", tmp_path / "run", "--keep-last", "1", "--yes", "--json")
    assert (answer.json["frees"], answer.json["outcome"]["freed"]) == (0, 0)
    assert len(answer.json["outcome"]["dropped"]) == 2
    assert content(tmp_path / "copy") == before


def test_of_files_that_checkpoints_share_only_their_own_names_go(tmp_path: Path) -> None:
    """As ``rsync --link-dest`` leaves them."""
    plant(KINDS["transformers"], tmp_path)
    for path in HF_PATHS[1:]:
        (tmp_path / path / "tokenizer.json").unlink()
        os.link(tmp_path / HF_PATHS[0] / "tokenizer.json", tmp_path / path / "tokenizer.json")
        age(tmp_path / path, HOUR)
    pruned(tmp_path)
    assert [it.name for it in tmp_path.iterdir()] == [HF_PATHS[-1]]
    assert (tmp_path / HF_PATHS[-1] / "tokenizer.json").stat().st_nlink == 1


# All at once


def test_all_trees_below_one_folder_are_found_and_pruned_as_each_alone(tmp_path: Path) -> None:
    trees = [it.values[0] for it in TREES]
    for number, tree in enumerate(trees):
        assert isinstance(tree, Tree)
        plant(tree, tmp_path / "all" / str(number))
        plant(tree, tmp_path / "alone" / str(number) / "x" / str(number))
    folders = [(tmp_path / "alone" / str(number) / "x", tmp_path / "all") for number in range(len(trees))]
    together = found(tmp_path / "all")
    alone = sorted(it for one, _ in folders for it in found(one))
    assert together == alone
    pruned(tmp_path / "all")
    for one, _ in folders:
        pruned(one)
    after = content(tmp_path / "all")
    wanted = {path: held for one, _ in folders for path, held in content(one).items()}
    assert after.keys() == wanted.keys()
    assert after == wanted
