"""The flow of ``slim``: what becomes of each checkpoint, where it goes, with whose consent, and how it ended."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

from ckptctl.cli.consent import refuse_without_consent
from ckptctl.cli.console import Console
from ckptctl.cli.progress import Progress
from ckptctl.cli.target import Target, find_target
from ckptctl.errors import CkptctlError, PartlyDone, Refused, StorageFailed, UsageError
from ckptctl.lock import take
from ckptctl.render import slim as screens
from ckptctl.render.names import locate
from ckptctl.scan import Options
from ckptctl.slimming import Slim, Way, Wish, copy, plan, refuse_in_place, slim_in_place
from ckptctl.stores import open_store

NOTHING = "nothing was changed"


class Terms(NamedTuple):
    """Where to, how, and with whose consent."""

    output: str | None
    """A file or a folder; None for in place."""
    bare: bool = False
    to: str = "torch"
    is_dry: bool = False
    has_consent: bool = False
    json: bool = False


class Job(NamedTuple):
    """A checkpoint to be slimmed."""

    target: Target
    slim: Slim
    path: str
    """As the user knows it."""
    place: str
    """Where it goes; the same in place."""

    @property
    def line(self) -> screens.Line:
        """As it is shown."""
        return screens.Line(self.path, self.place, self.slim.before, self.slim.after, self.slim.dropped)


class Failures:
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
        self.console.warn(f"{error.path}: {error.text}")


def slim_all(paths: Sequence[str], terms: Terms, scanning: Options) -> None:
    """Slim what the paths mean; raises what keeps it from being done, PartlyDone where that is true of some."""
    console, progress = Console(), Progress("slimmed")
    targets = [find_target(path, scanning) for path in paths]
    failures = Failures(len(targets), console)
    jobs = _plan_all(targets, terms, failures)
    _refuse_twice(jobs)
    if jobs and not terms.is_dry and terms.output is None:
        _require_consent(jobs, console, terms)
    done = jobs if terms.is_dry else _do_all(jobs, terms, failures, progress)
    progress.clear()
    _answer(done, terms, console)
    if failures.count:
        raise PartlyDone(f"{failures.count} of {len(targets)} were not slimmed", hint="each is named above")


def _plan_all(targets: Sequence[Target], terms: Terms, failures: Failures) -> list[Job]:
    """What is to be done with those that may be slimmed."""
    jobs = []
    for target in targets:
        with failures.catching(_path_of(target)):
            jobs.append(_plan(target, terms, is_alone=len(targets) == 1))
    return jobs


def _do_all(jobs: Sequence[Job], terms: Terms, failures: Failures, progress: Progress) -> list[Job]:
    """Carry them out, and tell which were."""
    done = []
    for job in jobs:
        with failures.catching(job.path):
            _do(job, terms, progress)
            done.append(job)
    return done


def _path_of(target: Target) -> str:
    return locate(target.store.url, target.checkpoint.path)


def _plan(target: Target, terms: Terms, *, is_alone: bool) -> Job:
    """What is to be done with one, if it may; raises Refused, Damaged, OSError."""
    slim = plan(target.store, target.checkpoint, Wish(bare=terms.bare, to=terms.to))
    path = _path_of(target)
    if terms.output is None:
        if target.store.read_only:
            raise Refused(target.store.read_only, id="read-only-store")
        refuse_in_place(target.store, target.run, slim)
        return Job(target, slim, path, path)
    place = _place(slim, terms.output, is_alone=is_alone)
    folder = os.path.dirname(place)
    for taken in filter(os.path.lexists, [os.path.join(folder, it) for it in slim.names] or [place]):
        raise Refused("is there already", id="exists", path=taken, done=NOTHING, hint="name a free one with -o")
    return Job(target, slim, path, place)


def _place(slim: Slim, output: str, *, is_alone: bool) -> str:
    """Where a copy goes: by its own name into a folder, or under the name that was given."""
    is_folder = output.endswith("/") or os.path.isdir(output)
    if slim.is_family or not is_alone or is_folder:
        return os.path.join(output, slim.name)
    return output


def _refuse_twice(jobs: Sequence[Job]) -> None:
    """Raise UsageError where two would have one place."""
    for place, count in Counter(os.path.abspath(job.place) for job in jobs).items():
        if count > 1:
            raise UsageError(f"{count} of them would be called alike", path=place, hint="slim them one by one")


def _require_consent(jobs: Sequence[Job], console: Console, terms: Terms) -> None:
    """Ask, unless it was said; raises Refused."""
    if terms.has_consent:
        return
    console.remark(screens.closing([job.line for job in jobs], "would go"))
    question = partial(screens.question, [job.line for job in jobs])
    if refusal := refuse_without_consent(console, question, to="slim in place without being asked", done=NOTHING):
        raise refusal


def _do(job: Job, terms: Terms, progress: Progress) -> None:
    """Carry out one; raises Damaged, OSError, and where another run is at work Locked."""
    store = job.target.store
    if terms.output is None:
        with take(store, "slim"):
            slim_in_place(store, job.slim, progress.add)
    else:
        folder, name = os.path.split(job.place)
        os.makedirs(folder or ".", exist_ok=True)
        copy(Way(store, job.slim, open_store(folder or "."), progress.add), name)
    progress.count()


def _answer(done: Sequence[Job], terms: Terms, console: Console) -> None:
    lines = [job.line for job in done]
    if terms.json:
        from ckptctl.render.json import slim

        console.answer(slim(lines, dry_run=terms.is_dry))
        return
    shown = screens.screen(lines, width=console.width) if console.is_terminal else screens.rows(lines)
    console.answer(shown)
    if done:
        console.say(screens.closing(lines, "would go" if terms.is_dry else "gone"))
