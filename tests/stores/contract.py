"""What every store promises, whatever it stands on: one suite, inherited by the tests of each."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

import pytest

from ckptctl.core.model import Entry
from ckptctl.errors import Refused
from ckptctl.stores import EntryChanged, Folder, ReadStore, Store, require_writable

SECOND = 1_000_000_000
ANY = r"\w"
"""Of the words of an error: the stores need not agree on them."""
TREE = {
    "run1/epoch=1.ckpt": b"one",
    "run1/epoch=2.ckpt": b"twenty-two",
    "run1/hparams.yaml": b"lr: 0.1\n",
    "run10/last.ckpt": b"ten",
    "run2/checkpoint-500/model.safetensors": b"weights",
    "run2/checkpoint-500/trainer_state.json": b"{}",
    "top.ckpt": b"",
}
NAMES = [
    "a [1].ckpt",
    "a*.ckpt",
    "a?.ckpt",
    "{a,b}.ckpt",
    "-n.ckpt",
    " lead and trail ",
    "per%20cent&amp;.ckpt",
    "épôque=1-Ω.ckpt",
    "epoch=0-val_loss=-0.5.ckpt",
    "quote\"and'.ckpt",
    "back\\slash.ckpt",
    "~.ckpt",
    "#1.ckpt",
]
CHANGES = sorted(name for name in vars(Store) if name[0] != "_" and not hasattr(ReadStore, name))
"""The methods of a store that change something, or prepare it."""


class StoreContract:
    """Inherit, and say how a store with certain files is made."""

    has_links = True
    is_writable = True

    def make(self, files: Mapping[str, bytes], links: Mapping[str, str] | None = None) -> ReadStore:
        """A store that holds these files, and links by their text."""
        raise NotImplementedError

    def put(self, store: ReadStore, path: str, data: bytes) -> None:
        """Write a file behind the store's back, as training would."""
        raise NotImplementedError

    def root(self, store: ReadStore) -> str:
        """What the absolute path of a thing in the store begins with."""
        raise NotImplementedError

    def make_writable(self, files: Mapping[str, bytes], links: Mapping[str, str] | None = None) -> Store:
        if not self.is_writable:
            pytest.skip("this kind of store is read-only")
        return require_writable(self.make(files, links))

    def make_linked(self, files: Mapping[str, bytes], links: Mapping[str, str]) -> Store:
        if not self.has_links:
            pytest.skip("this kind of store has no links")
        return require_writable(self.make(files, links))

    # Listing

    @pytest.mark.parametrize("stat", [False, True], ids=["names", "stat"])
    def test_a_walk_gives_parents_first_in_the_order_of_names(self, stat: bool) -> None:
        folders = list(self.make(TREE).walk(stat=stat))
        assert [folder.path for folder in folders] == ["", "run1", "run10", "run2", "run2/checkpoint-500"]
        assert all(folder.failure is None for folder in folders)

    @pytest.mark.parametrize("stat", [False, True], ids=["names", "stat"])
    @pytest.mark.parametrize("top", ["run1", "run2", "run2/checkpoint-500"])
    def test_a_walk_from_a_folder_gives_what_a_walk_of_all_gives_there(self, top: str, stat: bool) -> None:
        store = self.make(TREE)
        below = [it for it in store.walk(stat=stat) if f"{it.path}/".startswith(f"{top}/")]
        assert list(store.walk(stat=stat, top=top)) == below != []

    @pytest.mark.parametrize("top", ["run", "run1/none", "../x"])
    def test_a_walk_from_a_folder_that_is_not_there_is_an_error(self, top: str) -> None:
        with pytest.raises(OSError, match=ANY):
            list(self.make(TREE).walk(stat=True, top=top))

    @pytest.mark.parametrize("stat", [False, True], ids=["names", "stat"])
    def test_a_walk_gives_every_entry_once_with_its_kind(self, stat: bool) -> None:
        listed = [(entry.path, entry.kind) for folder in self.make(TREE).walk(stat=stat) for entry in folder.entries]
        folders = ["run1", "run10", "run2", "run2/checkpoint-500"]
        assert sorted(listed) == sorted([(path, "file") for path in TREE] + [(path, "dir") for path in folders])

    def test_entries_come_sorted_by_path(self) -> None:
        for folder in self.make(TREE).walk(stat=False):
            assert [entry.path for entry in folder.entries] == sorted(entry.path for entry in folder.entries)

    def test_entries_lie_in_the_folder_that_lists_them(self) -> None:
        for folder in self.make(TREE).walk(stat=False):
            assert {entry.path.rpartition("/")[0] for entry in folder.entries} <= {folder.path}

    def test_a_walk_with_stat_gives_sizes_times_and_identities(self) -> None:
        files = _files(self.make(TREE))
        assert {path: entry.size for path, entry in files.items()} == {path: len(data) for path, data in TREE.items()}
        assert all(entry.modified for entry in files.values())

    def test_two_walks_give_the_same(self) -> None:
        store = self.make(TREE)
        assert list(store.walk(stat=True)) == list(store.walk(stat=True))

    def test_two_walks_at_once_do_not_disturb_each_other(self) -> None:
        store = self.make(TREE)
        walks = zip(store.walk(stat=False), store.walk(stat=False), strict=True)
        assert all(one == other for one, other in walks)

    def test_a_second_walk_sees_what_came_meanwhile(self) -> None:
        store = self.make(TREE)
        list(store.walk(stat=True))
        self.put(store, "run1/epoch=3.ckpt", b"three")
        assert _files(store)["run1/epoch=3.ckpt"].size == 5

    def test_a_folder_that_is_not_to_be_entered_is_only_listed(self) -> None:
        store = self.make(TREE)
        folders = list(store.walk(stat=False, enter=lambda path: not path.endswith("checkpoint-500")))
        assert [folder.path for folder in folders] == ["", "run1", "run10", "run2"]
        assert _paths(folders[-1]) == ["run2/checkpoint-500"]

    def test_whether_to_enter_is_asked_after_the_parent_was_given(self) -> None:
        given: list[str] = []
        asked: dict[str, list[str]] = {}

        def enter(path: str) -> bool:
            asked[path] = [*given]
            return True

        for folder in self.make(TREE).walk(stat=False, enter=enter):
            given += [folder.path]
        assert asked["run2/checkpoint-500"] == ["", "run1", "run10", "run2"]
        assert list(asked) == given

    def test_the_own_folder_is_never_listed(self) -> None:
        store = self.make({"a.ckpt": b"a", ".ckptctl/trash/1/b.ckpt": b"b", "run/.ckptctl/journal": b"", "run/x": b""})
        assert sorted(_files(store)) == ["a.ckpt", "run/x"]

    @pytest.mark.parametrize("name", NAMES)
    def test_a_name_is_taken_literally(self, name: str) -> None:
        decoys = {f"d/{decoy}": b"decoy" for decoy in ("a1.ckpt", "ab.ckpt", "a.ckpt", "a 1.ckpt")}
        store = self.make({**decoys, f"d/{name}": b"the one"})
        assert sorted(_files(store)) == sorted([*decoys, f"d/{name}"])
        with store.open(f"d/{name}") as file:
            assert file.read(0, 100) == b"the one"

    # One entry

    def test_stat_tells_what_the_walk_told(self) -> None:
        store = self.make(TREE)
        for path, entry in _files(store).items():
            assert store.stat(path)._replace(modified=None) == entry._replace(modified=None)

    def test_stat_tells_the_time_that_the_walk_told_to_the_second(self) -> None:
        store = self.make(TREE)
        told = [(store.stat(path).modified, entry.modified) for path, entry in _files(store).items()]
        assert all(one is not None and other is not None and abs(one - other) < SECOND for one, other in told)

    @pytest.mark.parametrize("path", ["no.ckpt", "run1/no.ckpt", "no/no.ckpt", "run"])
    def test_what_is_not_there_is_not_found(self, path: str) -> None:
        store = self.make(TREE)
        with pytest.raises(FileNotFoundError):
            store.stat(path)
        with pytest.raises(FileNotFoundError), store.open(path):
            pass
        with pytest.raises(FileNotFoundError):
            store.resolve(path)

    @pytest.mark.parametrize(
        ("offset", "length", "expected"),
        [
            (0, 3, b"012"),
            (3, 4, b"3456"),
            (8, 100, b"89"),
            (10, 1, b""),
            (99, 1, b""),
            (0, 0, b""),
            (0, 1 << 60, b"0123456789"),
        ],
        ids=["start", "middle", "end", "at the end", "past the end", "nothing", "more than there is"],
    )
    def test_a_read_gives_bytes_by_position(self, offset: int, length: int, expected: bytes) -> None:
        with self.make({"x.ckpt": b"0123456789"}).open("x.ckpt") as file:
            assert file.size == 10
            assert file.read(offset, length) == expected

    def test_an_empty_file_reads_as_nothing(self) -> None:
        with self.make(TREE).open("top.ckpt") as file:
            assert (file.size, file.read(0, 10)) == (0, b"")

    def test_a_folder_cannot_be_opened_as_a_file(self) -> None:
        with pytest.raises(OSError, match=ANY), self.make(TREE).open("run1"):
            pass

    def test_what_is_no_link_resolves_to_itself(self) -> None:
        assert self.make(TREE).resolve("run1/epoch=1.ckpt") == "run1/epoch=1.ckpt"

    def test_the_clock_is_not_behind_the_files(self) -> None:
        store = self.make(TREE)
        newest = max(entry.modified or 0 for entry in _files(store).values())
        assert newest - SECOND < store.clock() < newest + 600 * SECOND

    # Links

    def test_a_link_is_listed_with_its_text_and_not_followed(self) -> None:
        store = self.make_linked(TREE, {"last.ckpt": "run1/epoch=2.ckpt", "latest": "run2", "gone": "no/where"})
        folders = list(store.walk(stat=False))
        links = {entry.path: entry.target for entry in folders[0].entries if entry.kind == "link"}
        assert links == {"last.ckpt": "run1/epoch=2.ckpt", "latest": "run2", "gone": "no/where"}
        assert "latest" not in [folder.path for folder in folders]

    def test_stat_tells_of_a_link_itself(self) -> None:
        store = self.make_linked(TREE, {"last.ckpt": "run1/epoch=2.ckpt"})
        entry = store.stat("last.ckpt")
        assert (entry.kind, entry.target, entry.size) == ("link", "run1/epoch=2.ckpt", len("run1/epoch=2.ckpt"))

    def test_a_link_cannot_be_opened(self) -> None:
        store = self.make_linked(TREE, {"last.ckpt": "run1/epoch=2.ckpt"})
        with pytest.raises(OSError, match=ANY), store.open("last.ckpt"):
            pass

    @pytest.mark.parametrize(
        ("links", "expected"),
        [
            ({"run1/last": "epoch=2.ckpt"}, "run1/epoch=2.ckpt"),
            ({"run1/last": "../run10/last.ckpt"}, "run10/last.ckpt"),
            ({"run1/last": "./././epoch=2.ckpt"}, "run1/epoch=2.ckpt"),
            ({"run1/last": "best", "run1/best": "first", "run1/first": "epoch=1.ckpt"}, "run1/epoch=1.ckpt"),
            ({"run1/last": "../current/last.ckpt", "current": "run10"}, "run10/last.ckpt"),
            ({"run1/last": "../run2/checkpoint-500"}, "run2/checkpoint-500"),
            ({"run1/last": ".."}, ""),
            ({"run1/last": "/ROOT/run10/last.ckpt"}, "run10/last.ckpt"),
            ({"run1/last": "/ROOT"}, ""),
            ({"run1/last": "/"}, None),
            ({"run1/last": "../.."}, None),
        ],
        ids=["sibling", "cousin", "dots", "chain", "through a link", "folder", "root", "absolute", "absolute root",
             "top of all", "above"],
    )  # fmt: skip
    def test_a_link_resolves_to_where_it_finally_leads(self, links: dict[str, str], expected: str | None) -> None:
        store = self.make_linked(TREE, {})
        for path, target in links.items():
            store.link(path, target.replace("/ROOT", self.root(store)))
        assert store.resolve("run1/last") == expected

    def test_a_dangling_link_leads_to_nothing(self) -> None:
        with pytest.raises(FileNotFoundError):
            self.make_linked(TREE, {"run1/last": "epoch=9.ckpt"}).resolve("run1/last")

    @pytest.mark.parametrize("links", [{"a": "a"}, {"a": "b", "b": "c", "c": "a"}], ids=["of one", "of three"])
    def test_a_loop_of_links_is_told_as_one(self, links: dict[str, str]) -> None:
        with pytest.raises(OSError, match="symbolic") as caught:
            self.make_linked(TREE, links).resolve("a")
        assert caught.value.errno == errno.ELOOP

    def test_a_name_that_only_begins_like_the_root_is_outside(self) -> None:
        store = self.make_linked(TREE, {})
        store.link("out", self.root(store) + "-other")
        with suppress(FileNotFoundError):  # on a real disk there is nothing of that name
            assert store.resolve("out") is None

    # A store that may not be written to

    def test_what_can_only_be_read_has_no_way_to_change_anything(self) -> None:
        store = self.make(TREE)
        assert isinstance(store, Store) == self.is_writable
        assert any(hasattr(store, name) for name in CHANGES) == self.is_writable

    def test_whoever_would_change_what_can_only_be_read_is_refused(self) -> None:
        store = self.make(TREE)
        if self.is_writable:
            assert require_writable(store) is store
            return
        with pytest.raises(Refused, match="object stores are read-only for now") as caught:
            require_writable(store, path=store.url, done="nothing was deleted")
        assert (caught.value.id, caught.value.exit_code) == ("read-only-store", 6)
        assert (caught.value.path, caught.value.done) == (store.url, "nothing was deleted")

    # Folders

    def test_a_folder_is_made_with_its_parents(self) -> None:
        store = self.make_writable(TREE)
        store.make_folder("new/a/b")
        assert [store.stat(path).kind for path in ("new", "new/a", "new/a/b")] == ["dir"] * 3

    def test_making_a_folder_that_is_there_changes_nothing(self) -> None:
        store = self.make_writable(TREE)
        before = list(store.walk(stat=True))
        store.make_folder("run2/checkpoint-500")
        assert list(store.walk(stat=True)) == before

    @pytest.mark.parametrize("path", ["top.ckpt", "top.ckpt/x", "linked", "linked/x"])
    def test_a_folder_is_not_made_of_or_through_something_else(self, path: str) -> None:
        store = self.make_writable(TREE, {"linked": "run1"})
        with pytest.raises(OSError, match=ANY):
            store.make_folder(path)
        assert [store.stat(path).kind for path in ("top.ckpt", "linked")] == ["file", "link"]
        assert "run1/x" not in _all(store)

    # Moving

    @pytest.mark.parametrize(
        "path", ["run1/epoch=1.ckpt", "run2/checkpoint-500", "last"], ids=["file", "folder", "link"]
    )
    def test_a_move_keeps_what_is_moved_and_all_else(self, path: str) -> None:
        store = self.make_writable(TREE, {"last": "run1/epoch=1.ckpt"})
        before, entry = _all(store), store.stat(path)
        store.make_folder(".ckptctl/trash/1")
        store.rename(entry, ".ckptctl/trash/1/0")
        assert store.stat(".ckptctl/trash/1/0") == entry._replace(path=".ckptctl/trash/1/0")
        assert _all(store) == [other for other in before if other != path and not other.startswith(path + "/")]

    def test_a_move_and_a_move_back_restore_everything(self) -> None:
        store = self.make_writable(TREE)
        store.make_folder("aside")
        before, entry = _files(store), store.stat("run2/checkpoint-500")
        store.rename(entry, "aside/0")
        store.rename(entry._replace(path="aside/0"), "run2/checkpoint-500")
        assert _files(store) == before

    @pytest.mark.parametrize("taken", ["run1/epoch=2.ckpt", "run10", "last", "dangling"])
    def test_a_move_never_overwrites(self, taken: str) -> None:
        store = self.make_writable(TREE, {"last": "top.ckpt", "dangling": "nowhere"})
        before = list(store.walk(stat=True))
        with pytest.raises(FileExistsError):
            store.rename(store.stat("run1/epoch=1.ckpt"), taken)
        assert list(store.walk(stat=True)) == before

    def test_a_folder_is_not_moved_over_an_empty_folder(self) -> None:
        store = self.make_writable(TREE)
        store.make_folder("empty")
        with pytest.raises(FileExistsError):
            store.rename(store.stat("run2/checkpoint-500"), "empty")
        assert "run2/checkpoint-500/model.safetensors" in _all(store)

    def test_a_move_into_a_folder_that_is_not_there_fails_and_changes_nothing(self) -> None:
        store = self.make_writable(TREE)
        before = list(store.walk(stat=True))
        with pytest.raises(FileNotFoundError):
            store.rename(store.stat("top.ckpt"), "no/such/folder")
        assert list(store.walk(stat=True)) == before

    # Removing

    @pytest.mark.parametrize(
        "path", ["run1/epoch=1.ckpt", "run2/checkpoint-500", "run2", "last", "latest"],
        ids=["file", "folder", "deep folder", "link to a file", "link to a folder"],
    )  # fmt: skip
    def test_removing_takes_exactly_what_was_named(self, path: str) -> None:
        store = self.make_writable(TREE, {"last": "run1/epoch=2.ckpt", "latest": "run10"})
        before = _all(store)
        store.delete_exact(store.stat(path))
        assert _all(store) == [other for other in before if other != path and not other.startswith(path + "/")]

    @pytest.mark.parametrize("name", NAMES)
    def test_removing_takes_a_name_literally(self, name: str) -> None:
        store = self.make_writable({**dict.fromkeys(NAMES, b""), "a1.ckpt": b"", "ab.ckpt": b"", "a 1.ckpt": b""})
        before = _all(store)
        store.delete_exact(store.stat(name))
        assert _all(store) == [other for other in before if other != name]

    @pytest.mark.parametrize("path", ["top.ckpt", "last", "run1"], ids=["file", "link", "full folder"])
    def test_what_must_be_an_empty_folder_and_is_none_stays(self, path: str) -> None:
        store = self.make_writable(TREE, {"last": "run1"})
        before = _all(store)
        with pytest.raises(OSError):  # noqa: PT011 - each store has a reason of its own
            store.delete_exact(store.stat(path), only_empty=True)
        assert _all(store) == before

    # What is not as it was

    @pytest.mark.parametrize("path", ["run1/epoch=1.ckpt", "run2/checkpoint-500"], ids=["file", "folder"])
    def test_what_changed_since_it_was_listed_is_neither_moved_nor_removed(self, path: str) -> None:
        store = self.make_writable(TREE)
        entry = store.stat(path)
        time.sleep(0.02)  # a file system stamps no finer than the kernel's tick
        self.put(store, path if entry.kind == "file" else f"{path}/optimizer.pt", b"something else")
        before = _all(store)
        with pytest.raises(EntryChanged):
            store.rename(entry, "moved")
        with pytest.raises(EntryChanged):
            store.delete_exact(entry)
        assert _all(store) == before

    def test_a_folder_in_the_place_of_a_file_is_not_removed(self) -> None:
        store = self.make_writable(TREE)
        entry = store.stat("top.ckpt")
        store.delete_exact(entry)
        self.put(store, "top.ckpt/precious", b"")
        with pytest.raises(EntryChanged):
            store.delete_exact(entry)
        assert "top.ckpt/precious" in _all(store)

    def test_what_is_gone_is_told_as_not_found(self) -> None:
        store = self.make_writable(TREE)
        entry = store.stat("top.ckpt")
        store.delete_exact(entry)
        with pytest.raises(FileNotFoundError):
            store.delete_exact(entry)
        with pytest.raises(FileNotFoundError):
            store.rename(entry, "moved")

    def test_an_entry_listed_without_its_identity_is_neither_moved_nor_removed(self) -> None:
        store = self.make_writable(TREE)
        entry = next(entry for folder in store.walk(stat=False) for entry in folder.entries if entry.path == "top.ckpt")
        assert entry.identity is None
        changes: list[Callable[[], object]] = [lambda: store.delete_exact(entry), lambda: store.rename(entry, "moved")]
        for change in changes:
            with pytest.raises(ValueError, match="identity"):
                change()
        assert _all(store) == _all(self.make(TREE))

    @pytest.mark.parametrize("path", ["", ".", "..", "../x", "/x", "run1/../top.ckpt", "run1//x", "run1/", "a\0b"])
    def test_a_path_that_could_lead_elsewhere_is_no_target_of_a_change(self, path: str) -> None:
        store = self.make_writable(TREE)
        before, entry = list(store.walk(stat=True)), store.stat("top.ckpt")
        changes: list[Callable[[], object]] = [
            lambda: store.rename(entry, path),
            lambda: store.rename(entry._replace(path=path), "moved"),
            lambda: store.delete_exact(entry._replace(path=path)),
            lambda: store.link(path, "top.ckpt"),
            lambda: store.make_folder(path),
        ]
        for change in changes:
            with pytest.raises(OSError, match=ANY):
                change()
        assert list(store.walk(stat=True)) == before

    def test_a_folder_that_is_as_it_was_passes_wherever_it_was_moved(self) -> None:
        store = self.make_writable(TREE)
        entry, inside = store.stat("run2"), _below(store, "run2")
        store.check(entry, inside)
        store.rename(entry, "moved")
        store.check(entry._replace(path="moved"), inside)
        store.check(store.stat("top.ckpt"))

    @pytest.mark.parametrize("name", ["new.pt", "checkpoint-500/new.pt", "checkpoint-500/optimizer.pt"])
    def test_a_folder_that_was_written_to_does_not_pass(self, name: str) -> None:
        store = self.make_writable(TREE)
        inside = _below(store, "run2")
        time.sleep(0.02)  # a file system stamps no finer than the kernel's tick
        self.put(store, f"run2/{name}", b"something else")
        with pytest.raises(EntryChanged):
            store.check(store.stat("run2"), inside)

    def test_a_folder_that_nobody_else_works_in_can_be_held(self) -> None:
        store = self.make_writable(TREE)
        for folder in ("", "run2/checkpoint-500"):
            with store.hold(folder) as is_free:
                assert is_free
        with pytest.raises(FileNotFoundError), store.hold("nowhere"):
            pass

    def test_what_was_moved_can_be_put_on_the_disk_for_good(self) -> None:
        store = self.make_writable(TREE)
        store.rename(store.stat("top.ckpt"), "run1/moved")
        store.sync(["", "run1"])
        assert store.stat("run1/moved").kind == "file"
        with pytest.raises(FileNotFoundError):
            store.sync(["run1", "nowhere"])

    # Rewriting

    def test_a_file_gets_other_content_and_nothing_else_changes(self) -> None:
        store = self.make_writable(TREE)
        before = _all(store)
        store.rewrite(store.stat("run1/hparams.yaml"), b"lr: 0.2\n")
        with store.open("run1/hparams.yaml") as source:
            assert source.read(0, 100) == b"lr: 0.2\n"
        assert _all(store) == before

    def test_a_file_that_was_written_to_since_is_not_rewritten(self) -> None:
        store = self.make_writable(TREE)
        entry = store.stat("run1/hparams.yaml")
        self.put(store, "run1/hparams.yaml", b"lr: 0.333\n")
        with pytest.raises(EntryChanged):
            store.rewrite(entry, b"lr: 0.2\n")
        with store.open("run1/hparams.yaml") as source:
            assert source.read(0, 100) == b"lr: 0.333\n"
        assert _all(store) == sorted({"run1", "run10", "run2", "run2/checkpoint-500", *TREE})

    # Writing large files

    def test_a_draft_gets_its_name_once_it_is_whole(self) -> None:
        store = self.make_writable(TREE)
        with store.open("run1/epoch=2.ckpt") as source, store.draft("run1/new.ckpt") as draft:
            draft.write(b"0123")
            draft.skip(2)
            draft.copy(source, 7, 3)
            draft.write_at(1, b"X")
            draft.sync()
            draft.stamp(5 * SECOND)
            assert draft.size == 9
            assert draft.read(0, 4) == b"0X23"
            assert "run1/new.ckpt" not in _all(store)
        with store.open("run1/new.ckpt") as source:
            assert source.read(0, 100) == b"0X23\0\0two"
        assert store.stat("run1/new.ckpt").modified == 5 * SECOND
        assert _all(store) == sorted({"run1", "run10", "run2", "run2/checkpoint-500", "run1/new.ckpt", *TREE})

    def test_a_draft_that_fails_leaves_nothing(self) -> None:
        store = self.make_writable(TREE)
        before = _all(store)
        with pytest.raises(TypeError), store.draft("run1/new.ckpt") as draft:
            draft.write(None)  # type: ignore[arg-type] # that is why it fails
        with store.open("top.ckpt") as source, pytest.raises(OSError, match="ended"), store.draft("new") as draft:
            draft.copy(source, 0, 1)
        assert _all(store) == before

    def test_a_draft_takes_nothings_place(self) -> None:
        store = self.make_writable(TREE)
        before = _all(store)
        with pytest.raises(FileExistsError), store.draft("top.ckpt", like="run10/last.ckpt") as draft:
            draft.write(b"new")
        with store.open("top.ckpt") as source:
            assert source.read(0, 100) == b""
        assert _all(store) == before

    def test_a_file_and_a_folder_can_be_given_a_time(self) -> None:
        store = self.make_writable(TREE)
        for path in ("run1/epoch=1.ckpt", "run1"):
            store.stamp(path, 7 * SECOND)
            assert store.stat(path).modified == 7 * SECOND
        with pytest.raises(FileNotFoundError):
            store.stamp("nothing", 1)
        assert _all(store) == sorted({"run1", "run10", "run2", "run2/checkpoint-500", *TREE})

    # Linking

    @pytest.mark.parametrize("path", ["top.ckpt", "run1/old"], ids=["file", "link"])
    def test_a_link_that_should_be_new_takes_nothings_place(self, path: str) -> None:
        store = self.make_writable(TREE, {"run1/old": "hparams.yaml"})
        before = list(store.walk(stat=True))
        with pytest.raises(FileExistsError):
            store.link(path, "epoch=2.ckpt", is_new=True)
        assert store.stat(path) in [entry for folder in before for entry in folder.entries]
        assert [len(folder.entries) for folder in store.walk(stat=True)] == [len(folder.entries) for folder in before]
        store.link("run1/new", "epoch=2.ckpt", is_new=True)
        assert store.stat("run1/new").target == "epoch=2.ckpt"

    # The journal, the lock, and what lies in one folder

    def test_a_log_begins_with_the_room_that_was_asked_for_and_grows_behind_what_was_said(self) -> None:
        store = self.make_writable(TREE)
        with store.log("run1/log", room=100) as log:
            log.add(b"one ")
            log.add(b"two ")
        with store.log("run1/log", end=8) as log:
            log.add(b"three" * 30)
        with store.open("run1/log") as source:
            assert source.read(0, 1000) == b"one two " + b"three" * 30

    def test_the_room_of_a_log_is_zeros(self) -> None:
        store = self.make_writable(TREE)
        with store.log("run1/log", room=100) as log:
            log.add(b"said")
        with store.open("run1/log") as source:
            assert source.read(0, 1000) == b"said".ljust(100, b"\0")

    def test_a_log_takes_nothings_place_and_goes_on_only_where_it_is(self) -> None:
        store = self.make_writable(TREE)
        with pytest.raises(FileExistsError), store.log("run1/hparams.yaml"):
            pass
        with pytest.raises(FileNotFoundError), store.log("run1/none", end=3):
            pass
        assert store.stat("run1/hparams.yaml").size == len(TREE["run1/hparams.yaml"])

    def test_a_lock_file_is_held_by_one_and_gone_afterwards(self) -> None:
        store = self.make_writable(TREE)
        with store.hold_file("run1/lock", b"first") as holder:
            assert holder is None
            with store.hold_file("run1/lock", b"second") as other:
                assert other is not None
                assert (other.record, other.is_alive) == (b"first", True)
            assert store.stat("run1/lock").kind == "file"
        with pytest.raises(FileNotFoundError):
            store.stat("run1/lock")

    def test_what_lies_in_one_folder_is_listed_with_the_tools_own(self) -> None:
        store = self.make_writable({**TREE, "run1/.ckptctl/x/y": b"", "run1/sub/z": b""})
        names = [entry.path for entry in store.contents("run1")]
        assert names == ["run1/.ckptctl", "run1/epoch=1.ckpt", "run1/epoch=2.ckpt", "run1/hparams.yaml", "run1/sub"]
        assert store.contents("run1")[1] == store.stat("run1/epoch=1.ckpt")
        with pytest.raises(FileNotFoundError):
            store.contents("run3")

    def test_what_nobody_has_open_is_not_in_use(self) -> None:
        store = self.make_writable(TREE)
        assert not store.is_being_written(store.stat("run1/epoch=1.ckpt"))
        assert not store.is_being_written(store.stat("run2"))
        assert store.stat("run1/epoch=1.ckpt").identity not in store.in_use()

    # Linking

    def test_a_link_is_made(self) -> None:
        store = self.make_writable(TREE)
        store.link("run1/last.ckpt", "epoch=2.ckpt")
        assert store.resolve("run1/last.ckpt") == "run1/epoch=2.ckpt"

    @pytest.mark.parametrize("path", ["run1/old", "run1/gone", "run1/epoch=1.ckpt"], ids=["link", "dangling", "file"])
    def test_a_link_takes_the_place_of_a_link_or_file_and_leaves_nothing_beside_it(self, path: str) -> None:
        store = self.make_writable(TREE, {"run1/old": "hparams.yaml", "run1/gone": "nowhere"})
        before = _all(store)
        store.link(path, "epoch=2.ckpt")
        assert (store.stat(path).kind, store.stat(path).target) == ("link", "epoch=2.ckpt")
        assert _all(store) == before

    def test_a_link_does_not_take_the_place_of_a_folder(self) -> None:
        store = self.make_writable(TREE)
        before = list(store.walk(stat=True))
        with pytest.raises(IsADirectoryError, match="folder"):
            store.link("run2/checkpoint-500", "../run1/epoch=1.ckpt")
        assert list(store.walk(stat=True)) == before

    def test_what_was_made_here_is_this_users(self) -> None:
        store = self.make_writable({"run/a.ckpt": b"x"})
        assert store.is_own("run/a.ckpt")
        assert store.is_own("run")
        with pytest.raises(FileNotFoundError):
            store.is_own("run/b.ckpt")


def _files(store: ReadStore) -> dict[str, Entry]:
    return {entry.path: entry for folder in store.walk(stat=True) for entry in folder.entries if entry.kind == "file"}


def _below(store: ReadStore, path: str) -> list[Entry]:
    found = (entry for folder in store.walk(stat=True) for entry in folder.entries)
    return [entry for entry in found if entry.path.startswith(f"{path}/")]


def _all(store: ReadStore) -> list[str]:
    return sorted(entry.path for folder in store.walk(stat=False) for entry in folder.entries)


def _paths(folder: Folder) -> list[str]:
    return [entry.path for entry in folder.entries]
