"""What a row of data says of its framework, in sentences; "" where it says nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ckptctl.core.model import SET_ASIDE
from ckptctl.core.names.parse import Name, parse
from ckptctl.core.ranking import COUNTERS
from ckptctl.layouts.index import match
from ckptctl.layouts.schema import Layout, MetricSource, PointerFile, RecordedMetric
from phrases import code, either, some, spell_glob, spell_pattern, together

UNITS = {"file": "a file", "dir": "a folder", "family": "a family of files"}
_SUCH_AS = {"file": "a file such as", "dir": "a folder such as", "family": "a family of files such as"}
_ASIDE = {
    "last": "the last one",
    "best": "the best one",
    "final": "the final one",
    "resume": "what training resumes from",
    "derived": "made of others",
    "export": "an export",
    "named": "named on purpose",
}
_PLACES = {
    "inside": "{} in it",
    "beside": "{} beside it",
    "above": "{} in the folder above",
    "below": "{} in the folders below",
}
_COUNTED = {"step": "step", "epoch": "epoch", "index": "number of saves", "name": "name"}
_QUIET = "once it has not changed for ten minutes"
_ANY = "any-name_of-a person"


# What it is ----------------------------------------------------------------------------------------------------------


def consists(row: Layout) -> str:
    """What one checkpoint is, by real names."""
    text = f"{_SUCH_AS[row.unit]} {either(map(code, row.examples[:5]))}."
    if row.rank_folders:
        folders = either(map(spell_pattern, row.rank_folders), "and")
        text += f" Files of one name in the folders of ranks ({folders}) are one."
    return text


def recognised(row: Layout) -> str:
    """What proves the layout, and what shows it."""
    if row.unit == "dir" and not (row.names or row.sentinels):
        return "by the names of the folders beside it, the same files in each, and weights in them."
    if row.unit == "dir":
        return f"{_name_of(row)}{_proof_of(row)}{_witnesses(row)}.{_first_signs(row)}"
    return f"by its name{_witnesses(row) or ' alone'}.{_modesty(row)}"


def _name_of(row: Layout) -> str:
    return "under any name" if match(row, _ANY + "".join(row.extensions[:1])) is not None else "by its name"


def _proof_of(row: Layout) -> str:
    if row.sentinels == ("*",):
        return ""
    proofs = [
        spell_glob(sentinel) if isinstance(sentinel, str) else f"both {either(map(spell_glob, sentinel), 'and')}"
        for sentinel in row.sentinels
    ]
    return f"{', by' if _name_of(row) == 'under any name' else ' and'} {either(proofs)} in it"


def _witnesses(row: Layout) -> str:
    beside = [spell_glob(it) for it in row.neighbors if not it.startswith("../")]
    above = [spell_glob(it.removeprefix("../")) for it in row.neighbors if it.startswith("../")]
    said = [f"{either(beside)} beside it"] if beside else []
    said += [f"{either(above)} in the folder above"] if above else []
    return f", with {either(said)}" if said else ""


def _first_signs(row: Layout) -> str:
    if not row.hints:
        return ""
    return f" One half written, by its name and {some([spell_glob(it) for it in row.hints])}."


def _modesty(row: Layout) -> str:
    return " It gives way to any other framework in the same folder." if row.is_generic else ""


def counts(row: Layout) -> str:
    """What the numbers in its names mean."""
    groups = {key for pattern in row.names for key in re.findall(r"\(\?P<(\w+)>", pattern)}
    groups |= {key for name in row.examples for key in _read(row, name).fields}
    said = [f"epochs count from {row.epoch_base}"] if "epoch" in groups else []
    said += ["a step is the number of the last one done, counted from 0"] if row.step_base and "step" in groups else []
    if "index" in groups:
        what = "a number that does not say of what" if groups & {"epoch", "step"} else "the number"
        said.append(f"{what} counts saves, not steps")
    said += [f"of a score, {row.digits} decimals count"] if row.digits is not None else []
    return f"{either(said, 'and')}." if said else ""


def _read(row: Layout, name: str) -> Name:
    """What the grammar of free names reads in a name of a row."""
    groups = match(row, name) or {}
    free = (groups.get("free") or "") if groups else name
    return parse(free) if free else Name({})


# Whether it is whole -------------------------------------------------------------------------------------------------


def complete(row: Layout) -> str:
    """What marks it complete, and what marks it as not."""
    text = f"{_whole(row)}."
    if row.newest_lacks:
        text += f" The last save of a training may lack {either(map(spell_glob, row.newest_lacks))}."
    files = [code(it.path) for it in row.pointers if it.commits]
    text += f" What is newer than the one that {either(files)} names is not known to be done." if files else ""
    text += (
        f" A name such as {either(map(spell_pattern, row.in_progress))} is a save under way." if row.in_progress else ""
    )
    return text + (f" While an empty file `NAME{row.marker}` stands beside it, it is not." if row.marker else "")


def _whole(row: Layout) -> str:
    mark = spell_glob(row.done.format(stem="NAME", name="NAME.*"))
    needs = [*map(spell_glob, row.required), *_parts(row), *([mark] if row.done else [])]
    if not needs:
        named = "as soon as it has its name, which it gets when it is done" if row.tells_end else _QUIET
        return "by its own format, which shows where it ends" if row.is_proved else named
    proved = ", each file whole by its own format" if row.unit == "family" and row.is_proved else ""
    return f"once it has {together(needs)}{proved}" + ("" if row.tells_end else f", and {_QUIET[5:]}")


def _parts(row: Layout) -> Iterator[str]:
    """What there is several times, and must be there each time."""
    names = " ".join(row.names)
    if "(?P<of>" in names:
        yield "all its numbered parts"
    elif row.unit == "family" and ("(?P<shard>" in names or "(?P<rank>" in names):
        yield "all its shards" if "(?P<shard>" in names else "the files of all its ranks"
    if row.manifest:
        yield f"every file that {code(row.manifest)} names"
    ranks = [spell_pattern(it) for it in row.ranks if "(" in it]
    if ranks:
        yield f"of each rank {some(ranks)}"


# What it is worth ----------------------------------------------------------------------------------------------------


def origins(row: Layout) -> Iterator[str]:
    """Where its metrics come from, in a word each."""
    if row.records:
        yield "its state"
    yield from (code(it.path) if it.path else "its state" for it in row.sources if it.take or it.names)
    if any("<metric>" in pattern for pattern in row.names) or any(_says_metric(row, name) for name in row.examples):
        yield "its name"


def _says_metric(row: Layout, name: str) -> bool:
    read = _read(row, name)
    return bool(read.bare) or any(key not in COUNTERS for key in read.fields)


def metrics(row: Layout) -> str:
    """Where its metrics and numbers come from, each with how it is matched."""
    said = [] if any(origins(row)) else ["none can be matched with a checkpoint"]
    said += ["the callback's own state in it, which tells of all that it kept"] if row.records else []
    said += map(_source, row.sources)
    said += ["its name"] if "its name" in origins(row) else []
    return f"{'; '.join(said)}."


def _source(source: MetricSource) -> str:
    """A file, how its rows are matched, and what is taken of them."""
    told = [key for key in source.numbers if key in {"epoch", "step"}]
    numbers = f"the {either(told, 'and')} where its name has none" if told else ""
    rows = [f"at {code(source.rows)}"] if source.rows else []
    how = ", ".join([*rows, *_matched(source)])
    file = f"{_file(source.path, source.place)}{f' ({how})' if how else ''}"
    taken = either(_taken(source), "and") if source.take or source.names else ""
    return f"{file}: {taken}{f'; {numbers}' if numbers else ''}" if taken else f"{file} tells {numbers}"


def _file(path: str, place: str) -> str:
    return _PLACES[place].format(spell_glob(path)) if path else "its own state"


def _matched(source: MetricSource) -> Iterator[str]:
    if source.column:
        columns = either(map(code, source.column.split("|")))
        yield f"by the {_COUNTED[source.by]} in {columns}"
    if source.offset:
        yield f"which is {abs(source.offset)} {'more' if source.offset > 0 else 'less'} than in names"
    if source.reach:
        yield f"or up to {source.reach} before"


def _taken(source: MetricSource) -> Iterator[str]:
    left = f" but {some([code(it) for it in source.leave])}" if source.leave else ""
    if source.take == ("*",) and not source.names:
        yield f"all below {code(source.front.rstrip('/'))}" if source.front else f"every number{left}"
        return
    plain = [code(it) for it in source.take if it != "*" and it not in source.names]
    plain += [f"{code(column)} as {code(name)}" for column, name in source.names.items()]
    yield from ([f"{either(plain, 'and')}{left}"] if left and plain else plain)


def ranked(row: Layout) -> str:
    """What training noted of how to rank."""
    said = [_noted(it) for it in row.recorded]
    said += ["more is always better"] if row.always == "max" else []
    said += ["less is always better"] if row.always == "min" else []
    return f"{'; '.join(said)}." if said else ""


def _noted(spec: RecordedMetric) -> str:
    keys = either([code(it) for it in dict.fromkeys((spec.monitor, spec.mode)) if it], "and")
    return f"what {_PLACES[spec.place].format(spell_glob(spec.path))} notes as {keys}"


# What holds it -------------------------------------------------------------------------------------------------------


def pointed(row: Layout) -> str:
    """The files that name one or list all, and what becomes of them."""
    said = [_pointer(it) for it in row.pointers]
    return " ".join([*said, *([f"`link` puts no name beside it: {row.no_links}."] if row.no_links else [])])


def _pointer(spec: PointerFile) -> str:
    file = f"{spell_glob(spec.path)} {'in the newest' if spec.place == 'inside' else 'beside it'}"
    named = f" at {code(spec.field)}" if spec.field else ""
    listed = f" at {code(spec.listing)}" if spec.listing else ""
    out = "those that go are taken out before they go."
    if spec.value == "textproto":
        return f"{file} names the newest, which stays, and lists all: {out}"
    if spec.listing and spec.field:
        return f"{file} names one{named}, which stays, and lists all{listed}: {out}"
    if spec.listing:
        return f"{file} lists them{listed}: {out}"
    return f"{file} names one{named}: it stays."


def kept(row: Layout) -> str:
    """Names of those that no rule drops."""
    found: dict[str, list[str]] = {}
    for name in row.examples:
        role = next((it for it in _roles(row, name) if it in {*SET_ASIDE, "best"}), None)
        if role is not None:
            found.setdefault(role, []).append(code(name))
    return f"{'; '.join(f'{either(names[:3])} ({_ASIDE[role]})' for role, names in found.items())}." if found else ""


def _roles(row: Layout, name: str) -> Iterator[str]:
    """What a name says it is for."""
    groups = match(row, name) or {}
    yield from (key for key, text in groups.items() if text is not None)
    yield from _read(row, name).roles
    if row.unit == "dir" and groups.get("free") and not name[-1:].isdigit():
        yield "named"
