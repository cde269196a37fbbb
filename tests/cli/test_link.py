from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cli.calls import BEST, LAST, NAMES, call, listing, make_run, save, state


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return make_run(tmp_path / "runs" / "a")


def links_in(folder: Path) -> dict[str, str]:
    return {path.name: os.readlink(path) for path in folder.iterdir() if path.is_symlink()}


def test_last_and_best_are_linked(run: Path) -> None:
    answer = call("link", run, "--last", "--best")
    assert answer.code == 0
    assert answer.lines == [f"made\t{run}/last.ckpt\t{LAST}", f"made\t{run}/best.ckpt\t{BEST}"]
    assert links_in(run) == {"last.ckpt": LAST, "best.ckpt": BEST}


def test_each_run_gets_its_own(run: Path) -> None:
    other = save(run.parent / "b", ["epoch=0-val_loss=0.9.ckpt"])
    assert call("link", run.parent, "--best").code == 0
    assert (links_in(run), links_in(other)) == ({"best.ckpt": BEST}, {"best.ckpt": "epoch=0-val_loss=0.9.ckpt"})


def test_the_link_takes_the_extension_of_what_it_names(tmp_path: Path) -> None:
    keras = Path(__file__).parents[1] / "fixtures" / "layouts" / "keras" / "m.keras"
    save(tmp_path, ["05-0.32.keras"], keras.read_bytes())
    assert call("link", tmp_path, "--last").code == 0
    assert links_in(tmp_path) == {"last.keras": "05-0.32.keras"}


def test_a_right_link_is_left_alone(run: Path) -> None:
    call("link", run, "--best")
    before = (run / "best.ckpt").lstat()
    assert call("link", run, "--best").lines == [f"is right\t{run}/best.ckpt\t{BEST}"]
    after = (run / "best.ckpt").lstat()  # reading a link sets its time of access
    assert (after.st_ino, after.st_mtime_ns, after.st_ctime_ns) == (
        before.st_ino,
        before.st_mtime_ns,
        before.st_ctime_ns,
    )


@pytest.mark.parametrize("target", [NAMES[0], "gone.ckpt", "best.ckpt", "/nowhere/epoch=9.ckpt"])
def test_a_link_that_is_wrong_dangles_or_loops_is_repaired(run: Path, target: str) -> None:
    (run / "best.ckpt").symlink_to(target)
    assert call("link", run, "--best").lines == [f"repointed\t{run}/best.ckpt\t{BEST}"]
    assert links_in(run) == {"best.ckpt": BEST}


def test_a_link_to_a_folder_is_replaced_and_the_folder_stays(run: Path, tmp_path: Path) -> None:
    outside = make_run(tmp_path / "outside")
    before = listing(outside)
    (run / "best.ckpt").symlink_to(outside)
    assert call("link", run, "--best").code == 0
    assert links_in(run) == {"best.ckpt": BEST}
    assert listing(outside) == before


def test_a_dry_run_makes_none(run: Path) -> None:
    (run / "best.ckpt").symlink_to(NAMES[0])
    before = listing(run)
    answer = call("link", run, "--last", "--best", "--dry-run")
    assert answer.lines == [f"would be made\t{run}/last.ckpt\t{LAST}", f"would be repointed\t{run}/best.ckpt\t{BEST}"]
    assert (answer.code, listing(run)) == (0, before)


def test_another_name_may_be_given(run: Path) -> None:
    assert call("link", run, "--last", "--name", "latest").code == 0
    assert links_in(run) == {"latest.ckpt": LAST}


@pytest.mark.parametrize("kind", ["file", "folder", "pipe"])
def test_what_is_no_link_is_never_replaced(run: Path, kind: str) -> None:
    place = run / "best.ckpt"
    if kind == "file":
        place.write_bytes(state())
    else:
        {"folder": os.mkdir, "pipe": os.mkfifo}[kind](place)
    before = listing(run)
    answer = call("link", run, "--best")
    assert (answer.code, answer.out) == (3, "")
    assert "may be the only copy of a state" in answer.err
    assert "error[partly-done]: 1 of 1 links were not made" in answer.err
    assert listing(run) == before


