"""How a command line names checkpoints; what the names mean is found by ``scan.resolve``."""

from __future__ import annotations

from typing import Annotated

import typer

Checkpoints = Annotated[list[str], typer.Argument(metavar="CKPT...", help="Files, folders, or stems of families.")]
OneCheckpoint = Annotated[str, typer.Argument(metavar="CKPT", help="A file, a folder, or the stem of a family.")]
