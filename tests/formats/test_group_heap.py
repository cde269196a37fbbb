"""Groups of HDF5 with many members, as h5py writes them."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest

from ckptctl.formats import read_files
from ckptctl.formats.contents import merge_contents
from tests.conftest import lacks
from tests.formats.held import load, read, take
from tests.formats.samples import FIXTURES

HDF5 = FIXTURES / "layouts" / "hdf5"
needs_h5py = pytest.mark.skipif(lacks("h5py") is not None, reason=str(lacks("h5py")))


@pytest.mark.parametrize("name", ["many.h5", "ordered.h5"])
def test_every_member_of_a_group_with_many_is_found_with_its_numbers(name: str) -> None:
    files = load(HDF5 / name)
    contents = merge_contents(read_files(files))
    held = {it.name: memoryview(take(files, contents, it)).cast("f").tolist() for it in contents.tensors}
    assert held == {f"layers/dense_{n}/kernel": [n + value for value in range(6)] for n in range(12)}
    assert contents.flaws == ()


def test_members_are_told_in_the_order_of_their_names() -> None:
    names = [it.name for it in read((HDF5 / "many.h5").read_bytes(), "x.h5").tensors]
    assert names == sorted(names)


@needs_h5py
@pytest.mark.parametrize("count", [9, 40, 700, pytest.param(20_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("file", "group"),
    [({"libver": "latest"}, {}), ({}, {"track_order": True}), ({"libver": "latest"}, {"track_order": True})],
    ids=["newest form", "ordered", "both"],
)
def test_after_members_were_added_and_deleted_those_that_are_left_are_found(
    tmp_path: Path, file: dict[str, Any], group: dict[str, Any], count: int
) -> None:
    import h5py

    random, path = Random(count), tmp_path / "x.h5"  # noqa: S311 - the same at each run
    names = [f"many/{number}{'x' * random.choice((0, 3, 50, 900 if count < 1000 else 5))}" for number in range(count)]
    with h5py.File(path, "w", **file) as made:
        made.create_group("many", **group)
        for name in names:
            made[name] = 1.5
    with h5py.File(path, "a", **file) as made:
        for name in names[::3]:
            del made[name]
    contents = merge_contents(read_files(load(path)))
    assert [it.name for it in contents.tensors] == sorted(set(names) - set(names[::3]))
    assert contents.flaws == ()


def test_a_link_that_lies_outside_of_its_heap_is_told() -> None:
    content = bytearray((HDF5 / "many.h5").read_bytes())
    at = content.index(b"BTLF") + 6 + 4 + 1  # behind the hash, and what kind of place it is
    content[at : at + 4] = b"\xff" * 4
    assert [it.text for it in read(bytes(content), "x.h5").flaws] == [
        "HDF5: a link of a group lies outside of its heap"
    ]
