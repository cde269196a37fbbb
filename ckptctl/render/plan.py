"""A plan before it is carried out: its screen, its lines for a pipe, the question, what each rule says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from ckptctl.core.model import Note
from ckptctl.core.retention.objections import Objection
from ckptctl.core.retention.plan import Explanation, Plan, RunPlan, Verdict
from ckptctl.core.units import write_size
from ckptctl.render.columns import show_name, write_count, write_epoch, write_number
from ckptctl.render.note_texts import describe_note
from ckptctl.render.text import clip, escape, fold, locate, measure, name_within, pad, pad_left, shorten

_FEW = 3
"""So many are named one by one; of more the count is told, unless every decision is asked for."""

_NAME_LEAST = 24
_WHY_LEAST = 16
_GAP = "   "


class PlanLine(NamedTuple):
    """One line under a run."""

    word: str
    """keep, slim, drop, link, skip."""
    what: str
    """A name, or a count of them, escaped."""
    why: str
    is_name: bool = True
    """Whether it may be shortened in the middle."""


def screen(plan: Plan, *, root: str = ".", width: int = 80, verbose: bool = False) -> Iterator[str]:
    """The policy in words, what becomes of each run, and what a person must know before line yes."""
    yield fold(escape(plan.words), width) + "\n\n"
    runs = sorted(plan.runs, key=lambda run: -run.frees)
    is_brief = not verbose and sum(bool(run.changed) for run in runs) > MOST_SHOWN
    if is_brief:
        yield from list_briefly(runs, root=root, width=width)
    for run in () if is_brief else runs:
        yield from _write_run(run, root, width, verbose=verbose)
    losses = _count_losses(runs) if is_brief else _losses(runs, root, width)
    notes = [*_unpinned(plan), *_notes(plan.runs, root, width), *losses]
    if notes:
        yield "\n"
    for note in notes:
        yield fold(f"note: {note}", width) + "\n"
    yield "\n"


def dry_run(plan: Plan) -> str:
    """The line that ends a dry run."""
    if not plan.changed:
        return nothing()
    return f"Would {_describe_changes(plan)}: {write_size(plan.frees)}. Nothing was changed (dry run).\n"


def nothing() -> str:
    """The line that ends a plan under which everything stays as it is."""
    return "Nothing to delete.\n"


def question(plan: Plan, *, trash: bool = False) -> str:
    """What to ask, without the [y/N]; ``trash`` where it is only set aside."""
    told = _describe_changes(plan, "set aside" if trash else "delete")
    ending = "?" if trash else ", for good?"
    return f"{told[0].upper()}{told[1:]}, {write_size(plan.frees)}{ending}"


def objections(refusals: Iterable[Objection]) -> Iterator[str]:
    """Why a plan must not run, a line each, with the flag that would let it."""
    for refusal in refusals:
        override = f" ({refusal.override} overrides it)" if refusal.override else ""
        yield f"refused[{refusal.id}]: {escape(describe_note(refusal.text))}{override}\n"


def _describe_changes(plan: Plan, verb: str = "delete") -> str:
    """What would be done, as part of a sentence: ``delete 15 checkpoints in 2 runs``."""
    slimmed = sum(verdict.action == "slim" for verdict in plan.changed)
    deleted = len(plan.dropped)
    parts = [f"{verb} {write_count(deleted, 'checkpoint')}"] if deleted or not slimmed else []
    parts += [f"slim {write_count(slimmed, 'checkpoint')}"] if slimmed else []
    runs = sum(bool(run.changed) for run in plan.runs)
    return f"{' and '.join(parts)} in {write_count(runs, 'run')}"


def _write_run(run: RunPlan, root: str, width: int, *, verbose: bool) -> Iterator[str]:
    words = _summarize(run)
    path = shorten(escape(locate(root, run.path)), max(_NAME_LEAST, width - measure(words) - len(_GAP)))
    yield f"{path}{_GAP}{words}\n"
    if verbose or run.changed:
        yield from _align(list(_items(run, verbose=verbose)), width)


def _summarize(run: RunPlan) -> str:
    """The counts of a run in a few words: ``keep 3 of 17 · frees 148 GB``."""
    actions = [verdict.action for verdict in run.verdicts if verdict.checkpoint]
    if not actions:
        return "no checkpoints"
    if run.unscored:
        return f"left alone · {write_count(len(actions), 'checkpoint')}"
    words = [f"keep {write_number(actions.count('keep') + actions.count('slim'))} of {write_number(len(actions))}"]
    words += [f"{action} {write_number(actions.count(action))}" for action in ("slim", "skip") if action in actions]
    changes = "drop" in actions or "slim" in actions
    return " · ".join((*words, f"frees {write_size(run.frees)}" if changes else "nothing to delete"))


def _items(run: RunPlan, *, verbose: bool) -> Iterator[PlanLine]:
    """What is kept with its reasons, then what is slimmed and what goes, then what is left alone."""
    yield from (_name(verdict, run.path) for verdict in run.verdicts if verdict.action == "keep")
    for action in ("slim", "drop"):
        yield from _change(run, [it for it in run.changed if it.action == action], verbose=verbose)
    yield from _moves(run)
    yield from _skips(run, verbose=verbose)


def _change(run: RunPlan, verdicts: Sequence[Verdict], *, verbose: bool) -> Iterator[PlanLine]:
    """What is slimmed, or goes; where it is many, their count."""
    if verbose or len(verdicts) <= _FEW:
        yield from (_name(verdict, run.path, _size_of(verdict)) for verdict in verdicts)
        return
    size = write_size(sum(verdict.frees for verdict in verdicts))
    count = write_count(len(verdicts), "checkpoint") + _span_of(verdicts)
    yield PlanLine(verdicts[0].action, count, size, is_name=False)


def _moves(run: RunPlan) -> Iterator[PlanLine]:
    """The links that leave what goes."""
    for move in run.moves:
        after = escape(name_within(move.after, run.path))
        yield PlanLine("link", escape(name_within(move.path, run.path)), f"to {after}")


def _skips(run: RunPlan, *, verbose: bool) -> Iterator[PlanLine]:
    """What is left alone; where many are for one reason, their count."""
    groups: dict[str, list[Verdict]] = {}
    for verdict in run.verdicts:
        if verdict.action == "skip":
            groups.setdefault(_reasons_of(verdict), []).append(verdict)
    for why, group in groups.items():
        if verbose or len(group) <= _FEW:
            yield from (_name(verdict, run.path) for verdict in group)
        else:
            yield PlanLine("skip", write_count(len(group), "name"), why, is_name=False)


def _name(verdict: Verdict, folder: str, size: str = "") -> PlanLine:
    checkpoint = verdict.checkpoint
    what = show_name(checkpoint, folder) if checkpoint else escape(name_within(verdict.path, folder))
    return PlanLine(verdict.action, what, " · ".join(filter(None, (_reasons_of(verdict), size))))


def _reasons_of(verdict: Verdict) -> str:
    return ", ".join(escape(describe_note(reason.text)) for reason in verdict.reasons)


def _size_of(verdict: Verdict) -> str:
    """What its going frees; that it frees nothing is said, for its size would promise more."""
    held = verdict.checkpoint.size if verdict.checkpoint else 0
    if held and not verdict.frees:
        return "frees nothing: other names hold its files"
    return write_size(verdict.frees)


def _span_of(verdicts: Sequence[Verdict]) -> str:
    """From where to where: ``, steps 1 000 – 16 000``; by epochs, or empty, where not all have a step."""
    held = [verdict.checkpoint for verdict in verdicts if verdict.checkpoint]
    steps = [it.step for it in held if it.step is not None]
    epochs = [it.epoch for it in held if it.epoch is not None]
    if len(steps) == len(verdicts):
        return f", steps {write_number(min(steps))} – {write_number(max(steps))}"
    if len(epochs) == len(verdicts):
        return f", epochs {write_epoch(min(epochs))} – {write_epoch(max(epochs))}"
    return ""


def _align(items: Sequence[PlanLine], width: int) -> Iterator[str]:
    """The lines under a run; reasons that are too long go on below themselves."""
    rest = width - len("  keep  ") - len(_GAP)
    why = max((measure(item.why) for item in items), default=0)
    names = max((measure(item.what) for item in items if item.is_name), default=0)
    counts = max((measure(item.what) for item in items if not item.is_name), default=0)
    what = max(counts, min(names, max(rest - why, rest // 2, _NAME_LEAST)))
    what = max(1, min(what, rest - _WHY_LEAST))
    for item in items:
        yield from _write_item(item, what, width)


def _write_item(item: PlanLine, what: int, width: int) -> Iterator[str]:
    """A line with as many below it as its reasons need."""
    lead = f"  {item.word}  {pad(shorten(item.what, what) if item.is_name else item.what, what)}{_GAP}"
    room = max(1, width - measure(lead))
    first, *rest = [shorten(part, room) for part in fold(item.why, room).split("\n")]
    yield f"{lead}{first}".rstrip() + "\n"
    for part in rest:
        yield f"{' ' * measure(lead)}{part}\n"


def _place(run: RunPlan, root: str, width: int) -> str:
    """A run's folder, short enough to stand in a line behind "note:"."""
    return shorten(escape(locate(root, run.path)), max(_NAME_LEAST, width - len("note: ") - 1))


