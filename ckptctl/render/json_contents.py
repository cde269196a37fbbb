"""The JSON output of the commands that look inside checkpoints: show, verify, slim, diff."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from ckptctl.core.model import Checkpoint
from ckptctl.render.json import Value, checkpoint, dump, write_batches, write_path, write_plain, write_text, write_texts
from ckptctl.render.note_texts import describe_note

if TYPE_CHECKING:
    from ckptctl.formats.contents import Contents, Flaw, Tensor, VerifyResult
    from ckptctl.render.outcome import SlimRow
    from ckptctl.tensors.compare import Difference, TensorChange


def show(it: Checkpoint, inside: Contents) -> Iterator[str]:
    """One checkpoint, and what is inside it."""
    parts: Value = {str(part): size for part, size in inside.parts.items()}
    told: dict[str, Value] = {
        "parts": parts,
        "metadata": {write_text(key): write_plain(value) for key, value in inside.metadata.items()},
        "globals": [{"name": write_text(named.name), "allowed": named.allowed} for named in inside.globals],
        "checks": inside.checks or None,
        "findings": [_flaw(flaw) for flaw in inside.flaws],
    }
    yield f'{{"schema_version":1,"checkpoint":{dump(checkpoint(it))},'
    yield f'"contents":{{"format":{dump(inside.format)},"tensors":['
    yield from write_batches(map(_tensor, inside.tensors))
    yield f"],{dump(told)[1:-1]}}}}}\n"


def verify(examined: Iterable[VerifyResult]) -> Iterator[str]:
    """Every checkpoint that was examined, with what is wrong with it."""
    yield '{"schema_version":1,"checkpoints":['
    told = (({"ok": it.ok, "loaded": it.loaded}, it) for it in examined)
    yield from write_batches(
        {**write_path("path", it.path), **said, "findings": list(map(_flaw, it.flaws))} for said, it in told
    )
    yield "]}\n"


def slim(lines: Iterable[SlimRow], *, dry_run: bool, kept: Iterable[tuple[str, str]] = ()) -> Iterator[str]:
    """What became of each checkpoint, or would; and the name of each undo, with where."""
    undo: Value = [{"txid": txid, **write_path("root", root)} for txid, root in kept]
    yield f'{{"schema_version":1,"dry_run":{dump(dry_run)},"slimmed":['
    yield from write_batches(
        {
            **write_path("path", line.path),
            **write_path("place", line.place),
            "before": line.before,
            "after": line.after,
            "without": write_texts(line.without),
        }
        for line in lines
    )
    yield f'],"kept":{dump(undo)}}}\n'


def diff(found: Difference) -> Iterator[str]:
    """What is not the same in two checkpoints."""
    told: dict[str, Value] = {
        "schema_version": 1,
        "added": [_tensor(it) for it in found.added],
        "removed": [_tensor(it) for it in found.removed],
        "reshaped": [_alteration(it) for it in found.reshaped],
        "retyped": [_alteration(it) for it in found.retyped],
        "changed": [_alteration(it) for it in found.changed],
        "unread": [_alteration(it) for it in found.unread],
        "same": found.same,
        "metadata": [
            {"key": write_text(key), "old": write_plain(old), "new": write_plain(new)}
            for key, old, new in found.metadata
        ],
    }
    yield dump(told) + "\n"


def _alteration(change: TensorChange) -> Value:
    figures: dict[str, Value] = {
        "max": None if change.distance is None else change.distance.most,
        "mean": change.mean,
        "odd": None if change.distance is None else change.distance.odd,
        "why": write_text(change.why) or None,
    }
    return {"name": write_text(change.name), "old": _tensor(change.old), "new": _tensor(change.new), **figures}


def _flaw(flaw: Flaw) -> Value:
    file: dict[str, Value] = {"file": None} if not flaw.file else write_path("file", flaw.file)
    return {"id": flaw.id, "severity": flaw.severity, "text": write_text(describe_note(flaw.text)), **file}


def _tensor(tensor: Tensor) -> dict[str, Value]:
    shape: Value = list(tensor.shape)
    return {
        "name": write_text(tensor.name),
        "shape": shape,
        "dtype": tensor.dtype,
        "bytes": tensor.bytes,
        "part": tensor.part,
    }
