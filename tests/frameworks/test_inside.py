"""Inside of real checkpoints on torch: show, verify, diff, slim and average, beside what their frameworks read."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.frameworks import environments
from tests.frameworks.conftest import FIRST_SEED, Answer, run
from tests.frameworks.folders import make_old

pytestmark = [pytest.mark.environments, pytest.mark.slow]

Truth = dict[str, Any]
SHARED = "weights and optimizer state share its files"
UNKNOWN = "nobody has told what of this layout serves only to resume"


class Form(NamedTuple):
    """One of the forms that the writer saves in."""

    name: str
    has_sums: bool
    """Whether the format of its weights has checksums."""
    entangled: str = ""
    """Why it cannot be slimmed."""
    is_dcp: bool = False
    """Whether its shards mean nothing by themselves, so that none is averaged."""


FORMS = (
    Form("torch", has_sums=True),
    Form("dcp", has_sums=True, entangled=SHARED, is_dcp=True),
    Form("dcp-ranks", has_sums=True, entangled=SHARED, is_dcp=True),
    Form("trainer", has_sums=False),
    Form("trainer-shards", has_sums=False),
    Form("model-shards", has_sums=False, entangled=UNKNOWN),
    Form("bin-shards", has_sums=True, entangled=UNKNOWN),
    Form("lora", has_sums=False),
    Form("lora-bin", has_sums=True, entangled=UNKNOWN),
    Form("accelerate", has_sums=False),
    Form("accelerate-bin", has_sums=True),
)
NAMES = [it.name for it in FORMS]
SLIMMED = [it.name for it in FORMS if not it.entangled]
AVERAGED = [it.name for it in FORMS if not it.is_dcp]
EXPORTED = ["torch", "accelerate-bin"]
FOLDERS = [it.name for it in FORMS if it.name != "torch"]
every_form = pytest.mark.parametrize("name", NAMES)


class Saved(NamedTuple):
    """The saves of a form, and what its framework reads in them."""

    root: str
    truth: Truth

    def path(self, nth: int) -> str:
        """Of a save, from 0."""
        return os.path.join(self.root, self.truth["saves"][nth])

    @property
    def weights(self) -> list[list[str]]:
        """The files with weights in each of the saves, one list for each of them."""
        return [
            [os.path.join(self.path(nth), file) if file else self.path(nth) for nth in range(3)] for file in self.files
        ]

    @property
    def files(self) -> list[str]:
        """Those of one save; "" where it is a file itself."""
        return list(self.truth["weights"])


class Made(NamedTuple):
    """What ckptctl made of all saves, and how the frameworks judged it."""

    slims: Mapping[str, Answer]
    means: Mapping[str, list[Answer]]
    others: Mapping[str, list[Answer]]
    """Of forms whose weights lie in one file of torch's: both as safetensors."""
    bare: Answer
    judged: Truth


@pytest.fixture(scope="session")
def saves(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Saved]:
    """Gives the saves of a form, written when the first is asked for."""
    known: dict[str, Saved] = {}

    def ask(name: str) -> Saved:
        if not known:
            folder = str(tmp_path_factory.mktemp("inside"))
            told = environments.ask("torch", "inside_run.py", "train", folder, str(FIRST_SEED))
            make_old(folder)
            known.update({form: Saved(os.path.join(folder, form), truth) for form, truth in told.items()})
        return known[name]

    return ask


@pytest.fixture(scope="session")
def made(saves: Callable[[str], Saved]) -> Made:
    """Every save slimmed and averaged where that can be, and loaded by its framework."""
    slims = {name: slim(saves(name)) for name in NAMES}
    means = {name: average(saves(name)) for name in AVERAGED}
    others = {name: export(saves(name)) for name in EXPORTED}
    single = saves("torch")
    bare = run("slim", single.path(1), "--bare", "-o", os.path.join(single.root, "bare"))
    folder = os.path.dirname(single.root)
    return Made(slims, means, others, bare, environments.ask("torch", "inside_run.py", "resume", folder)[folder])


def slim(saved: Saved) -> Answer:
    return run("slim", saved.path(1), "-o", os.path.join(saved.root, "slim"))


def average(saved: Saved) -> list[Answer]:
    """The means of the files with weights, in a copy of the first save where they lie in a folder."""
    target = os.path.join(saved.root, "mean")
    if saved.files == [""]:
        return [run("average", *saved.weights[0], "-o", target)]
    ignored = shutil.ignore_patterns(*saved.files)
    shutil.copytree(saved.path(0), target, ignore=ignored)
    pairs = zip(saved.files, saved.weights, strict=True)
    return [run("average", *paths, "-o", os.path.join(target, file)) for file, paths in pairs]


