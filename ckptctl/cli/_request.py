"""What a prune was asked for: its flags, and how to look; from the command line, or from a plan in a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ckptctl.cli._planning import PruneJob, PruneOptions
from ckptctl.cli._policy import make_policy, read_size
from ckptctl.cli._policy_flags import Flags
from ckptctl.cli._targets import NameOptions, read_options
from ckptctl.stores import ReadStore


class PruneRequest(NamedTuple):
    """All that decides what a plan says, beside what lies on the disk."""

    flags: Flags
    names: NameOptions
    exact: bool = False
    spared: tuple[str, ...] = ()
    """Patterns of what configuration files keep."""


def make_prune_job(request: PruneRequest, stores: Sequence[ReadStore], options: PruneOptions) -> PruneJob:
    """A prune of what was asked for, on terms whose policy and limits are those of the flags; raises UsageError."""
    flags = request.flags
    policy = make_policy(flags, spared=request.spared)
    scanning = read_options(
        request.names,
        monitor=flags.monitor,
        exact=request.exact,
        resumable=not flags.no_protect_last,
        sure=True,
        now=min(it.clock() for it in stores),
    )
    options = options._replace(
        policy=policy,
        max_delete=flags.max_delete,
        max_delete_size=read_size(flags.max_delete_size),
        strict=flags.strict,
    )
    return PruneJob(stores, scanning, options)
