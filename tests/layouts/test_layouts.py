"""Every row of the table recognises its own examples, and nothing that another row means."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from fnmatch import fnmatchcase
from itertools import chain
from pathlib import Path
from posixpath import normpath

import pytest

import ckptctl.layouts
from ckptctl.core.model import Entry
from ckptctl.core.units import NANOSECONDS
from ckptctl.formats.torch_writer import encode_torch
from ckptctl.layouts import LAYOUTS
from ckptctl.layouts.index import LayoutIndex, first_match, glob_matches, match, required_text
from ckptctl.layouts.schema import Layout
from ckptctl.scan.completeness import done_paths
from ckptctl.scan.runs import Options, scan
from tests.stores.memory import MemoryStore

NOTHING = b"\x80\x02}."
"""A pickle that names no file."""
WHOLE = encode_torch({"state_dict": {}})
KERAS = Path(__file__).parents[1] / "fixtures" / "layouts" / "keras"
WRITTEN: dict[str, Callable[[str], bytes]] = {
    "lightning": lambda _: encode_torch({"pytorch-lightning_version": "2.6.6", "state_dict": {}}),
    "keras": lambda name: (KERAS / ("m.keras" if name.endswith(".keras") else "w.weights.h5")).read_bytes(),
}
"""By program: what it writes, where names alone do not tell it."""
EXAMPLES = [pytest.param(layout, name, id=f"{layout.name}: {name}") for layout in LAYOUTS for name in layout.examples]


def files_of(layout: Layout, path: str) -> dict[str, bytes]:
    """What such a checkpoint consists of at the least."""
    folder = path.rpartition("/")[0]
    is_own = any(glob_matches(it, path.rpartition("/")[2]) for it in layout.neighbors)
    witnesses = (name_of(it) for it in layout.neighbors[:1] if not is_own)
    beside = {normpath(f"{folder}/{it}"): b"x" for it in witnesses}
    if layout.unit != "dir":
        marks = (
            dict.fromkeys(chain.from_iterable(done_paths(layout, [Entry(path, "file")])), b"") if layout.done else {}
        )
        content = WRITTEN[layout.program](path) if layout.program else WHOLE
        return {path: content, **beside, **marks}
    first = layout.sentinels[0]
    globs = (*((first,) if isinstance(first, str) else first), *layout.required)
    held = {f"{path}/{name_of(glob)}" for glob in globs}
    contents = {".metadata": NOTHING, ".json": b"{}"}
    marks = {f"{path}/{name_of(layout.done)}": b""} if layout.done else {}
    return {it: next((own for end, own in contents.items() if it.endswith(end)), b"x") for it in held} | beside | marks


def name_of(glob: str) -> str:
    """A name that a glob matches."""
    return glob.partition("|")[0].replace("[0-9]", "0").replace("[a-z]", "a").replace("*", "0")


LONE = [it for it in LAYOUTS if it.unit != "dir" or it.names or it.sentinels]
"""Those that a folder shows by itself, and not only with those beside it."""
ALONE = [it for it in EXAMPLES if it.values[0].unit != "family" and it.values[0] in LONE]  # type: ignore[union-attr]


@pytest.mark.parametrize(("layout", "name"), ALONE)
def test_an_example_is_one_complete_checkpoint_of_its_layout(layout: Layout, name: str) -> None:
    store = MemoryStore(files_of(layout, f"top/run/{name}"))
    (run,) = scan(store, Options(now=store.clock() + 3600 * NANOSECONDS))
    found = {it.path: it for it in run.checkpoints}
    checkpoint = found[f"top/run/{name}"]
    assert (checkpoint.layout, checkpoint.unit, checkpoint.state) == (layout.name, layout.unit, "complete")
    assert (run.path, run.epoch_base) == ("top/run", None if layout.is_generic else layout.epoch_base)


NAMED = [it for it in EXAMPLES if it.values[0].names or not it.values[0].is_generic]  # type: ignore[union-attr]


@pytest.mark.parametrize(("layout", "name"), NAMED)
def test_a_name_leads_to_its_own_layout(layout: Layout, name: str) -> None:
    if layout.unit == "dir":
        held = {path.removeprefix(f"top/run/{name}/") for path in files_of(layout, f"top/run/{name}")}
        found = LayoutIndex(LAYOUTS).recognise(name, held, lambda _: "something lies beside it")
    else:
        found = list(LayoutIndex(LAYOUTS).match_name(name))
    assert layout.name in {it.layout.name for it in found}


def test_of_several_names_that_show_a_layout_the_first_is_told() -> None:
    held = ["scheduler.pt", "optimizer.pt", "training_args.bin", "config.json", "rng_state.pth", "adapter_config.json"]
    (found,) = (it for it in LayoutIndex(LAYOUTS).recognise("checkpoint-5", held) if it.layout.name == "transformers")
    assert found.evidence == "adapter_config.json lies in it"


FOLDERS = [layout for layout in LAYOUTS if layout.unit == "dir"]


def needs_of(layout: Layout) -> tuple[str, ...]:
    return (*layout.required, layout.done) if layout.done else layout.required


@pytest.mark.parametrize(
    ("layout", "missing"),
    [pytest.param(layout, name, id=f"{layout.name} without {name}") for layout in FOLDERS for name in needs_of(layout)],
)
def test_a_folder_that_lacks_what_is_required_is_not_complete(layout: Layout, missing: str) -> None:
    path = f"top/run/{layout.examples[0]}"
    files = files_of(layout, path)
    for sentinel in (*layout.sentinels, *layout.hints):
        needed = (sentinel,) if isinstance(sentinel, str) else sentinel
        files |= {f"{path}/{name_of(it)}": b"x" for it in needed}
    files = {it: data for it, data in files.items() if first_match(missing, [it.rpartition("/")[2]]) is None}
    store = MemoryStore(files)
    later = Options(now=store.clock() + 3600 * NANOSECONDS, layout=layout.name)
    states = {it.state for run in scan(store, later) for it in run.checkpoints if it.path == path}
    assert states <= {"partial"} or (missing in layout.newest_lacks and states == {"complete"})


@pytest.mark.parametrize("layout", [it for it in LONE if it.unit == "dir" or it.name in {"lightning", "keras"}])
def test_what_training_leaves_beside_is_neither_checkpoint_nor_stray(layout: Layout) -> None:
    beside = {f"top/run/{name_of(pattern)}": b"epoch\n" for pattern in layout.beside}
    store = MemoryStore(beside | files_of(layout, f"top/run/{layout.examples[0]}"))
    (run,) = scan(store, Options(now=store.clock(), layout=layout.name))
    assert len(run.checkpoints) == 1
    assert run.strays == ()


def test_every_layout_has_examples_and_a_name_of_its_own() -> None:
    assert all(layout.examples for layout in LAYOUTS)
    assert len({layout.name for layout in LAYOUTS}) == len(LAYOUTS)


def test_folders_are_tried_before_files() -> None:
    units = [layout.unit for layout in LAYOUTS if layout.name.startswith("lightning")]
    assert units == sorted(units, key=("dir", "file").index)


PATTERNS = sorted({pattern for it in LAYOUTS for pattern in (*it.names, *it.in_progress, *it.ranks, *it.rank_folders)})
NAMES = sorted({name for it in LAYOUTS for name in it.examples})


@pytest.mark.parametrize("pattern", PATTERNS)
def test_what_a_pattern_is_looked_up_by_is_in_every_name_that_it_matches(pattern: str) -> None:
    matched = [name for name in NAMES if re.fullmatch(pattern, name, re.ASCII)]
    assert [name for name in matched if required_text(pattern) not in name] == []


@pytest.mark.parametrize(
    ("pattern", "anchor"),
    [
        (r"checkpoint-(?P<step>\d+)", "checkpoint-"),
        (r"a(?:b|c)-long", "-long"),
        (r"a(?:bcd)?e", "a"),
        (r"(?P<x>.+)-step(?P<step>\d{8})", "-step"),
        (r"ab?cd*e{0,3}f", "a"),
        (r"one|two", ""),
        (r"(?!not)this", ""),
        (r"[a-z]{3}_x", "_x"),
        (r"[-_]?ab", "ab"),
        (r"(?:(?:in|out)ner)?_(?P<a>b(?P<c>d))", "_bd"),
        (r"x\(1\)", ""),
    ],
)
def test_a_pattern_is_looked_up_by_its_longest_text_that_must_be_there(pattern: str, anchor: str) -> None:
    assert required_text(pattern) == anchor


@pytest.mark.parametrize("glob", sorted({it for row in LAYOUTS for it in (*row.beside, *row.hints, *row.required)}))
def test_a_glob_matches_what_fnmatch_says(glob: str) -> None:
    names = {name.rpartition("/")[2] for row in LAYOUTS for name in (*row.examples, *map(name_of, row.beside))}
    for part in glob.split("|"):
        tried = names | {part, part.replace("*", ""), part.replace("*", "aa"), f"x{part}", f"{part}x"}
        assert {it for it in tried if glob_matches(part, it)} == {it for it in tried if fnmatchcase(it, part)}


def wrong_with_mark(row: Layout) -> str | None:
    """Why a row's done-mark cannot be one; None where it can, or where there is none."""
    if not row.done:
        return None
    if row.unit == "dir":
        return "it lies in the folder" if "{" in row.done or "/" in row.done else None
    if not ("{stem}" in row.done or "{name}" in row.done):
        return "one for all checkpoints tells nothing of each"
    places = chain.from_iterable(done_paths(row, [Entry(name, "file") for name in row.examples]))
    taken = next((it for it in places if match(row, it) is not None), None)
    return None if taken is None else f"{taken} has the name of a checkpoint"


