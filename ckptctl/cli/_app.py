"""The command line as Typer reads it: commands are imported when they are named, Typer's errors become ours."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from typing import Annotated, Any, cast

import typer
from typer.core import TyperGroup

from ckptctl.cli import ALIASES, COMMANDS, TOPICS
from ckptctl.errors import UsageError

EPILOG = """\b
Examples:
  ckptctl ls runs/
  ckptctl best runs/ --monitor val_loss
  ckptctl prune runs/ --top-k 3 --mode min --dry-run
"""


class Commands(TyperGroup):
    """The group whose members are imported one by one, when they are named."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401, ARG002 - typer's own context, of no public type
        """The names, in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ANN401 - as above
        """The command under a name or an alias; None where there is none."""
        name = ALIASES.get(cmd_name, cmd_name)
        if name not in self.commands and name in COMMANDS:
            self.commands[name] = load_command(name)
        return super().get_command(ctx, name)

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401, ARG002 - as above
        """Write the table of commands, several in a line."""
        with formatter.section("Commands"):
            formatter.write_dl(list(TOPICS.items()))


@cache
def load_command(name: str) -> Any:  # noqa: ANN401 - as above
    """Import one command's module and make the command of it: once, however often a process calls the program."""
    module = import_module(f"ckptctl.cli.{name}")
    single = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    single.command(name, epilog=f"Examples:\n\n\b{module.EXAMPLES}")(module.command)
    return typer.main.get_command(single)


app = typer.Typer(
    cls=Commands,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _print_version(asked: bool) -> None:
    if asked:
        from ckptctl import __version__

        typer.echo(f"ckptctl {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", "-V", is_eager=True, callback=_print_version, help="Print the version.")
    ] = False,
) -> None:
    """List, rank, check, prune checkpoints. Nothing is deleted without consent."""


_CLICK_ERROR = cast("type[Exception]", typer.BadParameter.__mro__[2])
"""What the command line's own parser raises; Typer carries its own click since 0.26 and does not export the class."""


def parse_and_run(argv: Sequence[str]) -> int:
    """Run the command that a command line names; returns its exit code, raises UsageError and what commands raise."""
    try:
        return int(app(list(argv), prog_name="ckptctl", standalone_mode=False) or 0)
    except typer.Exit as stop:
        return int(stop.exit_code)
    except _CLICK_ERROR as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # a bare ckptctl: its message is the help
            typer.echo(_text_of(error))
            return 0
        raise _usage(error) from error


def _usage(error: BaseException) -> UsageError:
    """A parser's complaint, in our form."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "ckptctl"
    text = " ".join(_text_of(error).split()).rstrip(".")
    found = _NO_COMMAND.fullmatch(text)
    near = _find_near(found[1]) if found else []
    meant = f"did you mean {' or '.join(near)}? " if near else ""
    return UsageError(text[:1].lower() + text[1:], hint=f"{meant}see {command} --help")


_NO_COMMAND = re.compile("No such command '(.*)'")


def _find_near(word: str) -> list[str]:
    """The commands that a person may have meant to type."""
    from difflib import get_close_matches

    return get_close_matches(word, [*COMMANDS, *ALIASES], 2)


def _text_of(error: BaseException) -> str:
    return str(error.format_message()) if hasattr(error, "format_message") else str(error)
