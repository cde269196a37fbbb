"""Every error that ckptctl tells people about, drawn as a tree.

    CkptctlError
    ├── UsageError            2  the command line or the configuration cannot be obeyed
    │   ├── MetricUnclear        several metrics, or none is named
    │   ├── ModeUnclear          nobody can tell whether less or more is better
    │   └── MissingLibrary       an optional library is needed
    ├── PartlyDone            3  some items failed, each is named
    ├── NotFound              4  nothing matches
    │   ├── PathMissing
    │   ├── NoCheckpoint
    │   └── NoScore
    ├── Damaged               5  the content is broken or suspicious
    │   ├── EmptyFile
    │   ├── Truncated
    │   └── AmbiguousZip         two readers could see different things in it
    ├── Refused               6  a safety rule, no consent, declined
    ├── Locked                7  another run is at work here
    ├── Unfinished            8  an earlier run needs a person
    └── StorageFailed         9  the disk or the network failed

An error says what, where and what to do next. A bug is not one of these: it traces.
"""

from __future__ import annotations


class CkptctlError(Exception):
    """Something a person or a disk can cause, told in one line."""

    id = "error"
    """Stable: scripts may match on it."""
    exit_code = 1

    def __init__(  # noqa: PLR0913 - all that an error may tell
        self,
        text: str,
        *,
        path: str | None = None,
        hint: str | None = None,
        done: str | None = None,
        id: str | None = None,  # noqa: A002 - the word of the contract
        note: object | None = None,
    ) -> None:
        super().__init__(text)
        self.text = text
        self.path = path
        """Where, as the user knows it; None where the command line itself is at fault."""
        self.hint = hint
        """What to do next."""
        self.done = done
        """What was (not) changed, where anything could have been."""
        self.note = note
        """A `core.model.Note` that is shown in place of the text: it tells more."""
        if id is not None:
            self.id = id


class UsageError(CkptctlError):
    """The command line or the configuration cannot be obeyed."""

    id = "usage"
    exit_code = 2


class MetricUnclear(UsageError):
    """There are several metrics to rank by, and none was named."""

    id = "no-monitor"


class ModeUnclear(UsageError):
    """Neither a record nor the metric's name tells whether less or more is better."""

    id = "no-mode"


class MissingLibrary(UsageError):
    """An optional library is needed for this."""

    id = "missing-library"


class PartlyDone(CkptctlError):
    """Some of the items failed; each has been named."""

    id = "partly-done"
    exit_code = 3


class NotFound(CkptctlError):
    """Nothing matches what was asked for."""

    id = "not-found"
    exit_code = 4


class PathMissing(NotFound):
    """The path does not exist."""

    id = "no-path"


class NoCheckpoint(NotFound):
    """There is no checkpoint under the path."""

    id = "no-checkpoint"


class NoScore(NotFound):
    """No checkpoint has a usable value of the metric."""

    id = "no-score"


class TurnedRound(NoScore):
    """A mode without a metric's name would turn a metric round whose better direction is known."""

    id = "turned-round"
    exit_code = 3


class Damaged(CkptctlError):
    """The content of a file is broken or suspicious."""

    id = "damaged"
    exit_code = 5
    flaw = "broken"
    """A key of formats.contents.FLAWS."""


class EmptyFile(Damaged):
    """A file has no bytes."""

    flaw = "empty"


class Truncated(Damaged):
    """A file ends before it says it does."""

    flaw = "cut-short"


class AmbiguousZip(Damaged):
    """Two readers could see different things in an archive."""

    flaw = "ambiguous"


class Refused(CkptctlError):
    """A safety rule forbids it, or nobody consented."""

    id = "refused"
    exit_code = 6


class Locked(CkptctlError):
    """Another run is at work here."""

    id = "locked"
    exit_code = 7


class Unfinished(CkptctlError):
    """An earlier run left what only a person can judge."""

    id = "unfinished"
    exit_code = 8


class StorageFailed(CkptctlError):
    """The disk or the network failed."""

    id = "storage"
    exit_code = 9
