"""The entry point. ``--version`` is answered before anything is imported."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and leave with its exit code."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        from ckptctl import __version__

        print(f"ckptctl {__version__}")  # noqa: T201 - the one answer before the command line is up
        return
    from ckptctl.cli.main import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
