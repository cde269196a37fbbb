"""The JSON of the contract, schema version 1, and whether a document fits it."""

# ruff: noqa: ANN401 - a document is anything, until it was found to fit

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

TEXT_OR_NULL = (str, None)

SCORE = {
    "value": (int, float, None),
    "state": {"finite", "nan", "inf", "-inf"},
    "text": TEXT_OR_NULL,
    "source": {"state", "sibling", "yaml", "csv", "json", "npz", "name", "inside"},
}
CHECKPOINT = {
    "path": str,
    "path_b64?": str,
    "layout": str,
    "kind": {"file", "dir", "family"},
    "members?": [str],
    "state": {"complete", "partial", "live", "damaged", "unknown"},
    "roles": [str],
    "aliases": [str],
    "epoch": (int, float, None),
    "step": (int, None),
    "version": (int, None),
    "metrics": {"*": SCORE},
    "bytes": int,
    "files": int,
    "modified": str,
    "pinned": bool,
    "counter": (int, None),
    "evidence": [{"kind": str, "detail": str}],
    "series": TEXT_OR_NULL,
    "prunable": bool,
    "why_not": TEXT_OR_NULL,
}
POINTER = {
    "path": str,
    "path_b64?": str,
    "kind": {"symlink", "hardlink", "copy", "text", "json"},
    "target": TEXT_OR_NULL,
    "target_b64?": str,
    "state": {"ok", "dangling", "loop", "outside"},
}
RUN = {
    "path": str,
    "path_b64?": str,
    "layouts": [str],
    "monitor": TEXT_OR_NULL,
    "mode": {"min", "max", None},
    "checkpoints": [CHECKPOINT],
    "pointers": [POINTER],
    "strays": [{"path": str, "path_b64?": str, "why": str}],
}
EXPLAIN = {
    "schema_version": {1},
    "path": str,
    "path_b64?": str,
    "action": {"keep", "slim", "drop", "skip"},
    "reasons": [{"rule": str, "text": str}],
    "frees": int,
    "rules": [{"rule": str, "says": {"keep", "pass", "slim"}, "text": str}],
}
CONFIG = {
    "schema_version": {1},
    "settings": [{"key": str, "value": (bool, int, str, list, None), "origin": str}],
    "policies": [{"name": str, "origin": str, "values": {"*": (bool, int, float, str, list, None)}}],
    "files": [str],
}
VERDICT = {
    "path": str,
    "path_b64?": str,
    "action": {"keep", "slim", "drop", "skip"},
    "reasons": [{"rule": str, "text": str}],
    "frees": int,
}
MOVE = {
    **dict.fromkeys(("path", "before", "after"), str),
    **{f"{key}_b64?": str for key in ("path", "before", "after")},
}
OUTCOME = {
    "dropped": [str],
    "slimmed": [str],
    "skipped": [{"path": str, "path_b64?": str, "why": str}],
    "failed": [{"path": str, "path_b64?": str, "error": str}],
    "freed": int,
    "txid": str,
    "kept": bool,
}

FLAW = {
    "id": str,
    "severity": {"error", "warning"},
    "text": str,
    "file": TEXT_OR_NULL,
    "file_b64?": str,
}
TENSOR = {
    "name": str,
    "shape": [int],
    "dtype": str,
    "bytes": int,
    "part": {"weights", "optimizer", "other"},
}
SHOW = {
    "schema_version": {1},
    "checkpoint": CHECKPOINT,
    "contents": {
        "format": str,
        "tensors": [TENSOR],
        "parts": {"weights": int, "optimizer": int, "other": int},
        "metadata": {"*": (int, float, str, bool, None)},
        "globals": [{"name": str, "allowed": bool}],
        "checks": TEXT_OR_NULL,
        "findings": [FLAW],
    },
}
VERIFY = {
    "schema_version": {1},
    "checkpoints": [{"path": str, "path_b64?": str, "ok": bool, "findings": [FLAW], "loaded": (int, None)}],
}

