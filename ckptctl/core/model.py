"""What was found: entries, checkpoints, runs, and what was not understood.

Paths are relative to the store's root, parts joined by ``/``; bytes that are not UTF-8 are surrogate escapes.
The values are named tuples: immutable, without ``__dict__``, and five times cheaper to define at start-up and three
times cheaper to make than frozen slotted dataclasses, of which a scan makes one or two for each file.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from itertools import islice
from math import inf, isnan
from typing import Any, Literal, NamedTuple

EntryKind = Literal["file", "dir", "link", "other"]
Unit = Literal["file", "dir", "family"]
State = Literal["complete", "partial", "live", "damaged", "doubtful", "unchecked"]
PublicState = Literal["complete", "partial", "live", "damaged", "unknown"]
ScoreSource = Literal["state", "sibling", "yaml", "csv", "json", "npz", "name", "inside"]
Finiteness = Literal["finite", "nan", "inf", "-inf"]
PointerState = Literal["ok", "dangling", "loop", "outside"]
_UNKNOWN = frozenset({"doubtful", "unchecked"})
SET_ASIDE = frozenset({"last", "final", "resume", "derived", "export", "named"})
"""Roles of saves that take no part in a ranking and that no rule drops: one of a kind, or made by hand."""


class Note:
    """Something to know of a checkpoint, a run or a plan: an id and facts, of which `render.notes` makes the text.

        Note("missing-file", name="config.json")

    Code asks for the id and the facts, so that the text may be reworded freely.
    """

    __slots__ = ("facts", "id")

    def __init__(self, id: str, **facts: Hashable) -> None:  # noqa: A002 - the word of the contract
        self.id = id
        self.facts: Mapping[str, Any] = facts

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Note) and (self.id, self.facts) == (other.id, other.facts)

    def __hash__(self) -> int:
        return hash((self.id, frozenset(self.facts.items())))

    def __repr__(self) -> str:
        return f"Note({', '.join([repr(self.id), *(f'{key}={fact!r}' for key, fact in self.facts.items())])})"


Text = Note | str
"""What a person reads: a note, or words that were made where they are shown."""


class Evidence(NamedTuple):
    """One thing that says what a checkpoint is, or that it is one of a training's saves in a row."""

    kind: Literal["layout", "said", "record", "content", "counter", "shape", "name"]
    detail: str
    """What was found: the word, the kind of content, the file."""


class Entry(NamedTuple):
    """A name that the store listed."""

    path: str
    kind: EntryKind
    size: int | None = None
    """Bytes; None until it was asked for."""
    modified: int | None = None
    """Nanoseconds since 1970 (UTC) by the file server's clock; None until it was asked for."""
    identity: tuple[int, int] | str | None = None
    """(device, inode) on disk, the ETag in an object store; None until it was asked for."""
    links: int = 1
    """Names of this file, itself among them: above 1, deleting one frees nothing."""
    target: str | None = None
    """Of a link: its text, as written."""
    held: int | None = None
    """Bytes that the disk holds of a file with holes, or a compressed one; None where that is no less than its size."""

    @property
    def weight(self) -> int:
        """Bytes that it takes up."""
        return (self.size or 0) if self.held is None else self.held


class Entries(tuple[Entry, ...]):  # noqa: SLOT001 - the sums need a place
    """What a checkpoint consists of; what is asked of all of it is worked out once, when the first of it is asked."""

    size: int
    """Bytes of all; 0 for those not asked for."""
    modified: int
    """Nanoseconds since 1970 of the newest; 0 where not asked for."""
    files: int
    """How many are no folders."""
    inside: tuple[str, ...]
    """Where all but the first lie, as seen from it: of a folder, the paths in it."""

    @classmethod
    def of(cls, entries: Sequence[Entry]) -> Entries:
        """The entries, as they are where they are told of together already."""
        return entries if isinstance(entries, cls) else cls(entries)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - as declared above
        if name not in Entries.__annotations__:
            raise AttributeError(name)
        paths, kinds, sizes, times = islice(zip(*self, strict=True), 4) if self else ((),) * 4
        self.size = sum(filter(None, sizes))
        self.modified = max([time or 0 for time in times], default=0)
        self.files = len(self) - kinds.count("dir")
        start = len(paths[0]) + 1 if paths else 0
        self.inside = tuple([path[start:] for path in paths[1:]])
        return self.__dict__[name]


