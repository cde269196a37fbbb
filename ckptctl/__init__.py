"""Lists, ranks, prunes, links and exports the checkpoints of training runs."""

# Nothing is imported here, not even annotations: every start pays for it, and `--version` pays for nothing else.
from __future__ import annotations

__version__ = "0.1.0"

_HOMES = {
    "Checkpoint": "ckptctl.core.checkpoint",
    "CkptctlError": "ckptctl.errors",
    "Entry": "ckptctl.core.checkpoint",
    "KeepEvery": "ckptctl.core.rules",
    "KeepGlob": "ckptctl.core.rules",
    "KeepLast": "ckptctl.core.rules",
    "KeepNewerThan": "ckptctl.core.rules",
    "KeepPeriods": "ckptctl.core.rules",
    "KeepSteps": "ckptctl.core.rules",
    "KeepWithin": "ckptctl.core.rules",
    "Metric": "ckptctl.core.ranking",
    "Name": "ckptctl.core.names",
    "Objection": "ckptctl.core.guard",
    "Options": "ckptctl.scan",
    "Outcome": "ckptctl.core.outcome",
    "Plan": "ckptctl.core.plan",
    "Pointer": "ckptctl.core.checkpoint",
    "Policy": "ckptctl.core.policy",
    "Ranked": "ckptctl.core.ranking",
    "Reason": "ckptctl.core.standing",
    "Run": "ckptctl.core.checkpoint",
    "RunPlan": "ckptctl.core.plan",
    "Score": "ckptctl.core.checkpoint",
    "Store": "ckptctl.stores",
    "Stray": "ckptctl.core.checkpoint",
    "Template": "ckptctl.core.template",
    "TopK": "ckptctl.core.rules",
    "Verdict": "ckptctl.core.plan",
    "apply": "ckptctl.apply",
    "choose_metric": "ckptctl.core.ranking",
    "draw": "ckptctl.core.plan",
    "infer_mode": "ckptctl.core.ranking",
    "object_to": "ckptctl.core.guard",
    "open_store": "ckptctl.stores",
    "parse": "ckptctl.core.names",
    "rank": "ckptctl.core.ranking",
    "scan": "ckptctl.scan",
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
