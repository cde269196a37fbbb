"""What cannot be read may name what would go: nothing goes until a person says so. A link protects what it means."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.calls import LAST, NAMES, PROGRAM, call, checkpoints_in, environment, make_run

OLDEST = NAMES[0]
PRUNE = ("--keep-last", "1", "--yes")


def loop(path: Path) -> None:
    path.symlink_to(path.name)


def through_a_file(path: Path) -> None:
    path.with_name("plain").touch()
    path.symlink_to("plain/x")


def of_a_long_name(path: Path) -> None:
    path.symlink_to("x" * 300)


def large(path: Path) -> None:
    path.touch()
    os.truncate(path, 65 << 20)


UNREADABLE = [loop, through_a_file, of_a_long_name, large]


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A run, and another training beside it that has no checkpoint yet."""
    make_run(tmp_path / "runs" / "a")
    (tmp_path / "runs" / "later").mkdir()
    return tmp_path / "runs"


@pytest.mark.parametrize("make", UNREADABLE)
@pytest.mark.parametrize("name", ["a/latest", "a/best_checkpoint.txt", "later/adapter_config.json", "later/args.yaml"])
def test_nothing_goes_beside_a_file_that_may_name_it_until_a_person_says_so(
    runs: Path, name: str, make: Callable[[Path], None]
) -> None:
    make(runs / name)
    refused = call("prune", runs, *PRUNE, "--json")
    assert (refused.code, refused.error["id"]) == (6, "unreadable")
    assert [(it["id"], it["override"]) for it in refused.json["objections"]] == [("unreadable", "--ignore-unreadable")]
    assert name in refused.err
    assert checkpoints_in(runs / "a") == sorted(NAMES)
    assert call("prune", runs, *PRUNE, "--ignore-unreadable").code == 0
    assert checkpoints_in(runs / "a") == [LAST]


def test_a_json_file_of_settings_that_is_cut_off_is_not_understood(runs: Path) -> None:
    (runs / "later/adapter_config.json").write_text('{"base_model_name')
    assert call("prune", runs, *PRUNE).code == 6
    assert checkpoints_in(runs / "a") == sorted(NAMES)


def test_a_runs_own_settings_say_nothing_of_its_own_checkpoints(runs: Path) -> None:
    (runs / "a/adapter_config.json").write_text("{")
    assert call("prune", runs, *PRUNE).code == 0
    assert checkpoints_in(runs / "a") == [LAST]


def test_a_run_that_loses_nothing_is_not_asked_about(runs: Path) -> None:
    loop(runs / "a/latest")
    assert call("prune", runs, "--keep-last", "4", "--yes").code == 0


def test_rm_asks_about_a_pointer_and_not_about_settings(runs: Path) -> None:
    (runs / "later/adapter_config.json").write_text("{")
    loop(runs / "a/latest")
    assert call("rm", runs / "a" / OLDEST, "--yes").code == 6
    assert call("rm", runs / "a" / OLDEST, "--yes", "--ignore-unreadable").code == 0
    (runs / "a/latest").unlink()
    assert call("rm", runs / "a" / NAMES[1], "--yes").code == 0


@pytest.mark.parametrize("wide", [0, 2 << 20], ids=["small", "of 2 MiB"])
@pytest.mark.parametrize("place", ["here", "beside", "outside"])
def test_a_base_model_is_named_by_json_however_it_is_written(runs: Path, wide: int, place: str) -> None:
    (runs / "a").rename(runs / "modèle")
    text = json.dumps({"pad": "x" * wide, "deep": [{"base_model_name_or_path": f"/then/runs/modèle/{OLDEST}"}]})
    file = {"here": runs / "later/adapter_config.json", "beside": runs / "c.json", "outside": runs.parent / "c.json"}[
        place
    ]
    file.write_text(text)
    if place != "here":
        (runs / "later/adapter_config.json").symlink_to(file)
    assert "\\u00e8" in text
    assert call("prune", runs, *PRUNE).code == 0
    assert checkpoints_in(runs / "modèle") == sorted([OLDEST, LAST])


def test_escapes_in_yaml_are_understood(runs: Path) -> None:
    (runs / "a").rename(runs / "modèle")
    (runs / "later/args.yaml").write_text(f'resume: "/then/runs/mod\\u00e8le/{OLDEST}"\n')
    assert call("prune", runs, *PRUNE).code == 0
    assert checkpoints_in(runs / "modèle") == sorted([OLDEST, LAST])


