"""What to say of a path where there is no folder: what it is, or the nearest that there is."""

from __future__ import annotations

import os
from itertools import islice

from ckptctl.errors import CkptctlError, PathMissing, UsageError


def not_a_folder(typed: str) -> CkptctlError:
    """What to say of a path that is no folder."""
    if os.path.exists(typed):
        folder = os.path.dirname(typed) or "."
        return UsageError("is a file, not a folder", path=typed, hint=f"name its folder: {folder!r}")
    above, name = os.path.split(typed.rstrip("/"))
    while above.strip("/") and not os.path.isdir(above):
        above, name = os.path.split(above)
    near = _nearest(name, above or ".")
    if near is None:
        return PathMissing("no such folder", path=typed, hint=f"the nearest folder that exists is {above or '.'!r}")
    return PathMissing("no such folder", path=typed, hint=f"did you mean {os.path.join(above, near)!r}?")


def _nearest(name: str, folder: str) -> str | None:
    """The subfolder whose name is most like ``name``, among the first thousand entries; None where none is."""
    from difflib import get_close_matches

    try:
        with os.scandir(folder) as listing:
            names = [item.name for item in islice(listing, 1000) if item.is_dir()]
    except OSError:
        return None
    return next(iter(get_close_matches(name, names, 1)), None)
