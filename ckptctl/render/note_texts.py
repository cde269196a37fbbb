"""The text of every note, by its id: the one place where it is worded."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from ckptctl.core.model import Note
from ckptctl.core.units import NANOSECONDS, write_age, write_size

if TYPE_CHECKING:
    from ckptctl.core.model import Score, Text
    from ckptctl.core.transaction import Failure
    from ckptctl.errors import CkptctlError


def describe_note(text: Text) -> str:
    """The text of a note; words stay as they are."""
    if not isinstance(text, Note):
        return text
    form = TEXTS[text.id]
    facts = {key: describe_note(fact) if isinstance(fact, Note) else fact for key, fact in text.facts.items()}
    return form.format(**facts) if isinstance(form, str) else form(**facts)


def describe_error(error: CkptctlError) -> str:
    """What went wrong: the note of an error where it has one, else its text."""
    return describe_note(error.note) if isinstance(error.note, Note) else error.text


def describe_failure(failure: Failure) -> str:
    """Why one item did not go as planned: its note where it has one, else its words."""
    return failure.why if failure.note is None else describe_note(failure.note)


def describe_pattern(pattern: str) -> str:
    """A pattern as a person would write it: N for a number, … for anything."""
    plain = re.sub(r"\(\?:[^()]*\)\?", "", pattern)
    plain = re.sub(r"\\d(?:\{[^}]*\}|[+*])?", "N", plain)
    plain = re.sub(r"(?:(?<!\\)\.|\[[^]]*\])(?:\{[^}]*\}|[+*])", "…", plain)
    plain = re.sub(r"\((?:\?P<\w+>)?([^()]*)\)", r"\1", plain)
    return re.sub(r"\\(.)", r"\1", plain)


def _ago(nanoseconds: int) -> str:
    return f"{write_age(nanoseconds / NANOSECONDS)} ago"


def _rival_layouts(layouts: Sequence[str]) -> str:
    return f"it may be of {' or '.join(layouts)}"


def _state(state: str, why: str | None) -> str:
    return f"{state}: {why}" if why else state


def _unfinished_if_slimmed(state: str, why: str | None) -> str:
    return f"a listing would take it for unfinished then: {why or f'it is {state}'}"


def _score_conflict(path: str, metric: str, trusted: Score, other: Score, files: Sequence[tuple[str, str]]) -> str:
    names = {**_SOURCES, **dict(files)}
    one, two = (f"{names[it.source]} says {it.text or it.value}" for it in (trusted, other))
    zero = " (0 may mean: not logged)" if other.source == "name" and other.value == 0 else ""
    return f"{path}: {metric}: {one}, {two}{zero}: the first counts"


_SOURCES = {
    "state": "its own state",
    "sibling": "the state of a later checkpoint",
    "yaml": "a YAML file",
    "csv": "a CSV file",
    "json": "a JSON file",
    "npz": "an NPZ file",
    "name": "its name",
    "inside": "the file itself",
}


def _mode_against_name(metric: str, mode: str, told: str, *, asked: bool) -> str:
    who = "--mode" if asked else "training's record"
    return f"{who} says {mode}, but '{metric}' reads as if {told} were better: {mode} counts"


def _name_of(path: str) -> str:
    return path.rpartition("/")[2]


def _of_several(paths: Sequence[str], why: str) -> str:
    from ckptctl.core.findings import describe_names  # only a doctor shows these

    return f"{describe_names(paths)}: {why}"


def _of_no_series(paths: Sequence[str]) -> str:
    from ckptctl.core.findings import describe_names  # only a plan and a doctor show it

    count = "1 more file holds weights, is" if len(paths) == 1 else f"{len(paths)} more files hold weights, are"
    return f"{count} of no series, and {'stays' if len(paths) == 1 else 'stay'}: {describe_names(paths)}"


def _in_quotes(template: str | None) -> str:
    """A template as a shell takes it, behind its option."""
    return "" if template is None else " '" + template.replace("'", "'\\''") + "'"


TEXTS: Mapping[str, str | Callable[..., str]] = {
    # a file as a whole
    "unreadable": "cannot be read: {why}",
    "empty-file": "empty file",
    "zeros": "it begins with nothing but zeros",
    "cut-short": lambda size, expected: f"cut short: {write_size(size)} of {write_size(expected)}",
    "end-record-missing": "cut short: end record missing",
    "footer-missing": "cut short: its footer is missing",
    "pickle-end-missing": "cut short: a pickle without its end",
    "superblock-cut": "cut short inside its superblock",
    "header-cut": "cut short inside its header",
    "too-long": "longer than it says itself",
    "silent-format": "its format does not say where it ends",
    "unknown-format": "in no format that is known",
    "malformed": "{why}",
    "storages-elsewhere": "its storages are not where its pickles say",
    "several-archives": "several archives behind each other, or bytes before the first",
    "zip-directory": "zip: its directory is broken",
    "superblock-version": "HDF5: superblock version {version} is unknown",
    "superblock-end": "HDF5: its superblock does not say where it ends",
    "not-closed": "HDF5: it was not closed by its writer",
    "safetensors-header": "safetensors: its header is broken",
    # the parts of a checkpoint
    "unreadable-part": "{name} cannot be read: {why}",
    "broken-part": "{name}: {why}",
    "empty-part": "{name} is empty",
    "empty-folder": "it is empty",
    "missing-file": "{name} is missing",
    "missing-shard": "{name} is missing",
    "missing-part": "{kind} {number} is missing",
    "missing-rank": lambda rank, pattern: f"rank {', '.join(map(str, rank))} of {describe_pattern(pattern)} is missing",
    "missing-share": "the share of {folder} is missing",
    # what its age, its name, its peers and its trackers tell
    "just-written": lambda age: f"written {_ago(age)}",
    "incomplete-yet": lambda why, age: f"{why}, written {_ago(age)}",
    "in-progress-name": "its name is that of a save under way",
    "unfinished-marker": "its writer's marker says unfinished",
    "cut-document": "{name} is cut short",
    "newer-than-mark": "{name} is newer than the mark that says it is done",
    "lacks-usual": "it lacks {name}, which all others here have",
    "missing-everywhere": "{why}, as in all others here",
    "fewer-ranks": "it has the files of {ranks} ranks, others of {most}",
    "uncommitted": "{file} says {step}: it is not known to be done",
    "unread-pointer": "{file} cannot be read, and may name it",
    "not-found-again": "{why}",
    # what it is
    "ambiguous-layout": lambda layouts: f"{_rival_layouts(layouts)}: choose one with --layout",
    "several-series": lambda series: f"two names have the same words and the same numbers: {', '.join(series)}",
    "unnamed-number": lambda first, last, template: (
        f"numbered {first} to {last}, and no word says what the number counts: --template{_in_quotes(template)} says it"
    ),
    "dates-only": "only dates tell its siblings apart: --template says which numbers count",
    "no-counter": "its name has no epoch, step or other count",
    "veto-word": lambda word: f"'{word}' in its name says that it is no save of a training: --include says that it is",
    "set": lambda words: f"one of a set, by {' and '.join(words)}: not an older save of another one",
    "role": lambda role: f"a save of its own under a {role} name",
    "single-save": "the only save of its name",
    "foreign-file": "it holds {name}, which the folders beside it do not",
    "no-series": "nothing shows that it is one of a training's saves in a row",
    "no-number": "its name has no number that counts",
    "opaque-content": lambda kind: (
        f"nothing shows that its content ({kind}) is a checkpoint: --include says that it is"
    ),
    "other-content": lambda kind, series: f"it holds another kind of content ({kind}) than its series ({series})",
    "nested-run": "a run lies in it: {name}",
    "odd-kind": "neither a file nor a folder",
    "not-understood": "not understood",
    "unknown-folder": "a folder that no layout knows",
    # notices of a run
    "unlisted": lambda path, why: f"{path or '.'}: {why}",
    "inside-a-checkpoint": "it is a checkpoint itself, or a part of some ({layout}): name the folder above it",
    "pinned": lambda until, reason: f"pinned{f' until {until}' if until else ''}{f': {reason}' if reason else ''}",
    "pin-passed": lambda until, reason: f"its pin has passed (until {until}){f': {reason}' if reason else ''}",
    "unreadable-pin": "{path} is taken for a pin for ever: {why}",
    "unreadable-side-file": "{path}: cannot be read: {why}",
    "broken-side-file": "{path}: {why}: left out",
    "more-unread-files": lambda count: f"{count} more file{'s' * (count != 1)} could not be read for scores",
    "score-conflict": _score_conflict,
    "more-score-conflicts": "{count} more scores on which two sources disagree",
    # the metric and the best
    "mode-against-name": _mode_against_name,
    "own-best": "{why}: this is what training itself called best",
    "infinite-best": "{path}: {metric} is {value}, and counts as the best",
    "zero-best": "{path}: {metric} is 0 by its name alone, which may mean that it was not logged",
    "tied-score": "{metric} is {value} of another too: the order of saving decided",
    "below-threshold": "no {metric} is better than the threshold: nothing is kept for its score",
    "tied-places": "{metric} is {value} on both sides of place {place}: the order of saving decided",
    # a plan
    "of-no-series": _of_no_series,
    "reused-folder": (
        "more than one training used this folder: last is the newest one's, a prune keeps an earlier one's newest too"
    ),
    "times-disagree": lambda later, higher: (
        f"{_name_of(later)} is newer than {_name_of(higher)}, which has the higher number: the numbers count,"
        " and a prune keeps the last by time too (was training restarted here, or were files copied?)"
    ),
    "mixed-layouts": lambda families: f"checkpoints of {' and '.join(families)} lie here: choose one with --layout",
    "left-alone": "{why}: left alone",
    "state": _state,
    "newer": lambda path, state, why: f"{path} is newer, but {_state(state, why)}",
    "too-young": lambda count: f"{count} checkpoint{'s' * (count != 1)} too young to judge: left alone",
    "killed-save": lambda why: f"left by a killed save: {why or 'not whole'}",
    "not-slimmed": "not slimmed: {why}",
    "roster-corrected": "{path} lists {count} of what goes, and is corrected before",
    "held": lambda path, reasons: f"'{path}' stays: {'; '.join(map(describe_note, reasons))}",
    "stays-now": lambda reasons: f"stays now: {'; '.join(map(describe_note, reasons))}",
    # refusals to slim, and to compare
    "left-out": "{why}: not compared",
    "not-compared": "cannot be compared: {why}",
    "in-doubt": lambda why: f"it is in doubt whether it is whole{f': {why}' if why else ''}",
    "unfinished-if-slimmed": _unfinished_if_slimmed,
    # findings
    "bare-state": "its state is {state}",
    "of-several": _of_several,
    "with-size-and-age": lambda why, size, age: f"{why}; {write_size(size)}, written {_ago(age)}",
    "unfinished-save": "a save that was not finished: {why}",
    "newer-than-done": "newer than what training says is done: {why}",
    "rival-layouts": _rival_layouts,
    "unproved": "nobody can tell whether it is whole: {why}",
}
"""By the id of a note: a template for its facts, or a function of them."""
