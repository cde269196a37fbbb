"""Options that commands share, and what they mean together."""

from __future__ import annotations

from enum import Enum
from os.path import dirname
from typing import Annotated

from typer import Argument, Option

from ckptctl.errors import UsageError
from ckptctl.render.text import locate, quote


class ModeName(str, Enum):
    """Which way is better."""

    min = "min"
    max = "max"
    auto = "auto"


class ColorName(str, Enum):
    """When to use colour."""

    auto = "auto"
    always = "always"
    never = "never"


class GroupName(str, Enum):
    """Whose checkpoints stand together before a rule."""

    run = "run"
    parent = "parent"
    all = "all"


class KindName(str, Enum):
    """What a made name is."""

    symlink = "symlink"
    hardlink = "hardlink"
    copy = "copy"
    pointer = "pointer"


Paths = Annotated[
    list[str] | None,
    Argument(metavar="[PATH]...", help="Folders, globs or URLs; default: here.", show_default=False),
]
NamedPaths = Annotated[
    list[str] | None,
    Argument(metavar="[PATH]...", help="Folders or URLs; default: here.", show_default=False),
]
Path = Annotated[str, Argument(metavar="[PATH]", help="A folder, a glob or a URL.")]
Checkpoints = Annotated[list[str], Argument(metavar="CKPT...", help="Files, folders, or stems of families.")]
OneCheckpoint = Annotated[str, Argument(metavar="CKPT", help="A file, a folder, or the stem of a family.")]
Monitor = Annotated[
    str | None,
    Option(metavar="NAME", help="Metric to rank by, read inside the files if need be; default: the one recorded."),
]
ModeOption = Annotated[ModeName, Option(help="Whether less or more is better.")]
Threshold = Annotated[float | None, Option(metavar="X", help="Only scores strictly better than X count.")]
TemplateText = Annotated[
    str | None, Option("--template", metavar="TEXT", help="How names were made: '{epoch:02d}-{val_loss:.2f}'.")
]
LayoutName = Annotated[str | None, Option("--layout", metavar="NAME", help="Only this framework's checkpoints.")]
Extensions = Annotated[list[str] | None, Option("--ext", metavar=".EXT", help="A further extension; repeatable.")]
Equals = Annotated[str, Option("--equals", metavar="CHAR", help="What joins name and value in file names.")]
Includes = Annotated[
    list[str] | None, Option("--include", metavar="GLOB", help="Files of such names are checkpoints; repeatable.")
]
Grouping = Annotated[GroupName, Option("--group-by", help="One answer for all, each folder, or each run.")]
Filters = Annotated[
    list[str] | None,
    Option("--filter", metavar="KEY<X", help="Only those that meet it: 'size>1GB', 'age>7d', 'val_loss<0.5'."),
]
Json = Annotated[bool, Option("--json", help="Print JSON.")]
Quiet = Annotated[bool, Option("-q", "--quiet", help="Paths only.")]
Null = Annotated[bool, Option("-0", "--null", help="Paths only, each ended by a NUL.")]
Exact = Annotated[bool, Option("--exact", help="Read every checkpoint's own state.")]
Color = Annotated[ColorName, Option(help="When to use colour.")]
Verbose = Annotated[int, Option("-v", "--verbose", count=True, show_default=False, help="A line a decision.")]


DryRun = Annotated[bool, Option("-n", "--dry-run", help="Show the plan, change nothing.")]
Yes = Annotated[bool, Option("-y", "--yes", help="Do not ask.")]
Trash = Annotated[bool, Option("--trash", help="Set aside instead of delete: 'undo' puts it back.")]
TrashFor = Annotated[str | None, Option(metavar="TIME", help="As --trash, for so long: 7d.")]
Force = Annotated[bool, Option("--force", help="Overwrite a file that ckptctl did not write.", show_default=False)]
AllowOpen = Annotated[bool, Option("--allow-open", help="Let also those go that a process is reading.")]


def group_of(root: str, path: str, by: GroupName) -> str:
    """The path of the group that a run stands in, its own, its folder's or the root's; as the user knows it."""
    return {GroupName.run: locate(root, path), GroupName.parent: dirname(locate(root, path)), GroupName.all: root}[by]


def check_name(name: str | None) -> None:
    """Raise UsageError for the name of a link that is none: a link lies beside what it names."""
    if name is not None and (name in ("", ".", "..") or "/" in name or "\0" in name):
        raise UsageError(f"{quote(name)} is not a name for a link", hint="give a name without folders: best")


def refuse_together(**given: bool) -> None:
    """Raise UsageError where two flags that contradict each other are both given; names without dashes."""
    flags = ["--" + name.replace("_", "-") for name, is_given in given.items() if is_given]
    if len(flags) > 1:
        raise UsageError(f"{flags[0]} and {flags[1]} contradict each other", hint="pass one of them")
