"""Every layout's newest save, half written in every way: it never goes, and never makes the last whole one go.

Two laws. What is left of a save that was killed stays where it is, however old. And a rule that keeps the last one does
not take such a save for it: the one before, which is whole, stays too. The second has its limits, told in `DONE`: where
a framework writes one file last, or renames, the rest was there before it, and nobody asks for it again.
"""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Iterator, Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

import pytest

from ckptctl.core.model import Checkpoint, Entry
from ckptctl.core.retention.plan import Verdict, plan_run
from ckptctl.core.retention.policy import Policy
from ckptctl.core.retention.rules import KeepLast
from ckptctl.layouts import LAYOUTS
from ckptctl.layouts.index import find_layout
from ckptctl.layouts.schema import Layout
from ckptctl.scan.runs import Options, scan
from ckptctl.stores import open_store
from tests.cli.calls import call
from tests.layouts.test_trees import TREES, plant
from tests.layouts.tree import Expected, Tree, safetensors, torch_file
from tests.layouts.trees import kohya, nemo, transformers
from tests.states import lightning

pytestmark = pytest.mark.slow

POLICY = Policy((KeepLast(1),))
AGES = ("fresh", "old")
MANIFEST = pickle.dumps({"storage_data": ["__0_0.distcp"]}, protocol=4)


class Done(NamedTuple):
    """What says that a save of a layout is whole."""

    marker: str
    """Globs, parted by ``|``, of what is written last, relative to the checkpoint; "": its name or a file beside it."""
    why: str


DONE: Mapping[str, Done] = {
    "composer-sharded": Done(".metadata", "torch's distributed format: the manifest comes last, by a rename"),
    "dcp": Done(".metadata", "as above"),
    "kohya-diffusers": Done("model_index.json", "diffusers writes the index behind all parts"),
    "lightning-deepspeed": Done("latest", "DeepSpeed writes it once all ranks are done"),
    "lightning-sharded": Done("meta.pt", "rank 0 writes it last"),
    "litgpt": Done("*.yaml|*.json", "the configuration is copied behind the weights"),
    "megatron": Done("metadata.json|.metadata", "written when the shards are done, by Megatron or by torch"),
    "mmengine-colossalai": Done("meta.pth", "written behind model and optimizer"),
    "nemo": Done("", "an empty file beside it says that it is unfinished"),
    "nemo-dir": Done("", "as nemo"),
    "nemo-dist": Done("metadata.json", "as megatron"),
    "nemo_rl": Done("", "the folder is renamed when it is done"),
    "open_clip-sharded": Done("_metadata_extra.pt", "written behind the manifest"),
    "orbax": Done("", "the folder is renamed when it is done; where it cannot be, commit_success.txt is written last"),
    "orbax-flax": Done("", "file and folder are renamed when they are done"),
    "orbax-maxtext": Done("", "as orbax"),
    "paddle": Done(".pdopt", "the optimizer is written behind the weights; what was measured of it may be missing"),
    "paddle-named": Done(".pdopt", "as paddle"),
    "paddle-seg": Done("model.pdopt", "as paddle"),
    "paddle-uniform": Done("*.pdopt", "as paddle"),
    "tensorflow": Done(".index", "the index is put together last, and renamed"),
    "torchtitan": Done(".metadata|model.safetensors.index.json", "as dcp; the index of merged weights comes last too"),
    "torchtune": Done("*.json", "the configuration is copied behind the weights; the recipe's state may lie elsewhere"),
    "transformers": Done("trainer_state.json", "rank 0 writes it last"),
    "transformers-deepspeed": Done("trainer_state.json", "as transformers"),
    "verl": Done("data.pt|data_*.pt", "the loader's state is saved behind the models"),
}
"""Of all others, nothing but a sibling tells what a whole one holds."""

SILENT: Mapping[str, str] = {
    "composer-packed": "compressed: it would have to be unpacked",
    "lightgbm": "text",
    "xgboost": "JSON and UBJSON of many versions",
    "paddle": "plain pickles",
    "paddle-named": "plain pickles",
    "tensorflow": "the index does not tell its own length; the sizes of the data are in it, compressed",
    "orbax-flax": "a msgpack document",
    "stable_baselines3": "replay buffers are plain pickles",
    "keras-sharded": "the map is written anew behind each shard",
}
"""Of files: formats that do not say where they end, so that a cut shows only while it is fresh. What lies in a folder
is not looked into at all but for the marker."""

