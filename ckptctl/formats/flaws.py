"""What can be wrong with the content of a checkpoint: each kind by an id that does not change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from ckptctl.core.model import Text
from ckptctl.errors import Damaged

Severity = Literal["error", "warning"]

FLAWS: Mapping[str, tuple[Severity, str]] = {
    "empty": ("error", "A file, or a folder, with nothing in it."),
    "cut-short": ("error", "A file that ends before it says it does."),
    "broken": ("error", "A file whose structure contradicts itself, or cannot be read to its end."),
    "ambiguous": ("error", "A zip archive in which two readers could see different things: never by accident."),
    "trailing": ("error", "Bytes behind the end that a file tells of itself."),
    "unreadable": ("error", "A file that the disk does not give, or not as a file."),
    "missing-file": ("error", "A shard or a rank's file that the checkpoint names, and that is not there."),
    "missing-tensor": ("error", "A tensor that an index names, and that its file does not have."),
    "missing-storage": ("error", "Numbers of a tensor that the pickle names, and that are not in the file."),
    "short-storage": ("error", "Fewer numbers than a tensor needs, or a tensor that reaches beyond them."),
    "checksum": ("error", "Content that does not fit its checksum: bytes went bad, or were changed."),
    "not-finite": ("error", "A tensor that holds NaN or infinity; looked for with --finite."),
    "load-failed": ("error", "torch does not load it, or crashes, or takes too long; looked for with --load."),
    "suspect-name": (
        "error",
        "A pickle names what no checkpoint needs, and that loading it would call, or that is of Python's own modules.",
    ),
    "odd-pickle": (
        "error",
        "A pickle does what only an attack has a use for: a computed callable, an impossible name.",
    ),
    "damaged": ("error", "What a listing shows as damaged."),
    "partial": ("error", "What a listing shows as partial: something is missing."),
    "unlisted-name": (
        "warning",
        "A pickle names a class that is not known to be harmless; loading imports it, and makes instances of it.",
    ),
    "unusual-pickle": ("warning", "A pickle does what honest ones do not, but that does no harm by itself."),
    "live": ("warning", "It may still be in the writing."),
    "in-doubt": ("warning", "What a listing shows as unknown: something speaks against its being whole."),
    "no-weights": ("warning", "A folder with the optimizer's state, and without the weights that belong to it."),
    "not-read": ("warning", "Content that could not be looked into, and why."),
    "not-loaded": ("warning", "Asked for with --load, and not loaded by torch, and why."),
}
"""Id to its severity, and what it means. An error makes exit code 5; a warning does not."""


class Flaw(NamedTuple):
    """One thing that is wrong, or in doubt."""

    id: str
    """A key of FLAWS."""
    text: Text
    file: str = ""
    """Path in the checkpoint; "" where it is about all of it."""

    @property
    def severity(self) -> Severity:
        """Whether it is a loss or a danger, or only worth knowing."""
        return FLAWS[self.id][0]

    def as_error(self, path: str | None = None) -> Damaged:
        """The error to raise where nothing can be done with what has it."""
        if isinstance(self.text, str):
            return Damaged(self.text, path=path)
        return Damaged("its content is broken", path=path, note=self.text)


class VerifyResult(NamedTuple):
    """A checkpoint that was examined."""

    path: str
    size: int
    """Bytes of all its files."""
    state: str
    """As a listing has it."""
    flaws: tuple[Flaw, ...] = ()
    loaded: int | None = None
    """Files that torch loaded; None where nobody asked for it."""

    @property
    def ok(self) -> bool:
        """Whether nothing is lost and nothing is a danger, as far as was looked."""
        return not any(flaw.severity == "error" for flaw in self.flaws)