def test_one_that_cannot_be_made_does_not_keep_the_others_from_it(run: Path) -> None:
    other = make_run(run.parent / "b")
    (run / "best.ckpt").write_bytes(state())
    answer = call("link", run.parent, "--best")
    assert answer.code == 3
    assert f"warning: {run}: " in answer.err
    assert links_in(other) == {"best.ckpt": BEST}


def test_a_file_that_has_the_name_itself_needs_no_link(run: Path) -> None:
    save(run, ["last.ckpt"], state(epoch=9, global_step=900))
    before = listing(run)
    answer = call("link", run, "--last")
    assert (answer.code, answer.out, listing(run)) == (0, "", before)
    assert answer.err == f"{run}: last.ckpt is last by its own name\n"


def test_a_hard_link_is_the_same_file(run: Path) -> None:
    assert call("link", run, "--best", "--kind", "hardlink").code == 0
    assert os.path.samefile(run / "best.ckpt", run / BEST)
    assert not (run / "best.ckpt").is_symlink()
    assert call("link", run, "--best", "--kind", "hardlink").lines == [f"is right\t{run}/best.ckpt\t{BEST}"]


def test_a_copy_is_a_file_of_its_own(run: Path) -> None:
    assert call("link", run, "--best", "--kind", "copy").code == 0
    assert (run / "best.ckpt").read_bytes() == (run / BEST).read_bytes()
    assert not os.path.samefile(run / "best.ckpt", run / BEST)


def test_a_pointer_holds_the_name(run: Path) -> None:
    assert call("link", run, "--best", "--kind", "pointer").code == 0
    assert (run / "best").read_text() == f"{BEST}\n"
    assert call("link", run, "--best", "--kind", "pointer").lines == [f"is right\t{run}/best\t{BEST}"]


def test_a_monitor_says_what_is_best(tmp_path: Path) -> None:
    save(tmp_path, ["epoch=0-acc=0.9-loss=2.0.ckpt", "epoch=1-acc=0.2-loss=1.0.ckpt"])
    for metric, name in (("acc", "epoch=0-acc=0.9-loss=2.0.ckpt"), ("loss", "epoch=1-acc=0.2-loss=1.0.ckpt")):
        assert call("link", tmp_path, "--best", "--monitor", metric).code == 0
        assert links_in(tmp_path) == {"best.ckpt": name}


def test_a_threshold_may_leave_nothing_to_link(run: Path) -> None:
    answer = call("link", run, "--best", "--threshold", "0.1")
    assert answer.code == 4
    assert "error[no-score]" in answer.err


def test_damaged_files_are_not_linked(run: Path) -> None:
    save(run, ["epoch=9-step=900-val_loss=0.01.ckpt"], state()[:200])
    assert call("link", run, "--last", "--best").code == 0
    assert links_in(run) == {"last.ckpt": LAST, "best.ckpt": BEST}


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        pytest.param([], "nothing to link", id="neither"),
        pytest.param(["--last", "--best", "--name", "x"], "names two links alike", id="one name for two"),
        pytest.param(["--last", "--kind", "shortcut"], "'shortcut' is not one of", id="no such kind"),
    ],
)
def test_what_cannot_be_obeyed_is_a_usage_error(run: Path, flags: list[str], says: str) -> None:
    before = listing(run)
    answer = call("link", run, *flags)
    assert (answer.code, listing(run)) == (2, before)
    assert says in answer.err


@pytest.mark.parametrize("name", ["../best", "/best", "sub/best", ""])
def test_a_name_that_leads_elsewhere_makes_nothing(run: Path, name: str) -> None:
    before = listing(run.parent)
    for answer in (call("link", run, "--best", "--name", name), call("best", run, "--link", name)):
        assert (answer.code, answer.out) == (2, "")
        assert f"'{name}' is not a name for a link" in answer.err
    assert listing(run.parent) == before
