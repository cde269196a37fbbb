"""Lists, ranks, prunes, links and exports the checkpoints of training runs."""

# Nothing is imported here, not even annotations: every start pays for it, and `--version` pays for nothing else.
from __future__ import annotations

__version__ = "0.1.0"

_HOMES = {
    "Checkpoint": "ckptctl.core.model",
    "CkptctlError": "ckptctl.errors",
    "Entry": "ckptctl.core.model",
    "KeepEvery": "ckptctl.core.retention.rules",
    "KeepGlob": "ckptctl.core.retention.rules",
    "KeepLast": "ckptctl.core.retention.rules",
    "KeepNewerThan": "ckptctl.core.retention.rules",
    "KeepPeriods": "ckptctl.core.retention.rules",
    "KeepSteps": "ckptctl.core.retention.rules",
    "KeepWithin": "ckptctl.core.retention.rules",
    "Metric": "ckptctl.core.ranking",
    "Name": "ckptctl.core.names.parse",
    "Objection": "ckptctl.core.retention.guard",
    "Options": "ckptctl.scan.runs",
    "Outcome": "ckptctl.core.outcome",
    "Plan": "ckptctl.core.retention.plan",
    "Pointer": "ckptctl.core.model",
    "Policy": "ckptctl.core.retention.policy",
    "Ranked": "ckptctl.core.ranking",
    "ReadStore": "ckptctl.stores",
    "Reason": "ckptctl.core.retention.evaluate",
    "Run": "ckptctl.core.model",
    "RunPlan": "ckptctl.core.retention.plan",
    "Score": "ckptctl.core.model",
    "Store": "ckptctl.stores",
    "Stray": "ckptctl.core.model",
    "Template": "ckptctl.core.names.template",
    "TopK": "ckptctl.core.retention.rules",
    "Verdict": "ckptctl.core.retention.plan",
    "apply": "ckptctl.prune.apply",
    "choose_metric": "ckptctl.core.ranking",
    "plan_run": "ckptctl.core.retention.plan",
    "infer_mode": "ckptctl.core.ranking",
    "find_objections": "ckptctl.core.retention.guard",
    "open_store": "ckptctl.stores",
    "parse": "ckptctl.core.names.parse",
    "rank": "ckptctl.core.ranking",
    "scan": "ckptctl.scan.runs",
}
"""Public name to its module, which is imported when the name is first asked for: start-up is paid at every TAB."""

__all__ = sorted([*_HOMES, "__version__"])  # noqa: PLE0605 - a list it is


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'ckptctl' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
