"""``ckptctl slim``: checkpoints without optimizer state."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from functools import partial
from typing import Annotated, NamedTuple

from typer import Option

from ckptctl.cli import _options as opt
from ckptctl.cli._console import Console, refuse_without_consent
from ckptctl.cli._progress import Progress
from ckptctl.cli._signals import defer_signals
from ckptctl.core.retention.plan import Plan, RunPlan, Verdict
from ckptctl.core.retention.policy import Policy
from ckptctl.core.retention.rules.named import matches_path
from ckptctl.core.retention.rules.protocol import Reason
from ckptctl.core.retention.slimming import SlimOptions, SlimPlan
from ckptctl.core.transaction import Failure, Outcome
from ckptctl.errors import CkptctlError, Damaged, PartlyDone, Refused, StorageFailed, UsageError
from ckptctl.prune.apply import ApplyCallbacks, ApplyOptions, apply
from ckptctl.prune.journal import new_id
from ckptctl.prune.policy_options import EffectiveConfig, PolicyOptions, configure, view_from
from ckptctl.prune.slimming import CopyJob, ObservedRun, copy_slimmed, plan_slim, refuse_in_place
from ckptctl.render import outcome as screens
from ckptctl.render.note_texts import describe_error
from ckptctl.render.text import locate
from ckptctl.scan.resolve import ResolvedCheckpoint, resolve_checkpoints
from ckptctl.scan.runs import Options
from ckptctl.scan.targets import NameOptions, read_options
from ckptctl.stores import open_store, require_writable

EXAMPLES = """
  ckptctl slim runs/a/last.ckpt -o small.ckpt
  ckptctl slim runs/a/*.ckpt --in-place --trash
  ckptctl slim last.ckpt --to safetensors -o model.safetensors
"""


class SlimFormat(str, Enum):
    """What to write."""

    torch = "torch"
    safetensors = "safetensors"


def command(
    checkpoints: opt.Checkpoints,
    output: Annotated[str | None, Option("-o", "--output", metavar="OUT", help="The copy, or its folder.")] = None,
    in_place: Annotated[bool, Option("--in-place", help="Put it in place of the whole one.")] = False,
    bare: Annotated[bool, Option("--bare", help="Keep the mapping with the weights alone.")] = False,
    to: Annotated[SlimFormat, Option("--to", help="What to write of a file.")] = SlimFormat.torch,
    dry_run: opt.DryRun = False,
    yes: opt.Yes = False,
    trash: opt.Trash = False,
    trash_for: opt.TrashFor = None,
    template: opt.TemplateText = None,
    layout: opt.LayoutName = None,
    ext: opt.Extensions = None,
    equals: opt.Equals = "=",
    include: opt.Includes = None,
    json: opt.Json = False,
) -> None:
    """Write checkpoints without optimizer state.

    What only serves to resume training is left out: in a file by writing the rest anew, at the speed of a copy, in a
    folder by leaving out files. Nothing is executed, the weights stay byte for byte, and each checksum is proved on the
    way. What is not understood is refused, with the reason.
    """
    opt.refuse_together(yes=yes, dry_run=dry_run)
    if in_place == (output is not None):
        raise UsageError("it must be told where to", hint="pass -o OUT for a copy, or --in-place")
    if in_place and to is SlimFormat.safetensors:
        raise UsageError("--in-place keeps the format", hint="pass -o OUT with --to safetensors")
    if (trash or trash_for is not None) and not in_place:
        raise UsageError("--trash is for --in-place: a copy leaves all as it is", hint="leave it out")
    found = configure(PolicyOptions(), checkpoints) if in_place else EffectiveConfig(PolicyOptions())
    options = found.choose("slim", trash=trash, trash_for=trash_for, takes_open=True)
    scanning = read_options(NameOptions(template, layout, ext, equals, include))
    request = SlimRequest(output, options, bare, to.value, dry_run, yes, json, found.spared, found.folders)
    slim_all(checkpoints, request, scanning)


NOTHING = "nothing was changed"


class SlimRequest(NamedTuple):
    """Where to, how, and with whose consent."""

    output: str | None
    """A file or a folder; None for in place."""
    options: ApplyOptions
    """In place: whether the originals stay in the trash, and for how long."""
    bare: bool = False
    to: str = "torch"
    is_dry: bool = False
    has_consent: bool = False
    json: bool = False
    spared: tuple[str, ...] = ()
    """Patterns of what a configuration file keeps as it is."""
    folders: tuple[str, ...] = ()
    """Where such files lie."""


class SlimJob(NamedTuple):
    """A checkpoint to be slimmed."""

    target: ResolvedCheckpoint
    slim: SlimPlan
    path: str
    """As the user knows it."""
    place: str
    """Where it goes; the same in place."""

    @property
    def line(self) -> screens.SlimRow:
        """As it is shown."""
        return screens.SlimRow(self.path, self.place, self.slim.before, self.slim.after, self.slim.dropped)


class SlimOutcome(NamedTuple):
    """What was carried out."""

    jobs: Sequence[SlimJob]
    kept: Sequence[tuple[str, str]] = ()
    """What lies in the trash: the name of each undo, and where."""


class SlimFailures:
    """What could not be slimmed: told at once, but raised where it is the only one that was asked for."""

    def __init__(self, asked: int, console: Console) -> None:
        self.asked = asked
        self.console = console
        self.count = 0

    @contextmanager
    def catching(self, path: str) -> Iterator[None]:
        """Do something for one of them."""
        try:
            yield
        except CkptctlError as error:
            self._note(error, path)
        except OSError as error:
            self._note(StorageFailed(f"{error.strerror or error}", path=path), path)

    def _note(self, error: CkptctlError, path: str) -> None:
        error.path = error.path or path
        error.done = error.done or NOTHING
        if self.asked == 1:
            raise error
        self.count += 1
        self.console.warn(f"{error.path}: {describe_error(error)}")


def slim_all(paths: Sequence[str], request: SlimRequest, scanning: Options) -> None:
    """Slim what the paths mean; raises what keeps it from being done, PartlyDone where that is true of some."""
    console, progress = Console(), Progress("slimmed")
    targets = resolve_checkpoints(paths, scanning)
    failures = SlimFailures(len(targets), console)
    jobs = _plan_all(targets, request, failures)
    _refuse_twice(jobs)
    if jobs and not request.is_dry and request.output is None:
        _require_consent(jobs, console, request)
    if request.is_dry:
        done = SlimOutcome(jobs)
    elif request.output is not None:
        done = _copy_all(jobs, failures, progress)
    else:
        done = _slim_all(jobs, request, failures, progress)
    progress.clear()
    _answer(done, request, console)
    if failures.count:
        raise PartlyDone(f"{failures.count} of {len(targets)} were not slimmed", hint="each is named above")


def _plan_all(targets: Sequence[ResolvedCheckpoint], request: SlimRequest, failures: SlimFailures) -> list[SlimJob]:
    """What is to be done with those that may be slimmed."""
    jobs = []
    for target in targets:
        with failures.catching(_path_of(target)):
            jobs.append(_plan(target, request, is_alone=len(targets) == 1))
    return jobs


def _copy_all(jobs: Sequence[SlimJob], failures: SlimFailures, progress: Progress) -> SlimOutcome:
    """Write the copies, and tell which were."""
    done = []
    for job in jobs:
        with failures.catching(job.path):
            folder, name = os.path.split(job.place)
            os.makedirs(folder or ".", exist_ok=True)
            place = require_writable(open_store(folder or "."), path=job.place)
            copy_slimmed(CopyJob(job.target.store, job.slim, place, progress.add), name)
            progress.count()
            done.append(job)
    return SlimOutcome(done)


def _slim_all(jobs: Sequence[SlimJob], request: SlimRequest, failures: SlimFailures, progress: Progress) -> SlimOutcome:
    """Slim them in place, those of one folder at once, and tell which were."""
    done: list[SlimJob] = []
    kept: list[tuple[str, str]] = []
    for url in dict.fromkeys(job.target.store.url for job in jobs):
        own = [job for job in jobs if job.target.store.url == url]
        outcome = _try(own, request, failures, progress)
        slimmed = [job for job in own if job.target.checkpoint.path in outcome.slimmed]
        done += slimmed
        kept += [(outcome.txid, url)] if outcome.is_kept and slimmed else []
    return SlimOutcome(done, kept)


def _try(jobs: Sequence[SlimJob], request: SlimRequest, failures: SlimFailures, progress: Progress) -> Outcome:
    """Slim those of one folder in place; what could not be is told."""
    try:
        outcome = _apply(jobs, request, progress)
    except CkptctlError as error:
        if failures.asked == 1:
            raise
        outcome = Outcome("", skipped=tuple(Failure(it.target.checkpoint.path, describe_error(error)) for it in jobs))
    for failure in (*outcome.skipped, *outcome.failed):
        with failures.catching(locate(jobs[0].target.store.url, failure.path)):
            raise _error_of(failure, is_skip=failure in outcome.skipped)
    return outcome


def _apply(jobs: Sequence[SlimJob], request: SlimRequest, progress: Progress) -> Outcome:
    """Carry out what is planned in one folder, by the journal; raises what `apply` raises."""
    store = jobs[0].target.store
    verdicts = tuple(
        Verdict(it.path, "slim", (Reason("named", "named"),), max(0, slim.frees), it, slim)
        for slim in (job.slim for job in jobs)
        for it in [slim.checkpoint]
    )
    plan = Plan(Policy(()), (RunPlan(jobs[0].target.run.path, verdicts),))
    options = request.options._replace(txid=new_id())  # each folder is a slimming of its own
    with defer_signals() as stop:
        return apply(
            plan, store, options, ApplyCallbacks(tell=lambda _: progress.count(), tick=progress.add, stop=stop)
        )


def _error_of(failure: Failure, *, is_skip: bool) -> CkptctlError:
    """What could not be slimmed, as the error that it is."""
    if is_skip:
        return Refused(failure.why, id="changed")
    return Damaged(failure.why) if failure.is_damage else StorageFailed(failure.why)


def _path_of(target: ResolvedCheckpoint) -> str:
    return locate(target.store.url, target.checkpoint.path)


def _plan(target: ResolvedCheckpoint, request: SlimRequest, *, is_alone: bool) -> SlimJob:
    """What is to be done with one, if it may; raises Refused, Damaged, OSError."""
    slim = plan_slim(target.store, target.checkpoint, SlimOptions(bare=request.bare, to=request.to))
    path = _path_of(target)
    if request.output is None:
        require_writable(target.store)
        held = view_from(Policy((), spared=request.spared), [target.store], request.folders)
        for pattern in (it for it in held.spared if matches_path(it, target.checkpoint.path, held.view)):
            raise Refused(f"it matches {pattern}, which a configuration file keeps", id="pinned")
        refuse_in_place(ObservedRun(target.store, target.run, target.store.clock()), slim)
        return SlimJob(target, slim, path, path)
    place = _place(slim, request.output, is_alone=is_alone)
    folder = os.path.dirname(place)
    for taken in filter(os.path.lexists, [os.path.join(folder, it) for it in slim.names] or [place]):
        raise Refused("is there already", id="exists", path=taken, done=NOTHING, hint="name a free one with -o")
    return SlimJob(target, slim, path, place)


def _place(slim: SlimPlan, output: str, *, is_alone: bool) -> str:
    """Where a copy goes: by its own name into a folder, or under the name that was given."""
    is_folder = output.endswith("/") or os.path.isdir(output)
    if slim.is_family or not is_alone or is_folder:
        return os.path.join(output, slim.name)
    return output


def _refuse_twice(jobs: Sequence[SlimJob]) -> None:
    """Raise UsageError where two would have one place."""
    for place, count in Counter(os.path.abspath(job.place) for job in jobs).items():
        if count > 1:
            raise UsageError(f"{count} of them would be called alike", path=place, hint="slim them one by one")


def _require_consent(jobs: Sequence[SlimJob], console: Console, request: SlimRequest) -> None:
    """Ask, unless it was said; raises Refused."""
    if request.has_consent:
        return
    console.remark(screens.slim_closing([job.line for job in jobs], "would go"))
    question = partial(screens.slim_question, [job.line for job in jobs], trash=request.options.keeps)
    if refusal := refuse_without_consent(console, question, to="slim in place without being asked", done=NOTHING):
        raise refusal


def _answer(done: SlimOutcome, request: SlimRequest, console: Console) -> None:
    lines = [job.line for job in done.jobs]
    if request.json:
        from ckptctl.render.json_contents import slim

        console.answer(slim(lines, dry_run=request.is_dry, kept=done.kept))
        return
    shown = screens.slim_screen(lines, width=console.width) if console.is_terminal else screens.slim_rows(lines)
    console.answer(shown)
    if lines:
        word = "would go" if request.is_dry else "set aside" if done.kept else "gone"
        console.say(screens.slim_closing(lines, word, kept=done.kept))
    if unknown := tuple(dict.fromkeys(name for job in done.jobs for name in job.slim.unknown)):
        console.remark(screens.describe_foreign_names(unknown, bare=request.bare))
