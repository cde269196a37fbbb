"""What a scene does, in a process that is going to be stopped."""

from __future__ import annotations

import ctypes  # noqa: F401 - what apply loads on the way: a module that cannot be loaded is no fault of a disk
import encodings.ascii  # noqa: F401 - as above
import fcntl  # noqa: F401 - as above
import os
import signal  # noqa: F401 - as above
import sys

from ckptctl.core.retention.plan import Plan, plan_run
from ckptctl.core.retention.policy import Policy
from ckptctl.core.retention.rules import KeepAll, KeepLast
from ckptctl.core.units import QUIET
from ckptctl.prune.apply import ApplyOptions, apply
from ckptctl.prune.journal import load_transaction
from ckptctl.prune.lock import acquire_lock
from ckptctl.prune.slimming import ObservedRun, slim_older
from ckptctl.prune.trash import empty_transaction, recover, undo_transaction
from ckptctl.scan.runs import Options, scan
from ckptctl.stores import Store
from ckptctl.stores.local import open_url

BEGUN = "/the-plan-is-drawn"
"""A path that nothing has: looking for it shows in a trace where the act begins."""

TXID = "abcd1234"


def plan_in(store: Store) -> Plan:
    """Keep the newest of each run; links called last follow it."""
    options, policy = Options(now=store.clock() + QUIET), Policy((KeepLast(1),), relink=True)
    return Plan(policy, tuple(plan_run(run, policy, options.now) for run in scan(store, options)))


def slims_in(store: Store) -> Plan:
    """Keep all, and what resuming needs of the newest."""
    options, policy = Options(now=store.clock() + QUIET), Policy((KeepAll(),), resumable=1)
    runs = ((run, plan_run(run, policy, options.now)) for run in scan(store, options))
    return Plan(policy, tuple(slim_older(ObservedRun(store, run, options.now), drawn, policy) for run, drawn in runs))


def act(root: str, what: str, store: Store | None = None) -> None:
    """Prune, slim, set aside, undo or empty; plans are drawn before."""
    store = open_url(root) if store is None else store
    if what in {"prune", "trash", "slim", "slim aside"}:
        plan = slims_in(store) if what.startswith("slim") else plan_in(store)
        os.path.exists(BEGUN)
        # Who has what open is not asked: so many calls as there are processes, and no two runs would be alike.
        outcome = apply(plan, store, ApplyOptions(TXID, keeps=what in {"trash", "slim aside"}, takes_open=True))
        tell(
            len(outcome.dropped) + len(outcome.slimmed),
            *(f"{it.path}: {it.why}" for it in (*outcome.skipped, *outcome.failed)),
        )
        return
    os.path.exists(BEGUN)
    with acquire_lock(store, what):
        recover(store)
        kept = None if what == "recover" else load_transaction(store, TXID)
        if kept is not None:
            change = (undo_transaction if what.endswith("undo") else empty_transaction)(store, kept)
            tell(len(change.back) + len(change.removed), *(f"{it.path}: {it.why}" for it in change.failed))


def tell(*values: object) -> None:
    """A line each."""
    sys.stdout.write("".join(f"{it}\n" for it in values))
