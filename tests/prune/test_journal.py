"""What a journal holds after any stop: what was said, and nothing that was not."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest

from ckptctl.core.transaction import RenameStep, Replacement, RetainedFile, RosterEdit, Transaction, TransactionItem
from ckptctl.errors import Damaged
from ckptctl.prune.journal import (
    FOREIGN,
    NAME,
    TRASH,
    JournaledTransaction,
    Seal,
    begin_journal,
    decode_records,
    encode_record,
    has_trash,
    load_transaction,
    load_transactions,
    new_id,
    resume_journal,
    trash_folder_of,
)
from tests.stores.memory import MemoryStore

ITEMS = (
    TransactionItem("r/a.ckpt", 10, 1, 10, (RenameStep("r/a.ckpt", f"{TRASH}/t/0", (5, 7)),)),
    TransactionItem(
        "r/b",
        30,
        2,
        0,
        (RenameStep("r/b.1", f"{TRASH}/t/1.0", (5, 8)), RenameStep("r/b.2", f"{TRASH}/t/1.1", "etag")),
        "r/b-x",
    ),
)
KIN = (RetainedFile("r/b.3", (5, 9), 20, 7), RetainedFile("r/b.4", "etag", 0, 8))
INTENT = Transaction(
    "t", "prune", "Keep the last 1.", 42, ITEMS, (RosterEdit("r/checkpoint", f"{TRASH}/t/list.0", 99),), True, 77
)


def store_with(intent: Transaction = INTENT) -> MemoryStore:
    store = MemoryStore(folders=[trash_folder_of(intent.txid)])
    with begin_journal(store, intent):
        pass
    return store


def content(store: MemoryStore) -> bytes:
    with store.open(f"{trash_folder_of('t')}/{NAME}") as source:
        return source.read(0, source.size)


def test_what_is_intended_is_read_as_it_was_written() -> None:
    store = store_with()
    found = load_transaction(store, "t")
    assert found is not None
    assert found._replace(end=0, length=0) == JournaledTransaction(INTENT)
    assert found.folder == f"{TRASH}/t"


def test_a_name_that_is_no_text_comes_back_byte_for_byte() -> None:
    path = "r/\udcff\n\x1b\"'.ckpt"
    item = ITEMS[0]._replace(path=path, parts=(RenameStep(path, f"{TRASH}/t/0", (1, 2)),))
    found = load_transaction(store_with(INTENT._replace(items=(item,))), "t")
    assert found is not None
    assert found.intent.items == (item,)


def test_what_was_done_adds_up() -> None:
    store = store_with()
    with resume_journal(store, load_transaction(store, "t") or JournaledTransaction(INTENT)) as journal:
        journal.note_gone([1])
        journal.note_gone([0])
    with resume_journal(store, load_transaction(store, "t") or JournaledTransaction(INTENT)) as journal:
        journal.note_state("kept")
    found = load_transaction(store, "t")
    assert found is not None
    assert found.gone == {0, 1}
    assert found.state == "kept"
    assert found.items(gone=True) == list(ITEMS)
    assert found.items(gone=False) == []


def test_room_is_reserved_for_all_that_it_will_say() -> None:
    items = tuple(ITEMS[0] for _ in range(1000))
    store = store_with(INTENT._replace(items=items, lists=()))
    size = len(content(store))
    with resume_journal(store, load_transaction(store, "t") or JournaledTransaction(INTENT)) as journal:
        for first in range(0, 1000, 250):
            journal.note_gone(range(first, first + 250))
        journal.note_state("emptying")
    assert len(content(store)) == size


@pytest.mark.parametrize("cut", [1, 9, 20, 10_000])
def test_a_record_that_a_power_cut_tore_was_never_said(cut: int) -> None:
    whole = encode_record({"gone": [0]})
    torn = encode_record({"gone": [1]})[:-1][:cut]
    assert decode_records(whole + torn) == ([{"gone": [0]}], len(whole))
    assert decode_records(whole + torn + bytes(100)) == ([{"gone": [0]}], len(whole))


def test_a_record_whose_end_is_another_than_it_should_be_was_never_said() -> None:
    whole = encode_record({"gone": [0]})
    assert decode_records(whole + encode_record({"gone": [1]})[:-1] + b"x") == ([{"gone": [0]}], len(whole))


def test_a_record_is_a_line_of_its_checksum_and_compact_json() -> None:
    """What one version wrote the next one reads."""
    assert encode_record({"gone": [0, 1]}) == b'7f3676bc {"gone":[0,1]}\n'


def test_a_broken_record_before_others_is_damage() -> None:
    broken = encode_record({"gone": [1]}).replace(b"1", b"2", 1)
    with pytest.raises(Damaged, match=r"^record 2 of 3 is broken$"):
        decode_records(encode_record({"gone": [0]}) + broken + encode_record({"gone": [2]}))


@pytest.mark.parametrize("count", range(4))
def test_intents_that_were_not_written_to_their_end_were_never_meant(count: int) -> None:
    store = store_with()
    lines = content(store).rstrip(b"\0").splitlines(keepends=True)
    store.write(f"{trash_folder_of('t')}/{NAME}", b"".join(lines[:count]))
    assert load_transaction(store, "t") is None


def sealed(store: MemoryStore, *records: dict[str, object], start: int = 0) -> bytes:
    """Records as this user's ckptctl writes them."""
    seal = Seal(store, "t")
    return b"".join(encode_record(seal.put(record, at)) for at, record in enumerate(records, start))


