"""What the guards must know of the place where a plan would run."""

from __future__ import annotations

import os

from ckptctl.core.guard import Ground
from ckptctl.stores import Store

FIRST_PERSON = 1000
"""User ids from here on are people's; those below, but root's, are services' (Debian, Red Hat)."""


def survey(store: Store) -> Ground:
    """The facts of a store's root; a remote one has neither mounts nor homes."""
    top = next(iter(store.walk(stat=False, enter=lambda folder: not folder)), None)
    is_empty = top is not None and not top.entries and top.failure is None
    if "://" in store.url:
        return Ground(store.url, is_empty=is_empty)
    path = os.path.realpath(store.url)
    return Ground(path, os.path.ismount(path), _homes(), is_empty)


def _homes() -> frozenset[str]:
    """The homes of everyone who has an account, and of whoever runs this."""
    import pwd

    people = (entry for entry in pwd.getpwall() if entry.pw_uid == 0 or entry.pw_uid >= FIRST_PERSON)
    places = [os.path.expanduser("~"), *(entry.pw_dir for entry in people)]
    return frozenset(os.path.realpath(place) for place in places if place)
