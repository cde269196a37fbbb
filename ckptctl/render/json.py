"""The JSON output, schema version 1, in pieces that stream.

All of it is ASCII: whatever a name holds reaches a terminal as an escape.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from json import JSONEncoder
from math import isfinite
from typing import TYPE_CHECKING, Union

from ckptctl.core.model import Checkpoint, Pointer, Run, Score
from ckptctl.core.ranking import Metric, Ranked, RunView
from ckptctl.errors import CkptctlError
from ckptctl.render.columns import RunTotals, write_time
from ckptctl.render.text import encode, escape

if TYPE_CHECKING:
    from ckptctl.config import Settings
    from ckptctl.core.findings import Finding, Report
    from ckptctl.core.model import Text
    from ckptctl.core.retention.objections import Objection
    from ckptctl.core.retention.plan import Explanation, Plan, RunPlan, Verdict
    from ckptctl.core.transaction import Failure, Outcome, TrashChange
    from ckptctl.render.outcome import TrashedItems

BATCH = 1000
"""Values that are encoded at once: one by one takes twice as long, and json.dump three times."""

Value = Union[None, bool, int, float, str, "list[Value]", "dict[str, Value]"]

dump = JSONEncoder(separators=(",", ":"), allow_nan=False).encode
"""A value as ASCII, on one line."""


def write_batches(values: Iterable[dict[str, Value]]) -> Iterator[str]:
    """The inside of an array."""
    stream, comma = iter(values), ""
    while batch := list(islice(stream, BATCH)):
        yield comma + dump(batch)[1:-1]
        comma = ","


def write_finite(number: float | None) -> float | None:
    """A number that JSON can hold, None for all else."""
    return number if number is not None and isfinite(number) else None


def write_text(text: str) -> str:
    """A text as it is, unless no UTF-8 can hold it: then escaped."""
    return text if _is_utf8(text) else escape(text)


def write_texts(texts: Iterable[str]) -> Value:
    """Texts, each as ``write_text`` has it."""
    return [write_text(text) for text in texts]


def write_path(key: str, path: str) -> dict[str, Value]:
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


def write_plain(value: object) -> Value:
    """A value of a setting, of training's or of ours."""
    if isinstance(value, str):
        return write_text(value)
    if isinstance(value, list):
        return write_texts(value)
    return value if isinstance(value, bool | int) or value is None else write_finite(float(str(value)))


def ls(views: Iterable[RunView], *, root: str) -> Iterator[str]:
    """One document, run by run, the totals at its end; paths are relative to ``root``."""
    tally = RunTotals()
    yield f'{{"schema_version":1,{dump(write_path("root", root))[1:-1]},"runs":['
    for view in views:
        yield from _run(view, "," if tally.runs else "")
        tally = tally.add(view.run)
    totals: Value = {"runs": tally.runs, "checkpoints": tally.checkpoints, "bytes": tally.size, "files": tally.files}
    yield f'],"totals":{dump(totals)}}}\n'


def best(ranked: Iterable[Ranked], metric: Metric | None) -> Iterator[str]:
    """The best, in rank order; a score that wins by being infinite is null, as its metric says."""
    yield f'{{"schema_version":1,{dump(_metric(metric))[1:-1]},"checkpoints":['
    yield from write_batches(map(_ranked, ranked))
    yield "]}\n"


def bests(found: Iterable[tuple[str, Metric | None, Sequence[Ranked]]]) -> Iterator[str]:
    """The best of each group, with its path and what it was ranked by."""
    groups: list[Value] = []
    for path, metric, held in found:
        ranked: Value = [*map(_ranked, held)]
        groups.append({**write_path("path", path), **_metric(metric), "checkpoints": ranked})
    yield dump({"schema_version": 1, "groups": groups}) + "\n"


def _metric(metric: Metric | None) -> dict[str, Value]:
    """By what was ranked; nulls where the answer is what training itself called best."""
    return {"monitor": None if metric is None else write_text(metric.name), "mode": metric and metric.mode}


def _ranked(ranked: Ranked) -> dict[str, Value]:
    return {**checkpoint(ranked.checkpoint), "rank": ranked.place, "score": write_finite(ranked.score.value)}


def last(checkpoints: Iterable[Checkpoint]) -> Iterator[str]:
    """The newest."""
    yield '{"schema_version":1,"checkpoints":['
    yield from write_batches(map(checkpoint, checkpoints))
    yield "]}\n"


