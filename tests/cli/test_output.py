from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ckptctl.cli._console import write_whole
from ckptctl.errors import NoScore, StorageFailed


def test_a_file_is_replaced_by_a_whole_one(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("old")
    write_whole(str(tmp_path / "out"), ["new", "er\n"])
    assert (tmp_path / "out").read_bytes() == b"newer\n"
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("trouble", [NoScore("none"), KeyboardInterrupt(), ValueError("a bug"), OSError("a disk")])
def test_whatever_ends_it_half_way_leaves_the_old_file_and_no_other(tmp_path: Path, trouble: BaseException) -> None:
    def pieces() -> Iterator[str]:
        yield "new"
        raise trouble

    (tmp_path / "out").write_text("old")
    expected = StorageFailed if isinstance(trouble, OSError) else type(trouble)
    with pytest.raises(expected):
        write_whole(str(tmp_path / "out"), pieces())
    assert (tmp_path / "out").read_text() == "old"
    assert os.listdir(tmp_path) == ["out"]


def test_a_relative_name_is_written_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_whole("out", ["new"])
    assert (tmp_path / "out").read_text() == "new"
