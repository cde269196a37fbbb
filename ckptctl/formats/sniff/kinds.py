"""The kinds of files, and what is told of one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple, get_args

Kind = Literal[
    "training-state",
    "weights",
    "optimizer",
    "tensor",
    "foreign",
    "exported",
    "keras",
    "other-hdf5",
    "safetensors",
    "other-safetensors",
    "sb3",
    "tensorflow",
    "flax",
    "pickle",
    "npz",
    "gguf",
    "unknown",
    "broken",
]
"""What a file holds."""

NOT_CHECKPOINT: frozenset[Kind] = frozenset({"tensor", "foreign", "exported", "other-hdf5", "other-safetensors"})
"""Kinds that hold no model's or training's state."""
IS_CHECKPOINT: frozenset[Kind] = frozenset(get_args(Kind)) - NOT_CHECKPOINT - {"unknown", "broken"}
"""Kinds that may be checkpoints."""


class Sniffed(NamedTuple):
    """What the head and the tail of a file tell."""

    kind: Kind
    program: str = ""
    """What wrote it, where the content says so: lightning, keras or sb3."""
    numbers: Mapping[str, float] = {}
    """Numbers that count how far a training came, by their keys as written."""
