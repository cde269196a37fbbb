"""What a prune intends and did, on the disk before it is done: enough to finish it, or to take it back, after any stop.

    .ckptctl/                   in the root; no scan looks into it
        lock                    who is at work here, while somebody is
        trash/ID/               one prune
            journal             what it intends, and then what it did: a record a line
            0  1  2.0  2.1      its checkpoints by number; parts of one that is several files
            3.slim              what is to take the place of one that is slimmed, until it does
            list.0              a file in which training listed them, as it was before

A record begins with its checksum. One that a power cut tore can only be the last; a broken one before others is damage.
It ends with a seal that only its user can make, for this root and this prune: what came with a clone, an archive or a
copy, or what another user laid there, is not carried out.
"""

from __future__ import annotations

import json
import os
import posixpath
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from hmac import compare_digest
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args
from zlib import crc32

from ckptctl.core.transaction import (
    RenameStep,
    Replacement,
    RetainedFile,
    RosterEdit,
    SymlinkChange,
    Transaction,
    TransactionItem,
)
from ckptctl.errors import CkptctlError, Damaged
from ckptctl.prune.secret import read_secret
from ckptctl.stores import PRIVATE, read_whole

if TYPE_CHECKING:
    from ckptctl.stores import Log, ReadStore, Store

TRASH = f"{PRIVATE}/trash"
NAME = "journal"
LIST = "list."
"""How the names of lists begin, in the folder of a prune."""
VERSION = 1
MOST_BYTES = 1 << 30
"""A larger journal is none of ours: a million checkpoints take a third of it."""
_SEAL = 16
"""Bytes."""
_RECORD = 32 + 2 * _SEAL + len(',"seal":""')
"""Bytes that to note an item takes at most, with its share of the record."""
_HEIR = 160 + 2 * _SEAL + len(',"seal":""')
"""Bytes that to note an heir takes at most."""

TransactionState = Literal["open", "kept", "emptying"]
"""Under way or cut off; done, with all of it in the trash; being removed for good."""
FOREIGN = "another user wrote it, or it was written for another folder: it is left alone"
_STRANGE = "it does not say what it should"


class JournaledTransaction(NamedTuple):
    """What a transaction is to do, and how far it came."""

    intent: Transaction
    state: TransactionState = "open"
    gone: frozenset[int] = frozenset()
    """The numbers of the items that are not to come back: they may be removed already."""
    end: int = 0
    """Where the journal goes on, in bytes."""
    length: int = 0
    """How many records it has."""

    @property
    def folder(self) -> str:
        """Where it lies."""
        return trash_folder_of(self.intent.txid)

    def items(self, *, gone: bool) -> list[TransactionItem]:
        """The items that are not to come back, or the others."""
        return [item for number, item in enumerate(self.intent.items) if (number in self.gone) == gone]


class Journal:
    """The open journal of a transaction; ``count`` records are in it."""

    def __init__(self, log: Log, seal: Seal, count: int) -> None:
        self._log = log
        self._seal = seal
        self._count = count

    def note_gone(self, numbers: Iterable[int]) -> None:
        """Say that items are in the trash and may be removed; raises OSError."""
        self._add({"gone": list(numbers)})

    def note_replacement(self, number: int, part: int, replacement: Replacement) -> None:
        """Say what is going to take the place of an item's part, before that leaves it; raises OSError."""
        self._add({"heir": [number, part, replacement]})

    def note_state(self, state: TransactionState) -> None:
        """Say that all is in the trash and stays there, or is to be removed; raises OSError."""
        self._add({"state": state})

    def _add(self, record: Mapping[str, object]) -> None:
        self._log.add(encode_record(self._seal.put(record, self._count)))
        self._count += 1


class Seal:
    """What shows of a record that this user wrote it, at its place in the journal of one prune in one root."""

    def __init__(self, store: ReadStore, txid: str) -> None:
        try:
            identity = store.stat("").identity
        except (OSError, CkptctlError):
            identity = None
        number = identity[1] if isinstance(identity, tuple) else identity  # a device has another one after a mount
        self._place = f"{number}:{txid}"

    def put(self, record: Mapping[str, object], at: int) -> dict[str, object]:
        """A record with its seal; ``at``: how many stand before it."""
        return {**record, "seal": self._make(record, at)}

    def take(self, record: Mapping[str, object], at: int) -> dict[str, object]:
        """A record without its seal; raises Damaged where that is not this user's, or of another place."""
        plain = {key: value for key, value in record.items() if key != "seal"}
        if not compare_digest(str(record.get("seal", "")).encode("ascii", "replace"), self._make(plain, at).encode()):
            raise Damaged(FOREIGN)
        return plain

    def _make(self, record: Mapping[str, object], at: int) -> str:
        text = f"{self._place}:{at}:{json.dumps(record, separators=(',', ':'))}"
        return blake2b(text.encode(), key=read_secret(), digest_size=_SEAL).hexdigest()