@pytest.mark.parametrize("layout", LAYOUTS, ids=[it.name for it in LAYOUTS])
def test_a_mark_that_says_that_a_save_is_done_is_no_checkpoint(layout: Layout) -> None:
    assert wrong_with_mark(layout) is None


MARKED = Layout(name="x", unit="file", extensions=(".pt",), examples=("a_1.pt",))


@pytest.mark.parametrize(
    ("row", "is_wrong"),
    [
        (MARKED._replace(done="{stem}.done"), False),
        (MARKED._replace(done="{name}.ok"), False),
        (MARKED._replace(done="{stem}.done.pt"), True),
        (MARKED._replace(done="_SUCCESS"), True),
        (MARKED._replace(unit="dir", done="_SUCCESS"), False),
        (MARKED._replace(unit="dir", done="{stem}.done"), True),
    ],
)
def test_a_mark_must_be_able_to_say_of_which_save_it_is(row: Layout, is_wrong: bool) -> None:
    assert (wrong_with_mark(row) is not None) is is_wrong


def test_a_module_of_rows_holds_data_alone() -> None:
    folder = Path(ckptctl.layouts.__file__).parent
    rows = [path for path in folder.glob("*.py") if path.stem not in {"__init__", "index", "schema"}]
    made = (ast.FunctionDef, ast.Lambda, ast.ClassDef, ast.For, ast.While, ast.If)
    held = {path.stem: [it for it in ast.walk(ast.parse(path.read_text())) if isinstance(it, made)] for path in rows}
    assert {name for name, found in held.items() if found} == set()
