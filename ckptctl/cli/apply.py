"""``ckptctl apply``: carry out a plan that ``prune --plan-out`` wrote."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from typer import Argument, Exit

from ckptctl.cli import _options as opt
from ckptctl.cli._console import Console
from ckptctl.cli._pruning import PruneConsent, prune
from ckptctl.prune.plan_file import narrow_to_plan, read_plan, refuse_stale
from ckptctl.prune.planning import make_prune_job
from ckptctl.prune.policy_options import configure
from ckptctl.scan.targets import open_named_stores

EXAMPLES = """
  ckptctl prune runs/ --top-k 3 --plan-out plan.json
  ckptctl apply plan.json --yes
"""


def command(
    plan: Annotated[str, Argument(metavar="PLAN", help="What prune --plan-out wrote.", show_default=False)],
    dry_run: opt.DryRun = False,
    yes: opt.Yes = False,
    trash: opt.Trash = False,
    trash_for: opt.TrashFor = None,
    allow_open: opt.AllowOpen = False,
    json: opt.Json = False,
    color: opt.Color = opt.ColorName.auto,
    verbose: opt.Verbose = 0,
) -> None:
    """Carry out a plan that prune --plan-out wrote.

    It is drawn again, and only that goes which both plans let go, and which is as it was.
    """
    opt.refuse_together(yes=yes, dry_run=dry_run)
    planned = read_plan(plan)
    stores = open_named_stores([path for path, _ in planned.places])
    refuse_stale(planned, stores)
    configured = configure(planned.asked.options, [path for path, _ in planned.places])
    asked = planned.asked._replace(options=configured.flags, spared=configured.spared, folders=configured.folders)
    options = configured.choose("apply", trash=trash, trash_for=trash_for, takes_open=allow_open)
    job = make_prune_job(asked, stores)._replace(narrow=partial(narrow_to_plan, plan=planned))
    consent = PruneConsent(options, is_dry=dry_run, has_consent=yes)
    raise Exit(prune(job, consent, Console(color.value), json=json, verbose=bool(verbose)))
