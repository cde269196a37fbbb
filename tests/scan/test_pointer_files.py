"""Files in which training names checkpoints, by rows of a layout that nobody wrote, seen in the listing."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import ckptctl.layouts
from ckptctl.layouts.schema import Layout, PointerFile
from tests.cli.calls import HOUR, call
from tests.layouts.tree import torch_file

WHOLE = torch_file()
KILN = Layout(
    name="kiln",
    unit="file",
    extensions=(".clay",),
    names=(r"pot_(?P<step>\d+)\.clay", r"(?P<final>vase)\.clay"),
    examples=("pot_100.clay",),
)
LOOM = Layout(
    name="loom", unit="dir", names=(r"cloth-(?P<step>\d+)",), sentinels=("weave.mark",), examples=("cloth-100",)
)
FORGE = Layout(
    name="forge",
    unit="family",
    extensions=(".iron",),
    names=(r"(?P<stem>blade_(?P<step>\d+))_part(?P<shard>\d+)\.iron",),
)
PLAIN, STEP = PointerFile("newest", "name"), PointerFile("newest", "step")
BEST = PointerFile("known.json", "json", field="best/name", listing="saves", listed="name")


def read(
    root: Path, monkeypatch: pytest.MonkeyPatch, row: Layout, files: Mapping[str, object], *, age: float = HOUR
) -> dict[str, Any]:
    """The one run that is listed, by this row alone; files are bytes, or written as JSON."""
    monkeypatch.setattr(ckptctl.layouts, "LAYOUTS", (row,))
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    for path in map(str, root.rglob("*")):
        os.utime(path, (root.stat().st_ctime - age,) * 2)
    (run,) = call("ls", root, "--json").json["runs"]
    return dict(run)


def targets(run: Mapping[str, Any]) -> dict[str, tuple[str | None, str]]:
    """What each pointer leads to, and how that stands."""
    return {it["path"]: (it["target"], it["state"]) for it in run["pointers"]}


def kinds(run: Mapping[str, Any]) -> set[str]:
    return {it["kind"] for it in run["pointers"]}


POTS = {f"pot_{step}.clay": WHOLE for step in (1, 2, 10)}
NOWHERE = (None, "dangling")


@pytest.mark.parametrize(
    ("spec", "text", "target"),
    [
        pytest.param(PLAIN, b"pot_2.clay", ("pot_2.clay", "ok"), id="a name"),
        pytest.param(PLAIN, b" pot_2.clay \n", ("pot_2.clay", "ok"), id="a name in a line"),
        pytest.param(PLAIN, b"/elsewhere/pot_2.clay/", ("pot_2.clay", "ok"), id="a path of another machine"),
        pytest.param(PLAIN, b"C:\\runs\\pot_2.clay", ("pot_2.clay", "ok"), id="a path of Windows"),
        pytest.param(PLAIN, b"2", NOWHERE, id="a number where a name is meant"),
        pytest.param(PLAIN, b"pot_3.clay", NOWHERE, id="one that is gone"),
        pytest.param(PLAIN, b"\xff\xfe", NOWHERE, id="no text"),
        pytest.param(PLAIN, b"x" * 5000, NOWHERE, id="too long for a name"),
        pytest.param(STEP, b"2\n", ("pot_2.clay", "ok"), id="a step"),
        pytest.param(STEP, b"10", ("pot_10.clay", "ok"), id="another step"),
        pytest.param(STEP, b"vase.clay", ("vase.clay", "ok"), id="a name where a step is meant"),
        pytest.param(STEP, b"3", NOWHERE, id="a step that is gone"),
    ],
)
def test_a_file_names_a_checkpoint(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    spec: PointerFile,
    text: bytes,
    target: tuple[str | None, str],
) -> None:
    run = read(tmp_path, monkeypatch, KILN._replace(pointers=(spec,)), {**POTS, "vase.clay": WHOLE, "newest": text})
    assert targets(run) == {"newest": target}
    assert kinds(run) == {"text"}


def test_an_empty_file_names_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = read(tmp_path, monkeypatch, KILN._replace(pointers=(PLAIN,)), {**POTS, "newest": b"\n"})
    assert targets(run) == {}


@pytest.mark.parametrize(
    ("document", "target"),
    [
        pytest.param({"best": {"name": "a/pot_2.clay"}}, {"known.json": ("pot_2.clay", "ok")}, id="one"),
        pytest.param({"best": {"name": "pot_3.clay"}}, {"known.json": NOWHERE}, id="one that is gone"),
        pytest.param({"best": {"name": 2}}, {"known.json": ("pot_2.clay", "ok")}, id="a number"),
        pytest.param({"best": {"name": ""}}, {}, id="nothing"),
        pytest.param({"saves": [{"name": "pot_2.clay"}]}, {}, id="a list alone"),
        pytest.param(b'{"best": {"na', {"known.json": NOWHERE}, id="a document that is cut off"),
    ],
)
def test_a_document_names_a_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, document: object, target: Mapping[str, object]
) -> None:
    run = read(tmp_path, monkeypatch, KILN._replace(pointers=(BEST,)), {**POTS, "known.json": document})
    assert targets(run) == target
    assert kinds(run) <= {"json"}


def test_what_stands_for_none_yet_names_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = KILN._replace(pointers=(BEST._replace(unset="0"),))
    assert targets(read(tmp_path, monkeypatch, row, {**POTS, "known.json": {"best": {"name": 0}}})) == {}


def test_a_name_of_a_familys_member_means_the_family(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {f"blade_1_part{it}.iron": WHOLE for it in (0, 1)}
    row = FORGE._replace(pointers=(PLAIN,))
    run = read(tmp_path, monkeypatch, row, {**files, "newest": b"blade_1_part1.iron"})
    assert targets(run) == {"newest": ("blade_1", "ok")}


def test_of_files_inside_checkpoints_that_of_the_newest_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    marks = {f"cloth-{step}/weave.mark": b"x" for step in (1, 9, 10, 11)}
    said = {f"cloth-{step}/best": f"cloth-{named}".encode() for step, named in ((1, 1), (9, 1), (10, 9))}
    row = LOOM._replace(pointers=(PointerFile("best", "name", place="inside"),))
    assert targets(read(tmp_path, monkeypatch, row, {**marks, **said})) == {"cloth-10/best": ("cloth-9", "ok")}


@pytest.mark.parametrize(
    ("name", "text", "target"),
    [
        pytest.param("mine", b"pot_1.clay", "pot_1.clay", id="a name"),
        pytest.param("mine", b"pot_1.clay\n", "pot_1.clay", id="a line"),
        pytest.param("mine", b"./x/../pot_1.clay", "pot_1.clay", id="a path"),
        pytest.param("mine", b"pot_1.clay\n\nfine\n", None, id="more than a line"),
        pytest.param("mine", b"see pot_1.clay", None, id="more than a name"),
        pytest.param("mine", b"pot_3.clay", None, id="one that is gone"),
        pytest.param("mine", b"\xff", None, id="no text"),
        pytest.param("mine", b"", None, id="nothing"),
        pytest.param("mine", b"./" * 2043 + b"pot_1.clay", "pot_1.clay", id="as long as a path may be"),
        pytest.param("mine", b"./" * 2044 + b"pot_1.clay", None, id="longer than that"),
        pytest.param("mine.txt", b"pot_1.clay", None, id="in a file with an extension"),
    ],
)
def test_a_small_text_of_any_name_may_name_a_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: bytes, target: str | None
) -> None:
    run = read(tmp_path, monkeypatch, KILN, {**{f"r/{path}": data for path, data in POTS.items()}, f"r/{name}": text})
    assert targets(run) == ({} if target is None else {f"r/{name}": (f"r/{target}", "ok")})


# What is said to be done


def marks(root: Path) -> dict[str, str]:
    """Of each checkpoint its state, and why."""
    found = {}
    for row in call("ls", root).rows:
        _, colon, why = row["marks"].partition(f"{row['state']}: ")
        found[os.path.relpath(row["path"], root)] = f"{row['state']}{colon and ': '}{why}"
    return found


@pytest.mark.parametrize(
    ("age", "newest"),
    [
        (HOUR, "unknown: newest says 2: it is not known to be done"),
        (0, "live: newest says 2: it is not known to be done"),
    ],
)
def test_a_save_after_the_last_that_is_said_to_be_done_is_in_doubt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, age: float, newest: str
) -> None:
    row = LOOM._replace(pointers=(STEP._replace(commits=True),), required=("weave.mark",), written_last=True)
    files = {f"cloth-{step}/weave.mark": b"x" for step in (1, 2, 10)}
    read(tmp_path, monkeypatch, row, {**files, "newest": b"2"}, age=age)
    assert marks(tmp_path) == {"cloth-1": "complete", "cloth-2": "complete", "cloth-10": newest}


def test_what_is_said_to_be_done_further_down_counts_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = KILN._replace(pointers=(STEP._replace(commits=True),))
    files = {f"r/{path}": data for path, data in POTS.items()}
    read(tmp_path, monkeypatch, row, {**files, "r/newest": b"2"})
    assert marks(tmp_path)["r/pot_10.clay"] == "unknown: newest says 2: it is not known to be done"


@pytest.mark.parametrize("text", [b"3", b"x", b""], ids=["one that is gone", "no number", "nothing"])
def test_where_nothing_is_known_to_be_done_none_is_in_doubt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: bytes
) -> None:
    row = KILN._replace(pointers=(STEP._replace(commits=True),))
    read(tmp_path, monkeypatch, row, {**POTS, "newest": text})
    assert set(marks(tmp_path).values()) == {"complete"}


def test_a_file_that_says_nothing_of_what_is_done_puts_none_in_doubt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read(tmp_path, monkeypatch, KILN._replace(pointers=(STEP,)), {**POTS, "newest": b"2"})
    assert set(marks(tmp_path).values()) == {"complete"}


# Links


def test_a_link_is_one_to_a_checkpoint_by_its_end_by_its_name_or_by_its_text(tmp_path: Path) -> None:
    (tmp_path / "epoch=1.ckpt").write_bytes(WHOLE)
    links = {
        "a": "epoch=1.ckpt",
        "gone.ckpt": "elsewhere",
        "b": "/old/epoch=2.ckpt/",
        "notes": "diary",
        "c": "ckpt_7.pt",
        "epoch_9.pth": "elsewhere",
        "ep1-ba2-rank0.pt": "elsewhere",
    }
    for path, text in links.items():
        (tmp_path / path).symlink_to(text)
    (run,) = call("ls", tmp_path, "--json").json["runs"]
    assert targets(run) == {
        "a": ("epoch=1.ckpt", "ok"),
        "b": NOWHERE,
        "ep1-ba2-rank0.pt": NOWHERE,
        "gone.ckpt": NOWHERE,
    }
