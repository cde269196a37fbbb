"""Checks of pointers and rosters: what they say, whether that is here, and whether it is the newest or best."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from ckptctl.core.findings import DoctorContext, Finding, Hint, Severity, describe_names, newest_of, quote_basename
from ckptctl.core.model import Checkpoint, Pointer, Run, Score
from ckptctl.core.ranking import Metric, choose_metric, is_better, rank, score_of
from ckptctl.core.score_sources import scores_agree
from ckptctl.errors import Damaged, MetricUnclear, ModeUnclear, NoScore
from ckptctl.layouts.index import Match, find_layout, glob_matches, match
from ckptctl.scan.pointers import MOST_BYTES, resolve_link
from ckptctl.scan.text_pointers import LONGEST_NAME
from ckptctl.stores import read_whole

if TYPE_CHECKING:
    from ckptctl.core.model import Entry, Roster
    from ckptctl.layouts.schema import Layout, PointerFile
    from ckptctl.stores import ReadStore

_LAST = re.compile(r"(?i:last|latest)(?![A-Za-z])|checkpoint$")
"""How the names begin that stand for the newest; ``checkpoint`` is TensorFlow's."""
_BEST = re.compile(r"(?i:best)(?![A-Za-z])")
_OWN = re.compile(r"(?i:last|latest|ckpt|checkpoint|model|weights|v|\d|[-_.])+")
"""Of a save of its own under a ``last`` name: all that the name may be made of, beside its extension."""
_ODD = frozenset({"exception", "recovery"})
"""Roles of saves that training makes in between, and that no name for the newest follows."""
_RESUME = "resume from the newest instead, which this prints"
_FLAGS = {"last": "--last", "latest": "--last --name latest", "best": "--best"}
"""What makes a link of such a name."""


def names_last(path: str) -> bool:
    """Whether a name is one for the newest checkpoint, from which training resumes."""
    return _LAST.match(path.rpartition("/")[2]) is not None


def find_broken_pointers(run: Run, context: DoctorContext) -> Iterator[Finding]:
    """Names that lead to nothing, round in a loop, or out of what was looked at."""
    for pointer in run.pointers:
        says = context.said.get(pointer.path)
        if pointer.kind in ("text", "json") and pointer.target is None:
            yield _dangling_file(run, pointer, says)
        elif pointer.state == "dangling":
            text = f"leads to '{says}', which is not there" if says else "leads to nothing"
            yield Finding("dangling-link", "error", pointer.path, text, _relink(run, pointer, context))
        elif pointer.state == "loop":
            hint = _relink(run, pointer, context)
            yield Finding("looping-link", "error", pointer.path, "leads back to itself", hint)
        elif pointer.state == "outside":
            text = f"leads out of what was looked at, to '{says}'" if says else "leads out of what was looked at"
            hint = Hint("fine if it is meant; to have both looked at, name a folder above them")
            yield Finding("link-outside", "advice", pointer.path, text, hint)


def _dangling_file(run: Run, pointer: Pointer, says: str | None) -> Finding:
    """A tracker that names nothing is an error; a file in a checkpoint only remembers which one was the best."""
    named = f"'{says}', which is not here" if says else "no checkpoint that is here"
    if any(pointer.path.startswith(f"{it.path}/") for it in run.checkpoints):
        text = f"names {named}: training will not find its best at the end"
        hint = Hint("restore it from a copy if the best matters; resuming does not need it")
        return Finding("dangling-pointer", "advice", pointer.path, text, hint)
    return broken_tracker_finding(pointer.path, named, newest_of(run))


def broken_tracker_finding(path: str, named: str, newest: Checkpoint | None) -> Finding:
    """The finding on a file by which training resumes; ``named`` says what it names, as the object of a sentence."""
    text = f"names {named}: training will fail to resume, or start from scratch"
    if _BEST.match(path.rpartition("/")[2]):
        text = f"names {named}"
    if newest is None:
        hint = Hint("restore what it names from a copy; to start anew, remove {} by hand", (path,))
    else:
        hint = Hint("restore what it names from a copy, or let {} name the newest whole one: {}", (path, newest.path))
    return Finding("dangling-pointer", "error", path, text, hint)


def _relink(run: Run, pointer: Pointer, context: DoctorContext) -> Hint:
    """How to set a link right: by our own command where that makes one of this very name."""
    newest = newest_of(run)
    if newest is None:
        return Hint("nothing whole is left here to link: remove {} by hand", (pointer.path,))
    folder, _, name = pointer.path.rpartition("/")
    word, dot, ending = name.partition(".")
    target = newest.path.rpartition("/")[2]
    is_alike = target.endswith(dot + ending) if dot else "." not in target
    if word in _FLAGS and folder == run.path and is_alike:
        flags = _FLAGS[word] + (_ranking_flags(context) if word == "best" else "")
        return Hint("", (run.path,), f"ckptctl link {{}} {flags}")
    return Hint("remove {} by hand, or let it lead to a checkpoint that is here", (pointer.path,))


