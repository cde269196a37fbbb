"""What must be known of the places where a plan would run: for the guards, and of links between them."""

from __future__ import annotations

import os
from collections.abc import Sequence

from ckptctl.core.model import Pointer, relocate_path
from ckptctl.core.retention.guard import RootFacts
from ckptctl.scan.pointers import find_pointers
from ckptctl.stores import ReadStore

FIRST_PERSON = 1000
"""User ids from here on are people's; those below, but root's, are services' (Debian, Red Hat)."""


def read_root_facts(store: ReadStore) -> RootFacts:
    """The facts of a store's root; a remote one has neither mounts nor homes."""
    top = next(iter(store.walk(stat=False, enter=lambda folder: not folder)), None)
    is_empty = top is not None and not top.entries and top.failure is None
    if "://" in store.url:
        return RootFacts(store.url, is_empty=is_empty)
    path = os.path.realpath(store.url)
    return RootFacts(path, os.path.ismount(path), _homes(), is_empty)


def find_cross_links(stores: Sequence[ReadStore]) -> list[Pointer]:
    """The links from one of several folders into another; both their paths as seen from above the folders."""
    places = {os.path.realpath(it.url): it for it in stores if "://" not in it.url} if len(stores) > 1 else {}
    outside = [(store, it.path) for store in places.values() for it in find_pointers(store) if it.state == "outside"]
    ends = [(relocate_path(path, store.url), os.path.realpath(f"{store.url}/{path}")) for store, path in outside]
    return [
        Pointer(shown, "symlink", relocate_path(real[len(place) + 1 :], store.url), "ok")
        for shown, real in ends
        for place, store in places.items()
        if real.startswith(f"{place}/")
    ]


def _homes() -> frozenset[str]:
    """The homes of everyone who has an account, and of whoever runs this."""
    import pwd

    people = (entry for entry in pwd.getpwall() if entry.pw_uid == 0 or entry.pw_uid >= FIRST_PERSON)
    places = [os.path.expanduser("~"), *(entry.pw_dir for entry in people)]
    return frozenset(os.path.realpath(place) for place in places if place)
