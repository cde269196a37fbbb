"""The JSON of the contract, schema version 1, in pieces that stream.

All of it is ASCII: whatever a name holds reaches a terminal as an escape.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from json import JSONEncoder
from math import isfinite
from typing import TYPE_CHECKING, Union

from ckptctl.core.checkpoint import Checkpoint, Pointer, Run, Score
from ckptctl.core.ranking import Metric, Ranked
from ckptctl.core.view import View
from ckptctl.errors import CkptctlError
from ckptctl.render.names import encode, escape
from ckptctl.render.rows import Tally, write_time

if TYPE_CHECKING:  # what only some commands have to tell: the core of a prune is a tenth of the start of the others
    from ckptctl.core.explaining import Explanation
    from ckptctl.core.findings import Finding, Report
    from ckptctl.core.guard import Objection
    from ckptctl.core.outcome import Change, Failure, Outcome
    from ckptctl.core.plan import Plan, RunPlan, Verdict
    from ckptctl.render.slim import Line
    from ckptctl.render.trash import Heap
    from ckptctl.settings import Settings
    from ckptctl.weights.compare import Alteration, Difference
    from ckptctl.weights.contents import Contents, Tensor
    from ckptctl.weights.flaws import Examined, Flaw

BATCH = 1000
"""Values that are encoded at once: one by one takes twice as long, and json.dump three times."""

Value = Union[None, bool, int, float, str, "list[Value]", "dict[str, Value]"]

_encode = JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def ls(views: Iterable[View], *, root: str) -> Iterator[str]:
    """One document, run by run, the totals at its end; paths are relative to ``root``."""
    tally = Tally()
    yield f'{{"schema_version":1,{_encode(_path("root", root))[1:-1]},"runs":['
    for view in views:
        yield from _run(view, "," if tally.runs else "")
        tally = tally.add(view.run)
    totals: Value = {"runs": tally.runs, "checkpoints": tally.checkpoints, "bytes": tally.size, "files": tally.files}
    yield f'],"totals":{_encode(totals)}}}\n'


def best(ranked: Iterable[Ranked], metric: Metric) -> Iterator[str]:
    """The best, in rank order; a score that wins by being infinite is null, as its metric says."""
    yield f'{{"schema_version":1,"monitor":{_encode(_text(metric.name))},"mode":"{metric.mode}","checkpoints":['
    yield from _batches(map(_ranked, ranked))
    yield "]}\n"


def bests(found: Iterable[tuple[str, Metric, Sequence[Ranked]]]) -> Iterator[str]:
    """The best of each group, with its path and what it was ranked by."""
    groups: Value = [
        {
            **_path("path", path),
            "monitor": _text(metric.name),
            "mode": metric.mode,
            "checkpoints": [*map(_ranked, held)],
        }
        for path, metric, held in found
    ]
    yield _encode({"schema_version": 1, "groups": groups}) + "\n"


def _ranked(it: Ranked) -> dict[str, Value]:
    return {**checkpoint(it.checkpoint), "rank": it.place, "score": _finite(it.score.value)}


def last(checkpoints: Iterable[Checkpoint]) -> Iterator[str]:
    """The newest."""
    yield '{"schema_version":1,"checkpoints":['
    yield from _batches(map(checkpoint, checkpoints))
    yield "]}\n"


def prune(
    plan: Plan, *, dry_run: bool, objections: Sequence[Objection] = (), outcome: Outcome | None = None
) -> Iterator[str]:
    """A plan, why it must not run, and what came of it where it did."""
    yield f'{{"schema_version":1,"policy":{_encode(_text(plan.words))},"dry_run":{_encode(dry_run)},"runs":['
    for place, run in enumerate(plan.runs):
        yield from _run_plan(run, "," if place else "")
    refusals: Value = [{"id": it.id, "text": _text(it.text), "override": it.override} for it in objections]
    yield f'],"frees":{plan.frees},"objections":{_encode(refusals)},"outcome":'
    yield f"{_encode(_outcome(outcome) if outcome else None)}}}\n"


def doctor(reports: Iterable[Report], *, root: str) -> Iterator[str]:
    """Every finding in one document, run by run, the totals at its end; paths are relative to ``root``."""
    from ckptctl.core.findings import Count

    count, comma = Count(), ""
    yield f'{{"schema_version":1,{_encode(_path("root", root))[1:-1]},"findings":['
    for report in reports:
        count = count.add(report)
        if report.findings:
            yield comma + _encode([_finding(it, root) for it in report.findings])[1:-1]
            comma = ","
    totals: Value = dict(count._asdict())
    yield f'],"totals":{_encode(totals)}}}\n'


def show(it: Checkpoint, inside: Contents) -> Iterator[str]:
    """One checkpoint, and what is inside it."""
    parts: Value = {str(part): size for part, size in inside.parts.items()}
    told: dict[str, Value] = {
        "parts": parts,
        "metadata": {_text(key): _plain(value) for key, value in inside.metadata.items()},
        "globals": [{"name": _text(named.name), "allowed": named.allowed} for named in inside.globals],
        "checks": inside.checks or None,
        "findings": [_flaw(flaw) for flaw in inside.flaws],
    }
    yield f'{{"schema_version":1,"checkpoint":{_encode(checkpoint(it))},'
    yield f'"contents":{{"format":{_encode(inside.format)},"tensors":['
    yield from _batches(map(_tensor, inside.tensors))
    yield f"],{_encode(told)[1:-1]}}}}}\n"


def verify(examined: Iterable[Examined]) -> Iterator[str]:
    """Every checkpoint that was examined, with what is wrong with it."""
    yield '{"schema_version":1,"checkpoints":['
    told = (({"ok": it.ok, "loaded": it.loaded}, it) for it in examined)
    yield from _batches({**_path("path", it.path), **said, "findings": list(map(_flaw, it.flaws))} for said, it in told)
    yield "]}\n"


def slim(lines: Iterable[Line], *, dry_run: bool, kept: Iterable[tuple[str, str]] = ()) -> Iterator[str]:
    """What became of each checkpoint, or would; and the name of each undo, with where."""
    undo: Value = [{"txid": txid, **_path("root", root)} for txid, root in kept]
    yield f'{{"schema_version":1,"dry_run":{_encode(dry_run)},"slimmed":['
    yield from _batches(
        {
            **_path("path", it.path),
            **_path("place", it.place),
            "before": it.before,
            "after": it.after,
            "without": _texts(it.without),
        }
        for it in lines
    )
    yield f'],"kept":{_encode(undo)}}}\n'


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
        "metadata": [{"key": _text(key), "old": _plain(old), "new": _plain(new)} for key, old, new in found.metadata],
    }
    yield _encode(told) + "\n"


def _alteration(it: Alteration) -> Value:
    figures: dict[str, Value] = {
        "max": None if it.distance is None else it.distance.most,
        "mean": it.mean,
        "odd": None if it.distance is None else it.distance.odd,
        "why": _text(it.why) or None,
    }
    return {"name": _text(it.name), "old": _tensor(it.old), "new": _tensor(it.new), **figures}


def _flaw(it: Flaw) -> Value:
    file: dict[str, Value] = {"file": None} if not it.file else _path("file", it.file)
    return {"id": it.id, "severity": it.severity, "text": _text(it.text), **file}


def _tensor(it: Tensor) -> dict[str, Value]:
    shape: Value = list(it.shape)
    return {"name": _text(it.name), "shape": shape, "dtype": it.dtype, "bytes": it.bytes, "part": it.part}


def _finding(it: Finding, root: str) -> Value:
    from ckptctl.render.findings import write_hint

    told = {"text": _text(it.text), "hint": write_hint(it.hint, root)}
    return {"id": it.id, "severity": it.severity, **_path("path", it.path), **told}


def explain(told: Explanation) -> Iterator[str]:
    """What becomes of one checkpoint, and what each rule says of it."""
    rules: Value = [{"rule": it.rule, "says": it.says, "text": _text(it.text)} for it in told.sayings]
    yield _encode({"schema_version": 1, **_verdict(told.verdict), "rules": rules}) + "\n"


def config(found: Settings) -> Iterator[str]:
    """What is configured: each setting, the policies, and the files that say anything."""
    from ckptctl.render.settings import settings_of

    settings = [{"key": it.key, "value": _plain(it.value), "origin": _text(it.origin)} for it in settings_of(found)]
    policies = [
        {
            "name": _text(it.name),
            "origin": _text(it.origin),
            "values": {key: _plain(value) for key, value in it.values.items()},
        }
        for it in found.policies.values()
    ]
    told = {"schema_version": 1, "settings": settings, "policies": policies, "files": _texts(found.files)}
    yield _encode(told) + "\n"


def _plain(value: object) -> Value:
    """A value of a setting, of training's or of ours."""
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, list):
        return _texts(value)
    return value if isinstance(value, bool | int) or value is None else _finite(float(str(value)))


