"""Writing an answer to a file: the old one stays until the new one is whole."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress

from ckptctl.errors import CkptctlError, StorageFailed
from ckptctl.stores import open_store, require_writable


def write_whole(path: str, pieces: Iterable[str]) -> None:
    """Write beside the file, sync, and rename over it; raises StorageFailed, and then the old file is as it was."""
    temporary = f"{path}.{os.urandom(4).hex()}.tmp"
    try:
        with open(temporary, "x", encoding="utf-8", newline="") as file:
            file.writelines(pieces)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        _discard(temporary)
        text = f"cannot be written: {error.strerror or error}"
        raise StorageFailed(text, path=path, done="nothing was changed") from error
    except BaseException:
        _discard(temporary)
        raise


def _discard(temporary: str) -> None:
    """Remove the unfinished file, by the one function that removes anything."""
    folder, name = os.path.split(temporary)
    with suppress(OSError, CkptctlError):
        store = require_writable(open_store(folder or "."))
        store.delete_exact(store.stat(name))
