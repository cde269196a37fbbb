from __future__ import annotations

import ctypes
import gc
import os
import resource
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from ckptctl.core.model import Entry
from ckptctl.errors import PathMissing, StorageFailed, UsageError
from ckptctl.stores import EntryChanged, ReadStore, Store, local, open_store
from ckptctl.stores.local import rename
from tests.stores.contract import TREE, StoreContract

TICK = 0.02
"""Seconds: a file system stamps no finer than the kernel's tick."""
NASTY = {
    "newline": b"a\nb.ckpt",
    "not UTF-8": b"caf\xe9.ckpt",
    "bidi": "x\u202egnp.ckpt".encode(),
    "escape": b"\x1b[31mred.ckpt",
    "255 bytes": b"n" * 250 + b".ckpt",
    "dash": b"-rf",
    "space": b" ",
    "star": b"*",
    "backslash": b"\\",
}


class TestLocalStore(StoreContract):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.tmp_path = tmp_path
        self.made = 0

    def make(self, files: Mapping[str, bytes], links: Mapping[str, str] | None = None) -> ReadStore:
        self.made += 1
        root = self.tmp_path / f"store{self.made}"
        write(root, files)
        for path, target in (links or {}).items():
            (root / path).symlink_to(target)
        return open_store(str(root))

    def put(self, store: ReadStore, path: str, data: bytes) -> None:
        write(Path(store.url), {path: data})

    def root(self, store: ReadStore) -> str:
        return os.path.realpath(store.url)


def write(root: Path, files: Mapping[str, bytes]) -> None:
    root.mkdir(exist_ok=True)
    for path, data in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)


def content(root: Path) -> dict[str, bytes | str]:
    """Every file below a folder with its bytes, every link with its text."""
    return {
        str(path.relative_to(root)): os.readlink(path) if path.is_symlink() else path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_symlink() or not path.is_dir()
    }


def listed(store: ReadStore, *, stat: bool = False) -> dict[str, Entry]:
    return {entry.path: entry for folder in store.walk(stat=stat) for entry in folder.entries}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    write(tmp_path / "tree", TREE)
    return tmp_path / "tree"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder beside the root, with what must never be touched."""
    write(tmp_path / "outside", {"epoch=1.ckpt": b"precious", "sub/precious": b"precious"})
    return tmp_path / "outside"


@pytest.fixture(scope="module", autouse=True)
def _only_new_garbage_is_looked_for() -> Iterator[None]:
    gc.collect()
    gc.freeze()  # what pytest holds by now would be looked through twice a test, a tenth of a second each time
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def _no_descriptor_is_left_open(_only_new_garbage_is_looked_for: None) -> Iterator[None]:
    gc.collect()  # a store closes its root when it goes, and an error that a test caught may hold it
    before = len(os.listdir("/proc/self/fd"))
    yield
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= before


# Opening


def test_the_working_folder_is_meant_where_nothing_is_named(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree)
    store = open_store("")
    assert (store.url, "top.ckpt" in listed(store)) == (".", True)


def test_a_file_url_is_a_path(tree: Path) -> None:
    assert "top.ckpt" in listed(open_store(f"file://{tree}"))


def test_what_was_typed_is_kept_for_display(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree)
    assert open_store("run1/../run1/").url == "run1/../run1/"


def test_a_root_that_is_a_link_is_followed_once_and_for_all(tree: Path, outside: Path, tmp_path: Path) -> None:
    (tmp_path / "here").symlink_to(tree)
    store = local.open_url(str(tmp_path / "here"))
    (tmp_path / "here").unlink()
    (tmp_path / "here").symlink_to(outside)
    assert "top.ckpt" in listed(store)
    store.delete_exact(store.stat("run1"))
    assert content(outside) == {"epoch=1.ckpt": b"precious", "sub/precious": b"precious"}


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("rum1", "did you mean 'run1'?"),
        ("run2/chekpoint-500", "did you mean 'run2/checkpoint-500'?"),
        ("rnu10/a/b/c", "did you mean 'run10'?"),
        ("zzz", "the nearest folder that exists is '.'"),
        ("run2/zzz/y", "the nearest folder that exists is 'run2'"),
        ("/zzz-no-such/x", "the nearest folder that exists is '/'"),
        ("top.ckpt/x", "the nearest folder that exists is '.'"),
        ("dangling", "the nearest folder that exists is '.'"),
    ],
)
def test_a_missing_path_comes_with_the_nearest_there_is(
    tree: Path, monkeypatch: pytest.MonkeyPatch, path: str, hint: str
) -> None:
    (tree / "dangling").symlink_to("nowhere")
    monkeypatch.chdir(tree)
    with pytest.raises(PathMissing) as caught:
        open_store(path)
    assert (caught.value.exit_code, caught.value.path, caught.value.hint) == (4, path, hint)


def test_a_file_where_a_folder_is_meant_is_a_usage_error_with_its_folder_as_hint(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tree)
    for path, folder in (("run1/epoch=1.ckpt", "run1"), ("top.ckpt", ".")):
        with pytest.raises(UsageError) as caught:
            open_store(path)
        assert (caught.value.exit_code, caught.value.hint) == (2, f"name its folder: {folder!r}")


def test_a_root_in_a_loop_is_failed_storage(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("a")
    with pytest.raises(StorageFailed, match="symbolic links") as caught:
        open_store(str(tmp_path / "a"))
    assert caught.value.exit_code == 9


def test_a_root_that_may_not_be_read_is_failed_storage(public: Path) -> None:
    (public / "run1").chmod(0)
    assert as_nobody(public / "run1", "open_store(root)") == "StorageFailed: permission denied"


@pytest.fixture
def public() -> Iterator[Path]:
    """A tree that another user gets to: what pytest makes is for its own user only."""
    root = Path(tempfile.mkdtemp())
    root.chmod(0o755)
    write(root, TREE)
    yield root
    for folder in root.rglob("*/"):
        folder.chmod(0o755)
    shutil.rmtree(root)


def as_nobody(root: Path, expression: str) -> str:
    """Evaluate an expression, of ``root`` among others, as a user without rights; the value or error as text."""
    code = f"""