ONE_OF_A_KIND: Mapping[str, str] = {
    "allennlp-best": "there is one best, written over",
    "deepspeed-universal": "converted by a person",
    "keras-backup": "one, written over",
    "nanogpt": "one, written over",
    "nnunet": "a best, a latest, a final one",
    "orbax-named": "named by a person",
    "paddle-best": "one, written over",
    "paddle-role": "a best, a latest, a final one",
    "savedmodel": "an export",
    "timm-milestone": "timm itself never removes one",
    "timm-recovery": "at most two, of which training removes the older",
}
"""No rule drops one of these for another."""


def sharded(name: str) -> dict[str, bytes]:
    return {f"{name}/__0_0.distcp": b"PK", f"{name}/.metadata": MANIFEST, f"{name}/meta.pt": torch_file()}


def zero(name: str) -> dict[str, bytes]:
    states = {f"{name}/checkpoint/{it}_states.pt": b"x" for it in ("mp_rank_00_model", "zero_pp_rank_0_optim")}
    return {**states, f"{name}/latest": b"checkpoint", f"{name}/zero_to_fp32.py": b"#"}


def colossal(name: str) -> dict[str, bytes]:
    return {f"{name}/{it}": torch_file() for it in ("model/pytorch_model.bin", "optimizer/optim.bin", "meta.pth")}


def three(layout: str, files: Mapping[str, bytes], *paths: str) -> Tree:
    return Tree(f"three of {layout}", layout, files, tuple(Expected(path) for path in paths))


EPOCHS = tuple(f"epoch={it}-step={it * 10}.ckpt" for it in (1, 2, 3))
STEPS = {500: 0.9, 1000: 0.8, 1500: 0.7}
MODELS = tuple(f"me-{it:06d}.safetensors" for it in (1, 2, 3))
ITERATIONS = tuple(f"iter_{it}000.pth" for it in (1, 2, 3))
PERIODS = tuple(f"checkpoint_{it}000.pt" for it in (1, 2, 3))
MORE = (
    three("lightning", {path: lightning(epoch=it, step=it * 10) for it, path in enumerate(EPOCHS, 1)}, *EPOCHS),
    three("lightning-sharded", {p: data for path in EPOCHS for p, data in sharded(path).items()}, *EPOCHS),
    three("lightning-deepspeed", {p: data for path in EPOCHS for p, data in zero(path).items()}, *EPOCHS),
    three(
        "nemo-dist",
        {path: data for step in nemo.SCORES for path, data in nemo.distributed(step).items()},
        *(f"checkpoints/{nemo.gpt(step)}" for step in nemo.SCORES),
    ),
    three(
        "transformers-deepspeed",
        {
            **transformers.saves(STEPS, None, ("rng_state_0.pth", "rng_state_1.pth")),
            **{path: data for step in STEPS for path, data in transformers.zero(step, (0, 1)).items()},
        },
        *(f"checkpoint-{step}" for step in STEPS),
    ),
    three(
        "mmengine-colossalai",
        {path: data for it in (1, 2, 3) for path, data in colossal(f"epoch_{it}.pth").items()},
        *(f"epoch_{it}.pth" for it in (1, 2, 3)),
    ),
    three(
        "kohya-state",
        {path: data for it in (1, 2, 3) for path, data in kohya.state(f"me-{it:06d}", it, it * 10, 2).items()},
        *(f"me-{it:06d}-state" for it in (1, 2, 3)),
    ),
    three("kohya", {path: safetensors() for path in MODELS}, *MODELS),
    three("mmengine-iter", {**dict.fromkeys(ITERATIONS, torch_file()), "run.log.json": b""}, *ITERATIONS),
    three(
        "ignite-periodic",
        dict.fromkeys(("net_1_val_acc=0.5000.pt", *PERIODS), torch_file()),
        *("net_1_val_acc=0.5000.pt", *PERIODS),
    ),
)
"""Of layouts whose trees hold too few that could go."""


