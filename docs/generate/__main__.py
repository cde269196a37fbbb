"""Write what can be told from the program itself: the shell completions, the reference, and the pages on layouts.

    python docs/generate            write them
    python docs/generate --check    write nothing; exit 1 if one is stale

The completions hold every command, option and choice as text, so that pressing TAB starts no Python.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from importlib import import_module

import bash
import fish
import reference
import zsh
from program import Program, read_program

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FILES: dict[str, Callable[[Program], str]] = {
    "completions/ckptctl.bash": bash.write,
    "completions/_ckptctl": zsh.write,
    "completions/ckptctl.fish": fish.write,
    "docs/reference.md": reference.write,
}
PAGES = {"docs/layouts.md": "layouts", "docs/fields.md": "fields"}
"""What hangs on the table of layouts, not on the commands: by the module that writes it, once ckptctl can be found."""


def main() -> int:
    """Write the files, or tell which are stale."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file is stale")
    parser.add_argument(
        "--app", default="ckptctl.cli._app:app", help="the Typer app, as module:name, beside its ALIASES"
    )
    parser.add_argument("--to", default=ROOT, help="the folder to write below")
    options = parser.parse_args()
    sys.path[1:1] = [os.getcwd(), ROOT]  # behind this folder: its modules have plain names
    module, _, name = options.app.partition(":")
    home = import_module(module)
    program = read_program(getattr(home, name), getattr(home, "ALIASES", {}))
    written: dict[str, str] = {path: write(program) for path, write in FILES.items()}
    written |= {path: import_module(name).write() for path, name in PAGES.items()}
    texts = {os.path.join(options.to, path): text for path, text in written.items()}
    stale = [path for path, content in texts.items() if read(path) != content]
    for path in stale:
        print(f"stale: {path}" if options.check else f"written: {path}")
        if not options.check:
            save(path, texts[path])
    return 1 if options.check and stale else 0


def read(path: str) -> str | None:
    """What is there now; None where nothing is."""
    if not os.path.exists(path):
        return None
    with open(path, encoding="utf-8") as file:
        return file.read()


def save(path: str, content: str) -> None:
    """Write a file, and its folder where that is missing."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(content)


if __name__ == "__main__":
    sys.exit(main())
