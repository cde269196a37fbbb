"""The reference, in Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from program import NOTE, Command, Option, Program


def write(program: Program) -> str:
    """The help of every command, as Markdown."""
    listed = "\n".join(
        f"- [`ckptctl {each.names[0]}`](#ckptctl-{each.names[0]}): {each.summary}" for each in program.commands
    )
    parts = ["# Reference", f"<!-- {NOTE} -->", program.help, listed, write_options(program.options)]
    parts += [write_example(program.epilog), *(part for command in program.commands for part in write_section(command))]
    return "\n\n".join(part for part in parts if part) + "\n"


def write_section(command: Command) -> Iterator[str]:
    """The section of one command."""
    yield f"## ckptctl {command.names[0]}"
    yield f"```text\n{command.usage}\n```"
    yield command.help
    if command.names[1:]:
        yield f"Also accepted: {', '.join(f'`ckptctl {name}`' for name in command.names[1:])}."
    if rows := [f"| `{each.metavar}` | {flatten(each.help)} |" for each in command.arguments if each.help]:
        yield "\n".join(["| argument | meaning |", "|---|---|", *rows])
    yield write_options(command.options)
    yield write_example(command.epilog)


def write_options(options: Sequence[Option]) -> str:
    """The options with their values, meanings and defaults."""
    rows = [f"| {write_names(option)} | {flatten(option.help)}{write_default(option)} |" for option in options]
    return "\n".join(["| option | meaning |", "|---|---|", *rows]) if rows else ""


def write_names(option: Option) -> str:
    """``--mode min|max``, each name as code."""
    metavar = f" {option.metavar}" if option.metavar else ""
    return ", ".join(f"`{flatten(name + metavar)}`" for name in option.names)


def write_default(option: Option) -> str:
    """The default, in brackets."""
    return f" (default: `{flatten(option.default)}`)" if option.default else ""


def flatten(value: str) -> str:
    """Text for a cell of a table: one line, its bars escaped."""
    return " ".join(value.split()).replace("|", "\\|")


def write_example(epilog: str) -> str:
    """An epilog as it stands on the screen."""
    return f"```text\n{epilog}\n```" if epilog else ""