SLIM = {
    "schema_version": {1},
    "dry_run": bool,
    "slimmed": [
        {"path": str, "path_b64?": str, "place": str, "place_b64?": str, "before": int, "after": int, "without": [str]}
    ],
    "kept": [{"txid": str, "root": str, "root_b64?": str}],
}
ALTERATION = {
    "name": str,
    "old": TENSOR,
    "new": TENSOR,
    "max": (float, None),
    "mean": (float, None),
    "odd": (int, None),
    "why": (str, None),
}
DIFF = {
    "schema_version": {1},
    "added": [TENSOR],
    "removed": [TENSOR],
    "reshaped": [ALTERATION],
    "retyped": [ALTERATION],
    "changed": [ALTERATION],
    "unread": [ALTERATION],
    "same": int,
    "metadata": [{"key": str, "old": (str, int, float, bool, None), "new": (str, int, float, bool, None)}],
}
LS = {
    "schema_version": {1},
    "root": str,
    "root_b64?": str,
    "runs": [RUN],
    "totals": {"runs": int, "checkpoints": int, "bytes": int, "files": int},
}
BEST = {
    "schema_version": {1},
    "monitor": (str, None),
    "mode": {"min", "max", None},
    "checkpoints": [{**CHECKPOINT, "rank": int, "score": (int, float, None)}],
}
BESTS = {
    "schema_version": {1},
    "groups": [
        {
            "path": str,
            "path_b64?": str,
            "monitor": (str, None),
            "mode": {"min", "max", None},
            "checkpoints": [{**CHECKPOINT, "rank": int, "score": (int, float, None)}],
        }
    ],
}
LAST = {"schema_version": {1}, "checkpoints": [CHECKPOINT]}
PRUNE = {
    "schema_version": {1},
    "policy": str,
    "dry_run": bool,
    "runs": [{"path": str, "path_b64?": str, "verdicts": [VERDICT], "links": [MOVE]}],
    "frees": int,
    "objections": [{"id": str, "text": str, "override": TEXT_OR_NULL}],
    "outcome": (OUTCOME, None),
}
FINDING = {
    "id": str,
    "severity": {"error", "advice"},
    "path": str,
    "path_b64?": str,
    "text": str,
    "hint": str,
}
DOCTOR = {
    "schema_version": {1},
    "root": str,
    "root_b64?": str,
    "findings": [FINDING],
    "totals": {"runs": int, "checkpoints": int, "errors": int, "advice": int},
}
EXPORTED = {"run": str, "run_b64?": str, **CHECKPOINT}
EXPORT = {"schema_version": {1}, "checkpoints": [EXPORTED]}
ERROR = {
    "error": {
        "id": str,
        "text": str,
        "hint": TEXT_OR_NULL,
        "path": TEXT_OR_NULL,
        "path_b64?": str,
        "exit_code": int,
    }
}


def misfits(value: Any, schema: Any, where: str = "$") -> list[str]:
    """Where a document is not as the schema has it: types in a tuple are alternatives, a set holds the values that may
    be, ``?`` ends a key that may be missing, ``*`` stands for every key; no other key may be there.
    """
    return list(_misfits(value, schema, where))


def _misfits(value: Any, schema: Any, where: str) -> Iterator[str]:
    if isinstance(schema, tuple):
        if all(misfits(value, it, where) for it in schema):
            yield f"{where}: {value!r} is none of {schema}"
    elif isinstance(schema, set):
        if value not in schema:
            yield f"{where}: {value!r} is none of {schema}"
    elif isinstance(schema, list):
        yield from _misfits_of_list(value, schema[0], where)
    elif isinstance(schema, dict):
        yield from _misfits_of_dict(value, schema, where)
    elif value is not None if schema is None else type(value) is not schema:
        yield f"{where}: {value!r} is no {schema}"


def _misfits_of_list(value: Any, schema: Any, where: str) -> Iterator[str]:
    if not isinstance(value, list):
        yield f"{where}: no list"
        return
    for place, item in enumerate(value):
        yield from _misfits(item, schema, f"{where}[{place}]")


def _misfits_of_dict(value: Any, schema: dict[str, Any], where: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{where}: no object"
        return
    for key, item in value.items():
        known = next((name for name in (key, f"{key}?", "*") if name in schema), None)
        if known is None:
            yield f"{where}.{key}: not in the contract"
        else:
            yield from _misfits(item, schema[known], f"{where}.{key}")
    yield from (f"{where}.{key}: missing" for key in schema if key[-1] not in "?*" and key not in value)