import os
from ckptctl.stores import local, open_store
root = {str(root)!r}
if os.getuid() == 0:
    os.setgroups([]), os.setgid(65534), os.setuid(65534)
try:
    print({expression})
except Exception as error:
    print(f"{{type(error).__name__}}: {{getattr(error, 'strerror', None) or error}}")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.stdout.removesuffix("\n")


# Listing


def test_a_folder_that_may_not_be_read_comes_with_its_failure_and_the_walk_goes_on(public: Path) -> None:
    (public / "run10").chmod(0)
    found = as_nobody(public, "[(f.path, len(f.entries), f.failure) for f in open_store(root).walk(stat=False)][1:4]")
    assert found == str([("run1", 3, None), ("run10", 0, "permission denied"), ("run2", 1, None)])


def test_entries_that_may_not_be_looked_at_are_of_no_known_kind_and_the_listing_is_not_whole(public: Path) -> None:
    (public / "run10").chmod(0o444)
    found = as_nobody(public, "[(f.entries, f.failure) for f in open_store(root).walk(stat=True) if f.path == 'run10']")
    assert found == str([([Entry("run10/last.ckpt", "other")], "permission denied")])


@pytest.mark.parametrize("name", NASTY.values(), ids=NASTY)
def test_any_name_that_a_disk_can_hold_goes_round(tmp_path: Path, name: bytes) -> None:
    root = os.fsencode(tmp_path)
    os.mkdir(root + b"/d")
    for each in (name, b"keep"):
        with open(root + b"/d/" + each, "wb") as file:
            file.write(b"content")
    store = local.open_url(str(tmp_path))
    (path,) = [path for path in listed(store) if os.fsencode(path) == b"d/" + name]
    with store.open(path) as opened:
        assert opened.read(0, 100) == b"content"
    store.make_folder("aside")
    store.rename(store.stat(path), f"aside/{path[2:]}")
    store.rename(store.stat(f"aside/{path[2:]}"), path)
    store.link("link", path)
    assert store.resolve("link") == path
    store.delete_exact(store.stat(path))
    assert os.listdir(root + b"/d") == [b"keep"]


