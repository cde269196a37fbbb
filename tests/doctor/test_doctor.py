"""What the store must be asked for: leftovers, what names say that lead nowhere, trash, and equal bytes."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from ckptctl.core.findings import DoctorContext, Finding, Hint, Report
from ckptctl.core.model import Checkpoint, Entry, Pointer, Roster, Run
from ckptctl.core.retention.plan import Plan, plan_run
from ckptctl.core.retention.policy import Policy
from ckptctl.core.retention.rules import KeepLast
from ckptctl.core.transaction import Transaction
from ckptctl.doctor import DoctorVisit
from ckptctl.doctor.duplicate_checks import WHOLE, find_duplicates
from ckptctl.doctor.leftovers import find_trash
from ckptctl.doctor.pointer_checks import find_broken, list_missing_names, read_broken_targets, read_tracker
from ckptctl.formats.torch_writer import encode_torch, make_tensor
from ckptctl.layouts import LAYOUTS
from ckptctl.layouts.index import LayoutIndex
from ckptctl.prune.apply import ApplyOptions, apply
from ckptctl.prune.journal import begin_journal, trash_folder_of
from ckptctl.scan.runs import Options, scan
from ckptctl.stores import Folder, ReadableFile, ReadStore, StoreView, open_store
from ckptctl.stores.local import open_url
from tests.core.samples import run_of, save
from tests.stores.memory import MemoryStore
from tests.wording import worded

HOUR = 3_600_000_000_000
NAMES = [f"r/epoch={n}.ckpt" for n in range(4)]
ENCODED = encode_torch({"state_dict": {}})


class Moody(MemoryStore):
    """A store in which some files cannot be opened, and one folder not listed."""

    closed: frozenset[str] = frozenset()
    shut: str | None = None

    @contextmanager
    def open(self, path: str) -> Iterator[ReadableFile]:  # type: ignore[override]
        if path in self.closed:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        with super().open(path) as source:
            yield source

    def walk(self, *, stat: bool, enter: Callable[[str], bool] | None = None, top: str = "") -> Iterator[Folder]:
        for folder in super().walk(stat=stat, enter=enter, top=top):
            yield folder._replace(entries=[], failure="permission denied") if folder.path == self.shut else folder


def rounds(store: MemoryStore) -> DoctorVisit:
    return DoctorVisit(store, LayoutIndex(LAYOUTS), DoctorContext(store.clock() + HOUR))


def held(store: ReadStore, path: str, *endings: str) -> Checkpoint:
    """The checkpoint that a file is, or several that share a stem, as listed."""
    tops = tuple(store.stat(path + it) for it in endings or ("",))
    return save(path)._replace(entries=tops, unit="family" if endings else "file")


def ids(report: Report) -> list[tuple[str, str]]:
    return [(it.id, it.path) for it in report.findings]


# Leftovers


def test_each_leftover_is_told_once_with_its_run_or_at_the_end() -> None:
    store = MemoryStore({"r/a.ckpt": b"x", "r/.ckptctl-1": b"", "s/.ckptctl-2": b"", "s/b-unfinished": b""})
    visits = rounds(store)
    run = Run("r", (held(store, "r/a.ckpt"),))
    assert ids(visits.visit(run)) == [("temporary-name", "r/.ckptctl-1")]
    assert [(it.path, ids(it), it.is_run) for it in visits.finish()] == [
        ("s", [("orphan-marker", "s/b-unfinished"), ("temporary-name", "s/.ckptctl-2")][::-1], False)
    ]


def test_a_leftover_that_went_meanwhile_is_not_told() -> None:
    store = MemoryStore({"r/.ckptctl-1": b""})
    visits = rounds(store)
    store.delete_exact(store.stat("r/.ckptctl-1"))
    assert list(visits.finish()) == []


def test_a_folder_that_no_run_told_of_as_unreadable_is_told_at_the_end() -> None:
    store = Moody({"r/a.ckpt": b"x"})
    store.shut = "r"
    (report,) = rounds(store).finish()
    assert (ids(report), report.is_run) == ([("unreadable", "r")], False)


def test_a_failure_below_a_run_is_told_with_it_and_not_with_another() -> None:
    store = Moody({"r/a.ckpt": b"x", "r/c/d": b"x", "rr/a.ckpt": b"x"})
    store.shut = "r/c"
    visits = rounds(store)
    assert ids(visits.visit(Run("rr", (held(store, "rr/a.ckpt"),), listed=False))) == [("unreadable", "rr")]
    assert ids(visits.visit(Run("r", (held(store, "r/a.ckpt"),), listed=False))) == [("unreadable", "r/c")]
    assert list(visits.finish()) == []


def test_a_folder_of_links_and_files_is_no_leftover() -> None:
    store = MemoryStore(
        {"checkpoints/notes": b"x", "a/checkpoints/b": b""}, {"c/checkpoints/d": "e"}, folders=["c/checkpoints"]
    )
    assert list(rounds(store).finish()) == []


# What names say


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        pytest.param("latest", b"global_step7\n", "global_step7", id="a name"),
        pytest.param("latest", b"hello world", None, id="no name of its layout"),
        pytest.param("latest", b"", None, id="nothing"),
        pytest.param("latest", b"global_step7\nglobal_step8", None, id="two lines"),
        pytest.param("latest", b"\xff\xfe", None, id="no text"),
        pytest.param("latest", b"global_step7" * 1000, None, id="too long"),
        pytest.param("latest_checkpointed_iteration.txt", b"500", "500", id="a number"),
        pytest.param("latest_checkpointed_iteration.txt", b"release", "release", id="a word for one"),
        pytest.param("latest_checkpointed_iteration.txt", b"soon", None, id="no number"),
        pytest.param("checkpoint", b'model_checkpoint_path: "ckpt-7"\n', "ckpt-7", id="text proto"),
        pytest.param("checkpoint", b"a file of someone", None, id="no text proto"),
        pytest.param("other", b"global_step7", None, id="no tracker"),
    ],
)
def test_a_tracker_is_read_as_its_layout_says(name: str, data: bytes, said: str | None) -> None:
    assert read_tracker(MemoryStore({f"r/{name}": data}), f"r/{name}", LAYOUTS) == said


@pytest.mark.parametrize(
    ("name", "data"), [("latest", b"global_step7"), ("checkpoint", b'model_checkpoint_path: "ckpt-7"\n')]
)
def test_a_tracker_that_cannot_be_read_says_nothing(name: str, data: bytes) -> None:
    store = Moody({name: data})
    assert read_tracker(store, name, LAYOUTS) is not None
    store.closed = frozenset({name})
    assert read_tracker(store, name, LAYOUTS) is None


def one(layout: str, path: str = "r/x") -> Checkpoint:
    return save(path)._replace(layout=layout)


@pytest.mark.parametrize(
    ("layout", "name", "data", "said"),
    [
        ("deepspeed", "latest", b"global_step7\n", "global_step7"),
        ("tensorflow", "checkpoint", b'model_checkpoint_path: "ckpt-7"', "ckpt-7"),
        ("transformers", "x/trainer_state.json", b'{"best_model_checkpoint": "out/checkpoint-7"}', "out/checkpoint-7"),
        ("transformers", "x/trainer_state.json", b'{"best_model_checkpoint": 7}', '{"best_model_checkpoint": 7}'),
        ("tensorflow", "checkpoint", b"{\n}", None),
        ("lightning", "last", b"epoch=7.ckpt", "epoch=7.ckpt"),
    ],
)
def test_what_a_broken_file_says_is_read_as_its_layout_says(
    layout: str, name: str, data: bytes, said: str | None
) -> None:
    store = MemoryStore({f"r/{name}": data})
    run = Run("r", (one(layout),), (Pointer(f"r/{name}", "text", None, "dangling"),))
    assert read_broken_targets(store, run, {}) == ({f"r/{name}": said} if said else {})


def test_what_a_broken_link_says_is_its_text_and_sound_names_are_not_read() -> None:
    links = {"r": [Entry("r/other", "link", target="x"), Entry("r/a", "link", target="gone")]}
    pointers = (Pointer("r/a", "symlink", None, "dangling"), Pointer("r/b", "text", "r/x", "ok"))
    assert read_broken_targets(MemoryStore(), Run("r", (one("lightning"),), pointers), links) == {"r/a": "gone"}
    assert read_broken_targets(MemoryStore(), Run("r", (), (Pointer("s/a", "symlink", None, "loop"),)), links) == {}


TEXT_PROTO = b'model_checkpoint_path: "c-2"\nall_model_checkpoint_paths: "c-1"\nall_model_checkpoint_paths: "c-2"\n'


@pytest.mark.parametrize(
    ("roster", "data", "lost"),
    [
        (Roster("list", "textproto", (("c-2", "r/c-2"),)), TEXT_PROTO, ["c-1"]),
        (
            Roster("list", "json", (("c-2", "r/c-2"),), "all", "name"),
            b'{"all": [{"name": "c-1"}, {"name": "c-2"}]}',
            ["c-1"],
        ),
        (Roster("list", "json", (), "all", "name"), b"no json", []),
        (Roster("other", "json", (), "all", "name"), b"", []),
    ],
    ids=["text proto", "json", "broken", "gone"],
)
def test_the_names_of_a_list_that_nothing_has_are_lost(roster: Roster, data: bytes, lost: list[str]) -> None:
    run = run_of()._replace(rosters=(roster,))
    assert list_missing_names(MemoryStore({"list": data}), run) == {roster.path: lost}


@pytest.mark.parametrize(
    ("name", "target", "state"),
    [
        pytest.param("newest", "global_step9", "dangling", id="named as its checkpoints are"),
        pytest.param("newest", "../r/global_step9/", "dangling", id="by a longer way"),
        pytest.param("latest", "gone", "dangling", id="called latest"),
        pytest.param("latest", "latest", "loop", id="a loop"),
        pytest.param("latest", "x", None, id="a sound one"),
        pytest.param("data", "/mnt/gone/data", None, id="something else"),
    ],
)
def test_a_link_that_the_scan_passes_over_is_found_broken(name: str, target: str, state: str | None) -> None:
    store = MemoryStore({"r/x": b""}, {f"r/{name}": target})
    found = list(find_broken(store, Run("r", (one("deepspeed"),)), [store.stat(f"r/{name}")]))
    assert [it.state for it in found] == ([state] if state else [])


def test_without_checkpoints_no_link_is_taken_for_one_to_them() -> None:
    store = MemoryStore(links={"latest": "gone"})
    assert list(find_broken(store, Run("", ()), [store.stat("latest")])) == []


# Trash


def trash_in(folder: Path, files: Mapping[str, bytes]) -> list[Finding]:
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    store = open_store(str(folder))
    return list(find_trash(store, "", store.clock() + HOUR))


def test_trash_is_told_of_prune_by_prune_with_its_bytes(tmp_path: Path) -> None:
    files = {"t1/0": b"12345", "t1/1.0": b"1", "t1/1.1": b"1", "t2/0/model/a": b"1", "t2/0/b": b"1"}
    found = trash_in(tmp_path, {f".ckptctl/trash/{path}": data for path, data in files.items()})
    assert [it.path for it in found] == [".ckptctl/trash/t1", ".ckptctl/trash/t2"]
    assert [it.text for it in found] == [
        "2 checkpoints, 7 B, put here 1h ago to be deleted, by a prune that was interrupted",
        "1 checkpoint, 2 B, put here 1h ago to be deleted, by a prune that was interrupted",
    ]


def test_trash_of_now_may_be_of_a_prune_at_work(tmp_path: Path) -> None:
    trash_in(tmp_path, {".ckptctl/trash/t1/0": b"1"})
    store = open_store(str(tmp_path))
    (finding,) = find_trash(store, "", store.clock())
    assert worded(finding.text).endswith("by a prune that was interrupted, or is at work")


def test_what_was_set_aside_is_told_with_both_ways_out(tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    for name in NAMES:
        (tmp_path / name).write_bytes(ENCODED)
    store = open_store(str(tmp_path))
    policy = Policy((KeepLast(1),))
    apply(
        Plan(policy, tuple(plan_run(it, policy, 0) for it in scan(store, Options()))),
        store,
        ApplyOptions("0123abcd", keeps=True),
    )
    (finding,) = find_trash(store, "", store.clock() + HOUR)
    assert (
        finding.text
        == f"3 checkpoints, {3 * len(ENCODED) / 1000:.1f} kB, set aside 1h ago: nothing is freed while they lie here"
    )
    assert finding.hint.command == "ckptctl trash empty 0123abcd {}"


def test_what_the_next_prune_will_finish_is_told_so(tmp_path: Path) -> None:
    store = open_url(str(tmp_path))
    store.make_folder(trash_folder_of("t"))
    with begin_journal(store, Transaction("t", "prune", "", 0, ())):
        trash_in(tmp_path, {f"{trash_folder_of('t')}/0": b"1"})
    (finding,) = find_trash(store, "", store.clock() + HOUR)
    assert finding.text == "1 checkpoint, 1 B, put here 1h ago to be deleted, by a prune that was interrupted"
    assert finding.hint == Hint("the next prune of {} finishes it, or puts them back", ("",))


@pytest.mark.parametrize("path", ["notes", ".ckptctl/journal", ".ckptctl/trash"])
def test_without_trash_there_is_nothing_to_tell(tmp_path: Path, path: str) -> None:
    assert trash_in(tmp_path, {path: b"x"}) == []


def test_empty_trash_is_nothing_to_tell(tmp_path: Path) -> None:
    (tmp_path / ".ckptctl" / "trash" / "t1").mkdir(parents=True)
    assert trash_in(tmp_path, {}) == []


def test_trash_is_told_with_its_run_and_that_above_runs_at_the_end(tmp_path: Path) -> None:
    for folder in ("", "a", "a/b", "c"):
        trash_in(tmp_path / folder, {".ckptctl/trash/t/0": b"1"})
    store = open_store(str(tmp_path))
    visits = DoctorVisit(store, LayoutIndex(LAYOUTS), DoctorContext(store.clock()))
    assert ids(visits.visit(Run("a/b", ()))) == [("trash", "a/b/.ckptctl/trash/t")]
    assert ids(visits.visit(Run("d/e", ()))) == []
    assert [(it.path, ids(it), it.is_run) for it in visits.finish()] == [
        ("", [("trash", ".ckptctl/trash/t")], False),
        ("a", [("trash", "a/.ckptctl/trash/t")], False),
    ]


def test_trash_at_the_root_is_found_without_any_run(tmp_path: Path) -> None:
    trash_in(tmp_path, {".ckptctl/trash/t/0": b"1"})
    store = open_store(str(tmp_path))
    (report,) = DoctorVisit(store, LayoutIndex(LAYOUTS), DoctorContext(store.clock())).finish()
    assert (report.path, ids(report), report.is_run) == ("", [("trash", ".ckptctl/trash/t")], False)


# Equal bytes


def twins(files: Mapping[str, bytes], *paths: str, store: ReadStore | None = None) -> list[Finding]:
    held_in = store or MemoryStore(files)
    return list(find_duplicates(held_in, run_of(*(held(held_in, path) for path in paths or files))))


LONG = bytes(range(256)) * (WHOLE // 128)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        pytest.param(b"abc", b"abc", "holds the same bytes as 'b'", id="small"),
        pytest.param(b"abc", b"abd", None, id="small, one byte differs"),
        pytest.param(b"abc", b"abcd", None, id="another size"),
        pytest.param(b"", b"", None, id="nothing in them"),
        pytest.param(LONG, LONG, "seems to hold the same bytes as 'b'", id="large, no checksums"),
        pytest.param(LONG, LONG[:-1] + b"x", None, id="large, the end differs"),
        pytest.param(LONG, b"x" + LONG[1:], None, id="large, the start differs"),
        pytest.param(
            encode_torch({"a": "x" * WHOLE}), encode_torch({"a": "x" * WHOLE}), "holds the same bytes as 'b'", id="zip"
        ),
        pytest.param(
            encode_torch({"a": "x" * WHOLE}), encode_torch({"a": "y" + "x" * (WHOLE - 1)}), None, id="zip, others"
        ),
    ],
)
def test_equal_bytes_are_found_and_how_sure_that_is(one: bytes, other: bytes, same: str | None) -> None:
    found = twins({"a": one, "b": other})
    assert [worded(it.text).partition(":")[0] for it in found] == ([same] if same else [])


def many_tensors(changed: int = -1) -> bytes:
    """A file of some MB whose directory is long, so that neither samples nor its end show each tensor."""
    tensors = {f"layer.{it}.weight": make_tensor([float(it == changed)] * 512, (512,)) for it in range(2500)}
    return encode_torch({"state_dict": tensors})


def test_a_change_that_no_sample_shows_is_told_by_the_checksums_of_a_zip() -> None:
    files = {str(it): many_tensors(it) for it in range(400, 440, 5)}
    assert len({len(data) for data in files.values()}) == 1
    assert twins(files) == []
    assert [worded(it.text)[:28] for it in twins({"a": many_tensors(), "b": many_tensors()})] == [
        "holds the same bytes as 'b':"
    ]


def test_a_zip_without_checksums_is_not_sure() -> None:
    data = bytearray(encode_torch({"a": "x" * WHOLE}))
    for mark, crc in ((b"PK\x03\x04", 14), (b"PK\x01\x02", 16)):
        at = data.find(mark)
        while at >= 0:
            data[at + crc : at + crc + 4] = bytes(4)
            at = data.find(mark, at + 1)
    assert [worded(it.text)[:36] for it in twins({"a": bytes(data), "b": bytes(data)})] == [
        "seems to hold the same bytes as 'b':"
    ]


def test_what_is_not_whole_is_not_compared() -> None:
    store = MemoryStore({"a": b"1", "b": b"1"})
    broken = held(store, "b")._replace(state="damaged")
    assert list(find_duplicates(store, run_of(held(store, "a"), broken))) == []


def test_three_of_a_kind_are_one_finding_that_counts_both_others() -> None:
    (finding,) = twins({"a": b"1234", "b": b"1234", "c": b"1234", "d": b"1235"})
    assert finding.path == "a"
    assert finding.text == "holds the same bytes as 'b', 'c': hard links would save 8 B"
    assert finding.hint.command == "diff -rq {} {}"


@pytest.mark.parametrize(("data", "same"), [(b"data", True), (b"DATA", False)])
def test_families_are_compared_part_by_part(data: bytes, same: bool) -> None:
    files = {f"ckpt-{it}.{part}": part.encode() for it in (1, 2) for part in ("index", "data")}
    store = MemoryStore(files | {"ckpt-2.data": data})
    found = list(find_duplicates(store, run_of(*(held(store, it, ".data", ".index") for it in ("ckpt-1", "ckpt-2")))))
    assert [it.hint.text for it in found] == ["once this training is over for good, keep one of them"] * same


@pytest.mark.parametrize("size", [1, 2 * WHOLE])
def test_a_file_that_cannot_be_read_is_equal_to_none(size: int) -> None:
    store = Moody({"a": b"x" * size, "b": b"x" * size})
    store.closed = frozenset({"b"})
    assert twins({}, "a", "b", store=store) == []


def test_a_file_that_changes_between_two_looks_is_equal_to_none() -> None:
    class Fading(MemoryStore):
        """A store whose files can be opened once."""

        opened: frozenset[str] = frozenset()

        @contextmanager
        def open(self, path: str) -> Iterator[ReadableFile]:  # type: ignore[override]
            if path in self.opened:
                raise FileNotFoundError(path)
            self.opened |= {path}
            with super().open(path) as source:
                yield source

    assert twins({}, "a", "b", store=Fading({"a": b"1", "b": b"1"})) == []


def test_where_no_links_can_be_made_nothing_is_compared() -> None:
    store = Moody({"a": b"1", "b": b"1"})
    store.closed = frozenset({"a", "b"})
    assert twins({}, "a", "b", store=StoreView(store)) == []
