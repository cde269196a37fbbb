"""Names that stand for a checkpoint: each is made whole beside the old one, then takes its place by one rename."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from ckptctl.stores import LinkKind
from ckptctl.stores.local import open_url

WEIGHTS = bytes(range(256)) * 40_000
"""10 MB: more than one piece of a copy."""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "epoch=1.ckpt").write_bytes(WEIGHTS)
    os.utime(tmp_path / "epoch=1.ckpt", ns=(10**18, 10**18 + 5))
    return tmp_path


def test_a_hard_link_is_another_name_of_the_very_file(run: Path) -> None:
    open_url(str(run)).link("best.ckpt", "epoch=1.ckpt", "hardlink")
    assert (run / "best.ckpt").samefile(run / "epoch=1.ckpt")


def test_a_copy_has_the_bytes_the_mode_and_the_time_of_the_file_and_is_another(run: Path) -> None:
    (run / "epoch=1.ckpt").chmod(0o640)
    open_url(str(run)).link("best.ckpt", "epoch=1.ckpt", "copy")
    made, old = (run / "best.ckpt").stat(), (run / "epoch=1.ckpt").stat()
    assert (run / "best.ckpt").read_bytes() == WEIGHTS
    assert (made.st_mode, made.st_mtime_ns) == (old.st_mode, old.st_mtime_ns)
    assert made.st_ino != old.st_ino


def test_a_pointer_is_a_text_that_holds_the_way(run: Path) -> None:
    open_url(str(run)).link("best", "epoch=1.ckpt", "pointer")
    assert (run / "best").read_text() == "epoch=1.ckpt\n"


@pytest.mark.parametrize("kind", ["symlink", "hardlink", "copy", "pointer"])
def test_every_kind_takes_the_place_of_a_link_without_touching_what_that_named(run: Path, kind: LinkKind) -> None:
    (run / "epoch=2.ckpt").write_bytes(b"two")
    (run / "best.ckpt").symlink_to("epoch=2.ckpt")
    open_url(str(run)).link("best.ckpt", "epoch=1.ckpt", kind)
    assert (run / "epoch=2.ckpt").read_bytes() == b"two"
    assert sorted(os.listdir(run)) == ["best.ckpt", "epoch=1.ckpt", "epoch=2.ckpt"]


@pytest.mark.parametrize("kind", ["hardlink", "copy"])
def test_a_name_for_a_file_that_is_gone_leaves_the_old_name_and_nothing_else(run: Path, kind: LinkKind) -> None:
    (run / "best.ckpt").symlink_to("epoch=1.ckpt")
    with pytest.raises(FileNotFoundError):
        open_url(str(run)).link("best.ckpt", "epoch=9.ckpt", kind)
    assert os.readlink(run / "best.ckpt") == "epoch=1.ckpt"
    assert sorted(os.listdir(run)) == ["best.ckpt", "epoch=1.ckpt"]


def test_a_copy_follows_no_link_that_was_put_in_the_file_s_place(
    run: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    secret = tmp_path_factory.mktemp("elsewhere") / "secret"
    secret.write_bytes(b"not ours")
    (run / "epoch=2.ckpt").symlink_to(secret)
    with pytest.raises(OSError) as raised:  # noqa: PT011 - the number tells it
        open_url(str(run)).link("best.ckpt", "epoch=2.ckpt", "copy")
    assert raised.value.errno == errno.ELOOP
    assert not (run / "best.ckpt").exists()


def test_a_folder_that_must_be_empty_and_is_not_stays_with_all_in_it(run: Path) -> None:
    (run / "trash").mkdir()
    (run / "trash" / "0").write_bytes(b"kept")
    store = open_url(str(run))
    with pytest.raises(OSError) as raised:  # noqa: PT011 - the number tells it
        store.delete_exact(store.stat("trash"), only_empty=True)
    assert raised.value.errno == errno.ENOTEMPTY
    assert (run / "trash" / "0").read_bytes() == b"kept"


def test_a_folder_that_must_be_empty_and_is_goes(run: Path) -> None:
    (run / "trash").mkdir()
    store = open_url(str(run))
    store.delete_exact(store.stat("trash"), only_empty=True)
    assert not (run / "trash").exists()