def test_a_journal_of_another_version_says_so() -> None:
    store = MemoryStore({})
    store.make_folder(trash_folder_of("t"))
    store.write(f"{trash_folder_of('t')}/{NAME}", sealed(store, {"journal": 9}))
    with pytest.raises(Damaged, match="it is of version 9, and only 1 is known"):
        load_transaction(store, "t")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda _: [encode_record({**INTENT._asdict(), "journal": 1, "items": 0, "lists": 0})], id="bare"),
        pytest.param(lambda lines: [lines[1], *lines[1:]], id="another order"),
        pytest.param(lambda lines: [lines[0], lines[0], *lines[2:]], id="a line twice"),
    ],
)
def test_a_journal_that_nobody_with_the_secret_wrote_is_left_alone(
    change: Callable[[list[bytes]], list[bytes]],
) -> None:
    store = store_with()
    lines = content(store).rstrip(b"\0").splitlines(keepends=True)
    store.write(f"{trash_folder_of('t')}/{NAME}", b"".join(change(lines)))
    with pytest.raises(Damaged, match="another user wrote it"):
        load_transaction(store, "t")


def test_a_journal_that_was_changed_by_one_number_is_left_alone() -> None:
    store = store_with()
    lines = content(store).rstrip(b"\0").splitlines(keepends=True)
    record = json.loads(lines[1][9:])
    record["size"] += 1
    store.write(f"{trash_folder_of('t')}/{NAME}", b"".join([lines[0], encode_record(record), *lines[2:]]))
    with pytest.raises(Damaged, match="another user wrote it"):
        load_transaction(store, "t")


def test_a_journal_of_another_users_secret_is_left_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    store = store_with()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with pytest.raises(Damaged, match="another user wrote it"):
        load_transaction(store, "t")


def test_where_there_is_no_journal_nothing_was_meant() -> None:
    assert load_transaction(MemoryStore(), "t") is None


STRANGE = {
    "another version": {"journal": 2},
    "no journal": {"gone": [1]},
    "a field is missing": {"journal": 1, "items": 0, "lists": 0},
    "no numbers": {"journal": 1, "items": "x", "lists": None},
    "no time": {"journal": 1, **INTENT._asdict(), "items": 0, "lists": 0, "since": "x"},
    "no end of its time": {"journal": 1, **INTENT._asdict(), "items": 0, "lists": 0, "until": "x"},
}


@pytest.mark.parametrize("record", STRANGE.values(), ids=STRANGE)
def test_what_does_not_say_what_it_should_is_damage(record: dict[str, object]) -> None:
    store = MemoryStore({})
    store.make_folder(trash_folder_of("t"))
    store.write(f"{trash_folder_of('t')}/{NAME}", sealed(store, record))
    with pytest.raises(Damaged, match=r"it (does not say what it should|is of version)"):
        load_transaction(store, "t")


@pytest.mark.parametrize("body", [b"", b"{", b"5", b"[1]", b"null", b"[" * 10**5], ids=lambda body: repr(body[:9]))
def test_a_line_with_its_checksum_that_is_no_record_is_damage(body: bytes) -> None:
    line = b"%08x %b\n" % (crc32(body), body)
    for data in (line, content(store_with()).rstrip(b"\0") + line):
        with pytest.raises(Damaged, match=r"^it does not say what it should$"):
            load_transaction(MemoryStore({f"{trash_folder_of('t')}/{NAME}": data}), "t")


HEIR = Replacement((5, 9), 4, 1_700_000_000_000_000_001)


def test_what_takes_a_place_is_told_with_its_identity() -> None:
    items = (ITEMS[0], ITEMS[1]._replace(is_slim=True, times=(("r", 5), ("r/b", 6)), kin=KIN))
    store = store_with(INTENT._replace(items=items))
    with resume_journal(store, load_transaction(store, "t") or JournaledTransaction(INTENT)) as journal:
        journal.note_replacement(1, 1, HEIR)
        journal.note_replacement(1, 0, HEIR._replace(identity="etag"))
    found = load_transaction(store, "t")
    assert found is not None
    first, second = items[1].parts
    parts = (first._replace(heir=HEIR._replace(identity="etag")), second._replace(heir=HEIR))
    assert found.intent.items == (items[0], items[1]._replace(parts=parts))


