"""The flags that say what to keep: declared once, for every command that takes a policy."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import Annotated, Any, NamedTuple, get_type_hints

import typer

from ckptctl.cli import _options as opt
from ckptctl.prune.policy_options import PolicyOptions


class Flags(NamedTuple):
    """How each of `PolicyOptions` is typed; what was not typed is None, False or an empty list."""

    policy: Annotated[
        str | None, typer.Option(metavar="FILE|NAME", help="A policy of ckptctl.toml, or a file that holds one.")
    ] = None
    top_k: Annotated[int | None, typer.Option("--top-k", metavar="N", help="Keep the N best; -1 keeps all.")] = None
    keep_best: Annotated[
        list[str] | None, typer.Option(metavar="METRIC[:MODE]=N", help="Keep the N best by METRIC; repeatable.")
    ] = None
    keep_last: Annotated[int | None, typer.Option(metavar="N", help="Keep the N newest.")] = None
    keep_every: Annotated[
        list[str] | None, typer.Option(metavar="N[steps|epochs]", help="Keep one at every N; repeatable.")
    ] = None
    keep_within: Annotated[
        str | None, typer.Option(metavar="TIME", help="Keep those less than TIME older than the run's newest: 12h, 7d.")
    ] = None
    keep_newer_than: Annotated[str | None, typer.Option(metavar="TIME", help="Keep those younger than TIME.")] = None
    keep_hourly: Annotated[
        int | None, typer.Option(metavar="N", help="Keep the newest of each of the last N hours that hold one.")
    ] = None
    keep_daily: Annotated[int | None, typer.Option(metavar="N", help="The same by days, in UTC.")] = None
    keep_weekly: Annotated[int | None, typer.Option(metavar="N", help="The same by weeks, from Monday on.")] = None
    keep_monthly: Annotated[int | None, typer.Option(metavar="N", help="The same by months.")] = None
    keep_step: Annotated[list[str] | None, typer.Option(metavar="S,...", help="Keep these steps.")] = None
    keep: Annotated[list[str] | None, typer.Option(metavar="GLOB", help="Keep names that match; repeatable.")] = None
    global_best: Annotated[
        int | None, typer.Option(metavar="N", help="Keep the N best of all runs, beside what is kept of each.")
    ] = None
    group_by: Annotated[
        opt.GroupName, typer.Option(help="Apply rules to each run, to the runs of one folder together, or to all.")
    ] = opt.GroupName.run
    filters: Annotated[
        list[str] | None,
        typer.Option("--filter", metavar="KEY<X", help="Only these may go: 'size>1GB', 'age>7d', 'val_loss>0.5'."),
    ] = None
    resumable: Annotated[
        int | None,
        typer.Option(metavar="N", min=0, help="Of what stays, slim all but the newest N: only weights are left."),
    ] = None
    max_size: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Let more go, worst first, until all fit into SIZE.")
    ] = None
    max_files: Annotated[int | None, typer.Option(metavar="N", min=0, help="The same, until N files are left.")] = None
    free: Annotated[str | None, typer.Option(metavar="SIZE", help="The same, until SIZE is free on the disk.")] = None
    partial: Annotated[bool, typer.Option("--partial", help="Let leftovers of killed saves go too.")] = False
    relink: Annotated[bool, typer.Option("--relink", help="Move last and best links to what stays.")] = False
    monitor: opt.Monitor = None
    mode: opt.ModeOption = opt.ModeName.auto
    threshold: opt.Threshold = None
    tie: Annotated[str | None, typer.Option(metavar="WHICH", help="Of equal scores: earliest (default) or latest.")] = (
        None
    )
    drop_unranked: Annotated[bool, typer.Option("--drop-unranked", help="Let checkpoints without a score go.")] = False
    no_protect_last: Annotated[bool, typer.Option("--no-protect-last", help="Let the newest go.")] = False
    min_age: Annotated[
        str | None, typer.Option(metavar="TIME", help="Leave younger ones alone: auto (default), 10m, 2h.")
    ] = None
    strict: Annotated[bool, typer.Option("--strict", help="Exit 3 when some run lacks the metric.")] = False
    max_delete: Annotated[int | None, typer.Option(metavar="N", min=0, help="Refuse a plan that takes more.")] = None
    max_delete_size: Annotated[str | None, typer.Option(metavar="SIZE", help="Refuse a plan that takes more.")] = None


def takes_flags(command: Callable[..., None]) -> Callable[..., None]:
    """The command with an option for each flag in place of its parameter ``flags``, which are `PolicyOptions`."""
    hints = get_type_hints(Flags, include_extras=True)
    options = [_declare(name, hints[name], Flags._field_defaults[name]) for name in Flags._fields]
    own = signature(command, eval_str=True).parameters.values()
    parameters = [
        it for each in own for it in (options if each.name == "flags" else [each.replace(kind=Parameter.KEYWORD_ONLY)])
    ]

    @wraps(command)
    def call(**given: Any) -> None:  # noqa: ANN401 - whatever Typer read
        typed = {name: given.pop(name) for name in Flags._fields}
        plain = {name: value.value if isinstance(value, Enum) else value for name, value in typed.items()}
        command(flags=PolicyOptions(**plain), **given)

    call.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {it.name: it.annotation for it in parameters}
    del call.__wrapped__  # else Typer reads the parameters of what is inside
    return call


def _declare(name: str, annotation: object, default: object) -> Parameter:
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
