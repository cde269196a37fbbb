"""The flags that say what to keep: declared once, for every command that takes a policy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import Annotated, Any, get_args, get_type_hints

from typer import Option

from ckptctl.cli import _options as opt
from ckptctl.prune.policy_options import LISTS, PolicyOptions

FLAGS: Mapping[str, Any] = {
    "policy": Option(metavar="FILE|NAME", help="A policy of ckptctl.toml, or a file that holds one."),
    "top_k": Option("--top-k", metavar="N", help="Keep the N best; -1 keeps all."),
    "keep_best": Option(metavar="METRIC[:MODE]=N", help="Keep the N best by METRIC; repeatable."),
    "keep_last": Option(metavar="N", help="Keep the N newest."),
    "keep_every": Option(
        metavar="N[steps|epochs]",
        help="Keep one at every N (steps if there are any, else the only counter); repeatable.",
    ),
    "keep_within": Option(metavar="TIME", help="Keep those less than TIME older than the run's newest: 12h, 7d."),
    "keep_newer_than": Option(metavar="TIME", help="Keep those younger than TIME."),
    "keep_hourly": Option(metavar="N", help="Keep the newest of each of the last N hours that hold one."),
    "keep_daily": Option(metavar="N", help="The same by days, in UTC."),
    "keep_weekly": Option(metavar="N", help="The same by weeks, from Monday on."),
    "keep_monthly": Option(metavar="N", help="The same by months."),
    "keep_step": Option(metavar="S,...", help="Keep these steps."),
    "keep": Option(metavar="GLOB", help="Keep names that match; repeatable."),
    "global_best": Option(metavar="N", help="Keep the N best of all runs, beside what is kept of each."),
    "group_by": Option(help="Apply rules to each run, to the runs of one folder together, or to all."),
    "filters": Option("--filter", metavar="KEY<X", help="Only these may go: 'size>1GB', 'age>7d', 'val_loss>0.5'."),
    "resumable": Option(metavar="N", min=0, help="Of what stays, slim all but the newest N: only weights are left."),
    "max_size": Option(metavar="SIZE", help="Let more go, worst first, until all fit into SIZE."),
    "max_files": Option(metavar="N", min=0, help="The same, until N files are left."),
    "free": Option(metavar="SIZE", help="The same, until SIZE is free on the disk."),
    "partial": Option("--partial", help="Let leftovers of killed saves go too."),
    "relink": Option("--relink", help="Move last and best links to what stays."),
    "monitor": get_args(opt.Monitor)[1],
    "mode": get_args(opt.ModeOption)[1],
    "threshold": get_args(opt.Threshold)[1],
    "tie": Option(metavar="WHICH", help="Of equal scores: earliest (default) or latest."),
    "drop_unranked": Option("--drop-unranked", help="Let checkpoints without a score go."),
    "no_protect_last": Option("--no-protect-last", help="Let the newest go."),
    "allow_mount": Option("--allow-mount", help="Prune a PATH that is itself a mount point."),
    "ignore_unreadable": Option(
        "--ignore-unreadable", help="Delete although a file that may name checkpoints cannot be read."
    ),
    "min_age": Option(metavar="TIME", help="Leave younger ones alone: auto (default), 10m, 2h."),
    "strict": Option("--strict", help="Exit 3 when some run lacks the metric."),
    "max_delete": Option(metavar="N", min=0, help="Refuse a plan that takes more."),
    "max_delete_size": Option(metavar="SIZE", help="Refuse a plan that takes more."),
}
"""How each of `PolicyOptions` is typed, in the order of the help."""
_CHOICES = {"group_by": opt.GroupName, "mode": opt.ModeName}


def takes_flags(command: Callable[..., None]) -> Callable[..., None]:
    """The command with an option for each flag in place of its parameter ``flags``, which are `PolicyOptions`."""
    hints = get_type_hints(PolicyOptions) | dict.fromkeys(LISTS, list[str] | None) | _CHOICES
    options = [_declare(name, Annotated[hints[name], option]) for name, option in FLAGS.items()]
    own = signature(command, eval_str=True).parameters.values()
    parameters = [
        it for each in own for it in (options if each.name == "flags" else [each.replace(kind=Parameter.KEYWORD_ONLY)])
    ]

    @wraps(command)
    def call(**given: Any) -> None:  # noqa: ANN401 - whatever Typer read
        typed = {name: given.pop(name) for name in FLAGS}
        plain = {name: value.value if isinstance(value, Enum) else value for name, value in typed.items()}
        command(flags=PolicyOptions(**plain), **given)

    call.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {it.name: it.annotation for it in parameters}
    del call.__wrapped__  # else Typer reads the parameters of what is inside
    return call


def _declare(name: str, annotation: object) -> Parameter:
    default = PolicyOptions._field_defaults[name]
    typed = _CHOICES[name](default) if name in _CHOICES else default
    return Parameter(name, Parameter.KEYWORD_ONLY, default=typed, annotation=annotation)