def export(saved: Saved) -> list[Answer]:
    """The weights of the second save, and the mean of all, as safetensors."""
    (paths,) = saved.weights
    slimmed, mean = (os.path.join(saved.root, f"{it}.safetensors") for it in ("slim", "mean"))
    return [run("slim", paths[1], "--to", "safetensors", "-o", slimmed), run("average", *paths, "-o", mean)]


def copy(saved: Saved, to: Path, nth: int = 1) -> str:
    """A copy of a save, under its name."""
    target = str(to / "runs" / saved.truth["saves"][nth])
    (shutil.copytree if os.path.isdir(saved.path(nth)) else copy_file)(saved.path(nth), target)
    return target


def copy_file(source: str, target: str) -> None:
    os.makedirs(os.path.dirname(target))
    shutil.copy(source, target)


@every_form
def test_show_tells_the_tensors_that_the_framework_reads(name: str, saves: Callable[[str], Saved]) -> None:
    saved = saves(name)
    answer = run("show", saved.path(0), "--json")
    assert answer.code == 0, answer.err
    told = {it["name"]: [it["shape"], it["dtype"], it["bytes"]] for it in answer.json["contents"]["tensors"]}
    assert told == {tensor: it[:3] for tensor, it in saved.truth["tensors"].items()}


@every_form
def test_parts_are_as_large_as_the_memory_that_the_frameworks_tensors_take(
    name: str, saves: Callable[[str], Saved]
) -> None:
    saved = saves(name)
    contents = run("show", saved.path(0), "--json").json["contents"]
    homes: dict[str, dict[int, int]] = {"weights": {}, "optimizer": {}, "other": {}}
    for tensor in contents["tensors"]:
        _, _, size, home = saved.truth["tensors"][tensor["name"]]
        homes[tensor["part"]][home] = size
    for part in ("weights", "optimizer"):
        assert contents["parts"][part] == sum(homes[part].values())


@every_form
def test_what_the_framework_saved_is_whole_to_the_last_byte(name: str, saves: Callable[[str], Saved]) -> None:
    for nth in range(3):
        answer = run("verify", saves(name).path(nth), "--deep", "--finite", "--json")
        assert (answer.code, [it["findings"] for it in answer.json["checkpoints"]]) == (0, [[]])


@pytest.mark.parametrize("form", FORMS, ids=lambda it: it.name)
def test_a_byte_that_went_bad_in_a_weight_is_found_where_there_are_checksums(
    form: Form, saves: Callable[[str], Saved], tmp_path: Path
) -> None:
    saved = saves(form.name)
    path = copy(saved, tmp_path)
    spoil(path, bytes.fromhex(saved.truth["sample"]))
    make_old(str(tmp_path))
    answer = run("verify", path, "--deep", "--json")
    found = [it["id"] for it in answer.json["checkpoints"][0]["findings"]]
    assert (answer.code, found) == ((5, ["checksum"]) if form.has_sums else (0, []))
    assert run("verify", path).code == 0
    assert len(run("diff", saved.path(1), path, "--json").json["changed"]) >= 1


def spoil(path: str, sample: bytes) -> None:
    """Change a bit of a weight, wherever it lies in a save."""
    files = [os.path.join(path, it) for it in os.listdir(path)] if os.path.isdir(path) else [path]
    for file in files:
        content = Path(file).read_bytes()
        if sample in content:
            place = content.index(sample)
            Path(file).write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
            return
    pytest.fail(f"{sample!r} is nowhere in {path}")


@pytest.mark.parametrize("name", FOLDERS)
def test_every_file_of_weights_that_is_missing_is_told(
    name: str, saves: Callable[[str], Saved], tmp_path: Path
) -> None:
    """A file that an index or metadata name is damage; one that nothing names is a doubt, where the rest is there."""
    saved = saves(name)
    for number, file in enumerate(saved.files):
        path = copy(saved, tmp_path / str(number))
        os.remove(os.path.join(path, file))
        make_old(str(tmp_path))
        answer = run("verify", path, "--json")
        if name == "lora-bin":  # nothing that says what was in it is left
            assert answer.code == 4
            continue
        found = [it["id"] for it in answer.json["checkpoints"][0]["findings"]]
        single = len(saved.files) == 1 and "dcp" not in name
        told = (
            "partial" if name in {"model-shards", "bin-shards"} else "missing-file"
        )  # those are read without an index
        assert (answer.code, found) == ((0, ["no-weights"]) if single else (5, [told]))


@pytest.mark.parametrize("name", ["dcp", "dcp-ranks"])
def test_a_distributed_save_that_was_killed_is_partial_and_no_suspect(
    name: str, saves: Callable[[str], Saved], tmp_path: Path
) -> None:
    path = copy(saves(name), tmp_path)
    os.remove(os.path.join(path, ".metadata"))
    make_old(str(tmp_path))
    answer = run("verify", path, "--json")
    found = [it["id"] for it in answer.json["checkpoints"][0]["findings"] if it["severity"] == "error"]
    assert (answer.code, found) == (5, ["partial"])


