"""A run folder as one framework leaves it, with what must be found in it."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import NamedTuple

from ckptctl.formats.torch_writer import encode_torch


class Expected(NamedTuple):
    """One checkpoint that must be found."""

    path: str
    """Relative to the tree's root; of a family its stem."""
    members: tuple[str, ...] = ()
    """Of a family: all paths of the tree that go with it; of a file or folder none: the path says it."""
    epoch: float | None = None
    step: int | None = None
    counter: int | None = None
    metrics: Mapping[str, float] = {}
    """All that must be known of it; a metric more is a mistake."""
    state: str = "complete"
    roles: tuple[str, ...] = ()
    layout: str = ""
    """Where it is not the tree's."""


class Tree(NamedTuple):
    """A run folder as one framework leaves it. Everything in it is older than an hour."""

    name: str
    """Of the test, a few words."""
    layout: str
    files: Mapping[str, bytes]
    """Path, relative to the tree's root, to content. What is not below an expected path must survive any prune."""
    expected: tuple[Expected, ...]
    """Oldest first."""
    links: Mapping[str, str] = {}
    """Symbolic links: path to the link's text."""
    hard_links: Mapping[str, str] = {}
    """Path to the path that it is another name of."""
    folders: tuple[str, ...] = ()
    """Empty ones."""
    pointers: Mapping[str, str] = {}
    """Of every name that stands for a checkpoint (links, and files that name one): path to the checkpoint's path."""
    rosters: Mapping[str, tuple[str, ...]] = {}
    """Of every file that lists checkpoints and is kept true: path to the paths of the checkpoints that it lists."""
    strays: tuple[str, ...] = ()
    """What must be reported as not understood; everything else is a checkpoint's or known to lie beside them."""
    left_out: tuple[str, ...] = ()
    """What holds weights and belongs to no series: listed only when asked for, and never deleted by a rule."""
    monitor: str | None = None
    mode: str | None = None
    """What must be known of how to rank, from the files or from the layout."""


def torch_file(values: Mapping[str, object] | None = None) -> bytes:
    """The bytes of a whole file as ``torch.save`` writes it; plain values, lists, dicts, and tensors by make_tensor."""
    return encode_torch(dict(values or {"state_dict": {}}))


def safetensors(metadata: Mapping[str, str] | None = None) -> bytes:
    """The bytes of a whole safetensors file with one tensor of one number."""
    head: dict[str, object] = {"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}
    if metadata:
        head["__metadata__"] = dict(metadata)
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + struct.pack("<f", 0.5)


def json_file(value: object) -> bytes:
    """The bytes of a JSON file, bare NaN allowed, as frameworks write it."""
    return json.dumps(value, indent=2).encode()
