"""``ckptctl prune``: plan what to keep, show it, ask, apply."""

from __future__ import annotations

from collections.abc import Callable
from time import sleep
from typing import Annotated

from typer import Exit, Option

from ckptctl.cli import _options as opt
from ckptctl.cli._console import Console
from ckptctl.cli._policy_flags import takes_flags
from ckptctl.cli._pruning import PruneConsent, prune
from ckptctl.core.retention.rules import TopK
from ckptctl.core.units import NANOSECONDS, parse_duration
from ckptctl.errors import CkptctlError, PathMissing, UsageError
from ckptctl.prune.planning import PruneRequest, make_prune_job
from ckptctl.prune.policy_options import PolicyOptions, configure, make_policy
from ckptctl.render.text import error_lines
from ckptctl.scan.targets import NameOptions, name_places, open_separate_stores

EXAMPLES = """
  ckptctl prune runs/ --top-k 3 --dry-run
  ckptctl prune runs/ --top-k 3 --monitor val_loss --mode min --keep-last 1
  ckptctl prune runs/ --keep-every 10epochs --yes --max-delete 50
"""


@takes_flags
def command(
    flags: PolicyOptions,
    paths: opt.NamedPaths = None,
    dry_run: opt.DryRun = False,
    check: Annotated[bool, Option("--check", help="As --dry-run; exit 10 if there is something to do.")] = False,
    yes: opt.Yes = False,
    plan_out: Annotated[
        str | None, Option(metavar="FILE", help="Write the plan, for 'ckptctl apply FILE'; change nothing.")
    ] = None,
    force: opt.Force = False,
    every: Annotated[str | None, Option(metavar="TIME", help="Do it again and again: 5m; needs --yes.")] = None,
    trash: opt.Trash = False,
    trash_for: opt.TrashFor = None,
    allow_open: opt.AllowOpen = False,
    exact: opt.Exact = False,
    template: opt.TemplateText = None,
    layout: opt.LayoutName = None,
    ext: opt.Extensions = None,
    equals: opt.Equals = "=",
    include: opt.Includes = None,
    json: opt.Json = False,
    color: opt.Color = opt.ColorName.auto,
    verbose: opt.Verbose = 0,
) -> None:
    """Plan what to keep, show it, ask, delete the rest.

    Rules add up: what any of them keeps stays. Always kept: what a link names, and the newest that can resume.
    """
    opt.refuse_together(yes=yes, dry_run=dry_run)
    opt.refuse_together(yes=yes, check=check)
    opt.refuse_together(yes=yes, plan_out=plan_out is not None)
    opt.refuse_together(every=every is not None, plan_out=plan_out is not None)
    if plan_out is not None:
        _require_free(plan_out, is_forced=force)
    if every is not None and not yes and not (dry_run or check):
        raise UsageError("--every asks nobody: it needs --yes", hint="pass --yes, or --dry-run to look on")
    configured = configure(flags, name_places(paths))
    flags = configured.flags._replace(policy=None)
    typed = NameOptions(template, layout, ext, equals, include)
    asked = PruneRequest(flags, configured.read_names(typed), exact, configured.spared, configured.folders)
    policy = make_policy(flags, spared=configured.spared)
    options = configured.choose("prune", trash=trash, trash_for=trash_for, takes_open=allow_open)
    opt.refuse_together(free=policy.budget.free is not None, trash=options.keeps)
    console = Console(color.value)
    consent = PruneConsent(
        options,
        is_dry=dry_run or check or plan_out is not None,
        is_check=check,
        plan_out=plan_out,
        has_consent=yes,
    )
    for unused in configured.describe_unused(typed):
        console.warn(unused)
    if flags.monitor is not None and not any(isinstance(rule, TopK) for rule in policy.rules):
        console.warn("--monitor says what --top-k ranks by: without it, nothing is kept for its score")

    def once() -> int:
        """All of it, from the listing on."""
        job = make_prune_job(asked, open_separate_stores(paths))
        return prune(job, consent, console, request=asked, json=json, verbose=bool(verbose))

    raise Exit(once() if every is None else repeat(once, parse_duration(every) * NANOSECONDS, console))


SIGNALLED = 128
"""Exit codes from here on tell of a signal that came while something was being deleted."""
LEAST = 1
"""Seconds between two rounds."""


def _require_free(path: str, *, is_forced: bool) -> None:
    """Raise Refused where a plan would overwrite what is no plan."""
    from ckptctl.cli._outputs import OutputFile  # few prunes write one
    from ckptctl.prune.plan_file import begins_as_plan

    OutputFile(path, begins_as_plan, is_forced).require_free()


def repeat(once: Callable[[], int], pause: int, console: Console) -> int:
    """Call a command, and again after ``pause`` nanoseconds, until a signal; returns its exit code.

    What goes wrong in a round is told, and the next one tries again: a run without a checkpoint may have one then. Only
    a command line that cannot be obeyed, and a place that is not there at first, end it. A signal between two rounds
    ends it at once; one that comes while something is deleted, after the item in hand.
    """
    code = _do_once(once, console, (UsageError, PathMissing))
    while code < SIGNALLED:
        sleep(max(LEAST, pause / NANOSECONDS))
        code = _do_once(once, console, (UsageError,))
    return code


def _do_once(once: Callable[[], int], console: Console, final: tuple[type[CkptctlError], ...]) -> int:
    """One round; its exit code, also of an error, unless that is of a kind that ends it all."""
    try:
        return once()
    except final:
        raise
    except CkptctlError as error:
        console.remark(error_lines(error, error.done))
        return error.exit_code
