"""Completion for fish."""

from __future__ import annotations

from collections.abc import Iterator

from program import NOTE, Command, Option, Program


def write(program: Program) -> str:
    """Lines of fish's ``complete``, each under the command where it counts."""
    start = [f"-n __ckptctl_at_start -f -a {each.names[0]} -d {quote(each.summary)}" for each in program.commands]
    start += [f"-n __ckptctl_at_start {write_option(option)}" for option in program.options]
    rest = [line for command in program.commands for line in write_command(command)]
    lines = "\n".join(f"complete -c ckptctl {line}" for line in [*start, *rest])
    return f"""\
# fish completion for ckptctl. {NOTE}

function __ckptctl_command
    set -l words (commandline -opc)
    set -e words[1]
    set -l named (string match -v -- '-*' $words)
    echo $named[1]
end

function __ckptctl_at_start
    not string length -q -- (__ckptctl_command)
end

function __ckptctl_at
    contains -- (__ckptctl_command) $argv
end

{lines}
"""


def write_command(command: Command) -> Iterator[str]:
    """The options of one command, and its arguments where they are not files."""
    where = f"-n '__ckptctl_at {' '.join(command.names)}'"
    for argument in command.arguments:
        if argument.choices:
            yield f"{where} -f -a '{' '.join(argument.choices)}'"
    for option in command.options:
        yield f"{where} {write_option(option)}"


def write_option(option: Option) -> str:
    """The names of an option, what may follow, and its help."""
    names = " ".join(f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.names)
    listed = f" -a '{' '.join(option.choices)}'" if option.choices else ""
    value = {"none": "", "word": f" -x{listed}", "path": " -r -F"}[option.value]
    return f"{names}{value} -d {quote(option.summary)}"


def quote(word: str) -> str:
    """In single quotes, where fish knows two escapes."""
    return "'" + word.replace("\\", "\\\\").replace("'", "\\'") + "'"
