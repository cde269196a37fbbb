"""Completion for bash 3.2 and newer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from program import NOTE, Command, Option, Program


def write(program: Program) -> str:
    """A function of bash 3.2 and newer; where it offers nothing, readline completes file names."""
    cases = "\n".join(write_command(command) for command in program.commands)
    return f"""\
# bash completion for ckptctl. {NOTE}

_ckptctl_offer() {{
    local IFS=$' \\t\\n'
    COMPREPLY=($(compgen -W "$1" -- "$current"))
    compopt +o default +o bashdefault 2>/dev/null
}}

_ckptctl() {{
    local current=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD - 1]}} command= word
    COMPREPLY=()
    if [[ $current == "=" ]]; then # readline parts --mode=min at the sign
        current=
    elif [[ $previous == "=" ]]; then
        previous=${{COMP_WORDS[COMP_CWORD - 2]}}
    fi
    for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
        [[ $word == -- ]] && return
        [[ -z $command && $word != -* ]] && command=$word
    done
    case $command in
    "") _ckptctl_offer "{" ".join((*(each.names[0] for each in program.commands), *flags(program.options)))}" ;;
{cases}
    esac
}}

complete -o bashdefault -o default -F _ckptctl ckptctl
"""


def write_command(command: Command) -> str:
    """What is offered after the name of a command."""
    words = " ".join(flags(command.options))
    arguments = " ".join(choice for argument in command.arguments for choice in argument.choices)
    rest = f'else _ckptctl_offer "{arguments}"; ' if arguments else ""
    lines = [*write_values(command), f'*) if [[ $current == -* ]]; then _ckptctl_offer "{words}"; {rest}fi ;;']
    inner = "\n".join(f"        {line}" for line in lines)
    return f"    {' | '.join(command.names)})\n        case $previous in\n{inner}\n        esac\n        ;;"


def write_values(command: Command) -> Iterator[str]:
    """What is offered after the options that take a value: their choices, file names, or nothing."""
    offers: dict[str, list[str]] = {}
    for option in command.options:
        offer = "return" if option.value == "path" else f'_ckptctl_offer "{" ".join(option.choices)}"'
        offers.setdefault(offer, []).extend(option.names if option.value != "none" else ())
    return (f"{' | '.join(names)}) {offer} ;;" for offer, names in offers.items() if names)


def flags(options: Sequence[Option]) -> list[str]:
    """Every name of every option."""
    return [name for option in options for name in option.names]