def prune(
    plan: Plan, *, dry_run: bool, objections: Sequence[Objection] = (), outcome: Outcome | None = None
) -> Iterator[str]:
    """A plan, why it must not run, and what came of it where it did."""
    yield f'{{"schema_version":1,"policy":{dump(write_text(plan.words))},"dry_run":{dump(dry_run)},"runs":['
    for place, run in enumerate(plan.runs):
        yield from _run_plan(run, "," if place else "")
    refusals: Value = [{"id": it.id, "text": _text_of(it.text), "override": it.override} for it in objections]
    yield f'],"frees":{plan.frees},"objections":{dump(refusals)},"outcome":'
    yield f"{dump(_outcome(outcome) if outcome else None)}}}\n"


def doctor(reports: Iterable[Report], *, root: str) -> Iterator[str]:
    """Every finding in one document, run by run, the totals at its end; paths are relative to ``root``."""
    from ckptctl.core.findings import FindingCount

    count, comma = FindingCount(), ""
    yield f'{{"schema_version":1,{dump(write_path("root", root))[1:-1]},"findings":['
    for report in reports:
        count = count.add(report)
        if report.findings:
            yield comma + dump([_finding(it, root) for it in report.findings])[1:-1]
            comma = ","
    totals: Value = dict(count._asdict())
    yield f'],"totals":{dump(totals)}}}\n'


def _finding(finding: Finding, root: str) -> Value:
    from ckptctl.render.findings import write_hint

    told = {"text": _text_of(finding.text), "hint": write_hint(finding.hint, root)}
    return {"id": finding.id, "severity": finding.severity, **write_path("path", finding.path), **told}


def explain(told: Explanation) -> Iterator[str]:
    """What becomes of one checkpoint, and what each rule says of it."""
    rules: Value = [{"rule": it.rule, "says": it.says, "text": _text_of(it.text)} for it in told.rules]
    yield dump({"schema_version": 1, **_verdict(told.verdict), "rules": rules}) + "\n"


def config(found: Settings) -> Iterator[str]:
    """What is configured: each setting, the policies, and the files that say anything."""
    from ckptctl.render.config import settings_of

    settings = [
        {"key": setting.key, "value": write_plain(setting.value), "origin": write_text(setting.origin)}
        for setting in settings_of(found)
    ]
    policies = [
        {
            "name": write_text(policy.name),
            "origin": write_text(policy.origin),
            "values": {key: write_plain(value) for key, value in policy.values.items()},
        }
        for policy in found.policies.values()
    ]
    told = {"schema_version": 1, "settings": settings, "policies": policies, "files": write_texts(found.files)}
    yield dump(told) + "\n"


def changes(done: Iterable[TrashChange]) -> Iterator[str]:
    """What became of things in the trash."""
    told: Value = [_change(it) for it in done]
    yield f'{{"schema_version":1,"changes":{dump(told)}}}\n'


def _change(change: TrashChange) -> Value:
    failed: Value = [_failure(failure, "error") for failure in change.failed]
    lists = {"back": write_texts(change.back), "removed": write_texts(change.removed), "failed": failed}
    return {"txid": change.txid, **lists, "freed": change.freed}


def trash(found: Iterable[TrashedItems]) -> Iterator[str]:
    """What lies in the trash."""
    told: Value = [_trashed(it) for it in found]
    yield f'{{"schema_version":1,"trash":{dump(told)}}}\n'


def _trashed(trashed: TrashedItems) -> Value:
    transaction = trashed.intent
    items: Value = [{**write_path("path", it.path), "bytes": it.size, "files": it.files} for it in trashed.items]
    until = None if transaction.until is None else write_time(transaction.until)
    command: dict[str, Value] = {"command": transaction.command, "policy": write_text(transaction.words)}
    told: dict[str, Value] = {"since": write_time(transaction.since), "until": until, "checkpoints": items}
    return {"txid": transaction.txid, **write_path("root", trashed.root), **command, **told}


def error(trouble: CkptctlError) -> str:
    """An error, for stderr."""
    from ckptctl.render.note_texts import describe_error

    path = {"path": None} if trouble.path is None else write_path("path", trouble.path)
    hint = None if trouble.hint is None else write_text(trouble.hint)
    told = {"id": trouble.id, "text": write_text(describe_error(trouble)), "hint": hint, **path}
    return dump({"error": {**told, "exit_code": trouble.exit_code}}) + "\n"


def export(runs: Iterable[Run]) -> Iterator[str]:
    """All checkpoints in one document, each with its run."""
    yield '{"schema_version":1,"checkpoints":['
    yield from write_batches(_with_run(run, it) for run in runs for it in run.checkpoints)
    yield "]}\n"


