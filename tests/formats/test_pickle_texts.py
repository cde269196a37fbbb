from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from ckptctl.errors import Damaged
from ckptctl.formats.pickle.scan import find_texts
from tests.formats.samples import FIXTURES, text

REAL = FIXTURES / "layouts" / "torch"
RANKS = [f"__{rank}_0.distcp" for rank in range(72) if rank % 17]
"""Ranks that had nothing to write left no file."""
FOLDERS = [f"shards/tp_{t}/pp_{p}/rank{t}{p}__{t * 4 + p}_0.distcp" for t in range(4) for p in range(4)]
CASES = {
    "dcp/step-5": ["__0_0.distcp"],
    "dcp-metadata/one": ["__0_0.distcp"],
    "dcp-metadata/threads": [f"__0_{number}.distcp" for number in range(21)],
    "dcp-metadata/ranks": RANKS,
    "dcp-metadata/folders": [*FOLDERS, "plain__0_0.distcp", f"long/{'d' * 300}/__1_0.distcp"],
}


def names_in(data: bytes) -> frozenset[str]:
    return find_texts(data, b".distcp")


def metadata(case: str) -> bytes:
    path = REAL / case
    return (path / ".metadata" if path.is_dir() else path.with_suffix(".metadata")).read_bytes()


@pytest.mark.parametrize("case", CASES)
def test_every_file_that_torch_names_is_found_and_nothing_else(case: str) -> None:
    assert names_in(metadata(case)) == set(CASES[case])


@pytest.mark.parametrize("protocol", range(2, 6))
@pytest.mark.parametrize("length", [0, 1, 30, 32, 46, 240, 247, 248, 249, 300, 4000])
def test_a_name_of_any_length_is_found_in_every_protocol(protocol: int, length: int) -> None:
    name = "a" * length + "/é\udc80 __7_0.distcp"
    data = pickle.dumps({"index": ["distcp", name, name, ".distcp?", name + "/"]}, protocol)
    assert names_in(data) == {name}


def test_a_name_that_crosses_the_end_of_a_window_is_found() -> None:
    for extra in range(-40, 10):
        data = pickle.dumps(["x" * 200, [*range((1 << 16) // 3 + extra)], "__3_0.distcp"], 4)
        assert names_in(data) == {"__3_0.distcp"}


def test_nothing_that_the_pickle_calls_is_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert names_in(b"\x80\x02cposix\nsystem\n" + text("touch canary.distcp") + b"\x85R.") == {"touch canary.distcp"}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("case", CASES)
def test_metadata_that_was_cut_is_damage(case: str) -> None:
    data = metadata(case)
    for length in [*range(0, len(data), max(1, len(data) // 200)), len(data) - 1]:
        with pytest.raises(Damaged, match="cut short"):
            names_in(data[:length])


@pytest.mark.parametrize("data", [pickle.dumps("__0_0.distcp") + b"x", b"\xff", b"hello"])
def test_what_is_no_single_pickle_is_damage(data: bytes) -> None:
    with pytest.raises(Damaged):
        names_in(data)