def test_hard_links_are_counted(tree: Path) -> None:
    os.link(tree / "top.ckpt", tree / "same.ckpt")
    assert local.open_url(str(tree)).stat("top.ckpt").links == 2


def test_a_folder_counts_no_bytes_and_has_one_name(tree: Path) -> None:
    entry = local.open_url(str(tree)).stat("run2")
    assert (entry.size, entry.links) == (0, 1)


def test_times_and_identities_are_those_of_the_file_system(tree: Path) -> None:
    found = (tree / "run1" / "epoch=1.ckpt").stat()
    entry = listed(local.open_url(str(tree)), stat=True)["run1/epoch=1.ckpt"]
    assert (entry.modified, entry.identity) == (found.st_mtime_ns, (found.st_dev, found.st_ino))


def test_a_folder_that_vanishes_during_the_walk_comes_with_its_failure(tree: Path) -> None:
    walk = local.open_url(str(tree)).walk(stat=False)
    next(walk)
    shutil.rmtree(tree / "run10")
    assert {folder.path: folder.failure for folder in walk}["run10"] == "no such file or directory"


def test_a_folder_swapped_for_a_link_during_the_walk_is_not_followed(tree: Path, outside: Path) -> None:
    walk = local.open_url(str(tree)).walk(stat=False)
    next(walk)
    (tree / "run10").rename(tree / "gone")
    (tree / "run10").symlink_to(outside)
    folder = {folder.path: folder for folder in walk}["run10"]
    assert (folder.entries, folder.failure) == ([], "not a directory")


def test_a_walk_that_is_given_up_leaves_nothing_open(tree: Path) -> None:
    walk = local.open_url(str(tree)).walk(stat=False)
    next(walk)
    next(walk)
    walk.close()  # type: ignore[attr-defined] # the protocol says Iterator: it is a generator


def make_deep(root: Path, name: str, depth: int) -> None:
    """A folder in a folder and so on, each with a file and, every tenth, an empty folder beside."""
    folder = os.open(root, os.O_RDONLY)
    for level in range(depth):
        os.close(os.open("f", os.O_CREAT | os.O_WRONLY, dir_fd=folder))
        if level % 10 == 0:
            os.mkdir("e", dir_fd=folder)
        os.mkdir(name, dir_fd=folder)
        folder, above = os.open(name, os.O_RDONLY, dir_fd=folder), folder
        os.close(above)
    os.close(folder)


