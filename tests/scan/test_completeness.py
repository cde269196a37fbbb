"""Whether a checkpoint is whole, and whether it is still the one that was seen."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from ckptctl.core.model import Checkpoint, Entry, Note
from ckptctl.core.units import QUIET
from ckptctl.layouts.index import find_layout
from ckptctl.scan.completeness import check_completeness, refresh_entries
from ckptctl.stores.local import open_url
from tests.states import lightning
from tests.stores.memory import MemoryStore
from tests.wording import worded

FIXTURES = Path(__file__).parents[1] / "fixtures" / "layouts"
FILE, FOLDER = find_layout("lightning"), find_layout("lightning-sharded")
WHOLE = lightning()
SILENT = b"\x28\xb5\x2f\xfd" + b"x" * 100
"""How zstandard begins: the format does not say where it ends."""


def judged(data: bytes, age: int) -> tuple[str, Note | None]:
    store = MemoryStore({"a.ckpt": data})
    entry = store.stat("a.ckpt")
    return check_completeness(store, FILE, [entry], (entry.modified or 0) + age)


@pytest.mark.parametrize(
    ("data", "age", "state", "note"),
    [
        pytest.param(WHOLE, 0, "complete", None, id="whole, just written"),
        pytest.param(WHOLE, -QUIET, "complete", None, id="whole, from the future"),
        pytest.param(WHOLE[:-30], 0, "live", "cut short: end record missing, written 0s ago", id="cut, just written"),
        pytest.param(
            WHOLE[:-30], QUIET - 1, "live", "cut short: end record missing, written 9m ago", id="cut, not quiet"
        ),
        pytest.param(WHOLE[:-30], QUIET, "damaged", "cut short: end record missing", id="cut, quiet"),
        pytest.param(b"", 0, "live", "empty file, written 0s ago", id="empty, just written"),
        pytest.param(b"", QUIET, "damaged", "empty file", id="empty, quiet"),
        pytest.param(SILENT, QUIET - 1, "live", "written 9m ago", id="not to prove, not quiet"),
        pytest.param(SILENT, QUIET, "complete", None, id="not to prove, quiet"),
        pytest.param(
            WHOLE.replace(b"PK\x01\x02", b"PK\x01\x03"),
            QUIET,
            "doubtful",
            "zip: its directory is broken",
            id="in doubt",
        ),
    ],
)
def test_a_file_is_judged_by_its_format_and_then_by_its_age(
    data: bytes, age: int, state: str, note: str | None
) -> None:
    assert worded(judged(data, age)) == (state, note)


@pytest.mark.parametrize(
    ("path", "state"),
    [
        ("torch/a.ckpt", "complete"),
        ("torch/strip.ckpt", "complete"),
        ("torch/trunc.ckpt", "damaged"),
        ("torch/legacy.pth", "complete"),
        ("torch/x.safetensors", "complete"),
        ("keras/m.keras", "complete"),
        ("keras/w.weights.h5", "complete"),
        ("keras/trunc.h5", "damaged"),
    ],
)
def test_real_files_that_are_quiet_are_judged(path: str, state: str) -> None:
    store = open_url(str(FIXTURES))
    entry = store.stat(path)
    assert check_completeness(store, find_layout("keras"), [entry], (entry.modified or 0) + QUIET)[0] == state


def test_a_file_that_cannot_be_read_is_in_doubt() -> None:
    store = MemoryStore()
    entry = Entry("gone.ckpt", "file", 1, 0)
    state, note = worded(check_completeness(store, FILE, [entry], QUIET))
    assert (state, note) == ("doubtful", f"cannot be read: {os.strerror(errno.ENOENT)}")


def test_a_layout_that_proves_nothing_waits_until_it_is_quiet() -> None:
    plain = FILE._replace(is_proved=False)
    entry = Entry("a.ckpt", "file", 1, 0)
    assert check_completeness(MemoryStore(), plain, [entry], QUIET) == ("complete", None)
    assert check_completeness(MemoryStore(), plain, [entry], QUIET - 1)[0] == "live"


def folder(*names: str) -> list[Entry]:
    return [Entry("a.ckpt", "dir", 0, 0), *(Entry(f"a.ckpt/{name}", "file", 1, 0) for name in names)]


@pytest.mark.parametrize(
    ("names", "age", "state", "note"),
    [
        ((".metadata", "meta.pt"), 0, "complete", None),
        ((".metadata",), 0, "live", "meta.pt is missing, written 0s ago"),
        ((".metadata",), QUIET, "partial", "meta.pt is missing"),
        ((), QUIET, "partial", "meta.pt is missing"),
    ],
)
def test_a_folder_is_judged_by_what_must_be_in_it(
    names: tuple[str, ...], age: int, state: str, note: str | None
) -> None:
    assert worded(check_completeness(MemoryStore(), FOLDER, folder(*names), age)) == (state, note)


def test_a_folders_age_is_that_of_its_newest_entry() -> None:
    entries = folder(".metadata")
    entries[1] = entries[1]._replace(modified=QUIET)
    assert check_completeness(MemoryStore(), FOLDER, entries, QUIET)[0] == "live"


def test_a_folder_of_which_nothing_is_required_waits_until_it_is_quiet() -> None:
    loose = FOLDER._replace(required=(), written_last=False, marker="")
    assert check_completeness(MemoryStore(), loose, folder("a.bin"), QUIET) == ("complete", None)
    assert check_completeness(MemoryStore(), loose, folder("a.bin"), QUIET - 1)[0] == "live"
    assert worded(check_completeness(MemoryStore(), loose, folder(), QUIET)) == ("partial", "it is empty")


# Looking again


def seen(store: MemoryStore, path: str) -> Checkpoint:
    """A checkpoint as a scan sees it."""
    inside = [it for part in store.walk(stat=True) for it in part.entries if it.path.startswith(f"{path}/")]
    return Checkpoint(path, "lightning", "dir" if inside else "file", (store.stat(path), *inside))


FILES = {"r/a.ckpt/x": b"1", "r/a.ckpt/deep/y": b"2", "r/a.ckpt2/z": b"3", "r/b.ckpt": b"4", "z/other": b"5"}


@pytest.mark.parametrize("path", ["r/a.ckpt", "r/b.ckpt"])
def test_what_did_not_change_is_seen_the_same_again(path: str) -> None:
    store = MemoryStore(FILES)
    assert refresh_entries(store, seen(store, path)) == seen(store, path).entries


def test_looking_again_at_a_folder_sees_all_in_it_and_nothing_else() -> None:
    store = MemoryStore(FILES)
    found = [it.path for it in refresh_entries(store, seen(store, "r/a.ckpt"))]
    assert found == ["r/a.ckpt", "r/a.ckpt/deep", "r/a.ckpt/x", "r/a.ckpt/deep/y"]


@pytest.mark.parametrize("path", ["r/a.ckpt/x", "r/a.ckpt/deep/y", "r/a.ckpt/deep/new", "r/a.ckpt/new"])
def test_a_change_inside_a_folder_is_seen(path: str) -> None:
    store = MemoryStore(FILES)
    before = seen(store, "r/a.ckpt")
    store.write(path, b"changed")
    assert refresh_entries(store, before) != before.entries


def test_what_is_gone_raises() -> None:
    store = MemoryStore(FILES)
    before = seen(store, "r/b.ckpt")
    store.delete_exact(store.stat("r/b.ckpt"))
    with pytest.raises(FileNotFoundError):
        refresh_entries(store, before)