class Case(NamedTuple):
    """A tree whose newest checkpoint is to be broken, and the one before, that must not go for it."""

    newest: Checkpoint
    before: str
    files: Mapping[str, bytes]
    """Of the newest, by path."""


class Way(NamedTuple):
    """One way to be half written."""

    name: str
    held: Mapping[str, bytes]
    folders: bool = False
    """Whether the folders in it are there although nothing is in them."""


def plan(root: Path) -> dict[str, Verdict]:
    """What a prune that keeps the last would do with every checkpoint."""
    store = open_store(str(root))
    now = store.clock()
    drawn = [plan_run(run, POLICY, now) for run in scan(store, Options(now=now))]
    return {it.path: it for run in drawn for it in run.verdicts if it.checkpoint is not None}


def lasts(verdicts: Mapping[str, Verdict]) -> list[Checkpoint]:
    """What is kept because it is the last."""
    kept = [
        verdict
        for verdict in verdicts.values()
        if verdict.action == "keep" and any(why.rule == "keep-last" for why in verdict.reasons)
    ]
    return [it.checkpoint for it in kept if it.checkpoint is not None]


def trees_of(layout: str) -> Iterator[Tree]:
    """The trees that hold a whole checkpoint of a layout."""
    for tree in (*MORE, *(it.values[0] for it in TREES)):
        assert isinstance(tree, Tree)
        if any((it.layout or tree.layout) == layout and it.state == "complete" for it in tree.expected):
            yield tree


def set_up(layout: str, root: Path) -> Case:
    """Plant the first tree of a layout in which a newest checkpoint makes an older one go."""
    for tree in trees_of(layout):
        shutil.rmtree(root, ignore_errors=True)
        plant(tree, root)
        _take_names_away(tree, root)
        verdicts = plan(root)
        for newest in lasts(verdicts):
            if newest.layout != layout:
                continue
            files = {it.path: (root / it.path).read_bytes() for it in newest.entries if it.kind == "file"}
            leave(root, newest, Way("gone", {}))
            before = [it.path for it in lasts(plan(root)) if verdicts[it.path].action == "drop"]
            if before:
                _commit(root, find_layout(layout), plan(root)[before[0]].checkpoint)
                return Case(newest, before[0], files)
            leave(root, newest, Way("whole", files))
    raise AssertionError(f"no tree in which a {layout} goes for a newer one")


def _take_names_away(tree: Tree, root: Path) -> None:
    """Remove what names a checkpoint, as when links were not copied: it would keep what it names."""
    for path in tree.pointers:
        if not any(path.startswith(f"{it.path}/") for it in tree.expected):
            (root / path).unlink(missing_ok=True)


def _commit(root: Path, layout: Layout, done: Checkpoint | None) -> None:
    """Let the file that says what is done name the one before, as a kill leaves it."""
    assert done is not None
    for spec in layout.pointers:
        if spec.commits:
            text = str(done.step) if spec.value == "step" else done.path.rpartition("/")[2]
            (root / done.path).with_name(spec.path).write_text(text)


def leave(root: Path, newest: Checkpoint, way: Way, *, is_fresh: bool = False) -> None:
    """Let so much be there of a checkpoint, with its times, or written just now."""
    folders = [it for it in newest.entries if it.kind == "dir"]
    for top in newest.tops:
        path = root / top.path
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    for place in folders if way.folders else folders[: way.name == "nothing in it"]:
        (root / place.path).mkdir(parents=True, exist_ok=True)
    for name, data in way.held.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    if not is_fresh:
        _give_back_times(root, newest.entries)


def _give_back_times(root: Path, entries: tuple[Entry, ...]) -> None:
    for entry in sorted(entries, key=lambda it: it.path, reverse=True):
        if (root / entry.path).exists() and entry.modified is not None:
            os.utime(root / entry.path, ns=(entry.modified, entry.modified))