def _ranking_flags(context: DoctorContext) -> str:
    """By what to rank, as it was asked for; a name that a shell would read otherwise is left to the person."""
    monitor = f" --monitor {context.monitor}" if re.fullmatch(r"\w[\w./-]*", context.monitor or "", re.ASCII) else ""
    return monitor + (f" --mode {context.mode}" if context.mode != "auto" else "")


def find_stale_rosters(run: Run, context: DoctorContext) -> Iterator[Finding]:
    """Lists of training's own in which something stands that is gone."""
    for roster in run.rosters:
        lost = context.lost.get(roster.path, ())
        if lost:
            is_refused = roster.format == "json"  # Ray does; TensorFlow passes over them
            severity: Severity = "error" if is_refused else "advice"
            text = f"lists what is not here: {describe_names(lost)}" + (": training may refuse to go on" * is_refused)
            hint = Hint("restore it from a copy, or take it out of {} by hand", (roster.path,))
            yield Finding("roster-names-missing", severity, roster.path, text, hint)


def find_stale_pointers(run: Run, context: DoctorContext) -> Iterator[Finding]:
    """Names for the newest and the best that stand for another one."""
    held = {it.path: it for it in run.checkpoints}
    named = [(it, held[it.target]) for it in run.pointers if it.target in held]
    newest = newest_of(run._replace(checkpoints=tuple(it for it in run.checkpoints if _ODD.isdisjoint(it.roles))))
    if newest is not None:
        yield from _stale_lasts(run, context, named, newest)
        yield from _stale_saves(run, newest)
    metric = metric_of(run, context)
    if metric is not None:
        yield from _stale_bests(run, context, named, metric)


def _stale_lasts(
    run: Run, context: DoctorContext, named: Iterable[tuple[Pointer, Checkpoint]], newest: Checkpoint
) -> Iterator[Finding]:
    for pointer, target in named:
        if not (names_last(pointer.path) and _is_older(target, newest)):
            continue
        text = f"names {quote_basename(target.path)}, which is older than {quote_basename(newest.path)}"
        hint = Hint(_RESUME, (run.path,), "ckptctl last {}")
        if pointer.kind == "symlink":
            hint = _relink(run, pointer, context)
        elif pointer.kind in ("text", "json"):
            hint = Hint("if training should go on from the newest, let {} name {}", (pointer.path, newest.path))
        yield Finding("stale-last", "advice", pointer.path, text, hint)


def _stale_saves(run: Run, newest: Checkpoint) -> Iterator[Finding]:
    """Saves of their own under a ``last`` name that are behind."""
    for checkpoint in run.checkpoints:
        is_plain = _OWN.fullmatch(checkpoint.path.rpartition("/")[2].partition(".")[0])
        if "last" in checkpoint.roles and is_plain and checkpoint.state == "complete" and _is_older(checkpoint, newest):
            text = f"was saved {_when(checkpoint)}, before {quote_basename(newest.path)} ({_when(newest)})"
            hint = Hint(_RESUME, (run.path,), "ckptctl last {}")
            yield Finding("stale-last", "advice", checkpoint.path, text, hint)


def _stale_bests(
    run: Run, context: DoctorContext, named: Iterable[tuple[Pointer, Checkpoint]], metric: Metric
) -> Iterator[Finding]:
    ranked = rank([it for it in run.checkpoints if it.state == "complete"], metric)
    for pointer, target in named:
        own = score_of(target, metric.name)
        if own is None or not ranked or not _BEST.match(pointer.path.rpartition("/")[2]):
            continue
        best = ranked[0]
        if is_better(best.score.value, own.value, metric.mode) and not scores_agree(best.score, own):
            mine = f"{quote_basename(target.path)} with {metric.name} {_write_score(own)}"
            better = f"{quote_basename(best.checkpoint.path)} has {_write_score(best.score)} ({metric.mode} counts)"
            hint = _relink(run, pointer, context)
            yield Finding("stale-best", "advice", pointer.path, f"names {mine}, but {better}", hint)


def _write_score(score: Score) -> str:
    """A score as its name says it; elsewhere without the noise of float32."""
    return score.text if score.text is not None and score.source == "name" else f"{score.value:.6g}"


def metric_of(run: Run, context: DoctorContext) -> Metric | None:
    """What the run is ranked by; None where nobody can tell."""
    try:
        return choose_metric(run, monitor=context.monitor, mode=context.mode)
    except (NoScore, MetricUnclear, ModeUnclear):
        return None


def _is_older(one: Checkpoint, other: Checkpoint) -> bool:
    """Whether the numbers say that it was saved before another of the same training; times are lost in copies."""
    pairs = ((one.step, other.step), (one.epoch, other.epoch), (one.counter, other.counter))
    told = next(((mine, its) for mine, its in pairs if mine is not None and its is not None), None)
    return told is not None and one.lineage == other.lineage and told[0] < told[1]


def _when(checkpoint: Checkpoint) -> str:
    """When it was saved, by the first number that it has."""
    numbers = (("step", checkpoint.step), ("epoch", checkpoint.epoch), ("save", checkpoint.counter))
    return next(f"at {word} {number}" for word, number in numbers if number is not None)


