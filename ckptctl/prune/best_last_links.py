"""The ``last`` and ``best`` names that we make: planned, then put in place in one step each."""

from __future__ import annotations

from posixpath import dirname, join, relpath
from typing import TYPE_CHECKING, Literal, NamedTuple

from ckptctl.errors import Refused
from ckptctl.layouts.index import find_layout
from ckptctl.scan.text_pointers import is_pointer_to

if TYPE_CHECKING:
    from ckptctl.core.model import Checkpoint, Entry, Run
    from ckptctl.stores import ReadStore, Store

LinkType = Literal["symlink", "hardlink", "copy", "pointer"]


_KINDS: dict[str, LinkType] = {"hardlink": "hardlink", "text": "pointer"}
"""What a scan calls names that are no links and yet may be replaced: what they stand for stays."""


class LinkPlan(NamedTuple):
    """A name to make: where, and for which checkpoint."""

    path: str
    checkpoint: str
    """The path of what it stands for."""
    kind: LinkType = "symlink"
    before: str | None = None
    """What the name that is there now leads to, relative to its folder; None where there is none."""
    before_kind: LinkType | None = None

    @property
    def target(self) -> str:
        """The link's text: relative to its own folder, so that a moved run keeps it."""
        return relpath(self.checkpoint, dirname(self.path) or ".")

    @property
    def is_right(self) -> bool:
        """Whether it stands already."""
        return self.kind == self.before_kind and self.before == self.target


def plan_link(
    store: ReadStore, run: Run, name: str, checkpoint: Checkpoint, kind: LinkType = "symlink"
) -> LinkPlan | None:
    """The link ``name`` in a run's folder to one of its checkpoints; None where the checkpoint has that very name.

    Raises Refused where a file or folder of its own has the name, where a folder should be linked as only files can,
    and where no link may lie beside it.
    """
    path = join(run.path, name if kind == "pointer" else with_extension(name, checkpoint))
    if path == checkpoint.path:
        return None
    _refuse_unfit(checkpoint, kind)
    if checkpoint.unit != "file" and kind in ("hardlink", "copy"):
        text = f"'{checkpoint.path}' is no single file: a {kind} of it cannot be put in place in one step"
        raise Refused(text, hint="use --kind symlink")
    try:
        entry = store.stat(path)
    except FileNotFoundError:
        return LinkPlan(path, checkpoint.path, kind)
    for pointer in run.pointers:
        if (
            pointer.path == path
            and pointer.target is not None
            and pointer.kind in _KINDS
            and _stands(store, entry, pointer.target)
        ):
            return LinkPlan(
                path, checkpoint.path, kind, relpath(pointer.target, dirname(path) or "."), _KINDS[pointer.kind]
            )
    if entry.kind != "link":
        what = {"dir": "a folder", "file": "a file of its own"}.get(entry.kind, "neither file nor link")
        raise Refused(
            f"'{path}' is {what}, and may be the only copy of a state",
            hint="move it away, or give the link another name with --name",
        )
    return LinkPlan(path, checkpoint.path, kind, entry.target, "symlink")


def _refuse_unfit(checkpoint: Checkpoint, kind: LinkType) -> None:
    """Raise Refused where no link can stand for the checkpoint, or its framework would stumble over one."""
    if checkpoint.unit == "family" and kind != "pointer":
        text = f"'{checkpoint.path}' is several files, of which none stands for all: nothing can be linked"
        raise Refused(text, hint="use --kind pointer: a text file that names it")
    why = find_layout(checkpoint.layout).no_links
    if why is not None:
        raise Refused(f"'{checkpoint.path}': {why}", hint="ask for its path with ckptctl best or ckptctl last instead")


def _stands(store: ReadStore, entry: Entry, target: str) -> bool:
    """Whether a name without a link stands for a checkpoint still: training may have saved under it meanwhile."""
    if is_pointer_to(store, entry, target):
        return True
    try:
        return store.stat(target).identity == entry.identity
    except OSError:
        return False


def with_extension(name: str, checkpoint: Checkpoint) -> str:
    """A name with the checkpoint's own extension, unless it has it."""
    endings = find_layout(checkpoint.layout).extensions
    ending = next((it for it in endings if checkpoint.path.endswith(it)), "")
    return name if name.endswith(ending) else name + ending


def make_link(store: Store, link: LinkPlan) -> None:
    """Put a name in place in one step, over a link that has it; raises OSError."""
    target = link.checkpoint if link.kind in ("hardlink", "copy") else link.target
    store.link(link.path, target, link.kind, is_new=link.before is None)