def _notes(runs: Sequence[RunPlan], root: str, width: int) -> Iterator[str]:
    """What scan and plan noticed; what many runs share is told once."""
    where: dict[str, list[str]] = {}
    for run in runs:
        for notice in dict.fromkeys((*run.notices, *_waiting(run))):
            where.setdefault(escape(describe_note(notice)), []).append(_place(run, root, width))
    for told, paths in where.items():
        if len(paths) <= _FEW:
            yield from (f"{path}: {told}" for path in paths)
        else:
            yield f"{write_count(len(paths), 'run')}, {paths[0]} the first: {told}"


def _waiting(run: RunPlan) -> Iterator[Note]:
    young = sum(any(reason.rule == "min-age" for reason in verdict.reasons) for verdict in run.verdicts)
    if young:
        yield Note("too-young", count=young)


def _unpinned(plan: Plan) -> Iterator[str]:
    """What goes though somebody once pinned it."""
    count = sum(any(reason.rule == "pinned" for reason in it.reasons) for it in plan.dropped)
    if count:
        yield f"{write_count(count, 'checkpoint')} whose pin has passed {'goes' if count == 1 else 'go'}."


def _count_losses(runs: Sequence[RunPlan]) -> Iterator[str]:
    """How many runs lose more than half of their bytes, and how to see what stays of them."""
    losing = sum(2 * run.frees > _size_of_run(run) for run in runs)
    if losing:
        verb = "loses more than half of its" if losing == 1 else "lose more than half of their"
        yield f"{write_number(losing)} of {write_count(len(runs), 'run')} {verb} bytes."
    yield "-v shows what stays and what goes, one by one."