class Score(NamedTuple):
    """The value of one metric for one checkpoint."""

    value: float
    text: str | None
    """As the source wrote it, where it was text: its digits are the precision that it has."""
    source: ScoreSource

    @property
    def state(self) -> Finiteness:
        """Whether the value is a number to rank by."""
        if isnan(self.value):
            return "nan"
        if self.value in (inf, -inf):
            return "inf" if self.value > 0 else "-inf"
        return "finite"


class Checkpoint(NamedTuple):
    """One saved state: the entries that one save wrote, taken as one thing."""

    path: str
    """Of the file or folder; of a family the stem that its members share."""
    layout: str
    unit: Unit
    entries: tuple[Entry, ...]
    """Everything that goes when the checkpoint goes; the first is the one that loads."""
    epoch: int | float | None = None
    """As the name or the state says it, in the base of the layout."""
    step: int | None = None
    version: int | None = None
    """The N of ``-vN``, that tells same-named saves apart; says nothing of age or rank."""
    metrics: Mapping[str, Score] = {}
    state: State = "unchecked"
    """Doubtful where something speaks against its being whole; unchecked where nobody looked."""
    note: Note | None = None
    """Why the state is what it is, where that is not plain."""
    roles: tuple[str, ...] = ()
    """What its name says it is for: last, best, final, exception."""
    aliases: tuple[str, ...] = ()
    """Links and copies that stand for it."""
    pinned: bool = False
    """Whether a pin beside it keeps it, that has not passed."""
    resumable: bool | None = None
    """Whether it holds optimizer state; None where nobody looked."""
    lineage: int = 0
    """Which of the trainings that used the folder one after the other saved it, from 0."""
    counter: int | None = None
    """The N of a save counter (accelerate, Ray): it orders saves, and says no step."""
    evidence: str | None = None
    """By what its layout was recognised, as a sentence's end; None where its name alone says it."""
    pin: Note | None = None
    """What the pin beside it says, also one that has passed: until when, and why; None where there is none."""
    series: str = ""
    """The pattern of the names that it is one of: rules choose within it; "" where all of its layout are one series."""
    why_not: Note | None = None
    """Why no rule may delete it: nothing proves it to be one of a training's saves in a row."""
    proofs: tuple[Evidence, ...] = ()
    """What says that it is one, where its layout's own record does not."""
    saved_at: int | None = None
    """Nanoseconds since 1970 of what its framework writes last; None where that is not known of its folder."""

    @property
    def all_evidence(self) -> tuple[Evidence, ...]:
        """What shows its layout, and its being one of a training's saves; empty where its name alone does."""
        shown = () if self.evidence is None else (Evidence("layout", self.evidence),)
        return (*shown, *self.proofs)

    @property
    def family(self) -> str:
        """The framework that saved it: what stands before the first ``-`` of its layout's name."""
        return self.layout.partition("-")[0]

    @property
    def public_state(self) -> PublicState:
        """The state as listings and JSON have it: "unknown" for what is doubtful, and for what is unchecked."""
        return self.state if self.state not in _UNKNOWN else "unknown"  # type: ignore[return-value]

    @property
    def is_numbered(self) -> bool:
        """Whether it says when it was saved."""
        return (self.step, self.epoch, self.counter) != (None, None, None)

    @property
    def is_set_aside(self) -> bool:
        """Whether rules pass it over: it is neither ranked nor counted, and stays."""
        return not SET_ASIDE.isdisjoint(self.roles)

    @property
    def is_made(self) -> bool:
        """Whether it was made of training's saves, by an export or an average, and is none itself."""
        return "export" in self.roles or "derived" in self.roles

    @property
    def tops(self) -> tuple[Entry, ...]:
        """The entries that are taken away one by one: a folder's without what lies in it, of a family each member."""
        if self.unit == "file" or len(self.entries) == 1:
            return self.entries
        folders = {entry.path for entry in self.entries if entry.kind == "dir"}
        return tuple(it for it in self.entries if it.path.rpartition("/")[0] not in folders)

    def has(self, name: str) -> bool:
        """Whether a file of that name, which may hold ``/``, lies in its folder."""
        return self.find(name) is not None

    def find(self, name: str) -> Entry | None:
        """What lies in its folder under a name, which may hold ``/``; None where nothing does."""
        inside = Entries.of(self.entries).inside if self.unit == "dir" else ()
        return self.entries[1 + inside.index(name)] if name in inside else None

    @property
    def size(self) -> int:
        """Bytes of all entries; 0 for those not asked for."""
        return Entries.of(self.entries).size

    @property
    def modified(self) -> int:
        """Nanoseconds since 1970 of its newest entry; 0 where not asked for."""
        return Entries.of(self.entries).modified

    @property
    def saved(self) -> int:
        """When it was saved, as `modified`: an evaluation may have written into its folder since."""
        return self.modified if self.saved_at is None else self.saved_at

    @property
    def files(self) -> int:
        """How many files it has."""
        return Entries.of(self.entries).files


