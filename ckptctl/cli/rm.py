"""``ckptctl rm``: delete checkpoints by name, through the same guards as a prune."""

from __future__ import annotations

from collections.abc import Sequence
from os.path import normpath, split
from typing import Annotated

from typer import Exit, Option

from ckptctl.cli import _options as opt
from ckptctl.cli._console import Console
from ckptctl.cli._pruning import PruneConsent, prune
from ckptctl.core.model import relocate_path
from ckptctl.core.retention.policy import Policy
from ckptctl.core.retention.rules import KeepOthers
from ckptctl.errors import Refused
from ckptctl.prune.planning import PruneJob
from ckptctl.prune.policy_options import PolicyOptions, configure, read_min_age, read_size, view_from
from ckptctl.scan.resolve import find_save_around, is_link
from ckptctl.scan.runs import Options
from ckptctl.scan.targets import NameOptions, open_named_stores, read_options
from ckptctl.stores import ReadStore

EXAMPLES = """
  ckptctl rm runs/a/epoch=3.ckpt
  ckptctl rm runs/a/checkpoint-500 runs/a/checkpoint-1000 --trash
"""

EmptyRun = Annotated[
    bool, Option("--empty-run", help="Let a run lose its last complete checkpoint.", show_default=False)
]


def command(
    checkpoints: opt.Checkpoints,
    dry_run: opt.DryRun = False,
    yes: opt.Yes = False,
    trash: opt.Trash = False,
    trash_for: opt.TrashFor = None,
    allow_open: opt.AllowOpen = False,
    empty_run: EmptyRun = False,
    ignore_unreadable: Annotated[
        bool,
        Option("--ignore-unreadable", help="Delete although a file that may name checkpoints cannot be read."),
    ] = False,
    layout: opt.LayoutName = None,
    ext: opt.Extensions = None,
    json: opt.Json = False,
    color: opt.Color = opt.ColorName.auto,
) -> None:
    """Delete checkpoints by name, through the same guards.

    All of them or none: what a link names, what is pinned and what is being written is refused.
    """
    opt.refuse_together(yes=yes, dry_run=dry_run)
    stores = open_named_stores([folder for folder, _ in _places(checkpoints)])
    configured = configure(PolicyOptions(), [it.url for it in stores])
    scanning = read_options(NameOptions(None, layout, ext, "="), sure=True, now=min(it.clock() for it in stores))
    for path in checkpoints:
        _refuse_part(path, scanning)
    policy = policy_for_named(checkpoints, stores)._replace(
        may_empty=empty_run,
        ignore_unreadable=ignore_unreadable,
        spared=configured.spared,
        min_age=read_min_age(configured.flags.min_age or "auto"),
    )
    policy = view_from(policy, stores, configured.folders)
    options = configured.choose("rm", trash=trash, trash_for=trash_for, takes_open=allow_open)
    limits = configured.flags
    job = PruneJob(stores, scanning, policy, limits.max_delete, read_size(limits.max_delete_size))
    consent = PruneConsent(options, is_dry=dry_run, has_consent=yes)
    raise Exit(prune(job, consent, Console(color.value), json=json, verbose=True))


def _refuse_part(path: str, scanning: Options) -> None:
    """Raise Refused for a file of a save that is a folder: it goes whole or not at all."""
    whole = find_save_around(path, scanning)
    if whole is not None:
        text, hint = "is a part of a checkpoint, which goes whole or not at all", f"name the folder: {whole}"
        raise Refused(text, path=path, id="part-of-checkpoint", done="nothing was deleted", hint=hint)


def policy_for_named(checkpoints: Sequence[str], stores: Sequence[ReadStore]) -> Policy:
    """The policy that lets go what is named, by its paths as a plan of these stores has them; raises Refused."""
    for path in checkpoints:
        if is_link(path):
            text = "is a link, and no checkpoint itself"
            raise Refused(text, path=path, id="is-link", done="nothing was deleted", hint="name what it leads to")
    several = len(stores) > 1
    named = frozenset(relocate_path(name, folder) if several else name for folder, name in _places(checkpoints))
    return Policy((KeepOthers(named),), protect_last=False, named=named)


def _places(checkpoints: Sequence[str]) -> list[tuple[str, str]]:
    """Folder and name in it of each; a folder in another one, or written in two ways, would be planned twice.

    The current folder, and those above it, have no name here: as for any rm, nothing is deleted by a ``.``.
    """
    paths = [it if "://" in it else normpath(it) for it in checkpoints]
    folders = {_folder_of(path) for path in paths}
    found = []
    for path in paths:
        folder = next((it for it in sorted(folders, key=len) if _name_in(it, path) is not None), _folder_of(path))
        found.append((folder, _name_in(folder, path) or split(path)[1]))
    return found


def _folder_of(path: str) -> str:
    """The folder that a path lies in."""
    return split(path)[0] or "."


def _name_in(folder: str, path: str) -> str | None:
    """A path as seen from a folder that holds it; None where it lies elsewhere."""
    if folder == ".":
        return None if "://" in path or path.partition("/")[0] in ("", "..") else path
    front = folder.rstrip("/") + "/"
    return path.removeprefix(front) if path.startswith(front) else None