def _losses(runs: Sequence[RunPlan], root: str, width: int) -> Iterator[str]:
    """Runs that lose more than half of their bytes, the greatest loss first."""
    losing = sorted((run for run in runs if 2 * run.frees > _size_of_run(run)), key=lambda run: -run.frees)
    for run in losing[:_FEW]:
        sizes = f"{write_size(run.frees)} of {write_size(_size_of_run(run))}"
        yield f"{_place(run, root, width)} loses more than half of its bytes: {sizes}."
    if len(losing) > _FEW:
        more = len(losing) - _FEW
        yield f"{write_number(more)} more {'run loses' if more == 1 else 'runs lose'} more than half too."


def _size_of_run(run: RunPlan) -> int:
    return sum(verdict.checkpoint.size for verdict in run.verdicts if verdict.checkpoint)


def rows(plan: Plan, *, root: str = ".") -> Iterator[str]:
    """Action, whole path, bytes freed and reasons, tab-separated under a line of heads."""
    yield "action\tpath\tfrees\treasons\n"
    for run in plan.runs:
        for verdict in run.verdicts:
            reasons = "; ".join(escape(describe_note(reason.text)) for reason in verdict.reasons)
            yield f"{verdict.action}\t{escape(locate(root, verdict.path))}\t{verdict.frees}\t{reasons}\n"
        for move in run.moves:
            path, before, after = (escape(locate(root, path)) for path in move)
            yield f"link\t{path}\t0\tto {after}, not {before} any more\n"