@every_form
def test_the_difference_of_two_saves_is_what_torch_works_out(name: str, saves: Callable[[str], Saved]) -> None:
    """In float64; the sums are added in another order."""
    saved = saves(name)
    found = run("diff", saved.path(0), saved.path(1), "--json").json
    assert [found[kind] for kind in ("added", "removed", "reshaped", "retyped")] == [[], [], [], []]
    assert [it["name"] for it in found["unread"]] == saved.truth["packed"]
    changed = {it["name"]: (it["max"], it["mean"]) for it in found["changed"]}
    apart = {tensor: tuple(it) for tensor, it in saved.truth["apart"].items() if it[0]}
    assert changed == {tensor: pytest.approx(it, rel=1e-12) for tensor, it in apart.items()}
    assert len(changed) + found["same"] == len(saved.truth["apart"])


@every_form
def test_a_save_and_itself_have_no_difference(name: str, saves: Callable[[str], Saved]) -> None:
    saved = saves(name)
    found = run("diff", saved.path(2), saved.path(2), "--json").json
    packed = len(saved.truth["packed"])
    assert (found["changed"], found["metadata"], found["same"]) == ([], [], len(saved.truth["tensors"]) - packed)


def test_saves_of_one_state_by_one_process_and_by_several_are_the_same(saves: Callable[[str], Saved]) -> None:
    alone, ranks = saves("dcp"), saves("dcp-ranks")
    answer = run("diff", alone.path(2), ranks.path(2))
    assert answer.err == f"no tensor differs · {len(alone.truth['tensors'])} tensors the same\n"


@pytest.mark.parametrize("name", SLIMMED)
def test_what_slim_leaves_loads_in_the_framework_with_equal_weights(name: str, made: Made) -> None:
    assert made.slims[name].code == 0, made.slims[name].err
    assert made.judged[name]["slim"] == []


@pytest.mark.parametrize("name", SLIMMED)
def test_nothing_of_the_optimizer_is_left(name: str, saves: Callable[[str], Saved], made: Made) -> None:
    assert made.slims[name].code == 0
    parts = run("show", os.path.join(saves(name).root, "slim"), "--json").json["contents"]["parts"]
    before = run("show", saves(name).path(1), "--json").json["contents"]["parts"]
    assert (parts["optimizer"], parts["weights"]) == (0, before["weights"])


@pytest.mark.parametrize("form", [it for it in FORMS if it.entangled], ids=lambda it: it.name)
def test_what_cannot_be_slimmed_is_refused_with_the_reason(form: Form, made: Made) -> None:
    answer = made.slims[form.name]
    assert answer.code == 6
    assert form.entangled in answer.err


@pytest.mark.parametrize("name", AVERAGED)
def test_the_mean_loads_in_the_framework_and_is_that_of_torch_to_the_bit(name: str, made: Made) -> None:
    assert [it.code for it in made.means[name]] == [0] * len(made.means[name]), made.means[name]
    assert made.judged[name]["mean"] == []


@pytest.mark.parametrize("name", EXPORTED)
def test_safetensors_have_the_names_and_the_numbers_of_the_state_dict(name: str, made: Made) -> None:
    assert [it.code for it in made.others[name]] == [0, 0], made.others[name]
    assert (made.judged[name]["slim.safetensors"], made.judged[name]["mean.safetensors"]) == ([], [])


def test_bare_is_the_state_dict_by_itself(made: Made) -> None:
    assert made.bare.code == 0, made.bare.err
    assert made.judged["torch"]["bare"] == []


@pytest.mark.parametrize("name", ["trainer", "lora", "accelerate", "accelerate-bin"])
def test_of_folders_the_files_with_the_weights_are_averaged(
    name: str, saves: Callable[[str], Saved], made: Made, tmp_path: Path
) -> None:
    assert [it.code for it in made.means[name]] == [0]
    saved = saves(name)
    (file,) = saved.files
    out = tmp_path / file
    answer = run("average", *(saved.path(nth) for nth in range(3)), "-o", str(out))
    assert answer.code == 0, answer.err
    assert out.read_bytes() == Path(saved.root, "mean", file).read_bytes()


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("trainer-shards", "its weights lie in 2 files"),
        ("model-shards", "nobody has told which of its files holds the weights"),
        ("dcp", "nobody has told which of its files holds the weights"),
        ("dcp-ranks", "nobody has told which of its files holds the weights"),
    ],
)
def test_folders_whose_weights_are_not_in_one_file_are_not_averaged(
    name: str, why: str, saves: Callable[[str], Saved], tmp_path: Path
) -> None:
    saved = saves(name)
    answer = run("average", saved.path(0), saved.path(1), "-o", str(tmp_path / "mean.pt"))
    assert answer.code == 6
    assert why in answer.err
    assert os.listdir(tmp_path) == []
