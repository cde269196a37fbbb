from __future__ import annotations

from ckptctl.scan.runs import Options, scan
from ckptctl.stores import SMALL, CachedStore, read_whole
from tests.layouts.trees import transformers
from tests.states import Watched

MOST = 1 << 20


def test_a_small_file_that_is_asked_for_again_is_not_fetched_again() -> None:
    store = Watched({"a": b"one"})
    recent = CachedStore(store)
    assert [read_whole(recent, "a", MOST) for _ in range(3)] == [b"one"] * 3
    with recent.open("a") as source:
        assert (source.size, source.read(1, 5), source.read(3, 1)) == (3, b"ne", b"")
    assert store.opened == ["a"]


def test_one_file_alone_is_held() -> None:
    store = Watched({"a": b"one", "b": b"two"})
    recent = CachedStore(store)
    assert [read_whole(recent, path, MOST) for path in ("a", "b", "a")] == [b"one", b"two", b"one"]
    assert store.opened == ["a", "b", "a"]


def test_a_large_file_is_not_held() -> None:
    data = bytes(range(256)) * (SMALL // 256) + b"!"
    store = Watched({"a": data})
    recent = CachedStore(store)
    assert [read_whole(recent, "a", MOST) for _ in range(2)] == [data, data]
    assert store.opened == ["a", "a"]


def test_the_newest_record_of_a_run_is_fetched_once_for_its_scores_its_pointer_and_its_end() -> None:
    store = Watched(transformers.TREES[0].files)
    assert [it.metrics for run in scan(store, Options(now=store.clock())) for it in run.checkpoints] != [{}]
    records = [path for path in store.opened if path.endswith("trainer_state.json")]
    assert len(records) == len(set(records)) == 1
