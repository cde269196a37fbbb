"""One name, one answer: whatever stands for a checkpoint is taken for it by every command."""

from __future__ import annotations

import os
import shutil
from functools import cache
from pathlib import Path

import pytest

from ckptctl.core.units import NANOSECONDS
from ckptctl.errors import NoCheckpoint, PathMissing
from ckptctl.formats.torch_writer import encode_torch
from ckptctl.scan.resolve import FilteredStore, resolve_checkpoint, resolve_checkpoints, resolve_listed
from ckptctl.scan.runs import Options
from ckptctl.stores import open_store
from tests.cli.calls import BEST, NAMES, ROOT, Answer, age, call, listing, make_run
from tests.layouts.tree import json_file, safetensors

NOW = Options(now=2 * 10**9 * NANOSECONDS)
FOLDER, FAMILY = "hf/checkpoint-500", "tf/ckpt-200"
KINDS = {
    "a file": (f"run/{BEST}", f"run/{BEST}"),
    "a file with a slash at its end": (f"run/{BEST}/", f"run/{BEST}"),
    "a link to a file": ("run/best.ckpt", f"run/{BEST}"),
    "a link from another folder": ("links/good.ckpt", f"run/{BEST}"),
    "a link to a link": ("run/again.ckpt", f"run/{BEST}"),
    "a link in a linked folder": ("linked/best.ckpt", f"linked/{BEST}"),
    "a hard link": ("run/final.ckpt", f"run/{BEST}"),
    "a folder with a slash at its end": (f"{FOLDER}/", FOLDER),
    "a folder as seen from inside": (f"{FOLDER}/.", FOLDER),
    "a link to a folder": ("hf/newest", FOLDER),
    "a link to a folder, with a slash at its end": ("hf/newest/", FOLDER),
    "a text that names a folder": ("hf/latest", FOLDER),
    "the stem of a family": (FAMILY, FAMILY),
    "a member of a family": (f"{FAMILY}.index", FAMILY),
    "another member of it": (f"{FAMILY}.data-00000-of-00001", FAMILY),
    "a link to a member": ("tf/link", FAMILY),
    "the file in which a framework names its newest": ("tf/checkpoint", "tf/ckpt-300"),
}
"""A name, and the checkpoint's own."""
LOOKS = {
    "show": ("show", "{}", "--json"),
    "verify": ("verify", "{}"),
    "diff": ("diff", "{}", f"run/{NAMES[0]}", "--json"),
    "slim": ("slim", "{}", "-o", "out", "-n", "--json"),
    "average": ("average", "{}", f"run/{NAMES[0]}", "-o", "mean.safetensors"),
    "explain": ("explain", "{}", "--keep-last", "1"),
    "explain in a tree": ("explain", "{}", "--keep-last", "1", "--in", "."),
    "pin": ("pin", "{}"),
    "unpin": ("unpin", "{}"),
}
OTHERS = {
    "a file in a folder that is a checkpoint": f"{FOLDER}/model.safetensors",
    "a file that holds no weights": "run/odd",
}
NEEDS_LISTED = {"explain", "explain in a tree", "pin", "unpin"}


def make_tree(root: Path) -> Path:
    """A run of files, one of folders, one of families, and what stands for some of them."""
    run = make_run(root / "run")
    (run / "best.ckpt").symlink_to(BEST)
    (run / "again.ckpt").symlink_to("best.ckpt")
    (run / "final.ckpt").hardlink_to(run / BEST)
    (run / "odd").write_bytes(encode_torch({"predictions": [[1, 2], [3]]}))
    (root / "links").mkdir()
    (root / "links" / "good.ckpt").symlink_to(run / BEST)
    (root / "linked").symlink_to("run")
    for step in (500, 1000):
        folder = root / f"hf/checkpoint-{step}"
        folder.mkdir(parents=True)
        (folder / "model.safetensors").write_bytes(safetensors())
        (folder / "trainer_state.json").write_bytes(json_file({"global_step": step}))
    (root / "hf/newest").symlink_to("checkpoint-500")
    (root / "hf/latest").write_text("checkpoint-500\n")
    shutil.copytree(ROOT / "tests/fixtures/layouts/tf/mgr", root / "tf")
    (root / "tf/link").symlink_to("ckpt-200.index")
    for place, _, names in os.walk(root):
        for name in names:
            age(Path(place, name), 7200)
    (run / "dangling").symlink_to("gone")
    return root


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree for those that put back what they change."""
    return make_tree(tmp_path_factory.mktemp("tree"))


@pytest.fixture
def seen(shared: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """That tree as the current directory."""
    monkeypatch.chdir(shared)
    return shared


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tree of one's own, as the current directory."""
    monkeypatch.chdir(tmp_path)
    return make_tree(tmp_path)


