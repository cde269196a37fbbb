from __future__ import annotations

from collections.abc import Mapping

import pytest

from ckptctl.stores import ReadStore
from tests.stores.contract import SECOND, StoreContract
from tests.stores.memory import MemoryStore


class TestMemoryStore(StoreContract):
    def make(self, files: Mapping[str, bytes], links: Mapping[str, str] | None = None) -> ReadStore:
        return MemoryStore(files, links)

    def put(self, store: ReadStore, path: str, data: bytes) -> None:
        assert isinstance(store, MemoryStore)
        store.write(path, data)

    def root(self, store: ReadStore) -> str:
        assert isinstance(store, MemoryStore)
        return store.root


def test_times_may_be_given() -> None:
    store = MemoryStore({"a": b"", "b": b""}, times={"a": 42})
    assert store.stat("a").modified == 42


def test_the_clock_goes_on_with_every_change() -> None:
    store = MemoryStore(now=0)
    store.write("a", b"")
    store.write("b", b"")
    assert (store.stat("a").modified, store.stat("b").modified, store.clock()) == (SECOND, 2 * SECOND, 2 * SECOND)


def test_folders_may_be_empty() -> None:
    folders = list(MemoryStore(folders=["a/b"]).walk(stat=True))
    assert [(folder.path, len(folder.entries)) for folder in folders] == [("", 1), ("a", 1), ("a/b", 0)]


def test_a_store_without_files_has_its_root() -> None:
    assert [folder.path for folder in MemoryStore().walk(stat=True)] == [""]


def test_a_file_cannot_lie_in_a_file() -> None:
    with pytest.raises(NotADirectoryError):
        MemoryStore({"a": b"", "a/b": b""})