def changes(done: Iterable[Change]) -> Iterator[str]:
    """What became of things in the trash."""
    told: Value = [_change(it) for it in done]
    yield f'{{"schema_version":1,"changes":{_encode(told)}}}\n'


def _change(it: Change) -> Value:
    failed: Value = [_failure(failure, "error") for failure in it.failed]
    lists: dict[str, Value] = {"back": _texts(it.back), "removed": _texts(it.removed), "failed": failed}
    return {"txid": it.txid, **lists, "freed": it.freed}


def trash(heaps: Iterable[Heap]) -> Iterator[str]:
    """What lies in the trash."""
    told: Value = [_heap(it) for it in heaps]
    yield f'{{"schema_version":1,"trash":{_encode(told)}}}\n'


def _heap(heap: Heap) -> Value:
    deed = heap.deed
    items: Value = [{**_path("path", it.path), "bytes": it.size, "files": it.files} for it in heap.items]
    until = None if deed.until is None else write_time(deed.until)
    told: dict[str, Value] = {"since": write_time(deed.since), "until": until, "checkpoints": items}
    return {"txid": deed.txid, **_path("root", heap.root), "command": deed.command, "policy": _text(deed.words), **told}


def error(trouble: CkptctlError) -> str:
    """An error, for stderr."""
    path = {"path": None} if trouble.path is None else _path("path", trouble.path)
    hint = None if trouble.hint is None else _text(trouble.hint)
    told = {"id": trouble.id, "text": _text(trouble.text), "hint": hint, **path, "exit_code": trouble.exit_code}
    return _encode({"error": told}) + "\n"