def ways(case: Case) -> Iterator[Way]:
    """Every file missing, cut, empty, and alone; nothing at all; folders without anything in them."""
    files = case.files
    for path, data in files.items() if len(files) > 1 else ():
        yield Way(f"without {path}", {it: held for it, held in files.items() if it != path})
        if len(files) > 2:
            yield Way(f"only {path}", {path: data})
    for path, data in files.items():
        yield Way(f"empty {path}", {**files, path: b""})
        if len(data) > 1:
            yield Way(f"cut {path}", {**files, path: data[: len(data) // 2]})
    if any(it.kind == "dir" for it in case.newest.entries):
        yield Way("nothing in it", {})
        yield Way("nothing in its folders", {}, folders=True)


def can_be_seen(case: Case, way: Way, *, is_fresh: bool) -> bool:
    """Whether the layout tells that a save of which this is left was not done."""
    layout = case.newest.layout
    done = DONE.get(layout)
    if way.name.startswith("nothing"):
        return done is None or bool(done.marker)
    if done is not None:
        return bool(done.marker) and not _is_marked(case, way, done.marker)
    is_changed = way.name.startswith(("cut", "empty"))
    if is_fresh or not is_changed:
        return True
    return find_layout(layout).is_proved and layout not in SILENT


def _is_marked(case: Case, way: Way, marker: str) -> bool:
    """Whether what is written last is there, not empty, and not cut as far as its format tells."""
    globs = marker.split("|")
    top = case.newest.path
    named = {it: data for it, data in way.held.items() if any(_fits(it, top, glob) for glob in globs)}
    if "*" in marker:  # of several that are written together, any
        return any(named.values())
    is_told = [data == case.files[it] or bool(data and not _is_json(case.files[it])) for it, data in named.items()]
    return bool(named) and all(is_told)


def _fits(path: str, top: str, glob: str) -> bool:
    """Whether a path is a checkpoint's own, by the glob behind its stem or its folder."""
    return fnmatch(path.removeprefix(top).lstrip("/"), glob)


def _is_json(data: bytes) -> bool:
    try:
        return isinstance(json.loads(data), dict)
    except ValueError:
        return False


BY_OTHERS = {"generic-folder"}
"""Only those beside it show what it is; beside a half-written one alone it is a run, which no rule touches: its tests
are in tests/scan/test_save_folders.py."""
CASES = [layout.name for layout in LAYOUTS if layout.name not in {*ONE_OF_A_KIND, *BY_OTHERS}]
every_layout = pytest.mark.parametrize("layout", CASES)


@every_layout
@pytest.mark.parametrize("age", AGES)
def test_what_is_left_of_the_newest_never_goes(layout: str, age: str, tmp_path: Path) -> None:
    case = set_up(layout, tmp_path)
    lost: dict[str, list[str]] = {}
    for way in ways(case):
        leave(tmp_path, case.newest, way, is_fresh=age == "fresh")
        going = [it.checkpoint for it in plan(tmp_path).values() if it.action == "drop"]
        hit = {entry.path for it in going if it is not None for entry in it.entries} & way.held.keys()
        if hit:
            lost[way.name] = sorted(hit)
    assert lost == {}


@every_layout
@pytest.mark.parametrize("age", AGES)
def test_the_last_whole_one_does_not_go_for_a_half_written_newer_one(layout: str, age: str, tmp_path: Path) -> None:
    case = set_up(layout, tmp_path)
    lost: dict[str, str] = {}
    for way in ways(case):
        leave(tmp_path, case.newest, way, is_fresh=age == "fresh")
        verdicts = plan(tmp_path)
        if can_be_seen(case, way, is_fresh=age == "fresh") and verdicts[case.before].action == "drop":
            lost[way.name] = ", ".join(it.path for it in lasts(verdicts))
    assert lost == {}


@every_layout
def test_a_real_prune_leaves_both_in_place(layout: str, tmp_path: Path) -> None:
    case = set_up(layout, tmp_path)
    seen = [way for way in ways(case) if way.held and can_be_seen(case, way, is_fresh=True)]
    if not seen:
        pytest.skip(DONE[layout].why)
    leave(tmp_path, case.newest, seen[0], is_fresh=True)
    # 6: a settings file that is half written may say where a training began, and nothing goes until it is whole
    assert call("prune", tmp_path, "--keep-last", "1", "--yes").code in {0, 4, 6}
    assert {path: (tmp_path / path).read_bytes() for path in seen[0].held} == seen[0].held
    assert plan(tmp_path)[case.before].action == "keep"


@every_layout
def test_whole_it_does_make_the_one_before_go(layout: str, tmp_path: Path) -> None:
    """Else the tests above could not fail."""
    case = set_up(layout, tmp_path)
    for spec in find_layout(layout).pointers:
        if spec.commits:
            (tmp_path / case.before).with_name(spec.path).unlink(missing_ok=True)
    leave(tmp_path, case.newest, Way("whole", case.files))
    assert plan(tmp_path)[case.before].action == "drop"


def test_the_tables_name_layouts() -> None:
    known = {layout.name for layout in LAYOUTS}
    assert {*DONE, *SILENT, *ONE_OF_A_KIND} <= known
    assert DONE.keys().isdisjoint(ONE_OF_A_KIND)


@pytest.mark.parametrize("layout", ONE_OF_A_KIND)
def test_what_is_one_of_a_kind_never_goes(layout: str, tmp_path: Path) -> None:
    for number, tree in enumerate(trees_of(layout)):
        plant(tree, tmp_path / str(number))
        gone = [it for it in plan(tmp_path / str(number)).values() if it.action == "drop" and it.checkpoint is not None]
        assert layout not in {it.checkpoint.layout for it in gone if it.checkpoint is not None}


TWICE: Mapping[str, tuple[str, tuple[str, ...], str]] = {
    "accelerate": ("step_{}", ("model.safetensors", "random_states_0.pkl"), "random_states_1.pkl"),
    "kohya-state": ("me-step0000000{}-state", ("model.safetensors", "random_states_0.pkl"), "random_states_1.pkl"),
    "mmengine-fsdp": ("iter_{}.pth", ("rank0.pth",), "rank1.pth"),
    "orbax": ("{}", ("_CHECKPOINT_METADATA", "default/_METADATA"), "commit_success.txt"),
    "transformers": ("checkpoint-{}", ("trainer_state.json", "rng_state_0.pth"), "rng_state_1.pth"),
}
"""The name of a save, what each holds, and what those lack that were killed."""


@pytest.mark.parametrize(("name", "held", "lacking"), TWICE.values(), ids=TWICE)
def test_two_saves_killed_one_after_the_other_cost_no_whole_one(
    name: str, held: tuple[str, ...], lacking: str, tmp_path: Path
) -> None:
    """A cluster that is preempted kills save after save; that two are alike makes neither whole."""
    paths = [name.format(it) for it in (1, 2, 3, 4)]
    files = {f"{path}/{it}": b"{}" for path in paths for it in held}
    files |= {f"{path}/{lacking}": b"{}" for path in paths[:2]}
    plant(three("", files, *paths), tmp_path)
    verdicts = plan(tmp_path)
    assert [verdicts[path].action == "drop" for path in paths[:2]] == [True, False]


def test_shards_without_their_map_are_no_checkpoints_of_their_own(tmp_path: Path) -> None:
    """Keras writes the first shard before the map; and a map may be lost."""
    real = Path(__file__).parents[1] / "fixtures" / "layouts" / "keras"
    names = ("sh_00000.weights.h5", "sh_00001.weights.h5")
    plant(three("", {name: (real / name).read_bytes() for name in names}, *names), tmp_path)
    assert [path for path, it in plan(tmp_path).items() if it.action == "drop"] == []


def test_what_lies_in_a_folder_whose_proof_is_lost_is_no_run(tmp_path: Path) -> None:
    """A SpeechBrain folder of which ``CKPT.yaml`` was deleted first."""
    names = ("brain", "model", "optimizer")
    folder = "CKPT+2026-04-15+10-11-12+00"
    plant(three("", {f"{folder}/{name}.ckpt": torch_file() for name in names}, folder), tmp_path)
    assert [path for path, it in plan(tmp_path).items() if it.action == "drop"] == []