NAMES = frozenset({"last", "latest", "best"})
"""What people call a name that stands for a checkpoint, whatever it is."""
_LONGEST = 200
"""Characters of what a file says that are worth telling."""


def find_broken(store: ReadStore, run: Run, links: Sequence[Entry]) -> Iterator[Pointer]:
    """Links and small texts of a run that the scan passes over, since they lead nowhere: names that are plain enough.

    A link counts if its text ends like the run's own checkpoints, or if it is called last, latest or best.
    """
    if not run.checkpoints:
        return
    known = {it.path for it in run.pointers}
    layouts = [find_layout(name) for name in run.layouts]
    meant = (it for it in links if _name(it.path) in NAMES or _is_one_of(layouts, it.target or ""))
    followed = (resolve_link(store, it) for it in meant if it.path not in known)
    yield from (it for it in followed if it.state in ("dangling", "loop"))
    for stray in run.strays:
        said = _read_line(store, stray.path) if _name(stray.path) in NAMES else None
        if said is not None and _is_one_of(layouts, said):
            yield Pointer(stray.path, "text", None, "dangling")


def read_broken_targets(store: ReadStore, run: Run, links: Mapping[str, Sequence[Entry]]) -> dict[str, str]:
    """By path of each of a run's names that leads to nothing here: what it says, as far as it can be read."""
    said: dict[str, str | None] = {}
    for pointer in run.pointers:
        if pointer.state == "ok":
            continue
        if pointer.kind == "symlink":
            beside = links.get(pointer.path.rpartition("/")[0], ())
            said[pointer.path] = next((entry.target for entry in beside if entry.path == pointer.path), None)
        else:
            said[pointer.path] = _read_pointer(store, pointer.path, run)
    return {path: text for path, text in said.items() if text}


def _read_pointer(store: ReadStore, path: str, run: Run) -> str | None:
    specs = (spec for layout in run.layouts for spec in find_layout(layout).pointers)
    told = (_read_by(store, path, spec) for spec in specs if glob_matches(spec.path, _name(path)))
    return next(filter(None, told), None) or _read_line(store, path)


def list_missing_names(store: ReadStore, run: Run) -> dict[str, list[str]]:
    """By path of each of a run's rosters: the names in it that nothing here has."""
    lost = {}
    for roster in run.rosters:
        known = {written for written, _ in roster.names}
        lost[roster.path] = [name for name in _read_roster(store, roster) if name not in known]
    return lost


def _read_roster(store: ReadStore, roster: Roster) -> Iterable[str]:
    data = _read(store, roster.path, MOST_BYTES)
    try:
        if data is not None and roster.format == "textproto":
            from ckptctl.readers import textproto

            return textproto.read(data).all
        if data is not None:
            from ckptctl.readers import json

            return json.names(data, roster.listing, roster.listed)
    except Damaged:
        pass
    return ()


def trackers_by_name(layouts: Iterable[Layout], name: str) -> list[tuple[Layout, PointerFile]]:
    """The layouts that note the newest in a file of that very name, and how."""
    return [
        (layout, spec)
        for layout in layouts
        for spec in layout.pointers
        if spec.path == name and spec.place == "beside" and spec.value != "json"
    ]


def read_tracker(store: ReadStore, path: str, layouts: Iterable[Layout]) -> str | None:
    """The checkpoint that a tracker names; None where what it holds is none of any layout that has such a file."""
    for layout, spec in trackers_by_name(layouts, _name(path)):
        said = _read_by(store, path, spec)
        is_plain = spec.value == "textproto" or (spec.value == "step" and said is not None and said.isdecimal())
        if said is not None and (is_plain or _is_one_of([layout], said)):
            return said
    return None


def _is_one_of(layouts: Iterable[Layout], said: str) -> bool:
    """Whether a text ends in a name that a layout gives its checkpoints, number included."""
    name = _name(said.strip().replace("\\", "/").rstrip("/"))
    found = ((it, match(it, name)) for it in layouts)
    return any(groups is not None and (not it.names or Match(it, groups).is_numbered) for it, groups in found)


def _read_by(store: ReadStore, path: str, spec: PointerFile) -> str | None:
    """The name that a file holds, read as its layout says."""
    if spec.value in ("name", "step"):
        return _read_line(store, path)
    data = _read(store, path, MOST_BYTES)
    if data is None:
        return None
    from ckptctl.readers import json, textproto

    try:
        named = textproto.read(data).latest if spec.value == "textproto" else json.field(data, spec.field)
    except Damaged:
        return None
    return named[:_LONGEST] if isinstance(named, str) else None


def _read_line(store: ReadStore, path: str) -> str | None:
    """The one line of a small text; None where it is none, or empty."""
    data = _read(store, path, LONGEST_NAME)
    try:
        text = (data or b"").decode().strip()
    except UnicodeDecodeError:
        return None
    return text[:_LONGEST] if text and "\n" not in text else None


def _read(store: ReadStore, path: str, most: int) -> bytes | None:
    """A whole file; None where it cannot be read, or is larger than it can be."""
    try:
        return read_whole(store, path, most)
    except (OSError, Damaged):
        return None


def _name(path: str) -> str:
    return path.rpartition("/")[2]