@pytest.mark.root
@pytest.mark.parametrize("name", ["a/latest", "later/adapter_config.json", "later/opt.yaml"])
def test_another_users_private_file_is_no_reason_to_delete(runs: Path, name: str) -> None:
    """Without its powers over permissions, root is a user like any other."""
    (runs / name).write_text(f"{OLDEST}\n")
    (runs / name).chmod(0o600)
    os.chown(runs / name, 65534, 65534)
    powers = "-dac_override,-dac_read_search"
    plain = ["setpriv", "--bounding-set", powers, "--inh-caps", powers, *PROGRAM, "prune", str(runs), *PRUNE]
    assert subprocess.run(plain, env=environment(), capture_output=True, check=False).returncode == 6
    assert checkpoints_in(runs / "a") == sorted(NAMES)
    words = [*plain, "--ignore-unreadable"]
    assert subprocess.run(words, env=environment(), capture_output=True, check=False).returncode == 0
    assert checkpoints_in(runs / "a") == [LAST]


@pytest.mark.parametrize("text", ["{root}/a/{name}", "/elsewhere/a/{name}", "/mnt/x/runs/a/{name}"])
@pytest.mark.parametrize("link", ["a/best.ckpt", "a/deep/best", "chosen.ckpt"])
def test_a_link_in_full_protects_what_ends_alike_where_its_path_is_not_here(runs: Path, text: str, link: str) -> None:
    (runs / link).parent.mkdir(exist_ok=True)
    (runs / link).symlink_to(text.format(root=runs, name=OLDEST))
    moved = runs.rename(runs.with_name("moved"))
    assert call("prune", moved, *PRUNE).code == 0
    assert checkpoints_in(moved / "a") == sorted([OLDEST, LAST])


def test_a_relative_link_to_nothing_is_merely_dangling(runs: Path) -> None:
    (runs / "a/best.ckpt").symlink_to(f"../gone/{OLDEST}")
    assert call("prune", runs, *PRUNE).code == 0
    assert checkpoints_in(runs / "a") == [LAST]


@pytest.mark.parametrize("text", ["plain/{}", "loop/{}", "n" * 300 + "/{}"], ids=["a file", "a loop", "too long"])
def test_a_link_that_cannot_be_followed_protects_what_its_text_names(runs: Path, text: str) -> None:
    (runs / "a/plain").touch()
    (runs / "a/loop").symlink_to("loop")
    (runs / "a/best.ckpt").symlink_to(text.format(OLDEST))
    assert call("prune", runs, *PRUNE).code == 0
    assert (runs / "a" / OLDEST).exists()


@pytest.mark.mount
@pytest.mark.parametrize("what", ["the folder", "one file under another name"])
def test_a_link_through_a_bind_mount_protects_what_lies_here(runs: Path, what: str) -> None:
    here, there = (
        (runs / "a", runs.parent / "b") if what == "the folder" else (runs / "a" / OLDEST, runs.parent / "x.bin")
    )
    there.mkdir() if what == "the folder" else there.touch()
    target = there / OLDEST if what == "the folder" else there
    (runs / "a/best.ckpt").symlink_to(os.path.relpath(target, runs / "a"))
    command = f'mount --bind "{here}" "{there}" && exec "$@"'
    words = ["unshare", "-m", "sh", "-c", command, "sh", *PROGRAM, "prune", str(runs / "a"), *PRUNE]
    ran = subprocess.run(words, env=environment(), capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert (runs / "a" / OLDEST).exists()


@pytest.mark.strace
@pytest.mark.parametrize("name", ["a/latest", "later/args.yaml"])
def test_a_disk_that_fails_while_such_a_file_is_read_lets_nothing_go(runs: Path, name: str) -> None:
    (runs / name).write_text(f"resume: {OLDEST}\n")
    inject = ["-P", str(runs / name), "-e", "trace=pread64,read", "-e", "inject=pread64,read:error=EIO"]
    words = ["strace", "-f", "-qq", "-o", "/dev/null", *inject, *PROGRAM, "prune", str(runs), *PRUNE]
    ran = subprocess.run(words, env=environment(), capture_output=True, text=True, check=False)
    assert ran.returncode == 6, ran.stderr
    assert checkpoints_in(runs / "a") == sorted(NAMES)