class Pointer(NamedTuple):
    """A name that stands for a checkpoint."""

    path: str
    kind: Literal["symlink", "hardlink", "copy", "text", "json"]
    target: str | None
    """The checkpoint's path; None where it leads to none in this run."""
    state: PointerState


class Roster(NamedTuple):
    """A file in which training lists the checkpoints that it knows; kept true when some of them go."""

    path: str
    format: Literal["textproto", "json"]
    names: tuple[tuple[str, str], ...]
    """Each name as the file writes it, and the path of the checkpoint that it means."""
    listing: str = ""
    listed: str = ""
    """Of JSON: the keys to the list, and in an item those to its name, joined by ``/``."""


class Origin(NamedTuple):
    """A file of another run that says training began from a checkpoint of this one."""

    file: str
    target: str
    """The checkpoint's path."""


class UnreadFile(NamedTuple):
    """A file that may name checkpoints of a run and could not be read or understood."""

    path: str
    why: str
    is_origin: bool = False
    """Whether it would say from which checkpoint another training began."""


class Stray(NamedTuple):
    """An entry that was not understood. It is never deleted."""

    path: str
    why: Text


class Run(NamedTuple):
    """The checkpoints of one training run, oldest first."""

    path: str
    """The folder; "" is the root itself."""
    checkpoints: tuple[Checkpoint, ...]
    pointers: tuple[Pointer, ...] = ()
    strays: tuple[Stray, ...] = ()
    monitor: str | None = None
    """The metric that training itself recorded as the one to watch."""
    mode: Literal["min", "max"] | None = None
    """As recorded by training; None where it was not."""
    step_base: int = 0
    """What to add to a step for the number of steps done: 1 where names count from 0 (Lightning before 1.6)."""
    epoch_base: int | None = 0
    """What the first epoch is called: 1 in Keras' names; None where no framework says it."""
    notices: tuple[Note, ...] = ()
    """What a person should know: sources that disagree, files that could not be read."""
    listed: bool = True
    """Whether the listing was complete. Nothing is deleted where it was not."""
    rosters: tuple[Roster, ...] = ()
    origins: tuple[Origin, ...] = ()
    folder: str | None = None
    """Its path as the store knows it, where ``path`` is one seen from above the store's root."""
    left_out: tuple[Checkpoint, ...] = ()
    """What holds weights beside the checkpoints and belongs to no series: sets, and files of their own."""
    copies: tuple[Checkpoint, ...] = ()
    """Files whose bytes are those of a checkpoint, which stands for them: a pointer says of which."""
    unread: tuple[UnreadFile, ...] = ()
    """Files that may name some of the checkpoints, and of which nobody knows what they say."""
    modes: Mapping[str, Literal["min", "max"]] = {}
    """By metric, the mode that training recorded for it: each callback has its own."""

    @property
    def layouts(self) -> list[str]:
        """The layouts in it, sorted."""
        return sorted({checkpoint.layout for checkpoint in self.checkpoints})


def relocate(run: Run, folder: str) -> Run:
    """The run as seen from above ``folder``, the store's root, so that runs of several stores can be shown together.

    Entries and rosters keep their paths: they are what the store knows.
    """

    def move(path: str) -> str:
        return relocate_path(path, folder)

    return run._replace(
        path=move(run.path),
        folder=run.path if run.folder is None else run.folder,
        checkpoints=tuple(
            checkpoint._replace(path=move(checkpoint.path), aliases=tuple(map(move, checkpoint.aliases)))
            for checkpoint in run.checkpoints
        ),
        pointers=tuple(
            pointer._replace(path=move(pointer.path), target=None if pointer.target is None else move(pointer.target))
            for pointer in run.pointers
        ),
        strays=tuple(it._replace(path=move(it.path)) for it in run.strays),
        unread=tuple(it._replace(path=move(it.path)) for it in run.unread),
        rosters=tuple(
            it._replace(names=tuple((written, move(target)) for written, target in it.names)) for it in run.rosters
        ),
        left_out=tuple(it._replace(path=move(it.path)) for it in run.left_out),
        copies=tuple(it._replace(path=move(it.path)) for it in run.copies),
    )


def relocate_path(path: str, folder: str) -> str:
    """A path in ``folder`` as seen from above it."""
    return f"{folder.rstrip('/')}/{path}".rstrip("/") or "/"