def export(runs: Iterable[Run]) -> Iterator[str]:
    """All checkpoints in one document, each with its run."""
    yield '{"schema_version":1,"checkpoints":['
    yield from _batches(_with_run(run, it) for run in runs for it in run.checkpoints)
    yield "]}\n"


def lines(run: Run) -> Iterator[str]:
    """A line for each checkpoint of a run, each with the run, in pieces of many lines."""
    encoded = (f"{_encode(_with_run(run, it))}\n" for it in run.checkpoints)
    while piece := "".join(islice(encoded, BATCH)):
        yield piece


def checkpoint(it: Checkpoint) -> dict[str, Value]:
    """The contract's Checkpoint."""
    members: dict[str, Value] = (
        {"members": _texts(entry.path for entry in it.entries if entry.kind != "dir")} if it.unit == "family" else {}
    )
    return {
        **_path("path", it.path),
        "layout": it.layout,
        "kind": it.unit,
        **members,
        "state": it.state,
        "roles": _texts(it.roles),
        "aliases": _texts(it.aliases),
        "epoch": _finite(it.epoch),
        "step": it.step,
        "version": it.version,
        "metrics": {_text(name): _score(score) for name, score in it.metrics.items()},
        "bytes": it.size,
        "files": it.files,
        "modified": write_time(it.modified),
        "pinned": it.pinned,
        "counter": it.counter,
        "evidence": None if it.evidence is None else _text(it.evidence),
    }