MOST_SHOWN = 6
"""So many changing runs are shown with all that they keep; more have a line each."""
_SUMMARY_HEADS = ("run", "keep", "frees", "", "kept for")
_PATH_LEAST = 16
_SUMMARY_WHY_LEAST = 20
_SUMMARY_GAP = "  "
_WORDS = {
    "top-k": "best",
    "keep-best": "best",
    "global-best": "best of all",
    "keep-last": "last",
    "keep-every": "on the grid",
    "keep-within": "young",
    "keep-newer-than": "young",
    "keep-step": "named",
    "keep": "named",
    "newest": "newest",
    "config": "by config",
}
"""How rules are told in a word or two; others by their own names."""


class BriefRow(NamedTuple):
    """One run."""

    path: str
    """Escaped."""
    keep: str
    """``3 of 17``."""
    frees: str
    share: str
    """Of the run's bytes, in per cent."""
    why: str
    """For what the others stay, each counted once, by its first reason."""


def list_briefly(runs: Sequence[RunPlan], *, root: str, width: int) -> Iterator[str]:
    """The runs from which something goes, the greatest loss first; the others as a count."""
    changing = [run for run in runs if run.changed]
    rows = [_row_of_run(run, root) for run in changing]
    columns = [max(measure(cell) for cell in column) for column in zip(_SUMMARY_HEADS, *rows, strict=True)]
    taken = sum(columns[1:4]) + 4 * len(_SUMMARY_GAP)
    path = min(columns[0], max(_PATH_LEAST, width - taken - min(columns[4], max(_SUMMARY_WHY_LEAST, width // 3))))
    for row in (BriefRow(*_SUMMARY_HEADS), *rows):
        cells = (pad(shorten(row.path, path), path), *map(pad_left, row[1:4], columns[1:4]))
        room = max(0, width - path - taken)
        yield f"{_SUMMARY_GAP.join(cells)}{_SUMMARY_GAP}{clip(row.why, room)}".rstrip() + "\n"
    if len(runs) > len(changing):
        yield f"{write_count(len(runs) - len(changing), 'more run')}: nothing to delete\n"


def _row_of_run(run: RunPlan, root: str) -> BriefRow:
    held = [it for it in run.verdicts if it.checkpoint]
    stays = [it for it in held if it.stays]
    counts = Counter(_WORDS.get(it.reasons[0].rule, it.reasons[0].rule) for it in stays)
    why = [f"{count} {word}" for word, count in counts.items()]
    skipped = sum(it.action == "skip" for it in held)
    why += [f"{skipped} left alone"] if skipped else []
    size = sum(it.checkpoint.size for it in held if it.checkpoint)
    share = f"{100 * run.frees // size} %" if size else ""
    keep = f"{write_number(len(stays))} of {write_number(len(held))}"
    return BriefRow(escape(locate(root, run.path)), keep, write_size(run.frees), share, ", ".join(why))


def explain_screen(told: Explanation, *, root: str = ".") -> Iterator[str]:
    """For a terminal: what becomes of it, then a line for each rule."""
    verdict = told.verdict
    frees = f" · frees {write_size(verdict.frees)}" if verdict.is_change else ""
    yield f"{escape(locate(root, verdict.path))}   {verdict.action}{frees}\n"
    lines = told.rules or verdict.reasons
    width = max(len(it.rule) for it in lines)
    for line in lines:
        says, text = getattr(line, "says", verdict.action), escape(describe_note(line.text))
        yield f"  {says}  {pad(line.rule, width)}  {text}\n"


def explain_rows(told: Explanation, *, root: str = ".") -> Iterator[str]:
    """For a pipe: a line for each rule, under one for what becomes of it."""
    verdict = told.verdict
    yield "rule\tsays\ttext\n"
    yield f"verdict\t{verdict.action}\t{escape(locate(root, verdict.path))}\n"
    for line in told.rules:
        yield f"{line.rule}\t{line.says}\t{escape(describe_note(line.text))}\n"