def test_room_is_reserved_for_every_heir() -> None:
    items = tuple(ITEMS[1]._replace(is_slim=True) for _ in range(1000))
    store = store_with(INTENT._replace(items=items))
    size = len(content(store))
    with resume_journal(store, load_transaction(store, "t") or JournaledTransaction(INTENT)) as journal:
        for number in range(1000):
            for part in range(2):
                journal.note_replacement(number, part, Replacement((2**64, 2**64), 2**63, 2**63))
            journal.note_gone([number])
    assert len(content(store)) == size


UNLIKELY = [
    {"gone": [2]},
    {"gone": [-1]},
    {"gone": 5},
    {"state": "lost"},
    {"heir": [2, 0, [1, 2, 3]]},
    {"heir": [0, 1, [1, 2, 3]]},
    {"heir": [-1, 0, [1, 2, 3]]},
    {"heir": [0, 0, [1, 2]]},
    {"heir": 5},
]


@pytest.mark.parametrize("record", UNLIKELY, ids=repr)
def test_a_number_or_state_that_cannot_be_is_damage(record: dict[str, object]) -> None:
    store = store_with()
    data = content(store).rstrip(b"\0")
    added = sealed(store, record, start=len(data.splitlines()))
    store.write(f"{trash_folder_of('t')}/{NAME}", data + added)
    with pytest.raises(Damaged, match="it does not say what it should"):
        load_transaction(store, "t")


@pytest.mark.parametrize("place", [5, "r/best.ckpt", f"{TRASH}/other/0", f"{TRASH}/t/../../x", f"{TRASH}/t"])
def test_a_journal_that_tells_of_a_place_outside_of_its_own_folder_is_damage(place: str) -> None:
    """Where several people share a root, one could else have another's checkpoint removed by somebody who may."""
    item = ITEMS[0]._replace(parts=(RenameStep("r/a.ckpt", place, (5, 7)),))
    with pytest.raises(Damaged):
        load_transaction(store_with(INTENT._replace(items=(item,))), "t")
    listed = RosterEdit("r/checkpoint", place, 99)
    with pytest.raises(Damaged):
        load_transaction(store_with(INTENT._replace(lists=(listed,))), "t")


def test_all_that_lies_in_the_trash_is_told_oldest_first_and_the_rest_with_why() -> None:
    files = {
        f"{trash_folder_of('torn')}/{NAME}": encode_record({"journal": 1})[:5],
        f"{trash_folder_of('broken')}/{NAME}": encode_record({"journal": 9}),
        f"{trash_folder_of('moved')}/{NAME}": content(store_with(INTENT)),
        f"{trash_folder_of('bare')}/0": b"x",
    }
    store = MemoryStore(files)
    for txid, since in (("late", 9), ("soon", 3)):
        store.make_folder(trash_folder_of(txid))
        with begin_journal(store, INTENT._replace(txid=txid, since=since, items=(), lists=())):
            pass
    found, strange = load_transactions(store)
    assert [it.intent.txid for it in found] == ["soon", "late"]
    assert strange == {
        "torn": "",
        "bare": "",
        "broken": FOREIGN,
        "moved": FOREIGN,
    }


def test_a_journal_that_the_disk_does_not_give_leaves_the_others_readable() -> None:
    class Failing(MemoryStore):
        def open(self, path: str) -> Any:  # noqa: ANN401 - as the store's
            if path == f"{trash_folder_of('bad')}/{NAME}":
                raise OSError(errno.EIO, "the disk fails", path)
            return super().open(path)

    store = Failing({f"{trash_folder_of('bad')}/{NAME}": b"x"}, folders=[trash_folder_of("t")])
    with begin_journal(store, INTENT):
        pass
    found, strange = load_transactions(store)
    assert [it.intent.txid for it in found] == ["t"]
    assert "the disk fails" in strange["bad"]


def test_where_there_is_no_trash_nothing_lies_in_it() -> None:
    assert load_transactions(MemoryStore()) == ([], {})


def test_a_trash_is_seen_in_any_folder_and_nothing_else_is_taken_for_one() -> None:
    store = MemoryStore({f"runs/a/{TRASH}/t/journal": b"", f"runs/b/{TRASH}": b"a file"})
    assert [has_trash(store, folder) for folder in ("runs/a", "runs/b", "runs", "")] == [True, False, False, False]


def test_identifiers_differ() -> None:
    assert len({new_id() for _ in range(100)}) == 100