def _with_run(run: Run, it: Checkpoint) -> dict[str, Value]:
    return {**_path("run", run.path), **checkpoint(it)}


def _score(score: Score) -> Value:
    text = None if score.text is None else _text(score.text)
    return {"value": _finite(score.value), "state": score.state, "text": text, "source": score.source}


def _run(view: View, comma: str) -> Iterator[str]:
    """A run in pieces; the metric is the one that it is ranked by, else the one that it recorded."""
    run, metric = view.run, view.metric
    monitor, mode = metric or (run.monitor, run.mode)
    head = {
        **_path("path", run.path),
        "layouts": _texts(run.layouts),
        "monitor": None if monitor is None else _text(monitor),
        "mode": mode,
    }
    yield f'{comma}{_encode(head)[:-1]},"checkpoints":['
    yield from _batches(map(checkpoint, run.checkpoints))
    yield '],"pointers":['
    yield from _batches(map(_pointer, run.pointers))
    yield '],"strays":['
    yield from _batches({**_path("path", it.path), "why": _text(it.why)} for it in run.strays)
    yield "]}"


def _pointer(pointer: Pointer) -> dict[str, Value]:
    target: dict[str, Value] = {"target": None} if pointer.target is None else _path("target", pointer.target)
    return {**_path("path", pointer.path), "kind": pointer.kind, **target, "state": pointer.state}


def _run_plan(run: RunPlan, comma: str) -> Iterator[str]:
    yield f'{comma}{_encode(_path("path", run.path))[:-1]},"verdicts":['
    yield from _batches(map(_verdict, run.verdicts))
    links: Value = [{k: v for pair in it._asdict().items() for k, v in _path(*pair).items()} for it in run.moves]
    yield f'],"links":{_encode(links)}}}'


def _verdict(verdict: Verdict) -> dict[str, Value]:
    reasons: Value = [{"rule": reason.rule, "text": _text(reason.text)} for reason in verdict.reasons]
    return {**_path("path", verdict.path), "action": verdict.action, "reasons": reasons, "frees": verdict.frees}


def _outcome(outcome: Outcome) -> Value:
    return {
        "dropped": _texts(outcome.dropped),
        "slimmed": _texts(outcome.slimmed),
        "skipped": [_failure(it, "why") for it in outcome.skipped],
        "failed": [_failure(it, "error") for it in outcome.failed],
        "freed": outcome.freed,
        "txid": outcome.txid,
        "kept": outcome.is_kept,
    }


def _failure(failure: Failure, key: str) -> Value:
    return {**_path("path", failure.path), key: _text(failure.why)}


def _batches(values: Iterable[dict[str, Value]]) -> Iterator[str]:
    """The inside of an array."""
    stream, comma = iter(values), ""
    while batch := list(islice(stream, BATCH)):
        yield comma + _encode(batch)[1:-1]
        comma = ","


def _finite(number: float | None) -> float | None:
    return number if number is not None and isfinite(number) else None


def _text(text: str) -> str:
    """A text as it is, unless no UTF-8 can hold it: then escaped."""
    return text if _is_utf8(text) else escape(text)


def _texts(texts: Iterable[str]) -> Value:
    return [_text(text) for text in texts]


def _path(key: str, path: str) -> dict[str, Value]:
    """A path under its key; where it is not UTF-8, escaped, with its bytes beside it."""
    if _is_utf8(path):
        return {key: path}
    return {key: escape(path), f"{key}_b64": b64encode(encode(path)).decode()}


def _is_utf8(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