def new_id() -> str:
    """An identifier for a prune that no other one has."""
    return os.urandom(4).hex()


def trash_folder_of(txid: str) -> str:
    """The place of a prune in the trash."""
    return f"{TRASH}/{txid}"


def encode_record(record: Mapping[str, object]) -> bytes:
    """A record as a line, with its checksum before it."""
    body = json.dumps(record, separators=(",", ":")).encode()
    return b"%08x %b\n" % (crc32(body), body)


def decode_records(data: bytes) -> tuple[list[dict[str, Any]], int]:
    """The records, and where they end; a torn last one is left out. Raises Damaged where another is broken."""
    lines = data.rstrip(b"\0").splitlines(keepends=True)
    whole = list(takewhile(_is_whole, lines))
    if len(whole) + 1 < len(lines):
        raise Damaged(f"record {len(whole) + 1} of {len(lines)} is broken")
    return [_read_record(line) for line in whole], sum(map(len, whole))


def _read_record(line: bytes) -> dict[str, Any]:
    try:
        record = json.loads(line[9:])
    except (ValueError, RecursionError) as error:
        raise Damaged(_STRANGE) from error
    if not isinstance(record, dict):
        raise Damaged(_STRANGE)
    return record


def _is_whole(line: bytes) -> bool:
    return line[-1:] == b"\n" and line[:9] == b"%08x " % crc32(line[9:-1])


@contextmanager
def begin_journal(store: Store, transaction: Transaction) -> Iterator[Journal]:
    """Write down what is to be done before any of it is, with room reserved for what will be done; raises OSError."""
    seal = Seal(store, transaction.txid)
    records = [seal.put(record, at) for at, record in enumerate(_intents_of(transaction))]
    intents = b"".join(map(encode_record, records))
    replacements = sum(len(item.parts) for item in transaction.items if item.is_slim)
    room = len(intents) + _RECORD * (len(transaction.items) + 4) + _HEIR * replacements
    with store.log(f"{trash_folder_of(transaction.txid)}/{NAME}", room=room) as log:
        log.add(intents)
        yield Journal(log, seal, len(records))


def _intents_of(transaction: Transaction) -> Iterator[dict[str, object]]:
    """A transaction as records: what it is, with how many follow, and each of those."""
    told = transaction._asdict()
    yield {"journal": VERSION, **told, "items": len(transaction.items), "lists": len(transaction.lists)}
    yield from ({**item._asdict(), "parts": item.parts} for item in transaction.items)
    yield from (listed._asdict() for listed in transaction.lists)


@contextmanager
def resume_journal(store: Store, transaction: JournaledTransaction) -> Iterator[Journal]:
    """Open the journal of something that was begun, to add to it; raises OSError."""
    with store.log(f"{transaction.folder}/{NAME}", end=transaction.end) as log:
        yield Journal(log, Seal(store, transaction.intent.txid), transaction.length)


def load_transaction(store: ReadStore, txid: str) -> JournaledTransaction | None:
    """What a journal tells; None where nothing can have been done: there is none, or it was not written to its end.

    Raises OSError, and Damaged where it cannot be understood.
    """
    try:
        data = read_whole(store, f"{trash_folder_of(txid)}/{NAME}", MOST_BYTES)
    except FileNotFoundError:
        return None
    records, end = decode_records(data)
    if not records:
        return None
    seal = Seal(store, txid)
    return _understand([seal.take(record, at) for at, record in enumerate(records)], end)