def lines(run: Run) -> Iterator[str]:
    """A line for each checkpoint of a run, each with the run, in pieces of many lines."""
    encoded = (f"{dump(_with_run(run, it))}\n" for it in run.checkpoints)
    while piece := "".join(islice(encoded, BATCH)):
        yield piece


def checkpoint(checkpoint: Checkpoint) -> dict[str, Value]:
    """The contract's Checkpoint."""
    members: dict[str, Value] = {}
    if checkpoint.unit == "family":
        members["members"] = write_texts(entry.path for entry in checkpoint.entries if entry.kind != "dir")
    return {
        **write_path("path", checkpoint.path),
        "layout": checkpoint.layout,
        "kind": checkpoint.unit,
        **members,
        "state": checkpoint.public_state,
        "roles": write_texts(checkpoint.roles),
        "aliases": write_texts(checkpoint.aliases),
        "epoch": write_finite(checkpoint.epoch),
        "step": checkpoint.step,
        "version": checkpoint.version,
        "metrics": {write_text(name): _score(score) for name, score in checkpoint.metrics.items()},
        "bytes": checkpoint.size,
        "files": checkpoint.files,
        "modified": write_time(checkpoint.modified),
        "pinned": checkpoint.pinned,
        "counter": checkpoint.counter,
        "evidence": [{"kind": it.kind, "detail": write_text(it.detail)} for it in checkpoint.all_evidence],
        "series": write_text(checkpoint.series) if checkpoint.series else None,
        "prunable": checkpoint.why_not is None and not checkpoint.is_set_aside,
        "why_not": None if checkpoint.why_not is None else _text_of(checkpoint.why_not),
    }


def _with_run(run: Run, saved: Checkpoint) -> dict[str, Value]:
    return {**write_path("run", run.path), **checkpoint(saved)}


def _score(score: Score) -> Value:
    text = None if score.text is None else write_text(score.text)
    return {"value": write_finite(score.value), "state": score.state, "text": text, "source": score.source}


def _run(view: RunView, comma: str) -> Iterator[str]:
    """A run in pieces; the metric is the one that it is ranked by, else the one that it recorded."""
    run, metric = view.run, view.metric
    monitor, mode = metric or (run.monitor, run.mode)
    head = {
        **write_path("path", run.path),
        "layouts": write_texts(run.layouts),
        "monitor": None if monitor is None else write_text(monitor),
        "mode": mode,
    }
    yield f'{comma}{dump(head)[:-1]},"checkpoints":['
    yield from write_batches(map(checkpoint, run.checkpoints))
    yield '],"pointers":['
    yield from write_batches(map(_pointer, run.pointers))
    yield '],"strays":['
    yield from write_batches({**write_path("path", it.path), "why": _text_of(it.why)} for it in run.strays)
    yield "]}"


def _pointer(pointer: Pointer) -> dict[str, Value]:
    target: dict[str, Value] = {"target": None} if pointer.target is None else write_path("target", pointer.target)
    return {**write_path("path", pointer.path), "kind": pointer.kind, **target, "state": pointer.state}


def _run_plan(run: RunPlan, comma: str) -> Iterator[str]:
    yield f'{comma}{dump(write_path("path", run.path))[:-1]},"verdicts":['
    yield from write_batches(map(_verdict, run.verdicts))
    links: Value = [{k: v for pair in it._asdict().items() for k, v in write_path(*pair).items()} for it in run.moves]
    yield f'],"links":{dump(links)}}}'


def _text_of(text: Text) -> str:
    """What a note says."""
    from ckptctl.render.note_texts import describe_note  # a run in which all is complete needs no texts

    return write_text(describe_note(text))


def _verdict(verdict: Verdict) -> dict[str, Value]:
    reasons: Value = [{"rule": reason.rule, "text": _text_of(reason.text)} for reason in verdict.reasons]
    return {**write_path("path", verdict.path), "action": verdict.action, "reasons": reasons, "frees": verdict.frees}


def _outcome(outcome: Outcome) -> Value:
    return {
        "dropped": write_texts(outcome.dropped),
        "slimmed": write_texts(outcome.slimmed),
        "skipped": [_failure(it, "why") for it in outcome.skipped],
        "failed": [_failure(it, "error") for it in outcome.failed],
        "freed": outcome.freed,
        "txid": outcome.txid,
        "kept": outcome.is_kept,
    }


def _failure(failure: Failure, key: str) -> Value:
    from ckptctl.render.note_texts import describe_failure

    return {**write_path("path", failure.path), key: write_text(describe_failure(failure))}
