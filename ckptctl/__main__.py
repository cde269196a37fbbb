"""The entry point. ``--version`` is answered before anything is imported."""

from __future__ import annotations

import gc
import sys


def main() -> None:
    """Run the command line and leave with its exit code."""
    gc.set_threshold(100_000)  # values without cycles, of which a scan makes one for each file: looking costs a tenth
    if sys.argv[1:] in (["--version"], ["-V"]):
        from ckptctl import __version__

        print(f"ckptctl {__version__}")  # noqa: T201 - the one answer before the command line is up
        sys.exit(0)
    try:
        from ckptctl.cli.main import run

        code = run(sys.argv[1:])
    except KeyboardInterrupt:  # while the program itself was still being imported
        code = 130
    gc.freeze()  # the process ends: what it made need not be looked through once more
    sys.exit(code)


if __name__ == "__main__":
    main()
