"""``ckptctl verify``: whether checkpoints are intact and harmless."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from os.path import isfile
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Exit, Option

from ckptctl.cli import _options as opt
from ckptctl.cli._console import Console
from ckptctl.cli._progress import Progress
from ckptctl.cli._targets import require_all_listed
from ckptctl.core.model import Run
from ckptctl.errors import Damaged, NoCheckpoint, PartlyDone
from ckptctl.formats.contents import VerifyResult
from ckptctl.render import findings as screens
from ckptctl.render.text import locate
from ckptctl.scan.inspect import VerifyDepth, verify_checkpoint
from ckptctl.scan.resolve import ResolvedCheckpoint
from ckptctl.scan.runs import Options
from ckptctl.scan.targets import NameOptions, expand_globs, fill_names, read_options
from ckptctl.scan.weight_files import find_weight_files
from ckptctl.stores import ReadStore

if TYPE_CHECKING:
    from ckptctl.sandbox.torch_load import TorchLoader

EXAMPLES = """
  ckptctl verify runs/
  ckptctl verify runs/a/last.ckpt --deep --load
  ckptctl verify runs/ --finite -q
"""


def command(
    paths: Annotated[
        list[str] | None,
        Argument(metavar="[PATH]...", help="Checkpoints, or folders of them; default: here.", show_default=False),
    ] = None,
    deep: Annotated[bool, Option("--deep", help="Read every byte, and prove each checksum.")] = False,
    finite: Annotated[bool, Option("--finite", help="Find tensors that hold NaN or infinity.")] = False,
    load: Annotated[bool, Option("--load", help="Have torch load what passed, of its own formats.")] = False,
    allow: Annotated[
        list[str] | None, Option("--allow", metavar="GLOB", help="Names that pickles may have; repeatable.")
    ] = None,
    template: opt.TemplateText = None,
    layout: opt.LayoutName = None,
    ext: opt.Extensions = None,
    equals: opt.Equals = "=",
    include: opt.Includes = None,
    strict_live: Annotated[
        bool, Option("--strict-live", help="Exit code 5 also where one is cut off and may still be in the writing.")
    ] = False,
    quiet: Annotated[bool, Option("-q", "--quiet", help="Only the paths of those that are not well.")] = False,
    null: Annotated[bool, Option("-0", "--null", help="As -q, each path ended by a NUL.")] = False,
    json: opt.Json = False,
) -> None:
    """Find truncated, corrupt, incomplete, suspicious checkpoints.

    Without options the structure is proved: ends, directories, offsets, sizes, every shard and rank, every storage that
    a pickle names. Nothing is executed, nothing changed. Of a folder every file is looked at whose content or ending is
    a format of weights, whether it is one of a training's saves or not. Exit code 5 where something is wrong, 3 where
    one only lacks its end so far and was written less than ten minutes ago.

    With --load torch, in a process of its own, then loads each of its files that passed, with weights_only=True. Not
    loaded are safetensors, HDF5, npz, and what lies in archives or object stores.
    """
    opt.refuse_together(json=json, quiet=quiet)
    opt.refuse_together(json=json, null=null)
    console, progress = Console(), Progress()
    scanning = read_options(fill_names(NameOptions(template, layout, ext, equals, include), paths))
    with _torch_if_wanted(load) as loader:
        depth = VerifyDepth(deep, finite, tuple(allow or ()), scanning.now)
        seen = CountedResults(_examine(_find(paths, scanning, console), depth, progress, loader))
        if quiet or null:
            console.hand_over(((it.path, "") for it in seen if not it.ok), null=null)
        else:
            console.answer(_write(seen, console, progress, json=json))
    progress.clear()
    if not json:
        torch = loader.version if loader else ""
        console.say(screens.verify_closing(seen.tally, seconds=progress.seconds if deep else 0, torch=torch))
    if seen.tally.broken or seen.tally.suspect or (strict_live and seen.tally.unfinished):
        raise Exit(Damaged.exit_code)
    if seen.tally.unfinished:
        raise Exit(PartlyDone.exit_code)
    require_all_listed(console)


def _torch_if_wanted(wanted: bool) -> AbstractContextManager[TorchLoader | None]:
    """torch, where it is wanted; raises MissingLibrary, UsageError."""
    if not wanted:
        return nullcontext()
    from ckptctl.sandbox.torch_load import start_torch

    return start_torch()


class CountedResults:
    """What was examined, summed up as it passes."""

    def __init__(self, examined: Iterable[VerifyResult]) -> None:
        self.tally = screens.VerifyTotals()
        self._examined = examined

    def __iter__(self) -> Iterator[VerifyResult]:
        for result in self._examined:
            self.tally = self.tally.add(result)
            yield result


def _find(paths: Sequence[str] | None, scanning: Options, console: Console) -> Iterator[ResolvedCheckpoint]:
    """All that the paths mean; raises NoCheckpoint where one means none, and what opening raises."""

    def watch(store: ReadStore, run: Run) -> None:
        if run.checkpoints or not run.listed:
            console.warn_of_run(store.url, run)

    for path in expand_globs(paths):
        try:
            yield from find_weight_files(path, scanning, watch)
        except NoCheckpoint as error:
            raise (error if isfile(path) else _find_nothing(path, scanning)) from None


def _find_nothing(path: str, scanning: Options) -> NoCheckpoint:
    from ckptctl.scan.seen_files import describe_seen

    hint = describe_seen([path], scanning.template) or "name a checkpoint, or a folder of some"
    return NoCheckpoint("no checkpoint found", path=path, hint=hint)


def _examine(
    targets: Iterable[ResolvedCheckpoint], depth: VerifyDepth, progress: Progress, loader: TorchLoader | None
) -> Iterator[VerifyResult]:
    for store, _, target, _ in targets:
        examined = verify_checkpoint(store, target, depth, progress.add, loader)
        progress.count()
        yield examined._replace(path=locate(store.url, target.path))


def _write(seen: Iterable[VerifyResult], console: Console, progress: Progress, *, json: bool) -> Iterator[str]:
    if json:
        from ckptctl.render.json_contents import verify

        return verify(seen)
    lines = screens.verify_screen(seen, width=console.width) if console.is_terminal else screens.verify_rows(seen)
    return _clear_before(lines, progress)


def _clear_before(lines: Iterable[str], progress: Progress) -> Iterator[str]:
    """The lines, none of them behind the progress on a screen."""
    for line in lines:
        progress.clear()
        yield line
