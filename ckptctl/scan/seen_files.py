"""What to say where no checkpoint is found: which files lie there, and a template that was tried on their names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from shlex import quote
from typing import TYPE_CHECKING

from ckptctl.core.names.endings import may_hold_weights
from ckptctl.core.names.fits import match_name
from ckptctl.core.names.shapes import group_by_shape, split_ending
from ckptctl.core.ranking import UNNAMED
from ckptctl.errors import CkptctlError, NoCheckpoint
from ckptctl.scan.completeness import is_shard
from ckptctl.scan.loose_files import has_weights_ending
from ckptctl.stores import open_store

if TYPE_CHECKING:
    from ckptctl.core.model import Run
    from ckptctl.core.names.parse import NameReader
    from ckptctl.core.names.template import Template

NAME_A_RUN = "name the folder of a run, or one above it"
Folders = dict[str, list[str]]
"""Names of files, by folder."""


def report_nothing_found(paths: Sequence[str], template: NameReader | None = None) -> NoCheckpoint:
    """The error of a look that found no checkpoint under some paths; the first is named."""
    seen = describe_seen(paths, template)
    return NoCheckpoint("no checkpoint found", path=paths[0], hint=seen or NAME_A_RUN)


def describe_seen(paths: Sequence[str], template: NameReader | None = None) -> str | None:
    """The files under some paths that may hold weights, with a template that fits; None where there are none."""
    folders: Folders = {}
    for path in paths:
        folders.update(_list_files(path))
    folders = _of_weights(folders) or {folder: held for folder, held in folders.items() if held}
    names = [name for held in folders.values() for name in held]
    if not names:
        return None
    is_unfit = template is not None and not any(match_name(template, it) for it in names)
    return ("--template fits no name; " if is_unfit else "") + _write_seen(folders)


def _write_seen(folders: Folders) -> str:
    """How many files there are, and a template that fits the most of one shape."""
    names = [name for held in folders.values() for name in held]
    folders = {path: [it for it in held if not is_shard(it)] for path, held in folders.items()}  # no saves in a row
    if not any(folders.values()):
        return f"seen: {_write_count(len(names), '')}, parts of one file each, such as {names[0]}"
    names = [name for held in folders.values() for name in held]
    ending, count = Counter(split_ending(it)[1] for it in names).most_common(1)[0]
    alike = _find_most_alike(folders, ending)
    rest = f" and {len(names) - count} of other endings" if count < len(names) else ""
    return f"seen: {_write_count(count, ending)} such as {alike[0]}{rest}{_write_proposal(alike)}"


def propose_for(path: str, metric: str) -> str | None:
    """A template for the most names of one shape under a path, its unnamed measure called as a metric is."""
    from ckptctl.core.series.proposal import propose_template

    folders = _of_weights(dict(_list_files(path)))
    names = [name for held in folders.values() for name in held]
    if not names:
        return None
    ending = Counter(split_ending(it)[1] for it in names).most_common(1)[0][0]
    proposal = propose_template(_find_most_alike(folders, ending))
    return proposal and proposal.replace("{" + UNNAMED + "}", "{" + metric + "}")


def _list_files(path: str) -> Iterator[tuple[str, list[str]]]:
    """The names of the files that may hold weights, by folder; none of what cannot be listed."""
    with suppress(CkptctlError, OSError):
        for folder in open_store(path).walk(stat=False):
            held = [it.path.rpartition("/")[2] for it in folder.entries if it.kind == "file"]
            yield f"{path}/{folder.path}", [it for it in held if may_hold_weights(it)]


def _of_weights(folders: Folders) -> Folders:
    """What has the ending of a file of weights."""
    found = {folder: [it for it in held if has_weights_ending(it)] for folder, held in folders.items()}
    return {folder: held for folder, held in found.items() if held}


def _find_most_alike(folders: Folders, ending: str) -> list[str]:
    """The largest group of names of one shape and ending in one folder."""
    groups = (
        [it.name for it in group.members]
        for held in folders.values()
        for group in group_by_shape([it for it in held if split_ending(it)[1] == ending])
    )
    return max(groups, key=len)


def _write_count(count: int, ending: str) -> str:
    return f"{count} {ending}{' ' if ending else ''}file{'s'[count == 1 :]}"


def _write_proposal(names: Sequence[str]) -> str:
    """What to try for names of one shape; nothing where no template fits them."""
    from ckptctl.core.series.proposal import propose_template

    proposal = propose_template(names)
    return f"; try --template {quote(proposal)}" if proposal else ""


def describe_misfits(template: Template, runs: Iterable[Run]) -> str | None:
    """What a person should know of a template that does not fit all names of some runs; None where it does."""
    tally = TemplateTally(template)
    for run in runs:
        tally.add(run)
    return tally.describe()


class TemplateTally:
    """How many names of some runs a template fits."""

    def __init__(self, template: Template) -> None:
        self.template = template
        self.count = 0
        self.unfit: Folders = {}
        """By folder."""

    def add(self, run: Run) -> None:
        """Count the names of a run's checkpoints, and of what it left out."""
        paths = [entry.path for it in (*run.checkpoints, *run.left_out) for entry in it.entries[:1]]
        unfit = [it.rpartition("/")[2] for it in paths if not self._fits(it, run.path)]
        self.count += len(paths)
        if unfit:
            self.unfit.setdefault(run.path, []).extend(unfit)

    def _fits(self, path: str, folder: str) -> bool:
        inside = path[len(folder) + 1 if folder else 0 :]
        own = path.rpartition("/")[0]
        return any(match_name(self.template, it, own) is not None for it in {inside, inside.rpartition("/")[2]})

    def describe(self) -> str | None:
        """What a person should know of it; None where it fits every name."""
        unfit = [name for held in self.unfit.values() for name in held]
        if not unfit:
            return None
        said = f"--template {quote(self.template.text)} fits"
        fitting = self.count - len(unfit)
        if fitting:
            return f"{said} {fitting} of {self.count} names: not {unfit[0]}"
        return f"{said} no name: {_write_seen(self.unfit)}"