def told(words: tuple[str, ...], name: str) -> Answer:
    answer = call(*(word.format(name) for word in words))
    for made in (*Path().glob("*/*.keep"), *Path().glob("mean.*")):
        made.unlink(missing_ok=True)  # it may be there under two names
    return answer


own_answer = cache(told)


@pytest.mark.parametrize("words", LOOKS.values(), ids=LOOKS)
@pytest.mark.parametrize(("name", "own"), KINDS.values(), ids=KINDS)
def test_whatever_stands_for_a_checkpoint_is_answered_as_its_own_name(
    seen: Path, name: str, own: str, words: tuple[str, ...]
) -> None:
    expected, answer = own_answer(words, own), told(words, name)
    assert answer.code == expected.code
    assert neutral(answer.out, name, own) == neutral(expected.out, name, own)
    assert neutral(answer.err, name, own) == neutral(expected.err, name, own)


def neutral(text: str, name: str, own: str) -> str:
    """A text as if the own name had been typed: what is named from elsewhere is answered by its absolute path."""
    return text.replace(name, own).replace(f"{os.getcwd()}/", "")


@pytest.mark.parametrize("command", LOOKS)
@pytest.mark.parametrize("name", OTHERS.values(), ids=OTHERS)
def test_what_no_listing_shows_may_be_looked_at_and_is_neither_kept_nor_explained(
    seen: Path, name: str, command: str
) -> None:
    before = listing(seen)
    answer = told(LOOKS[command], name)
    if command in NEEDS_LISTED:
        assert (answer.code, f"{name}: is no checkpoint" in answer.err) == (4, True)
        assert listing(seen) == before
    else:
        assert (answer.code != 4, "is no checkpoint" in answer.err) == (True, False)


@pytest.mark.parametrize("command", LOOKS)
@pytest.mark.parametrize("name", ["links", "run/none.ckpt", "none/x.ckpt", "run/dangling"])
def test_what_is_none_at_all_is_found_by_no_command(seen: Path, name: str, command: str) -> None:
    assert told(LOOKS[command], name).code == 4


POINTERS = ["run/again.ckpt", "run/best.ckpt", "run/final.ckpt", "hf/newest", "hf/latest", "tf/link", "tf/checkpoint"]


@pytest.mark.parametrize("kind", KINDS)
def test_only_its_own_name_deletes_a_checkpoint(tree: Path, kind: str) -> None:
    name, own = KINDS[kind]
    is_own, is_link = os.path.realpath(name) == str(tree / own), os.path.islink(name.rstrip("/"))
    for pointer in POINTERS if is_own and not is_link else ():
        (tree / pointer).unlink()  # they would hold it
    before = listing(tree)
    answer = call("rm", name, "--yes")
    assert answer.code == (6 if is_link else 0 if is_own or name == own else 4), answer.err
    assert (listing(tree) == before) == (answer.code != 0)


def test_each_is_pinned_once_under_whichever_names(seen: Path) -> None:
    found = resolve_listed([f"run/{BEST}", "run/best.ckpt", "linked/best.ckpt", FOLDER, "hf/latest"], NOW)
    assert [it.checkpoint.path for it in found] == [BEST, "checkpoint-500"]


def test_of_several_names_in_a_folder_each_is_found(seen: Path) -> None:
    found = resolve_checkpoints([f"run/{name}" for name in NAMES[::-1]] + [FAMILY], NOW)
    assert [it.checkpoint.path for it in found] == [*NAMES[::-1], "ckpt-200"]


def test_a_pointer_file_in_a_large_folder_is_found_too(tree: Path) -> None:
    for step in range(2000, 2150):
        shutil.copytree(tree / FOLDER, tree / f"hf/checkpoint-{step}")
    assert resolve_checkpoint("hf/latest", NOW).checkpoint.path == "checkpoint-500"


def test_of_a_large_folder_only_what_may_tell_of_the_named_is_looked_at(tmp_path: Path) -> None:
    for number in range(150):
        (tmp_path / f"epoch={number}.ckpt").touch()
    for name in ("epoch=7.ckpt.keep", "config.yaml", "lr.ckpt"):
        (tmp_path / name).touch()
    (tmp_path / "best.ckpt").symlink_to("epoch=7.ckpt")
    (folder,) = FilteredStore(open_store(str(tmp_path)), ["epoch=7.ckpt", "lr.ckpt"]).walk(stat=True)
    assert [it.path for it in folder.entries if "epoch" not in it.path] == ["best.ckpt", "config.yaml", "lr.ckpt"]
    (folder,) = FilteredStore(open_store(str(tmp_path)), ["lr.ckpt"]).walk(stat=True)
    assert [it.path for it in folder.entries if "epoch" in it.path] == ["epoch=7.ckpt.keep"]


@pytest.mark.parametrize(("name", "error"), [("links", NoCheckpoint), ("run/x", PathMissing), ("/", NoCheckpoint)])
def test_what_is_not_there_and_what_holds_others_raise(seen: Path, name: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        resolve_checkpoint(name, NOW)
