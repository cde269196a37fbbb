"""The command line: the list of commands. Typer is not imported before one needs its parser."""

from __future__ import annotations

COMMANDS = {
    "ls": "List runs and their checkpoints.",
    "best": "Print the best checkpoint under PATH.",
    "last": "Print the newest complete checkpoint under PATH.",
    "show": "Show what is known of a checkpoint, and what is inside.",
    "prune": "Plan what to keep, show it, ask, delete the rest.",
    "apply": "Carry out a plan that prune --plan-out wrote.",
    "explain": "Say why a checkpoint stays or goes, rule by rule.",
    "pin": "Keep checkpoints whatever the rules say.",
    "unpin": "Let checkpoints go by the rules again.",
    "rm": "Delete checkpoints by name, through the same guards.",
    "undo": "Put back what a prune set aside.",
    "trash": "List what was set aside, put it back, or remove it for good.",
    "link": "Make or repair last and best links.",
    "export": "Write a summary of runs and checkpoints.",
    "verify": "Find truncated, corrupt, incomplete, suspicious checkpoints.",
    "slim": "Write checkpoints without optimizer state.",
    "diff": "Find which tensors were added, removed, changed, and how much.",
    "average": "Write the mean of the weights of several checkpoints.",
    "doctor": "Find what is wrong with runs, and say what to do.",
    "config": "Show each setting and where it came from.",
    "demo": "Write small real runs, and show the commands on them.",
}
"""In the order of the help, which needs none of them imported so; each is ``ckptctl.cli.NAME`` with a function
``command``, whose own help begins with the same sentence.
"""
ALIASES = {"list": "ls", "delete": "rm"}
TOPICS = {
    "ls, best, last": "List; print the path of the best or newest.",
    "show, verify": "Look inside a checkpoint; prove that it is whole.",
    "prune, apply, rm": "Plan what to keep, ask, delete the rest; or by name.",
    "undo, trash": "Put back what was set aside, or remove it for good.",
    "explain, pin, unpin": "Say why one stays or goes; keep it whatever rules say.",
    "link, export": "Make last and best links; write summaries.",
    "slim, diff, average": "Drop optimizer state; compare tensors; average weights.",
    "doctor, config, demo": "Find what is wrong; show the settings; try it out.",
}
"""The commands as the root's help shows them, on a screen of 24 lines: those that go together in one line."""
