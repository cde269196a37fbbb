"""A few small run folders, written as Lightning and Keras write them, to try the commands on.

The files are whole: torch, Lightning and Keras load them. Only the training is made up.
"""

from __future__ import annotations

import os
from time import time

from ckptctl.demo.keras import write_keras
from ckptctl.demo.lightning import write_steady, write_stumbled
from ckptctl.errors import Refused, StorageFailed

__all__ = ["write_demo"]


def write_demo(folder: str, *, now: float | None = None) -> list[str]:
    """Write three runs, under 2 MB, whose times end some hours before ``now`` (seconds since 1970); returns every path.

    The same moment gives the same bytes. Raises Refused where the folder holds anything, StorageFailed.
    """
    moment = time() if now is None else now
    try:
        _claim(folder)
        return [*write_stumbled(folder, moment), *write_steady(folder, moment), *write_keras(f"{folder}/keras", moment)]
    except OSError as error:
        text = f"the demo could not be written: {error.strerror}"
        raise StorageFailed(text, path=error.filename or folder) from error


def _claim(folder: str) -> None:
    """Make the folder; an empty one will do."""
    hint = "name a folder that does not exist yet"
    if os.path.lexists(folder) and not os.path.isdir(folder):
        raise Refused("not a folder: nothing was written", path=folder, hint=hint)
    os.makedirs(folder, exist_ok=True)
    if os.listdir(folder):
        raise Refused("the folder is not empty: nothing was written", path=folder, hint=hint)
