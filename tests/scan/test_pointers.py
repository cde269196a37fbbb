"""Where links lead, and which checkpoints they hold in place."""

from __future__ import annotations

import errno
import os

import pytest

from ckptctl.core.model import Checkpoint, Entry, Pointer, Unit
from ckptctl.scan.pointers import attach_links, resolve_link
from ckptctl.scan.runs import Options
from ckptctl.scan.tree_listing import list_tree
from tests.core.samples import run_of, save
from tests.stores.memory import MemoryStore


class Unreachable(MemoryStore):
    """A store in which no link can be resolved."""

    def resolve(self, path: str) -> str | None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)


@pytest.mark.parametrize(
    ("links", "target", "state"),
    [
        ({"r/best": "a.ckpt"}, "r/a.ckpt", "ok"),
        ({"r/best": "/memory/r/a.ckpt"}, "r/a.ckpt", "ok"),
        ({"r/best": "../r/a.ckpt"}, "r/a.ckpt", "ok"),
        ({"r/best": "mid", "r/mid": "a.ckpt"}, "r/a.ckpt", "ok"),
        ({"r/best": "gone.ckpt"}, None, "dangling"),
        ({"r/best": "best"}, None, "loop"),
        ({"r/best": "other", "r/other": "best"}, None, "loop"),
        ({"r/best": "/elsewhere/a.ckpt"}, None, "outside"),
        ({"r/best": "../../a.ckpt"}, None, "outside"),
    ],
    ids=["beside", "absolute", "by the folder above", "chain", "gone", "itself", "each other", "far away", "above"],
)
def test_a_link_is_followed_to_its_end(links: dict[str, str], target: str | None, state: str) -> None:
    store = MemoryStore({"r/a.ckpt": b"x"}, links)
    assert resolve_link(store, store.stat("r/best")) == Pointer("r/best", "symlink", target, state)  # type: ignore[arg-type]


def test_a_link_that_cannot_be_followed_leads_nowhere() -> None:
    assert resolve_link(Unreachable(), Entry("best", "link")) == Pointer("best", "symlink", None, "dangling")


def test_every_link_of_a_tree_is_found_wherever_it_lies() -> None:
    store = MemoryStore({"r/a.ckpt": b"x"}, {"top": "r/a.ckpt", "r/best": "a.ckpt", "x/y/z": "gone"}, folders=["x/y"])
    found = [(it.path, it.target) for it in list_tree(store, Options()).links]
    assert found == [("top", "r/a.ckpt"), ("r/best", "r/a.ckpt"), ("x/y/z", None)]


def at(path: str, unit: Unit = "file") -> Checkpoint:
    return save(path)._replace(unit=unit)


@pytest.mark.parametrize(
    ("target", "holder"),
    [
        ("r/a.ckpt", "r/a.ckpt"),
        ("r/d.ckpt", "r/d.ckpt"),
        ("r/d.ckpt/inside/meta.pt", "r/d.ckpt"),
        ("r/a.ckpt/x", None),
        ("r/d.ckpt2", None),
        ("r", None),
        ("", None),
        (None, None),
    ],
)
def test_a_link_holds_the_checkpoint_that_it_names_or_leads_into(target: str | None, holder: str | None) -> None:
    run = run_of(at("r/a.ckpt"), at("r/d.ckpt", "dir"), path="r")
    pointers = attach_links(run, [Pointer("far/link", "symlink", target, "ok")]).pointers
    assert pointers == (() if holder is None else (Pointer("far/link", "symlink", holder, "ok"),))


def test_a_runs_own_links_are_not_attached_twice() -> None:
    own = Pointer("r/best", "symlink", "r/a.ckpt", "ok")
    run = run_of(at("r/a.ckpt"), path="r", pointers=[own])
    assert attach_links(run, [own]).pointers == (own,)


def test_a_runs_own_link_into_a_folder_holds_the_checkpoint() -> None:
    own = Pointer("r/model.ckpt", "symlink", "r/d.ckpt/inside/model.pt", "ok")
    run = run_of(at("r/d.ckpt", "dir"), path="r", pointers=[own])
    assert attach_links(run, [own]).pointers == (own, own._replace(target="r/d.ckpt"))
