"""The names that we make: where, to what, and never over a state of its own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ckptctl.core.model import Checkpoint, Run
from ckptctl.errors import Refused
from ckptctl.prune.best_last_links import LinkPlan, LinkType, make_link, plan_link, with_extension
from ckptctl.scan.runs import Options, scan
from ckptctl.stores.local import LocalStore, open_url
from tests.states import lightning

WHOLE = lightning()


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    """A run in a folder: two plain ones, one in a folder that a slash made, and a last of its own."""
    for name in ("epoch=1.ckpt", "epoch=2.ckpt", "epoch=3-val/loss=0.4.ckpt", "last.ckpt"):
        path = tmp_path / "run" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(WHOLE)
    return open_url(str(tmp_path))


def run_in(store: LocalStore) -> Run:
    (run,) = scan(store, Options())
    return run


def find(run: Run, name: str) -> Checkpoint:
    return next(it for it in run.checkpoints if it.path == f"run/{name}")


def plan(store: LocalStore, name: str, of: str, kind: LinkType = "symlink") -> LinkPlan | None:
    run = run_in(store)
    return plan_link(store, run, name, find(run, of), kind)


def link(store: LocalStore, name: str, of: str, kind: LinkType = "symlink") -> None:
    planned = plan(store, name, of, kind)
    assert planned is not None
    make_link(store, planned)


@pytest.mark.parametrize(
    ("name", "path", "text"),
    [
        ("best", "run/best.ckpt", "epoch=1.ckpt"),
        ("best.ckpt", "run/best.ckpt", "epoch=1.ckpt"),
        ("sub/best", "run/sub/best.ckpt", "../epoch=1.ckpt"),
    ],
)
def test_a_link_has_the_checkpoints_extension_and_a_relative_text(
    store: LocalStore, name: str, path: str, text: str
) -> None:
    planned = plan(store, name, "epoch=1.ckpt")
    assert planned == LinkPlan(path, "run/epoch=1.ckpt")
    assert planned is not None
    assert (planned.target, planned.is_right) == (text, False)


def test_a_link_leads_into_a_folder_that_a_slash_made(store: LocalStore, tmp_path: Path) -> None:
    link(store, "best", "epoch=3-val/loss=0.4.ckpt")
    assert os.readlink(tmp_path / "run" / "best.ckpt") == "epoch=3-val/loss=0.4.ckpt"


def test_a_link_in_the_root_is_relative_too() -> None:
    assert LinkPlan("best.ckpt", "epoch=1.ckpt").target == "epoch=1.ckpt"


def test_a_link_that_stands_is_right_and_one_that_leads_elsewhere_is_repointed(
    store: LocalStore, tmp_path: Path
) -> None:
    link(store, "best", "epoch=1.ckpt")
    right = plan(store, "best", "epoch=1.ckpt")
    assert right is not None
    assert right.is_right
    wrong = plan(store, "best", "epoch=2.ckpt")
    assert wrong is not None
    assert (wrong.is_right, wrong.before) == (False, "epoch=1.ckpt")
    make_link(store, wrong)
    assert os.readlink(tmp_path / "run" / "best.ckpt") == "epoch=2.ckpt"


@pytest.mark.parametrize("target", ["gone.ckpt", "best.ckpt"], ids=["dangling", "loop"])
def test_a_broken_link_is_repaired(store: LocalStore, tmp_path: Path, target: str) -> None:
    (tmp_path / "run" / "best.ckpt").symlink_to(target)
    link(store, "best", "epoch=1.ckpt")
    assert (tmp_path / "run" / "best.ckpt").resolve() == tmp_path / "run" / "epoch=1.ckpt"


def test_a_checkpoint_that_has_the_very_name_needs_no_link(store: LocalStore) -> None:
    assert plan(store, "last", "last.ckpt") is None


def test_a_file_of_its_own_is_never_replaced(store: LocalStore, tmp_path: Path) -> None:
    before = (tmp_path / "run" / "last.ckpt").read_bytes()
    with pytest.raises(Refused, match=r"'run/last\.ckpt' is a file of its own"):
        plan(store, "last", "epoch=2.ckpt")
    assert (tmp_path / "run" / "last.ckpt").read_bytes() == before


@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_what_is_neither_file_nor_link_is_never_replaced(store: LocalStore, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "run" / "best.ckpt"
    path.mkdir() if kind == "folder" else os.mkfifo(path)
    with pytest.raises(Refused, match={"folder": "is a folder", "pipe": "is neither file nor link"}[kind]):
        plan(store, "best", "epoch=1.ckpt")


@pytest.mark.parametrize("name", ["../best", "/best"])
def test_a_name_that_leads_out_of_the_root_is_an_error(store: LocalStore, name: str) -> None:
    with pytest.raises(OSError):  # noqa: PT011 - the store says which
        plan(store, f"../{name}" if name.startswith(".") else name, "epoch=1.ckpt")


# Hard links and copies


def test_a_hard_link_is_another_name_of_the_file(store: LocalStore, tmp_path: Path) -> None:
    link(store, "best", "epoch=1.ckpt", "hardlink")
    assert (tmp_path / "run" / "best.ckpt").samefile(tmp_path / "run" / "epoch=1.ckpt")


def test_a_hard_link_of_ours_is_right_or_repointed_for_its_file_has_another_name(
    store: LocalStore, tmp_path: Path
) -> None:
    link(store, "best", "epoch=1.ckpt", "hardlink")
    right = plan(store, "best", "epoch=1.ckpt", "hardlink")
    assert right is not None
    assert right.is_right
    assert not right._replace(kind="symlink").is_right
    link(store, "best", "epoch=2.ckpt", "hardlink")
    assert (tmp_path / "run" / "best.ckpt").samefile(tmp_path / "run" / "epoch=2.ckpt")
    assert (tmp_path / "run" / "epoch=1.ckpt").read_bytes() == WHOLE


def test_a_copy_is_a_file_of_its_own(store: LocalStore, tmp_path: Path) -> None:
    link(store, "best", "epoch=1.ckpt", "copy")
    path = tmp_path / "run" / "best.ckpt"
    assert path.read_bytes() == WHOLE
    assert not path.samefile(tmp_path / "run" / "epoch=1.ckpt")
    with pytest.raises(Refused, match="may be the only copy"):
        plan(store, "best", "epoch=2.ckpt", "copy")


def test_a_pointer_is_a_text_without_an_extension_that_the_next_scan_follows(store: LocalStore, tmp_path: Path) -> None:
    link(store, "best", "epoch=1.ckpt", "pointer")
    assert (tmp_path / "run" / "best").read_text() == "epoch=1.ckpt\n"
    assert find(run_in(store), "epoch=1.ckpt").aliases == ("run/best",)
    right = plan(store, "best", "epoch=1.ckpt", "pointer")
    assert right is not None
    assert right.is_right
    link(store, "best", "epoch=2.ckpt", "pointer")
    assert (tmp_path / "run" / "best").read_text() == "epoch=2.ckpt\n"


def test_a_text_that_names_no_checkpoint_is_never_replaced(store: LocalStore, tmp_path: Path) -> None:
    (tmp_path / "run" / "best").write_text("my notes")
    with pytest.raises(Refused, match="is a file of its own"):
        plan(store, "best", "epoch=1.ckpt", "pointer")


@pytest.mark.parametrize("kind", ["hardlink", "copy"])
def test_a_folder_can_only_be_linked_by_its_name(tmp_path: Path, kind: LinkType) -> None:
    folder = tmp_path / "run" / "epoch=1.ckpt"
    folder.mkdir(parents=True)
    for name in ("meta.pt", ".metadata"):
        (folder / name).write_bytes(b"x")
    store = open_url(str(tmp_path))
    with pytest.raises(Refused, match="is no single file") as caught:
        plan(store, "best", "epoch=1.ckpt", kind)
    assert caught.value.hint == "use --kind symlink"
    link(store, "best", "epoch=1.ckpt")
    assert (tmp_path / "run" / "best.ckpt").resolve() == folder


@pytest.mark.parametrize(
    ("name", "path", "layout", "expected"),
    [
        ("best", "a/epoch=1.ckpt", "lightning", "best.ckpt"),
        ("best.ckpt", "a/epoch=1.ckpt", "lightning", "best.ckpt"),
        ("best", "01.weights.h5", "keras", "best.weights.h5"),
        ("best", "01.h5", "keras", "best.h5"),
        ("best", "01.tpkc", "lightning", "best"),
    ],
)
def test_a_name_takes_the_extension_of_its_layout(name: str, path: str, layout: str, expected: str) -> None:
    assert with_extension(name, Checkpoint(path, layout, "file", ())) == expected


# What happens between the scan and the link


@pytest.mark.parametrize("kind", ["hardlink", "pointer"])
def test_a_name_under_which_training_saved_meanwhile_is_not_replaced(store: LocalStore, kind: LinkType) -> None:
    link(store, "best", "epoch=1.ckpt", kind)
    run = run_in(store)
    path = Path(store.root, "run", "best.ckpt" if kind == "hardlink" else "best")
    path.unlink()
    path.write_bytes(WHOLE)
    with pytest.raises(Refused, match="may be the only copy"):
        plan_link(store, run, "best", find(run, "epoch=2.ckpt"), kind)
    assert path.read_bytes() == WHOLE


def test_a_name_that_training_took_meanwhile_is_not_replaced(store: LocalStore) -> None:
    planned = plan(store, "best", "epoch=1.ckpt")
    assert planned is not None
    path = Path(store.root, "run", "best.ckpt")
    path.write_bytes(WHOLE)
    with pytest.raises(FileExistsError):
        make_link(store, planned)
    assert sorted(os.listdir(path.parent)) == [
        "best.ckpt", "epoch=1.ckpt", "epoch=2.ckpt", "epoch=3-val", "last.ckpt",
    ]  # fmt: skip
    assert path.read_bytes() == WHOLE


# Other frameworks


def plan_in(tmp_path: Path, files: dict[str, bytes], kind: LinkType) -> LinkPlan | None:
    for name, data in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    held = open_url(str(tmp_path))
    (run,) = scan(held, Options())
    return plan_link(held, run, "best", run.checkpoints[0], kind)


FAMILY = {"ckpt-7.index": b"i", "ckpt-7.data-00000-of-00001": b"d"}


def test_a_folder_is_linked_by_its_name(tmp_path: Path) -> None:
    planned = plan_in(tmp_path, {"checkpoint-500/trainer_state.json": b"{}"}, "symlink")
    assert planned is not None
    make_link(open_url(str(tmp_path)), planned)
    assert (tmp_path / "best").readlink() == Path("checkpoint-500")


@pytest.mark.parametrize("kind", ["symlink", "hardlink", "copy"])
def test_no_link_can_stand_for_several_files(tmp_path: Path, kind: LinkType) -> None:
    with pytest.raises(Refused, match="several files") as caught:
        plan_in(tmp_path, FAMILY, kind)
    assert "--kind pointer" in (caught.value.hint or "")


def test_a_text_file_may_name_several_files_by_what_they_share(tmp_path: Path) -> None:
    planned = plan_in(tmp_path, FAMILY, "pointer")
    assert planned is not None
    make_link(open_url(str(tmp_path)), planned)
    assert (tmp_path / "best").read_text() == "ckpt-7\n"


def test_no_name_is_put_where_the_framework_would_stumble_over_it(tmp_path: Path) -> None:
    """With a limit, accelerate's save_state takes the number of everything that lies beside its checkpoints."""
    with pytest.raises(Refused, match="accelerate stops at a name without a number"):
        plan_in(tmp_path, {"checkpoint_1/random_states_0.pkl": b"x"}, "symlink")
