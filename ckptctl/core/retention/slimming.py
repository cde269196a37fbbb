"""What slimming would leave of a checkpoint: for each file whether it is kept, rewritten or dropped."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

from ckptctl.core.model import Checkpoint, Entry

SHARED = "other names hold its files, so that nothing would be freed"
"""Why it is not slimmed in place."""
Fate = Literal["keep", "rewrite", "export", "leave"]
_ENDING = re.compile(r"\.(?:pth\.tar|ckpt|pth?|bin|th|tar|h5|npz)$")


class SlimStep(NamedTuple):
    """What becomes of one of its files."""

    entry: Entry
    fate: Fate
    size: int
    """Bytes of it that stay."""


class SlimOptions(NamedTuple):
    """How a checkpoint is to be slimmed."""

    bare: bool = False
    """Whether the mapping with the weights alone is kept."""
    to: str = "torch"
    """Or safetensors."""
    scores: bool = False
    """Whether also that stays in which training noted its scores."""


class SlimPlan(NamedTuple):
    """What a checkpoint would be."""

    checkpoint: Checkpoint
    steps: tuple[SlimStep, ...]
    dropped: tuple[str, ...]
    """Keys and files that go."""
    drop: tuple[str, ...] = ()
    wish: SlimOptions = SlimOptions()
    weights: tuple[Entry, ...] = ()
    """The files that hold the weights, where whole files go beside them."""
    unknown: tuple[str, ...] = ()
    """Names that stay, and that ``torch.load(weights_only=True)`` does not know."""

    @property
    def before(self) -> int:
        """Bytes now."""
        return self.checkpoint.size

    @property
    def after(self) -> int:
        """Bytes then."""
        return sum(it.size for it in self.steps)

    @property
    def touched(self) -> tuple[SlimStep, ...]:
        """The files that are not as they were: rewritten or gone."""
        return tuple(it for it in self.steps if it.fate in ("rewrite", "leave"))

    @property
    def is_shared(self) -> bool:
        """Whether other names hold what would be taken out, so that nothing would be freed."""
        return any(it.entry.links > 1 for it in self.touched)

    @property
    def frees(self) -> int:
        """Bytes that the disk has more of then; less than none where what is written anew takes more than it took."""
        return sum(it.entry.weight - it.size for it in self.touched)

    @property
    def rewritten(self) -> tuple[Entry, ...]:
        """The files of which another one takes the place."""
        return tuple(it.entry for it in self.steps if it.fate == "rewrite")

    @property
    def tops(self) -> tuple[Entry, ...]:
        """What is taken away one by one: rewritten files first, then files that go, and folders of which none stays."""
        gone = [it.entry for it in self.steps if it.fate == "leave"]
        folders = self._emptied(gone)
        inside = tuple(f"{it.path}/" for it in folders)
        return (*self.rewritten, *folders, *(it for it in gone if not it.path.startswith(inside)))

    def _emptied(self, gone: Sequence[Entry]) -> list[Entry]:
        """The folders in it of which no file stays, without those that lie in another of them."""
        below = self.checkpoint.entries[1:] if self.checkpoint.unit == "dir" else ()
        going = {it.path for it in gone}
        stays = [it.path for it in below if it.kind != "dir" and it.path not in going]
        folders: list[Entry] = []
        for it in sorted(entry for entry in below if entry.kind == "dir"):
            front = f"{it.path}/"
            is_inside = any(front.startswith(f"{other.path}/") for other in folders)
            has_gone = any(path.startswith(front) for path in going)
            if has_gone and not is_inside and not any(path.startswith(front) for path in stays):
                folders.append(it)
        return folders

    @property
    def is_family(self) -> bool:
        """Whether it is several files, which keep their own names."""
        return self.checkpoint.unit == "family" and len(self.steps) > 1

    @property
    def name(self) -> str:
        """What a copy of it is called."""
        it = self.checkpoint
        if it.unit == "dir" or self.is_family:
            return it.path.rpartition("/")[2]
        own = self.place_of(self.steps[0].entry)
        return own if self.wish.to == "torch" else f"{_ENDING.sub('', own)}.safetensors"

    @property
    def names(self) -> list[str]:
        """Of a family what each file is called in a copy, which keeps it; of all else nothing."""
        return [self.place_of(step.entry) for step in self.steps if step.fate != "leave"] if self.is_family else []

    def place_of(self, entry: Entry) -> str:
        """Its path in the checkpoint; of a file or family its name."""
        top = self.checkpoint.entries[0].path if self.checkpoint.unit == "dir" else entry.path.rpartition("/")[0]
        return entry.path[len(top) + 1 :] if top else entry.path
