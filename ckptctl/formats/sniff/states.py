"""What a pickle holds, by its outline: a training state, weights, an optimizer, a tensor, or something else."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from struct import unpack

from ckptctl.formats.sniff.kinds import Kind, Sniffed
from ckptctl.formats.sniff.nodes import ARRAY_LEAF, TENSOR_LEAF, PickleNode
from ckptctl.formats.sniff.outline import read_outline
from ckptctl.formats.sniff.words import (
    BELOW,
    BESIDE,
    OPTIMIZER,
    SETTINGS,
    WEIGHTS,
    has_word,
    is_counter,
    is_data,
    is_optimizer_tensor,
    is_parameter,
)

_DEEPEST = 3
_OPTIMIZER_KEYS = frozenset({"state", "param_groups"})
_EMPTY_WEIGHTS = frozenset({"state_dict", "model_state_dict", "model"})
"""Keys that say what is in there even where it is empty."""
_MODULE_KEYS = frozenset({"_parameters", "_modules"})
_LIGHTNING = "pytorch-lightning_version"
_LIGHTNING_STATES = "optimizer_states"
_END_WALKED = 4096
_LAST_WITHIN = 400
_PLAIN = (str, int, float, bool, type(None))
_GROUPS = b"param_groups"
_PLAIN_VALUE = re.compile(rb"[N\x88\x89]|K.|M..|J.{4}|G.{8}", re.DOTALL)
_PUT_LENGTHS = {ord("q"): 2, ord("r"): 5}
_NUMBERS = {b"K": "<B", b"M": "<H", b"J": "<i", b"G": ">d"}


def sniff_state(data: bytes, start: int, read_end: Callable[[], bytes]) -> Sniffed:
    """The kind of what torch saved: by the start of its pickle, and by its end where the start does not tell all."""
    outline = read_outline(data, start)
    end = b"" if outline.is_whole else read_end() or data[-_END_WALKED:]
    names_groups = not outline.is_whole and (_GROUPS in data or _GROUPS in end)
    kind, program = classify(outline.value, names_groups=names_groups)
    return Sniffed(kind, program, read_last_counters(end) | read_counters(outline.value))


def read_last_counters(end: bytes) -> dict[str, float]:
    """The counters among the plain values that a pickle ends with, where its outermost value is a dictionary."""
    if not end.endswith(b"u."):
        return {}
    at = max(0, len(end) - _LAST_WITHIN)
    while (at := end.find(b"X", at)) >= 0:
        items = _parse_items(end, at)
        if items is not None:
            return {key: number for key, number in items if is_counter(key)}
        at += 1
    return {}


def _parse_items(end: bytes, at: int) -> list[tuple[str, float]] | None:
    """The keys and numbers from ``at`` to the end; None where something else comes between."""
    items: list[tuple[str, float]] = []
    while at < len(end) - 2:
        key_end = at + 5 + end[at + 1]
        if end[at] != ord("X") or end[at + 2 : at + 5] != b"\0\0\0" or key_end >= len(end):
            return None
        key = end[at + 5 : key_end].decode("utf-8", "replace")
        found = _PLAIN_VALUE.match(end, key_end + _PUT_LENGTHS.get(end[key_end], 0))
        if found is None:
            return None
        if (form := _NUMBERS.get(found[0][:1])) is not None:
            items.append((key, unpack(form, found[0][1:])[0]))
        at = found.end()
    return items if at == len(end) - 2 else None


def classify(value: object, *, names_groups: bool = False) -> tuple[Kind, str]:
    """The kind of what was saved, and the program that wrote it.

    ``names_groups``: whether an optimizer's groups are named in a part that was not walked.
    """
    if value is TENSOR_LEAF or value is ARRAY_LEAF or isinstance(value, _PLAIN):
        return ("foreign" if isinstance(value, (str, type(None))) else "tensor"), ""
    if not isinstance(value, PickleNode):
        return "unknown", ""
    if value.name.startswith("__torch__"):
        return "exported", ""
    keys = _keys_of(value)
    program = "lightning" if _LIGHTNING in keys else ""
    found = set(_find_parts(value, {}))
    if names_groups and (value.has_more or "weights" in found):
        found.add("optimizer")
    if program and _LIGHTNING_STATES in keys:
        found.add("optimizer")
    return _judge(value, found, keys), program


def _judge(value: PickleNode, found: set[str], keys: frozenset[str]) -> Kind:
    """The kind by the parts that were found."""
    if keys and keys <= _OPTIMIZER_KEYS and "optimizer" in found:
        return "optimizer"
    if "weights" in found:
        return "training-state" if "optimizer" in found else "weights"
    if "optimizer" in found:
        return "training-state" if "unnamed" in found else "optimizer"
    if value.shape == "object":
        return "foreign"
    if value.shape == "dict" and "unnamed" in found:
        return "weights"
    if found & {"data", "unnamed"}:
        return "tensor"
    if value.shape == "dict" and keys & _EMPTY_WEIGHTS:
        return "weights"
    if any(map(is_beside, keys)) or (value.shape == "dict" and all(map(_is_plain, (it for _, it in value.items)))):
        return "unknown"
    if value.has_more or value.shape == "global":
        return "unknown"
    return "tensor" if _is_numbers(value) else "foreign"


def _is_plain(value: object) -> bool:
    """Whether it is a number or a text, or holds nothing."""
    return isinstance(value, _PLAIN) or (isinstance(value, PickleNode) and not value.items and not value.has_more)


def _is_numbers(value: PickleNode) -> bool:
    return value.shape in {"list", "tuple"} and all(isinstance(it, (int, float)) for _, it in value.items)


def read_counters(value: object) -> dict[str, float]:
    """The numbers that count how far the training came, outermost first."""
    found: dict[str, float] = {}
    if not isinstance(value, PickleNode) or value.shape not in {"dict", "object"}:
        return found
    found.update(_counters_of(value))
    belows = {key: below for key, below in value.items if isinstance(key, str) and key in BELOW}
    for below in belows.values():
        if isinstance(below, PickleNode):
            found = dict(_counters_of(below)) | found
    return found


def _counters_of(node: PickleNode) -> Iterator[tuple[str, float]]:
    for key, number in node.items:
        if (
            isinstance(key, str)
            and isinstance(number, (int, float))
            and not isinstance(number, bool)
            and is_counter(key)
        ):
            yield key, number


def _keys_of(node: PickleNode) -> frozenset[str]:
    return frozenset(key for key, _ in node.items if isinstance(key, str))


def _find_parts(node: PickleNode, seen: dict[int, set[str]], depth: int = 0) -> set[str]:
    """What lies in a container: weights, optimizer, tensors under names of data or under unnamed ones.

    ``seen``: what was found in those that were looked into; a container may lie in many, and in itself.
    """
    if id(node) not in seen:
        seen[id(node)] = set()
        seen[id(node)] = _look_into(node, seen, depth)
    return seen[id(node)]


def _look_into(node: PickleNode, seen: dict[int, set[str]], depth: int) -> set[str]:
    keys = _keys_of(node)
    if keys >= _OPTIMIZER_KEYS:
        return {"optimizer"}
    if keys & _MODULE_KEYS or node.name.startswith("torch.nn."):
        return {"weights"}
    if node.name.startswith("torch.optim.") and "lr_scheduler" not in node.name:
        return {"optimizer"}
    found: set[str] = set()
    tensors = [key for key, value in node.items if (value is TENSOR_LEAF or value is ARRAY_LEAF) and not is_beside(key)]
    if tensors:
        found.add(judge_names(tensors))
    for key, value in node.items if depth < _DEEPEST else ():
        if isinstance(value, PickleNode):
            found |= _find_member(key, value, seen, depth)
    if node.has_tensors and not found:
        found.add("unnamed")
    return found & {"weights", "optimizer"} if node.shape == "object" else found


def _find_member(key: object, value: PickleNode, seen: dict[int, set[str]], depth: int) -> set[str]:
    """What lies under one key: its own keys tell it, else the key's word."""
    found = _find_parts(value, seen, depth + 1)
    if not isinstance(key, str):
        return found
    if has_word(key, SETTINGS) or is_beside(key):
        return set()
    if has_word(key, OPTIMIZER) and (found or (value.has_more and value.shape != "object")):
        return {"optimizer"}
    is_filled = found or (value.has_more and value.shape == "dict") or (value.shape == "object" and value.has_tensors)
    if has_word(key, WEIGHTS) and is_filled and found != {"data"}:
        return found - {"unnamed", "data"} | {"weights"}
    return {"data" if it == "unnamed" and is_data(key) else it for it in found}


def is_beside(key: object) -> bool:
    """Whether a key is one of the states beside weights, as of generators of random numbers."""
    return isinstance(key, str) and has_word(key, BESIDE)


def judge_names(names: list[object]) -> str:
    """What tensors of these names are: weights, optimizer, data, or unnamed where the names say nothing."""
    texts = [name for name in names if isinstance(name, str)]
    if not texts:
        return "data"
    moments = sum(map(is_optimizer_tensor, texts))
    parameters = sum(map(is_parameter, texts))
    if moments and moments >= parameters - moments:
        return "optimizer"
    if parameters and 2 * parameters >= len(texts):
        return "weights"
    return "data" if 2 * sum(map(is_data, texts)) >= len(texts) else "unnamed"