def _understand(records: Sequence[dict[str, Any]], end: int) -> JournaledTransaction | None:
    head, rest = records[0], records[1:]
    if head.get("journal") != VERSION:
        raise Damaged(f"it is of version {head.get('journal')}, and only {VERSION} is known")
    try:
        count, lists = head["items"], head["lists"]
        if len(rest) < count + lists:
            return None
        _require_times(head)
        plain = {name: head[name] for name in Transaction._fields if name not in {"items", "lists"}}
        listed = tuple(RosterEdit(**it) for it in rest[count : count + lists])
        plain["links"] = tuple(SymlinkChange(*it) for it in plain["links"])
        transaction = Transaction(items=tuple(map(_read_item, rest[:count])), lists=listed, **plain)
        _require_own_places(transaction)
        return _follow(JournaledTransaction(transaction, end=end, length=len(records)), rest[count + lists :])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise Damaged(_STRANGE) from error


def _require_times(head: Mapping[str, Any]) -> None:
    """Raise TypeError where a time is no number."""
    if not isinstance(head["since"], int) or not isinstance(head["until"], int | None):
        raise TypeError


def _require_own_places(transaction: Transaction) -> None:
    """Raise ValueError where something is said to lie elsewhere than in the transaction's own folder: anybody's."""
    own = trash_folder_of(transaction.txid)
    places = {part.place for item in transaction.items for part in item.parts}.union(
        it.place for it in transaction.lists
    )
    if any(place.rpartition("/")[0] != own for place in places):
        raise ValueError


def _read_item(record: Mapping[str, Any]) -> TransactionItem:
    parts = (
        RenameStep(path, place, _read_identity(identity), _read_heir(replacement))
        for path, place, identity, replacement in record["parts"]
    )
    times = tuple((path, modified) for path, modified in record["times"])
    retained = tuple(RetainedFile(path, _read_identity(identity), *told) for path, identity, *told in record["kin"])
    return TransactionItem(**{**record, "parts": tuple(parts), "times": times, "kin": retained})


def _read_heir(written: Sequence[Any] | None) -> Replacement | None:
    if written is None:
        return None
    identity, size, modified = written
    return Replacement(_read_identity(identity), size, modified)


def _read_identity(written: object) -> object:
    """An identity as the store tells it: JSON has no tuples."""
    return tuple(written) if isinstance(written, list) else written


def _follow(transaction: JournaledTransaction, records: Sequence[Mapping[str, Any]]) -> JournaledTransaction:
    """How far it came; raises ValueError for what no journal says."""
    for record in records:
        gone = transaction.gone.union(record.get("gone", ()))
        intent = _inherit(transaction.intent, *record["heir"]) if "heir" in record else transaction.intent
        transaction = transaction._replace(intent=intent, gone=gone, state=record.get("state", transaction.state))
    if transaction.state not in get_args(TransactionState) or not transaction.gone.issubset(
        range(len(transaction.intent.items))
    ):
        raise ValueError
    return transaction


def _inherit(transaction: Transaction, number: int, part: int, replacement: Sequence[Any]) -> Transaction:
    """The transaction with the replacement of one part; raises ValueError for one that it has not."""
    if not (0 <= number < len(transaction.items) and 0 <= part < len(transaction.items[number].parts)):
        raise ValueError
    items, parts = list(transaction.items), list(transaction.items[number].parts)
    parts[part] = parts[part]._replace(heir=_read_heir(replacement))
    items[number] = items[number]._replace(parts=tuple(parts))
    return transaction._replace(items=tuple(items))


def has_trash(store: ReadStore, folder: str = "") -> bool:
    """Whether a folder of a store has a trash; where that cannot be looked at it has none."""
    try:
        return store.stat(posixpath.join(folder, TRASH)).kind == "dir"
    except (OSError, CkptctlError):
        return False


def load_transactions(store: Store) -> tuple[list[JournaledTransaction], dict[str, str]]:
    """All that lies in the trash, oldest first, and why the rest is not understood, by identifier; raises OSError."""
    found: list[JournaledTransaction] = []
    strange: dict[str, str] = {}
    try:
        names = [it.path.rpartition("/")[2] for it in store.contents(TRASH)]
    except FileNotFoundError:
        return [], {}
    for txid in names:
        try:
            transaction = load_transaction(store, txid)
        except (OSError, Damaged) as error:
            strange[txid] = str(error)
            continue
        if transaction is None or transaction.intent.txid != txid:
            strange[txid] = "" if transaction is None else "its journal is of another prune"
        else:
            found.append(transaction)
    return sorted(found, key=lambda it: it.intent.since), strange
