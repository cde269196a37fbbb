"""Completion for zsh."""

from __future__ import annotations

import re
from collections.abc import Sequence

from program import NOTE, Command, Option, Program


def write(program: Program) -> str:
    """A function for zsh's own completion system, to be found on fpath or sourced."""
    names = "\n".join(f"                {quote(f'{each.names[0]}:{each.summary}')}" for each in program.commands)
    cases = "\n".join(write_command(command) for command in program.commands)
    return f"""\
#compdef ckptctl
# zsh completion for ckptctl. {NOTE}

_ckptctl() {{
    local curcontext="$curcontext" state state_descr line ret=1
    local -a commands
    typeset -A opt_args
    _arguments -C -S \\
{write_specs(program.options, 8)}        '1:command:->command' \\
        '*::argument:->argument' && ret=0
    case $state in
        (command)
            commands=(
{names}
            )
            _describe -t commands command commands && ret=0
            ;;
        (argument)
            curcontext="${{curcontext%:*:*}}:ckptctl-$words[1]:"
            case $words[1] in
{cases}
            esac
            ;;
    esac
    return ret
}}

if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _ckptctl "$@"
else
    compdef _ckptctl ckptctl
fi
"""


def write_command(command: Command) -> str:
    """The options and arguments of one command."""
    argument = command.arguments[0] if command.arguments else None
    listed = f"({' '.join(argument.choices)})" if argument and argument.choices else "_files"
    rest = f"'*:{(argument.metavar if argument else 'path').lower()}:{listed}' && ret=0"
    head = f"                ({'|'.join(command.names)})\n                    _arguments -s -S \\\n"
    return f"{head}{write_specs(command.options, 24)}{' ' * 24}{rest}\n                    ;;"


def write_specs(options: Sequence[Option], indent: int) -> str:
    """One line of _arguments for each name of each option."""
    return "".join(f"{' ' * indent}{write_spec(option, name)} \\\n" for option in options for name in option.names)


def write_spec(option: Option, name: str) -> str:
    """``'(-n --dry-run)--dry-run[help]'``, with what may follow where the option takes a value."""
    before = "*" if option.repeats else f"({' '.join(option.names)})" if len(option.names) > 1 else ""
    joint = "" if option.value == "none" else "=" if name.startswith("--") else "+"
    listed = "_files" if option.value == "path" else f"({' '.join(option.choices)})" if option.choices else " "
    after = "" if option.value == "none" else f":{option.names[0].lstrip('-')}:{listed}"
    told = re.sub(r"([][:\\])", r"\\\1", option.summary)
    return quote(f"{before}{name}{joint}[{told}]{after}")


def quote(word: str) -> str:
    """In single quotes."""
    return "'" + word.replace("'", "'\\''") + "'"