@pytest.fixture
def _few_descriptors() -> Iterator[None]:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) + 80, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@pytest.mark.usefixtures("_few_descriptors")
@pytest.mark.parametrize(
    ("name", "depth"), [("much longer than a path may be", 300), pytest.param("d", 10_000, marks=pytest.mark.slow)]
)
def test_a_deep_tree_is_walked_and_removed_with_few_descriptors(tmp_path: Path, name: str, depth: int) -> None:
    (tmp_path / "deep").mkdir()
    make_deep(tmp_path / "deep", name, depth)
    store = local.open_url(str(tmp_path))
    folders = files = 0
    for folder in store.walk(stat=False):
        assert folder.failure is None
        folders += 1
        files += sum(entry.kind == "file" for entry in folder.entries)
    assert (folders, files) == (1 + depth + 1 + depth // 10, depth)
    store.delete_exact(store.stat("deep"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("_few_descriptors")
def test_a_wide_tree_is_walked_and_removed_with_few_descriptors(tmp_path: Path) -> None:
    for number in range(600):
        (tmp_path / "wide" / f"{number:03}").mkdir(parents=True)
    store = local.open_url(str(tmp_path))
    paths = [folder.path for folder in store.walk(stat=True)]
    assert paths == ["", "wide", *(f"wide/{number:03}" for number in range(600))]
    store.delete_exact(store.stat("wide"))
    assert list(tmp_path.iterdir()) == []


def test_a_way_back_up_that_is_gone_leaves_nothing_open(tmp_path: Path) -> None:
    deepest = "/".join(["d"] * 200)
    for end in range(0, len(deepest), 2):
        (tmp_path / deepest[: end + 1] / "e").mkdir(parents=True)
    walk = local.open_url(str(tmp_path)).walk(stat=False)
    assert deepest in (folder.path for folder in walk)  # reads no further than that
    (tmp_path / deepest[:3]).rename(tmp_path / "moved")
    failures = [folder.failure for folder in walk]
    assert (failures[0], failures[-2:]) == (None, ["no such file or directory", None])


# What is no regular file


@pytest.mark.parametrize("kind", ["fifo", "socket", "folder", "link", "link to a fifo"])
def test_what_is_no_regular_file_is_refused_at_once(tree: Path, kind: str) -> None:
    path = tree / "x.ckpt"
    os.mkfifo(tree / "fifo")
    make: dict[str, Callable[[], object]] = {
        "fifo": lambda: os.mkfifo(path),
        "socket": lambda: os.mknod(path, stat.S_IFSOCK | 0o600),
        "folder": path.mkdir,
        "link": lambda: path.symlink_to("top.ckpt"),
        "link to a fifo": lambda: path.symlink_to("fifo"),
    }
    make[kind]()
    start = time.monotonic()
    with pytest.raises(OSError, match=r"x\.ckpt"), local.open_url(str(tree)).open("x.ckpt"):
        pass
    assert time.monotonic() - start < 60  # it would wait for a writer for ever


def test_a_device_is_refused(tree: Path) -> None:
    try:
        os.mknod(tree / "x.ckpt", stat.S_IFCHR | 0o600, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("this user may not make devices")
    with pytest.raises(OSError, match="not a regular file"), local.open_url(str(tree)).open("x.ckpt"):
        pass


@pytest.mark.parametrize("with_stat", [False, True])
def test_what_is_no_regular_file_is_listed_as_other(tree: Path, with_stat: bool) -> None:
    os.mkfifo(tree / "x.ckpt")
    store = local.open_url(str(tree))
    assert listed(store, stat=with_stat)["x.ckpt"].kind == "other"


def test_what_is_no_regular_file_can_be_removed(tree: Path) -> None:
    os.mkfifo(tree / "x.ckpt")
    store = local.open_url(str(tree))
    store.delete_exact(store.stat("x.ckpt"))
    assert not (tree / "x.ckpt").exists()


def test_a_file_that_shrinks_under_the_reader_ends_early(tree: Path) -> None:
    with local.open_url(str(tree)).open("run1/epoch=2.ckpt") as file:
        (tree / "run1/epoch=2.ckpt").write_bytes(b"tw")
        assert (file.size, file.read(0, 10)) == (10, b"tw")


def test_an_open_file_stays_the_one_that_was_opened(tree: Path) -> None:
    with local.open_url(str(tree)).open("run1/epoch=1.ckpt") as file:
        (tree / "run1/epoch=2.ckpt").rename(tree / "run1/epoch=1.ckpt")
        assert file.read(0, 10) == b"one"


# Links


@pytest.mark.parametrize("target", ["../outside/epoch=1.ckpt", "../outside", "ABSOLUTE/epoch=1.ckpt"])
def test_a_link_out_of_the_root_leads_outside(tree: Path, outside: Path, target: str) -> None:
    (tree / "out").symlink_to(target.replace("ABSOLUTE", str(outside)))
    assert local.open_url(str(tree)).resolve("out") is None


def test_a_link_that_leaves_the_root_and_comes_back_is_inside(tree: Path, outside: Path) -> None:
    (outside / "back").symlink_to(tree)
    (tree / "around").symlink_to(outside / "back" / "run1" / "epoch=1.ckpt")
    assert local.open_url(str(tree)).resolve("around") == "run1/epoch=1.ckpt"


def test_a_folder_that_comes_after_the_look_is_not_replaced_by_a_link(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interpose(monkeypatch, "mode_of", after=(tree / "last").mkdir)
    with pytest.raises(IsADirectoryError):
        local.open_url(str(tree)).link("last", "run10")
    assert (tree / "last").is_dir()
    assert sorted(os.listdir(tree)) == ["last", "run1", "run10", "run2", "top.ckpt"]


def test_a_reader_never_misses_a_link_that_is_replaced(tree: Path) -> None:
    store = local.open_url(str(tree))
    store.link("last", "run1/epoch=1.ckpt")
    missed = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            if not (tree / "last").exists():
                missed.append(1)

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(300):
        store.link("last", f"run1/epoch={number % 2 + 1}.ckpt")
    done.set()
    reader.join()
    assert missed == []


# The clock


def test_the_clock_is_the_file_system_s_and_leaves_no_trace(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 0)
    store = local.open_url(str(tree))
    before = (sorted(os.listdir(tree)), tree.stat().st_mtime_ns)
    (tree / "run1" / "new").write_bytes(b"")
    now = store.clock()
    assert 0 <= now - (tree / "run1" / "new").stat().st_mtime_ns < 1_000_000_000
    assert (sorted(os.listdir(tree)), tree.stat().st_mtime_ns) == before


def test_the_clock_of_a_root_that_may_not_be_written_to_is_this_machine_s(public: Path) -> None:
    now = int(as_nobody(public, "open_store(root).clock()"))
    assert abs(now - time.time_ns()) < 60_000_000_000


# Changing


def test_a_folder_that_is_made_is_private(tree: Path) -> None:
    local.open_url(str(tree)).make_folder(".ckptctl/trash")
    assert [stat.S_IMODE((tree / path).stat().st_mode) for path in (".ckptctl", ".ckptctl/trash")] == [0o700, 0o700]


def test_a_folder_is_not_made_through_a_link_to_outside(tree: Path, outside: Path) -> None:
    (tree / ".ckptctl").symlink_to(outside)
    before = content(outside)
    with pytest.raises(NotADirectoryError):
        local.open_url(str(tree)).make_folder(".ckptctl/trash")
    assert content(outside) == before
    assert not (outside / "trash").exists()


def test_nothing_is_reached_through_a_folder_that_became_a_link(tree: Path, outside: Path) -> None:
    store = local.open_url(str(tree))
    entry = store.stat("run1/epoch=1.ckpt")
    shutil.rmtree(tree / "run1")
    (tree / "run1").symlink_to(outside)
    changes: list[Callable[[], object]] = [
        lambda: store.delete_exact(entry),
        lambda: store.rename(entry, "moved"),
        lambda: store.rename(store.stat("top.ckpt"), "run1/moved"),
        lambda: store.link("run1/last", "x"),
        store.open("run1/epoch=1.ckpt").__enter__,
        lambda: store.stat("run1/epoch=1.ckpt"),
    ]
    for change in changes:
        with pytest.raises(NotADirectoryError):
            change()
    assert content(outside) == {"epoch=1.ckpt": b"precious", "sub/precious": b"precious"}


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.write_bytes(b"TWENTY-TWO"),
        lambda path: os.truncate(path, 3),
        os.utime,
        lambda path: (path.parent / "new").write_bytes(b"twenty-two") and (path.parent / "new").replace(path),
        lambda path: (path.unlink(), path.symlink_to("epoch=1.ckpt")),
        lambda path: (path.unlink(), path.mkdir()),
    ],
    ids=["rewritten", "truncated", "touched", "replaced", "a link now", "a folder now"],
)
def test_a_file_that_is_not_as_listed_is_neither_moved_nor_removed(
    tree: Path, change: Callable[[Path], object]
) -> None:
    store = local.open_url(str(tree))
    entry = listed(store, stat=True)["run1/epoch=2.ckpt"]
    time.sleep(TICK)
    change(tree / "run1/epoch=2.ckpt")
    before = content(tree)
    with pytest.raises(EntryChanged, match="changed since it was listed"):
        store.delete_exact(entry)
    with pytest.raises(EntryChanged, match="changed since it was listed"):
        store.rename(entry, "moved")
    assert content(tree) == before


def test_a_file_of_the_same_size_and_time_but_another_inode_is_not_as_listed(tree: Path) -> None:
    store = local.open_url(str(tree))
    entry = store.stat("run1/epoch=2.ckpt")
    (tree / "new").write_bytes(b"TWENTY-TWO")
    os.utime(tree / "new", ns=(entry.modified or 0, entry.modified or 0))
    (tree / "new").rename(tree / "run1/epoch=2.ckpt")
    with pytest.raises(EntryChanged):
        store.delete_exact(entry)
    assert (tree / "run1/epoch=2.ckpt").read_bytes() == b"TWENTY-TWO"


def test_a_new_hard_link_does_not_make_a_file_another(tree: Path) -> None:
    store = local.open_url(str(tree))
    entry = store.stat("top.ckpt")
    os.link(tree / "top.ckpt", tree / "same.ckpt")
    store.delete_exact(entry)
    assert not (tree / "top.ckpt").exists()


def interpose(
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    before: Callable[[], object] | None = None,
    after: Callable[[], object] | None = None,
) -> None:
    """Let another process be quick: something happens right before or after the first time that a step is taken."""
    taken = vars(local)[step]
    todo = [(before, after)]

    def late(*values: object) -> object:
        early, later = todo.pop() if todo else (None, None)
        if early:
            early()
        result = taken(*values)
        if later:
            later()
        return result

    monkeypatch.setattr(local, step, late)


def test_what_was_swapped_between_the_look_and_the_move_is_moved_back(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, path = local.open_url(str(tree)), tree / "run1/epoch=1.ckpt"
    interpose(monkeypatch, "rename_exclusive", before=lambda: (tree / "run1/epoch=2.ckpt").replace(path))
    with pytest.raises(EntryChanged):
        store.rename(store.stat("run1/epoch=1.ckpt"), "moved")
    assert path.read_bytes() == b"twenty-two"
    assert not (tree / "moved").exists()


def test_what_cannot_be_moved_back_is_told_with_its_place(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, path = local.open_url(str(tree)), tree / "run1/epoch=1.ckpt"
    interpose(monkeypatch, "rename_exclusive", before=lambda: (tree / "run1/epoch=2.ckpt").replace(path))
    interpose(monkeypatch, "_move_back", before=lambda: path.write_bytes(b"a third"))
    with pytest.raises(EntryChanged, match="is now 'moved'"):
        store.rename(store.stat("run1/epoch=1.ckpt"), "moved")
    assert (path.read_bytes(), (tree / "moved").read_bytes()) == (b"a third", b"twenty-two")


def no_rename_to_free() -> None:
    """A C library that does not have renameat2."""


def fails_to_know(*_: object) -> bool:
    """A file system that does not know how to refuse a taken name."""
    return False


@pytest.mark.parametrize("found", [no_rename_to_free, lambda: fails_to_know], ids=["no call", "not supported"])
def test_where_the_kernel_cannot_refuse_a_taken_name_it_is_looked_at(
    tree: Path, monkeypatch: pytest.MonkeyPatch, found: Callable[[], object]
) -> None:
    monkeypatch.setattr(rename, "_rename_to_free", found)
    store = local.open_url(str(tree))
    before = content(tree)
    with pytest.raises(FileExistsError):
        store.rename(store.stat("run1/epoch=1.ckpt"), "top.ckpt")
    assert content(tree) == before
    store.rename(store.stat("run1/epoch=1.ckpt"), "moved")
    assert (tree / "moved").read_bytes() == b"one"


def test_the_kernel_refuses_a_name_taken_after_the_look(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not hasattr(ctypes.CDLL(None), "renameat2"):
        pytest.skip("this C library has no renameat2")
    store = local.open_url(str(tree))
    interpose(monkeypatch, "rename_exclusive", before=lambda: (tree / "moved").write_bytes(b"mine"))
    with pytest.raises(FileExistsError):
        store.rename(store.stat("top.ckpt"), "moved")
    assert (tree / "moved").read_bytes() == b"mine"


def test_a_folder_goes_with_its_links_and_not_with_what_they_lead_to(tree: Path, outside: Path) -> None:
    (tree / "run2/checkpoint-500/file").symlink_to(outside / "epoch=1.ckpt")
    (tree / "run2/checkpoint-500/folder").symlink_to(outside)
    (tree / "run2/checkpoint-500/sibling").symlink_to("../../run1")
    store = local.open_url(str(tree))
    store.delete_exact(store.stat("run2/checkpoint-500"))
    assert content(outside) == {"epoch=1.ckpt": b"precious", "sub/precious": b"precious"}
    assert sorted(content(tree)) == ["run1/epoch=1.ckpt", "run1/epoch=2.ckpt", "run1/hparams.yaml",
                                     "run10/last.ckpt", "top.ckpt"]  # fmt: skip


def test_a_folder_that_cannot_go_whole_stays_whole(public: Path) -> None:
    for name in ("a", "z"):
        (public / "run2/checkpoint-500" / name).mkdir()
        (public / "run2/checkpoint-500" / name / "shard").write_bytes(b"")
    for folder in ("run2", "run2/checkpoint-500", "run2/checkpoint-500/a"):
        (public / folder).chmod(0o777)
    before = content(public)
    said = as_nobody(public, "[s.delete_exact(s.stat('run2/checkpoint-500')) for s in [open_store(root)]]")
    assert said == "PermissionError: a folder in it may not be changed"
    assert content(public) == before


def test_a_folder_swapped_while_it_is_opened_is_not_removed(
    tree: Path, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = local.open_url(str(tree))
    swap = [(tree / "run2", tree / "aside"), (outside, tree / "run2")]
    interpose(monkeypatch, "_prove", after=lambda: [old.rename(new) for old, new in swap])
    with pytest.raises(EntryChanged):
        store.delete_exact(store.stat("run2"))
    assert content(tree / "run2") == {"epoch=1.ckpt": b"precious", "sub/precious": b"precious"}


@pytest.mark.parametrize("way", ["delete", "rename", "link"])
def test_a_parent_swapped_for_a_link_all_the_while_never_leads_outside(tree: Path, outside: Path, way: str) -> None:
    before = content(outside)
    store = local.open_url(str(tree))
    real = os.open(tree / "run1", os.O_RDONLY)
    seen: Counter[bool] = Counter()
    done = threading.Event()

    def swap() -> None:
        end, swaps = time.monotonic() + 600, 0
        while time.monotonic() < end and (swaps < 500 or len(seen) < 2):
            (tree / "run1").rename(tree / "aside")
            (tree / "run1").symlink_to(outside)
            (tree / "run1").unlink()
            (tree / "aside").rename(tree / "run1")
            swaps += 1
        done.set()

    swapper = threading.Thread(target=swap)
    swapper.start()
    while not done.is_set():
        os.close(os.open("epoch=1.ckpt", os.O_CREAT, dir_fd=real))  # another turn, another decoy
        seen[succeeds(lambda: change(store, way))] += 1
    swapper.join()
    os.close(real)
    assert set(seen) == {True, False}
    assert content(outside) == before


def change(store: Store, way: str) -> None:
    path = "run1/epoch=1.ckpt"
    if way == "delete":
        store.delete_exact(store.stat(path))
    elif way == "rename":
        store.rename(store.stat(path), f"moved{time.monotonic_ns()}")
    else:
        store.link(path, "epoch=2.ckpt")


def succeeds(act: Callable[[], object]) -> bool:
    try:
        act()
    except OSError:
        return False
    return True


def test_two_threads_that_remove_from_one_store_take_only_their_own(tmp_path: Path) -> None:
    mine = {f"{folder}/{number}": b"" for folder in "ab" for number in range(300)}
    write(tmp_path, {**mine, **{f"{folder}/keep{number}": b"" for folder in "ab" for number in range(300)}})
    store = local.open_url(str(tmp_path))

    def remove(folder: str) -> None:
        for number in range(300):
            store.delete_exact(store.stat(f"{folder}/{number}"))

    threads = [threading.Thread(target=remove, args=(folder,)) for folder in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(content(tmp_path)) == sorted(f"{folder}/keep{number}" for folder in "ab" for number in range(300))


# Mounts


def with_mount(root: Path, command: str, *expressions: str) -> list[str]:
    """Evaluate expressions of ``store``, in a mount namespace of their own after a mount command; skip without mounts.

    Gives the values as text, of an OSError its words.
    """
    code = f"""
import sys
from ckptctl.stores import local, open_store
store = local.open_url({str(root)!r})
for expression in sys.argv[1:]:
    try:
        print(eval(expression))
    except OSError as error:
        print(error.strerror)
"""
    unshare = shutil.which("unshare")
    if unshare is None:
        pytest.skip("there is no unshare here")
    script = f'{command} || exit 77; exec "$@"'
    whole = [unshare, "-m", "sh", "-c", script, "sh", sys.executable, "-c", code, *expressions]
    done = subprocess.run(whole, capture_output=True, text=True, check=False)
    if done.returncode == 77 or done.stderr.startswith("unshare"):
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
    assert done.stderr == ""
    return done.stdout.splitlines()


MOUNTS = {
    "another file system": "mount -t tmpfs none {root}/run2/checkpoint-500",
    "the same one": "mount --bind {outside} {root}/run2/checkpoint-500",
}


@pytest.mark.mount
@pytest.mark.parametrize("mount", MOUNTS.values(), ids=MOUNTS)
def test_a_mount_is_listed_and_not_entered(tree: Path, outside: Path, mount: str) -> None:
    command = mount.format(root=tree, outside=outside)
    found = with_mount(tree, command, "[(f.path, len(f.entries), f.failure) for f in store.walk(stat=True)]")
    assert found == [str([("", 4, None), ("run1", 3, None), ("run10", 1, None), ("run2", 1, None)])]


@pytest.mark.mount
@pytest.mark.parametrize("mount", MOUNTS.values(), ids=MOUNTS)
def test_a_folder_with_a_mount_in_it_stays_whole(tree: Path, outside: Path, mount: str) -> None:
    (tree / "run2" / "other").write_bytes(b"")
    before = content(tree), content(outside)
    command = mount.format(root=tree, outside=outside)
    said = with_mount(tree, command, "store.delete_exact(store.stat('run2'))")
    assert said == ["another file system is mounted in it"]
    assert (content(tree), content(outside)) == before


@pytest.mark.mount
def test_nothing_is_copied_to_another_file_system(tree: Path) -> None:
    (tree / "mounted").mkdir()
    before = content(tree)
    expressions = "store.rename(store.stat('top.ckpt'), 'mounted/x')", "store.stat('top.ckpt').kind"
    said = with_mount(tree, f"mount -t tmpfs none {tree}/mounted", *expressions)
    assert said[0].startswith("on another file system, or in a layer of a container's image")
    assert said[1:] == ["file"]
    assert content(tree) == before


@pytest.mark.mount
def test_a_read_only_root_refuses_changes_with_a_reason_and_is_listed(tree: Path) -> None:
    before = content(tree)
    said = with_mount(
        tree,
        f"mount --bind {tree} {tree} && mount -o remount,ro,bind {tree}",
        "store.delete_exact(store.stat('top.ckpt'))",
        "store.rename(store.stat('top.ckpt'), 'other')",
        "store.link('a', 'b')",
        "store.make_folder('c')",
        "store.clock() > 0",
        "len(list(store.walk(stat=True)))",
    )
    assert said == ["Read-only file system"] * 4 + ["True", "5"]
    assert content(tree) == before


@pytest.mark.mount
@pytest.mark.parametrize("mount", MOUNTS.values(), ids=MOUNTS)
def test_a_folder_with_a_mount_in_it_does_not_pass_and_so_is_not_even_moved(
    tree: Path, outside: Path, mount: str
) -> None:
    command = mount.format(root=tree, outside=outside)
    assert with_mount(tree, command, "store.check(store.stat('run2'), ())") == ["another file system is mounted in it"]


def test_a_folder_is_held_by_one_at_a_time(tree: Path) -> None:
    above, below = local.open_url(str(tree)), local.open_url(str(tree / "run1"))
    with above.hold("run1") as first, below.hold("") as second, below.hold("") as third, above.hold("run2") as fourth:
        assert (first, second, third, fourth) == (True, False, False, True)
    with below.hold("") as free_again, below.hold("") as twice:
        assert (free_again, twice) == (True, False)
